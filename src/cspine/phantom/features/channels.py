"""Dark lines inside bone that are no fractures: canals of vessels, and plates of cartilage that still grow."""

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.bones.primitives import Ellipsoid, Solid, Tube, Vector
from cspine.phantom.features.alter import Feature
from cspine.phantom.features.arches import ring_cleft
from cspine.phantom.features.bridges import Rim
from cspine.phantom.features.measure import dens_base_z
from cspine.phantom.features.site import Site
from cspine.phantom.inlay import Inlay

_BLOOD_HU, _CARTILAGE_HU, _WALL_HU = 30.0, 110.0, 650.0
_EDGE_MM, _WALL_MM = 0.5, 0.5
_NEUROCENTRAL_UNTIL = 6.0  # years
_FRONT_PLATES_DEG = 30.0


def nutrient_channel(site: Site) -> tuple[Feature, ...]:
    """Return the canal of the basivertebral vein: a stem from the back wall of the body and branches like a Y.

    Width 0.6–1.6 mm; large ones reach the front cortex. Heights within 1 mm of the middle, as on sections of bodies.
    """
    m, r = site.marks, site.between(0.32, 0.75)
    x, y, z = site.rng.normal(0, (0.6, 0.8, 0.7))
    middle: Vector = (float(x), m.middle_y + 0.8 + float(y), float(z))
    paths: list[tuple[tuple[Vector, ...], float]] = [(((0.0, m.back_y + 1.0, float(z)), middle), 1.15 * r)]
    through = site.side()
    for side in (1.0, -1.0):
        far = side * m.half_width * float(site.rng.uniform(0.3, 0.5))
        rise = float(site.rng.normal(0, 0.8))
        end = m.front_y + (-1.0 if site.size > 0.6 and side == through else float(site.rng.uniform(2.0, 4.0)))
        paths.append(((middle, (0.6 * far, m.middle_y - 1.5, float(z) + rise), (far, end, float(z) + 1.5 * rise)), r))
    inlays = tuple(i for path, width in paths for i in _canal(path, width))
    return (Feature(site.vertebra, inlays=inlays),)


def vascular_channel(site: Site) -> tuple[Feature, ...]:
    """Return a canal across a pillar (C1: a lateral mass), from its outer side towards the canal; 0.5–1.4 mm wide."""
    m, side = site.marks, site.side()
    middle = (np.array(m.facet_above) + np.array(m.facet_below)) / 2 + site.rng.normal(0, (0.5, 0.8, 1.0))
    lean = site.rng.normal(0, 1.2, 2)
    way = np.array([7.0, -3.5 + lean[0], 1.5 + lean[1]])
    ends = [middle + way, middle + 0.1 * way + (0.0, 0.8, 0.3), middle - site.between(0.1, 0.9) * way]
    path: tuple[Vector, ...] = tuple((side * float(p[0]), float(p[1]), float(p[2])) for p in ends)
    return (Feature(site.vertebra, inlays=_canal(path, site.between(0.28, 0.7))),)


def growth_plate(site: Site) -> tuple[Feature, ...]:
    """Return open growth plates: synchondroses of C1's front arch, the one below the dens, or ring apophyses."""
    if site.vertebra is Vertebra.C1:
        width = site.between(0.8, 3.0)
        fronts = (180.0 - _FRONT_PLATES_DEG, 180.0 + _FRONT_PLATES_DEG)
        return tuple(ring_cleft(site.bone, angle, width, 0.0) for angle in fronts)
    if site.vertebra is Vertebra.C2:
        return (_below_dens(site),)
    return (_ring_and_tip(site),)


def _below_dens(site: Site) -> Feature:
    m = site.marks
    at = (0.0, m.middle_y, dens_base_z(site.bone, m) - site.between(1.0, 3.0))
    tilt = ((float(site.rng.normal(0, 0.04)), float(site.rng.normal(0, 0.05)), 1.0), (1.0, 0.0, 0.0))
    half = site.between(0.3, 1.0)
    wide = (8.5, m.half_depth + 2.0)
    rim = Ellipsoid(at, (wide[0] - 0.5, wide[1], half + 1.0), tilt, 3.0)
    plate = Ellipsoid(at, (*wide, half), tilt, 3.0)
    inlays = (Inlay(rim, _WALL_HU, 0.8, 0.6), Inlay(plate, _CARTILAGE_HU, _EDGE_MM))
    return Feature(site.vertebra, inlays=inlays)


def _ring_and_tip(site: Site) -> Feature:
    """Return thin plates under the rims of the body and across the end of the spine; in children the arch as well."""
    m, thick = site.marks, site.between(0.45, 1.1)
    inlays = []
    for z, sign in ((m.top_z, -1.0), (m.bottom_z, 1.0)):
        radii = (0.80 * m.half_width, 0.84 * m.half_depth)
        ring = Rim((0.0, m.middle_y, z + sign * (1.2 + thick / 2)), radii, 0.36 * m.half_depth, thick)
        inlays.append(Inlay(ring, _CARTILAGE_HU, _EDGE_MM))
    x, y, z = m.tip
    inlays.append(Inlay(Ellipsoid((x, y - 1.0, z), (8.0, thick / 2, 7.0), exponent=3.0), _CARTILAGE_HU, _EDGE_MM))
    if site.age <= _NEUROCENTRAL_UNTIL:
        for side in (1.0, -1.0):
            lean = ((side * 0.85, -0.5, 0.0), (0.0, 0.0, 1.0))
            at = (side * 0.62 * m.half_width, m.back_y - 2.0, 1.5)
            inlays.append(Inlay(Ellipsoid(at, (7.0, 5.0, thick / 2 + 0.2), lean, 3.0), _CARTILAGE_HU, _EDGE_MM))
    return Feature(site.vertebra, inlays=tuple(inlays))


def _canal(path: tuple[Vector, ...], radius: float) -> tuple[Inlay, Inlay]:
    """Return a canal of blood in a faint wall."""
    wall: Solid = Tube(path, (radius + _WALL_MM,) * len(path))
    return Inlay(wall, _WALL_HU, 0.6, 0.45), Inlay(Tube(path, (radius,) * len(path)), _BLOOD_HU, _EDGE_MM)


__all__ = ["growth_plate", "nutrient_channel", "vascular_channel"]
