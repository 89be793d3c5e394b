"""C1, the atlas: a ring of two arches between two lateral masses, and the longest transverse processes of the neck."""

import numpy as np

from cspine.phantom.bones.combine import Cut, Mirrored, Union, both
from cspine.phantom.bones.primitives import Ellipsoid, Polyhedron, Solid, Strip, Tube, Vector
from cspine.phantom.bones.sizes import VertebraSize
from cspine.phantom.bones.stacking import (
    CONDYLE_AXES,
    JOINT_GAP_MM,
    OCCIPITAL_GAP_MM,
    atlantoaxial_facet,
    c1_to_c2_offset_mm,
    condyle,
)

ANTERIOR_ARCH_THICKNESS_MM = 5.4


def atlas(size: VertebraSize, axis_size: VertebraSize, foramina_mm: tuple[float, float]) -> Solid:
    """Return C1.

    Parameters
    ----------
    size, axis_size
        Dimensions of C1, and of C2 on which it rests.
    foramina_mm
        Diameters of the (left, right) foramen transversarium; 0 closes it.
    """
    k = size.total_width / 73.4
    left = Union((_lateral_mass(size, axis_size), _transverse_process(size)), 2.0)
    ring = Union((_anterior_arch(size), _anterior_tubercle(size), *_posterior_arch(size)), 1.5)
    whole = Union((left, Mirrored(left), ring), 2.4)
    tools: list[Solid] = [_ring_canal(size), *both(_socket(size))]
    for diameter, side in zip(foramina_mm, (1, -1), strict=True):
        if diameter > 0:
            x, y, z = foramen_center(size)
            ends = ((side * (x - 0.5), y, z + 9 * k), (side * (x + 0.3), y, z - 11 * k))
            tools.append(Tube(ends, (diameter / 2, diameter / 2)))
    return Cut(whole, tuple(tools), 0.8)


def foramen_center(size: VertebraSize) -> Vector:
    """Return the center of the left foramen transversarium in C1's frame."""
    k = size.total_width / 73.4
    return 27.4 * k, -0.5 * k, -2.5 * k


def _lateral_mass(size: VertebraSize, axis_size: VertebraSize) -> Polyhedron:
    k = size.total_width / 73.4
    (fx, fy, fz), normal = atlantoaxial_facet(axis_size)
    ox, oy, oz = c1_to_c2_offset_mm(size, axis_size)
    under = np.array([fx + ox, fy + oy, fz + oz]) + JOINT_GAP_MM * np.array(normal)
    x, y = 18.4 * k, -5.6 * k
    rx, ry = 0.5 * size.pillar_width, 0.5 * size.pillar_depth
    faces: list[tuple[Vector, Vector]] = [
        ((float(under[0]), float(under[1]), float(under[2])), (-normal[0], -normal[1], -normal[2])),
        ((x + rx, y, 8.0 * k), (-0.22, 0.0, 1.0)),
    ]
    toward_front = np.deg2rad(-18.0)
    for angle in np.deg2rad(np.arange(0, 360, 45)):
        r = float(np.hypot(rx * np.cos(angle), ry * np.sin(angle)))
        turned = angle + toward_front
        outward = float(np.cos(turned)), float(np.sin(turned))
        # The mass leans: its lower end lies nearer the midline.
        face = (x + r * outward[0], y + r * outward[1], 0.0)
        faces.append((face, (outward[0], outward[1], -0.15 * outward[0])))
    return Polyhedron(tuple(faces), 2.0, (x, y, -2.0), ry + 12.0)


def _socket(size: VertebraSize) -> Ellipsoid:
    """Return the room of the left occipital condyle and its joint."""
    center, radii = condyle(size)
    gap = OCCIPITAL_GAP_MM
    return Ellipsoid(center, (radii[0] + gap, radii[1] + gap, radii[2] + gap), CONDYLE_AXES)


def _transverse_process(size: VertebraSize) -> Union:
    k = size.total_width / 73.4
    tip_radius = 3.4 * k
    tip = (size.total_width / 2 - tip_radius, 1.6 * k, -4.0 * k)
    front = Tube(((22.5 * k, -6.4 * k, -2.5 * k), (29.0 * k, -5.2 * k, -3.0 * k), tip), (2.6 * k, 2.1 * k, tip_radius))
    back = Tube(((21.5 * k, 4.6 * k, -2.0 * k), (28.0 * k, 4.6 * k, -2.8 * k), tip), (2.6 * k, 2.3 * k, tip_radius))
    return Union((front, back), 1.5)


def _anterior_arch(size: VertebraSize) -> Strip:
    k = size.total_width / 73.4
    inner = -size.canal_depth / 2
    half = ANTERIOR_ARCH_THICKNESS_MM / 2 * k
    y, z = inner - half, -1.0 * k
    path = (
        (-16.5 * k, inner + 2.5 * k, z),
        (-11.0 * k, y + 2.2 * k, z),
        (-5.5 * k, y + 0.5 * k, z),
        (0.0, y, z),
        (5.5 * k, y + 0.5 * k, z),
        (11.0 * k, y + 2.2 * k, z),
        (16.5 * k, inner + 2.5 * k, z),
    )
    heights = tuple(h * k for h in (4.6, 4.2, 4.7, 5.2, 4.7, 4.2, 4.6))
    return Strip(path, heights, (half * 1.1, half, half, half, half, half, half * 1.1))


def _anterior_tubercle(size: VertebraSize) -> Ellipsoid:
    k = size.total_width / 73.4
    y = -size.canal_depth / 2 - ANTERIOR_ARCH_THICKNESS_MM * k
    return Ellipsoid((0.0, y + 0.6 * k, -1.8 * k), (4.2 * k, 2.3 * k, 4.4 * k))


def _posterior_arch(size: VertebraSize) -> tuple[Solid, ...]:
    k = size.total_width / 73.4
    half = size.lamina_thickness / 2
    back = size.canal_depth / 2 + half
    tall = size.lamina_height / 2
    path = (
        (18.5 * k, 1.5 * k, -2.6 * k),
        (19.2 * k, 6.5 * k, -2.6 * k),
        (16.6 * k, 0.60 * back, -2.2 * k),
        (12.0 * k, 0.83 * back, -1.4 * k),
        (6.0 * k, 0.96 * back, -0.9 * k),
        (0.0, back, -0.8 * k),
    )
    # The vertebral artery crosses just behind the lateral mass: the arch is low and flat there.
    side = Strip(
        path, (3.0 * k, 2.3 * k, 2.4 * k, 0.85 * tall, tall, 1.05 * tall), (3.2 * k, 2.6 * k, half, half, half, half)
    )
    tubercle = Ellipsoid((0.0, back + half - 0.6, -0.8 * k), (3.4 * k, 2.4 * k, 3.4 * k))
    return (*both(side), tubercle)


def _ring_canal(size: VertebraSize) -> Polyhedron:
    half, deep = size.canal_width / 2, size.canal_depth / 2
    faces: list[tuple[Vector, Vector]] = [((0, -deep, 0), (0, -1, 0)), ((0, deep, 0), (0, 1, 0))]
    for s in (1, -1):
        faces += [
            ((s * half, 0, 0), (s, 0, 0)),
            ((s * half, 0.1 * deep, 0), (s * 0.95, -0.22, 0)),
            ((s * 0.78 * half, -0.8 * deep, 0), (s * 0.7, -0.7, 0)),
            ((s * 0.86 * half, 0.62 * deep, 0), (s * 0.72, 0.7, 0)),
            ((s * 0.45 * half, 0.94 * deep, 0), (s * 0.3, 0.95, 0)),
        ]
    return Polyhedron(tuple(faces), 2.0)
