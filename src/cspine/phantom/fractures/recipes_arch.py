"""Breaks behind the bodies of C2 … T1: pedicles, pillars, facets, laminae, processes.

Own frame: x left, y back, z up; landmarks as in `features.measure`.
"""

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.features.measure import foramen
from cspine.phantom.fractures.breaks import Face, Fragment
from cspine.phantom.fractures.recipe import Cutter, Plan, first_bone, is_low, within

_SIDE_TO_SIDE_MM = 36.0  # between both pairs of joints: a turn about one carries the other by this times the angle


def pedicle(c: Cutter) -> Plan:
    """Crack through one pedicle, across its axis."""
    m, s = c.at, float(c.sign)
    row = m.back_y + 2.0
    entry, leave = first_bone(c.bone, (0.0, row, 0.5), (s, 0.0, 0.0))
    x = min(entry + min(leave - entry, 6.0) / 2, 0.9 * m.facet_above[0])
    normal = (s * (m.facet_above[0] - 0.7 * m.half_width), m.facet_above[1] - m.middle_y, 0.0)
    cut = c.cut((s * x, row, 0.5), normal, tilt_deg=10.0, size_mm=7.5, only_there=True)
    return c.plan((cut,))


def lamina(c: Cutter) -> Plan:
    """One lamina breaks across; the arch swings about the other lamina and the break gapes."""
    m, s = c.at, float(c.sign)
    x = c.about(5.0, 9.0)
    entry, _ = first_bone(c.bone, (s * x, m.back_y + 3.0, m.arch_z), (0.0, 1.0, 0.0))
    y = m.back_y + 3.0 + entry + m.lamina_mm / 2
    along = np.array([m.facet_below[0], m.facet_below[1] - m.arch_y, 0.0])
    cut = c.cut((s * x, y, m.arch_z), (s * along[0], along[1], 0.0), tilt_deg=9.0, size_mm=9.0)
    far = (-s * 9.0, y, m.arch_z)
    faces = (
        Face(cut, 1),
        within(far, (-s * along[0], along[1], 0.0)),
        within((0.0, m.back_y + 3.0, 0.0), (0.0, -1.0, 0.0)),
    )
    way = -1.0 if c.either(0.6) else 1.0  # into the canal more often than outward
    return c.plan((), (c.piece(faces, c.turned(far, (0, 0, 1), way * s * c.turn_deg)),))


def pillar(c: Cutter) -> Plan:
    """One articular pillar cleaves; its lower half with the lower facet goes down and back."""
    return c.plan((), (_lower_pillar(c, _pillar_move(c)),))


def pillar_subluxation(c: Cutter) -> Plan:
    """As `pillar`, and the vertebra slides forward on that side: the lower half stays with the vertebra below."""
    slide = _slide(c)
    return c.plan((), (_lower_pillar(c, np.linalg.inv(slide)),), carried=slide, carries_itself=True)


def facet(c: Cutter) -> Plan:
    """Shear off the tip of one facet: two of three times the upper one, which goes up, forward and outward."""
    s, shift = float(c.sign), c.shift_mm
    if c.either(0.67):
        x, y, z = c.at.facet_above
        move = c.turned((s * x, y, z), (1, 0, 0), 0.7 * c.turn_deg, shift * np.array([0.25 * s, -0.6, 0.55]))
        return c.plan((), (_facet_tip(c, 1.0, move),))
    x, y, z = c.at.facet_below
    move = c.turned((s * x, y, z), (1, 0, 0), -0.5 * c.turn_deg, shift * np.array([0.2 * s, 0.6, -0.5]))
    return c.plan((), (_facet_tip(c, -1.0, move),))


def facet_subluxation(c: Cutter) -> Plan:
    """Leave the tip of a lower facet behind while the vertebra slides forward on that side."""
    slide = _slide(c)
    return c.plan((), (_facet_tip(c, -1.0, np.linalg.inv(slide)),), carried=slide, carries_itself=True)


def spinous_process(c: Cutter) -> Plan:
    """Break the spinous process across and draw it down: near its middle at C6 … T1 (clay shoveler)."""
    m = c.at
    root = np.array([0.0, m.arch_y + m.lamina_mm + 1.0, m.arch_z])
    along = np.array(m.tip) - root
    where = c.about(0.3, 0.65) if is_low(c.fracture.vertebra) else c.about(0.15, 0.5)
    point = root + where * along
    cut = c.cut(point, along, tilt_deg=12.0, size_mm=9.0)
    faces = (Face(cut, -1), within((0.0, m.arch_y + m.lamina_mm / 2, 0.0), (0.0, -1.0, 0.0)))
    down = c.turned(point, (1, 0, 0), -0.6 * c.turn_deg, c.shift_mm * np.array([0.0, 0.25, -1.0]))
    return c.plan((), (c.piece(faces, down),))


def transverse_process(c: Cutter) -> Plan:
    """Break the transverse process off through its foramen, in front of the pillar."""
    m, s = c.at, float(c.sign)
    hole = foramen(c.bone, c.sign)
    x, y, z, radius = abs(hole.x), hole.y, hole.z, hole.radius
    if not c.fracture.vertebra.is_cervical:
        x, y, z, radius = 0.45 * m.facet_above[0] + 0.55 * m.side[0], m.side[1], m.side[2], 0.0
    cut = c.cut((s * x, y, z), (s, c.about(-0.3, 0.3), 0.15), tilt_deg=10.0, size_mm=8.0)
    faces = [Face(cut, -1)]
    if Vertebra.C3 <= c.fracture.vertebra <= Vertebra.C7:
        behind = c.cut((s * (x + 2.0), y + radius + 2.2, z), (-0.35 * s, 1.0, 0.25), tilt_deg=7.0, size_mm=7.0)
        faces.append(Face(behind, 1))
    elif c.fracture.vertebra is Vertebra.C2:
        faces += [
            within((0.0, m.side[1] + 5.0, 0.0), (0.0, 1.0, 0.0)),
            within((0.0, 0.0, m.side[2] + 6.0), (0.0, 0.0, 1.0)),
        ]
    away = c.shift_mm * np.array([0.7 * s, -0.2, -0.6])
    return c.plan((), (c.piece(faces, c.turned((s * x, y, z), (0, 1, 0), s * 0.7 * c.turn_deg, away)),))


def transdiscal(c: Cutter) -> Plan:
    """Across the bridged disc below a vertebra and on through the arch; open in front, closing toward the back."""
    m = c.at
    front = (0.0, m.front_y - 2.0, m.bottom_z - 0.9)
    rise = c.about(-0.2, 0.05)
    cut = c.cut(front, (0.0, -rise, 1.0), tilt_deg=3.0, size_mm=34.0, only_there=True)
    return c.plan((cut,))


def _slide(c: Cutter) -> np.ndarray:
    """Return how a vertebra slides forward and up on the joint of one side, about the joint of the other."""
    m, s = c.at, float(c.sign)
    x, y, z = m.facet_below
    yaw = s * -np.degrees(c.shift_mm / _SIDE_TO_SIDE_MM)
    turn = c.turned((-s * x, y, z), (0, 0, 1), yaw, c.shift_mm * np.array([0.0, -0.3, 0.3]))
    return np.asarray(c.turned((0, y, z), (1, 0, 0), 0.2 * c.turn_deg) @ turn)


def _pillar_move(c: Cutter) -> np.ndarray:
    x, y, z = c.at.facet_below
    s = float(c.sign)
    away = c.shift_mm * np.array([0.35 * s, 0.6, -0.55])
    return c.turned((s * x, y, z), (1, 0, 0), 0.6 * c.turn_deg, away)


def _lower_pillar(c: Cutter, move: np.ndarray) -> Fragment:
    m, s = c.at, float(c.sign)
    middle = (np.array(m.facet_above) + np.array(m.facet_below)) / 2
    x, y, z = middle
    across = c.cut((s * x, y, z + c.about(-1.0, 1.5)), (0.15 * s, c.about(-0.2, 0.5), 1.0), tilt_deg=9.0, size_mm=9.0)
    medial = c.cut((s * (x - 6.0), y + 2.0, z), (s, -0.5, 0.0), tilt_deg=6.0, size_mm=8.0)
    faces = (Face(across, 1), Face(medial, -1), within((0.0, y - 6.5, 0.0), (0.0, -1.0, 0.0)))
    return c.piece(faces, move)


def _facet_tip(c: Cutter, up: float, move: np.ndarray) -> Fragment:
    """Return the tip of an upper (+1) or lower (−1) facet."""
    m, s = c.at, float(c.sign)
    x, y, z = m.facet_above if up > 0 else m.facet_below
    place = (s * x, y, z - up * c.about(2.0, 4.0))
    cut = c.cut(place, (0.1 * s, -0.3 * up, up), tilt_deg=9.0, size_mm=7.0)
    faces = (
        Face(cut, -1),
        within((s * (x - 7.0), 0.0, 0.0), (-s, 0.0, 0.0)),
        within((0.0, m.back_y + 0.5 if up > 0 else y - 6.0, 0.0), (0.0, -1.0, 0.0)),
    )
    return c.piece(faces, move)


__all__ = [
    "facet",
    "facet_subluxation",
    "lamina",
    "pedicle",
    "pillar",
    "pillar_subluxation",
    "spinous_process",
    "transdiscal",
    "transverse_process",
]
