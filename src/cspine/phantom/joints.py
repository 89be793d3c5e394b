"""Joint surfaces: where two bones would touch, both give way to a surface midway between them."""

from dataclasses import dataclass

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.skeleton import Bone

_NEAR_MM = 7.0


@dataclass(frozen=True, eq=False)
class Neighbor:
    """A bone next door, as seen from another bone's own frame.

    Attributes
    ----------
    from_own
        4×4: own frame of the other → own frame of this bone.
    scale
        Mean factor from this bone's own mm to body mm.
    """

    bone: Bone
    from_own: np.ndarray
    scale: float

    def distance_mm(self, points_mm: np.ndarray) -> np.ndarray:
        """Return the distance in body mm at points (N, 3) of the other's own frame."""
        moved = points_mm @ self.from_own[:3, :3].T.astype(np.float32) + self.from_own[:3, 3].astype(np.float32)
        distance: np.ndarray = self.bone.distance_mm(moved) * np.float32(self.scale)
        return distance


@dataclass(frozen=True, eq=False)
class JointedBone:
    """A bone that keeps a gap to its neighbours.

    Where both are closer than the gap, each ends at half the gap from the surface of equal distance: joint surfaces
    become congruent, as cartilage makes them, and bones never overlap. Elsewhere nothing changes.

    Attributes
    ----------
    scale
        Mean factor from own mm to body mm.
    gap_mm
        Width of the joint space in body mm.
    """

    bone: Bone
    neighbors: tuple[Neighbor, ...]
    scale: float
    gap_mm: float

    @property
    def name(self) -> str:
        """Name of the bone."""
        return self.bone.name

    @property
    def vertebra(self) -> Vertebra | None:
        """The vertebra that it is, or ``None``."""
        return self.bone.vertebra

    @property
    def bounds_mm(self) -> np.ndarray:
        """Bounds of the whole bone."""
        return self.bone.bounds_mm

    def distance_mm(self, points_mm: np.ndarray) -> np.ndarray:
        """Return the signed distance, float32 (N,), of points (N, 3) in the own frame."""
        points = np.asarray(points_mm, dtype=np.float32)
        distance = self.bone.distance_mm(points) * np.float32(self.scale)
        near = np.flatnonzero(np.abs(distance) < _NEAR_MM)
        for neighbor in self.neighbors:
            other = neighbor.distance_mm(points[near])
            midway = (distance[near] - other + np.float32(self.gap_mm)) / 2
            distance[near] = np.maximum(distance[near], midway)
        trimmed: np.ndarray = distance / np.float32(self.scale)
        return trimmed
