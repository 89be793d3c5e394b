"""Joint surfaces: where two bones would touch, both give way to a surface midway between them."""

from dataclasses import dataclass

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.bones.primitives import Solid, smooth_min
from cspine.phantom.skeleton import Bone

_NEAR_MM = 7.0
_CONTACT_EDGE_MM = 2.0  # over which a contact fades into an ordinary joint
_BRIDGE_BLEND_MM = 2.5
_BRIDGE_REACH_MM = 5.0


@dataclass(frozen=True, eq=False)
class Contact:
    """A part of two neighbors where they meet otherwise than by a joint space; in the own frame of the upper bone.

    Attributes
    ----------
    region
        Where it applies.
    gap_mm
        Width of the joint space there; below zero the bones are one, with no cortex between them.
    blend_mm
        Gaps narrower than half of this are filled with bone.
    bridge
        Bone between the two.
    """

    region: Solid
    gap_mm: float
    blend_mm: float = 0.0
    bridge: Solid | None = None

    def weight(self, points_mm: np.ndarray) -> np.ndarray:
        """Return 0 … 1 (N,): how much of the contact there is at points (N, 3)."""
        value = self.region.value(points_mm, _CONTACT_EDGE_MM)
        return np.asarray(np.clip(0.5 - value / np.float32(_CONTACT_EDGE_MM), 0, 1))

    def united(self, points_mm: np.ndarray, own: np.ndarray, other: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Return the distance (N,) to both bones and what joins them, from that to each."""
        blend = np.maximum(np.float32(self.blend_mm) * weight, np.float32(1e-3))
        overlap = np.maximum(blend - np.abs(own - other), 0)
        both = np.minimum(own, other) - overlap * overlap / (4 * blend)
        if self.bridge is not None:
            both = smooth_min(both, self.bridge.value(points_mm, _NEAR_MM), _BRIDGE_BLEND_MM)
        joined: np.ndarray = own + weight * (both - own)
        return joined


@dataclass(frozen=True, eq=False)
class Neighbor:
    """A bone next door, as seen from another bone's own frame.

    Attributes
    ----------
    from_own
        4×4: own frame of the other → own frame of this bone.
    scale
        Mean factor from this bone's own mm to body mm.
    contacts
        Where the two meet otherwise than by a joint space.
    to_upper
        4×4: own frame of the other → own frame of the upper one of the two.
    """

    bone: Bone
    from_own: np.ndarray
    scale: float
    contacts: tuple[Contact, ...] = ()
    to_upper: np.ndarray | None = None

    def meets(
        self, points_mm: np.ndarray, own: np.ndarray, other: np.ndarray, gap_mm: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return distance to the other bone, joined where they are one, the gap, and how much they are one, (N,) each.

        Parameters
        ----------
        points_mm
            (N, 3) in the other's own frame.
        own, other
            Distances (N,) to the two bones in body mm.
        """
        joined, gaps = own, np.full(len(own), gap_mm, dtype=np.float32)
        fused = np.zeros(len(own), dtype=np.float32)
        if self.to_upper is None:
            return joined, gaps, fused
        local = points_mm @ self.to_upper[:3, :3].T.astype(np.float32) + self.to_upper[:3, 3].astype(np.float32)
        joined = own.copy()
        for contact in self.contacts:
            weight = contact.weight(local)
            hit = np.flatnonzero(weight > 0)
            gaps[hit] += weight[hit] * (np.float32(contact.gap_mm) - gaps[hit])
            if contact.gap_mm < 0:
                joined[hit] = contact.united(local[hit], joined[hit], other[hit], weight[hit])
                fused[hit] = np.maximum(fused[hit], weight[hit])
        return joined, gaps, fused

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
        """Bounds of the whole bone, with room for bridges to its neighbors."""
        bounds = self.bone.bounds_mm
        if any(neighbor.contacts for neighbor in self.neighbors):
            return np.asarray(bounds + np.array([[-_BRIDGE_REACH_MM], [_BRIDGE_REACH_MM]]))
        return bounds

    def distance_mm(self, points_mm: np.ndarray) -> np.ndarray:
        """Return the signed distance, float32 (N,), of points (N, 3) in the own frame."""
        points = np.asarray(points_mm, dtype=np.float32)
        distance = self.bone.distance_mm(points) * np.float32(self.scale)
        near = np.flatnonzero(np.abs(distance) < _NEAR_MM)
        for neighbor in self.neighbors:
            other = neighbor.distance_mm(points[near])
            own, gap, _ = neighbor.meets(points[near], distance[near], other, self.gap_mm)
            distance[near] = np.maximum(own, (distance[near] - other + gap) / 2)
        trimmed: np.ndarray = distance / np.float32(self.scale)
        return trimmed

    def depth_mm(self, points_mm: np.ndarray, distance_mm: np.ndarray) -> np.ndarray:
        """Return how deep points (N, 3) lie below a free surface, from their distances (N,), in the same mm.

        Where two bones are one there is no surface between them.
        """
        depth: np.ndarray = -distance_mm
        if not any(neighbor.contacts for neighbor in self.neighbors):
            return depth
        points = np.asarray(points_mm, dtype=np.float32)
        near = np.flatnonzero(np.abs(distance_mm) < _NEAR_MM)
        for neighbor in self.neighbors:
            own = self.bone.distance_mm(points[near]) * np.float32(self.scale)
            joined, _, fused = neighbor.meets(points[near], own, neighbor.distance_mm(points[near]), self.gap_mm)
            depth[near] = np.maximum(depth[near], -joined * fused)
        return depth
