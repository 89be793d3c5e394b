"""Check vertebra centers of a real neck without vertebra truth: order, spacing, place in front of the cord.

A neck passes when all seven are there from head to foot, neighbors lie at anatomical distances, and each body lies in
front of the spinal cord. Names can still be wrong by a level; nothing here can tell.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from cspine.domain import CERVICAL, Vertebra

SPACING_MM = (12.0, 26.0)
ATLAS_SPACING_MM = (8.0, 26.0)
BODY_DEPTH_MM = (8.0, 24.0)
ATLAS_DEPTH_MM = 8.0

Center = tuple[float, float, float]


@dataclass(frozen=True)
class NeckCheck:
    """What was measured on one neck, and what is wrong with it.

    Attributes
    ----------
    spacing_mm
        Distance of neighbors, C1–C2 first; only of pairs that were both found.
    depth_mm
        How far each center lies in front of the cord's axis (negative: behind); only within the axis's height.
    problems
        One sentence each; empty when the neck passes.
    """

    spacing_mm: dict[str, float]
    depth_mm: dict[Vertebra, float]
    problems: tuple[str, ...]

    @property
    def passes(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def cord_axis(points_lps_mm: np.ndarray, bins_mm: float = 3.0) -> np.ndarray:
    """Return (N, 3) mean points of the cord by height, foot to head, from its voxels' places (M, 3)."""
    height = np.floor(points_lps_mm[:, 2] / bins_mm).astype(int)
    return np.array([points_lps_mm[height == h].mean(axis=0) for h in np.unique(height)])


def check_neck(centers_lps_mm: Mapping[Vertebra, Center], axis_lps_mm: np.ndarray) -> NeckCheck:
    """Check the centers of C1 … C7 against each other and against the cord's axis (N, 3), foot to head."""
    problems = [f"{v.name} was not found" for v in CERVICAL if v not in centers_lps_mm]
    spacing = {}
    for upper, lower in pairwise(CERVICAL):
        if upper not in centers_lps_mm or lower not in centers_lps_mm:
            continue
        name = f"{upper.name}–{lower.name}"
        a, b = np.array(centers_lps_mm[upper]), np.array(centers_lps_mm[lower])
        spacing[name] = float(np.linalg.norm(a - b))
        low, high = ATLAS_SPACING_MM if upper is Vertebra.C1 else SPACING_MM
        if not low <= spacing[name] <= high:
            problems.append(f"{name} are {spacing[name]:.1f} mm apart, expected {low:.0f} … {high:.0f}")
        if a[2] <= b[2]:
            problems.append(f"{upper.name} lies below {lower.name}")
    depth = {v: d for v, c in centers_lps_mm.items() if v.is_cervical and (d := _depth(c, axis_lps_mm)) is not None}
    for vertebra, d in depth.items():
        low, high = (-ATLAS_DEPTH_MM, ATLAS_DEPTH_MM) if vertebra is Vertebra.C1 else BODY_DEPTH_MM
        if not low <= d <= high:
            problems.append(f"{vertebra.name} lies {d:.1f} mm in front of the cord, expected {low:.0f} … {high:.0f}")
    return NeckCheck(spacing, depth, tuple(problems))


def _depth(center: Center, axis: np.ndarray) -> float | None:
    """Return how far a center lies in front of the axis at its height; ``None`` beyond the axis's ends."""
    if not axis[0, 2] <= center[2] <= axis[-1, 2]:
        return None
    return float(np.interp(center[2], axis[:, 2], axis[:, 1]) - center[1])
