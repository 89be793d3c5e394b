"""From places to names: one chain of vertebrae along the ridge, head to foot.

A chain is a run of consecutive names (C1 … T1, then any number of lower ones), each at a place. Its score is the
evidence of the places for their names, a prior of the steps between neighbors for a person of some size, and a price
for heat that no vertebra of the chain explains. Sizes are summed over. Nothing is placed where there is no heat, so no
level is invented beyond the cut of a scan. Posterior marginals of the same model (sum-product) say how sure each name
is.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from cspine.domain import Vertebra
from cspine.pipeline.places import Places
from cspine.pipeline.spec import DecodeSpec

# Mean distance of neighboring centers C1–C2 … T1–T2, mm, by the definition of `VertebraTruth`: measured on 100
# phantoms of the training family. The body center of C2 is below the dens, so its steps are wide.
NEIGHBOR_MM = np.array([20.0, 21.0, 16.8, 16.6, 16.0, 17.4, 19.3, 20.9])
LAST = 8  # index of "T2 and below", the only name that may repeat
_LOWER_MM = 21.9
_SIZES = np.linspace(0.8, 1.24, 9)
_SIZE_SD = 0.09
_VERTEBRA_HEAT_MM = 10.0  # heat of one vertebra summed along the ridge, mm
_SHIFTS = 4  # of the mean
_FAR = 4.0  # standard deviations beyond which a step is no worse


@dataclass(frozen=True)
class NamedCenter:
    """A place with its name.

    Attributes
    ----------
    vertebra
        C1 … T1, or T2 for "T2 and below".
    confidence
        Posterior probability of the name.
    strength
        Heat of any name at the place, 0 … 1.
    inferred
        There is hardly any heat: a question to the per-vertebra network, which sees a center or does not.
    """

    vertebra: Vertebra
    center_lps_mm: np.ndarray
    confidence: float
    strength: float
    inferred: bool = False


def name_places(places: Places, spec: DecodeSpec) -> list[NamedCenter]:
    """Return the most probable chain, head to foot; empty when none is better than nothing."""
    if not len(places):
        return []
    model = _Model(places, spec)
    path = model.best()
    if not path:
        return []
    marginal = model.marginals()
    total = places.total
    distance = np.linalg.norm(places.centers_lps_mm[:, None] - places.centers_lps_mm[None], axis=2)
    named = []
    for k, name in path:
        near = distance[k] <= spec.same_place_mm
        sure = float(min(marginal[near, name].sum(), 1.0))
        center = _settled(places, k, spec.settle_mm)
        inferred = bool(total[k] < spec.inferred_below)
        named.append(NamedCenter(Vertebra(name + 1), center, sure, float(total[k]), inferred))
    return named


def _settled(places: Places, k: int, reach_mm: float) -> np.ndarray:
    """Return the top of the heat near a place, by mean shift along the ridge; not farther than `reach_mm` away."""
    held = np.linalg.norm(places.centers_lps_mm - places.centers_lps_mm[k], axis=1) <= reach_mm
    centers, heat = places.centers_lps_mm[held], places.total[held]
    at: np.ndarray = places.centers_lps_mm[k]
    for _ in range(_SHIFTS):
        near = np.linalg.norm(centers - at, axis=1) <= reach_mm
        weight = np.clip(heat[near] - 0.3 * heat[near].max(), 1e-6, None)
        at = weight @ centers[near] / weight.sum()
    return at


class _Model:
    """Scores of all chains; arrays are (size, place, name)."""

    def __init__(self, places: Places, spec: DecodeSpec) -> None:
        heat = places.total * places.step_mm / _VERTEBRA_HEAT_MM
        along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(places.centers_lps_mm, axis=0), axis=1))])
        evidence = np.log((places.evidence + spec.evidence_floor) / spec.evidence_even)
        self.unary = (evidence - _off_peak(places, along, spec)[:, None]) / spec.temperature
        apart = along[:, None] - along[None]
        self.above = -spec.left_out * ((apart > spec.explained_mm) * heat).sum(axis=1) / spec.temperature
        self.below = -spec.left_out * ((-apart > spec.explained_mm) * heat).sum(axis=1) / spec.temperature
        straight = np.linalg.norm(places.centers_lps_mm[:, None] - places.centers_lps_mm[None], axis=2)
        self.step_mm = np.where(apart.T > 0, straight, np.inf)
        self.prior = -0.5 * ((_SIZES - 1) / _SIZE_SD) ** 2
        self.spec = spec
        self.pairs = [[self._pair(name, size) for name in range(LAST + 1)] for size in _SIZES]

    def _pair(self, name: int, size: float) -> np.ndarray:
        """Return (K, K): log score of the second place being the next vertebra below the first, named `name`."""
        mean = (NEIGHBOR_MM[name] if name < LAST else _LOWER_MM) * size
        sd = self.spec.spacing_sd_mm * (1.0 if name < LAST - 1 else 1.6)
        with np.errstate(invalid="ignore"):
            off = np.abs(self.step_mm - mean) / sd
        score = -0.5 * np.minimum(off, _FAR) ** 2 / self.spec.temperature
        return np.asarray(np.where(np.isfinite(self.step_mm) & (off < 2 * _FAR), score, -np.inf))

    def best(self) -> list[tuple[int, int]]:
        """Return (place, name) of the best chain of any size, or nothing."""
        top, path = 0.0, []
        nothing = self._nothing()
        for pairs, prior in zip(self.pairs, self.prior, strict=True):
            score, came = self._viterbi(pairs)
            final = score + self.below[:, None]
            end = np.unravel_index(int(final.argmax()), final.shape)
            if final[end] + prior - nothing > top:
                top, path = final[end] + prior - nothing, _back(came, (int(end[0]), int(end[1])))
        return path

    def _nothing(self) -> float:
        """Return the score of leaving out all heat."""
        return float(self.above[-1] + self.below[-1])

    def _viterbi(self, pairs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        score = self.unary + self.above[:, None]
        came = np.full((*score.shape, 2), -1)
        for name in range(1, LAST + 1):
            self._follow(score, came, pairs[name - 1], (name - 1, name))
        for place in range(len(score)):
            options = score[:, LAST] + pairs[LAST][:, place]
            k = int(options.argmax())
            if options[k] + self.unary[place, LAST] > score[place, LAST]:
                score[place, LAST] = options[k] + self.unary[place, LAST]
                came[place, LAST] = k, LAST
        return score, came

    def _follow(self, score: np.ndarray, came: np.ndarray, pair: np.ndarray, names: tuple[int, int]) -> None:
        options = score[:, names[0], None] + pair
        k = options.argmax(axis=0)
        gained = options[k, np.arange(len(score))] + self.unary[:, names[1]]
        better = gained > score[:, names[1]]
        score[better, names[1]] = gained[better]
        came[better, names[1]] = np.column_stack([k, np.full(len(score), names[0])])[better]

    def marginals(self) -> np.ndarray:
        """Return (K, 9) posterior probability that a place bears a name, over all chains and sizes."""
        joint, ends = [], []
        for pairs, prior in zip(self.pairs, self.prior, strict=True):
            forward = self._forward(pairs)
            joint.append(forward + self._backward(pairs) + prior)
            ends.append(forward + self.below[:, None] + prior)
        evidence = np.logaddexp(logsumexp(np.array(ends)), self._nothing())
        return np.asarray(np.exp(logsumexp(np.array(joint), axis=0) - evidence))

    def _forward(self, pairs: list[np.ndarray]) -> np.ndarray:
        score: np.ndarray = self.unary + self.above[:, None]
        for name in range(1, LAST + 1):
            came = _logsum(score[:, name - 1, None] + pairs[name - 1], axis=0)
            score[:, name] = np.logaddexp(score[:, name], self.unary[:, name] + came)
        for place in range(len(score)):
            came = _logsum(score[:, LAST] + pairs[LAST][:, place], axis=0)
            score[place, LAST] = np.logaddexp(score[place, LAST], self.unary[place, LAST] + came)
        return score

    def _backward(self, pairs: list[np.ndarray]) -> np.ndarray:
        score = np.repeat(self.below[:, None], LAST + 1, axis=1)
        for place in range(len(score) - 1, -1, -1):
            goes = _logsum(pairs[LAST][place] + self.unary[:, LAST] + score[:, LAST], axis=0)
            score[place, LAST] = np.logaddexp(score[place, LAST], goes)
        for name in range(LAST - 1, -1, -1):
            goes = _logsum(pairs[name] + (self.unary[:, name + 1] + score[:, name + 1])[None], axis=1)
            score[:, name] = np.logaddexp(score[:, name], goes)
        return score


def _off_peak(places: Places, along_mm: np.ndarray, spec: DecodeSpec) -> np.ndarray:
    """Return (K,) the price of not being a peak of the heat of all names; the same everywhere where none is near."""
    heat = places.evidence.sum(axis=1)
    apart = np.abs(along_mm[:, None] - along_mm[None])
    highest = np.where(apart <= spec.peak_reach_mm, heat[None], 0.0).max(axis=1)
    nearest = apart[:, heat >= highest].min(axis=1)
    return np.asarray(np.minimum(0.5 * (nearest / spec.peak_sd_mm) ** 2, spec.off_peak))


def _logsum(values: np.ndarray, axis: int) -> np.ndarray:
    """Return log Σ exp along an axis; −∞ where all are."""
    top = values.max(axis=axis, keepdims=True)
    safe = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.exp(values - safe).sum(axis=axis)) + safe.squeeze(axis))


def _back(came: np.ndarray, end: tuple[int, int]) -> list[tuple[int, int]]:
    path = [end]
    while came[path[-1]][0] >= 0:
        k, name = came[path[-1]]
        path.append((int(k), int(name)))
    return path[::-1]
