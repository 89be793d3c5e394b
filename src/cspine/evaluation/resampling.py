"""Intervals by drawing whole studies anew: what stands in one study is never torn apart.

Legend: D draws, N rows (a vertebra, a box, a study). A draw is a weight for every row: how often its study was drawn.
"""

from collections.abc import Callable

import numpy as np

from cspine.evaluation.intervals import Estimate, wilson

DRAWS = 1000
# So many weights are looked at at once, to keep memory small.
_AT_ONCE = 2_000_000
_NO_SPREAD = 1e-12
Statistic = Callable[[np.ndarray], np.ndarray]


def study_draws(groups: np.ndarray, rng: np.random.Generator, draws: int = DRAWS) -> np.ndarray:
    """Return weights (D, N), whole numbers, of rows whose studies are `groups` (N,), equal within a study."""
    own, place = np.unique(np.asarray(groups), return_inverse=True)
    if own.size == 0:
        return np.ones((draws, 0), dtype=np.int16)
    counts = rng.multinomial(own.size, np.full(own.size, 1 / own.size), size=draws)
    weights: np.ndarray = counts.astype(np.int16)[:, place]
    return weights


def resampled(statistic: Statistic, weights_DN: np.ndarray, n: int | None = None, level: float = 0.95) -> Estimate:
    """Return a statistic with its percentile interval; draws in which it is NaN are left out.

    Where no draw differs from another the interval is not known: drawing anew cannot show what did not happen.

    Parameters
    ----------
    statistic
        Takes weights (D, N), returns (D,).
    n
        Units that it rests on; default: the rows.
    """
    rows = weights_DN.shape[1]
    value = float(statistic(np.ones((1, rows)))[0])
    step = max(1, _AT_ONCE // max(1, rows))
    parts = [statistic(weights_DN[k : k + step].astype(np.float64)) for k in range(0, len(weights_DN), step)]
    drawn = np.concatenate(parts) if parts else np.zeros(0)
    drawn = drawn[np.isfinite(drawn)]
    count = rows if n is None else n
    if not np.isfinite(value) or drawn.size < 2 or np.ptp(drawn) < _NO_SPREAD:
        return Estimate(value, float("nan"), float("nan"), count)
    low, high = np.quantile(drawn, [0.5 - level / 2, 0.5 + level / 2])
    return Estimate(value, float(low), float(high), count)


def at_the_edge(estimate: Estimate, studies: int) -> Estimate:
    """Return a share with an interval also where it is 0 or 1: Wilson's, as if each study had one row.

    Parameters
    ----------
    studies
        Studies that the share rests on.
    """
    if estimate.value not in (0.0, 1.0) or not studies:
        return estimate
    bound = wilson(round(estimate.value * studies), studies)
    return Estimate(estimate.value, bound.low, bound.high, estimate.n)


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> Statistic:
    """Return the statistic Σ w·numerator / Σ w·denominator of rows (N,); NaN over nothing."""
    top, bottom = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    return lambda weights: quotient(weights @ top, weights @ bottom)


def quotient(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return the quotient, NaN where the denominator is 0."""
    whole: np.ndarray = np.divide(
        numerator, denominator, out=np.full(np.broadcast(numerator, denominator).shape, np.nan), where=denominator != 0
    )
    return whole
