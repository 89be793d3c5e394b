"""The frames of a film: one slice after the other along one of the patient's axes, square pixels, even sizes.

Axial frames run from head to foot with the patient's right on the left, sagittal ones from right to left with the front
on the left, coronal ones from front to back.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from cspine.datasets.labeled_study import LabeledStudy
from cspine.datasets.tiles import BOX_INK, gray_tile, overlay_tile
from cspine.domain import Grid
from cspine.report import BONE, Window

# Plane → array axis that time runs along.
PLANES = {"axial": 0, "coronal": 1, "sagittal": 2}
INK, CAPTION_PX = (255, 255, 255), 13


@dataclass(frozen=True)
class Overlay:
    """What is drawn over the gray values."""

    mask: bool = False
    boxes: bool = False

    @property
    def name(self) -> str:
        """Part of a file name: ``plain``, ``mask``, ``boxes`` or ``mask-boxes``."""
        return "-".join(n for n, on in (("mask", self.mask), ("boxes", self.boxes)) if on) or "plain"


def frames(
    study: LabeledStudy, plane: str, overlay: Overlay, size_px: int = 512, window: Window = BONE
) -> Iterator[np.ndarray]:
    """Yield the frames (rows, columns, 3) uint8 of a film, one per slice of the plane.

    Parameters
    ----------
    plane
        One of `PLANES`.
    size_px
        Longer side; both sides are even, as video codecs want them.
    """
    axis = PLANES[plane]
    size = _size(study.volume.grid, axis, size_px)
    pixel_px = size[0] / [n for a, n in enumerate(study.volume.grid.shape) if a != axis][1]
    for k in range(study.volume.grid.shape[axis]):
        pixels = gray_tile(study.volume.hu.take(k, axis), window)
        if overlay.mask and study.labels is not None:
            pixels = overlay_tile(pixels, study.labels.labels.take(k, axis))
        picture = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)
        if overlay.boxes and study.boxes:
            picture = Image.fromarray(_boxed(np.asarray(picture), study, axis, k, pixel_px))
        mark = "PHANTOM, " if study.phantom else ""
        _caption(picture, f"{mark}{plane} {k + 1}/{study.volume.grid.shape[axis]}{_number(study, axis, k)}")
        yield np.asarray(picture)


def _size(grid: Grid, axis: int, size_px: int) -> tuple[int, int]:
    """Return (width, height) that show the plane in true proportions."""
    height_mm, width_mm = (mm for a, mm in enumerate(grid.extent_mm) if a != axis)
    scale = size_px / max(height_mm, width_mm)
    width, height = (max(16, 2 * round(mm * scale / 2)) for mm in (width_mm, height_mm))
    return width, height


def _boxed(pixels: np.ndarray, study: LabeledStudy, axis: int, k: int, pixel_px: float) -> np.ndarray:
    """Outline the boxes that the plane cuts, in white: the colors of the levels are those of the mask.

    Axial ones one by one. Across the slices a box is one slice high, and those of a level are outlined together: frames
    of neighboring slices would hide the bone.
    """
    rows_px = pixels.shape[0] / next(n for a, n in enumerate(study.volume.grid.shape) if a != axis)
    held: dict[object, np.ndarray] = {}
    for number, placed in enumerate(study.boxes):
        start, stop = placed.box.start_zyx, placed.box.stop_zyx
        if start[axis] <= k < stop[axis]:
            (top, left), (bottom, right) = _others(start, axis), _others(stop, axis)
            together = number if axis == 0 else placed.level
            inside = held.setdefault(together, np.zeros(pixels.shape[:2], bool))
            inside[_span(top, bottom, rows_px), _span(left, right, pixel_px)] = True
    drawn, width = pixels.copy(), max(1, pixels.shape[1] // 300)
    for inside in held.values():
        drawn[ndimage.binary_dilation(inside, np.ones((3, 3), bool), iterations=width) & ~inside] = BOX_INK
    return drawn


def _span(start: int, stop: int, scale: float) -> slice:
    """Return the pixels of voxels ``start <= k < stop``, one at least."""
    first = round(start * scale)
    return slice(first, max(first + 1, round(stop * scale)))


def _others(corner: tuple[int, int, int], axis: int) -> tuple[int, int]:
    first, second = (value for a, value in enumerate(corner) if a != axis)
    return first, second


def _caption(picture: Image.Image, text: str) -> None:
    pen = ImageDraw.Draw(picture)
    pen.text((4, 3), text, fill=INK, font=ImageFont.load_default(CAPTION_PX), stroke_width=2, stroke_fill=(0, 0, 0))


def _number(study: LabeledStudy, axis: int, k: int) -> str:
    return f", slice {study.numbers[k]}" if axis == 0 and study.numbers else ""
