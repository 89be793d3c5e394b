"""From the variants of a person to features of single bones and contacts between neighbors."""

from collections.abc import Callable

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.bones.combine import Union
from cspine.phantom.bones.primitives import Ellipsoid, Solid, Tube, Vector
from cspine.phantom.bones.sampled import SolidBone
from cspine.phantom.discs import Discs
from cspine.phantom.features.alter import Feature
from cspine.phantom.features.arches import ANTERIOR_DEG, POSTERIOR_DEG, ring_cleft, separate_dens, thick_anterior_arch
from cspine.phantom.features.bridges import (
    block_contacts,
    flowing_contacts,
    skull_contacts,
    stiff_contacts,
    worn_facets,
)
from cspine.phantom.features.measure import Landmarks, foramen
from cspine.phantom.features.site import Measured
from cspine.phantom.inlay import Inlay
from cspine.phantom.joints import Contact
from cspine.phantom.variants import ArchCleft, Arthrosis, Foramina, FusionKind, Spine, Variants

SKULL = 0  # stands for the skull where a level names the upper one of two neighbors
BLOCK_DISC_MM = 2.0
_SCLEROTIC_HU, _WORN_LOSS_MM = 900.0, 0.8
_RIM_MM = 1.7  # wall round a foramen


def variant_features(
    variants: Variants, measured: Measured, discs: Discs, rng: np.random.Generator
) -> tuple[tuple[Feature, ...], tuple[Feature, ...], tuple[Feature, ...]]:
    """Return what variants do to single bones: clefts of C1, the separate dens, and all else.

    Draws as many numbers whatever the variants are.
    """
    rolls = rng.random(16)
    dens: tuple[Feature, ...] = ()
    if variants.os_odontoideum:
        axis = measured.anatomy.vertebrae[Vertebra.C2]
        dens = (
            separate_dens(axis, measured.marks(Vertebra.C2), 3.5 + 3.0 * float(rolls[4])),
            thick_anterior_arch(measured.marks(Vertebra.C1)),
        )
    rest = _ribs(variants.cervical_rib_mm, measured)
    rest += tuple(_foramina(f, measured) for f in variants.foramina)
    rest += tuple(_spine(s, measured.marks(s.vertebra)) for s in variants.spines)
    rest += tuple(f for a in variants.arthrosis for f in _arthrosis(a, measured))
    if variants.sclerosis > 0:
        rest += _sclerosis(variants.sclerosis, measured, discs)
    return _clefts(variants.c1_cleft, measured, rolls), dens, rest


def variant_contacts(
    variants: Variants, measured: Measured, discs: Discs, rng: np.random.Generator
) -> dict[int, tuple[Contact, ...]]:
    """Return how neighbors meet otherwise than by a joint, by the value of the upper one (0: the skull)."""
    contacts: dict[int, tuple[Contact, ...]] = {}
    for fusion in variants.fusions:
        for upper in fusion.uppers:
            contacts[int(upper)] = _CONTACTS[fusion.kind](measured, upper, discs, rng)
    for worn in variants.arthrosis:
        contacts.setdefault(int(worn.upper), ())
        contacts[int(worn.upper)] += worn_facets(measured.marks(worn.upper), worn.left, worn.right)
    if variants.atlas_assimilated:
        contacts[SKULL] = skull_contacts()
    return contacts


def _disc_mm(measured: Measured, discs: Discs, upper: Vertebra) -> float:
    joint = measured.anatomy.joints.get(upper)
    return 4.5 if joint is None else max(1.6, joint.disc_mm * discs.factor - discs.loss_below_mm(upper))


def _block(
    measured: Measured,
    upper: Vertebra,
    discs: Discs,
    rng: np.random.Generator,
) -> tuple[Contact, ...]:
    return block_contacts(measured.marks(upper), BLOCK_DISC_MM)


def _stiff(measured: Measured, upper: Vertebra, discs: Discs, rng: np.random.Generator) -> tuple[Contact, ...]:
    return stiff_contacts(measured.marks(upper), _disc_mm(measured, discs, upper), rng)


def _flowing(measured: Measured, upper: Vertebra, discs: Discs, rng: np.random.Generator) -> tuple[Contact, ...]:
    lower = measured.marks(Vertebra(upper + 1))
    return flowing_contacts(measured.marks(upper), lower, _disc_mm(measured, discs, upper), rng)


_CONTACTS: dict[FusionKind, Callable[[Measured, Vertebra, Discs, np.random.Generator], tuple[Contact, ...]]] = {
    FusionKind.BLOCK: _block,
    FusionKind.SPONDYLITIS: _stiff,
    FusionKind.DISH: _flowing,
}


def _clefts(cleft: ArchCleft, measured: Measured, rolls: np.ndarray) -> tuple[Feature, ...]:
    if cleft is ArchCleft.NONE:
        return ()
    bone = measured.anatomy.vertebrae[Vertebra.C1]
    angles = {
        ArchCleft.POSTERIOR: ((POSTERIOR_DEG, 2.0 + 4.0 * rolls[0]),),
        ArchCleft.LEFT: ((48.0, 5.0 + 6.0 * rolls[0]),),
        ArchCleft.RIGHT: ((-48.0, 5.0 + 6.0 * rolls[0]),),
        ArchCleft.ANTERIOR: ((ANTERIOR_DEG, 1.5 + 2.5 * rolls[1]),),
        ArchCleft.SPLIT: ((POSTERIOR_DEG, 2.0 + 4.0 * rolls[0]), (ANTERIOR_DEG, 1.5 + 2.5 * rolls[1])),
    }[cleft]
    return tuple(
        ring_cleft(bone, angle + 8.0 * (rolls[2] - 0.5), float(gap), 30.0 * float(rolls[3] - 0.5))
        for angle, gap in angles
    )


def _ribs(lengths_mm: tuple[float, float], measured: Measured) -> tuple[Feature, ...]:
    """Return cervical ribs: from the transverse process of C7 down and forward, beside the scalenes."""
    features = []
    for name, side, length in zip(("left", "right"), (1.0, -1.0), lengths_mm, strict=True):
        if length <= 0:
            continue
        x, y, z = measured.marks(Vertebra.C7).side
        course = np.array([[1, -3, -1], [6, -6, -4], [11, -13, -9], [13, -23, -16], [11, -35, -25], [6, -46, -33]])
        way = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(course, axis=0), axis=1))])
        at = np.linspace(0, min(length, way[-1]), 10)
        line = np.stack([np.interp(at, way, course[:, k]) for k in range(3)], axis=1)
        line += np.array([x, y - 2.0, z])
        path: tuple[Vector, ...] = tuple((side * float(p[0]), float(p[1]), float(p[2])) for p in line)
        radii = tuple(float(r) for r in np.linspace(3.4, 2.3, len(path)))
        rib = SolidBone(f"rib-cervical-{name}", None, Tube(path, radii))
        features.append(Feature(Vertebra.C7, loose=(rib,)))
    return tuple(features)


def _foramina(sizes: Foramina, measured: Measured) -> Feature:
    """Return foramina of another width: a collar of bone with the new hole in it."""
    bone = measured.anatomy.vertebrae[sizes.vertebra]
    added: list[Solid] = []
    removed: list[Solid] = []
    for side, factor in ((1, sizes.left), (-1, sizes.right)):
        if factor == 1:
            continue
        hole = foramen(bone, side)
        radius = factor * min(hole.radius, 3.0)
        # Wider holes grow outward, away from the body; narrow ones stay in the middle of the old one.
        x = hole.x + side * max(0.0, radius - hole.radius)
        collar = max(radius + _RIM_MM, hole.radius + 0.8)
        added.append(Tube(((x, hole.y, hole.z - 1.0), (x, hole.y, hole.z + 1.0)), (collar, collar)))
        removed.append(Tube(((x, hole.y, hole.z - 14.0), (x, hole.y, hole.z + 14.0)), (radius, radius)))
    return Feature(sizes.vertebra, added=tuple(added), removed=tuple(removed))


def _spine(spine: Spine, marks: Landmarks) -> Feature:
    """Return a spinous process with two prongs, or with one knob."""
    _, y, z = marks.tip
    if not spine.bifid:
        knob = Tube(((0.0, y - 7.0, z + 1.5), (0.0, y - 1.5, z)), (3.4, 4.4))
        return Feature(marks.vertebra, added=(knob,))
    prongs = tuple(Tube(((s * 1.5, y - 7.0, z + 1.0), (s * 5.2, y, z - 1.2)), (2.4, 2.6)) for s in (1.0, -1.0))
    notch = Tube(((0.0, y - 3.0, z - 5.0), (0.0, y - 3.0, z + 6.0)), (2.4, 2.4))
    mouth = Ellipsoid((0.0, y + 1.5, z), (3.0, 4.2, 7.0))
    return Feature(marks.vertebra, added=prongs, removed=(notch, mouth))


def _arthrosis(worn: Arthrosis, measured: Measured) -> tuple[Feature, ...]:
    """Return bony lips round a worn facet joint, on both bones, and dense bone under its surfaces."""
    features = []
    lower = Vertebra(worn.upper + 1)
    for vertebra, facet, toward in (
        (worn.upper, measured.marks(worn.upper).facet_below, 1.0),
        (lower, measured.marks(lower).facet_above, -1.0),
    ):
        added: list[Solid] = []
        inlays: list[Inlay] = []
        for side, grade in ((1.0, worn.left), (-1.0, worn.right)):
            if grade > 0:
                x, y, z = facet
                size = 1.4 + 1.8 * grade
                lips = [((side * (x + 3.6), y + 0.5, z + 4.5 * toward), (size + 0.6, size + 3.0, 4.6))]
                lips.append(((side * (x + 0.5), y + 3.0, z + 4.0 * toward), (size + 3.0, size + 0.4, 4.2)))
                added.append(Union(tuple(Ellipsoid(at, radii) for at, radii in lips), 3.0))
                dense = Ellipsoid((side * (x + 1.0), y + 0.5, z + 2.5 * toward), (9.0, 8.0, 6.0))
                inlays.append(Inlay(dense, _SCLEROTIC_HU, 4.0, 0.75 * grade))
        features.append(Feature(vertebra, added=tuple(added), inlays=tuple(inlays)))
    return tuple(features)


def _sclerosis(sclerosis: float, measured: Measured, discs: Discs) -> tuple[Feature, ...]:
    """Return dense endplates on both sides of discs that lost height."""
    features = []
    for upper in (Vertebra(v) for v in range(Vertebra.C2, Vertebra.T1)):
        worn = discs.loss_below_mm(upper)
        if worn < _WORN_LOSS_MM:
            continue
        for vertebra, top in ((upper, False), (Vertebra(upper + 1), True)):
            marks = measured.marks(vertebra)
            z = marks.top_z if top else marks.bottom_z
            plate = Ellipsoid((0.0, marks.middle_y - 1.0, z), (marks.half_width, marks.half_depth + 1.0, 3.2))
            share = sclerosis * min(1.0, worn / 2.5)
            features.append(Feature(vertebra, inlays=(Inlay(plate, _SCLEROTIC_HU, 3.0, share),)))
    return tuple(features)


__all__ = ["SKULL", "variant_contacts", "variant_features"]
