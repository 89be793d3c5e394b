"""Bones with something added or taken away, as signed distances, whatever the source of the bone.

A `Feature` says what a variant or a mimic does to one bone, in that bone's own frame; `altered` applies it. Cut edges
get a cortex of their own, as in a cleft that never closed, because the shell of a bone follows its surface.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.bones.primitives import Solid, smooth_max, smooth_min
from cspine.phantom.inlay import Inlay
from cspine.phantom.joints import Contact
from cspine.phantom.skeleton import Bone

_FAR_MM = 8.0
_BLEND_MM = 1.8


@dataclass(frozen=True, eq=False)
class Feature:
    """What differs about one vertebra, in its own frame in mm.

    Attributes
    ----------
    added, removed
        Bone that is there besides, and bone that is missing.
    inlays
        Other material inside the bone.
    loose
        Separate pieces in the frame of the vertebra: ossicles, ossified ligaments, ribs, metal.
    region
        Where else something is to be seen, for the truth.
    """

    vertebra: Vertebra
    added: tuple[Solid, ...] = ()
    removed: tuple[Solid, ...] = ()
    inlays: tuple[Inlay, ...] = ()
    loose: tuple[Bone, ...] = ()
    region: tuple[Solid, ...] = ()


@dataclass(frozen=True, eq=False)
class Individual:
    """All that differs about the bones of one person.

    Attributes
    ----------
    contacts
        By the value of the upper vertebra (0: the skull), how it meets the next one, in the upper one's own frame.
    blocks
        Upper vertebrae of congenital blocks, whose disc is a remnant.
    """

    features: tuple[Feature, ...] = ()
    contacts: dict[int, tuple[Contact, ...]] = field(default_factory=dict)
    blocks: frozenset[Vertebra] = frozenset()

    def inlays(self, vertebra: Vertebra | None) -> tuple[Inlay, ...]:
        """Return the inlays of a bone."""
        return tuple(i for f in self.features if f.vertebra == vertebra for i in f.inlays)


@dataclass(frozen=True, eq=False)
class AlteredBone:
    """A bone with solids added, then others removed, edges rounded over `blend_mm`."""

    bone: Bone
    added: tuple[Solid, ...]
    removed: tuple[Solid, ...]
    blend_mm: float = _BLEND_MM

    @property
    def name(self) -> str:
        """Name of the bone."""
        return self.bone.name

    @property
    def vertebra(self) -> Vertebra | None:
        """The vertebra that it is, or ``None``."""
        return self.bone.vertebra

    @cached_property
    def bounds_mm(self) -> np.ndarray:
        """Bounds of the bone and of the spheres of what was added."""
        low, high = self.bone.bounds_mm
        for solid in self.added:
            low, high = np.minimum(low, solid.center - solid.radius), np.maximum(high, solid.center + solid.radius)
        bounds = np.stack([low, high]).astype(np.float64)
        bounds.flags.writeable = False
        return bounds

    def distance_mm(self, points_mm: np.ndarray) -> np.ndarray:
        """Return the signed distance, float32 (N,), of points (N, 3) in the own frame."""
        points = np.ascontiguousarray(points_mm, dtype=np.float32)
        distance: np.ndarray = np.array(self.bone.distance_mm(points), dtype=np.float32)
        for solid in self.added:
            near = _near(points, solid)
            distance[near] = smooth_min(distance[near], solid.value(points[near], _FAR_MM), self.blend_mm)
        for solid in self.removed:
            near = _near(points, solid)
            distance[near] = smooth_max(distance[near], -solid.value(points[near], _FAR_MM), self.blend_mm)
        return distance


def altered(bone: Bone, features: tuple[Feature, ...]) -> Bone:
    """Return a bone with the shape that features give it; the same object where none changes its shape."""
    own = [f for f in features if f.vertebra == bone.vertebra]
    added = tuple(s for f in own for s in f.added)
    removed = tuple(s for f in own for s in f.removed)
    return AlteredBone(bone, added, removed) if added or removed else bone


def _near(points: np.ndarray, solid: Solid) -> np.ndarray:
    offset = points - solid.center
    reach = solid.radius + _FAR_MM
    return np.flatnonzero(np.einsum("ij,ij->i", offset, offset) < np.float32(reach * reach))


__all__ = ["AlteredBone", "Feature", "Individual", "altered"]
