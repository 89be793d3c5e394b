"""C2, the axis: dens, sloping superior facets, pars, broad bifid spine, oblique arterial canals."""

import numpy as np

from cspine.phantom.bones.arch import Fit, canal, joint_spaces, laminae, pillar, spinous_process
from cspine.phantom.bones.body import VertebralBody
from cspine.phantom.bones.combine import Cut, Mirrored, Union
from cspine.phantom.bones.primitives import Polyhedron, Solid, Strip, Tube, Vector
from cspine.phantom.bones.sizes import VertebraSize
from cspine.phantom.bones.stacking import FacetJoint, atlantoaxial_facet, dens_center_y_mm


def axis(size: VertebraSize, fit: Fit, foramina_mm: tuple[float, float]) -> Solid:
    """Return C2; `foramina_mm` are the diameters of the (left, right) arterial canal, 0 closes it."""
    low = Fit(_under_pars(fit), fit.below, bifid=fit.bifid, twist=fit.twist)
    left = Union((_lateral_mass(size), pillar(size, low), _pars(size, low), _transverse_process(size, low)), 2.4)
    whole = Union(
        (
            _body(size, fit),
            _dens(size),
            left,
            Mirrored(left),
            *laminae(size, low, -5.0),
            *spinous_process(size, fit, -6.5),
        ),
        2.6,
    )
    tools: list[Solid] = [canal(size), *joint_spaces(size, fit)[2:]]
    for diameter, side in zip(foramina_mm, (1, -1), strict=True):
        if diameter > 0:
            tools.append(_foramen(size, diameter / 2, side))
    return Cut(whole, tuple(tools), 0.8)


def _under_pars(fit: Fit) -> FacetJoint:
    below = fit.below
    return FacetJoint(below.x - 0.4, below.y - 2.0, below.z + 13.0, 30.0)


def _body(size: VertebraSize, fit: Fit) -> VertebralBody:
    a, b = size.body_width / 2, size.body_depth / 2
    return VertebralBody(
        half_width=(1.02 * a, a),
        half_depth=(0.86 * b, b),
        height_front=size.height_front,
        height_back=size.height_back,
        waist=0.10,
        concavity=(0.0, 1.3),
        bevel=fit.bevel,
        lip=2.0,
        osteophyte=size.osteophyte,
    )


def _dens(size: VertebraSize) -> Tube:
    y = dens_center_y_mm(size)
    base, tall, wide = size.height / 2, size.dens_height, size.dens_width
    path: tuple[Vector, ...] = (
        (0.0, y, base - 5.0),
        (0.0, y, base + 0.32 * tall),
        (0.0, y, base + 0.62 * tall),
        (0.0, y + 0.4, base + tall - 0.34 * wide),
    )
    return Tube(path, (0.58 * wide, 0.475 * wide, 0.51 * wide, 0.34 * wide))


def _lateral_mass(size: VertebraSize) -> Polyhedron:
    point, normal = atlantoaxial_facet(size)
    x, y, z = point
    rx, ry = 0.68 * size.pillar_width, 0.80 * size.pillar_depth
    faces: list[tuple[Vector, Vector]] = [(point, normal), ((x, y, z - 8.5), (0.25, 0.0, -1.0))]
    for angle in np.deg2rad(np.arange(0, 360, 45)):
        outward = float(np.cos(angle)), float(np.sin(angle))
        r = float(np.hypot(rx * outward[0], ry * outward[1]))
        faces.append(((x + r * outward[0], y + r * outward[1], z), (outward[0], outward[1], 0.0)))
    return Polyhedron(tuple(faces), 2.0, (x, y, z - 4.0), ry + 7.0)


def _pars(size: VertebraSize, fit: Fit) -> Strip:
    (x, y, z), _ = atlantoaxial_facet(size)
    start = (x - 0.5, y + 3.0, z - 5.5)
    end = (fit.below.x, fit.below.y - 1.0, fit.below.z + 6.5)
    return Strip((start, end), (4.6, 4.6), (4.0, 4.2))


def _transverse_process(size: VertebraSize, fit: Fit) -> Union:
    z = -0.34 * size.height
    tip = (size.total_width / 2 - 2.6, 0.36 * size.body_depth, z - 1.2)
    front = (0.42 * size.body_width, 0.5, z + 1.5)
    back = (fit.below.x, fit.below.y - 6.5, z + 1.5)
    return Union((Tube((front, tip), (2.4, 2.4)), Tube((back, tip), (2.8, 2.6))), 1.5)


def _foramen(size: VertebraSize, radius: float, side: int) -> Tube:
    (x, y, z), _ = atlantoaxial_facet(size)
    path = ((x - 0.3, y + 3.0, z - 22.0), (x + 0.6, y + 2.8, z - 9.4), (x + 11.0, y + 1.6, z - 8.2))
    mirrored = tuple((side * p[0], p[1], p[2]) for p in path)
    return Tube(mirrored, (radius, radius, radius))
