"""Bone where usually none is: rim fragments, ossicles, ossified ligaments."""

from cspine.domain import Vertebra
from cspine.phantom.bones.combine import Cut, irregular
from cspine.phantom.bones.primitives import Ellipsoid, Solid, Vector
from cspine.phantom.bones.sampled import SolidBone
from cspine.phantom.features.alter import Feature
from cspine.phantom.features.site import Site
from cspine.phantom.inlay import Inlay

_SCLEROTIC_HU = 850.0
_LIMBUS_SHARE = 0.62


def limbus(site: Site) -> tuple[Feature, ...]:
    """Return a corner of the body that is a separate ossicle with rounded dense edges: four of five in front on top.

    The defect is a bowl round the corner in the midline, so it ends in the front wall on both sides.
    """
    m = site.marks
    top = site.rng.random() < 0.8
    up = 1.0 if top else -1.0
    depth, gap = site.between(2.0, 4.6), site.between(0.7, 2.2)
    at: Vector = (float(site.rng.normal(0, 1.5)), m.front_y, m.top_z if top else m.bottom_z)
    lean = ((0.0, -0.64, 0.77 * up), (1.0, 0.0, 0.0))
    wide = _LIMBUS_SHARE * m.half_width

    def bowl(grown: float) -> Ellipsoid:
        return Ellipsoid(at, (wide + grown, 1.7 * depth + grown, depth + grown), lean)

    defect = Cut(bowl(gap / 2), (bowl(-gap / 2),), 0.3)
    dense = Cut(bowl(gap / 2 + 1.4), (bowl(-gap / 2 - 1.4),), 0.3)
    return (Feature(site.vertebra, removed=(defect,), inlays=(Inlay(dense, _SCLEROTIC_HU, 1.5, 0.6),)),)


def ossicle(site: Site) -> tuple[Feature, ...]:
    """Return a round corticated ossicle: below the front arch of C1, at the tip of the dens, or behind a spine."""
    m = site.marks
    if site.vertebra is Vertebra.C1:
        r = site.between(1.3, 3.2)
        at: Vector = (float(site.rng.normal(0, 2.0)), m.front_y + 1.5, m.bottom_z - r - 1.0)
        radii = (1.2 * r, 0.8 * r, r)
    elif site.vertebra is Vertebra.C2:
        r = site.between(1.0, 2.6)
        at = (float(site.rng.normal(0, 0.5)), m.middle_y, float(site.bone.bounds_mm[1, 2]) + 0.8 * r + 0.7)
        radii = (1.2 * r, 1.1 * r, 0.8 * r)
    else:
        r = site.between(1.2, 3.4)
        back = m.tip[1] + r + float(site.rng.uniform(3.5, 8.0))
        at = (float(site.rng.normal(0, 0.8)), back, m.tip[2] + float(site.rng.normal(0, 2.0)))
        radii = (0.7 * r, r, 1.5 * r)
    return (Feature(site.vertebra, loose=(_loose(site, "ossicle", Ellipsoid(at, radii)),)),)


def posterior_ligament(site: Site) -> tuple[Feature, ...]:
    """Return an ossified posterior longitudinal ligament: a plaque that narrows the canal by 1–4 mm."""
    m = site.marks
    thick, wide, tall = site.between(0.7, 2.1), site.between(2.6, 6.0), site.between(6.0, 11.0)
    at = (float(site.rng.normal(0, 1.0)), m.back_y + 0.75 * thick, float(site.rng.normal(0, 1.0)))
    plaque = Ellipsoid(at, (wide, thick, tall), exponent=2.6)
    return (Feature(site.vertebra, loose=(_loose(site, "ossified-posterior-ligament", plaque),)),)


def anterior_ligament(site: Site) -> tuple[Feature, ...]:
    """Return bone in the anterior longitudinal ligament, in front of the lower disc, thicker on one side."""
    m = site.marks
    thick, wide = site.between(0.9, 2.6), site.between(4.0, 8.5)
    low = -7.0 if site.vertebra is Vertebra.C2 else m.bottom_z
    tall = site.between(5.0, 9.0)
    at = (float(site.rng.normal(0, 2.5)), m.front_y - 0.35 * thick, low - 1.0 + float(site.rng.normal(0, 1.0)))
    return (
        Feature(
            site.vertebra,
            loose=(_loose(site, "ossified-anterior-ligament", Ellipsoid(at, (wide, thick, tall), exponent=2.4)),),
        ),
    )


def nuchal_ligament(site: Site) -> tuple[Feature, ...]:
    """Return an upright plate of bone in the nuchal ligament, a few mm behind the spines."""
    m = site.marks
    radii = (site.between(0.8, 1.8), site.between(1.6, 3.6), site.between(4.0, 13.0))
    at = (float(site.rng.normal(0, 0.6)), m.tip[1] + radii[1] + float(site.rng.uniform(3, 7)), m.tip[2])
    return (Feature(site.vertebra, loose=(_loose(site, "ossified-nuchal-ligament", Ellipsoid(at, radii)),)),)


def _loose(site: Site, name: str, solid: Solid) -> SolidBone:
    """Return a piece of bone with an irregular surface."""
    at = tuple(float(c) for c in solid.center)
    shape = irregular(solid, site.rng, 0.5, 0.12, lengths_mm=(8.0, 25.0), anchor=(at[0], at[1], at[2]))
    return SolidBone(f"{name}-{site.vertebra.name}", None, shape)


__all__ = ["anterior_ligament", "limbus", "nuchal_ligament", "ossicle", "posterior_ligament"]
