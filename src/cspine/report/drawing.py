"""Draw one reformat: gray values, outlines, names, letters, positions, scale. Pictures are RGB, never files."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from cspine.domain import Location, Vertebra, VertebraFinding
from cspine.report.palette import BEYOND_SCAN, HALO, INK, RGB, level_color
from cspine.report.reformats import Reformat, Sampled

# How readers of the picture call the six directions, by LPS axis: (toward minus, toward plus).
DIRECTIONS = (("R", "L"), ("A", "P"), ("F", "H"))
OUTLINE_PX = 2.2
NAME_BAND_MM = 4.0  # rows round a center in which the bone's edge is looked for, to set the name beside it
SCALE_MM = (100, 50, 20, 10)
WATERMARK, WATERMARK_ALPHA = "PHANTOM", 42


@dataclass(frozen=True)
class Window:
    """Gray scale of CT: black and white lie half the width from the center."""

    center_hu: float
    width_hu: float

    @property
    def text(self) -> str:
        """As viewers print it."""
        return f"W {self.width_hu:.0f} L {self.center_hu:.0f}"

    def gray(self, hu: np.ndarray) -> np.ndarray:
        """Return uint8."""
        low = self.center_hu - self.width_hu / 2
        scaled: np.ndarray = np.clip((hu - low) * (255 / self.width_hu), 0, 255).astype(np.uint8)
        return scaled


BONE = Window(400, 1800)


@dataclass(frozen=True)
class Style:
    """Sizes in pixels of the finished picture.

    Attributes
    ----------
    longest_px
        Longer side of the picture.
    font_px
        Of letters and names.
    """

    longest_px: int
    font_px: int


LARGE = Style(900, 29)
SMALL = Style(320, 31)


@dataclass(frozen=True)
class Marks:
    """What is drawn over the gray values.

    Attributes
    ----------
    title
        First line in the top left corner.
    found
        Vertebrae to name; empty for none.
    locations
        Suspected fractures with the number that the table gives them.
    phantom
        Whether the picture carries the watermark.
    """

    title: str
    found: tuple[VertebraFinding, ...]
    locations: tuple[tuple[int, Location], ...]
    phantom: bool


def draw(reformat: Reformat, sampled: Sampled, marks: Marks, style: Style, window: Window = BONE) -> Image.Image:
    """Return the finished picture, RGB."""
    scale = style.longest_px / max(sampled.hu.shape)
    size = (round(sampled.hu.shape[1] * scale), round(sampled.hu.shape[0] * scale))
    picture = _gray(sampled, size, window)
    pixels = np.asarray(picture).copy()
    for vertebra, mask in _masks(sampled.labels):
        _blend_outline(pixels, mask, scale, level_color(vertebra))
    picture = Image.fromarray(pixels)
    if marks.phantom:
        _watermark(picture)
    pen = _Pen(ImageDraw.Draw(picture), size, scale, style.font_px)
    for number, location in marks.locations:
        _location(pen, reformat, number, location)
    for finding in marks.found:
        _name(pen, reformat, sampled.labels, finding)
    _edges(pen, reformat, marks.title, window)
    return picture


def position_text(axis: int, low_mm: float, high_mm: float | None = None) -> str:
    """Return a position in LPS as readers say it: ``"L 3 mm"``, or a range ``"R 1 to L 3 mm"``.

    Parameters
    ----------
    axis
        0, 1, 2 for x, y, z.
    """
    ends = [low_mm] if high_mm is None or round(high_mm) == round(low_mm) else [low_mm, high_mm]
    return " to ".join(f"{_side(axis, round(v))} {abs(round(v))}" for v in ends) + " mm"


def _side(axis: int, value: int) -> str:
    minus, plus = DIRECTIONS[axis]
    return f"{minus}/{plus}" if value == 0 else (plus if value > 0 else minus)


@dataclass(frozen=True, eq=False)
class _Pen:
    """Writes on a picture of `size` (width, height), `scale` times larger than its reformat."""

    on: ImageDraw.ImageDraw
    size: tuple[int, int]
    scale: float
    font_px: int

    def write(self, xy: tuple[float, float], text: str, anchor: str, color: RGB = INK, share: float = 1.0) -> None:
        font = _font(round(self.font_px * share))
        self.on.text(xy, text, fill=color, font=font, anchor=anchor, stroke_width=2, stroke_fill=HALO)

    def place(self, row: float, column: float) -> tuple[float, float]:
        """Return (x, y) in the picture of a pixel center of the reformat."""
        return (column + 0.5) * self.scale, (row + 0.5) * self.scale


@cache
def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size_px)


def _gray(sampled: Sampled, size: tuple[int, int], window: Window) -> Image.Image:
    gray = Image.fromarray(window.gray(sampled.hu)).resize(size, Image.Resampling.BICUBIC)
    picture = Image.merge("RGB", (gray, gray, gray))
    if not sampled.inside.all():
        beyond = Image.fromarray((~sampled.inside).astype(np.uint8) * 255).resize(size, Image.Resampling.NEAREST)
        picture.paste(BEYOND_SCAN, mask=beyond)
    return picture


def _masks(labels: np.ndarray) -> Iterable[tuple[Vertebra, np.ndarray]]:
    """Yield each level on the picture with its mask; thoracic ones are one."""
    merged = np.minimum(labels, np.uint8(Vertebra.T1))
    for value in np.flatnonzero(np.bincount(merged.ravel(), minlength=2)):
        if value:
            yield Vertebra(int(value)), merged == value


def _blend_outline(pixels: np.ndarray, mask: np.ndarray, scale: float, color: RGB) -> None:
    """Draw the border of a mask, smooth and of even width, into `pixels` in place."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, bottom = max(rows[0] - 5, 0), min(rows[-1] + 6, mask.shape[0])
    left, right = max(columns[0] - 5, 0), min(columns[-1] + 6, mask.shape[1])
    soft = ndimage.gaussian_filter(mask[top:bottom, left:right].astype(np.float32), 1.0, mode="nearest")
    y0, y1, x0, x1 = (round(v * scale) for v in (top, bottom, left, right))
    field = np.asarray(Image.fromarray(soft).resize((x1 - x0, y1 - y0), Image.Resampling.BICUBIC))
    if min(field.shape) < 2:
        return
    slope = np.hypot(*np.gradient(field))
    distance_px = np.abs(field - 0.5) / np.maximum(slope, 1e-3)
    alpha = np.clip(OUTLINE_PX / 2 + 0.5 - distance_px, 0, 1)[..., None]
    part = pixels[y0:y1, x0:x1]
    part[:] = (part * (1 - alpha) + np.array(color, dtype=np.float32) * alpha).astype(np.uint8)


def _name(pen: _Pen, reformat: Reformat, labels: np.ndarray, finding: VertebraFinding) -> None:
    """Write the name beside the bone: in front of it on sagittal pictures, to the patient's left on coronal ones."""
    if finding.center_lps_mm is None:
        return
    row, column = reformat.pixel_of(finding.center_lps_mm)
    mask = labels == finding.vertebra
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size:
        row = float(np.clip(row, rows[0], rows[-1]))  # the center of a cut vertebra may lie beyond the scan
    band = round(NAME_BAND_MM / reformat.pixel_mm)
    start = max(round(row) - band, 0)
    columns = np.flatnonzero(mask[start : max(round(row) + band + 1, start)].any(axis=0))
    in_front = reformat.name == "sagittal"
    if columns.size:
        column = columns[0] if in_front else columns[-1]
    x, y = pen.place(row, column)
    gap = -0.4 * pen.font_px if in_front else 0.4 * pen.font_px
    pen.write((x + gap, y), finding.vertebra.name, "rm" if in_front else "lm", level_color(finding.vertebra), 1.1)


def _location(pen: _Pen, reformat: Reformat, number: int, location: Location) -> None:
    """Frame a suspected fracture; the frame is thin where the picture does not cut through it."""
    box = location.box_lps_mm
    row, column = reformat.pixel_of(box.center_lps_mm)
    inside = np.array([0, 0]) <= (round(row), round(column))
    if not (inside.all() and round(row) < pen.size[1] / pen.scale and round(column) < pen.size[0] / pen.scale):
        return
    axis = reformat.depth_axis
    depth = float(reformat.points_lps_mm[round(row), round(column), axis])
    cut = box.min_lps_mm[axis] <= depth <= box.max_lps_mm[axis]
    ends = [pen.place(*reformat.pixel_of(corner)) for corner in (box.min_lps_mm, box.max_lps_mm)]
    left, right = sorted(x for x, _ in ends)
    top, bottom = sorted(y for _, y in ends)
    width = 4 if cut else 1
    for grown, color, stroke in ((4, HALO, width + 4), (2, INK, width)):
        frame = (left - grown, top - grown, right + grown, bottom + grown)
        pen.on.rectangle(frame, outline=color, width=stroke)
    pen.write((right + 6, top), f"F{number}", "lb")


def _edges(pen: _Pen, reformat: Reformat, title: str, window: Window) -> None:
    """Write letters, position, window and scale along the edges."""
    width, height = pen.size
    pad, line = 0.3 * pen.font_px, 1.15 * pen.font_px
    up, down = DIRECTIONS[reformat.row_axis] if reformat.row_axis == 1 else DIRECTIONS[reformat.row_axis][::-1]
    left, right = DIRECTIONS[reformat.column_axis]
    pen.write((pad, height / 2), left, "lm")
    pen.write((width - pad, height / 2), right, "rm")
    pen.write((width / 2, pad), up, "mt")
    pen.write((width / 2, height - pad), down, "mb")
    pen.write((pad, pad), title, "lt", share=0.9)
    pen.write((pad, pad + line), position_text(reformat.depth_axis, *reformat.depth_mm), "lt", share=0.9)
    if reformat.row_axis == 2:
        ends = reformat.points_lps_mm[[0, -1], 0, 2]
        pen.write((width - pad, pad), position_text(2, float(ends[0])), "rt", share=0.9)
        pen.write((width - pad, height - pad - 1.5 * line), position_text(2, float(ends[1])), "rb", share=0.9)
        pen.write((pad, height - pad), window.text, "lb", share=0.9)
        _scale_bar(pen, reformat.pixel_mm, (width - pad, height - pad))


def _scale_bar(pen: _Pen, pixel_mm: float, corner: tuple[float, float]) -> None:
    """Draw the longest of the usual lengths that takes at most a third of the width."""
    px_per_mm = pen.scale / pixel_mm
    length = next((mm for mm in SCALE_MM if mm * px_per_mm <= pen.size[0] / 3), SCALE_MM[-1])
    right, bottom = corner
    left = right - length * px_per_mm
    pen.on.line((left, bottom - 3, right, bottom - 3), fill=HALO, width=8)
    pen.on.line((left, bottom - 3, right, bottom - 3), fill=INK, width=4)
    pen.write((right, bottom - 10), f"{length} mm", "rb", share=0.9)


def _watermark(picture: Image.Image) -> None:
    """Write PHANTOM across the picture, in place; gray values stay readable under it."""
    width, height = picture.size
    font = _font(max(12, round(min(width, height) / 5)))
    mask = Image.new("L", (width, height), 0)
    ImageDraw.Draw(mask).text((width / 2, height / 2), WATERMARK, fill=WATERMARK_ALPHA, font=font, anchor="mm")
    picture.paste((255, 255, 255), mask=mask.rotate(35))
