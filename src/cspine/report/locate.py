"""Point from a place in the patient back to the image object that shows it.

Pixel boxes follow the convention of the RSNA 2022 data: ``[x, y, width, height]`` in whole pixels of the stored
image, x counted in columns and y in rows, from the *top-left* corner of the top-left pixel. An image array is cut
with ``pixels[y : y + height, x : x + width]``.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from cspine.dicom.header import LoadedSeries, SliceRef
from cspine.domain import Grid, WorldBox

# A box face on a pixel border is on that border: round-trip noise of the affine is below this share of a pixel.
BORDER_TOLERANCE = 1e-3
MIN_STEP = 1e-12


@dataclass(frozen=True)
class ImageRegion:
    """The part of one stored image that a box covers.

    Attributes
    ----------
    pixel_box
        (x, y, width, height) in whole pixels, see the module.
    """

    image: SliceRef
    pixel_box: tuple[int, int, int, int]


def image_region(box: WorldBox, source: LoadedSeries) -> ImageRegion | None:
    """Return where a box lies on the original slice through its center.

    The rectangle goes round the cross-section of the box with the plane through its center, parallel to the slices,
    clipped to the image. ``None`` when the series has no image objects (NIfTI, resampled for tilt), or when the
    center lies beyond its slices or the cross-section beside its pixels.
    """
    if not source.slices:
        return None
    grid = source.volume.grid
    index = slice_through(box.center_lps_mm, grid)
    if index is None:
        return None
    corners_rc = _section(box, grid)[:, 1:] + 0.5
    low = np.floor(corners_rc.min(axis=0) + BORDER_TOLERANCE).astype(int)
    high = np.ceil(corners_rc.max(axis=0) - BORDER_TOLERANCE).astype(int)
    low, high = np.maximum(low, 0), np.minimum(np.maximum(high, low + 1), grid.shape[1:])
    if (low >= high).any():
        return None
    image = source.slices[index]
    (row, column), (height, width) = (low - image.first_pixel_rc).tolist(), (high - low).tolist()
    return ImageRegion(image, (column, row, width, height))


def slice_through(point_lps_mm: tuple[float, float, float], grid: Grid) -> int | None:
    """Return the index of the slice that a point lies in, ``None`` beyond the outer faces of the stack."""
    index = round(float(grid.to_index(np.asarray(point_lps_mm))[0]))
    return index if 0 <= index < grid.shape[0] else None


def image_name(image: SliceRef) -> str:
    """Return how viewers call an image: by its frame or instance number."""
    if image.frame_number is not None:
        return f"frame {image.frame_number}"
    return "image" if image.instance_number is None else f"image {image.instance_number}"


def _section(box: WorldBox, grid: Grid) -> np.ndarray:
    """Return (N, 3) indices where the edges of a box meet the slice plane through its center."""
    bits = np.array(list(product((0, 1), repeat=3)))
    corners = grid.to_index(np.where(bits, box.max_lps_mm, box.min_lps_mm))
    level = float(grid.to_index(np.asarray(box.center_lps_mm))[0])
    points = []
    for a, b in product(range(8), repeat=2):
        if a < b and np.abs(bits[a] - bits[b]).sum() == 1:
            points.extend(_crossing(corners[a], corners[b], level))
    return np.array(points)


def _crossing(start: np.ndarray, stop: np.ndarray, level: float) -> list[np.ndarray]:
    """Return the point of a segment at slice index `level`, both ends when it runs within that plane."""
    step = stop[0] - start[0]
    if abs(step) < MIN_STEP:
        return [start, stop] if abs(start[0] - level) < BORDER_TOLERANCE else []
    part = (level - start[0]) / step
    return [start + part * (stop - start)] if 0 <= part <= 1 else []
