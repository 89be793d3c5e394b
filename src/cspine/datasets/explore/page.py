"""The page of an exploration: one HTML file that loads nothing, beside the figures and tables that it shows."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from cspine import __version__
from cspine.datasets.explore.exhibits import Exhibit, Section

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


def _data_uri(exhibit: Exhibit) -> str:
    return f"data:{MIME[exhibit.kind]};base64,{b64encode(exhibit.picture).decode('ascii')}"


_TEMPLATES = Environment(
    loader=PackageLoader("cspine.datasets.explore", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters["data_uri"] = _data_uri


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
