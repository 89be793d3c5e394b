"""Where a feature changes a person: as a solid that can be found in the voxels of any grid."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.bones.primitives import Solid
from cspine.phantom.features.alter import Feature
from cspine.phantom.mimics import MimicKind
from cspine.phantom.skeleton import Bone, PlacedBone

_FAR_MM = 9.0
_MARGIN_MM = 0.8  # edges of what was cut are rounded, and grow a cortex


@dataclass(frozen=True, eq=False)
class TraceBone:
    """What a feature changes, as the signed distance of a bone would be.

    Material that is gone or came to be, inlays inside the bone, loose pieces, and the regions that a feature names.

    Attributes
    ----------
    usual
        The vertebra without the feature.
    """

    usual: Bone
    feature: Feature

    name = "trace"
    vertebra = None

    @cached_property
    def bounds_mm(self) -> np.ndarray:
        """(2, 3): a box round all of it."""
        lows, highs = [], []
        for solid in self._solids:
            lows.append(solid.center - solid.radius)
            highs.append(solid.center + solid.radius)
        for piece in self.feature.loose:
            lows.append(piece.bounds_mm[0])
            highs.append(piece.bounds_mm[1])
        bounds = np.stack([np.min(lows, axis=0), np.max(highs, axis=0)]) + np.array([[-_MARGIN_MM], [_MARGIN_MM]])
        return np.asarray(bounds, dtype=np.float64)

    @property
    def _solids(self) -> tuple[Solid, ...]:
        f = self.feature
        return (*f.added, *f.removed, *(i.solid for i in f.inlays), *f.region)

    def distance_mm(self, points_mm: np.ndarray) -> np.ndarray:
        """Return float32 (N,), about the distance to the trace, negative inside."""
        points = np.ascontiguousarray(points_mm, dtype=np.float32)
        out = np.full(len(points), _FAR_MM, dtype=np.float32)
        bone = np.asarray(self.usual.distance_mm(points))
        for tool in self.feature.removed:
            np.minimum(out, np.maximum(bone, _value(tool, points)) - _MARGIN_MM, out=out)
        for solid in self.feature.added:
            np.minimum(out, np.maximum(-bone, _value(solid, points)) - _MARGIN_MM, out=out)
        for inlay in self.feature.inlays:
            np.minimum(out, np.maximum(bone, _value(inlay.solid, points)) - 0.5 * _MARGIN_MM, out=out)
        for piece in self.feature.loose:
            np.minimum(out, piece.distance_mm(points) - 0.5 * _MARGIN_MM, out=out)
        for solid in self.feature.region:
            np.minimum(out, _value(solid, points), out=out)
        return out


@dataclass(frozen=True, eq=False)
class Trace:
    """A mimic in a body.

    Attributes
    ----------
    places
        Its `TraceBone`s, in the body.
    number
        Its place among the mimics of the specification, or ``None`` for one that comes with the variants.
    """

    kind: MimicKind
    vertebra: Vertebra
    places: tuple[PlacedBone, ...]
    number: int | None = None


def placed_trace(bone: TraceBone, to_body: np.ndarray) -> PlacedBone:
    """Return a trace in the body; it is never painted."""
    return PlacedBone(bone, to_body, 0.0, 0.0, 0.0)


def _value(solid: Solid, points: np.ndarray) -> np.ndarray:
    """Return the field (N,) of a solid, also where the solid itself would not tell."""
    offset = points - solid.center
    outside = np.sqrt(np.einsum("ij,ij->i", offset, offset)) - np.float32(solid.radius)
    return np.asarray(np.maximum(solid.value(points, _FAR_MM), outside), dtype=np.float32)


__all__ = ["Trace", "TraceBone", "placed_trace"]
