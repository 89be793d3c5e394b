"""From mimics to features of bones: one table, kind → maker."""

from collections.abc import Callable

from cspine.domain import Vertebra
from cspine.phantom.bones.primitives import Ellipsoid
from cspine.phantom.features.alter import Feature
from cspine.phantom.features.arches import (
    POSTERIOR_DEG,
    lamina_cleft,
    ring_cleft,
    separate_dens,
    thick_anterior_arch,
)
from cspine.phantom.features.channels import growth_plate, nutrient_channel, vascular_channel
from cspine.phantom.features.hardware import plate_and_screws, posterior_screws
from cspine.phantom.features.measure import dens_base_z
from cspine.phantom.features.ossified import (
    anterior_ligament,
    limbus,
    nuchal_ligament,
    ossicle,
    posterior_ligament,
)
from cspine.phantom.features.site import Measured, Site
from cspine.phantom.mimics import Mimic, MimicKind


def arch_cleft(site: Site) -> tuple[Feature, ...]:
    """Return an arch that never closed behind, near the midline; the gap is 1–6 mm wide."""
    if site.vertebra is Vertebra.C1:
        turn = float(site.rng.normal(0, 4))
        slant = float(site.rng.uniform(-20, 20))
        return (ring_cleft(site.bone, POSTERIOR_DEG + turn, site.between(1.0, 6.0), slant),)
    return (lamina_cleft(site.marks, site.between(0.9, 4.0), site.side() * 2.0),)


def os_odontoideum(site: Site) -> tuple[Feature, ...]:
    """Return a dens that is an ossicle, 2.5–6.5 mm above the body, under a large front arch of C1."""
    atlas = site.measured.marks(Vertebra.C1)
    return separate_dens(site.bone, site.marks, site.between(2.5, 6.5)), thick_anterior_arch(atlas)


def mach_line(site: Site) -> tuple[Feature, ...]:
    """Return where cortices overlap: the joints below C1, the foot of the dens, or a facet joint."""
    m = site.marks
    x, y, z = m.facet_below
    if site.vertebra is Vertebra.C1:
        rooms = tuple(Ellipsoid((s * x, y, z), (10.0, 9.0, 6.0)) for s in (1.0, -1.0))
    elif site.vertebra is Vertebra.C2:
        rooms = (Ellipsoid((0.0, m.middle_y, dens_base_z(site.bone, m)), (11.0, 9.0, 6.5)),)
    else:
        rooms = (Ellipsoid((site.side() * x, y, z + 2.0), (9.0, 9.0, 8.0)),)
    return (Feature(site.vertebra, region=rooms),)


def dental_metal(site: Site) -> tuple[Feature, ...]:
    """Return the vertebra that streaks of fillings cross; the fillings are in the teeth."""
    m = site.marks
    tall = 11.0 if site.vertebra is Vertebra.C1 else 9.0
    room = Ellipsoid((0.0, m.middle_y + 4.0, 0.0), (m.half_width + 6.0, m.half_depth + 9.0, tall), exponent=3.0)
    return (Feature(site.vertebra, region=(room,)),)


SHAPES: dict[MimicKind, Callable[[Site], tuple[Feature, ...]]] = {
    MimicKind.NUTRIENT_CHANNEL: nutrient_channel,
    MimicKind.VASCULAR_CHANNEL: vascular_channel,
    MimicKind.ARCH_CLEFT: arch_cleft,
    MimicKind.OS_ODONTOIDEUM: os_odontoideum,
    MimicKind.LIMBUS: limbus,
    MimicKind.OSSICLE: ossicle,
    MimicKind.OSSIFIED_POSTERIOR_LIGAMENT: posterior_ligament,
    MimicKind.OSSIFIED_ANTERIOR_LIGAMENT: anterior_ligament,
    MimicKind.OSSIFIED_NUCHAL_LIGAMENT: nuchal_ligament,
    MimicKind.GROWTH_PLATE: growth_plate,
    MimicKind.PLATE_AND_SCREWS: plate_and_screws,
    MimicKind.POSTERIOR_SCREWS: posterior_screws,
    MimicKind.DENTAL_METAL: dental_metal,
    MimicKind.MACH_LINE: mach_line,
}
"""Mimics with a place in a bone. Streaks and steps of motion have theirs in the image alone."""


def mimic_features(mimic: Mimic, measured: Measured, age: float) -> tuple[Feature, ...]:
    """Return what a mimic does to bones; nothing for one that is in the image alone."""
    if mimic.kind not in SHAPES:
        return ()
    return SHAPES[mimic.kind](Site(measured, mimic.vertebra, mimic.size, age, mimic.rng()))


__all__ = ["SHAPES", "mimic_features"]
