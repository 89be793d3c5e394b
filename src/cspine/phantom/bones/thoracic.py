"""T1 … T8: heart-shaped bodies, upright facets, club-shaped transverse processes, long falling spines, rib facets."""

from cspine.domain import Vertebra
from cspine.phantom.bones.arch import Fit, canal, joint_spaces, laminae, pedicle, pillar, spinous_process
from cspine.phantom.bones.body import VertebralBody
from cspine.phantom.bones.combine import Cut, Union, both
from cspine.phantom.bones.primitives import Ellipsoid, Solid, Tube, Vector
from cspine.phantom.bones.sizes import VertebraSize

RIB_HEAD_RADIUS_MM = 4.6
TIP_RADIUS_MM = 4.6


def thoracic(size: VertebraSize, fit: Fit) -> Solid:
    """Return T1 … T8."""
    z = 0.20 * size.height
    whole = Union(
        (
            _body(size, fit),
            *both(pillar(size, fit)),
            *both(pedicle(size, fit, z, 0.27 * size.height, 2.7)),
            *both(_transverse_process(size, fit)),
            *laminae(size, fit, -2.5),
            *spinous_process(size, fit, -3.0),
        ),
        2.4,
    )
    x, y, z = rib_head_center(size)
    r = RIB_HEAD_RADIUS_MM + 0.8
    facets = both(Ellipsoid((x, y, z), (r, r, r)))
    return Cut(whole, (canal(size), *facets, *joint_spaces(size, fit)), 0.8)


def rib_head_center(size: VertebraSize) -> Vector:
    """Return the center of the left rib's head: beside the upper half of T1, at the disc above T2 … T8."""
    first = size.vertebra is Vertebra.T1
    z = 0.18 * size.height if first else 0.5 * size.height - 0.5
    return size.body_width / 2 + 2.6, 0.22 * size.body_depth, z


def transverse_tip(size: VertebraSize) -> Vector:
    """Return the middle of the left transverse process's tip."""
    y = size.body_depth / 2 + size.joint_y + (7.0 if size.vertebra is Vertebra.T1 else 11.5)
    return size.total_width / 2 - TIP_RADIUS_MM, y, 0.04 * size.height


def _body(size: VertebraSize, fit: Fit) -> VertebralBody:
    a, b = size.body_width / 2, size.body_depth / 2
    first = size.vertebra is Vertebra.T1
    return VertebralBody(
        half_width=((1.02 if first else 0.97) * a, a),
        half_depth=(0.97 * b, b),
        height_front=size.height_front,
        height_back=size.height_back,
        waist=0.09,
        concavity=(0.9, 1.0),
        uncinate=size.uncinate_height,
        bevel=fit.bevel,
        osteophyte=size.osteophyte,
        heart=0.35 if first else 0.8,
    )


def _transverse_process(size: VertebraSize, fit: Fit) -> Tube:
    x, y, z = transverse_tip(size)
    root = ((fit.above.x + fit.below.x) / 2, (fit.above.y + fit.below.y) / 2, z - 0.5)
    return Tube((root, (x, y, z)), (4.6, TIP_RADIUS_MM))
