"""C3 … C7: uncinate bodies, articular pillars, bifid spines, transverse processes round the vertebral artery."""

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.bones.arch import Fit, canal, joint_spaces, laminae, pedicle, pillar, spinous_process
from cspine.phantom.bones.body import VertebralBody
from cspine.phantom.bones.combine import Cut, Mirrored, Union, both
from cspine.phantom.bones.primitives import Solid, Strip, Tube, Vector
from cspine.phantom.bones.sizes import VertebraSize

FORAMEN_REACH_MM = 11.0


def subaxial(size: VertebraSize, fit: Fit, foramina_mm: tuple[float, float]) -> Solid:
    """Return C3 … C7.

    Parameters
    ----------
    size, fit
        Dimensions, and joints with the neighbors.
    foramina_mm
        Diameters of the (left, right) foramen transversarium; 0 closes it.
    """
    z = -0.5
    arch = Union(
        (
            *both(pillar(size, fit)),
            *both(pedicle(size, fit, 0.08 * size.height, 0.26 * size.height, 2.3)),
            *laminae(size, fit, z - 2.0),
            *spinous_process(size, fit, z - 3.2),
        ),
        2.2,
    )
    left = _transverse_process(size, fit)
    whole = Union((_body(size, fit), arch, left, Mirrored(left)), 1.8)
    tools: list[Solid] = [canal(size), *joint_spaces(size, fit)]
    place = foramen_center(size)
    for diameter, side in zip(foramina_mm, (1, -1), strict=True):
        if diameter > 0:
            tools.append(_foramen(place, diameter / 2, side))
    return Cut(whole, tuple(tools), 0.8)


def foramen_center(size: VertebraSize) -> Vector:
    """Return the center of the left foramen transversarium in the own frame."""
    x = 0.44 * size.body_width + 0.5 * size.foramen_diameter + 1.9
    return x, 0.16 * size.body_depth, -1.0


def _body(size: VertebraSize, fit: Fit) -> VertebralBody:
    a, b = size.body_width / 2, size.body_depth / 2
    return VertebralBody(
        half_width=(0.96 * a, a),
        half_depth=(0.95 * b, b),
        height_front=size.height_front,
        height_back=size.height_back,
        concavity=(0.6, 1.1),
        uncinate=size.uncinate_height,
        bevel=fit.bevel,
        lip=1.9,
        osteophyte=size.osteophyte,
    )


def _foramen(center: Vector, radius: float, side: int) -> Tube:
    x, y, z = center
    ends = ((side * (x - 0.4), y - 0.6, z + FORAMEN_REACH_MM), (side * (x + 0.4), y + 0.6, z - FORAMEN_REACH_MM))
    return Tube(ends, (radius, radius))


def _transverse_process(size: VertebraSize, fit: Fit) -> Union:
    """Return the left process: a rib-like front root, a back root from the pillar, a bar outside the foramen."""
    x, y, z = foramen_center(size)
    r = size.foramen_diameter / 2
    seventh = size.vertebra is Vertebra.C7
    sixth = size.vertebra is Vertebra.C6
    tip = 2.6 if not seventh else 3.6
    end = size.total_width / 2 - tip
    back_tip = (end, y + r + (0.8 if not seventh else 4.0), z - (2.6 if not seventh else 0.3))
    front_tip = (x + r + (1.0 if not sixth else 1.6), y - r - 1.9, z - 1.6)
    body_side = (0.40 * size.body_width, y - r - 0.9, z + 0.3)
    pillar_side = (0.9 * fit.below.x, 0.5 * (y + r + fit.below.y), z + 0.6)
    front_radius = 1.9 if seventh else 2.5 + 0.7 * sixth
    bar = Strip(
        (
            (front_tip[0], front_tip[1], z - 1.4),
            (x + r + 2.4, y, z - 1.7),
            (back_tip[0] - 1.5, back_tip[1], back_tip[2]),
        ),
        (2.4, 2.7, 2.7),
        (1.6, 1.6, 1.9),
    )
    parts: tuple[Solid, ...] = (
        Tube((body_side, front_tip), (2.3 if not seventh else 1.8, front_radius)),
        Tube((pillar_side, back_tip), (3.0 if not seventh else 4.4, tip)),
        bar,
    )
    return Union(parts, 1.5)


def bevel_for(upper: VertebraSize, lower: VertebraSize) -> float:
    """Return how far the sides of the upper body's inferior endplate rise, to leave 1 mm above the uncinate rims."""
    return float(np.clip(lower.uncinate_height - upper.disc_below + 1.4, 0, 4.5))
