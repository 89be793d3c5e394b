"""Which fractures a patient has: levels, their number and their neighbors as in the RSNA 2022 training set."""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from cspine.domain import CERVICAL, ConfigError, Vertebra
from cspine.phantom.fractures.fracture import Fracture
from cspine.phantom.fractures.kinds import FractureAge, FractureType
from cspine.phantom.fractures.table import types_at

# RSNA 2022, 2,019 studies of train.csv.
RSNA_PREVALENCE = (0.072, 0.141, 0.036, 0.054, 0.080, 0.137, 0.195)
RSNA_COUNTS = (1058, 623, 239, 64, 26, 7, 2, 0)
RSNA_NEIGHBOR_CORRELATION = (0.19, 0.10, 0.30, 0.34, 0.36, 0.28)
RSNA_STUDIES_FRACTURED = 961 / 2019
_ROUNDS = 200
_MOST_SEEDS = 2**31
_DISTRACTORS = (
    (FractureType.FIRST_RIB, Vertebra.T1),
    (FractureType.CLAVICLE, Vertebra.T1),
    (FractureType.SKULL_BASE, Vertebra.C1),
    (FractureType.TRANSVERSE_PROCESS, Vertebra.T1),
    (FractureType.SPINOUS_PROCESS, Vertebra.T1),
    (FractureType.WEDGE, Vertebra.T1),
)


@dataclass(frozen=True)
class FractureMix:
    """How often what happens.

    Attributes
    ----------
    study
        Share of patients with a fracture that counts.
    levels
        Relative odds of C1 … C7; all 1 leaves the level mix as it is in the RSNA set.
    second
        How likely a fractured vertebra breaks at a second place.
    severity
        Odds of severities 1 … 5.
    age
        Odds of the ages of fractures that count.
    healed, distractor
        Share of patients with an old healed fracture, and with a fracture that does not count.
    """

    study: float = RSNA_STUDIES_FRACTURED
    levels: tuple[float, ...] = (1.0,) * 7
    second: float = 0.2
    severity: tuple[float, ...] = (0.2, 0.25, 0.25, 0.18, 0.12)
    age: dict[FractureAge, float] = field(
        default_factory=lambda: {FractureAge.ACUTE: 0.9, FractureAge.SUBACUTE: 0.06, FractureAge.HEALING: 0.04}
    )
    healed: float = 0.03
    distractor: float = 0.05

    def __post_init__(self) -> None:
        for name in ("study", "second", "healed", "distractor"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ConfigError(f"fracture mix: {name} is {value}, must be 0 … 1")
        for name, count in (("levels", 7), ("severity", 5)):
            odds = getattr(self, name)
            if len(odds) != count or min(odds) < 0 or max(odds) <= 0:
                raise ConfigError(f"fracture mix: {name} is {odds}, must be {count} odds of at least 0, not all 0")


def sample_fractures(
    rng: np.random.Generator,
    *,
    family: str = "A",
    mix: FractureMix | None = None,
    top: Vertebra = Vertebra.C1,
    bottom: Vertebra = Vertebra.T1,
) -> tuple[Fracture, ...]:
    """Draw the fractures of one patient, head to foot.

    Parameters
    ----------
    mix
        How often what happens; by default as in the RSNA 2022 training set.
    top, bottom
        The levels in view; fractures elsewhere are left out.
    """
    chosen = mix or FractureMix()
    drawn = [
        sample_fracture(rng, level, family=family, mix=chosen)
        for level in sample_levels(rng, chosen)
        for _ in range(1 + int(rng.random() < chosen.second))
    ]
    if rng.random() < chosen.healed:
        level = Vertebra(int(rng.integers(Vertebra.C1, Vertebra.C7 + 1)))
        drawn.append(sample_fracture(rng, level, family=family, mix=chosen, age=FractureAge.HEALED))
    if rng.random() < chosen.distractor:
        kind, level = _DISTRACTORS[int(rng.integers(len(_DISTRACTORS)))]
        drawn.append(_one(rng, kind, level, family, mix=chosen))
    seen = [fracture for fracture in drawn if top <= fracture.vertebra <= bottom]
    return tuple(sorted(seen, key=lambda fracture: fracture.vertebra))


def sample_levels(rng: np.random.Generator, mix: FractureMix) -> tuple[Vertebra, ...]:
    """Draw which of C1 … C7 are fractured, head to foot; empty with the chance ``1 − mix.study``."""
    if rng.random() >= mix.study:
        return ()
    states, odds = level_odds()
    weighted = odds * np.prod(np.where(states, np.array(mix.levels), 1.0), axis=1)
    weighted[~states.any(axis=1)] = 0
    state = states[int(rng.choice(len(states), p=weighted / weighted.sum()))]
    return tuple(level for level, broken in zip(CERVICAL, state, strict=True) if broken)


@lru_cache(maxsize=1)
def level_odds() -> tuple[np.ndarray, np.ndarray]:
    """Return all sets of fractured levels, bool (128, 7), and how likely each is, (128,).

    The distribution of greatest entropy with the level mix, the number of levels and the correlation of neighbors of
    the RSNA set, by iterative proportional fitting.
    """
    states = np.array([[bool(k >> i & 1) for i in range(7)] for k in range(128)])
    number, prevalence = states.sum(axis=1), np.array(RSNA_PREVALENCE)
    counts = np.array(RSNA_COUNTS) / sum(RSNA_COUNTS)
    pairs = 2 * states[:, :-1] + states[:, 1:]
    spread = np.sqrt(prevalence * (1 - prevalence))
    both = prevalence[:-1] * prevalence[1:] + np.array(RSNA_NEIGHBOR_CORRELATION) * spread[:-1] * spread[1:]
    odds = np.full(128, 1 / 128)
    for _ in range(_ROUNDS):
        for i, together in enumerate(both):
            upper, lower = prevalence[i] - together, prevalence[i + 1] - together
            wanted = np.array([1 - upper - lower - together, lower, upper, together])
            odds *= (wanted / np.bincount(pairs[:, i], odds, 4))[pairs[:, i]]
        odds *= (counts / np.maximum(np.bincount(number, odds, 8), 1e-300))[number]
    return states, odds / odds.sum()


def sample_fracture(
    rng: np.random.Generator,
    level: Vertebra,
    *,
    family: str = "A",
    mix: FractureMix | None = None,
    age: FractureAge | None = None,
) -> Fracture:
    """Draw one fracture of a vertebra, of a type that the bone can have; its age too, unless it is given."""
    kinds = types_at(level)
    odds = np.array(list(kinds.values()))
    kind = list(kinds)[int(rng.choice(len(kinds), p=odds / odds.sum()))]
    return _one(rng, kind, level, family, mix=mix or FractureMix(), age=age)


def _one(
    rng: np.random.Generator,
    kind: FractureType,
    level: Vertebra,
    family: str,
    *,
    mix: FractureMix,
    age: FractureAge | None = None,
) -> Fracture:
    severity = np.array(mix.severity)
    ages = list(mix.age)
    odds = np.array([mix.age[a] for a in ages])
    drawn = ages[int(rng.choice(len(ages), p=odds / odds.sum()))]
    return Fracture(
        kind,
        level,
        severity=1 + int(rng.choice(5, p=severity / severity.sum())),
        family=family,
        seed=int(rng.integers(_MOST_SEEDS)),
        age=age or drawn,
    )


__all__ = ["FractureMix", "level_odds", "sample_fracture", "sample_fractures", "sample_levels"]
