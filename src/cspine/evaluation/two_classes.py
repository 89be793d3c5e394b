"""Figures of answers to one yes-or-no question: confusion, thresholds, and how far doubt can be trusted."""

from dataclasses import dataclass

import numpy as np

from cspine.evaluation.intervals import Estimate, wilson

DRAWS = 1000


@dataclass(frozen=True)
class Confusion:
    """Counts of answers: true and false, negative and positive."""

    tn: int
    fp: int
    fn: int
    tp: int

    @property
    def n(self) -> int:
        """All answers."""
        return self.tn + self.fp + self.fn + self.tp

    def accuracy(self) -> Estimate:
        """Return the share of right answers."""
        return wilson(self.tn + self.tp, self.n)

    def precision(self) -> Estimate:
        """Return the share of true among positive answers; NaN without any."""
        return wilson(self.tp, self.tp + self.fp)

    def recall(self) -> Estimate:
        """Return the share of found among true positives; NaN without any."""
        return wilson(self.tp, self.tp + self.fn)

    def specificity(self) -> Estimate:
        """Return the share of found among true negatives; NaN without any."""
        return wilson(self.tn, self.tn + self.fp)

    @property
    def f1_value(self) -> float:
        """Harmonic mean of precision and recall; NaN without positives and positive answers."""
        whole = 2 * self.tp + self.fp + self.fn
        return 2 * self.tp / whole if whole else float("nan")

    def f1(self, rng: np.random.Generator) -> Estimate:
        """Return F1 with a percentile interval of multinomial redraws of the four counts."""
        if not self.n:
            return Estimate(float("nan"), float("nan"), float("nan"), 0)
        counts = np.array([self.tn, self.fp, self.fn, self.tp])
        drawn = rng.multinomial(self.n, counts / self.n, size=DRAWS)
        whole = 2 * drawn[:, 3] + drawn[:, 1] + drawn[:, 2]
        values = 2 * drawn[whole > 0, 3] / whole[whole > 0]
        low, high = np.quantile(values, [0.025, 0.975]) if values.size else (float("nan"), float("nan"))
        return Estimate(self.f1_value, float(low), float(high), self.n)


def confusion(truth: np.ndarray, probability: np.ndarray, threshold: float = 0.5) -> Confusion:
    """Count answers; a probability at the threshold is a positive answer. Both arrays are (n,)."""
    said, true = np.asarray(probability) >= threshold, np.asarray(truth) >= 0.5
    return Confusion(
        tn=int((~said & ~true).sum()),
        fp=int((said & ~true).sum()),
        fn=int((~said & true).sum()),
        tp=int((said & true).sum()),
    )


def best_threshold(truth: np.ndarray, probability: np.ndarray) -> float:
    """Return the threshold with the highest F1; of several the one nearest to 0.5. Choose it on data not reported.

    Without positives there is nothing to choose by: 0.5.
    """
    if not (np.asarray(truth) >= 0.5).any():
        return 0.5
    steps = np.unique(np.append(np.asarray(probability, dtype=float), 0.5))
    middles = np.append((steps[1:] + steps[:-1]) / 2, 0.5)
    found = [(confusion(truth, probability, float(t)).f1_value, -abs(float(t) - 0.5), float(t)) for t in middles]
    return max((f for f in found if f[0] == f[0]), default=(0.0, 0.0, 0.5))[2]


@dataclass(frozen=True)
class RiskCoverage:
    """What becomes of the errors when the least certain answers are withheld.

    Attributes
    ----------
    coverage
        Share of the samples answered, rising, (n,).
    risk
        Share of wrong ones among them, (n,).
    area
        Mean risk over all coverages (AURC, Geifman & El-Yaniv 2017): lower is better.
    """

    coverage: np.ndarray
    risk: np.ndarray
    area: float


def risk_coverage(truth: np.ndarray, probability: np.ndarray, threshold: float = 0.5) -> RiskCoverage:
    """Return risk against coverage, the surest answers first; sureness is the distance to the threshold.

    The distance is taken as a share of the room on its side, so that both sides reach 1.
    """
    p = np.asarray(probability, dtype=float)
    room = np.where(p >= threshold, max(1 - threshold, 1e-9), max(threshold, 1e-9))
    order = np.argsort(-np.abs(p - threshold) / room, kind="stable")
    wrong = ((p >= threshold) != (np.asarray(truth) >= 0.5))[order]
    answered = np.arange(1, len(p) + 1)
    risk = np.cumsum(wrong) / answered
    return RiskCoverage(answered / len(p), risk, float(risk.mean()))
