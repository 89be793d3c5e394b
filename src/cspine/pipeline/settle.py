"""The centers of one neck together, where voxels are too coarse for each vertebra to be placed by itself.

On a grid of 4 mm a disc fills less than a voxel, and the peak of a vertebra's heat slides onto its neighbor. What the
whole-volume network saw, what the per-vertebra network saw and how far vertebrae of one person stand apart say together
where each is: the most probable centers under three normal distributions.
"""

from itertools import pairwise

import numpy as np

from cspine.domain import Vertebra
from cspine.pipeline.chain import NEIGHBOR_MM
from cspine.pipeline.spec import SettleSpec

_ROUNDS = 10  # directions and the person's size are held fixed in each; changes are below .01 mm after six

Centers = dict[Vertebra, np.ndarray]


def settle(seen: Centers, outlined: Centers, spec: SettleSpec) -> Centers:
    """Return the most probable center (LPS mm) of each vertebra in `outlined`, C1 … T1.

    Parameters
    ----------
    seen
        Centers by the whole-volume network; all of `outlined` are among them.
    outlined
        Centers by the per-vertebra network.
    """
    order = sorted(outlined)
    if not order:
        return {}
    weights = 1 / spec.place_sd_mm**2, 1 / spec.center_sd_mm**2
    placed = np.array([seen[v] - np.array([0.0, spec.place_back_mm[v - 1], 0.0]) for v in order])
    evidence = weights[0] * placed + weights[1] * np.array([outlined[v] for v in order])
    centers = evidence / sum(weights)
    pairs = [(k, NEIGHBOR_MM[a - 1]) for k, (a, b) in enumerate(pairwise(order)) if b == a + 1]
    for _ in range(_ROUNDS if pairs else 0):
        centers = _solved(centers, evidence, sum(weights), pairs, spec)
    return dict(zip(order, centers, strict=True))


def _solved(
    centers: np.ndarray, evidence: np.ndarray, weight: float, pairs: list[tuple[int, float]], spec: SettleSpec
) -> np.ndarray:
    """Return the centers (N, 3) of least squares for the directions and the size that `centers` have."""
    steps = np.array([centers[k + 1] - centers[k] for k, _ in pairs])
    length = np.linalg.norm(steps, axis=1)
    mean = np.array([mm for _, mm in pairs])
    pull = 1 / spec.spacing_sd_mm**2
    size = (pull * length @ mean + 1 / spec.size_sd**2) / (pull * mean @ mean + 1 / spec.size_sd**2)
    matrix, right = weight * np.eye(len(centers)), evidence.copy()
    for (k, _), step, mm, along in zip(pairs, steps, mean, length, strict=True):
        wanted = size * mm * step / max(float(along), 1e-6)
        matrix[k : k + 2, k : k + 2] += pull * np.array([[1.0, -1.0], [-1.0, 1.0]])
        right[k] -= pull * wanted
        right[k + 1] += pull * wanted
    return np.linalg.solve(matrix, right)
