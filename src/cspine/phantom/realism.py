"""Figures of a labeled neck that phantoms and real scans can be compared by: extents of the levels, HU of tissues.

The same code measures both, so whatever it misses it misses in both. What comes out for phantoms and for people
stands in `docs/explanation/phantom.md`.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import ndimage

from cspine.domain import CERVICAL, Grid, LabelMap, Vertebra, Volume

_LEAST_VOXELS = 50
_CORE_MM = 3.0  # deeper than that a body is spongy bone only
_SHELL_MM = 1.5
_CORE_RADIUS_MM = 4.0
_DISC_RADIUS_MM, _DISC_HALF_MM = 4.0, 0.8
_CANAL_RADIUS_MM = 2.5
_CANAL_FROM_MM, _CANAL_TO_MM = 8.0, 26.0
_BONE_HU = 180.0
# The nape: behind C4, from the spinous processes to the skin, mm.
_NAPE_FROM_MM, _NAPE_TO_MM, _NAPE_SIDE_MM, _NAPE_HEIGHT_MM = 20.0, 70.0, 45.0, 18.0
_MUSCLE_HU, _FAT_HU, _BETWEEN_HU = (20.0, 110.0), (-160.0, -50.0), (-50.0, 20.0)
_SMOOTH_MM = 1.2
_MODE_BIN_HU = 2.0


@dataclass(frozen=True)
class Extent:
    """From the top to the bottom of a vertebra's mask along the head–foot axis, in mm of falling height."""

    top_mm: float
    bottom_mm: float

    @property
    def length_mm(self) -> float:
        """Height of the mask."""
        return self.bottom_mm - self.top_mm

    @property
    def middle_mm(self) -> float:
        """Middle of the mask."""
        return (self.top_mm + self.bottom_mm) / 2

    def overlap_mm(self, other: "Extent") -> float:
        """Return the height that both masks share; negative is a gap."""
        return min(self.bottom_mm, other.bottom_mm) - max(self.top_mm, other.top_mm)


def level_extents(labels: LabelMap) -> dict[Vertebra, Extent]:
    """Return the longest contiguous run of slices of each cervical vertebra that is seen whole.

    A mask that reaches the first or last slice may be cut and is left out.
    """
    array, step = labels.labels, labels.grid.spacing_mm[0]
    found = {}
    for vertebra in CERVICAL:
        seen = (array == vertebra).any(axis=(1, 2))
        runs, count = ndimage.label(seen)
        if count == 0 or seen[0] or seen[-1]:
            continue
        longest = int(np.bincount(runs)[1:].argmax()) + 1
        rows = np.flatnonzero(runs == longest)
        found[vertebra] = Extent(float(rows[0]) * step, float(rows[-1] + 1) * step)
    return found


def extent_figures(labels: LabelMap) -> dict[str, float]:
    """Return extents, overlaps and distances of the middles by name, in mm, as far as the levels are seen whole."""
    extents = level_extents(labels)
    figures = {f"{v.name} extent": e.length_mm for v, e in extents.items()}
    for upper, lower in pairwise(CERVICAL):
        if upper in extents and lower in extents:
            name = f"{upper.name}-{lower.name}"
            figures[f"{name} overlap"] = extents[upper].overlap_mm(extents[lower])
            figures[f"{name} middles"] = extents[lower].middle_mm - extents[upper].middle_mm
    if Vertebra.C1 in extents and Vertebra.C7 in extents:
        figures["C1-C7 length"] = extents[Vertebra.C7].bottom_mm - extents[Vertebra.C1].top_mm
    return figures


def tissue_figures(
    volume: Volume, labels: LabelMap, centers_lps_mm: dict[Vertebra, np.ndarray], levels: tuple[Vertebra, ...]
) -> dict[str, float]:
    """Return HU of cortex, spongy bone, disc, canal, muscle and fat by name, measured at some levels.

    Parameters
    ----------
    centers_lps_mm
        Centers of the bodies of the levels and of the one below the last.
    levels
        Neighboring vertebrae below C2, all seen whole.
    """
    figures = bone_figures(volume, labels, levels)
    discs, canals = [], []
    for vertebra in levels:
        below = Vertebra(vertebra + 1)
        if below not in centers_lps_mm:
            continue
        middle = _disc_middle(labels, centers_lps_mm[vertebra], centers_lps_mm[below])
        down = _unit(centers_lps_mm[below] - centers_lps_mm[vertebra])
        back = _unit(np.array([0.0, 1.0, 0.0]) - down * down[1])
        if middle is not None:
            discs.append(volume.hu[_cylinder(volume.grid, middle, down)])
        canal = _canal_middle(volume, centers_lps_mm[vertebra], back)
        if canal is not None:
            canals.append(volume.hu[_ball(volume.grid, canal, _CANAL_RADIUS_MM)])
    figures |= _percentiles("disc", discs, (10, 50, 90)) | _percentiles("canal", canals, (10, 50, 90))
    return figures | nape_figures(volume, centers_lps_mm[levels[0]])


def core_figures(
    volume: Volume, centers_lps_mm: dict[Vertebra, np.ndarray], levels: tuple[Vertebra, ...]
) -> dict[str, float]:
    """Return HU of the spongy bone round the centers of bodies, where there is no mask."""
    parts = [volume.hu[_ball(volume.grid, centers_lps_mm[v], _CORE_RADIUS_MM)] for v in levels]
    return _percentiles("cancellous", parts, (10, 50, 90))


def nape_figures(volume: Volume, center_lps_mm: np.ndarray) -> dict[str, float]:
    """Return the modes of muscle and fat behind a vertebra, and the share of voxels between the two, in per cent."""
    grid = volume.grid
    index = np.rint(grid.to_index(center_lps_mm)).astype(int)
    reach = ((-_NAPE_HEIGHT_MM, _NAPE_HEIGHT_MM), (_NAPE_FROM_MM, _NAPE_TO_MM), (-_NAPE_SIDE_MM, _NAPE_SIDE_MM))
    box = tuple(
        slice(max(0, int(i + low / s)), max(0, int(i + high / s)) + 1)
        for i, s, (low, high) in zip(index, grid.spacing_mm, reach, strict=True)
    )
    sigma = [max(0.0, _SMOOTH_MM / s - 0.4) for s in grid.spacing_mm]
    hu = ndimage.gaussian_filter(volume.hu[box].astype(np.float32), sigma).ravel()
    figures = {}
    for name, (low, high) in (("muscle", _MUSCLE_HU), ("fat", _FAT_HU)):
        inside = hu[(hu > low) & (hu < high)]
        if inside.size >= _LEAST_VOXELS:
            figures[f"{name} mode"] = _mode(inside, low, high)
    soft = (hu > _FAT_HU[0]) & (hu < _MUSCLE_HU[1])
    if soft.sum() >= _LEAST_VOXELS:
        between = soft & (hu > _BETWEEN_HU[0]) & (hu < _BETWEEN_HU[1])
        figures["between muscle and fat %"] = 100 * float(between.sum() / soft.sum())
    return figures


def bone_figures(volume: Volume, labels: LabelMap, levels: tuple[Vertebra, ...]) -> dict[str, float]:
    """Return HU of cortex (the outer 1.5 mm), of the spongy core and of bone above 200 HU; nothing without a mask."""
    mask = np.isin(labels.labels, [int(v) for v in levels])
    rows = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    if any(r.size == 0 for r in rows):
        return {}
    box = tuple(slice(max(int(r[0]) - 1, 0), int(r[-1]) + 2) for r in rows)
    hu, inside = volume.hu[box], mask[box]
    depth = ndimage.distance_transform_edt(inside, sampling=volume.grid.spacing_mm)
    figures = _percentiles("cortex", [hu[inside & (depth <= _SHELL_MM)]], (50, 90, 98))
    figures |= _percentiles("cancellous", [hu[depth > _CORE_MM]], (10, 50, 90))
    bright = hu[inside & (hu > 200)]
    return figures | _percentiles("bone above 200 HU", [bright], (25, 50, 75, 95))


def _percentiles(name: str, parts: list[np.ndarray], percents: tuple[int, ...]) -> dict[str, float]:
    values = np.concatenate(parts) if parts else np.zeros(0)
    if values.size < _LEAST_VOXELS:
        return {}
    return {f"{name} {p} %": float(np.percentile(values, p)) for p in percents}


def _mode(values: np.ndarray, low: float, high: float) -> float:
    counts, edges = np.histogram(values, np.arange(low, high + _MODE_BIN_HU, _MODE_BIN_HU))
    smooth = ndimage.gaussian_filter1d(counts.astype(float), 3.0)
    return float(edges[smooth.argmax()] + _MODE_BIN_HU / 2)


def _unit(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector / np.linalg.norm(vector))


def _disc_middle(labels: LabelMap, upper_mm: np.ndarray, lower_mm: np.ndarray) -> np.ndarray | None:
    """Return the middle of the stretch between two bodies that no mask covers, on the line of their centers."""
    part = np.linspace(0.2, 0.8, 121)
    index = np.rint(labels.grid.to_index(upper_mm + part[:, None] * (lower_mm - upper_mm))).astype(int)
    index = np.clip(index, 0, np.array(labels.grid.shape) - 1)
    free = part[labels.labels[tuple(index.T)] == 0]
    return upper_mm + float(free.mean()) * (lower_mm - upper_mm) if free.size else None


def _canal_middle(volume: Volume, center_mm: np.ndarray, back: np.ndarray) -> np.ndarray | None:
    """Return the middle of the longest stretch without bone behind a body."""
    away = np.arange(_CANAL_FROM_MM, _CANAL_TO_MM, 0.5)
    index = np.rint(volume.grid.to_index(center_mm + away[:, None] * back)).astype(int)
    index = np.clip(index, 0, np.array(volume.grid.shape) - 1)
    runs, count = ndimage.label(volume.hu[tuple(index.T)] < _BONE_HU)
    if count == 0:
        return None
    longest = int(np.bincount(runs)[1:].argmax()) + 1
    return np.asarray(center_mm + float(away[runs == longest].mean()) * back)


def _ball(grid: Grid, center_mm: np.ndarray, radius_mm: float) -> tuple[np.ndarray, ...]:
    away, index = _around(grid, center_mm, radius_mm)
    return tuple(index[np.linalg.norm(away, axis=1) <= radius_mm].T)


def _cylinder(grid: Grid, center_mm: np.ndarray, axis: np.ndarray) -> tuple[np.ndarray, ...]:
    away, index = _around(grid, center_mm, _DISC_RADIUS_MM)
    along = away @ axis
    aside = np.linalg.norm(away - along[:, None] * axis, axis=1)
    return tuple(index[(np.abs(along) <= _DISC_HALF_MM) & (aside <= _DISC_RADIUS_MM)].T)


def _around(grid: Grid, center_mm: np.ndarray, reach_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Return offsets (N, 3) in mm and indices (N, 3) of the voxels in a cube round a place, inside the grid."""
    middle = np.rint(grid.to_index(center_mm)).astype(int)
    steps = [np.arange(-n, n + 1) for n in (int(np.ceil(reach_mm / s)) for s in grid.spacing_mm)]
    index = middle + np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)
    index = index[((index >= 0) & (index < np.array(grid.shape))).all(axis=1)]
    return grid.to_world(index) - center_mm, index


__all__ = [
    "Extent",
    "bone_figures",
    "core_figures",
    "extent_figures",
    "level_extents",
    "nape_figures",
    "tissue_figures",
]
