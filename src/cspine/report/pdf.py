"""`report.pdf`: the page of `report.html` on one sheet of A4, typeset by typst without files, network or clock."""

import json
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import typst

from cspine.dicom.header import LoadedSeries
from cspine.domain import Analysis, RenderError
from cspine.report.content import Content, compose
from cspine.report.pictures import Picture

EPOCH_S = 0  # of the document's metadata: the same result gives the same bytes


def render_pdf(analysis: Analysis, source: LoadedSeries, timings_s: Mapping[str, float]) -> bytes:
    """Return the sheet as PDF.

    Latin text is set in fonts that typst carries; other scripts take a font of the system that has them.

    Raises
    ------
    RenderError
        The typesetter failed.
    """
    try:
        return typst.compile(
            _template(), format="pdf", sys_inputs=_inputs(analysis, source, timings_s), timestamp=EPOCH_S
        )
    except RuntimeError as error:
        raise RenderError(f"report.pdf of {source.name}: the typesetter stopped: {error}") from error


def render_page(analysis: Analysis, source: LoadedSeries, timings_s: Mapping[str, float], ppi: float) -> bytes:
    """Return the sheet as PNG of `ppi` pixels per inch; errors as of `render_pdf`."""
    try:
        page: bytes | list[bytes] = typst.compile(
            _template(), format="png", ppi=ppi, sys_inputs=_inputs(analysis, source, timings_s), timestamp=EPOCH_S
        )
    except RuntimeError as error:
        raise RenderError(f"page of {source.name}: the typesetter stopped: {error}") from error
    return page if isinstance(page, bytes) else page[0]


def _inputs(analysis: Analysis, source: LoadedSeries, timings_s: Mapping[str, float]) -> dict[str, str]:
    content = compose(analysis, source, timings_s)
    return {"content": json.dumps(_values(content)), **_pictures(content)}


@cache
def _template() -> bytes:
    return files("cspine.report").joinpath("templates", "report.typ").read_bytes()


def _pictures(content: Content) -> dict[str, str]:
    pictures = content.pictures
    named = {"sagittal": _wrapped(pictures.sagittal), "coronal": _wrapped(pictures.coronal)}
    return named | {f"axial-{k}": _wrapped(p) for k, p in enumerate(pictures.axials)}


def _wrapped(picture: Picture) -> str:
    """Return a picture as SVG round its PNG: typst takes only text from memory."""
    width, height = picture.size
    href = "data:image/png;base64," + b64encode(picture.png).decode("ascii")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f'<image width="{width}" height="{height}" xlink:href="{href}"/></svg>'
    )


def _values(content: Content) -> dict[str, Any]:
    pictures = content.pictures
    return {
        "title": content.title,
        "intended_use": content.intended_use,
        "closing": content.closing,
        "phantom": content.phantom,
        "facts": content.facts,
        "decision": content.decision,
        "headline": content.headline,
        "details": content.details,
        "rows": [vars(row) for row in content.rows],
        "flags": [vars(flag) for flag in content.flags],
        "not_assessed": content.not_assessed,
        "never_assessed": content.never_assessed,
        "identity": content.identity,
        "window": pictures.window,
        "sagittal": _picture(pictures.sagittal, "sagittal"),
        "coronal": _picture(pictures.coronal, "coronal"),
        "axials": [_picture(p, f"axial-{k}") for k, p in enumerate(pictures.axials)],
    }


def _picture(picture: Picture, key: str) -> dict[str, Any]:
    return {
        "key": key,
        "shape": picture.shape,
        "title": picture.title,
        "caption": picture.caption,
        "description": picture.description,
    }
