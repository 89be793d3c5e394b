"""Joint surfaces: where two bones would touch, both give way to a surface midway between them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.bones.primitives import Solid, smooth_min
from cspine.phantom.skeleton import Bone

_NEAR_MM = 7.0
_CELL_MM = 3.0
# Two distances change by at most this much from the middle of a cell to its farthest corner; 1.25 as in `raster`.
_CELL_SLACK_MM = 2 * 1.25 * _CELL_MM * 0.87
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
        if near.size and self.neighbors:
            around = self._joints.at(points[near])
            for k, neighbor in enumerate(self.neighbors):
                some = near[(around >> k & 1).astype(bool)]
                other = neighbor.distance_mm(points[some])
                own, gap, _ = neighbor.meets(points[some], distance[some], other, self.gap_mm)
                distance[some] = np.maximum(own, (distance[some] - other + gap) / 2)
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

    @cached_property
    def _joints(self) -> "_Cells":
        """Find where a neighbor can come closer than the gap: most of a bone is nowhere near one."""
        low, high = self.bone.bounds_mm
        counts = np.ceil((high - low + 2 * _NEAR_MM) / _CELL_MM).astype(int)
        origin = (low + high - counts * _CELL_MM) / 2
        axes = [origin[a] + (np.arange(counts[a]) + 0.5) * _CELL_MM for a in range(3)]
        middles = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.float32)
        own = self.bone.distance_mm(middles) * np.float32(self.scale)
        near = np.flatnonzero(np.abs(own) < _NEAR_MM + _CELL_SLACK_MM / 2 * self.scale)
        flags = np.zeros(len(middles), dtype=np.uint8)
        for k, neighbor in enumerate(self.neighbors):
            if neighbor.contacts:
                flags[near] |= 1 << k
                continue
            # The midway surface trims where own + other < gap.
            close = own[near] + neighbor.distance_mm(middles[near]) < self.gap_mm + _CELL_SLACK_MM * self.scale
            flags[near[close]] |= 1 << k
        return _Cells(origin.astype(np.float32), flags.reshape(counts))


@dataclass(frozen=True, eq=False)
class _Cells:
    """Flags of cubic cells.

    Attributes
    ----------
    origin_mm
        (3,) outer corner of the first cell.
    flags
        uint8 (x, y, z).
    """

    origin_mm: np.ndarray
    flags: np.ndarray

    def at(self, points_mm: np.ndarray) -> np.ndarray:
        """Return the flags uint8 (N,) of points (N, 3); those beyond get the flags of the nearest cell."""
        flat = np.zeros(len(points_mm), dtype=np.int32)
        for axis, count in enumerate(self.flags.shape):
            cell = ((points_mm[:, axis] - self.origin_mm[axis]) / np.float32(_CELL_MM)).astype(np.int32)
            flat = flat * count + np.clip(cell, 0, count - 1)
        flags: np.ndarray = self.flags.reshape(-1)[flat]
        return flags
