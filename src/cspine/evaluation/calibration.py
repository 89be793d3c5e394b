"""Scores turned into probabilities: fitted on a tuning set, stored as plain numbers, applied at inference.

A score is a logit: any real number that rises with the chance of a fracture. NaN, "not assessed", stays NaN.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

# Beyond these a tuning set is separable or upside down, and its fit would say nothing of other data.
TEMPERATURES = (0.05, 20.0)
FOLDS = 5
_MARGIN = 1e-4


@dataclass(frozen=True)
class LogitCalibration:
    """p = sigmoid(logit / temperature + offset)."""

    temperature: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.temperature) and self.temperature > 0 and np.isfinite(self.offset)):
            raise ValueError(f"temperature {self.temperature} must be above 0, offset {self.offset} finite")

    def probability(self, logits: np.ndarray) -> np.ndarray:
        """Return probabilities of logits, in the shape given."""
        p: np.ndarray = expit(np.asarray(logits, dtype=np.float64) / self.temperature + self.offset)
        return p

    def document(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"kind": "logit", "temperature": self.temperature, "offset": self.offset}


@dataclass(frozen=True)
class IsotonicCalibration:
    """A rising polygon through (logit, probability); constant beyond its ends.

    Attributes
    ----------
    logits
        Rising, at least one.
    probabilities
        Not falling, 0 … 1.
    """

    logits: tuple[float, ...]
    probabilities: tuple[float, ...]

    def __post_init__(self) -> None:
        x, y = np.array(self.logits, dtype=float), np.array(self.probabilities, dtype=float)
        if x.size == 0 or x.shape != y.shape:
            raise ValueError(f"{x.size} logits and {y.size} probabilities; both must be equally many, at least one")
        if not np.isfinite(x).all() or (np.diff(x) <= 0).any():
            raise ValueError("logits of an isotonic calibration must rise")
        if (np.diff(y) < 0).any() or not ((y >= 0) & (y <= 1)).all():
            raise ValueError("probabilities of an isotonic calibration must not fall and lie within 0 … 1")

    def probability(self, logits: np.ndarray) -> np.ndarray:
        """Return probabilities of logits, in the shape given."""
        p: np.ndarray = np.interp(np.asarray(logits, dtype=np.float64), self.logits, self.probabilities)
        return p

    def document(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"kind": "isotonic", "logits": list(self.logits), "probabilities": list(self.probabilities)}


Calibration = LogitCalibration | IsotonicCalibration


def read_calibration(document: Mapping[str, Any]) -> Calibration:
    """Return the calibration that `document()` wrote.

    Raises
    ------
    ValueError
        Another kind, or impossible numbers.
    """
    if document.get("kind") == "logit":
        return LogitCalibration(float(document["temperature"]), float(document["offset"]))
    if document.get("kind") == "isotonic":
        logits, probabilities = (tuple(float(v) for v in document[key]) for key in ("logits", "probabilities"))
        return IsotonicCalibration(logits, probabilities)
    raise ValueError(f"calibration of kind {document.get('kind')!r}; known are 'logit' and 'isotonic'")


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> LogitCalibration:
    """Fit one temperature by least log loss (Guo et al., ICML 2017); the order of scores and logit 0 stay.

    Parameters
    ----------
    logits, labels
        (n,) each; pairs with a NaN score are left out.

    Raises
    ------
    ValueError
        Only one class, another shape, or a label that is not 0 or 1.
    """
    from scipy.optimize import minimize_scalar  # noqa: PLC0415 - only fitting needs it, and it is slow to load

    z, y = _checked(logits, labels)

    def loss(log_temperature: float) -> float:
        return _log_loss(z / np.exp(log_temperature), y)

    low, high = np.log(TEMPERATURES)
    found = minimize_scalar(loss, bounds=(float(low), float(high)), method="bounded", options={"xatol": 1e-8})
    return LogitCalibration(float(np.exp(found.x)))


def fit_logistic(logits: np.ndarray, labels: np.ndarray) -> LogitCalibration:
    """Fit temperature and offset (Platt); inputs and errors as in `fit_temperature`."""
    from scipy.optimize import minimize  # noqa: PLC0415 - only fitting needs it, and it is slow to load

    z, y = _checked(logits, labels)

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        t = values[0] * z + values[1]
        rest = expit(t) - y
        return _log_loss(t, y), np.array([(rest * z).mean(), rest.mean()])

    slopes = (1 / TEMPERATURES[1], 1 / TEMPERATURES[0])
    found = minimize(loss, np.array([1.0, 0.0]), jac=True, bounds=[slopes, (None, None)], method="L-BFGS-B", tol=1e-12)
    return LogitCalibration(float(1 / found.x[0]), float(found.x[1]))


def fit_isotonic(logits: np.ndarray, labels: np.ndarray) -> IsotonicCalibration:
    """Fit a rising polygon by pooling adjacent violators; inputs and errors as in `fit_temperature`.

    Probabilities stay within 1 / (n + 2) of 0 and 1, n being the number of scores: a sample cannot show certainty.
    """
    from scipy.optimize import isotonic_regression  # noqa: PLC0415 - only fitting needs it, and it is slow to load

    z, y = _checked(logits, labels)
    x, place, count = np.unique(z, return_inverse=True, return_counts=True)
    mean = np.bincount(place, weights=y) / count
    fitted = isotonic_regression(mean, weights=count).x
    fitted = np.clip(fitted, 1 / (len(z) + 2), 1 - 1 / (len(z) + 2))
    # Of each flat stretch only the ends are needed.
    inner = np.zeros(len(x), dtype=bool)
    inner[1:-1] = (fitted[1:-1] == fitted[:-2]) & (fitted[1:-1] == fitted[2:])
    return IsotonicCalibration(tuple(x[~inner].tolist()), tuple(fitted[~inner].tolist()))


def choose_calibration(
    logits: np.ndarray, labels: np.ndarray, groups: np.ndarray, rng: np.random.Generator
) -> Calibration:
    """Return the kind with the least log loss out of fold; of equals the one with fewer numbers.

    Parameters
    ----------
    groups
        (n,) study of each score; a study is never on both sides.

    Raises
    ------
    ValueError
        As in `fit_temperature`; also when a part without one fold lacks a class.
    """
    z, y = np.asarray(logits, dtype=float), np.asarray(labels)
    known = np.isfinite(z)
    z, y, own = z[known], y[known], np.unique(np.asarray(groups)[known], return_inverse=True)[1]
    order = rng.permutation(int(own.max(initial=0)) + 1)
    fold = (order % FOLDS)[own]
    losses = []
    for fit in _KINDS:
        parts = [(fit(z[fold != k], y[fold != k]), fold == k) for k in range(FOLDS) if (fold == k).any()]
        lost = [_probability_loss(made.probability(z[out]), y[out]) * out.sum() for made, out in parts]
        losses.append(float(sum(lost)) / len(z))
    best = next(k for k, loss in enumerate(losses) if loss <= min(losses) + _MARGIN)
    return _KINDS[best](z, y)


_KINDS: tuple[Callable[[np.ndarray, np.ndarray], Calibration], ...] = (fit_temperature, fit_logistic, fit_isotonic)


def _checked(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    z, y = np.asarray(logits, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if z.ndim != 1 or z.shape != y.shape:
        raise ValueError(f"logits {z.shape} and labels {y.shape} must both be (n,)")
    z, y = z[~np.isnan(z)], y[~np.isnan(z)]
    if not np.isfinite(z).all():
        raise ValueError("a logit is infinite; clip scores before calibration")
    if not ((y == 0) | (y == 1)).all():
        raise ValueError("labels must be 0 or 1")
    if y.size == 0 or y.min() == y.max():
        raise ValueError(f"calibration needs both classes; of {y.size} scores {int(y.sum())} are positive")
    return z, y


def _log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(np.logaddexp(0, logits) - labels * logits))


def _probability_loss(p: np.ndarray, labels: np.ndarray) -> float:
    kept = np.clip(p, 1e-15, 1 - 1e-15)
    return float(-np.mean(np.where(labels == 1, np.log(kept), np.log1p(-kept))))
