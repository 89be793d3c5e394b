"""One person's bones before posture, made once; lattices of single bones are sampled when they are first asked for."""

from functools import lru_cache

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.anatomy import MEAN_SCALE, Anatomy, procedural_anatomy
from cspine.phantom.discs import Discs
from cspine.phantom.skeleton import Bone

HEALTHY = Discs(1.0, (0.0,) * 7)
WORN = Discs(1.0, (0.0, 0.0, 2.5, 2.5, 0.0, 0.0, 0.0))


@lru_cache(maxsize=1)
def anatomy() -> Anatomy:
    rng = np.random.default_rng(6)
    return procedural_anatomy(female=True, scale=MEAN_SCALE[True], discs=HEALTHY, rng=rng)


def inside(bone: Bone, *points_mm: tuple[float, float, float]) -> list[bool]:
    """Return whether points of the own frame lie in the bone."""
    return [bool(d < 0) for d in bone.distance_mm(np.array(points_mm, dtype=np.float32))]


def bone_of(level: Vertebra) -> Bone:
    return anatomy().vertebrae[level]
