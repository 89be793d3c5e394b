"""The table of documents that cspine can make of a result."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from types import MappingProxyType

from cspine.dicom.header import LoadedSeries
from cspine.domain import Analysis, RenderError, UnsupportedSeries
from cspine.report.document import findings_json
from cspine.report.html import render_html
from cspine.report.pdf import render_pdf
from cspine.report.place import check_on_source
from cspine.report.possible import no_fracture, no_images, no_study, no_vertebra

Render = Callable[[Analysis, LoadedSeries, Mapping[str, float]], bytes]
Objection = Callable[[Analysis, LoadedSeries], str | None]


def always(analysis: Analysis, source: LoadedSeries) -> str | None:
    """Object to nothing."""
    return None


def _later(module: str, function: str) -> Render:
    """Return a renderer that is imported when it is first used: highdicom takes half a second."""

    def render_later(analysis: Analysis, source: LoadedSeries, timings_s: Mapping[str, float]) -> bytes:
        made: bytes = getattr(import_module(f"cspine.report.{module}"), function)(analysis, source, timings_s)
        return made

    return render_later


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
    objection
        Says why this document cannot be made of a result, or ``None``.
    """

    file_name: str
    media_type: str
    render: Render
    objection: Objection = always


_DICOM = "application/dicom"
RENDERERS: Mapping[str, Renderer] = MappingProxyType(
    {
        "json": Renderer("findings.json", "application/json", findings_json),
        "html": Renderer("report.html", "text/html; charset=utf-8", render_html),
        "pdf": Renderer("report.pdf", "application/pdf", render_pdf),
        "seg": Renderer("vertebrae-seg.dcm", _DICOM, _later("segmentation", "render_seg"), no_vertebra),
        "fracture-seg": Renderer(
            "fractures-seg.dcm", _DICOM, _later("segmentation", "render_fracture_seg"), no_fracture
        ),
        "sr": Renderer("findings-sr.dcm", _DICOM, _later("structured", "render_sr"), no_study),
        "sc": Renderer("report-sc.dcm", _DICOM, _later("capture", "render_capture"), no_study),
        "pr": Renderer("marks-pr.dcm", _DICOM, _later("presentation", "render_marks"), no_images),
        "dicom-pdf": Renderer("report-pdf.dcm", _DICOM, _later("capture", "render_dicom_pdf"), no_study),
    }
)
# One word for several kinds; those of them that a result cannot have are left out, with the reason.
GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"dicom": ("seg", "fracture-seg", "sr", "sc", "pr", "dicom-pdf")}
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
        Unknown kind, the analysis does not lie on the source, or the document could not be made.
    """
    check_on_source(analysis, source)
    return renderer(kind).render(analysis, source, timings_s)


def chosen(kinds: tuple[str, ...], analysis: Analysis, source: LoadedSeries) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return which kinds to render for a result, groups spelled out, and why others of a group cannot be made.

    Raises
    ------
    UnsupportedSeries
        A kind that was asked for by its own name, or every kind of a group, cannot be made.
    RenderError
        Unknown kind.
    """
    wanted: list[str] = []
    left_out: dict[str, str] = {}
    for kind in kinds:
        members = GROUPS.get(kind, (kind,))
        objections = {one: renderer(one).objection(analysis, source) for one in members}
        possible = [one for one, reason in objections.items() if reason is None]
        if not possible:
            raise UnsupportedSeries(f"{source.name}: no {kind} can be made of it: {objections[members[0]]}")
        wanted += possible
        left_out |= {one: reason for one, reason in objections.items() if reason is not None}
    return tuple(dict.fromkeys(wanted)), left_out


def check_kind(kind: str) -> None:
    """Check that a kind or group of documents exists.

    Raises
    ------
    RenderError
        Unknown; the message names the nearest.
    """
    if kind not in GROUPS:
        renderer(kind)


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
        names = (*RENDERERS, *GROUPS)
        nearest = get_close_matches(kind.lower(), names, n=1, cutoff=0.0)[0]
        raise RenderError(f"unknown format {kind!r}: did you mean {nearest!r}? There are {', '.join(names)}")
    return found
