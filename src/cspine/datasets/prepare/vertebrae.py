"""Where the vertebrae of a study lie: from its mask, or from a network where there is none."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from cspine.datasets.labeled_study import LabeledStudy
from cspine.datasets.mask_geometry import level_extents
from cspine.domain import CERVICAL, LabelMap, Vertebra
from cspine.pipeline import Analyzer, paint_labels


@dataclass(frozen=True)
class Found:
    """One of C1 … C7, or of the values that were asked for.

    Attributes
    ----------
    heights_mm
        z (LPS) of its top and bottom faces.
    """

    vertebra: Vertebra
    center_lps_mm: tuple[float, float, float]
    heights_mm: tuple[float, float]


# Gives the vertebrae of a study, and labels on its grid when they are known.
VertebraFinder = Callable[[LabeledStudy], tuple[tuple[Found, ...], LabelMap | None]]


def from_mask(study: LabeledStudy) -> tuple[tuple[Found, ...], LabelMap | None]:
    """Return the levels of the study's own mask; none without one."""
    return (() if study.labels is None else _levels(study.labels)), study.labels


def from_mask_of(values: Collection[int]) -> VertebraFinder:
    """Return a finder that takes these values of the study's own mask, whatever they stand for."""

    def find(study: LabeledStudy) -> tuple[tuple[Found, ...], LabelMap | None]:
        return (() if study.labels is None else _levels(study.labels, values)), study.labels

    return find


def from_network(analyzer: Analyzer) -> VertebraFinder:
    """Return a finder that asks the vertebra stage of a bundle, the same that analyzes patients.

    Its centers are those of the vertebral bodies, as in findings; a mask gives centers of mass.
    """

    def find(study: LabeledStudy) -> tuple[tuple[Found, ...], LabelMap | None]:
        located = analyzer.locate(study.volume)
        labels = paint_labels(located.refined, located.volume.grid, analyzer.threads)
        heights = {level.vertebra: level.heights_mm for level in _levels(labels)}
        centers = {r.vertebra: r.center_lps_mm for r in located.refined}
        shown = [v for v in heights if v in centers]
        return tuple(Found(v, _triple(centers[v]), heights[v]) for v in shown), labels

    return find


def from_mask_or_network(analyzer: Analyzer) -> VertebraFinder:
    """Return a finder that takes the mask where there is one."""
    ask = from_network(analyzer)
    return lambda study: ask(study) if study.labels is None else from_mask(study)


def _levels(labels: LabelMap, values: Collection[int] = CERVICAL) -> tuple[Found, ...]:
    return tuple(
        Found(e.vertebra, e.center_lps_mm, (e.top_mm, e.bottom_mm))
        for e in level_extents(labels)
        if e.vertebra in values
    )


def _triple(point: np.ndarray) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in point)
    return x, y, z
