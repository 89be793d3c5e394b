"""What looks like a fracture and is none: kinds, where each may be, and how common it is."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from cspine.domain import ConfigError, Vertebra

SEVERITIES = (1, 2, 3, 4, 5)


class MimicKind(StrEnum):
    """A mimic; the value is the name in truth files."""

    NUTRIENT_CHANNEL = "nutrient-channel"
    VASCULAR_CHANNEL = "vascular-channel"
    ARCH_CLEFT = "arch-cleft"
    OS_ODONTOIDEUM = "os-odontoideum"
    HEALED_FRACTURE = "healed-fracture"
    LIMBUS = "limbus-vertebra"
    OSSICLE = "ossicle"
    OSSIFIED_POSTERIOR_LIGAMENT = "ossified-posterior-ligament"
    OSSIFIED_ANTERIOR_LIGAMENT = "ossified-anterior-ligament"
    OSSIFIED_NUCHAL_LIGAMENT = "ossified-nuchal-ligament"
    GROWTH_PLATE = "growth-plate"
    PLATE_AND_SCREWS = "plate-and-screws"
    POSTERIOR_SCREWS = "posterior-screws"
    DENTAL_METAL = "dental-metal"
    SHOULDER_STREAK = "shoulder-streak"
    MOTION_STEP = "motion-step"
    MACH_LINE = "mach-line"


# First and last level of each kind, and levels left out.
_LEVELS: dict[MimicKind, tuple[Vertebra, Vertebra, tuple[Vertebra, ...]]] = {
    MimicKind.NUTRIENT_CHANNEL: (Vertebra.C2, Vertebra.C7, ()),
    MimicKind.VASCULAR_CHANNEL: (Vertebra.C1, Vertebra.C7, ()),
    MimicKind.ARCH_CLEFT: (Vertebra.C1, Vertebra.C7, (Vertebra.C2, Vertebra.C3, Vertebra.C4, Vertebra.C5)),
    MimicKind.OS_ODONTOIDEUM: (Vertebra.C2, Vertebra.C2, ()),
    MimicKind.HEALED_FRACTURE: (Vertebra.C1, Vertebra.C7, ()),
    MimicKind.LIMBUS: (Vertebra.C3, Vertebra.C7, ()),
    MimicKind.OSSICLE: (Vertebra.C1, Vertebra.C7, (Vertebra.C3,)),
    MimicKind.OSSIFIED_POSTERIOR_LIGAMENT: (Vertebra.C2, Vertebra.C7, ()),
    MimicKind.OSSIFIED_ANTERIOR_LIGAMENT: (Vertebra.C2, Vertebra.C7, ()),
    MimicKind.OSSIFIED_NUCHAL_LIGAMENT: (Vertebra.C3, Vertebra.C7, ()),
    MimicKind.GROWTH_PLATE: (Vertebra.C1, Vertebra.C7, ()),
    MimicKind.PLATE_AND_SCREWS: (Vertebra.C3, Vertebra.C6, ()),
    MimicKind.POSTERIOR_SCREWS: (Vertebra.C3, Vertebra.C6, ()),
    MimicKind.DENTAL_METAL: (Vertebra.C1, Vertebra.C3, ()),
    MimicKind.SHOULDER_STREAK: (Vertebra.C5, Vertebra.C7, ()),
    MimicKind.MOTION_STEP: (Vertebra.C1, Vertebra.C7, ()),
    MimicKind.MACH_LINE: (Vertebra.C1, Vertebra.C7, ()),
}
IMAGE_KINDS = frozenset({MimicKind.SHOULDER_STREAK, MimicKind.MOTION_STEP, MimicKind.MACH_LINE})
"""Mimics that the scanner makes: the body is as it was."""

# Oldest age in years at which a growth plate is open: synchondroses in front of C1 close at about 7, below the dens a
# line stays until about 11, ring and spinous apophyses of C3 … C7 fuse until 25.
_OPEN_UNTIL = {Vertebra.C1: 8.0, Vertebra.C2: 11.0}
_RING_OPEN_UNTIL = 25.0


def levels_of(kind: MimicKind) -> tuple[Vertebra, ...]:
    """Return the vertebrae at which a mimic exists."""
    first, last, left_out = _LEVELS[kind]
    return tuple(Vertebra(v) for v in range(first, last + 1) if v not in left_out)


def open_until(vertebra: Vertebra) -> float:
    """Return the oldest age in years at which the growth plates of a vertebra are open."""
    return _OPEN_UNTIL.get(vertebra, _RING_OPEN_UNTIL)


@dataclass(frozen=True)
class Mimic:
    """One mimic at one vertebra.

    Attributes
    ----------
    severity
        1 (hardly seen) … 5 (as large as it gets).
    seed
        Fixes what the other fields leave open: side, shape.
    """

    kind: MimicKind
    vertebra: Vertebra
    severity: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        levels = levels_of(self.kind)
        if self.vertebra not in levels:
            raise ConfigError(
                f"{self.kind} at {self.vertebra.name}: exists only at {', '.join(v.name for v in levels)}"
            )
        if self.severity not in SEVERITIES:
            raise ConfigError(f"{self.kind} at {self.vertebra.name}: severity is {self.severity}, must be 1 … 5")
        if self.seed < 0:
            raise ConfigError(f"{self.kind} at {self.vertebra.name}: seed is {self.seed}, must not be negative")

    @property
    def size(self) -> float:
        """Severity as 0 … 1."""
        return (self.severity - 1) / 4

    def rng(self) -> np.random.Generator:
        """Return a fresh generator for shape and noise."""
        return np.random.default_rng([self.seed, int(self.vertebra), list(MimicKind).index(self.kind)])

    def check_age(self, age: float) -> None:
        """Refuse a growth plate in a person who is too old for it.

        Raises
        ------
        ConfigError
            The plate closed before that age.
        """
        if self.kind is MimicKind.GROWTH_PLATE and age > open_until(self.vertebra):
            raise ConfigError(
                f"growth plate of {self.vertebra.name} at {age:g} years: closed after {open_until(self.vertebra):g}"
            )


# Share of adults who show one; chosen, in the order of what radiologists report. Clefts and os odontoideum come with
# the variants, dental metal with the teeth.
_CHANCES: dict[MimicKind, float] = {
    MimicKind.NUTRIENT_CHANNEL: 0.25,
    MimicKind.VASCULAR_CHANNEL: 0.12,
    MimicKind.HEALED_FRACTURE: 0.03,
    MimicKind.LIMBUS: 0.015,
    MimicKind.OSSICLE: 0.08,
    MimicKind.OSSIFIED_POSTERIOR_LIGAMENT: 0.02,
    MimicKind.OSSIFIED_ANTERIOR_LIGAMENT: 0.08,
    MimicKind.OSSIFIED_NUCHAL_LIGAMENT: 0.08,
    MimicKind.GROWTH_PLATE: 0.4,
    MimicKind.PLATE_AND_SCREWS: 0.012,
    MimicKind.POSTERIOR_SCREWS: 0.004,
    MimicKind.SHOULDER_STREAK: 0.12,
    MimicKind.MOTION_STEP: 0.05,
    MimicKind.MACH_LINE: 0.12,
}
_OF_OLD_AGE = frozenset({
    MimicKind.OSSIFIED_POSTERIOR_LIGAMENT,
    MimicKind.OSSIFIED_ANTERIOR_LIGAMENT,
    MimicKind.OSSIFIED_NUCHAL_LIGAMENT,
    MimicKind.OSSICLE,
})  # fmt: skip


def sample_mimics(rng: np.random.Generator, age: float) -> tuple[Mimic, ...]:
    """Draw the mimics of a person of some age in years: at most one of each kind.

    Every kind draws as many numbers whether it is there or not, so that changing one chance leaves the others.
    """
    found = []
    for kind, chance in _CHANCES.items():
        roll, severity, seed = float(rng.random()), int(rng.integers(1, 6)), int(rng.integers(2**31))
        place = float(rng.random())
        levels = levels_of(kind)
        if kind is MimicKind.GROWTH_PLATE:
            levels = tuple(v for v in levels if age <= open_until(v))
        likely = chance * (float(np.clip((age - 30) / 35, 0, 1.4)) if kind in _OF_OLD_AGE else 1.0)
        if levels and roll < likely:
            found.append(Mimic(kind, levels[int(place * len(levels))], severity, seed))
    return tuple(found)


__all__ = ["IMAGE_KINDS", "SEVERITIES", "Mimic", "MimicKind", "levels_of", "open_until", "sample_mimics"]
