"""Parts of the neural arch that C2 … T8 share: canal, pillars, pedicles, laminae, spinous processes."""

from dataclasses import dataclass

import numpy as np

from cspine.phantom.bones.combine import both
from cspine.phantom.bones.primitives import Polyhedron, Solid, Strip, Tube, Vector
from cspine.phantom.bones.sizes import VertebraSize
from cspine.phantom.bones.stacking import JOINT_GAP_MM, FacetJoint

FACET_REACH_MM = 6.5
PILLAR_TURN_DEG = 12.0


@dataclass(frozen=True)
class Fit:
    """How a vertebra meets its neighbors, and what its own shape is like.

    Attributes
    ----------
    above, below
        Facet joints in the own frame.
    bevel
        How far the sides of the inferior endplate rise, so that the uncinate processes below have room.
    bifid
        0 … 1: how deeply the spinous process is split.
    twist
        Sideways deviation of the spinous process in mm.
    """

    above: FacetJoint
    below: FacetJoint
    bevel: float = 0.0
    bifid: float = 0.0
    twist: float = 0.0


def canal(size: VertebraSize, widen_mm: float = 0.0) -> Polyhedron:
    """Return the vertebral canal as an endless vertical prism: a rounded triangle behind the body."""
    front = size.body_depth / 2
    half = size.canal_width / 2 + widen_mm
    back = front + size.canal_depth + widen_mm
    bend = front + 0.36 * size.canal_depth
    near, far = 0.70 * half, 0.20 * half
    faces: list[tuple[Vector, Vector]] = [((0, front, 0), (0, -1, 0)), ((0, back, 0), (0, 1, 0))]
    for s in (1, -1):
        faces += [
            ((s * half, bend, 0), (s, 0, 0)),
            ((s * half, bend, 0), (s * (back - bend), half - far, 0)),
            ((s * half, front + 0.2 * size.canal_depth, 0), (s * 0.2 * size.canal_depth, -(half - near), 0)),
        ]
    return Polyhedron(tuple(faces), 2.0)


def pillar(size: VertebraSize, fit: Fit) -> Polyhedron:
    """Return the left articular pillar: an oval column, leaning as its joints lie, cut by its two facets."""
    gap = JOINT_GAP_MM / 2
    above, below = fit.above, fit.below
    tall = max(above.z - below.z, 1.0)
    lean = (above.x - below.x) / tall, (above.y - below.y) / tall
    middle = (above.x + below.x) / 2, (above.y + below.y) / 2, (above.z + below.z) / 2
    radii = 0.53 * size.pillar_width, 0.53 * size.pillar_depth
    faces = (
        (above.facet(-gap), above.normal),
        (below.facet(gap), _opposite(below.normal)),
        ((0.0, 0.0, above.z + FACET_REACH_MM), (0.0, 0.0, 1.0)),
        ((0.0, 0.0, below.z - FACET_REACH_MM), (0.0, 0.0, -1.0)),
        *_oval(middle, radii, lean),
    )
    reach = float(np.linalg.norm([*radii, tall / 2 + FACET_REACH_MM]))
    return Polyhedron(faces, 1.6, middle, reach + 1.0)


def joint_spaces(size: VertebraSize, fit: Fit) -> tuple[Solid, ...]:
    """Return the room that both pairs of joints need: what is cut from all that grows near them."""
    room = FACET_REACH_MM + 0.8
    tools: list[Solid] = []
    for joint, side in ((fit.above, 1.0), (fit.below, -1.0)):
        normal = joint.normal if side < 0 else _opposite(joint.normal)
        center = joint.x, joint.y, joint.z
        radii = 0.53 * size.pillar_width + 1.0, 0.53 * size.pillar_depth + 0.8
        faces = (
            (joint.facet(-side * JOINT_GAP_MM / 2), normal),
            ((0.0, 0.0, joint.z + room), (0.0, 0.0, 1.0)),
            ((0.0, 0.0, joint.z - room), (0.0, 0.0, -1.0)),
            *_oval(center, radii, (0.0, 0.0)),
        )
        tools += both(Polyhedron(faces, 0.5, center, float(np.linalg.norm([*radii, room]))))
    return tuple(tools)


def _oval(center: Vector, radii: tuple[float, float], lean: tuple[float, float]) -> tuple[tuple[Vector, Vector], ...]:
    """Return eight side faces round a column that leans by (x, y) per mm of height."""
    faces: list[tuple[Vector, Vector]] = []
    for angle in np.deg2rad(np.arange(0, 360, 45) + PILLAR_TURN_DEG):
        u, v = float(np.cos(angle)), float(np.sin(angle))
        r = float(np.hypot(radii[0] * u, radii[1] * v))
        faces.append(((center[0] + r * u, center[1] + r * v, center[2]), (u, v, -(u * lean[0] + v * lean[1]))))
    return tuple(faces)


def _opposite(direction: Vector) -> Vector:
    return -direction[0], -direction[1], -direction[2]


def pedicle(size: VertebraSize, fit: Fit, z: float, half_height: float, half_width: float) -> Strip:
    """Return the left pedicle, from the back corner of the body to the pillar."""
    b = size.body_depth / 2
    start = 0.33 * size.body_width, 0.45 * b, z
    end = (fit.above.x + fit.below.x) / 2 - 0.12 * size.pillar_width, (fit.above.y + fit.below.y) / 2 - 1.0, z - 0.5
    return Strip((start, end), (half_height, half_height * 1.15), (half_width, half_width))


def laminae(size: VertebraSize, fit: Fit, z: float) -> tuple[Solid, Solid]:
    """Return both laminae, leaning forward at their upper edges."""
    back = size.body_depth / 2 + size.canal_depth
    t = size.lamina_thickness / 2
    outer = (fit.above.x + fit.below.x) / 2, (fit.above.y + fit.below.y) / 2 + 0.12 * size.pillar_depth, z
    middle = 0.30 * size.canal_width, back - 0.28 * size.canal_depth + t, z - 0.5
    path = (outer, middle, (0.0, back + 0.9 * t, z - 1.5))
    h = size.lamina_height / 2
    return both(Strip(path, (h * 0.95, h, h), (t * 1.05, t, t), (0.0, -0.30, 1.0)))


def spinous_process(size: VertebraSize, fit: Fit, z: float) -> tuple[Solid, ...]:
    """Return the spinous process; split at its end as far as `fit.bifid` says."""
    back = size.body_depth / 2 + size.canal_depth
    slope = np.deg2rad(size.spinous_slope_deg)
    along = np.array([0.0, np.cos(slope), -np.sin(slope)])
    root = np.array([0.0, back, z])
    up = (0.0, float(np.sin(slope)), float(np.cos(slope)))
    length = size.spinous_length
    # Spines that fall steeply must be slim, to clear the next one.
    pitch = size.height + size.disc_below
    tall = min(0.5 * size.lamina_height, 0.36 * pitch * float(np.cos(slope)))
    knob = min(2.6 + 0.035 * length, 0.9 * tall)

    def at(part: float, x: float = 0.0, rise: float = 0.0) -> Vector:
        p = root + along * (length * part - knob * (part > 0.9)) + np.array(up) * rise
        return float(x + fit.twist * part), float(p[1]), float(p[2])

    thick = 0.55 * size.lamina_thickness
    blade = Strip((at(0.0), at(0.45), at(0.8)), (tall, 0.72 * tall, 0.6 * tall), (thick * 1.35, thick, thick), up)
    if fit.bifid <= 0:
        return blade, Tube((at(0.7), at(1.0)), (0.8 * knob, knob))
    spread = fit.bifid * (3.2 + 0.06 * length)
    prong = knob * (1 - 0.35 * fit.bifid)
    left = Tube((at(0.62, 0.8, -0.2 * tall), at(1.0, spread, -0.4 * tall)), (0.9 * prong, prong))
    right = Tube((at(0.62, -0.8, -0.2 * tall), at(1.0, -spread, -0.4 * tall)), (0.9 * prong, prong))
    return blade, left, right
