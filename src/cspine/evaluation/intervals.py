"""Confidence intervals of proportions and of means over cases."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval.

    Attributes
    ----------
    n
        Units that it rests on.
    """

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f}, n = {self.n})"


def wilson(successes: int, n: int, level: float = 0.95) -> Estimate:
    """Return a proportion with Wilson's score interval (Wilson, J Am Stat Assoc 1927); NaN when n is 0."""
    if n == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    z = float(ndtri(0.5 + level / 2))
    p = successes / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)))
    return Estimate(p, max(0.0, middle - half), min(1.0, middle + half), n)


def bootstrap_ci(
    groups: Sequence[Sequence[float]], rng: np.random.Generator, level: float = 0.95, draws: int = 2000
) -> Estimate:
    """Return the mean over all values with a percentile interval that resamples whole groups (cases).

    Parameters
    ----------
    groups
        Values of each case; cases are independent, values within one are not.
    """
    sums = np.array([float(np.sum(g)) for g in groups if len(g)])
    counts = np.array([len(g) for g in groups if len(g)])
    if counts.size == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    picks = rng.integers(0, len(sums), size=(draws, len(sums)))
    means = sums[picks].sum(axis=1) / counts[picks].sum(axis=1)
    low, high = np.quantile(means, [0.5 - level / 2, 0.5 + level / 2])
    return Estimate(float(sums.sum() / counts.sum()), float(low), float(high), int(counts.sum()))
