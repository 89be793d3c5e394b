"""Old healed fractures as mimics: the fracture engine makes them, the list of mimics asks for them."""

from collections.abc import Sequence

from cspine.phantom.fractures import Fracture, FractureAge, FractureType
from cspine.phantom.fractures.table import types_at
from cspine.phantom.mimics import Mimic, MimicKind

# Dislocated joints and gaps across a fused disc do not heal into something that is overlooked.
_NOT_OVERLOOKED = frozenset({
    FractureType.FACET_SUBLUXATION,
    FractureType.PILLAR_SUBLUXATION,
    FractureType.TRANSDISCAL,
})  # fmt: skip


def healed_fracture(mimic: Mimic) -> Fracture:
    """Return the healed fracture that a mimic stands for; its type is drawn from the mimic's own seed.

    What is overlooked has healed close to where it was: lines of 0.25–0.9 mm, shifts up to 1.6 mm, turns up to 5°.
    """
    odds = {kind: share for kind, share in types_at(mimic.vertebra).items() if kind not in _NOT_OVERLOOKED}
    total = sum(odds.values())
    kind = mimic.rng().choice([k.value for k in odds], p=[share / total for share in odds.values()])
    return Fracture(
        FractureType(str(kind)),
        mimic.vertebra,
        mimic.severity,
        seed=mimic.seed,
        age=FractureAge.HEALED,
        gap_mm=0.25 + 0.65 * mimic.size,
        shift_mm=1.6 * mimic.size**2,
        turn_deg=5.0 * mimic.size**2,
    )


def healed_fractures(mimics: Sequence[Mimic]) -> tuple[Fracture, ...]:
    """Return the healed fractures among mimics."""
    return tuple(healed_fracture(m) for m in mimics if m.kind is MimicKind.HEALED_FRACTURE)


__all__ = ["healed_fracture", "healed_fractures"]
