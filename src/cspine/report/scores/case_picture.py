"""A level that was judged wrongly, as two pictures: what is true and what was found, in frames of different color."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from cspine.domain import Volume, WorldBox
from cspine.report.drawing import BONE, DIRECTIONS, position_text
from cspine.report.pictures import Picture
from cspine.report.reformats import AIR_HU, Reformat

HALF_MM, PIXEL_MM, ENLARGED = 45.0, 0.4, 1.4
TRUE_COLOR, FOUND_COLOR = (84, 214, 120), (255, 158, 64)
_DASH_PX = 7


@dataclass(frozen=True)
class Frames:
    """Boxes to draw where a plane cuts them: true ones dashed and green, found ones solid and orange.

    Attributes
    ----------
    true_beside, found_beside
        Of other levels, in thin lines.
    """

    true: tuple[WorldBox, ...] = ()
    found: tuple[WorldBox, ...] = ()
    true_beside: tuple[WorldBox, ...] = ()
    found_beside: tuple[WorldBox, ...] = ()

    @property
    def strokes(self) -> tuple[tuple[tuple[WorldBox, ...], "_Stroke"], ...]:
        """What is drawn how, the most important last."""
        return (
            (self.found_beside, _Stroke(FOUND_COLOR, 1, False)),
            (self.true_beside, _Stroke(TRUE_COLOR, 1, True)),
            (self.found, _Stroke(FOUND_COLOR, 3, False)),
            (self.true, _Stroke(TRUE_COLOR, 3, True)),
        )


@dataclass(frozen=True)
class _Stroke:
    """How a frame is drawn."""

    color: tuple[int, int, int]
    width: int
    dashed: bool


def case_pictures(volume: Volume, center_lps_mm: Sequence[float], frames: Frames, name: str) -> tuple[Picture, Picture]:
    """Return the axial and the sagittal plane through a point, or through the nearest one in the scan.

    Parameters
    ----------
    name
        Of the level.
    """
    top = np.array(volume.grid.shape) - 1
    held = volume.grid.to_world(np.clip(volume.grid.to_index(np.asarray(center_lps_mm, dtype=float)), 0, top))
    planes = (_plane(held.tolist(), "axial"), _plane(held.tolist(), "sagittal"))
    axial, sagittal = (_drawn(plane, volume, frames, name) for plane in planes)
    return axial, sagittal


def _plane(center_lps_mm: Sequence[float], name: str) -> Reformat:
    x, y, z = (float(v) for v in center_lps_mm)
    steps = np.arange(-HALF_MM, HALF_MM, PIXEL_MM)
    points = np.empty((len(steps), len(steps), 3))
    if name == "axial":
        points[..., 0], points[..., 1], points[..., 2] = x + steps, (y + steps)[:, None], z
        return Reformat(name, points, PIXEL_MM, row_axis=1, column_axis=0, depth_mm=(z, z))
    points[..., 0], points[..., 1], points[..., 2] = x, y + steps, (z - steps)[:, None]
    return Reformat(name, points, PIXEL_MM, row_axis=2, column_axis=1, depth_mm=(x, x))


def _drawn(plane: Reformat, volume: Volume, frames: Frames, name: str) -> Picture:
    index = volume.grid.to_index(plane.points_lps_mm)
    top = np.array(volume.grid.shape) - 1
    inside = np.all((index > -0.5) & (index < top + 0.5), axis=-1)
    held = np.moveaxis(np.clip(index, 0, top), -1, 0)
    hu = ndimage.map_coordinates(volume.hu, held, output=np.float32, order=1, mode="nearest", prefilter=False)
    hu[~inside] = AIR_HU
    gray = Image.fromarray(BONE.gray(hu))
    size = (round(gray.width * ENLARGED), round(gray.height * ENLARGED))
    picture = gray.resize(size, Image.Resampling.BICUBIC).convert("RGB")
    pen = ImageDraw.Draw(picture)
    for boxes, stroke in frames.strokes:
        for box in boxes:
            if box.min_lps_mm[plane.depth_axis] <= plane.depth_mm[0] <= box.max_lps_mm[plane.depth_axis]:
                _frame(pen, plane, box, stroke)
    position = position_text(plane.depth_axis, plane.depth_mm[0])
    _words(pen, size, plane, f"{name} {plane.name}, {position}")
    out = BytesIO()
    picture.save(out, "PNG", optimize=True)
    said = f"{plane.name.capitalize()} plane through {name} at {position}"
    return Picture(out.getvalue(), size, name, position, said)


def _frame(pen: ImageDraw.ImageDraw, plane: Reformat, box: WorldBox, stroke: _Stroke) -> None:
    ends = [plane.pixel_of(corner) for corner in (box.min_lps_mm, box.max_lps_mm)]
    (top, bottom), (left, right) = (sorted((end[k] + 0.5) * ENLARGED for end in ends) for k in (0, 1))
    top, left, bottom, right = top - 3, left - 3, bottom + 3, right + 3
    for (x0, y0), (x1, y1) in (
        ((left, top), (right, top)),
        ((left, bottom), (right, bottom)),
        ((left, top), (left, bottom)),
        ((right, top), (right, bottom)),
    ):
        length = max(abs(x1 - x0), abs(y1 - y0))
        pieces = max(1, round(length / _DASH_PX)) if stroke.dashed else 1
        for k in range(0, pieces, 2 if stroke.dashed else 1):
            a, b = k / pieces, (k + 1) / pieces
            piece = (x0 + (x1 - x0) * a, y0 + (y1 - y0) * a, x0 + (x1 - x0) * b, y0 + (y1 - y0) * b)
            pen.line(piece, fill=stroke.color, width=stroke.width)


def _words(pen: ImageDraw.ImageDraw, size: tuple[int, int], plane: Reformat, title: str) -> None:
    width, height = size
    font = ImageFont.load_default(13)
    up = DIRECTIONS[1][0] if plane.row_axis == 1 else DIRECTIONS[2][1]
    left, right = DIRECTIONS[plane.column_axis]
    for xy, text, anchor in (
        ((6, 5), title, "lt"),
        ((5, height / 2), left, "lm"),
        ((width - 5, height / 2), right, "rm"),
        ((width - 5, 5), up, "rt"),
    ):
        pen.text(xy, text, fill=(255, 255, 255), font=font, anchor=anchor, stroke_width=2, stroke_fill=(0, 0, 0))
