"""Do the two ways of naming agree? Centers name a vertebra by its body; the segmentation also by its arch and spine.

Where they differ, one of them is off by a level, and the name is called uncertain.
"""

import numpy as np

from cspine.domain import Vertebra
from cspine.pipeline.refine import RefinedVertebra
from cspine.pipeline.segment import CoarseMaps

# One voxel in this many (per axis) is asked; a vertebra keeps some hundred.
STRIDE = 2
NAMED_CLASSES = slice(1, 10)


def name_support(refined: list[RefinedVertebra], maps: CoarseMaps) -> dict[Vertebra, float]:
    """Return, per vertebra, the share of segmented bone in its mask that the segmentation gives the same name.

    1.0 where the segmentation sees no vertebra at all: it then says nothing against the name.
    """
    return {r.vertebra: _share(r, maps) for r in refined}


def _share(refined: RefinedVertebra, maps: CoarseMaps) -> float:
    inside = np.argwhere(refined.mask_logit[::STRIDE, ::STRIDE, ::STRIDE] > 0) * STRIDE
    if not len(inside):
        return 1.0
    index = np.rint(maps.grid.to_index(refined.grid.to_world(inside))).astype(int)
    z, y, x = index[((index >= 0) & (index < maps.grid.shape)).all(axis=1)].T
    classes = maps.seg[NAMED_CLASSES, z, y, x].sum(axis=1)
    total = float(classes.sum())
    return float(classes[min(refined.vertebra, Vertebra.T2) - 1]) / total if total > 1.0 else 1.0
