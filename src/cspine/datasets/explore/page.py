"""The page of an exploration: one HTML file that loads nothing, beside the figures and tables that it shows."""

from collections.abc import Sequence
from dataclasses import dataclass

from cspine import __version__
from cspine.datasets.explore.material import Exhibit, Section
from cspine.report import data_uri, templates_of

FIGURES = "figures"
MIME = {"svg": "image/svg+xml", "png": "image/png"}
# Charts too wide for a column.
WIDE = (
    "share_by_level",
    "prevalence_by_slices",
    "funnel",
    "level_visibility",
    "slices_per_vertebra",
    "heights",
    "overlaps",
    "not_used",
    "contrast",
    "levels_per_slice",
)


@dataclass(frozen=True)
class Heading:
    """The top of the page.

    Attributes
    ----------
    facts
        Name and value of each number in large print.
    warning
        A sentence in a frame; empty for none.
    """

    title: str
    subtitle: str
    facts: tuple[tuple[str, str], ...]
    warning: str = ""


def _picture_uri(exhibit: Exhibit) -> str:
    return data_uri(exhibit.picture, MIME[exhibit.kind])


_TEMPLATES = templates_of("cspine.datasets.explore")
_TEMPLATES.filters["picture_uri"] = _picture_uri


def render_page(heading: Heading, sections: Sequence[Section]) -> bytes:
    """Return the page as UTF-8."""
    page = _TEMPLATES.get_template("explore.html.jinja").render(
        title=heading.title,
        subtitle=heading.subtitle,
        facts=heading.facts,
        warning=heading.warning,
        sections=sections,
        wide=WIDE,
        folder=FIGURES,
        footer=f"cspine {__version__} · research use, not a medical device · the numbers of each figure are in a CSV",
    )
    return page.encode("utf-8", errors="replace")
