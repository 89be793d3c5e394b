"""The ridge of center heat: one place per slice where a vertebra's center may lie, from head to foot.

Vertebrae of the neck differ little, so a network is often sure *that* a center is here and unsure which. The sum of
its heat maps says the first; their shares along the ridge say the second, and `chain` decides on all of them together.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from cspine.domain import Grid
from cspine.pipeline.spec import DecodeSpec

_PER_SLICE = 5
_SMOOTH_VOXELS = 0.7
_REACH = 2  # voxels round a maximum whose centroid is taken


@dataclass(frozen=True, eq=False)
class Places:
    """Places along one ridge, head to foot.

    Attributes
    ----------
    centers_lps_mm
        (K, 3).
    evidence
        (K, 9) heat of each name, 0 … 1.
    step_mm
        Height of a slice.
    """

    centers_lps_mm: np.ndarray
    evidence: np.ndarray
    step_mm: float

    def __len__(self) -> int:
        return len(self.centers_lps_mm)

    @property
    def total(self) -> np.ndarray:
        """(K,) heat of any name, at most 1."""
        return np.asarray(np.minimum(self.evidence.sum(axis=1), 1.0))


def find_places(heat_cdhw: np.ndarray, grid: Grid, spec: DecodeSpec) -> Places:
    """Return the ridge of the heat maps (9, slice, row, column)."""
    smooth = np.stack([ndimage.gaussian_filter(h, _SMOOTH_VOXELS) for h in heat_cdhw])
    total = smooth.sum(axis=0)
    index, value = _maxima(total, spec.place_min)
    if not len(index):
        return Places(np.zeros((0, 3)), np.zeros((0, len(heat_cdhw))), grid.spacing_mm[0])
    ridge = _ridge(index * np.array(grid.spacing_mm), np.minimum(value, 1.0), spec)
    voxels = np.array([_centroid(total[k], (r, c)) for k, r, c in index[ridge]])
    at = np.column_stack([index[ridge, 0], voxels])
    evidence = np.array([_near(smooth, i) for i in index[ridge]])
    return Places(grid.to_world(at), evidence, grid.spacing_mm[0])


def _maxima(total: np.ndarray, smallest: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices (N, 3) of the strongest maxima of each slice, by slice, and their heat."""
    peak = (ndimage.maximum_filter(total, size=(1, 3, 3)) == total) & (total >= smallest)
    index = np.argwhere(peak)
    value = total[peak]
    order = np.lexsort((-value, index[:, 0]))
    index, value = index[order], value[order]
    first = np.searchsorted(index[:, 0], index[:, 0])
    kept = np.arange(len(index)) - first < _PER_SLICE
    return index[kept], value[kept]


def _ridge(at_mm: np.ndarray, value: np.ndarray, spec: DecodeSpec) -> np.ndarray:
    """Return the indices of the best path head to foot: much heat, little movement sideways."""
    score = value.copy()
    came = np.full(len(value), -1)
    for j in range(len(value)):
        near = np.flatnonzero((at_mm[:j, 0] < at_mm[j, 0]) & (at_mm[:j, 0] >= at_mm[j, 0] - spec.ridge_gap_mm))
        if not len(near):
            continue
        down = at_mm[j, 0] - at_mm[near, 0]
        aside = np.linalg.norm(at_mm[near, 1:] - at_mm[j, 1:], axis=1)
        options = score[near] - spec.ridge_stiffness * (aside / (2 + down)) ** 2
        best = int(options.argmax())
        if options[best] > 0:
            score[j] += options[best]
            came[j] = near[best]
    path = [int(score.argmax())]
    while came[path[-1]] >= 0:
        path.append(int(came[path[-1]]))
    return np.array(path[::-1])


def _centroid(plane: np.ndarray, index: tuple[int, int]) -> tuple[float, float]:
    low = [max(i - _REACH, 0) for i in index]
    patch = plane[low[0] : index[0] + _REACH + 1, low[1] : index[1] + _REACH + 1]
    row, column = ndimage.center_of_mass(np.clip(patch - 0.4 * patch.max(), 0, None))
    return low[0] + row, low[1] + column


def _near(smooth: np.ndarray, index: np.ndarray) -> np.ndarray:
    k, r, c = index
    patch = smooth[:, k, max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2]
    return np.asarray(patch.max(axis=(1, 2)), dtype=np.float64)
