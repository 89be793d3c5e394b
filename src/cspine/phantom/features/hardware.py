"""Metal of an operation: a plate with screws in front, screws and rods behind."""

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.bones.primitives import Ellipsoid, Strip, Tube, Vector
from cspine.phantom.bones.sampled import SolidBone
from cspine.phantom.features.alter import Feature
from cspine.phantom.features.site import Site
from cspine.phantom.skeleton import Bone


def plate_and_screws(site: Site) -> tuple[Feature, ...]:
    """Return a plate from a vertebra to the next and two screws of 11–15 mm in each.

    Plates are 1.3–2.5 mm thick and 13–18 mm wide, screws 3.5–4 mm; severity 1 has one screw a level and no plate.
    """
    lower = Vertebra(site.vertebra + 1)
    sides = (0.0,) if site.size == 0 else (4.2, -4.2)
    features = []
    for vertebra in (site.vertebra, lower):
        z = _screw_z(site, vertebra)
        pieces = [_front_screw(site, vertebra, x, z) for x in sides]
        if site.size > 0 and vertebra == site.vertebra:
            pieces.append(_plate(site, lower))
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


def _screw_z(site: Site, vertebra: Vertebra) -> float:
    """Return the height of the front screws: toward the plate's ends."""
    m = site.measured.marks(vertebra)
    return 0.25 * m.top_z if vertebra == site.vertebra else 0.25 * m.bottom_z


def _plate(site: Site, lower: Vertebra) -> Bone:
    """Return a plate on the fronts of two bodies, in the frame of the upper one; the neck is about straight there."""
    one, two = site.marks, site.measured.marks(lower)
    joint = site.measured.anatomy.joints[site.vertebra]
    drop = joint.down_mm + joint.disc_mm + joint.up_mm
    thick, wide = site.between(1.3, 2.5) / 2, site.between(13, 18) / 2
    high = (0.0, one.front_y - thick - 0.5, _screw_z(site, site.vertebra) + 4.0)
    low = (0.0, two.front_y + joint.back_mm - thick - 0.5, _screw_z(site, lower) - drop - 4.0)
    middle = (0.0, (high[1] + low[1]) / 2 - 0.5, (high[2] + low[2]) / 2)
    plate = Strip((high, middle, low), (wide,) * 3, (thick,) * 3, (1.0, 0.0, 0.0))
    return SolidBone(f"metal-plate-{site.vertebra.name}", None, plate)


def _mirrored(point: np.ndarray, side: float) -> Vector:
    return side * float(point[0]), float(point[1]), float(point[2])


__all__ = ["plate_and_screws", "posterior_screws"]
