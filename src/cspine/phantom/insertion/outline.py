"""From vertebra masks to bone: masks of networks are a millimeter off, and may end before a process does."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from cspine.domain import Box, ConfigError, Grid, LabelMap, Vertebra, Volume

MARGIN_MM = 16.0
_SOFT_HU = 60.0
_THRESHOLDS_HU = (140.0, 320.0)
_GROWN_MM = {True: 2.0, False: 5.0}  # of C1 and C2, whose neighbors above have no label; of others
_CORE_MM = 1.6
_CRUMB_MM3 = 120.0
_CLOSED_MM = 3.0  # marrow as dark as soft tissue does not notch a bone that the mask has whole
_SMOOTHING_MM = 0.45
_FEWEST_MM3 = 2500.0
_FACES = ndimage.generate_binary_structure(3, 1)


@dataclass(frozen=True, eq=False)
class Outline:
    """One vertebra and the bone round it, in a box of the scan.

    Attributes
    ----------
    box
        In the canonical volume.
    own, other
        bool (slice, row, column): bone of the vertebra, and of everything else.
    """

    vertebra: Vertebra
    grid: Grid
    box: Box
    own: np.ndarray
    other: np.ndarray


def outline_of(volume: Volume, labels: LabelMap, vertebra: Vertebra) -> Outline:
    """Find the bone of a vertebra from its mask and the HU of a canonical volume.

    Deep in the mask everything is bone; from there labels grow together, voxel by voxel, into whatever is dense, at
    most a few mm beyond the mask.

    Raises
    ------
    ConfigError
        The vertebra is not labeled, too small, or cut off by the end of the volume.
    """
    tight = Box.of_mask(labels.labels == vertebra)
    if tight is None:
        raise ConfigError(f"insert a fracture: {vertebra.name} is not labeled in this volume; choose a labeled level")
    box = _with_margin(tight, labels.grid)
    grid, part = labels.grid.crop(box), labels.labels[box.slices]
    own = part == vertebra
    size = float(own.sum()) * grid.voxel_mm3
    if size < _FEWEST_MM3:
        raise ConfigError(
            f"insert a fracture: the mask of {vertebra.name} has {size / 1000:.1f} cm³, needs {_FEWEST_MM3 / 1000:g}"
        )
    _refuse_cut(own, box, labels.grid, vertebra)
    hu = ndimage.gaussian_filter(volume.hu[box.slices].astype(np.float32), _in_voxels(grid, _SMOOTHING_MM))
    dense = hu > _threshold(hu[own])
    grown = _grown(part, dense, grid, vertebra)
    mine = _largest(grown == vertebra)
    around = ndimage.binary_closing(mine, _FACES, max(1, round(_CLOSED_MM / min(grid.spacing_mm))))
    mine = ndimage.binary_fill_holes(mine | (around & own))
    mine |= _crumbs(mine, dense & (part == 0), grid)
    return Outline(vertebra, grid, box, mine, (dense | (part > 0)) & ~mine)


def _with_margin(box: Box, grid: Grid) -> Box:
    reach = [int(np.ceil(MARGIN_MM / s)) for s in grid.spacing_mm]
    start = [max(0, a - r) for a, r in zip(box.start_zyx, reach, strict=True)]
    stop = [min(n, b + r) for n, b, r in zip(grid.shape, box.stop_zyx, reach, strict=True)]
    return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


def _refuse_cut(own: np.ndarray, box: Box, grid: Grid, vertebra: Vertebra) -> None:
    """Refuse a vertebra whose mask reaches a face of the volume."""
    for axis in range(3):
        faces = ((box.start_zyx[axis] == 0, 0), (box.stop_zyx[axis] == grid.shape[axis], -1))
        for at_end, index in faces:
            if at_end and np.moveaxis(own, axis, 0)[index].any():
                raise ConfigError(
                    f"insert a fracture: {vertebra.name} is cut off by the end of the volume; choose a whole vertebra"
                )


def _threshold(hu: np.ndarray) -> float:
    """Return the HU halfway between soft tissue and the dense half of a bone."""
    return float(np.clip((_SOFT_HU + np.quantile(hu, 0.65)) / 2, *_THRESHOLDS_HU))


def _in_voxels(grid: Grid, size_mm: float) -> tuple[float, float, float]:
    z, y, x = (size_mm / s for s in grid.spacing_mm)
    return z, y, x


def _grown(part: np.ndarray, dense: np.ndarray, grid: Grid, vertebra: Vertebra) -> np.ndarray:
    """Return labels that start deep in the masks and grow into dense voxels, all at the same pace."""
    thickness = max(1, round(_CORE_MM / float(np.mean(grid.spacing_mm))))
    labels = np.zeros(part.shape, dtype=np.uint8)
    for value in np.unique(part[part > 0]):
        mask = part == value
        core = ndimage.binary_erosion(mask, _FACES, thickness)
        seed = core | (mask & dense)
        labels[seed] = value
    steps = int(np.ceil(_GROWN_MM[vertebra <= Vertebra.C2] / min(grid.spacing_mm)))
    left = dense & (labels == 0)
    pace = np.array(grid.spacing_mm) / min(grid.spacing_mm)
    for step in range(1, steps + 1):
        axes = [axis for axis in range(3) if step % round(pace[axis]) == 0]
        for axis in axes:
            for way in (1, -1):
                came = _shifted(labels, axis, way)
                new = left & (came > 0)
                labels[new] = came[new]
                left &= ~new
    return labels


def _crumbs(mine: np.ndarray, unlabeled: np.ndarray, grid: Grid) -> np.ndarray:
    """Return small dense bits beside a vertebra that no label covers: grains that would stay where bone has left."""
    parts, count = ndimage.label(unlabeled & ~mine, np.ones((3, 3, 3)))
    sizes = np.bincount(parts.ravel(), minlength=count + 1) * grid.voxel_mm3
    touching = np.unique(parts[ndimage.binary_dilation(mine, np.ones((3, 3, 3)))])
    small = touching[(touching > 0) & (sizes[touching] < _CRUMB_MM3)]
    crumbs: np.ndarray = np.isin(parts, small)
    return crumbs


def _shifted(array: np.ndarray, axis: int, way: int) -> np.ndarray:
    """Return an array moved by one voxel, zeros behind."""
    moved = np.zeros_like(array)
    there, here = [slice(None)] * 3, [slice(None)] * 3
    there[axis], here[axis] = (slice(1, None), slice(None, -1)) if way == 1 else (slice(None, -1), slice(1, None))
    moved[tuple(there)] = array[tuple(here)]
    return moved


def _largest(mask: np.ndarray) -> np.ndarray:
    """Return the largest connected part."""
    parts, count = ndimage.label(mask, np.ones((3, 3, 3)))
    if count <= 1:
        return mask
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    biggest: np.ndarray = parts == int(sizes.argmax())
    return biggest


__all__ = ["MARGIN_MM", "Outline", "outline_of"]
