"""What is true of one slice.

The labels of a study say which level is broken, not on which slices; boxes do, where there are any.

======= ============================ ========================================================================
source  of                           positive
======= ============================ ========================================================================
box     studies with boxes           a slice with a box; there, the level whose mask holds the box's center, or where
                                     it lies in a canal or a gap, the nearest of the study's fractured levels within
                                     `NEAR_MM` on the slice. Without such a level, or without a mask, the levels of
                                     the slice are not known
intact  studies without a fracture   nothing
visible others, with a mask          a slice on which the mask shows a level that the study calls fractured (weak)
study   others, without a mask       every slice; its levels are not known (weak)
======= ============================ ========================================================================
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from cspine.datasets.labeled_study import LabeledStudy, PlacedBox, StudyLabels
from cspine.domain import CERVICAL, Vertebra

# From the middle of a canal, as wide as that of C1 (about 30 mm), to the bone round it.
NEAR_MM = 15.0


class LabelSource(StrEnum):
    """Where the label of a slice comes from; see the table of the module."""

    BOX = "box"
    INTACT = "intact"
    VISIBLE = "visible"
    STUDY = "study"

    @property
    def weak(self) -> bool:
        """Whether the slice itself may well show no fracture."""
        return self in (LabelSource.VISIBLE, LabelSource.STUDY)


@dataclass(frozen=True)
class SliceLabel:
    """The label of one slice.

    Attributes
    ----------
    fractured
        Whether the slice counts as positive.
    levels
        In the order asked for (C1 … C7): positive, negative, or ``None`` for not known.
    visible
        Levels whose mask the slice cuts; ``None`` without a mask.
    """

    fractured: bool
    levels: tuple[bool | None, ...]
    visible: frozenset[Vertebra] | None
    source: LabelSource


def label_slices(
    study: LabeledStudy, labels: StudyLabels, levels: Sequence[Vertebra] = CERVICAL
) -> Iterator[SliceLabel]:
    """Yield the label of each slice of a study, from the head on.

    Parameters
    ----------
    levels
        What masks and labels tell apart.
    """
    source = _source(study, labels)
    for k in range(study.volume.grid.shape[0]):
        visible = _visible(study, k, levels)
        if source is LabelSource.STUDY:
            yield SliceLabel(True, (None,) * len(levels), None, source)
        elif source is LabelSource.BOX:
            yield _boxed(study, labels, k, visible, levels)
        else:
            hit = (visible or frozenset()) & labels.fractured
            yield SliceLabel(bool(hit), tuple(v in hit for v in levels), visible, source)


def _boxed(
    study: LabeledStudy,
    labels: StudyLabels,
    k: int,
    visible: frozenset[Vertebra] | None,
    levels: Sequence[Vertebra],
) -> SliceLabel:
    here = [box for box in study.boxes if box.box.start_zyx[0] == k]
    near = labels.fractured & (visible or frozenset())
    hit = {box.center_level or _nearest(study, box, near) for box in here}
    known = not here or bool(hit & set(levels))
    positive = tuple(v in hit if known else None for v in levels)
    return SliceLabel(bool(here), positive, visible, LabelSource.BOX)


def _nearest(study: LabeledStudy, placed: PlacedBox, levels: Collection[Vertebra]) -> Vertebra | None:
    """Return the level whose mask comes nearest to a box's center on its slice, ``None`` beyond `NEAR_MM`."""
    if study.labels is None or not levels:
        return None
    grid, k = study.volume.grid, placed.box.start_zyx[0]
    corners = np.array([placed.box.start_zyx, placed.box.stop_zyx])
    center = grid.to_world((corners.sum(axis=0) - 1) / 2)
    distances = {}
    for level in levels:
        rows_columns = np.argwhere(study.labels.labels[k] == level)
        places = grid.to_world(np.insert(rows_columns, 0, k, axis=1))
        distances[level] = float(np.linalg.norm(places - center, axis=1).min())
    level = min(distances, key=distances.__getitem__)
    return level if distances[level] <= NEAR_MM else None


def _source(study: LabeledStudy, labels: StudyLabels) -> LabelSource:
    if study.boxes:
        return LabelSource.BOX
    if not labels.overall and not labels.fractured:
        return LabelSource.INTACT
    return LabelSource.VISIBLE if study.labels is not None else LabelSource.STUDY


def _visible(study: LabeledStudy, k: int, levels: Sequence[Vertebra]) -> frozenset[Vertebra] | None:
    if study.labels is None:
        return None
    plane = study.labels.labels[k]
    return frozenset(v for v in levels if (plane == v).any())
