"""One procedural spine, made once for all tests of bones, and ways to measure it."""

from functools import lru_cache

import numpy as np
from scipy.spatial import cKDTree

from cspine.domain import Vertebra
from cspine.phantom.bones import VertebraSize, neutral_offset_mm, procedural_vertebrae, sample_vertebra_sizes
from cspine.phantom.skeleton import Bone

REGULAR, IRREGULAR = 0.0, 1.0


@lru_cache(maxsize=4)
def spine(seed: int, irregularity: float) -> tuple[dict[Vertebra, VertebraSize], dict[Vertebra, Bone]]:
    """Return sizes and bones of one woman (even seed) or man (odd seed)."""
    rng = np.random.default_rng(seed)
    sizes = sample_vertebra_sizes(rng, female=seed % 2 == 0, scale=1.0)
    return sizes, procedural_vertebrae(sizes, rng, irregularity=irregularity)


def lattice(bounds_mm: np.ndarray, step_mm: float) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Return points (N, 3) that fill a box, and their counts along x, y, z."""
    x, y, z = (np.arange(bounds_mm[0, a], bounds_mm[1, a] + step_mm, step_mm) for a in range(3))
    points = np.stack(np.meshgrid(x, y, z, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.float32)
    return points, (len(x), len(y), len(z))


def surface(bone: Bone, box_mm: np.ndarray, step_mm: float) -> np.ndarray:
    """Return surface points (N, 3), where the edges of a lattice cross the zero level."""
    points, shape = lattice(box_mm, step_mm)
    value, place = bone.distance_mm(points).reshape(shape), points.reshape(*shape, 3)
    found = []
    for axis in range(3):
        near, far = np.moveaxis(value, axis, 0)[:-1], np.moveaxis(value, axis, 0)[1:]
        a, b = np.moveaxis(place, axis, 0)[:-1], np.moveaxis(place, axis, 0)[1:]
        crossed = (near < 0) != (far < 0)
        part = (near[crossed] / (near[crossed] - far[crossed]))[:, None]
        found.append(a[crossed] * (1 - part) + b[crossed] * part)
    return np.concatenate(found)


def distance_errors(bone: Bone, box_mm: np.ndarray, step_mm: float) -> np.ndarray:
    """Return |distance| less the true distance to the surface, for random points within 3 mm of it."""
    points = surface(bone, box_mm + np.array([[-1.0], [1.0]]), step_mm)
    rng = np.random.default_rng(0)
    asked = points[rng.integers(len(points), size=4000)] + rng.normal(0, 1.5, (4000, 3))
    asked = asked[((asked > box_mm[0] - 2) & (asked < box_mm[1] + 2)).all(axis=1)]
    true = cKDTree(points).query(asked)[0]
    near = true < 3
    return np.abs(bone.distance_mm(asked[near].astype(np.float32))) - true[near]


def overlap_mm3(first: Bone, second: Bone, offset_mm: np.ndarray) -> float:
    """Return the volume that two bones share; `offset_mm` is the second frame's origin in the first one's."""
    low = np.maximum(first.bounds_mm[0], second.bounds_mm[0] + offset_mm)
    high = np.minimum(first.bounds_mm[1], second.bounds_mm[1] + offset_mm)
    if (low >= high).any():
        return 0.0
    points, _ = lattice(np.stack([low, high]), 0.7)
    inside = (first.distance_mm(points) < 0) & (second.distance_mm((points - offset_mm).astype(np.float32)) < 0)
    return float(inside.sum()) * 0.7**3


def neutral_origins(sizes: dict[Vertebra, VertebraSize]) -> dict[Vertebra, np.ndarray]:
    """Return the origin of each vertebra's frame in C1's, stacked straight."""
    origins = {Vertebra.C1: np.zeros(3)}
    for upper, lower in zip(list(sizes)[:-1], list(sizes)[1:], strict=True):
        origins[lower] = origins[upper] + np.array(neutral_offset_mm(sizes[upper], sizes[lower]))
    return origins
