"""The one table of types and levels: it drives what is drawn and what is refused.

Amounts are those of severity 5; `severity` gives the others. Displacements come from the classifications named in
`source` where these give figures, and are chosen to look like the published examples where they do not.
"""

from dataclasses import dataclass, field

from cspine.domain import ConfigError, Vertebra
from cspine.phantom.fractures.kinds import FractureType

GAP_LIMITS_MM = (0.0, 2.5)
SHIFT_LIMITS_MM = (0.0, 6.0)
TURN_LIMITS_DEG = (0.0, 20.0)
SWELLING_LIMITS_MM = (0.0, 15.0)

_SUBAXIAL = tuple(Vertebra(v) for v in range(Vertebra.C3, Vertebra.C7 + 1))
_BELOW_ATLAS = (Vertebra.C2, *_SUBAXIAL)
_WITH_T1 = (*_SUBAXIAL, Vertebra.T1)


@dataclass(frozen=True)
class Rule:
    """One row of the table.

    Attributes
    ----------
    levels
        Where the type exists; T1 and what hangs on C1 or T1 but is no vertebra are distractors.
    one_sided
        Whether it happens on the left or on the right.
    gap_mm, shift_mm, turn_deg, swelling_mm
        Amounts at severity 5.
    impaction
        0 … 1, how much the bone beside the break is compacted, at any severity.
    odds
        How often a fracture of a level is of this type, relative to the other types.
    source
        Who described it, and where its figures come from.
    """

    levels: tuple[Vertebra, ...]
    one_sided: bool
    gap_mm: float
    shift_mm: float
    turn_deg: float
    swelling_mm: float
    impaction: float
    odds: dict[Vertebra, float] = field(default_factory=dict)
    source: str = ""


def _on(levels: tuple[Vertebra, ...], odds: float, **others: float) -> dict[Vertebra, float]:
    """Return the same odds for all levels but those named, such as ``C7=2.0``."""
    return {v: others.get(v.name, odds) for v in levels}


_T = FractureType
_C1, _C2 = (Vertebra.C1,), (Vertebra.C2,)
_ALL = (*_C1, *_BELOW_ATLAS)

RULES: dict[FractureType, Rule] = {
    _T.C1_ANTERIOR_ARCH: Rule(_C1, True, 2.0, 2.0, 5.0, 5.0, 0.0, _on(_C1, 1.5), "Landells 1988 (Spine 13:450)"),
    _T.C1_POSTERIOR_ARCH: Rule(_C1, False, 2.2, 3.0, 8.0, 2.0, 0.0, _on(_C1, 3.0),
        "Landells 1988 type I: at the groove of the vertebral artery, behind the lateral masses"),
    _T.JEFFERSON: Rule(_C1, False, 2.4, 4.0, 5.0, 6.0, 0.0, _on(_C1, 2.0),
        "Jefferson 1920; Spence 1970: masses overhang C2 by 7 mm in sum when the transverse ligament is torn"),
    _T.LATERAL_MASS: Rule((*_C1, *_C2), True, 1.8, 3.0, 10.0, 4.0, 0.3, _on((*_C1, *_C2), 1.6, C2=1.0),
        "Landells 1988 type III"),
    _T.TRANSVERSE_PROCESS: Rule((*_ALL, Vertebra.T1), True, 1.8, 3.5, 12.0, 0.0, 0.0,
        _on((*_ALL, Vertebra.T1), 1.0, C1=1.2, C2=0.5, C6=1.3, C7=3.0, T1=3.0),
        "Woodring 1993 (J Trauma 34:797): three of four run into the foramen transversarium; C7 most"),
    _T.DENS_I: Rule(_C2, True, 1.8, 2.5, 12.0, 4.0, 0.0, _on(_C2, 0.3), "Anderson and D'Alonzo 1974: tip, oblique"),
    _T.DENS_II: Rule(_C2, False, 2.2, 6.0, 16.0, 7.0, 0.0, _on(_C2, 2.8),
        "Anderson and D'Alonzo 1974: neck; beyond 5 mm or 10° it seldom heals"),
    _T.DENS_III: Rule(_C2, False, 2.0, 4.0, 10.0, 6.0, 0.4, _on(_C2, 1.8),
        "Anderson and D'Alonzo 1974: into the spongy body of C2"),
    _T.HANGMAN: Rule(_C2, False, 2.4, 5.0, 11.0, 6.0, 0.0, _on(_C2, 1.5),
        "Levine and Edwards 1985: type I up to 3 mm without angulation, II more, IIa more than 11°"),
    _T.C2_BODY: Rule(_C2, True, 1.8, 3.0, 8.0, 5.0, 0.2, _on(_C2, 1.2), "Benzel 1994 (J Neurosurg 81:206)"),
    _T.EXTENSION_TEARDROP: Rule(_BELOW_ATLAS, False, 2.2, 3.0, 20.0, 8.0, 0.0, _on(_BELOW_ATLAS, 0.7, C2=0.9),
        "Anterior inferior corner, at least as tall as deep, C2 most; Schneider and Kahn 1956 for the name"),
    _T.WEDGE: Rule(_WITH_T1, False, 0.8, 1.2, 19.0, 6.0, 1.0, _on(_WITH_T1, 1.6, C3=0.6, T1=3.0),
        "Allen 1982 compressive flexion 1–2: the front gives way, the posterior wall holds"),
    _T.BURST: Rule(_WITH_T1, False, 2.0, 6.0, 14.0, 9.0, 0.8, _on(_WITH_T1, 0.9, C3=0.4, T1=0.6),
        "Allen 1982 vertical compression 2–3: fragments into the canal"),
    _T.FLEXION_TEARDROP: Rule(_SUBAXIAL, False, 2.4, 4.5, 18.0, 9.0, 0.3, _on(_SUBAXIAL, 0.7),
        "Schneider and Kahn 1956; Allen 1982 compressive flexion 3–5"),
    _T.SAGITTAL_SPLIT: Rule(_SUBAXIAL, False, 2.2, 2.5, 4.0, 6.0, 0.0, _on(_SUBAXIAL, 0.5),
        "Through body and arch; Allen 1982 vertical compression"),
    _T.CORONAL_SPLIT: Rule(_SUBAXIAL, False, 2.2, 2.5, 6.0, 6.0, 0.0, _on(_SUBAXIAL, 0.5),
        "Vaccaro 2016 (Eur Spine J 25:2173) type A2"),
    _T.UNCINATE: Rule(_SUBAXIAL, True, 1.6, 2.5, 15.0, 2.0, 0.0, _on(_SUBAXIAL, 0.5), "Vaccaro 2016 type A0"),
    _T.PEDICLE: Rule(_SUBAXIAL, True, 2.2, 1.0, 3.0, 2.0, 0.0, _on(_SUBAXIAL, 0.8),
        "With a lamina fracture it frees the pillar; Allen 1982 compressive extension"),
    _T.FACET: Rule(_SUBAXIAL, True, 2.0, 4.0, 20.0, 2.0, 0.0, _on(_SUBAXIAL, 1.2), "Vaccaro 2016 type F1–F2"),
    _T.FACET_SUBLUXATION: Rule(_SUBAXIAL, True, 2.2, 4.0, 18.0, 6.0, 0.0, _on(_SUBAXIAL, 0.7),
        "Vaccaro 2016 type F4; Allen 1982 distractive flexion: a quarter of the body's depth when one-sided"),
    _T.PILLAR: Rule(_SUBAXIAL, True, 2.0, 3.0, 12.0, 2.0, 0.2, _on(_SUBAXIAL, 1.3), "Vaccaro 2016 type F2–F3"),
    _T.PILLAR_SUBLUXATION: Rule(_SUBAXIAL, True, 2.2, 3.5, 12.0, 6.0, 0.2, _on(_SUBAXIAL, 0.5),
        "Vaccaro 2016 type F3 with listhesis"),
    _T.LAMINA: Rule(_SUBAXIAL, True, 2.2, 1.5, 8.0, 0.0, 0.0, _on(_SUBAXIAL, 1.3), "Vaccaro 2016 type A0"),
    _T.SPINOUS_PROCESS: Rule((*_BELOW_ATLAS, Vertebra.T1), False, 2.4, 6.0, 16.0, 0.0, 0.0,
        _on((*_BELOW_ATLAS, Vertebra.T1), 0.8, C2=0.3, C6=2.5, C7=3.0, T1=3.0),
        "Hall 1940: clay shoveler, C6–T1, drawn down"),
    _T.TRANSDISCAL: Rule(_SUBAXIAL, False, 2.5, 3.0, 10.0, 9.0, 0.0, _on(_SUBAXIAL, 0.25),
        "Across a bridged disc below the level named; Caron 2010 (Spine 35:E458): C5–C7, hyperextension"),
    _T.SKULL_BASE: Rule(_C1, True, 1.6, 2.5, 10.0, 4.0, 0.0, {},
        "Occipital condyle, Anderson and Montesano 1988 (Spine 13:731)"),
    _T.FIRST_RIB: Rule((Vertebra.T1,), True, 2.2, 4.0, 12.0, 0.0, 0.0, {}, "Behind the groove of the artery"),
    _T.CLAVICLE: Rule((Vertebra.T1,), True, 2.5, 6.0, 20.0, 0.0, 0.0, {}, "Middle third"),
}  # fmt: skip

OTHER_BONES = (FractureType.SKULL_BASE, FractureType.FIRST_RIB, FractureType.CLAVICLE)
"""Types of bones that are no vertebra; their level is the one whose frame the bone hangs in."""


def is_distractor(kind: FractureType, level: Vertebra) -> bool:
    """Return whether the RSNA labels leave a fracture out."""
    return kind in OTHER_BONES or not level.is_cervical


def types_at(level: Vertebra) -> dict[FractureType, float]:
    """Return the types that exist at a level with their odds; those of other bones are left out."""
    return {kind: rule.odds[level] for kind, rule in RULES.items() if rule.odds.get(level, 0.0) > 0}


def check_level(kind: FractureType, level: Vertebra) -> None:
    """Refuse a type at a level where it does not exist.

    Raises
    ------
    ConfigError
        Names the type, the level and the levels allowed.
    """
    allowed = RULES[kind].levels
    if level not in allowed:
        names = ", ".join(v.name for v in allowed)
        raise ConfigError(f"there is no {kind.value} fracture at {level.name}: it exists at {names}")


__all__ = [
    "GAP_LIMITS_MM",
    "OTHER_BONES",
    "RULES",
    "SHIFT_LIMITS_MM",
    "SWELLING_LIMITS_MM",
    "TURN_LIMITS_DEG",
    "Rule",
    "check_level",
    "is_distractor",
    "types_at",
]
