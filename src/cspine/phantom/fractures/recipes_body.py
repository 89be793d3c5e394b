"""Breaks of vertebral bodies C3 … T1 (and the teardrop of C2): compression, splits, corners.

Own frame: x left, y back, z up; landmarks as in `features.measure`.
"""

from collections.abc import Iterator

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.fractures.breaks import Break, Face
from cspine.phantom.fractures.recipe import Cutter, Plan, first_bone, within
from cspine.phantom.fractures.surfaces import Vector

_BEHIND_WALL_MM = 1.2


def wedge(c: Cutter) -> Plan:
    """Upper endplate sinks in front: the upper front of the body tips forward about the posterior wall.

    A band below the endplate is crushed and dense; the spine above follows part of the way (kyphosis). Transverse
    processes stay with the arch.
    """
    m, tall = c.at, _height(c)
    depth = m.back_y - m.front_y
    low = m.top_z - c.about(0.38, 0.5) * tall
    slope = c.about(0.18, 0.3) * tall / depth
    pivot = (0.0, m.back_y - _BEHIND_WALL_MM, low + slope * depth)
    cut = c.cut((0.0, m.middle_y, low + slope * depth / 2), (0.0, -slope, 1.0), tilt_deg=4.0, size_mm=0.7 * depth)
    tip = c.turn_deg * (0.55 + 0.45 * c.amount.strength)
    sinks = (0.0, -0.25 * c.shift_mm, -0.5 * c.shift_mm)
    faces = (Face(cut, -1), _before_arch(c), *_beside_body(c))
    piece = c.piece(faces, c.turned(pivot, (1, 0, 0), tip, sinks))
    return c.plan((), (piece,), carried=c.turned(pivot, (1, 0, 0), 0.6 * tip))


def burst(c: Cutter) -> Plan:
    """Body in pieces: two go forward and outward, one with the posterior wall goes into the canal; a lamina cracks.

    Voronoi cells of jittered seeds, with the relief of the family between them; corners that bear the pedicles and
    the lower endplate stay.
    """
    m, tall, wide = c.at, _height(c), c.at.half_width
    depth = m.back_y - m.front_y
    seeds = _burst_seeds(c, wide, depth)
    floor = c.cut((0.0, m.middle_y, m.bottom_z + c.about(0.2, 0.35) * tall), (0.0, 0.15, 1.0), tilt_deg=7.0, wide=0.5)
    ways: tuple[Vector, ...] = ((0.2, -0.28, -0.1), (-0.2, -0.28, -0.1), (0.0, 1.0, 0.1))
    pieces = []
    between = dict(_cell_borders(c, seeds))
    for number, way in enumerate(ways):
        faces = [Face(cut, 1 if one == number else -1) for (one, two), cut in between.items() if number in (one, two)]
        faces += [Face(floor, -1), *_round_body(c)]
        turn = c.turn_deg * c.about(0.4, 1.0)
        axis = ((0.3, 0.0, 1.0), (0.3, 0.0, -1.0), (-1.0, 0.0, 0.2))[number]
        shift = c.shift_mm * (0.9 * np.array(way) - np.array([0.0, 0.0, 0.16]))
        pieces.append(c.piece(faces, c.turned(seeds[number], axis, turn, shift)))
    cracks = [
        c.cut((c.about(-3, 3), m.middle_y, m.bottom_z), (1.0, 0.1, 0.0), size_mm=0.8 * tall, only_there=True, wide=0.4)
    ]
    if c.amount.strength >= 0.5:
        cracks.append(_midline_crack_of_arch(c))
    sink = c.turned((0, m.back_y, 0), (1, 0, 0), 0.25 * c.turn_deg, (0, 0, -0.16 * c.shift_mm))
    return c.plan(cracks, pieces, carried=sink)


def flexion_teardrop(c: Cutter) -> Plan:
    """Large front lower piece stays with the vertebra below, the rest goes back into the canal; body split.

    From the front wall above its middle to the middle third of the lower endplate.
    """
    corner = _front_corner(c, up=c.about(0.5, 0.7), back=c.about(0.32, 0.5))
    shift = c.shift_mm
    move = c.turned(corner.edge, (1, 0, 0), 0.35 * c.turn_deg, (0.0, -0.6 * shift, -0.25 * shift))
    piece = c.piece((Face(corner.cut, -1), *_beside_body(c)), move)
    m = c.at
    split = c.cut(
        (c.about(-3, 3), m.middle_y, 0.0), (1.0, 0.12, 0.0), size_mm=0.9 * _height(c), only_there=True, wide=0.4
    )
    back = c.turned((0, m.back_y, m.bottom_z), (1, 0, 0), 0.25 * c.turn_deg, (0.0, 0.35 * shift, 0.0))
    return c.plan((split,), (piece,), carried=back, carries_itself=True)


def extension_teardrop(c: Cutter) -> Plan:
    """Small front lower corner, at least as tall as deep, pulled off forward by its ligament."""
    tall, depth = _height(c), c.at.back_y - c.at.front_y
    rise = c.about(0.3, 0.42) if c.fracture.vertebra is Vertebra.C2 else c.about(0.4, 0.55)
    corner = _front_corner(c, up=rise, back=min(c.about(0.8, 1.0) * rise * tall / depth, 0.42))
    shift = c.shift_mm * np.array([0.0, -0.8, -0.35])
    piece = c.piece(
        (Face(corner.cut, -1), *_beside_body(c)), c.turned(corner.edge, (1, 0, 0), -0.8 * c.turn_deg, shift)
    )
    return c.plan((), (piece,))


def sagittal_split(c: Cutter) -> Plan:
    """Body and one lamina split from front to back; the halves part."""
    m, side = c.at, 1.0 if c.either(0.5) else -1.0
    front, back = c.about(-2.5, 2.5), side * c.about(4.0, 8.0)
    reach = m.arch_y + m.lamina_mm / 2 - m.middle_y
    cut = c.cut((front, m.middle_y, 0.0), (reach, front - back, 0.0), tilt_deg=5.0, size_mm=20.0)
    apart = c.turned(
        (back, m.arch_y, 0.0), (0, 0, 1), -side * 0.5 * c.turn_deg, (side * 0.7 * c.shift_mm, -0.2 * c.shift_mm, 0.0)
    )
    return c.plan((), (c.piece((Face(cut, -1 if side > 0 else 1),), apart),))


def coronal_split(c: Cutter) -> Plan:
    """Body split from side to side; the front half goes forward."""
    m = c.at
    cut = c.cut((0.0, m.middle_y + c.about(-1.5, 1.5), 0.0), (0.0, 1.0, c.about(-0.25, 0.25)), tilt_deg=6.0)
    forward = c.turned((0, m.middle_y, m.bottom_z), (1, 0, 0), 0.6 * c.turn_deg, (0.0, -c.shift_mm, 0.0))
    return c.plan((), (c.piece((Face(cut, 1), *_beside_body(c)), forward),))


def uncinate(c: Cutter) -> Plan:
    """Break off the lateral rim of the upper endplate, obliquely."""
    m, s = c.at, float(c.sign)
    rim = m.half_width
    cut = c.cut((s * 0.72 * rim, m.middle_y + 1.5, m.top_z), (s * 0.8, 0.0, 0.6), size_mm=9.0)
    faces = (
        Face(cut, -1),
        within((s * (rim + 2.5), 0.0, 0.0), (s, 0.0, 0.0)),
        within((0.0, m.back_y - 0.5, 0.0), (0.0, 1.0, 0.0)),
        within((0.0, 0.0, m.top_z - 0.42 * _height(c)), (0.0, 0.0, -1.0)),
    )
    away = c.turned(
        (s * rim, m.middle_y, m.top_z), (0, 1, 0), s * 0.7 * c.turn_deg, c.shift_mm * np.array([0.7 * s, 0, 0.5])
    )
    return c.plan((), (c.piece(faces, away),))


class _Corner:
    """A break that cuts off the lower front corner of a body, and the point about which the piece turns."""

    def __init__(self, cut: Break, edge: np.ndarray) -> None:
        self.cut, self.edge = cut, edge


def _front_corner(c: Cutter, up: float, back: float) -> _Corner:
    """Cut from the front wall, `up` body heights above its lower edge, to `back` body depths behind the front."""
    m, tall, depth = c.at, _height(c), c.at.back_y - c.at.front_y
    lowest = _lower_edge(c, m.front_y + 1.5)
    upper = np.array([0.0, m.front_y - 0.3, lowest + up * tall])
    lower = np.array([0.0, m.front_y + back * depth, min(m.bottom_z, lowest) - 0.3])
    line = lower - upper
    # Normal toward the front and down.
    normal = (0.0, float(line[2]), float(-line[1]))
    size = 0.75 * float(np.hypot(np.linalg.norm(line), m.half_width))
    return _Corner(c.cut((upper + lower) / 2, normal, tilt_deg=5.0, size_mm=size), upper)


def _lower_edge(c: Cutter, y_mm: float) -> float:
    """Return the height of the body's lower surface in the midline."""
    entry, leave = first_bone(c.bone, (0.0, y_mm, 0.0), (0.0, 0.0, -1.0))
    return -leave if entry < 1.0 else c.at.bottom_z


def _height(c: Cutter) -> float:
    """Return the height of the body; of C2 of what lies below the dens."""
    m = c.at
    return -2 * m.bottom_z if c.fracture.vertebra is Vertebra.C2 else m.top_z - m.bottom_z


def _before_arch(c: Cutter) -> Face:
    return within((0.0, c.at.back_y - _BEHIND_WALL_MM, 0.0), (0.0, 1.0, 0.0))


def _beside_body(c: Cutter) -> tuple[Face, Face]:
    """Return where pieces of the body end toward the transverse processes."""
    wide = c.at.half_width + 0.4
    return within((wide, 0.0, 0.0), (1.0, 0.0, 0.0)), within((-wide, 0.0, 0.0), (-1.0, 0.0, 0.0))


def _round_body(c: Cutter) -> tuple[Face, Face, Face]:
    return (*_beside_body(c), within((0.0, c.at.back_y + 1.5, 0.0), (0.0, 1.0, 0.0)))


def _burst_seeds(c: Cutter, wide: float, depth: float) -> list[np.ndarray]:
    """Return the seeds of three pieces and of the two corners that stay."""
    y = c.at.middle_y
    usual = [(0.42, -0.22, 0.0), (-0.42, -0.22, 0.0), (0.0, 0.36, 0.0), (0.95, 0.42, 0.0), (-0.95, 0.42, 0.0)]
    jitter = c.rng.normal(0, 0.05, (5, 2))
    return [
        np.array([(u + du) * wide, y + (v + dv) * depth, 0.25 * c.at.top_z])
        for (u, v, _), (du, dv) in zip(usual, jitter, strict=True)
    ]


def _cell_borders(c: Cutter, seeds: list[np.ndarray]) -> Iterator[tuple[tuple[int, int], Break]]:
    """Yield the break between every two cells of which one is free; it is positive on the side of the second."""
    for one in range(3):
        for two in range(one + 1, len(seeds)):
            middle, way = (seeds[one] + seeds[two]) / 2, seeds[two] - seeds[one]
            yield (one, two), c.cut(middle, way, tilt_deg=7.0, size_mm=12.0, wide=0.5)


def _midline_crack_of_arch(c: Cutter) -> Break:
    m = c.at
    place = (c.about(-3.5, 3.5), m.arch_y + m.lamina_mm / 2, m.arch_z)
    return c.cut(place, (1.0, 0.1, 0.0), size_mm=10.0, only_there=True)


__all__ = [
    "burst",
    "coronal_split",
    "extension_teardrop",
    "flexion_teardrop",
    "sagittal_split",
    "uncinate",
    "wedge",
]
