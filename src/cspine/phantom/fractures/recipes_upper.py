"""Breaks of C1 and C2: ring, masses, dens, pars.

Own frame: x left, y back, z up; landmarks as in `features.measure` (C1: of the ring).
"""

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.features.measure import dens_base_z, ring_at
from cspine.phantom.fractures.breaks import Break, Face
from cspine.phantom.fractures.recipe import Cutter, Plan, middle_of, within

_RING_Z_MM = -1.5  # the height at which the ring of C1 is measured
_BEHIND_MASS_DEG = (52.0, 62.0)
_BESIDE_TUBERCLE_DEG = (150.0, 166.0)


def c1_anterior_arch(c: Cutter) -> Plan:
    """Crack through the anterior arch beside its tubercle; a quarter of them cleave its tubercle from side to side."""
    if c.either(0.25):
        (x, y, z), _ = ring_at(c.bone, 180.0, _RING_Z_MM)
        lying = c.cut((x, y, z + c.about(-1.5, 1.5)), (0.0, 0.2, 1.0), size_mm=9.0, only_there=True)
        return c.plan((lying,))
    return c.plan((_across_ring(c, c.sign, c.about(*_BESIDE_TUBERCLE_DEG), only_there=True),))


def c1_posterior_arch(c: Cutter) -> Plan:
    """Both sides of the posterior arch break behind the masses, in one of four only one; the arch sinks back."""
    first = 1 if c.either(0.5) else -1
    if c.either(0.25):
        return c.plan((_across_ring(c, first, c.about(*_BEHIND_MASS_DEG), only_there=True),))
    cuts = [_across_ring(c, s, c.about(*_BEHIND_MASS_DEG), only_there=False) for s in (1, -1)]
    faces = (*(Face(cut, 1) for cut in cuts), within((0.0, 2.0, 0.0), (0.0, -1.0, 0.0)))
    m = c.at
    hang = c.turned((0, 0.4 * m.arch_y, 0), (1, 0, 0), -0.6 * c.turn_deg, c.shift_mm * np.array([0.0, 0.8, -0.3]))
    return c.plan((), (c.piece(faces, hang),))


def jefferson(c: Cutter) -> Plan:
    """Four breaks, two in each arch: the masses burst outward and overhang C2."""
    pieces = []
    for s in (1, -1):
        front, _ = ring_at(c.bone, s * c.about(*_BESIDE_TUBERCLE_DEG), _RING_Z_MM)
        back, _ = ring_at(c.bone, s * c.about(30.0, 60.0), _RING_Z_MM)
        middle = (np.array(front) + np.array(back)) / 2
        line = np.array(back) - np.array(front)
        outward = np.array([line[1], -line[0], 0.0]) * s
        cut = c.cut(middle, outward * np.sign(outward[0]) * s, tilt_deg=3.0, size_mm=24.0)
        away = c.shift_mm * np.array([s * c.about(0.75, 1.0), 0.0, 0.0])
        mass = (s * c.at.facet_below[0], c.at.facet_below[1], 0.0)
        pieces.append(c.piece((Face(cut, -1),), c.turned(mass, (0, 0, 1), s * c.about(-0.6, 0.6) * c.turn_deg, away)))
    return c.plan((), pieces)


def lateral_mass(c: Cutter) -> Plan:
    """One lateral mass cleaves from top to bottom (C1), or the upper facet of C2 is driven down and outward."""
    return _atlas_mass(c) if c.fracture.vertebra is Vertebra.C1 else _axis_facet(c)


def dens_i(c: Cutter) -> Plan:
    """Oblique break through the tip of the dens, where the alar ligament pulls it off."""
    s, tip = float(c.sign), c.at.top_z
    center = middle_of(c.bone, (-6, -12, tip - 5), (6, 12, tip - 2))
    cut = c.cut((center[0], center[1], tip - c.about(3.0, 4.5)), (0.55 * s, 0.0, 0.83), size_mm=7.0)
    above = within((0.0, 0.0, tip - 9.0), (0.0, 0.0, -1.0))
    off = c.turned(center, (0, 1, 0), s * 0.8 * c.turn_deg, c.shift_mm * np.array([0.35 * s, 0.1, 0.8]))
    return c.plan((), (c.piece((Face(cut, -1), above), off),))


def dens_ii(c: Cutter) -> Plan:
    """Break through the neck of the dens, which goes back or forward with C1 and the skull."""
    base = dens_base_z(c.bone, c.at)
    center = middle_of(c.bone, (-6, -12, base + 1), (6, 12, base + 3))
    way = 1.0 if c.either(0.6) else -1.0  # backward in the old, forward in the young
    lean = c.about(-0.35, 0.35)
    cut = c.cut((0.0, center[1], base + c.about(1.2, 2.8)), (0.0, lean, 1.0), tilt_deg=5.0, size_mm=9.0)
    faces = (Face(cut, -1), within((9.0, 0, 0), (1, 0, 0)), within((-9.0, 0, 0), (-1, 0, 0)))
    away = c.turned((0, center[1], base), (1, 0, 0), -way * 0.8 * c.turn_deg, c.shift_mm * np.array([0.0, way, -0.05]))
    return c.plan((), (c.piece(faces, away),), carried=away)


def dens_iii(c: Cutter) -> Plan:
    """Break below the dens through the spongy body, low in the middle and rising to the upper facets."""
    m = c.at
    base = dens_base_z(c.bone, m)
    center = middle_of(c.bone, (-6, -12, base - 4), (6, 12, base - 2))
    low = base - c.about(3.0, 5.5)
    bend = (c.about(0.03, 0.06), 0.0)
    cut = c.cut((0.0, center[1], low), (0.0, c.about(-0.15, 0.3), 1.0), tilt_deg=4.0, size_mm=13.0, bend_per_mm=bend)
    faces = (Face(cut, -1), within((0.0, m.back_y + 2.5, 0.0), (0.0, 1.0, 0.0)))
    way = 1.0 if c.either(0.35) else -1.0
    away = c.turned((0, center[1], low), (1, 0, 0), -way * 0.7 * c.turn_deg, c.shift_mm * np.array([0.0, way, -0.15]))
    return c.plan((), (c.piece(faces, away),), carried=away)


def hangman(c: Cutter) -> Plan:
    """Both pars of C2 break behind the body, which goes forward with all above; the arch stays."""
    m = c.at
    place = (0.0, m.back_y + c.about(1.2, 3.0), m.bottom_z + 8.0)
    cut = c.cut(place, (c.about(-0.15, 0.15), 1.0, c.about(-0.4, 0.0)), tilt_deg=4.0, size_mm=21.0)
    forward = c.turned(
        (0, m.middle_y, m.bottom_z), (1, 0, 0), 0.8 * c.turn_deg, c.shift_mm * np.array([0.0, -0.85, -0.1])
    )
    arch = c.piece((Face(cut, -1),), np.linalg.inv(forward))
    return c.plan((), (arch,), carried=forward, carries_itself=True)


def c2_body(c: Cutter) -> Plan:
    """Break of the body of C2 below the dens: from side to side, or lengthwise beside the midline."""
    m, s = c.at, float(c.sign)
    if c.either(0.4):
        lengthwise = c.cut(
            (s * c.about(4.0, 7.0), m.middle_y, -1.0), (1.0, 0.0, 0.3 * s), size_mm=14.0, only_there=True
        )
        return c.plan((lengthwise,))
    cut = c.cut((0.0, m.middle_y + c.about(-2.0, 0.5), -2.0), (0.2 * s, 1.0, c.about(0.2, 0.5)), size_mm=14.0)
    faces = (
        Face(cut, 1),
        within((0, 0, dens_base_z(c.bone, m) - 1.0), (0, 0, 1)),
        within((m.half_width + 1.5, 0, 0), (1, 0, 0)),
        within((-m.half_width - 1.5, 0, 0), (-1, 0, 0)),
    )
    forward = c.turned((0, m.middle_y, 0), (1, 0, 0), -0.6 * c.turn_deg, c.shift_mm * np.array([0.0, -0.8, -0.3]))
    return c.plan((), (c.piece(faces, forward),))


def _across_ring(c: Cutter, side: int, angle_deg: float, *, only_there: bool) -> Break:
    """Return a break across the ring of C1, positive away from the back: outward behind the masses."""
    place, _ = ring_at(c.bone, side * angle_deg, _RING_Z_MM)
    turn = np.radians(side * angle_deg)
    along = np.array([np.cos(turn), -np.sin(turn), 0.0]) * side
    return c.cut(place, along, tilt_deg=9.0, size_mm=8.0, only_there=only_there)


def _atlas_mass(c: Cutter) -> Plan:
    m, s = c.at, float(c.sign)
    x, y, _ = m.facet_below
    cut = c.cut((s * (x + c.about(-2.0, 1.5)), y, 0.0), (s, c.about(-0.4, 0.4), 0.0), tilt_deg=8.0, size_mm=12.0)
    faces = (
        Face(cut, -1),
        within((0.0, y + 11.0, 0.0), (0.0, 1.0, 0.0)),
        within((0.0, y - 13.0, 0.0), (0.0, -1.0, 0.0)),
    )
    out = c.turned((s * x, y, 0), (0, 1, 0), s * 0.5 * c.turn_deg, c.shift_mm * np.array([0.9 * s, 0.0, -0.2]))
    return c.plan((), (c.piece(faces, out),))


def _axis_facet(c: Cutter) -> Plan:
    m, s = c.at, float(c.sign)
    x, y, z = m.facet_above
    cut = c.cut((s * (x - 2.5), y, z - 3.0), (0.6 * s, 0.0, 0.8), tilt_deg=8.0, size_mm=10.0)
    faces = (
        Face(cut, -1),
        within((s * 6.0, 0.0, 0.0), (-s, 0.0, 0.0)),
        within((0.0, m.back_y + 4.0, 0.0), (0.0, 1.0, 0.0)),
        within((0.0, 0.0, z - 9.0), (0.0, 0.0, -1.0)),
    )
    down = c.turned((s * x, y, z), (0, 1, 0), s * 0.6 * c.turn_deg, c.shift_mm * np.array([0.45 * s, 0.0, -0.6]))
    return c.plan((), (c.piece(faces, down),))


__all__ = [
    "c1_anterior_arch",
    "c1_posterior_arch",
    "c2_body",
    "dens_i",
    "dens_ii",
    "dens_iii",
    "hangman",
    "jefferson",
    "lateral_mass",
]
