"""Bones as true signed distances.

Compact bones of many parts are sampled once on a fine lattice and interpolated afterwards (`SampledBone`); long bones
of few parts, whose formula is close to a distance already, are evaluated directly (`SolidBone`).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from cspine.domain import Vertebra
from cspine.phantom.bones.primitives import Solid, row_length

BLOCK = 4
PAD_MM = 4.5
FAR_MM = 8.0
CRUMB_MM3 = 25.0
MOST_POINTS = 16_000
ACTIVE_STEPS = 1.05  # nodes lie up to 0.65 steps from the middle of their block
BOUNDS_STEP_MM = 4.5


@dataclass(frozen=True, eq=False)
class SampledBone:
    """A bone whose distance is read from a lattice; the lattice is made at first use.

    Parameters
    ----------
    name, vertebra
        As in `Bone`.
    solid
        The shape; its zero level is the surface.
    spacing_mm
        Distance between lattice nodes.
    region_mm
        (2, 3) box that holds the surface, or ``None`` for the box of the solid's sphere.
    """

    name: str
    vertebra: Vertebra | None
    solid: Solid
    spacing_mm: float = 0.6
    region_mm: np.ndarray | None = None

    @property
    def bounds_mm(self) -> np.ndarray:
        """(2, 3): minimum and maximum of the surface."""
        return self._lattice.bounds_mm

    @cached_property
    def _lattice(self) -> "_Lattice":
        region = self.region_mm
        if region is None:
            region = np.stack([self.solid.center - self.solid.radius, self.solid.center + self.solid.radius])
        return _sample(self.solid, np.asarray(region, dtype=np.float64), self.spacing_mm)

    def distance_mm(self, points_mm: np.ndarray) -> np.ndarray:
        """Return the signed distance, float32 (N,), of points (N, 3) in the own frame."""
        return self._lattice.distance_mm(np.asarray(points_mm, dtype=np.float32))


@dataclass(frozen=True, eq=False)
class SolidBone:
    """A bone whose distance is the value of its solid.

    Parameters
    ----------
    name, vertebra
        As in `Bone`.
    solid
        The shape, whose value must be close to a distance.
    """

    name: str
    vertebra: Vertebra | None
    solid: Solid

    @cached_property
    def bounds_mm(self) -> np.ndarray:
        """(2, 3): minimum and maximum of the surface, to about 0.5 mm."""
        region = np.stack([self.solid.center - self.solid.radius, self.solid.center + self.solid.radius])
        first, coarse = _coarse(self.solid, region.astype(np.float64), BOUNDS_STEP_MM)
        nodes = np.argwhere(coarse < BOUNDS_STEP_MM)
        middles = first + BOUNDS_STEP_MM * nodes
        depth = coarse[tuple(nodes.T)][:, None]
        bounds = np.stack([(middles + depth).min(axis=0), (middles - depth).max(axis=0)])
        bounds.flags.writeable = False
        return bounds

    def distance_mm(self, points_mm: np.ndarray) -> np.ndarray:
        """Return the signed distance, float32 (N,), of points (N, 3) in the own frame.

        Farther than 8 mm outside it is some value above 8.
        """
        points = np.asarray(points_mm, dtype=np.float32)
        offset = points - self.solid.center
        outside = row_length(offset) - np.float32(self.solid.radius)
        distance: np.ndarray = np.maximum(self.solid.value(points, FAR_MM), outside)
        return distance


@dataclass(frozen=True, eq=False)
class _Lattice:
    origin_mm: np.ndarray
    spacing_mm: float
    distance: np.ndarray
    bounds_mm: np.ndarray

    def distance_mm(self, points: np.ndarray) -> np.ndarray:
        index = np.empty((3, len(points)), dtype=np.float32)
        beyond = np.zeros(len(points), dtype=np.float32)
        for axis, last in enumerate(np.asarray(self.distance.shape, dtype=np.float32) - 1):
            place = (points[:, axis] - np.float32(self.origin_mm[axis])) / np.float32(self.spacing_mm)
            np.clip(place, 0, last, out=index[axis])
            place -= index[axis]
            beyond += place * place
        out = np.empty(len(points), dtype=np.float32)
        ndimage.map_coordinates(self.distance, index, output=out, order=1, mode="nearest", prefilter=False)
        np.sqrt(beyond, out=beyond)
        summed: np.ndarray = out + beyond * np.float32(self.spacing_mm)
        return summed


def _value(solid: Solid, points: np.ndarray, margin_mm: float) -> np.ndarray:
    """Return the field at points (N, 3), some at a time: in the cache, and too few for products to start threads."""
    starts = range(0, len(points), MOST_POINTS)
    parts = [solid.value(points[k : k + MOST_POINTS], margin_mm) for k in starts]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)


def _sample(solid: Solid, region_mm: np.ndarray, spacing: float) -> _Lattice:
    origin, coarse = _cropped(*_coarse(solid, region_mm, BLOCK * spacing), BLOCK * spacing)
    origin = origin - spacing * (BLOCK - 1) / 2
    values = _without_crumbs(_fine(solid, origin, spacing, coarse), spacing)
    crossing = _crossing(values)
    surface = _project(solid, values, np.argwhere(crossing), origin, spacing)
    distance = _redistance(values < 0, crossing, surface, origin, spacing)
    bounds = np.stack([surface.min(axis=0), surface.max(axis=0)]).astype(np.float64)
    bounds.flags.writeable = False
    return _Lattice(origin, spacing, distance, bounds)


def _coarse(solid: Solid, region_mm: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the middle of the first block, and the field at the middles of all blocks over a padded region."""
    blocks = np.ceil((region_mm[1] - region_mm[0] + 2 * PAD_MM) / step).astype(int)
    first = region_mm.mean(axis=0) - (blocks - 1) * step / 2
    axes = [first[a] + np.arange(blocks[a]) * step for a in range(3)]
    centers = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.float32)
    return first, _value(solid, centers, 1.5 * step).reshape(blocks)


def _cropped(first: np.ndarray, coarse: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Return first middle and field of the blocks round the solid, with a margin."""
    box = ndimage.find_objects((coarse < ACTIVE_STEPS * step).astype(np.uint8))[0]
    pad = int(np.ceil(PAD_MM / step))
    keep = tuple(slice(max(s.start - pad, 0), s.stop + pad) for s in box)
    return first + step * np.array([s.start for s in keep]), coarse[keep]


def _fine(solid: Solid, origin: np.ndarray, spacing: float, coarse: np.ndarray) -> np.ndarray:
    """Return the field on all nodes, exact near the surface: blocks that it may cross are halved twice."""
    halved = _halved(solid, origin + spacing / 2, 2 * spacing, coarse, BLOCK * spacing * ACTIVE_STEPS)
    return _halved(solid, origin, spacing, halved, 2 * spacing * ACTIVE_STEPS)


def _halved(solid: Solid, first: np.ndarray, step: float, coarse: np.ndarray, reach_mm: float) -> np.ndarray:
    """Return the field at twice the nodes along each axis, evaluated anew where it is below `reach_mm`."""
    active = np.argwhere(np.abs(coarse) < reach_mm)
    offsets = np.stack(np.meshgrid(*[np.arange(2)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    index = (active[:, None, :] * 2 + offsets[None]).reshape(-1, 3)
    filled = np.repeat(np.repeat(np.repeat(coarse, 2, 0), 2, 1), 2, 2)
    filled[tuple(index.T)] = _value(solid, (first + step * index).astype(np.float32), 4 * step)
    return filled


def _without_crumbs(values: np.ndarray, spacing: float) -> np.ndarray:
    """Return the field with loose crumbs of less than `CRUMB_MM3` turned into outside."""
    pieces, count = ndimage.label(values < 0)
    if count > 1:
        small = np.bincount(pieces.ravel()) * spacing**3 < CRUMB_MM3
        small[0] = False
        values = np.where(small[pieces], np.float32(spacing), values)
    return values


def _crossing(values: np.ndarray) -> np.ndarray:
    """Return which nodes have a neighbor on the other side of the surface."""
    inside = values < 0
    out = np.zeros_like(inside)
    for axis in range(3):
        a: list[slice] = [slice(None)] * 3
        b: list[slice] = [slice(None)] * 3
        a[axis], b[axis] = slice(None, -1), slice(1, None)
        change = inside[tuple(a)] != inside[tuple(b)]
        out[tuple(a)] |= change
        out[tuple(b)] |= change
    return out


def _project(solid: Solid, values: np.ndarray, nodes: np.ndarray, origin: np.ndarray, spacing: float) -> np.ndarray:
    """Return the surface points (K, 3) that belong to nodes beside the surface, by two Newton steps."""
    gradient = np.empty((len(nodes), 3), dtype=np.float32)
    for axis in range(3):
        up, down = nodes.copy(), nodes.copy()
        up[:, axis] = np.minimum(up[:, axis] + 1, values.shape[axis] - 1)
        down[:, axis] = np.maximum(down[:, axis] - 1, 0)
        gradient[:, axis] = (values[tuple(up.T)] - values[tuple(down.T)]) / np.float32(2 * spacing)
    square = np.maximum((gradient**2).sum(axis=1), 0.05)
    points = (origin + spacing * nodes).astype(np.float32)
    field = values[tuple(nodes.T)]
    for _ in range(2):
        step = np.clip(field / np.sqrt(square), -spacing, spacing)
        points = points - (step / np.sqrt(square))[:, None] * gradient
        field = _value(solid, points, 4 * spacing)
    return points


def _redistance(
    inside: np.ndarray, crossing: np.ndarray, surface: np.ndarray, origin: np.ndarray, spacing: float
) -> np.ndarray:
    """Return the signed distance of every node to the surface point of the nearest node beside the surface."""
    which = np.zeros(crossing.shape, dtype=np.int32)
    which[crossing] = np.arange(len(surface), dtype=np.int32)
    nearest = ndimage.distance_transform_edt(~crossing, return_distances=False, return_indices=True)
    owner = which[tuple(nearest)]
    square = np.zeros(crossing.shape, dtype=np.float32)
    for axis in range(3):
        coordinate = (origin[axis] + spacing * np.arange(crossing.shape[axis])).astype(np.float32)
        shape = [1, 1, 1]
        shape[axis] = -1
        square += (coordinate.reshape(shape) - surface[:, axis][owner]) ** 2
    distance: np.ndarray = np.sqrt(square)
    np.negative(distance, out=distance, where=inside)
    distance.flags.writeable = False
    return distance
