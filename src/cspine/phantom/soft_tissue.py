"""Everything soft in the phantom: painted before the bones, as classes for training or as Hounsfield units.

`paint_tissue` is fast and draws classes; `paint_body` draws the same anatomy in HU with texture. Both hang on the
vertebral frames through `spine_axis`; the same generator state gives the same anatomy on any grid.
"""

import numpy as np

from cspine.domain import CANONICAL_DIRECTIONS, Grid, resample, resample_labels
from cspine.phantom.body import Body, Contrast, Immobilizer, Table, sample_body
from cspine.phantom.skeleton import Skeleton
from cspine.phantom.soft_layers import paint_classes
from cspine.phantom.texture import textured_hu
from cspine.phantom.tissue import Tissue, hu_table

_BODY_STEP_MM = 0.8  # finest detail of soft tissue: finer than the blur of a scanner is not seen


def paint_tissue(skeleton: Skeleton, grid: Grid, body: Body, rng: np.random.Generator) -> np.ndarray:
    """Paint the classes of everything but bone.

    Returns
    -------
    np.ndarray
        uint8 `Tissue` on `grid` (slice, row, column), in the body frame of the skeleton.
    """
    anatomy_seed = int(rng.integers(2**63))
    if _is_canonical(grid):
        return paint_classes(skeleton, grid, body, anatomy_seed, threads=1)
    straight = _straight_cover(grid)
    return resample_labels(paint_classes(skeleton, straight, body, anatomy_seed, threads=1), straight, grid)


def paint_body(skeleton: Skeleton, grid: Grid, body: Body, rng: np.random.Generator, threads: int = 4) -> np.ndarray:
    """Paint everything but bone in HU, with texture; no noise and no blur, which are the scanner's.

    Returns
    -------
    np.ndarray
        float32 HU on `grid` (slice, row, column), in the body frame of the skeleton.
    """
    anatomy_seed = int(rng.integers(2**63))
    straight = grid if _is_canonical(grid) else _straight_cover(grid)
    step = tuple(max(_BODY_STEP_MM, s) for s in straight.spacing_mm)
    coarse = straight.at_spacing((step[0], step[1], step[2]))
    classes = paint_classes(skeleton, coarse, body, anatomy_seed, threads)
    table = hu_table(muscle=body.muscle_hu, fat=body.fat_hu, artery=body.artery_hu, vein=body.vein_hu)
    hu = textured_hu(classes, table, coarse.spacing_mm, body.fatty_muscle, rng=rng, threads=threads)
    return hu if coarse == grid else resample(hu, coarse, grid, fill=-1000.0, threads=threads)


def _is_canonical(grid: Grid) -> bool:
    return bool(np.abs(grid.directions - CANONICAL_DIRECTIONS).max() < 1e-6)


def _straight_cover(grid: Grid) -> Grid:
    """Return a canonical grid over the whole of a turned or flipped one."""
    steps = np.array([[b >> i & 1 for i in range(3)] for b in range(8)]) * (np.array(grid.shape) - 1)
    corners = grid.to_world(steps)
    low, high = corners.min(axis=0), corners.max(axis=0)
    step = min(grid.spacing_mm)
    z, y, x = (int(n) for n in np.ceil((high - low) / step)[::-1] + 1)
    return Grid.from_axes((z, y, x), (step, step, step), (float(low[0]), float(low[1]), float(high[2])))


__all__ = ["Body", "Contrast", "Immobilizer", "Table", "Tissue", "paint_body", "paint_tissue", "sample_body"]
