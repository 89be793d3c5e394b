"""Probabilities moved to another prevalence: the odds are multiplied by [π′/(1−π′)] / [π/(1−π)].

That is right when only the share of fractured studies changes and not how either kind looks (label shift; Saerens et
al., Neural Computation 2002). Thresholds of conformal prediction within a class do not move.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cspine.domain import CERVICAL, Vertebra

# Of trauma patients 2–10 % have a fracture; of the studies of RSNA 2022 47.6 %.
TRAUMA_PREVALENCE = 0.05
_HIGHEST = 0.999


@dataclass(frozen=True)
class Priors:
    """Shares of positives in a set.

    Attributes
    ----------
    study
        Of studies with a fracture, between 0 and 1.
    levels
        C1 … C7, between 0 and 1.
    """

    study: float
    levels: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.levels) != len(CERVICAL):
            raise ValueError(f"{len(self.levels)} priors of levels, must be {len(CERVICAL)}: C1 … C7")
        for name, value in zip(("study", *(v.name for v in CERVICAL)), (self.study, *self.levels), strict=True):
            if not 0 < value < 1:
                raise ValueError(f"prior of {name} is {value}, must lie between 0 and 1")

    def at(self, prevalence: float) -> "Priors":
        """Return the priors at another prevalence of fractured studies: π′ᵥ = πᵥ·π′/π for each level.

        Raises
        ------
        ValueError
            The prevalence does not lie between 0 and 1.
        """
        if not 0 < prevalence < 1:
            raise ValueError(f"prevalence is {prevalence}, must lie between 0 and 1")
        ratio = prevalence / self.study
        return Priors(prevalence, tuple(min(p * ratio, _HIGHEST) for p in self.levels))

    def of(self, vertebra: Vertebra) -> float:
        """Return the prior of a cervical level."""
        return self.levels[vertebra - Vertebra.C1]

    @property
    def row(self) -> np.ndarray:
        """(8,): study, C1 … C7."""
        return np.array([self.study, *self.levels])

    def document(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"study": self.study, "levels": list(self.levels)}


# The 2,019 studies of the challenge's training set.
RSNA_PRIORS = Priors(0.476, (0.072, 0.141, 0.036, 0.054, 0.080, 0.137, 0.195))


def read_priors(document: Mapping[str, Any]) -> Priors:
    """Return the priors that `document()` wrote; raises ``ValueError`` where they are impossible."""
    return Priors(float(document["study"]), tuple(float(v) for v in document["levels"]))


def priors_of(labels: np.ndarray) -> Priors:
    """Return the shares in labels (S, 8): study, C1 … C7; (positives + ½) / (studies + 1), never 0 or 1.

    Raises
    ------
    ValueError
        Another shape, or no study.
    """
    y = np.asarray(labels, dtype=np.float64)
    if y.ndim != 2 or y.shape[1] != 1 + len(CERVICAL) or not len(y):
        raise ValueError(f"labels {y.shape} must be (studies, 8) with at least one study")
    shares = (y.sum(axis=0) + 0.5) / (len(y) + 1)
    return Priors(float(shares[0]), tuple(shares[1:].tolist()))


def shifted(probability: np.ndarray, prior: np.ndarray | float, target: np.ndarray | float) -> np.ndarray:
    """Return probabilities of a set with share `prior` of positives as they are where that share is `target`.

    Parameters
    ----------
    probability
        0 … 1 in any shape; NaN stays NaN.
    prior, target
        Between 0 and 1; broadcast against `probability`.

    Raises
    ------
    ValueError
        A prior does not lie between 0 and 1.
    """
    old, new = np.asarray(prior, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if not (((old > 0) & (old < 1)).all() and ((new > 0) & (new < 1)).all()):
        raise ValueError(f"priors {prior} and {target} must lie between 0 and 1")
    factor = (new / (1 - new)) / (old / (1 - old))
    p = np.asarray(probability, dtype=np.float64)
    moved: np.ndarray = p * factor / (p * factor + 1 - p)
    return moved
