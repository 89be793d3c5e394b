"""Move voxels from one grid to another; every world point stays where it is.

Grids that share directions (the usual case: a scan and its own working grid) take a separable path that
averages while it shrinks, so that no thin cortex is skipped. Other grids are interpolated point by point.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import ndimage, sparse

from cspine.domain.grid import Grid

PARALLEL_LIMIT = 1e-6
# Input voxels. A narrower window is a rounding error of two equal spacings.
NARROWEST_WINDOW = 1e-5


def resample(array: np.ndarray, source: Grid, target: Grid, fill: float, threads: int = 4) -> np.ndarray:
    """Resample continuous values.

    Parameters
    ----------
    array
        (slice, row, column) on `source`, any real dtype.
    fill
        Value beyond the source's outer faces.
    threads
        Workers of the separable path.

    Returns
    -------
    np.ndarray
        float32 on `target`; linear between voxel centers, averaged where a parallel target is coarser.
    """
    array, source = _turned(array, source, target)
    matrix = target.index_map_to(source)
    if not _is_parallel(matrix):
        return _interpolate(array, matrix, target.shape, fill)
    scale = np.diag(matrix)
    weights = [
        _axis_weights(n_in, n_out, float(scale[a]), float(matrix[a, 3]))
        for a, (n_in, n_out) in enumerate(zip(source.shape, target.shape, strict=True))
    ]
    return _separable(array, weights, fill, threads)


def resample_labels(labels: np.ndarray, source: Grid, target: Grid) -> np.ndarray:
    """Resample labels to the nearest voxel; 0 beyond the source. Keeps the dtype."""
    labels, source = _turned(labels, source, target)
    matrix = target.index_map_to(source)
    if not _is_parallel(matrix):
        moved: np.ndarray = ndimage.affine_transform(
            labels, matrix[:3, :3], matrix[:3, 3], target.shape, order=0, mode="nearest"
        )
        moved[~_within(matrix, source.shape, target.shape)] = 0
        return moved
    scale = np.diag(matrix)
    picks, inside = [], []
    for axis, (n_in, n_out) in enumerate(zip(source.shape, target.shape, strict=True)):
        index = np.floor(scale[axis] * np.arange(n_out) + matrix[axis, 3] + 0.5).astype(int)
        inside.append((index >= 0) & (index < n_in))
        picks.append(np.clip(index, 0, n_in - 1))
    out = labels[np.ix_(*picks)]
    out[~(inside[0][:, None, None] & inside[1][None, :, None] & inside[2][None, None, :])] = 0
    return out


def _turned(array: np.ndarray, source: Grid, target: Grid) -> tuple[np.ndarray, Grid]:
    """Return a view of the source, and its grid, with the axes nearest to those of the target."""
    axes = source.order_toward(target.directions)
    return axes.apply(array), source.reordered(axes)


def _is_parallel(matrix: np.ndarray) -> bool:
    linear = matrix[:3, :3]
    return bool(np.abs(linear - np.diag(np.diag(linear))).max() <= PARALLEL_LIMIT)


def _interpolate(array: np.ndarray, matrix: np.ndarray, shape: tuple[int, int, int], fill: float) -> np.ndarray:
    out = np.empty(shape, dtype=np.float32)
    ndimage.affine_transform(array, matrix[:3, :3], matrix[:3, 3], shape, output=out, order=1, mode="nearest")
    out[~_within(matrix, (array.shape[0], array.shape[1], array.shape[2]), shape)] = fill
    return out


def _within(matrix: np.ndarray, source_shape: tuple[int, int, int], shape: tuple[int, int, int]) -> np.ndarray:
    """Return where the voxel centers of an output of `shape` lie between the outer faces of the source."""
    steps = np.ogrid[: shape[0], : shape[1], : shape[2]]
    inside = np.ones(shape, dtype=bool)
    for axis, count in enumerate(source_shape):
        index = matrix[axis, 3] + sum(matrix[axis, i] * steps[i] for i in range(3))
        inside &= (index > -0.5) & (index < count - 0.5)
    return inside


def _axis_weights(n_in: int, n_out: int, scale: float, offset: float) -> np.ndarray:
    """Return (n_out, n_in + 1) weights of one axis; the last column is the share that lies outside.

    The linear interpolant is averaged over a window. From a scale of 2 on, the window is the whole output voxel, so
    every input voxel counts alike; toward a scale of 1 it closes, so that nothing is blurred in passing. Averaging
    the interpolant, not the voxels as blocks, keeps a linear ramp exactly in place at every scale.
    """
    center = scale * np.arange(n_out) + offset
    window = min(scale, 2 * (scale - 1))
    if window <= NARROWEST_WINDOW:
        return _linear_weights(n_in, center)
    low = np.clip(center - window / 2, -0.5, n_in - 0.5)[:, None]
    high = np.clip(center + window / 2, -0.5, n_in - 0.5)[:, None]
    voxels = np.arange(-1, n_in + 1)  # one more at either end: beyond the outer centers the outer values go on
    share = (_hat_integral(high - voxels) - _hat_integral(low - voxels)) / window
    weights = np.zeros((n_out, n_in + 1), dtype=np.float32)
    weights[:, :n_in] = share[:, 1:-1]
    weights[:, 0] += share[:, 0]
    weights[:, n_in - 1] += share[:, -1]
    weights[:, n_in] = 1 - (high - low)[:, 0] / window
    return weights


def _hat_integral(x: np.ndarray) -> np.ndarray:
    """Integrate ``max(0, 1 - |t|)`` from minus infinity to `x`."""
    x = np.clip(x, -1, 1)
    area: np.ndarray = np.where(x < 0, (1 + x) ** 2 / 2, 1 - (1 - x) ** 2 / 2)
    return area


def _linear_weights(n_in: int, center: np.ndarray) -> np.ndarray:
    weights = np.zeros((len(center), n_in + 1), dtype=np.float32)
    inside = (center > -0.5) & (center < n_in - 0.5)
    clamped = np.clip(center, 0, n_in - 1)
    low = np.minimum(np.floor(clamped).astype(int), max(n_in - 2, 0))
    part = clamped - low
    rows = np.flatnonzero(inside)
    weights[rows, low[rows]] = 1 - part[rows]
    if n_in > 1:
        weights[rows, low[rows] + 1] += part[rows]
    weights[~inside, n_in] = 1
    return weights


def _separable(array: np.ndarray, weights: list[np.ndarray], fill: float, threads: int) -> np.ndarray:
    """Reduce slices, then rows, then columns of one output plane at a time.

    The weights are sparse (a handful of voxels per output voxel), and sparse products neither start threads of
    their own beside the pool nor depend on how many there are: the same input gives the same bytes.
    """
    w_slice, w_row, w_col = (w[:, :-1] for w in weights)
    high, wide = _used(w_row), _used(w_col)  # a small target in a large source: most of each plane has no weight
    array = array[:, high, wide]
    rows, columns = sparse.csr_array(w_row[:, high]), sparse.csr_array(w_col[:, wide])
    outside = [w[:, -1] for w in weights]
    inside_plane = (1 - outside[1])[:, None] * (1 - outside[2])[None, :]
    out = np.empty((len(w_slice), len(w_row), len(w_col)), dtype=np.float32)

    def one(k: int) -> None:
        plane = rows @ _weighted_sum(array, w_slice[k])
        out[k] = (columns @ np.ascontiguousarray(plane.T)).T
        out[k] += fill * (1 - (1 - outside[0][k]) * inside_plane)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, range(len(w_slice))))
    return out


def _used(weights: np.ndarray) -> slice:
    """Return the input voxels (…, n_in) between the first and the last that have a weight; one where none has."""
    found = np.flatnonzero(weights.any(axis=0))
    return slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, 1)


def _weighted_sum(array: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the float32 sum of the planes of `array`, each times its weight; planes without weight are not read."""
    total = np.zeros(array.shape[1:], dtype=np.float32)
    part = np.empty_like(total)
    for i in np.flatnonzero(weights):
        np.multiply(array[i], weights[i], out=part, dtype=np.float32)
        total += part
    return total
