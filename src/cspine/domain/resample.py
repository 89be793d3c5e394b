"""Move voxels from one grid to another; every world point stays where it is.

Grids that share directions (the usual case: a scan and its own working grid) take a separable path that
averages while it shrinks, so that no thin cortex is skipped. Other grids are interpolated point by point.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import ndimage

from cspine.domain.grid import Grid

PARALLEL_LIMIT = 1e-6


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
        float32 on `target`; linear between voxel centers, area-weighted where the target is coarser.
    """
    matrix = target.index_map_to(source)
    scale = np.diag(matrix)[:3]
    off_axis = np.abs(matrix[:3, :3] - np.diag(scale)).max()
    if off_axis > PARALLEL_LIMIT or (scale <= 0).any():
        return _interpolate(array, matrix, target.shape, fill)
    weights = [
        _axis_weights(n_in, n_out, float(scale[a]), float(matrix[a, 3]))
        for a, (n_in, n_out) in enumerate(zip(source.shape, target.shape, strict=True))
    ]
    return _separable(array, weights, fill, threads)


def resample_labels(labels: np.ndarray, source: Grid, target: Grid) -> np.ndarray:
    """Resample labels to the nearest voxel; 0 beyond the source. Keeps the dtype."""
    matrix = target.index_map_to(source)
    scale = np.diag(matrix)[:3]
    if np.abs(matrix[:3, :3] - np.diag(scale)).max() > PARALLEL_LIMIT:
        moved: np.ndarray = ndimage.affine_transform(
            labels, matrix[:3, :3], matrix[:3, 3], target.shape, order=0, mode="constant", cval=0
        )
        return moved
    picks, inside = [], []
    for axis, (n_in, n_out) in enumerate(zip(source.shape, target.shape, strict=True)):
        index = np.floor(scale[axis] * np.arange(n_out) + matrix[axis, 3] + 0.5).astype(int)
        inside.append((index >= 0) & (index < n_in))
        picks.append(np.clip(index, 0, n_in - 1))
    out = labels[np.ix_(*picks)]
    out[~(inside[0][:, None, None] & inside[1][None, :, None] & inside[2][None, None, :])] = 0
    return out


def _interpolate(array: np.ndarray, matrix: np.ndarray, shape: tuple[int, int, int], fill: float) -> np.ndarray:
    out = np.empty(shape, dtype=np.float32)
    ndimage.affine_transform(
        array, matrix[:3, :3], matrix[:3, 3], shape, output=out, order=1, mode="constant", cval=fill
    )
    return out


def _axis_weights(n_in: int, n_out: int, scale: float, offset: float) -> np.ndarray:
    """Return (n_out, n_in + 1) weights of one axis; the last column is the share that lies outside."""
    center = scale * np.arange(n_out) + offset
    weights = np.zeros((n_out, n_in + 1), dtype=np.float32)
    if scale > 1:
        low, high = center - scale / 2 + 0.5, center + scale / 2 + 0.5
        edges = np.arange(n_in)
        cover = np.minimum(high[:, None], edges + 1) - np.maximum(low[:, None], edges)
        weights[:, :n_in] = np.clip(cover, 0, None) / scale
    else:
        inside = (center > -0.5) & (center < n_in - 0.5)
        clamped = np.clip(center, 0, n_in - 1)
        low_i = np.minimum(np.floor(clamped).astype(int), max(n_in - 2, 0))
        part = clamped - low_i
        rows = np.flatnonzero(inside)
        weights[rows, low_i[rows]] = 1 - part[rows]
        if n_in > 1:
            weights[rows, low_i[rows] + 1] += part[rows]
    weights[:, n_in] = np.clip(1 - weights[:, :n_in].sum(axis=1), 0, 1)
    return weights


def _separable(array: np.ndarray, weights: list[np.ndarray], fill: float, threads: int) -> np.ndarray:
    w_slice, w_row, w_col = (w[:, :-1] for w in weights)
    col_t = np.ascontiguousarray(w_col.T)
    outside = [w[:, -1] for w in weights]
    out = np.empty((len(w_slice), len(w_row), len(w_col)), dtype=np.float32)
    plane_fill = 1 - (1 - outside[1])[:, None] * (1 - outside[2])[None, :]

    def one(k: int) -> None:
        used = np.flatnonzero(w_slice[k])
        if used.size == 0:
            out[k] = fill
            return
        plane = sum(array[i].astype(np.float32) * w_slice[k, i] for i in used)
        inner = 1 - outside[0][k]
        out[k] = w_row @ plane @ col_t + fill * (1 - inner * (1 - plane_fill))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, range(len(w_slice))))
    return out
