"""From heat maps to one consistent sequence of vertebrae.

Candidates are peaks of the center heat. A chain over the candidates, head to foot, chooses the names: evidence of
the network per candidate, a spacing prior between neighbors, a price for a vertebra without a candidate and for a
candidate that is none. Nothing is ever placed without a candidate, so no level is invented beyond the cut of a
scan. Posterior marginals of the same chain (sum-product) say how sure each name is.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import ndimage
from scipy.special import logsumexp

from cspine.domain import Grid, Vertebra
from cspine.pipeline.spec import DecodeSpec

# Mean distance of neighboring centers C1–C2 … T1–T2, mm, by the definition of `VertebraTruth`: measured on 100
# phantoms of the training family. The body center of C2 is below the dens, so its steps are wide.
NEIGHBOR_MM = np.array([20.0, 21.0, 16.8, 16.6, 16.0, 17.4, 19.3, 20.9])
LAST = 8  # index of "T2 and below", the only name that may repeat


@dataclass(frozen=True)
class Candidate:
    """A peak of the center heat.

    Attributes
    ----------
    evidence
        (9,) heat of each name near the peak, 0 … 1.
    """

    center_lps_mm: np.ndarray
    evidence: np.ndarray

    @property
    def strength(self) -> float:
        """Largest heat of any name."""
        return float(self.evidence.max())


@dataclass(frozen=True)
class NamedCenter:
    """A candidate with its name.

    Attributes
    ----------
    vertebra
        C1 … T1, or T2 for "T2 and below".
    confidence
        Posterior probability of the name.
    inferred
        Guessed from the neighbors, without a candidate of its own.
    """

    vertebra: Vertebra
    center_lps_mm: np.ndarray
    confidence: float
    strength: float
    inferred: bool = False


def with_gaps_filled(named: list[NamedCenter], spec: DecodeSpec) -> list[NamedCenter]:
    """Return the sequence with a guess for each vertebra that is missing *between* two named ones.

    A guess lies on the line between its neighbors, and only where their distance fits the number of steps. It is a
    question to the per-vertebra network, not an answer: `refine` drops it when the network sees no center there.
    Nothing is added above the first or below the last.
    """
    filled = named[:1]
    for upper, lower in pairwise(named):
        filled += _between(upper, lower, spec)
        filled.append(lower)
    return filled


def _between(upper: NamedCenter, lower: NamedCenter, spec: DecodeSpec) -> list[NamedCenter]:
    steps = lower.vertebra - upper.vertebra
    if steps < 2 or lower.vertebra > Vertebra.T1:
        return []
    usual = NEIGHBOR_MM[upper.vertebra - 1 : lower.vertebra - 1]
    distance = float(np.linalg.norm(lower.center_lps_mm - upper.center_lps_mm))
    if not spec.gap_fit[0] <= distance / usual.sum() <= spec.gap_fit[1]:
        return []
    guesses = []
    for k, share in enumerate(np.cumsum(usual[:-1]) / usual.sum(), start=1):
        center = upper.center_lps_mm + share * (lower.center_lps_mm - upper.center_lps_mm)
        sure = min(upper.confidence, lower.confidence)
        guesses.append(NamedCenter(Vertebra(upper.vertebra + k), center, sure, 0.0, inferred=True))
    return guesses


def find_candidates(heat_cdhw: np.ndarray, grid: Grid, spec: DecodeSpec) -> list[Candidate]:
    """Return the peaks of the heat maps (9, slice, row, column), head to foot."""
    smooth = np.stack([ndimage.gaussian_filter(h, 0.7) for h in heat_cdhw])
    best = smooth.max(axis=0)
    size = [2 * int(np.ceil(spec.peak_radius_mm / s)) + 1 for s in grid.spacing_mm]
    is_peak = (ndimage.maximum_filter(best, size=size) == best) & (best >= spec.peak_min)
    found = []
    for index in np.argwhere(is_peak):
        center = grid.to_world(_centroid(best, index, reach=2))
        found.append(Candidate(center, _near(smooth, index, reach=1)))
    found.sort(key=lambda c: float(c.center_lps_mm @ grid.directions[0]))
    return _merged(found, spec.peak_radius_mm)


def name_sequence(candidates: list[Candidate], grid: Grid, spec: DecodeSpec) -> list[NamedCenter]:
    """Return the best naming of candidates that are ordered head to foot; rejected candidates are left out.

    Parameters
    ----------
    grid
        Any grid along the scan's canonical directions: its columns run to the left.
    """
    if not candidates:
        return []
    left = grid.directions[2]
    unary = np.array([_log_evidence(c, spec) for c in candidates])
    skip = np.array([3 * np.log(1.02 - min(c.strength, 1.0)) for c in candidates]) / spec.temperature
    pair = _log_pairs(candidates, left, spec)
    path = _viterbi(unary, skip, pair)
    marginal = _marginals(unary, skip, pair)
    return [
        NamedCenter(Vertebra(name + 1), candidates[k].center_lps_mm, float(marginal[k, name]), candidates[k].strength)
        for k, name in path
    ]


def _centroid(heat: np.ndarray, index: np.ndarray, reach: int) -> np.ndarray:
    low = np.maximum(index - reach, 0)
    high = np.minimum(index + reach + 1, heat.shape)
    patch = heat[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    weight = np.clip(patch - 0.3 * patch.max(), 0, None)
    return np.asarray(low + np.array(ndimage.center_of_mass(weight)))


def _near(heat_cdhw: np.ndarray, index: np.ndarray, reach: int) -> np.ndarray:
    low = np.maximum(index - reach, 0)
    high = index + reach + 1
    patch = heat_cdhw[:, low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    return np.asarray(patch.max(axis=(1, 2, 3)))


def _merged(found: list[Candidate], radius_mm: float) -> list[Candidate]:
    kept: list[Candidate] = []
    for candidate in sorted(found, key=lambda c: -c.strength):
        if all(np.linalg.norm(candidate.center_lps_mm - k.center_lps_mm) >= radius_mm for k in kept):
            kept.append(candidate)
    return [c for c in found if any(c is k for k in kept)]


def _log_evidence(candidate: Candidate, spec: DecodeSpec) -> np.ndarray:
    share = candidate.evidence / (candidate.evidence.sum() + 0.05)
    return np.asarray(np.log(share + 0.01) / spec.temperature)


def _log_pairs(candidates: list[Candidate], left: np.ndarray, spec: DecodeSpec) -> np.ndarray:
    """Return (k, k, 9, 9) log score of candidate j, named b, being the next one below candidate i, named a."""
    count = len(candidates)
    distance = np.array([[np.linalg.norm(a.center_lps_mm - b.center_lps_mm) for b in candidates] for a in candidates])
    aside = np.array([[abs(float((a.center_lps_mm - b.center_lps_mm) @ left)) for b in candidates] for a in candidates])
    below = np.concatenate([[0.0], np.cumsum(NEIGHBOR_MM)])
    pair = np.full((count, count, LAST + 1, LAST + 1), -np.inf)
    for a in range(LAST + 1):
        for b in range(a, LAST + 1):
            steps = b - a
            if steps == 0 and b != LAST:
                continue
            mean = below[b] - below[a] if steps else NEIGHBOR_MM[-1] * 1.05
            sd = spec.spacing_sd_mm * np.sqrt(max(steps, 1)) * (2.5 if b == LAST else 1.0)
            off = np.clip((distance - mean) / sd, -4, 4) ** 2
            off = off + np.clip(aside / (spec.lateral_sd_mm * np.sqrt(max(steps, 1))), 0, 4) ** 2
            gaps = max(steps - 1, 0) * np.log(spec.gap_probability)
            pair[:, :, a, b] = (-0.5 * off + gaps) / spec.temperature
    pair[~np.triu(np.ones((count, count), dtype=bool), k=1)] = -np.inf
    return pair


def _skipped(skip: np.ndarray) -> np.ndarray:
    """Return (k + 2, k + 2): cost of rejecting all candidates strictly between two, ends included as −1 and k."""
    total = np.concatenate([[0.0], np.cumsum(skip)])
    count = len(skip)
    between = np.zeros((count + 2, count + 2))
    for i in range(-1, count):
        for j in range(i + 1, count + 1):
            between[i + 1, j + 1] = total[j] - total[i + 1]
    return between


def _viterbi(unary: np.ndarray, skip: np.ndarray, pair: np.ndarray) -> list[tuple[int, int]]:
    count, names = unary.shape
    between = _skipped(skip)
    score = unary + between[0, 1 : count + 1, None]
    came: dict[tuple[int, int], tuple[int, int]] = {}
    for j in range(1, count):
        for b in range(names):
            options = score[:j] + pair[:j, j, :, b] + between[1 : j + 1, j + 1, None]
            k = np.unravel_index(int(options.argmax()), options.shape)
            if options[k] + unary[j, b] > score[j, b]:
                score[j, b] = options[k] + unary[j, b]
                came[j, b] = (int(k[0]), int(k[1]))
    final = score + between[1 : count + 1, count + 1, None]
    nothing = float(between[0, count + 1])
    end = np.unravel_index(int(final.argmax()), final.shape)
    if final[end] <= nothing:
        return []
    path = [(int(end[0]), int(end[1]))]
    while path[-1] in came:
        path.append(came[path[-1]])
    return path[::-1]


def _marginals(unary: np.ndarray, skip: np.ndarray, pair: np.ndarray) -> np.ndarray:
    """Return (k, 9) posterior probability of each name of each candidate, given that it is a vertebra."""
    count, names = unary.shape
    between = _skipped(skip)
    forward = unary + between[0, 1 : count + 1, None]
    for j in range(1, count):
        options = forward[:j, :, None] + pair[:j, j] + between[1 : j + 1, j + 1, None, None]
        forward[j] = np.logaddexp(forward[j], unary[j] + logsumexp(options.reshape(-1, names), axis=0))
    backward = np.repeat(between[1 : count + 1, count + 1, None], names, axis=1)
    for i in range(count - 2, -1, -1):
        options = (
            (unary + backward)[i + 1 :, None, :] + pair[i, i + 1 :] + between[i + 1, i + 2 : count + 1, None, None]
        )
        backward[i] = np.logaddexp(backward[i], logsumexp(options.transpose(1, 0, 2).reshape(names, -1), axis=1))
    joint = forward + backward
    return np.asarray(np.exp(joint - logsumexp(joint, axis=1, keepdims=True)))
