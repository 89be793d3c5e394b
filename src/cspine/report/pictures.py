"""The pictures of a report, as PNG: sagittal, coronal, and one axial for each level that was seen."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from weakref import WeakKeyDictionary, ref

import numpy as np
from PIL import Image

from cspine.dicom.header import LoadedSeries
from cspine.domain import Analysis, Findings, FlagCode, Grid, Location, VertebraFinding, level_runs
from cspine.report.drawing import BONE, LARGE, SMALL, Marks, draw, position_text
from cspine.report.locate import image_name, slice_through
from cspine.report.reformats import Reformat, axial, coronal, sagittal, sample

PNG_LEVEL = 1  # half of the time of the default for a third more bytes
THREADS = 4  # sampling and encoding leave the interpreter to others
AXIAL_COSINE = 0.995  # a slice within 6° of axial is what an axial picture shows
# Kept as long as the result itself.
_DRAWN: "WeakKeyDictionary[Analysis, tuple[ref[LoadedSeries], Pictures]]" = WeakKeyDictionary()


@dataclass(frozen=True)
class Picture:
    """One PNG with the words beside it.

    Attributes
    ----------
    png
        The file.
    title
        Short, such as ``"Sagittal"`` or ``"C3"``.
    caption
        Position, image number.
    description
        For those who do not see it.
    """

    png: bytes
    size: tuple[int, int]
    title: str
    caption: str
    description: str

    @property
    def shape(self) -> float:
        """Width over height."""
        return self.size[0] / self.size[1]


@dataclass(frozen=True)
class Pictures:
    """All pictures of a report."""

    sagittal: Picture
    coronal: Picture
    axials: tuple[Picture, ...]
    window: str

    @property
    def shape(self) -> float:
        """Width over height of the two reformats side by side."""
        return self.sagittal.shape + self.coronal.shape


def is_phantom(findings: Findings, source: LoadedSeries) -> bool:
    """Return whether header or flags say that this is a computed phantom."""
    flags = (*findings.flags, *source.flags)
    return source.header.is_phantom or any(f.code is FlagCode.PHANTOM for f in flags)


def numbered_locations(findings: Findings) -> tuple[tuple[int, Location], ...]:
    """Return every suspected fracture with its number, C1 first."""
    return tuple(enumerate((place for f in findings.vertebrae for place in f.locations), start=1))


def draw_pictures(analysis: Analysis, source: LoadedSeries) -> Pictures:
    """Draw all pictures of a report, once for each result: several documents show the same ones."""
    of_source, drawn = _DRAWN.get(analysis, (None, None))
    if drawn is None or of_source is None or of_source() is not source:
        drawn = _draw_pictures(analysis, source)
        _DRAWN[analysis] = (ref(source), drawn)
    return drawn


def _draw_pictures(analysis: Analysis, source: LoadedSeries) -> Pictures:
    found, grid = analysis.findings.vertebrae, source.volume.grid
    with ThreadPoolExecutor(THREADS) as pool:
        lengthwise = [
            pool.submit(_lengthwise, reformat(found, grid), analysis, source) for reformat in (sagittal, coronal)
        ]
        axials = [pool.submit(_axial, f, analysis, source) for f in found if f.center_lps_mm is not None]
        return Pictures(lengthwise[0].result(), lengthwise[1].result(), tuple(a.result() for a in axials), BONE.text)


def _lengthwise(reformat: Reformat, analysis: Analysis, source: LoadedSeries) -> Picture:
    low, high = reformat.depth_mm
    title = reformat.name.capitalize() + (", curved" if abs(high - low) >= 1 else "")
    named = level_runs(f.vertebra for f in analysis.findings.vertebrae if f.center_lps_mm is not None)
    picture = _draw(reformat, title, analysis, source)
    return Picture(
        _png(picture),
        picture.size,
        title,
        position_text(reformat.depth_axis, low, high),
        f"{reformat.name.capitalize()} reformat of the neck with the outlines of {named or 'no vertebra'}",
    )


def _axial(finding: VertebraFinding, analysis: Analysis, source: LoadedSeries) -> Picture:
    point = _axial_point(finding)
    name, position = finding.vertebra.name, position_text(2, point[2])
    picture = _draw(axial(point), name, analysis, source)
    caption = _image(point, source) or position
    return Picture(_png(picture), picture.size, name, caption, f"Axial picture of {name} at {position}")


def _axial_point(finding: VertebraFinding) -> tuple[float, float, float]:
    """Return the center of a vertebra, moved head or foot to its likeliest fracture and into its visible part."""
    x, y, z = finding.center_lps_mm or (0.0, 0.0, 0.0)
    likeliest = max(finding.locations, key=lambda place: place.probability, default=None)
    if likeliest is not None:
        return x, y, likeliest.box_lps_mm.center_lps_mm[2]
    seen = finding.box_lps_mm
    if seen is not None and not seen.min_lps_mm[2] <= z <= seen.max_lps_mm[2]:
        return x, y, seen.center_lps_mm[2]
    return x, y, z


def _draw(reformat: Reformat, title: str, analysis: Analysis, source: LoadedSeries) -> Image.Image:
    found, locations = analysis.findings.vertebrae, numbered_locations(analysis.findings)
    style = LARGE
    if reformat.name == "axial":
        z = reformat.depth_mm[0]
        locations = tuple(p for p in locations if p[1].box_lps_mm.min_lps_mm[2] <= z <= p[1].box_lps_mm.max_lps_mm[2])
        found, style = (), SMALL
    marks = Marks(title, found, locations, is_phantom(analysis.findings, source))
    return draw(reformat, sample(reformat, source.volume, analysis.labels), marks, style)


def _image(point_lps_mm: tuple[float, float, float], source: LoadedSeries) -> str | None:
    """Return how the original image at a point is called, when the originals are about axial."""
    if not source.slices or not _is_axial(source.volume.grid):
        return None
    index = slice_through(point_lps_mm, source.volume.grid)
    return None if index is None else image_name(source.slices[index])


def _is_axial(grid: Grid) -> bool:
    return bool(np.abs(grid.directions[0, 2]) >= AXIAL_COSINE)


def _png(picture: Image.Image) -> bytes:
    out = BytesIO()
    picture.save(out, "PNG", compress_level=PNG_LEVEL)
    return out.getvalue()
