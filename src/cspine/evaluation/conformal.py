"""Rule-in, uncertain or rule-out with a stated error: conformal prediction within each class (Vovk 2005, Mondrian).

Of fractures at most a share `miss` is ruled out, of the rest at most a share `false_alarm` is ruled in, on average over
tuning sets and exchangeable new cases; whatever the prevalence, since each class has its own threshold. Where too few
tuning cases of a class exist to say so, the answer that it would allow is never given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cspine.domain import Decision

TIE = 1e-9
"""A score this near a limit is at the limit: the same score, added up in another order, differs by as much."""


@dataclass(frozen=True)
class ErrorLevels:
    """Shares of wrong answers that are accepted.

    Attributes
    ----------
    miss
        Of fractured ones ruled out.
    false_alarm
        Of those without a fracture ruled in.
    """

    miss: float = 0.02
    false_alarm: float = 0.05

    def __post_init__(self) -> None:
        for name, value in (("miss", self.miss), ("false_alarm", self.false_alarm)):
            if not 0 < value < 1:
                raise ValueError(f"{name} is {value}, must lie between 0 and 1")


@dataclass(frozen=True)
class ConformalRule:
    """What a score allows to say.

    Attributes
    ----------
    rule_out_below
        Lower scores are too low for a fracture; ``None``: nothing is.
    rule_in_above
        Higher scores are too high for anything else; ``None``: nothing is.
    positives, negatives
        Tuning cases that the two thresholds rest on.
    """

    rule_out_below: float | None
    rule_in_above: float | None
    errors: ErrorLevels
    positives: int
    negatives: int

    def decide(self, score: float) -> Decision:
        """Return the decision about one score; NaN is "not assessed". A score too odd for either class is uncertain."""
        if np.isnan(score):
            return Decision.NOT_ASSESSED
        low = self.rule_out_below is not None and score < self.rule_out_below - TIE
        high = self.rule_in_above is not None and score > self.rule_in_above + TIE
        if low == high:
            return Decision.UNCERTAIN
        return Decision.RULE_OUT if low else Decision.RULE_IN

    def decide_all(self, scores: Sequence[float] | np.ndarray) -> tuple[Decision, ...]:
        """Return the decision about each of (n,) scores."""
        return tuple(self.decide(float(score)) for score in scores)

    def sparing(self, scores: np.ndarray) -> "ConformalRule":
        """Return the rule that rules in none of these scores, NaN left out; nothing else of it changes."""
        highest = np.max(scores, where=~np.isnan(scores), initial=-np.inf)
        if self.rule_in_above is None or highest <= self.rule_in_above:
            return self
        return replace(self, rule_in_above=float(highest))

    def document(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "rule_out_below": self.rule_out_below,
            "rule_in_above": self.rule_in_above,
            "miss": self.errors.miss,
            "false_alarm": self.errors.false_alarm,
            "positives": self.positives,
            "negatives": self.negatives,
        }


def read_rule(document: Mapping[str, Any]) -> ConformalRule:
    """Return the rule that `document()` wrote; raises ``ValueError`` where its error levels are impossible."""
    low, high = document["rule_out_below"], document["rule_in_above"]
    return ConformalRule(
        None if low is None else float(low),
        None if high is None else float(high),
        ErrorLevels(float(document["miss"]), float(document["false_alarm"])),
        int(document["positives"]),
        int(document["negatives"]),
    )


def fit_rule(scores: np.ndarray, labels: np.ndarray, errors: ErrorLevels | None = None) -> ConformalRule:
    """Return the rule of a tuning set that played no part in training.

    A score s is too low for a fracture when (1 + fractured tuning scores ≤ s) / (1 + fractured) ≤ miss; and the same
    from the other side. With fewer than 1/miss − 1 fractured ones nothing is ruled out.

    Parameters
    ----------
    scores, labels
        (n,) each; NaN scores are left out.

    Raises
    ------
    ValueError
        Another shape, or a label that is not 0 or 1.
    """
    errors = errors or ErrorLevels()
    s, y = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    if s.ndim != 1 or s.shape != y.shape:
        raise ValueError(f"scores {s.shape} and labels {y.shape} must both be (n,)")
    if not ((y == 0) | (y == 1)).all():
        raise ValueError("labels must be 0 or 1")
    known = ~np.isnan(s)
    positive, negative = s[known & (y == 1)], s[known & (y == 0)]
    low, high = _lowest(positive, errors.miss), _lowest(-negative, errors.false_alarm)
    return ConformalRule(low, None if high is None else -high, errors, positive.size, negative.size)


def least_cases(error: float) -> int:
    """Return how many tuning cases of a class an error level needs."""
    return int(np.ceil(1 / error - 1e-9)) - 1


def _lowest(scores: np.ndarray, error: float) -> float | None:
    """Return the score of rank floor(error · (n + 1)) from below, which scores under it are too low for."""
    rank = int(np.floor(error * (scores.size + 1) + 1e-9))
    return float(np.sort(scores)[rank - 1]) if rank else None
