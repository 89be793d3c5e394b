"""All that is peculiar about the bones of one person, and where that can be seen."""

from dataclasses import dataclass

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.anatomy import Anatomy
from cspine.phantom.discs import Discs
from cspine.phantom.features.alter import Feature, Individual
from cspine.phantom.features.mimic_shapes import mimic_features
from cspine.phantom.features.site import Measured
from cspine.phantom.features.traces import Trace, TraceBone, placed_trace
from cspine.phantom.features.variant_shapes import variant_contacts, variant_features
from cspine.phantom.mimics import Mimic, MimicKind
from cspine.phantom.skeleton import Skeleton
from cspine.phantom.variants import FusionKind, Variants


@dataclass(frozen=True, eq=False)
class Lookalike:
    """A mimic made of bone, cartilage or metal.

    Attributes
    ----------
    number
        Its place among the mimics of the specification, or ``None`` for one that comes with the variants.
    """

    kind: MimicKind
    vertebra: Vertebra
    features: tuple[Feature, ...]
    number: int | None = None


def peculiarities(
    variants: Variants,
    mimics: tuple[Mimic, ...],
    anatomy: Anatomy,
    *,
    age: float,
    discs: Discs,
    rng: np.random.Generator,
) -> tuple[Individual, tuple[Lookalike, ...]]:
    """Return what differs about a person's bones, and which of that looks like a fracture."""
    measured = Measured(anatomy)
    clefts, dens, rest = variant_features(variants, measured, discs, rng)
    alike = [
        Lookalike(mimic.kind, mimic.vertebra, mimic_features(mimic, measured, age), number)
        for number, mimic in enumerate(mimics)
    ]
    if clefts:
        alike.append(Lookalike(MimicKind.ARCH_CLEFT, Vertebra.C1, clefts))
    if dens:
        alike.append(Lookalike(MimicKind.OS_ODONTOIDEUM, Vertebra.C2, dens))
    blocks = frozenset(v for f in variants.fusions if f.kind is FusionKind.BLOCK for v in f.uppers)
    features = tuple(f for a in alike for f in a.features) + rest
    contacts = variant_contacts(variants, measured, discs, rng)
    return Individual(features, contacts, blocks), tuple(a for a in alike if a.features)


def traces(alike: tuple[Lookalike, ...], anatomy: Anatomy, skeleton: Skeleton) -> tuple[Trace, ...]:
    """Return where lookalikes are in a posed person."""
    placed = {b.bone.vertebra: b.to_body for b in skeleton.bones if b.bone.vertebra is not None}
    return tuple(
        Trace(
            a.kind,
            a.vertebra,
            tuple(placed_trace(TraceBone(anatomy.vertebrae[f.vertebra], f), placed[f.vertebra]) for f in a.features),
            a.number,
        )
        for a in alike
    )


__all__ = ["Lookalike", "peculiarities", "traces"]
