"""Labels for real scans from an earlier network, kept only where the whole sequence is consistent.

The rule looks at nothing but the network's own answer: all of C1 … C7 found in order, each name sure, neighbors at
anatomical distances. Used on the even patients of the Open-KBP set; odd ones evaluate.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from cspine.domain import CERVICAL, OutOfScope, Vertebra, Volume, resample
from cspine.pipeline import Analyzer, Located, paint_labels
from cspine.training.real_cases import RealCase

SKULL_CLASS, RIB_CLASS, LOWER_CLASS = 10, 11, 9


@dataclass(frozen=True)
class Consistency:
    """When a sequence may teach.

    Attributes
    ----------
    confidence
        Smallest posterior probability of each name.
    spacing_mm, atlas_spacing_mm
        Allowed distance of neighboring centers, and of C1 to C2.
    """

    confidence: float = 0.5
    spacing_mm: tuple[float, float] = (11.0, 26.0)
    atlas_spacing_mm: tuple[float, float] = (8.0, 26.0)


def consistent(located: Located, rule: Consistency) -> bool:
    """Tell whether all of C1 … C7 were found in order, surely, and at anatomical distances."""
    found = {r.vertebra: r for r in located.refined}
    if any(v not in found or found[v].confidence < rule.confidence for v in CERVICAL):
        return False
    centers = [found[v].center_lps_mm for v in CERVICAL]
    gaps = [float(np.linalg.norm(b - a)) for a, b in pairwise(centers)]
    low, high = rule.atlas_spacing_mm
    return low <= gaps[0] <= high and all(rule.spacing_mm[0] <= g <= rule.spacing_mm[1] for g in gaps[1:])


def pseudo_label(
    analyzer: Analyzer, volumes: Iterable[tuple[str, Volume]], rule: Consistency
) -> Iterable[tuple[str, RealCase]]:
    """Yield the real scans whose sequence is consistent, with classes and centers."""
    for name, volume in volumes:
        try:
            located = analyzer.locate(volume)
        except OutOfScope:
            continue
        if consistent(located, rule):
            yield name, labeled(located)


def labeled(located: Located) -> RealCase:
    """Return a real scan with the labels that the network gave it."""
    grid = located.volume.grid
    classes = paint_labels(located.refined, grid, threads=2).labels.copy()
    for other in (LOWER_CLASS, SKULL_CLASS, RIB_CLASS):
        share = resample(located.maps.seg[other], located.maps.grid, grid, 0.0)
        classes[(share > 0.5) & (classes == 0)] = other
    centers: dict[Vertebra, np.ndarray] = {r.vertebra: r.center_lps_mm for r in located.refined}
    below = [n for n in located.named if n.vertebra > Vertebra.T1]
    for step, named in enumerate(below):
        centers[Vertebra(Vertebra.T2 + step)] = named.center_lps_mm
    hu = np.clip(located.volume.hu, -1000, 3000).astype(np.int16)
    return RealCase(grid, hu, classes, centers)
