"""Anatomical variants and wear of one person: which there are, how they are drawn, which are impossible."""

from dataclasses import dataclass, fields
from enum import StrEnum

import numpy as np

from cspine.domain import ConfigError, Vertebra

_LONGEST_RIB_MM = 70.0
_FORAMEN_FACTORS = (0.3, 1.8)
_FUSED_FROM, _FUSED_TO = Vertebra.C2, Vertebra.T3
_HAS_SPINE = (Vertebra.C2, Vertebra.C7)


class ArchCleft(StrEnum):
    """Where the ring of C1 is open."""

    NONE = "none"
    POSTERIOR = "posterior"
    LEFT = "left"
    RIGHT = "right"
    ANTERIOR = "anterior"
    SPLIT = "split"


class FusionKind(StrEnum):
    """Why neighboring vertebrae are one."""

    BLOCK = "block"
    SPONDYLITIS = "spondylitis"
    DISH = "dish"


@dataclass(frozen=True)
class Fusion:
    """Vertebrae that are one, from `upper` to `lower`.

    A block is congenital (Klippel–Feil): remnant of a disc, fused facets, narrow waist. Spondylitis is ankylosing
    spondylitis: thin bridges round the discs, fused facets. DISH is diffuse idiopathic skeletal hyperostosis: flowing
    bone in front of the discs, free facets.
    """

    kind: FusionKind
    upper: Vertebra
    lower: Vertebra

    def __post_init__(self) -> None:
        if not _FUSED_FROM <= self.upper < self.lower <= _FUSED_TO:
            raise ConfigError(
                f"{self.kind} fusion from {self.upper.name} to {self.lower.name}: must go down, "
                f"within {_FUSED_FROM.name} … {_FUSED_TO.name}"
            )

    @property
    def uppers(self) -> tuple[Vertebra, ...]:
        """The upper vertebra of every fused pair."""
        return tuple(Vertebra(v) for v in range(self.upper, self.lower))


@dataclass(frozen=True)
class Arthrosis:
    """Worn facet joints below a vertebra: 0 … 1 on the left and on the right."""

    upper: Vertebra
    left: float
    right: float

    def __post_init__(self) -> None:
        if not Vertebra.C2 <= self.upper <= Vertebra.C7:
            raise ConfigError(f"facet arthrosis below {self.upper.name}: must be below C2 … C7")
        for side, grade in (("left", self.left), ("right", self.right)):
            if not 0 <= grade <= 1:
                raise ConfigError(f"facet arthrosis below {self.upper.name}: {side} is {grade}, must be 0 … 1")


@dataclass(frozen=True)
class Foramina:
    """Foramina transversaria of another size: factors of the diameter on the left and on the right."""

    vertebra: Vertebra
    left: float
    right: float

    def __post_init__(self) -> None:
        if not Vertebra.C3 <= self.vertebra <= Vertebra.C7:
            raise ConfigError(f"unequal foramina of {self.vertebra.name}: must be C3 … C7")
        low, high = _FORAMEN_FACTORS
        for side, factor in (("left", self.left), ("right", self.right)):
            if not low <= factor <= high:
                raise ConfigError(f"foramen of {self.vertebra.name}: {side} is {factor}, must be {low} … {high}")


@dataclass(frozen=True)
class Spine:
    """A spinous process that is, or is not, split at its end."""

    vertebra: Vertebra
    bifid: bool

    def __post_init__(self) -> None:
        if not _HAS_SPINE[0] <= self.vertebra <= _HAS_SPINE[1]:
            raise ConfigError(f"spinous process of {self.vertebra.name}: must be C2 … C7")


@dataclass(frozen=True)
class Variants:
    """What is unusual about the bones of one person; by default nothing.

    Attributes
    ----------
    c1_cleft
        Gap in the ring of C1.
    atlas_assimilated
        C1 is one with the occiput, at the condyles.
    os_odontoideum
        The dens is a separate ossicle.
    fusions
        Congenital blocks and ankylosis; they must not overlap.
    cervical_rib_mm
        Length of a rib on the (left, right) of C7, 0 for none.
    foramina, spines, arthrosis
        Of single vertebrae, each named once.
    sclerosis
        0 … 1: dense endplates beside worn discs.
    """

    c1_cleft: ArchCleft = ArchCleft.NONE
    atlas_assimilated: bool = False
    os_odontoideum: bool = False
    fusions: tuple[Fusion, ...] = ()
    cervical_rib_mm: tuple[float, float] = (0.0, 0.0)
    foramina: tuple[Foramina, ...] = ()
    spines: tuple[Spine, ...] = ()
    arthrosis: tuple[Arthrosis, ...] = ()
    sclerosis: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.sclerosis <= 1:
            raise ConfigError(f"sclerosis is {self.sclerosis}, must be 0 … 1")
        for side, length in zip(("left", "right"), self.cervical_rib_mm, strict=True):
            if not 0 <= length <= _LONGEST_RIB_MM:
                raise ConfigError(f"{side} cervical rib is {length} mm long, must be 0 … {_LONGEST_RIB_MM:g}")
        _each_once("fused below", [v for f in self.fusions for v in f.uppers])
        _each_once("foramina of", [f.vertebra for f in self.foramina])
        _each_once("spinous process of", [s.vertebra for s in self.spines])
        _each_once("arthrosis below", [a.upper for a in self.arthrosis])

    @property
    def any(self) -> bool:
        """Whether anything is unusual."""
        return any(getattr(self, f.name) != f.default for f in fields(self))

    def fused_below(self, upper: Vertebra) -> FusionKind | None:
        """Return how a vertebra is fused with the next one, or ``None``."""
        return next((f.kind for f in self.fusions if upper in f.uppers), None)


def _each_once(what: str, levels: list[Vertebra]) -> None:
    twice = [v.name for v in Vertebra if levels.count(v) > 1]
    if twice:
        raise ConfigError(f"{what} {', '.join(twice)}: given more than once")


# Chances of an adult. Clefts of C1: 4 % behind, nine of ten in the midline, 0.1 % in front (autopsies, Currarino 1994).
# Blocks: 0.7 % of CT, C2/C3 and C5/C6 first. Cervical ribs: about 1 %, half of them on both sides. The others are of
# the right order only: os odontoideum and assimilation are rare, DISH of the neck belongs to old age.
_CLEFT_CHANCES = {
    ArchCleft.POSTERIOR: 0.036,
    ArchCleft.LEFT: 0.002,
    ArchCleft.RIGHT: 0.002,
    ArchCleft.ANTERIOR: 0.0005,
    ArchCleft.SPLIT: 0.0005,
}
_OS_CHANCE, _ASSIMILATION_CHANCE = 0.002, 0.005
_BLOCK_CHANCE, _BLOCK_ODDS = 0.007, {2: 0.4, 3: 0.12, 4: 0.1, 5: 0.25, 6: 0.13}
_RIB_CHANCE = 0.01
_SPONDYLITIS_CHANCE = 0.004
_DISH_CHANCE_AT_EIGHTY = 0.08
_UNEQUAL_CHANCE = 0.12
_SPINE_CHANCE = 0.15
# Arthrosis below C2 … C7 in a very worn neck: C4/C5 and C3/C4 first (465 skeletons, Lee and Riew 2009).
_ARTHROSIS_ODDS = {2: 0.45, 3: 0.65, 4: 0.7, 5: 0.5, 6: 0.35, 7: 0.3}


def sample_variants(rng: np.random.Generator, age: float) -> Variants:
    """Draw the variants and the wear of a person of some age in years, as common as they are in adults.

    Every chance is drawn whatever the others give, so that changing one leaves the rest as they were.
    """
    worn = float(np.clip((age - 30) / 55, 0, 1))
    cleft = _drawn(rng, _CLEFT_CHANCES)
    rare = rng.random(2) < (_OS_CHANCE, _ASSIMILATION_CHANCE)
    fusions = _fusions(rng, age)
    ribs = _ribs(rng)
    foramina = tuple(_foramina(rng, Vertebra(v)) for v in range(Vertebra.C3, Vertebra.C7 + 1))
    spines = tuple(
        Spine(Vertebra(v), bool(rng.random() < 0.5))
        for v in range(Vertebra.C3, Vertebra.C7)
        if rng.random() < _SPINE_CHANCE
    )
    arthrosis = tuple(_arthrosis(rng, Vertebra(v), chance * worn) for v, chance in _ARTHROSIS_ODDS.items())
    return Variants(
        c1_cleft=cleft or ArchCleft.NONE,
        atlas_assimilated=bool(rare[1]),
        os_odontoideum=bool(rare[0]),
        fusions=fusions,
        cervical_rib_mm=ribs,
        foramina=tuple(f for f in foramina if f.left != 1 or f.right != 1),
        spines=spines,
        arthrosis=tuple(a for a in arthrosis if a.left > 0 or a.right > 0),
        sclerosis=float(rng.beta(1.2, 2.0)) * worn,
    )


def _drawn(rng: np.random.Generator, chances: dict[ArchCleft, float]) -> ArchCleft | None:
    at = float(rng.random())
    for kind, chance in chances.items():
        at -= chance
        if at < 0:
            return kind
    return None


def _fusions(rng: np.random.Generator, age: float) -> tuple[Fusion, ...]:
    """Draw at most one kind of fusion: ankylosis hides a block."""
    stiff, bridged, block = rng.random(3)
    start = int(rng.integers(Vertebra.C2, Vertebra.C6))
    length = int(rng.integers(2, 6))
    one = int(rng.choice(list(_BLOCK_ODDS), p=list(_BLOCK_ODDS.values())))
    lower = Vertebra(min(start + length, int(Vertebra.T2)))
    if stiff < _SPONDYLITIS_CHANCE and age > 25:
        return (Fusion(FusionKind.SPONDYLITIS, Vertebra(start), lower),)
    if bridged < _DISH_CHANCE_AT_EIGHTY * float(np.clip((age - 45) / 35, 0, 1.2)):
        return (Fusion(FusionKind.DISH, Vertebra(start), lower),)
    if block < _BLOCK_CHANCE:
        return (Fusion(FusionKind.BLOCK, Vertebra(one), Vertebra(one + 1)),)
    return ()


def _ribs(rng: np.random.Generator) -> tuple[float, float]:
    there, both, left = rng.random(3)
    lengths = rng.uniform(12, 65, 2)
    if there >= _RIB_CHANCE:
        return 0.0, 0.0
    return (
        float(lengths[0]) if both < 0.5 or left < 0.5 else 0.0,
        float(lengths[1]) if both < 0.5 or left >= 0.5 else 0.0,
    )


def _foramina(rng: np.random.Generator, vertebra: Vertebra) -> Foramina:
    unequal = rng.random() < _UNEQUAL_CHANCE
    small, large = float(rng.uniform(0.4, 0.8)), float(rng.uniform(1.0, 1.35))
    pair = (small, large) if rng.random() < 0.5 else (large, small)
    return Foramina(vertebra, *pair) if unequal else Foramina(vertebra, 1.0, 1.0)


def _arthrosis(rng: np.random.Generator, upper: Vertebra, chance: float) -> Arthrosis:
    there = rng.random(2) < chance
    grade = rng.beta(1.5, 1.5, 2)
    left, right = (float(g) if t else 0.0 for g, t in zip(grade, there, strict=True))
    return Arthrosis(upper, left, right)


__all__ = [
    "ArchCleft",
    "Arthrosis",
    "Foramina",
    "Fusion",
    "FusionKind",
    "Spine",
    "Variants",
    "sample_variants",
]
