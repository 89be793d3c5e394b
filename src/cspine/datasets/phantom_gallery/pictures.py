"""Three planes through what a cell shows, beside the same planes with the truth mask in color."""

from io import BytesIO

import numpy as np
from PIL import Image
from scipy import ndimage

from cspine.domain import Grid, Volume
from cspine.report import BONE, Window

PX_PER_MM = 2.6
_GAP_PX = 4
_TINTS = {"fracture": (255, 92, 64), "mimic": (72, 168, 255)}
_SHARE = 0.5
_QUALITY = 88


def strip(volume: Volume, mask: np.ndarray, group: str, window: Window = BONE) -> tuple[bytes, tuple[int, int]]:
    """Return a JPEG of axial, sagittal and coronal planes, below them the same with the mask, and its (width, height).

    Parameters
    ----------
    volume
        In canonical axis order.
    mask
        bool (slice, row, column); the planes go through the voxel of it nearest to its middle.
    group
        ``"fracture"`` or ``"mimic"``: color of the mask.
    """
    place = middle_of(mask)
    gray = window.gray(volume.hu.astype(np.float32))
    rows = [_planes(gray, mask, place, volume.grid, tint) for tint in (None, _TINTS[group])]
    width = sum(p.width for p in rows[0]) + 2 * _GAP_PX
    height = max(p.height for p in rows[0])
    sheet = Image.new("RGB", (width, 2 * height + _GAP_PX))
    for k, row in enumerate(rows):
        x = 0
        for picture in row:
            sheet.paste(picture, (x, k * (height + _GAP_PX) + (height - picture.height) // 2))
            x += picture.width + _GAP_PX
    out = BytesIO()
    sheet.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue(), (width, 2 * height + _GAP_PX)


def middle_of(mask: np.ndarray) -> tuple[int, int, int]:
    """Return the voxel of a mask nearest to its middle, or the middle of the field when it is empty."""
    where = np.argwhere(mask)
    if not len(where):
        z, y, x = (n // 2 for n in mask.shape)
        return z, y, x
    nearest = where[np.argmin(((where - where.mean(axis=0)) ** 2).sum(axis=1))]
    return int(nearest[0]), int(nearest[1]), int(nearest[2])


def _planes(
    gray: np.ndarray, mask: np.ndarray, place: tuple[int, int, int], grid: Grid, tint: tuple[int, int, int] | None
) -> list[Image.Image]:
    pictures = []
    for axis in range(3):
        rows, columns = (s for k, s in enumerate(grid.spacing_mm) if k != axis)
        plane, hit = gray.take(place[axis], axis), mask.take(place[axis], axis)
        if axis == 2:  # sagittal: the front to the left already, the head above
            plane, hit = np.ascontiguousarray(plane), np.ascontiguousarray(hit)
        size = (round(plane.shape[1] * columns * PX_PER_MM), round(plane.shape[0] * rows * PX_PER_MM))
        picture = Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC).convert("RGB")
        pictures.append(picture if tint is None else _tinted(picture, hit, tint))
    return [pictures[0], pictures[2], pictures[1]]


def _tinted(picture: Image.Image, mask: np.ndarray, tint: tuple[int, int, int]) -> Image.Image:
    soft = ndimage.gaussian_filter(mask.astype(np.float32), 0.4) * 255
    alpha = Image.fromarray(soft.astype(np.uint8)).resize(picture.size, Image.Resampling.BICUBIC)
    alpha = alpha.point(lambda value: int(value * _SHARE))
    out = picture.copy()
    out.paste(Image.new("RGB", picture.size, tint), mask=alpha)
    return out


__all__ = ["PX_PER_MM", "middle_of", "strip"]
