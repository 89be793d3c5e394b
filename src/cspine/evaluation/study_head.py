"""From seven vertebrae to one study: noisy-OR, and a small logistic model of the sorted scores that has to beat it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from cspine.domain import CERVICAL
from cspine.evaluation.rsna import OVERALL_WEIGHTS

LEVELS = len(CERVICAL)
# Scores beyond this are as sure as any; it keeps one odd score from ruling the sum.
_LIMIT = 12.0
# Ridge on the distance of the weights from equal shares, per study.
_RIDGE = 1e-3


def noisy_or(probabilities: np.ndarray) -> np.ndarray:
    """Return 1 − Π(1 − p) over the last axis: any of independent fractures; NaN is left out, all NaN gives NaN."""
    p = np.asarray(probabilities, dtype=np.float64)
    none = np.where(np.isnan(p), 1.0, 1 - p).prod(axis=-1)
    joined: np.ndarray = np.where(np.isnan(p).all(axis=-1), np.nan, 1 - none)
    return joined


@dataclass(frozen=True)
class StudyHead:
    """A logistic model of the scores of C1 … C7, highest first.

    Attributes
    ----------
    weights
        (7,), none below 0: a higher score of a vertebra never lowers the study's.
    bias
        Of the weighted loss: sigmoid gives q = 2p / (1 + p).
    missing
        (7,) score of C1 … C7 where not assessed: the logit of the tuning prior.
    """

    weights: tuple[float, ...]
    bias: float
    missing: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.weights) != LEVELS or len(self.missing) != LEVELS:
            raise ValueError(f"{len(self.weights)} weights and {len(self.missing)} missing scores, must be {LEVELS}")
        if min(self.weights) < 0:
            raise ValueError(f"weight {min(self.weights)} is below 0")

    def score(self, logits: np.ndarray) -> np.ndarray:
        """Return scores (…) of vertebra logits (…, 7), NaN where not assessed; NaN when none was."""
        x = _features(logits, np.array(self.missing))
        z = x @ np.array(self.weights) + self.bias
        scored: np.ndarray = np.where(np.isnan(np.asarray(logits, dtype=np.float64)).all(axis=-1), np.nan, z)
        return scored

    def submitted(self, logits: np.ndarray) -> np.ndarray:
        """Return q (…), which the weighted loss is least at."""
        q: np.ndarray = expit(self.score(logits))
        return q

    def probability(self, logits: np.ndarray) -> np.ndarray:
        """Return p (…) = q / (2 − q)."""
        q = self.submitted(logits)
        p: np.ndarray = q / (2 - q)
        return p

    def document(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"weights": list(self.weights), "bias": self.bias, "missing": list(self.missing)}


def read_study_head(document: Mapping[str, Any]) -> StudyHead:
    """Return the head that `document()` wrote; raises ``ValueError`` where it is impossible."""
    weights, missing = (tuple(float(v) for v in document[key]) for key in ("weights", "missing"))
    return StudyHead(weights, float(document["bias"]), missing)


def fit_study_head(logits: np.ndarray, labels: np.ndarray, missing: np.ndarray) -> StudyHead:
    """Fit the head by the least weighted loss of the challenge: a positive study counts twice.

    Parameters
    ----------
    logits
        (S, 7) of vertebrae, calibrated or not, NaN where not assessed.
    labels
        (S,) of studies, 0 or 1.
    missing
        (7,) scores of levels not assessed.

    Raises
    ------
    ValueError
        Another shape, or only one class.
    """
    from scipy.optimize import minimize  # noqa: PLC0415 - only fitting needs it, and it is slow to load

    z, y = np.asarray(logits, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if z.ndim != 2 or z.shape[1] != LEVELS or y.shape != (len(z),):
        raise ValueError(f"logits {z.shape} must be (studies, {LEVELS}) and labels {y.shape} (studies,)")
    if y.size == 0 or y.min() == y.max():
        raise ValueError(f"a study head needs both classes; of {y.size} studies {int(y.sum())} are positive")
    x = _features(z, np.asarray(missing, dtype=np.float64))
    weight = np.where(y == 1, OVERALL_WEIGHTS[1], OVERALL_WEIGHTS[0])
    weight = weight / weight.sum()
    start = np.array([1.0, *[0.0] * (LEVELS - 1), 0.0])

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        t = x @ values[:-1] + values[-1]
        rest = weight * (expit(t) - y)
        pull = values[:-1] - start[:-1]
        lost = float(weight @ (np.logaddexp(0, t) - y * t)) + _RIDGE * float(pull @ pull)
        return lost, np.append(x.T @ rest + 2 * _RIDGE * pull, rest.sum())

    bounds = [(0.0, None)] * LEVELS + [(None, None)]
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B", tol=1e-12)
    return StudyHead(tuple(found.x[:-1].tolist()), float(found.x[-1]), tuple(np.asarray(missing, dtype=float).tolist()))


def _features(logits: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return (…, 7) clipped scores, the highest first."""
    z = np.asarray(logits, dtype=np.float64)
    filled = np.clip(np.where(np.isnan(z), missing, z), -_LIMIT, _LIMIT)
    ordered: np.ndarray = -np.sort(-filled, axis=-1)
    return ordered
