"""Metal of an operation: a plate with screws in front, screws and rods behind."""

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.bones.primitives import Ellipsoid, Strip, Tube, Vector
from cspine.phantom.bones.sampled import SolidBone
from cspine.phantom.features.alter import Feature
from cspine.phantom.features.site import Site
from cspine.phantom.skeleton import Bone


def plate_and_screws(site: Site) -> tuple[Feature, ...]:
    """Return a plate from a vertebra to the next, two screws of 12–15 mm in each; half of it on each of the bones.

    Plates are 1.5–2.5 mm thick and 14–18 mm wide, screws 3.5–4 mm; severity 1 has one screw a level and no plate.
    """
    joint = site.measured.anatomy.joints[site.vertebra]
    features = []
    for vertebra, up in ((site.vertebra, False), (Vertebra(site.vertebra + 1), True)):
        m = site.measured.marks(vertebra)
        end = m.top_z + joint.disc_mm / 2 + 0.4 if up else m.bottom_z - joint.disc_mm / 2 - 0.4
        screw_z = 0.15 * (m.top_z if up else m.bottom_z)
        sides = (0.0,) if site.size == 0 else (4.2, -4.2)
        pieces = [_front_screw(site, vertebra, x, screw_z) for x in sides]
        if site.size > 0:
            pieces.append(_half_plate(site, vertebra, screw_z + (-4.0 if up else 4.0), end))
        features.append(Feature(vertebra, loose=tuple(pieces)))
    return tuple(features)


def posterior_screws(site: Site) -> tuple[Feature, ...]:
    """Return a screw in each pillar of two levels, aimed out and up, and a rod on each side; severity 1 has one."""
    features = []
    sides = (site.side(),) if site.size == 0 else (1.0, -1.0)
    for vertebra in (site.vertebra, Vertebra(site.vertebra + 1)):
        m = site.measured.marks(vertebra)
        middle = (np.array(m.facet_above) + np.array(m.facet_below)) / 2
        pieces: list[Bone] = []
        for side in sides:
            name = f"{'left' if side > 0 else 'right'}-{vertebra.name}"
            inward = np.array([-2.5, 5.5, -1.5])
            tail, tip = middle + inward, middle + inward + site.between(10, 15) * np.array([0.35, -0.85, 0.30])
            path = (_mirrored(tail, side), _mirrored(tip, side))
            pieces.append(SolidBone(f"metal-screw-{name}", None, Tube(path, (1.75, 1.5))))
            pieces.append(SolidBone(f"metal-head-{name}", None, Ellipsoid(path[0], (3.0, 2.6, 3.0))))
            rod = tuple(_mirrored(tail + np.array([0.0, 2.2, z]), side) for z in (9.5, -9.5))
            pieces.append(SolidBone(f"metal-rod-{name}", None, Tube(rod, (1.6, 1.6))))
        features.append(Feature(vertebra, loose=tuple(pieces)))
    return tuple(features)


def _front_screw(site: Site, vertebra: Vertebra, x: float, z: float) -> Bone:
    m = site.measured.marks(vertebra)
    length, radius = min(site.between(11, 15), 2 * m.half_depth - 1.0), site.between(1.6, 2.0)
    front: Vector = (x, m.front_y - 1.2, z)
    tip: Vector = (0.55 * x, m.front_y - 1.2 + length, z + 0.04 * length)
    name = "middle" if x == 0 else "left" if x > 0 else "right"
    return SolidBone(f"metal-screw-{name}-{vertebra.name}", None, Tube((front, tip), (1.25 * radius, 0.9 * radius)))


def _half_plate(site: Site, vertebra: Vertebra, start_z: float, end_z: float) -> Bone:
    m = site.measured.marks(vertebra)
    thick, wide = site.between(1.3, 2.5) / 2, site.between(13, 18) / 2
    y = m.front_y - thick - 0.4
    path: tuple[Vector, ...] = ((0.0, y, start_z), (0.0, y, end_z))
    plate = Strip(path, (wide, wide), (thick, thick), (1.0, 0.0, 0.0))
    return SolidBone(f"metal-plate-{vertebra.name}", None, plate)


def _mirrored(point: np.ndarray, side: float) -> Vector:
    return side * float(point[0]), float(point[1]), float(point[2])


__all__ = ["plate_and_screws", "posterior_screws"]
