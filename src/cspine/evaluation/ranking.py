"""How well scores order positives before negatives: ROC, precision and recall, and DeLong's comparison of two.

Legend: N rows, D draws of weights, U different scores. Equal scores count half.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from cspine.evaluation.intervals import Estimate
from cspine.evaluation.resampling import Statistic, quotient


@dataclass(frozen=True)
class Curve:
    """Points of a curve, from the highest threshold to the lowest.

    Attributes
    ----------
    x, y
        False against true positive rate; or recall against precision.
    threshold
        A score at or above it is a positive answer; the first is infinite.
    """

    x: np.ndarray
    y: np.ndarray
    threshold: np.ndarray


class Ranking:
    """Scores sorted once, so that many draws of weights are cheap.

    Parameters
    ----------
    labels, scores
        (N,), 0 or 1, and any finite numbers.

    Raises
    ------
    ValueError
        Another shape, a label that is not 0 or 1, or a score that is no number.
    """

    def __init__(self, labels: np.ndarray, scores: np.ndarray) -> None:
        y, s = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
        if y.ndim != 1 or y.shape != s.shape:
            raise ValueError(f"labels {y.shape} and scores {s.shape} must both be (n,)")
        if not ((y == 0) | (y == 1)).all() or not np.isfinite(s).all():
            raise ValueError("labels must be 0 or 1 and scores finite")
        order = np.argsort(-s, kind="stable")
        self._order, self._positive = order, y[order]
        changes = np.flatnonzero(np.diff(s[order])) + 1
        self._starts = np.concatenate([[0], changes]).astype(int) if s.size else np.zeros(0, dtype=int)
        self.thresholds = s[order][self._starts]

    def auc(self, weights: np.ndarray) -> np.ndarray:
        """Return the area under the ROC curve (D,) for weights (D, N); NaN without both classes."""
        positive, negative = self._counts(weights)
        above = np.cumsum(positive, axis=1)
        pairs = (negative * (above - positive / 2)).sum(axis=1)
        return quotient(pairs, positive.sum(axis=1) * negative.sum(axis=1))

    def average_precision(self, weights: np.ndarray) -> np.ndarray:
        """Return the mean precision over the positives (D,); it depends on their share. NaN without positives."""
        positive, negative = self._counts(weights)
        tp, fp = np.cumsum(positive, axis=1), np.cumsum(negative, axis=1)
        precision = np.nan_to_num(quotient(tp, tp + fp))
        return quotient((positive * precision).sum(axis=1), positive.sum(axis=1))

    def sensitivity_at(self, specificity: float) -> Statistic:
        """Return the statistic: the highest sensitivity of thresholds with at least this specificity."""

        def statistic(weights: np.ndarray) -> np.ndarray:
            tpr, fpr = self._rates(weights)
            best: np.ndarray = np.where(fpr <= 1 - specificity + 1e-12, tpr, 0.0).max(axis=1, initial=0.0)
            return np.where(np.isnan(tpr).any(axis=1) | np.isnan(fpr).any(axis=1), np.nan, best)

        return statistic

    def specificity_at(self, sensitivity: float) -> Statistic:
        """Return the statistic: the highest specificity of thresholds with at least this sensitivity."""

        def statistic(weights: np.ndarray) -> np.ndarray:
            tpr, fpr = self._rates(weights)
            best: np.ndarray = np.where(tpr >= sensitivity - 1e-12, 1 - fpr, 0.0).max(axis=1, initial=0.0)
            return np.where(np.isnan(tpr).any(axis=1) | np.isnan(fpr).any(axis=1), np.nan, best)

        return statistic

    def threshold_for(self, *, specificity: float) -> float:
        """Return the lowest threshold with at least this specificity; infinite when only silence has it."""
        _, fpr = self._rates(np.ones((1, self._order.size)))
        good = np.flatnonzero(fpr[0] <= 1 - specificity + 1e-12)
        return float(self.thresholds[good[-1]]) if good.size else float("inf")

    def roc(self) -> Curve:
        """Return the ROC curve, from (0, 0) to (1, 1)."""
        tpr, fpr = self._rates(np.ones((1, self._order.size)))
        start = np.zeros(1)
        return Curve(
            np.concatenate([start, fpr[0]]),
            np.concatenate([start, tpr[0]]),
            np.concatenate([[np.inf], self.thresholds]),
        )

    def precision_recall(self) -> Curve:
        """Return recall and precision; the first point carries the precision of the highest score."""
        positive, negative = self._counts(np.ones((1, self._order.size)))
        tp, fp = np.cumsum(positive[0]), np.cumsum(negative[0])
        precision, recall = quotient(tp, tp + fp), quotient(tp, np.full(tp.shape, tp[-1] if tp.size else 0))
        return Curve(
            np.concatenate([[0.0], recall]),
            np.concatenate([precision[:1], precision]),
            np.concatenate([[np.inf], self.thresholds]),
        )

    def _counts(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return weights of positives and negatives at each different score (D, U), the highest first."""
        ordered = weights[:, self._order]
        if not self._starts.size:
            return ordered, ordered
        positive = np.add.reduceat(ordered * self._positive, self._starts, axis=1)
        negative = np.add.reduceat(ordered * (1 - self._positive), self._starts, axis=1)
        return positive, negative

    def _rates(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        positive, negative = self._counts(weights)
        tp, fp = np.cumsum(positive, axis=1), np.cumsum(negative, axis=1)
        return quotient(tp, tp[:, -1:]), quotient(fp, fp[:, -1:])


def roc_auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the area under the ROC curve; NaN without both classes. Raises as `Ranking`."""
    ranking = Ranking(labels, scores)
    return float(ranking.auc(np.ones((1, len(np.asarray(labels)))))[0])


@dataclass(frozen=True)
class DeLong:
    """Two AUCs on the same independent cases (DeLong et al., Biometrics 1988).

    Attributes
    ----------
    first, second, difference
        Each with its 95 % interval; the difference is first − second.
    p_value
        Two-sided, of no difference; NaN when its variance is 0.
    """

    first: Estimate
    second: Estimate
    difference: Estimate
    p_value: float


def delong(labels: np.ndarray, first: np.ndarray, second: np.ndarray, level: float = 0.95) -> DeLong:
    """Compare two scores of the same independent cases (one row per study; never pooled vertebrae).

    Raises
    ------
    ValueError
        Another shape, or fewer than two cases of a class.
    """
    y, scores = np.asarray(labels), np.stack([np.asarray(first, dtype=float), np.asarray(second, dtype=float)])
    positive, negative = scores[:, y == 1], scores[:, y == 0]
    m, n = positive.shape[1], negative.shape[1]
    if y.shape != scores[0].shape or min(m, n) < 2:
        raise ValueError(f"DeLong needs two cases of each class, got {m} positive and {n} negative")
    joined = _ranks(np.concatenate([positive, negative], axis=1))
    above = (joined[:, :m] - _ranks(positive)) / n
    below = 1 - (joined[:, m:] - _ranks(negative)) / m
    auc = above.mean(axis=1)
    spread = np.cov(above) / m + np.cov(below) / n
    z = float(ndtri(0.5 + level / 2))

    def estimate(value: float, variance: float, low: float) -> Estimate:
        half = z * float(np.sqrt(max(variance, 0.0)))
        return Estimate(value, max(low, value - half), min(1.0, value + half), m + n)

    variance = float(spread[0, 0] + spread[1, 1] - 2 * spread[0, 1])
    gap = float(auc[0] - auc[1])
    p = 2 * float(ndtr(-abs(gap) / np.sqrt(variance))) if variance > 0 else float("nan")
    own = [estimate(float(auc[k]), float(spread[k, k]), 0.0) for k in (0, 1)]
    return DeLong(own[0], own[1], estimate(gap, variance, -1.0), p)


def _ranks(scores: np.ndarray) -> np.ndarray:
    """Return the ranks of each row (K, N), equal scores sharing the mean of theirs."""
    ranks = np.empty(scores.shape)
    for row, own in zip(ranks, scores, strict=True):
        _, place, count = np.unique(own, return_inverse=True, return_counts=True)
        row[:] = (np.cumsum(count) - (count - 1) / 2)[place]
    return ranks
