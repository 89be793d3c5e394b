"""Where the parts of a vertebra lie, read off its signed distance: the same for procedural bones and for meshes.

All places in the bone's own frame in mm (x left, y back, z up); of paired parts the left one.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from cspine.domain import Vertebra
from cspine.phantom.bones.primitives import Vector
from cspine.phantom.skeleton import Bone

_STEP_MM = 0.25
_LATTICE_MM = 1.0
_CANAL_MM = 4.0  # behind the posterior wall the search for the arch begins
_FACET_DEPTH_MM = 2.5
_HOLE_STEP_MM = 0.6
_LARGEST_HOLE_MM2 = 100.0
# Where the foramen of an average adult lies, left, if the section of the bone shows none.
_USUAL_HOLE = {Vertebra.C1: (27.0, 0.0, -2.5), Vertebra.C2: (17.0, 4.0, -1.0)}
_USUAL_RADIUS_MM = 2.7
_HOLE_HEIGHTS_MM = (-1.0, -2.0, -3.0, 0.0, -4.0, 1.0)


@dataclass(frozen=True)
class Hole:
    """A foramen transversarium: its middle (at the height of the section) and mean radius."""

    x: float
    y: float
    z: float
    radius: float


@dataclass(frozen=True)
class Landmarks:
    """Measures of one vertebra.

    Attributes
    ----------
    front_y, back_y
        Front and back of the body in the midline at its middle height (C1: of the anterior arch).
    half_width
        Of the body between the roots of the transverse processes and the uncinate processes (C1: of the canal).
    top_z, bottom_z
        Endplates in the middle (C1: edges of the anterior arch; C2: top of the dens).
    arch_y, arch_back_y, arch_z
        Inner and outer side of the arch in the midline (outer: of the spine where there is one), and its height.
    lamina_mm
        Thickness of the arch 7 mm from the midline.
    tip
        End of the spinous process, 1.5 mm inside (C1: of the posterior tubercle).
    facet_above, facet_below
        Middle of the upper and the lower joint surface, left.
    side
        Tip of the transverse process, left.
    """

    vertebra: Vertebra
    front_y: float
    back_y: float
    half_width: float
    top_z: float
    bottom_z: float
    arch_y: float
    arch_back_y: float
    arch_z: float
    lamina_mm: float
    tip: Vector
    facet_above: Vector
    facet_below: Vector
    side: Vector

    @property
    def middle_y(self) -> float:
        """Middle of the body, front to back."""
        return (self.front_y + self.back_y) / 2

    @property
    def half_depth(self) -> float:
        """Half of the body's depth."""
        return (self.back_y - self.front_y) / 2


def landmarks(bone: Bone) -> Landmarks:
    """Measure a vertebra C1 … T8.

    Raises
    ------
    ValueError
        The bone is no vertebra.
    """
    if bone.vertebra is None:
        raise ValueError(f"{bone.name} is no vertebra and has no landmarks")
    atlas = bone.vertebra is Vertebra.C1
    front, back = _arch_of_atlas(bone) if atlas else _body(bone)
    points = _inside(bone)
    inner, outer, height = _arch(bone, 0.0 if atlas else back + _CANAL_MM)
    top, bottom = _ends(bone, (front + back) / 2)
    half = _canal_of_atlas(bone, inner, height) if atlas else _half_width(bone, front, back, top)
    above, below = _facets(points, bone.vertebra, front, back, inner)
    return Landmarks(
        bone.vertebra, front, back, half, top, bottom, inner, outer, height,
        lamina_mm=_lamina(bone, inner, height),
        tip=_tip(points),
        facet_above=above,
        facet_below=below,
        side=_side(points),
    )  # fmt: skip


def foramen(bone: Bone, side: int) -> Hole:
    """Return the hole that a transverse process encloses on a side (1 left, −1 right), or its usual place."""
    for height in _HOLE_HEIGHTS_MM:
        hole = _hole(bone, side, height)
        if hole is not None:
            return hole
    x, y, z = _USUAL_HOLE.get(bone.vertebra or Vertebra.C5, (15.5, 2.0, -1.0))
    return Hole(side * x, y, z, _USUAL_RADIUS_MM)


def _hole(bone: Bone, side: int, height: float) -> Hole | None:
    inmost = 21.0 if bone.vertebra is Vertebra.C1 else 10.0
    x, y = np.arange(inmost, 36.0, _HOLE_STEP_MM) * side, np.arange(-12.0, 16.0, _HOLE_STEP_MM)
    yy, xx = np.meshgrid(y, x, indexing="ij")
    points = np.stack([xx, yy, np.full_like(xx, height)], axis=-1).reshape(-1, 3)
    labels, count = ndimage.label(bone.distance_mm(points.astype(np.float32)).reshape(xx.shape) > 0)
    rim = set(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]).tolist())
    areas = {k: float((labels == k).sum()) * _HOLE_STEP_MM**2 for k in range(1, count + 1) if k not in rim}
    areas = {k: area for k, area in areas.items() if 2.0 < area < _LARGEST_HOLE_MM2}
    if not areas:
        return None
    inside = labels == max(areas, key=lambda k: areas[k])
    area = float(inside.sum()) * _HOLE_STEP_MM**2
    return Hole(float(xx[inside].mean()), float(yy[inside].mean()), height, float(np.sqrt(area / np.pi)))


def dens_base_z(bone: Bone, marks: Landmarks) -> float:
    """Return the height at which the dens of C2 begins: below it bone is wider than 15 mm."""
    tip = float(bone.bounds_mm[1, 2])
    for z in np.arange(tip - 6.0, marks.bottom_z, -0.5):
        if _first(bone, (0.0, marks.middle_y, float(z)), (1.0, 0.0, 0.0), inside=True) > 7.5:
            return float(z)
    return 0.0


def ring_at(bone: Bone, angle_deg: float, height: float) -> tuple[Vector, float]:
    """Return the middle of C1's ring in a direction, and its thickness there.

    Parameters
    ----------
    angle_deg
        0 looks to the back, 90 to the left, 180 to the front.
    """
    turn = np.radians(angle_deg)
    direction = (float(np.sin(turn)), float(np.cos(turn)), 0.0)
    near = _first(bone, (0.0, 0.0, height), direction, inside=False)
    start = (direction[0] * (near + _STEP_MM), direction[1] * (near + _STEP_MM), height)
    thick = _first(bone, start, direction, inside=True)
    middle = near + thick / 2
    return (direction[0] * middle, direction[1] * middle, height), thick


def _first(bone: Bone, start: Vector, direction: Vector, *, inside: bool, reach_mm: float = 45.0) -> float:
    """Return how far a ray goes: to the end of the bone that it starts in, or to the first bone; at most its reach."""
    way = np.arange(0.0, reach_mm, _STEP_MM)
    line = np.asarray(start) + way[:, None] * np.asarray(direction)
    solid = bone.distance_mm(line.astype(np.float32)) < 0
    hit = np.flatnonzero(~solid if inside else solid)
    return float(way[hit[0]]) if hit.size else reach_mm


def _body(bone: Bone) -> tuple[float, float]:
    front = _first(bone, (0.0, 0.0, 0.0), (0.0, -1.0, 0.0), inside=True)
    back = _first(bone, (0.0, 0.0, 0.0), (0.0, 1.0, 0.0), inside=True)
    return -front, back


def _arch_of_atlas(bone: Bone) -> tuple[float, float]:
    back = -_first(bone, (0.0, 0.0, -1.0), (0.0, -1.0, 0.0), inside=False)
    return back - _first(bone, (0.0, back - 0.5, -1.0), (0.0, -1.0, 0.0), inside=True) - 0.5, back


def _canal_of_atlas(bone: Bone, inner_y: float, arch_z: float) -> float:
    """Return half the width of the ring in front of the posterior arch, at the height of the arch."""
    return _first(bone, (0.0, inner_y - 8.0, arch_z), (1.0, 0.0, 0.0), inside=False)


def _half_width(bone: Bone, front: float, back: float, top_z: float) -> float:
    """Return half the width of a body: the least of rays that may run on into a transverse or an uncinate process."""
    rows = [front + share * (back - front) for share in (0.3, 0.5)]
    heights = [0.0] if bone.vertebra is Vertebra.C2 else [share * top_z for share in (0.2, 0.45)]
    return min(_first(bone, (0.0, y, z), (1.0, 0.0, 0.0), inside=True) for y in rows for z in heights)


def _ends(bone: Bone, y: float) -> tuple[float, float]:
    start = (0.0, y, -1.0 if bone.vertebra is Vertebra.C1 else 0.0)
    up = _first(bone, start, (0.0, 0.0, 1.0), inside=True)
    down = _first(bone, start, (0.0, 0.0, -1.0), inside=True)
    return start[2] + up, start[2] - down


def _arch(bone: Bone, start_y: float) -> tuple[float, float, float]:
    """Return inner y, outer y and height of the arch in the midline: the middle of the heights at which it is met."""
    heights = np.arange(bone.bounds_mm[0, 2], bone.bounds_mm[1, 2], 0.75)
    met = []
    for z in heights:
        near = _first(bone, (0.0, start_y, float(z)), (0.0, 1.0, 0.0), inside=False, reach_mm=26.0)
        if near < 26.0:
            met.append((near, float(z)))
    nearest = min(n for n, _ in met)
    front = [z for n, z in met if n < nearest + 2.5]
    height = float(np.mean(front))
    inner = start_y + _first(bone, (0.0, start_y, height), (0.0, 1.0, 0.0), inside=False)
    outer = inner + _first(bone, (0.0, inner + 0.5, height), (0.0, 1.0, 0.0), inside=True)
    return inner, outer, height


def _lamina(bone: Bone, inner_y: float, height: float) -> float:
    start = inner_y - 5.0
    near = _first(bone, (7.0, start, height), (0.0, 1.0, 0.0), inside=False, reach_mm=20.0)
    thick = _first(bone, (7.0, start + near + 0.5, height), (0.0, 1.0, 0.0), inside=True)
    return float(np.clip(thick, 2.5, 8.0))


def _inside(bone: Bone) -> np.ndarray:
    """Return lattice points (N, 3) inside the bone."""
    low, high = bone.bounds_mm
    axes = [np.arange(a, b + _LATTICE_MM, _LATTICE_MM) for a, b in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.float32)
    return np.asarray(points[bone.distance_mm(points) < 0])


def _tip(points: np.ndarray) -> Vector:
    """Return the end of the spine: between its prongs when it has two."""
    back = points[points[:, 1] > points[:, 1].max() - 3.0]
    return 0.0, float(points[:, 1].max()) - 1.5, float(back[:, 2].mean())


def _side(points: np.ndarray) -> Vector:
    far = points[points[:, 0] > points[:, 0].max() - 2.5]
    return float(points[:, 0].max()) - 1.5, float(far[:, 1].mean()), float(far[:, 2].mean())


def _facets(points: np.ndarray, vertebra: Vertebra, front: float, back: float, inner: float) -> tuple[Vector, Vector]:
    """Return the middles of the upper and the lower end of the left pillar (C1: of the lateral mass)."""
    lower = (back + 1.0, inner + 1.0)
    upper = lower
    inmost, outmost = 10.0, 24.0
    if vertebra is Vertebra.C1:
        lower = upper = (back - 2.0, 6.0)
    if vertebra is Vertebra.C2:
        upper = (front, back + 4.0)
    if vertebra > Vertebra.C7:
        inmost, outmost = 6.0, 18.0
    across = (points[:, 0] > inmost) & (points[:, 0] < outmost)
    ends = []
    for (near, far), sign in ((upper, 1.0), (lower, -1.0)):
        some = points[across & (points[:, 1] > near) & (points[:, 1] < far)]
        if not len(some):
            ends.append((15.0, back + 6.0, sign * 7.0))
            continue
        height = sign * some[:, 2]
        end = some[height > height.max() - _FACET_DEPTH_MM]
        ends.append((float(end[:, 0].mean()), float(end[:, 1].mean()), float(sign * height.max())))
    return ends[0], ends[1]


__all__ = ["Hole", "Landmarks", "dens_base_z", "foramen", "landmarks", "ring_at"]
