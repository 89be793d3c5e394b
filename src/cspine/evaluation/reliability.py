"""Whether probabilities mean what they say: bins of equal mass, calibration slope and intercept, Brier skill.

Legend: N rows, D draws of weights.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from cspine.evaluation.intervals import Estimate, wilson
from cspine.evaluation.resampling import quotient

BINS = 10
# Probabilities are kept this far from 0 and 1 before their logit is taken.
_EDGE = 1e-6
_STEPS = 40
_STEEPEST = 50.0
_CLOSE = 1e-8


@dataclass(frozen=True)
class ReliabilityBin:
    """Rows of neighboring probabilities.

    Attributes
    ----------
    predicted
        Their mean probability.
    observed
        Their share of positives, Wilson's interval.
    """

    predicted: float
    observed: Estimate


class Reliability:
    """Labels beside probabilities of the same rows.

    Parameters
    ----------
    labels, probabilities
        (N,), 0 or 1, and 0 … 1.

    Raises
    ------
    ValueError
        Another shape, or values outside those.
    """

    def __init__(self, labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> None:
        y, p = np.asarray(labels, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
        if y.ndim != 1 or y.shape != p.shape:
            raise ValueError(f"labels {y.shape} and probabilities {p.shape} must both be (n,)")
        if not ((y == 0) | (y == 1)).all() or not ((p >= 0) & (p <= 1)).all():
            raise ValueError("labels must be 0 or 1 and probabilities 0 … 1")
        self._y, self._p = y, p
        self._z = logit(np.clip(p, _EDGE, 1 - _EDGE))
        self._bins = _equal_mass(p, bins)

    def bins(self) -> tuple[ReliabilityBin, ...]:
        """Return the bins from low to high; equal probabilities share one, so they may be fewer and unequal."""
        found = []
        for k in range(int(self._bins.max(initial=-1)) + 1):
            own = self._bins == k
            found.append(ReliabilityBin(float(self._p[own].mean()), wilson(int(self._y[own].sum()), int(own.sum()))))
        return tuple(found)

    def ece(self, weights: np.ndarray) -> np.ndarray:
        """Return the expected calibration error (D,): mean |predicted − observed| of the bins by their mass."""
        members = np.eye(int(self._bins.max(initial=-1)) + 1)[self._bins]
        gap = np.abs(weights @ (members * (self._p - self._y)[:, None]))
        return quotient(gap.sum(axis=1), weights.sum(axis=1))

    def brier(self, weights: np.ndarray) -> np.ndarray:
        """Return the mean squared error (D,)."""
        return quotient(weights @ (self._p - self._y) ** 2, weights.sum(axis=1))

    def brier_skill(self, weights: np.ndarray) -> np.ndarray:
        """Return 1 − Brier / Brier of the share of positives (D,); above 0: better than knowing that share alone."""
        share = quotient(weights @ self._y, weights.sum(axis=1))
        return 1 - quotient(self.brier(weights), share * (1 - share))

    def slope(self, weights: np.ndarray) -> np.ndarray:
        """Return the slope (D,) of a logistic regression on the logit of p: below 1, p is too sure.

        NaN where the classes are apart: such rows have no slope.
        """
        a, b = np.ones(len(weights)), np.zeros(len(weights))
        for _ in range(_STEPS):
            q = expit(a[:, None] * self._z + b[:, None])
            rest, spread = weights * (self._y - q), weights * q * (1 - q)
            ga, gb = rest @ self._z, rest.sum(axis=1)
            haa, hab, hbb = spread @ self._z**2, spread @ self._z, spread.sum(axis=1)
            det = np.maximum(haa * hbb - hab**2, 1e-12)
            da, db = (np.clip(step / det, -1, 1) for step in (hbb * ga - hab * gb, haa * gb - hab * ga))
            a, b = a + da, b + db
            if max(np.abs(da).max(initial=0), np.abs(db).max(initial=0)) < _CLOSE:
                break
        return np.where(self._mixed(weights) & (np.abs(a) < _STEEPEST), a, np.nan)

    def intercept(self, weights: np.ndarray) -> np.ndarray:
        """Return the shift (D,) of the logits that makes their mean right, slope 1 kept: above 0, p is too low."""
        b = np.zeros(len(weights))
        for _ in range(_STEPS):
            q = expit(self._z + b[:, None])
            top, bottom = (weights * (self._y - q)).sum(axis=1), (weights * q * (1 - q)).sum(axis=1)
            step = np.clip(top / np.maximum(bottom, 1e-12), -1, 1)
            b = b + step
            if np.abs(step).max(initial=0) < _CLOSE:
                break
        share = quotient(weights @ self._y, weights.sum(axis=1))
        return np.where((share > 0) & (share < 1), b, np.nan)

    def _mixed(self, weights: np.ndarray) -> np.ndarray:
        """(D,): whether some positive lies below some negative, and some above."""
        positive, negative = ((weights > 0) & (self._y == label) for label in (1, 0))
        lows = [np.where(own, self._z, np.inf).min(axis=1, initial=np.inf) for own in (positive, negative)]
        highs = [np.where(own, self._z, -np.inf).max(axis=1, initial=-np.inf) for own in (positive, negative)]
        mixed: np.ndarray = (lows[0] < highs[1]) & (highs[0] > lows[1])
        return mixed


def _equal_mass(p: np.ndarray, bins: int) -> np.ndarray:
    """Return the bin (N,) of each row: equal counts, equal values together, numbered without a hole."""
    if not p.size:
        return np.zeros(0, dtype=int)
    ends = -(-np.arange(1, bins) * p.size // bins) - 1
    edges = np.unique(np.sort(p)[np.maximum(ends, 0)])
    place = np.searchsorted(edges, p, side="left")
    numbered: np.ndarray = np.unique(place, return_inverse=True)[1]
    return numbered
