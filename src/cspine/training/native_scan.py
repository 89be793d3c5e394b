"""A sample as a scanner's own grid would have given it: averaged onto voxels of another size, then interpolated back.

Real scans come on grids as coarse as 5 mm. What they lose there (thin discs, the gap between two arches) no blur and
noise on the working grid take away in the same manner.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class NativeRange:
    """Grids that are drawn.

    Attributes
    ----------
    chance
        Share of the samples that pass through another grid.
    slice_mm, pixel_mm
        Range of its spacing along the slice axis, and in plane.
    """

    chance: float = 0.5
    slice_mm: tuple[float, float] = (1.0, 5.5)
    pixel_mm: tuple[float, float] = (1.0, 4.6)


def scan_natively(
    hu: np.ndarray, spacing_mm: tuple[float, float, float], ranges: NativeRange, rng: np.random.Generator
) -> np.ndarray:
    """Return float32 `hu` (slice, row, column) after a passage through a drawn grid, or unchanged."""
    out = hu
    for axis, matrix in enumerate(draw_passages(hu.shape, spacing_mm, ranges, rng)):
        if matrix is not None:
            out = np.moveaxis(np.tensordot(matrix, out, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(out, dtype=np.float32)


def draw_passages(
    shape: tuple[int, ...], spacing_mm: tuple[float, float, float], ranges: NativeRange, rng: np.random.Generator
) -> list[np.ndarray | None]:
    """Return the matrix of each axis' passage through a drawn grid, ``None`` where the axis stays as it is."""
    if rng.uniform() >= ranges.chance:
        return [None] * len(shape)
    slice_mm, pixel_mm = rng.uniform(*ranges.slice_mm), rng.uniform(*ranges.pixel_mm)
    passages: list[np.ndarray | None] = []
    for count, step_mm, native_mm in zip(shape, spacing_mm, (slice_mm, pixel_mm, pixel_mm), strict=True):
        coarser = native_mm > step_mm
        passages.append(passage(count, native_mm / step_mm, float(rng.uniform())) if coarser else None)
    return passages


def passage(count: int, ratio: float, offset: float) -> np.ndarray:
    """Return float32 (count, count): average over boxes of `ratio` voxels, then interpolate linearly.

    Parameters
    ----------
    ratio
        Native spacing in voxels of the sample, > 1.
    offset
        Place of the native grid, as a share of its spacing.
    """
    centers = (np.arange(-1, int(np.ceil(count / ratio)) + 2) + offset) * ratio - 0.5
    edges = np.arange(count + 1) - 0.5
    low, high = centers[:, None] - ratio / 2, centers[:, None] + ratio / 2
    average = np.clip(np.minimum(high, edges[None, 1:]) - np.maximum(low, edges[None, :-1]), 0, None)
    used = average.sum(axis=1) > 1e-6
    average, centers = average[used], centers[used]
    average /= average.sum(axis=1, keepdims=True)
    place = np.clip(np.interp(np.arange(count), centers, np.arange(len(centers))), 0, len(centers) - 1)
    below = np.minimum(place.astype(int), max(len(centers) - 2, 0))
    share = place - below
    back = np.zeros((count, len(centers)))
    rows = np.arange(count)
    back[rows, below] = 1 - share
    back[rows, np.minimum(below + 1, len(centers) - 1)] += share
    return np.asarray(back @ average, dtype=np.float32)
