"""The table of documents that cspine can make of a result."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

from cspine.dicom.header import LoadedSeries
from cspine.domain import Analysis, RenderError
from cspine.report.document import findings_json
from cspine.report.html import render_html
from cspine.report.pdf import render_pdf

Render = Callable[[Analysis, LoadedSeries, Mapping[str, float]], bytes]


@dataclass(frozen=True)
class Renderer:
    """One kind of document.

    Attributes
    ----------
    file_name
        Under which the document is saved.
    media_type
        For HTTP.
    render
        Pure function of analysis, source series and seconds per stage.
    """

    file_name: str
    media_type: str
    render: Render


RENDERERS: Mapping[str, Renderer] = MappingProxyType(
    {
        "json": Renderer("findings.json", "application/json", findings_json),
        "html": Renderer("report.html", "text/html; charset=utf-8", render_html),
        "pdf": Renderer("report.pdf", "application/pdf", render_pdf),
    }
)


def render(analysis: Analysis, source: LoadedSeries, kind: str, timings_s: Mapping[str, float]) -> bytes:
    """Return one document of a result.

    Parameters
    ----------
    kind
        Key of `RENDERERS`.
    timings_s
        Seconds per stage.

    Raises
    ------
    RenderError
        Unknown kind, or the document could not be made.
    """
    return renderer(kind).render(analysis, source, timings_s)


def file_name(kind: str) -> str:
    """Return the name under which a document of this kind is saved.

    Raises
    ------
    RenderError
        Unknown kind.
    """
    return renderer(kind).file_name


def renderer(kind: str) -> Renderer:
    """Return the renderer of a kind.

    Raises
    ------
    RenderError
        Unknown kind; the message names the nearest.
    """
    found = RENDERERS.get(kind)
    if found is None:
        nearest = get_close_matches(kind.lower(), RENDERERS, n=1, cutoff=0.0)[0]
        raise RenderError(f"unknown format {kind!r}: did you mean {nearest!r}? There are {', '.join(RENDERERS)}")
    return found
