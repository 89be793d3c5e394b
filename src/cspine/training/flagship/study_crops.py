"""Crops of real vertebrae for the fracture stage: from masks or the vertebra stage, boxes, and fractures put in."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from cspine.datasets import LabeledStudy, PlacedBox, StudyLabels, with_level
from cspine.domain import (
    ConfigError,
    FractureTruth,
    LabelMap,
    Vertebra,
    Volume,
    resample,
    resample_labels,
)
from cspine.phantom import Fracture, insert_fracture
from cspine.pipeline import Analyzer, FractureSpec, fracture_grid, paint_labels
from cspine.training.fracture_cases import LABEL_BITS, MIMICS, OTHER_FRACTURE, OWN_FRACTURE, TYPES, save_crops

ROOM = (8, 0, 0)
"""Voxels (slice, row, column) that a stored crop is larger than what the network sees, to be moved in training."""


GAP_PIXELS = 2
_IN_PLANE = ndimage.generate_binary_structure(3, 1) & np.array([False, True, False])[:, None, None]
Seen = Sequence[tuple[Vertebra, np.ndarray]]


def outlined_study(study: LabeledStudy, analyzer: Analyzer) -> tuple[LabeledStudy, Seen]:
    """Return a study whose vertebrae are outlined, and which of them are seen whole, with their centers (LPS, mm).

    Where the study has a mask, outlines are those of the mask, otherwise those of the vertebra stage; centers are
    always where the vertebra stage sees them, as it will for patients.

    Raises
    ------
    OutOfScope
        The study shows no cervical spine.
    """
    located = analyzer.locate(study.volume)
    least = analyzer.spec.refine.whole_fraction
    whole = [r for r in located.refined if r.vertebra.is_cervical and r.visible_fraction >= least]
    labels = study.labels or paint_labels(located.refined, located.volume.grid, analyzer.threads)
    boxes = tuple(with_level(box, labels.labels) for box in study.boxes)
    return replace(study, labels=labels, boxes=boxes), [(r.vertebra, r.center_lps_mm) for r in whole]


def store_study(study: LabeledStudy, seen: Seen, labels: StudyLabels, spec: FractureSpec, folder: Path) -> None:
    """Cut the crops of an outlined study and store them.

    A break is where a box lies on a vertebra that the table calls fractured. Where a fractured level has no box, the
    crops of the study teach which vertebra is fractured, and not where.
    """
    assert study.labels is not None
    broken = broken_where_boxed(study.labels, study.boxes, labels)
    known = labels.fractured <= {Vertebra(int(value)) for value in np.unique(broken) if value}
    crops = _Cut(study.volume, study.labels, broken, spec).all(seen)
    fractured = np.array([int(v in labels.fractured) for v, _, _ in crops])
    truth = {
        "fractured": fractured,
        "severity": fractured,
        "types": np.zeros((len(crops), len(TYPES)), dtype=bool),
        "mapped": np.full(len(crops), known),
        "told": np.zeros(len(crops), dtype=bool),
    }
    _store(folder, crops, truth)


def store_generated(
    study: LabeledStudy, seen: Seen, fractures: Sequence[Fracture], spec: FractureSpec, folder: Path
) -> None:
    """Put fractures into an outlined study that has none and store its crops, if any fracture could be put in."""
    assert study.labels is not None
    volume, labels = study.volume, study.labels
    broken = np.zeros(labels.labels.shape, dtype=np.uint8)
    truths: list[FractureTruth] = []
    for fracture in fractures:
        try:
            made = insert_fracture(volume, labels, fracture, np.random.default_rng(fracture.seed))
        except ConfigError:  # the vertebra is not whole, or its outline is not that of a vertebra
            continue
        for k, truth in enumerate(made.truth.fractures):
            if truth.counted and truth.vertebra is not None:
                truths.append(truth)
                broken[made.fractures.labels == k + 1] = int(truth.vertebra)
        volume, labels = made.volume, made.labels
    crops = _Cut(volume, labels, broken, spec).all(seen)
    own = [[t for t in truths if t.vertebra is v] for v, _, _ in crops]
    if any(own):
        types = [[any(kind == t.type for t in some) for kind in TYPES] for some in own]
        truth_of = {
            "fractured": np.array([int(bool(some)) for some in own]),
            "severity": np.array([max((t.severity for t in some), default=0) for some in own]),
            "types": np.array(types, dtype=bool),
        }
        _store(folder, crops, truth_of)


def broken_where_boxed(labels: LabelMap, boxes: tuple[PlacedBox, ...], truth: StudyLabels) -> np.ndarray:
    """Return uint8 (slice, row, column): the value of a fractured vertebra where a box of a slice lies on it.

    A gap is no bone, so what lies within two pixels of the vertebra belongs to it.
    A box counts for the level that holds its center, or most of it; where that is not fractured by the table, for the
    fractured level with most voxels in it.
    """
    found = np.zeros(labels.labels.shape, dtype=np.uint8)
    for placed in boxes:
        inside = placed.box.clipped(found.shape)
        if inside is None:
            continue
        part = labels.labels[inside.slices]
        counts = {v: int(np.count_nonzero(part == v)) for v in truth.fractured}
        best = max(counts, key=lambda v: (v is placed.level, counts[v]), default=None)
        if best is not None and counts[best]:
            reached = ndimage.binary_dilation(part == best, iterations=GAP_PIXELS, structure=_IN_PLANE)
            found[inside.slices][reached & ((part == 0) | (part == best))] = int(best)
    return found


class _Cut:
    """A volume with what is true of it, to be cut."""

    def __init__(self, volume: Volume, labels: LabelMap, broken: np.ndarray, spec: FractureSpec) -> None:
        shape = tuple(a + b for a, b in zip(spec.shape, ROOM, strict=True))
        self._volume, self._labels, self._broken = volume, labels, broken
        self._spec = replace(spec, shape=(shape[0], shape[1], shape[2]))

    def all(self, seen: Seen) -> list[tuple[Vertebra, np.ndarray, np.ndarray]]:
        """Return vertebra, HU int16 and codes uint8 of every vertebra."""
        return [(vertebra, *self._one(vertebra, center)) for vertebra, center in seen]

    def _one(self, vertebra: Vertebra, center_lps_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        volume, labels = self._volume, self._labels
        grid = fracture_grid(center_lps_mm, vertebra, volume.grid, self._spec)
        hu = np.rint(resample(volume.hu, volume.grid, grid, fill=-1000.0, threads=1)).astype(np.int16)
        codes = np.minimum(resample_labels(labels.labels, labels.grid, grid), LABEL_BITS).astype(np.uint8)
        broken = resample_labels(self._broken, labels.grid, grid)
        codes |= np.where(broken == vertebra, OWN_FRACTURE, 0).astype(np.uint8)
        codes |= np.where((broken > 0) & (broken != vertebra), OTHER_FRACTURE, 0).astype(np.uint8)
        return hu, np.asarray(codes, dtype=np.uint8)


def _store(folder: Path, crops: list[tuple[Vertebra, np.ndarray, np.ndarray]], truth: dict[str, np.ndarray]) -> None:
    levels = np.array([int(v) for v, _, _ in crops])
    whole = {"vertebra": levels, "mimics": np.zeros((len(crops), len(MIMICS)), dtype=bool), **truth}
    save_crops(folder, np.stack([hu for _, hu, _ in crops]), np.stack([codes for _, _, codes in crops]), whole)


__all__ = ["ROOM", "Seen", "broken_where_boxed", "outlined_study", "store_generated", "store_study"]
