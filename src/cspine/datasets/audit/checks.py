"""What makes a study's annotations suspicious.

Each check is a pure function of one study that was read; clean data gives nothing.

A suspicion is a reason to look, not a verdict: boxes were drawn by several readers and masks corrected by hand.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from cspine.datasets.audit.fit import MaskFit, fit_of
from cspine.datasets.labeled_study import LabeledStudy, StudyLabels
from cspine.datasets.mask_geometry import LevelExtent, level_extents
from cspine.domain import CERVICAL, Box, Vertebra

# A mask whose own frame lies off by more than this share of a slice or pixel was made for other slices.
OFFSET_SHARE = 0.5


class Kind(StrEnum):
    """What is suspicious."""

    DIRECTION = "z direction contradicts the mask"
    SHIFT = "mask shifted against the slices"
    ORDER = "levels out of order"
    BOX_UNLABELED = "box without a fractured level"
    LABEL_UNBOXED = "fractured level without a box"
    BOX_OUTSIDE = "box outside every vertebra"
    OVERALL = "study label contradicts its levels"
    UNPLACED = "annotation does not fit the images"
    ISLANDS = "mask with islands"


# How much a suspicion of a kind weighs; its own score, 0 … 1, ranks within the kind.
WEIGHTS: Mapping[Kind, float] = {
    Kind.DIRECTION: 9.0,
    Kind.SHIFT: 8.0,
    Kind.ORDER: 7.0,
    Kind.BOX_UNLABELED: 6.0,
    Kind.LABEL_UNBOXED: 5.0,
    Kind.BOX_OUTSIDE: 4.0,
    Kind.OVERALL: 3.0,
    Kind.UNPLACED: 2.0,
    Kind.ISLANDS: 1.0,
}


@dataclass(frozen=True)
class Suspicion:
    """One thing to look at.

    Attributes
    ----------
    level, slice_number
        Where; ``None`` where it concerns the whole study.
    slice_index
        The slice to show, counted from the head.
    mark
        What to look at, where it is no box of the set.
    score
        0 … 1 within its kind.
    message
        What was measured.
    """

    uid: str
    kind: Kind
    message: str
    score: float = 1.0
    level: Vertebra | None = None
    slice_number: int | None = None
    slice_index: int | None = None
    mark: Box | None = None

    @property
    def rank(self) -> float:
        """Larger is more suspicious."""
        return WEIGHTS[self.kind] + min(max(self.score, 0.0), 1.0) * 0.99


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the checks look at; measured once."""

    study: LabeledStudy
    labels: StudyLabels | None
    extents: tuple[LevelExtent, ...]
    fit: MaskFit | None


def audit_study(study: LabeledStudy, labels: StudyLabels | None) -> list[Suspicion]:
    """Return everything suspicious about a study, worst first.

    Parameters
    ----------
    labels
        ``None`` when ``train.csv`` does not name the study.
    """
    mask = study.labels
    extents = () if mask is None else level_extents(mask)
    fit = fit_of(study.volume, mask) if mask is not None and extents else None
    evidence = Evidence(study, labels, extents, fit)
    found = [suspicion for check in CHECKS for suspicion in check(evidence)]
    return sorted(found, key=lambda s: -s.rank)


def _direction(e: Evidence) -> Iterator[Suspicion]:
    if e.fit is not None and e.fit.reversed_fits_better:
        dice = f"(Dice {e.fit.reversed:.2f}) than as it is ({e.fit.straight:.2f})"
        text = f"turned over in z the mask meets bone better {dice}"
        yield Suspicion(e.study.uid, Kind.DIRECTION, text, e.fit.reversed - e.fit.straight, slice_index=_middle(e))


def _shift(e: Evidence) -> Iterator[Suspicion]:
    if e.study.labels is None:
        return
    grid = e.study.volume.grid
    moved = grid.to_index(grid.to_world([0, 0, 0]) + e.study.mask_offset_mm)  # type: ignore[arg-type]  # array-like
    worst = float(abs(moved).max())
    if worst > OFFSET_SHARE:
        text = "the mask's own frame lies {:.1f}, {:.1f}, {:.1f} slices, rows, columns off".format(
            *(moved.round(1) + 0.0)
        )
        yield Suspicion(e.study.uid, Kind.SHIFT, text, worst / (1 + worst), slice_index=_middle(e))
    if e.fit is not None and not e.fit.reversed_fits_better and e.fit.shift:
        dice = f"(Dice {e.fit.best:.3f}) than as it is ({e.fit.straight:.3f})"
        text = f"moved by {e.fit.shift:+d} slices the mask meets bone better {dice}"
        yield Suspicion(e.study.uid, Kind.SHIFT, text, e.fit.best - e.fit.straight, slice_index=_middle(e))


def _order(e: Evidence) -> Iterator[Suspicion]:
    wrong = [(a, b) for a, b in pairwise(e.extents) if a.center_lps_mm[2] <= b.center_lps_mm[2]]
    if not wrong:
        return
    if len(wrong) == len(e.extents) - 1 and len(wrong) > 1:
        yield Suspicion(
            e.study.uid, Kind.DIRECTION, f"all {len(e.extents)} levels run from foot to head", slice_index=_middle(e)
        )
        return
    for upper, lower in wrong:
        below = lower.center_lps_mm[2] - upper.center_lps_mm[2]
        text = f"{upper.vertebra.name} lies {below:.0f} mm below {lower.vertebra.name}"
        yield Suspicion(
            e.study.uid,
            Kind.ORDER,
            text,
            below / (10 + below),
            upper.vertebra,
            slice_index=_slice_of(e, upper.vertebra),
        )


def _boxes_against_labels(e: Evidence) -> Iterator[Suspicion]:
    if e.labels is None or not e.study.boxes:
        return
    if not e.labels.overall and not e.labels.fractured:
        first = e.study.boxes[0]
        text = f"{len(e.study.boxes)} boxes in a study without a fracture"
        yield Suspicion(e.study.uid, Kind.BOX_UNLABELED, text, 1.0, None, first.slice_number, first.box.start_zyx[0])
        return
    for level in CERVICAL:
        boxes = [box for box in e.study.boxes if box.level is level]
        if boxes and level not in e.labels.fractured:
            text = f"{len(boxes)} of {len(e.study.boxes)} boxes lie on {level.name}, which is not labeled fractured"
            share, first = len(boxes) / len(e.study.boxes), boxes[len(boxes) // 2]
            yield Suspicion(
                e.study.uid, Kind.BOX_UNLABELED, text, share, level, first.slice_number, first.box.start_zyx[0]
            )


def _labels_against_boxes(e: Evidence) -> Iterator[Suspicion]:
    """Only a mask tells on which level a box lies, so only masked studies can be asked."""
    if e.labels is None or e.study.labels is None or not e.study.boxes:
        return
    boxed = {box.level for box in e.study.boxes}
    seen = {extent.vertebra for extent in e.extents}
    for level in sorted(e.labels.fractured - boxed):
        where = "" if level in seen else "; the mask does not show it"
        text = f"{level.name} is labeled fractured, and none of {len(e.study.boxes)} boxes lies on it{where}"
        yield Suspicion(e.study.uid, Kind.LABEL_UNBOXED, text, 1.0, level, slice_index=_slice_of(e, level))


def _boxes_outside(e: Evidence) -> Iterator[Suspicion]:
    if e.study.labels is None:
        return
    for box in e.study.boxes:
        if box.level is None:
            _, top, left = box.box.start_zyx
            text = f"no voxel of a vertebra in the box at x {left}, y {top}"
            yield Suspicion(e.study.uid, Kind.BOX_OUTSIDE, text, 1.0, None, box.slice_number, box.box.start_zyx[0])


def _overall(e: Evidence) -> Iterator[Suspicion]:
    if e.labels is None or e.labels.overall == bool(e.labels.fractured):
        return
    names = ", ".join(v.name for v in sorted(e.labels.fractured)) or "no level"
    yield Suspicion(e.study.uid, Kind.OVERALL, f"patient_overall is {int(e.labels.overall)}, fractured: {names}")


def _unplaced(e: Evidence) -> Iterator[Suspicion]:
    for note in e.study.notes:
        yield Suspicion(e.study.uid, Kind.UNPLACED, note)


def _islands(e: Evidence) -> Iterator[Suspicion]:
    for extent in e.extents:
        if extent.stray is not None:
            share = extent.stray_voxels / (extent.voxels + extent.stray_voxels)
            stray = f"{_counted(extent.stray_voxels, 'voxel')} ({share:.1%})"
            text = f"{extent.vertebra.name}: {stray} in {_counted(extent.pieces - 1, 'other piece')}"
            where = (extent.stray.start_zyx[0] + extent.stray.stop_zyx[0] - 1) // 2
            number = e.study.numbers[where] if e.study.numbers else None
            yield Suspicion(e.study.uid, Kind.ISLANDS, text, share, extent.vertebra, number, where, extent.stray)


CHECKS: tuple[Callable[[Evidence], Iterator[Suspicion]], ...] = (
    _direction,
    _shift,
    _order,
    _boxes_against_labels,
    _labels_against_boxes,
    _boxes_outside,
    _overall,
    _unplaced,
    _islands,
)


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" + "s" * (count != 1)


def _slice_of(e: Evidence, level: Vertebra) -> int | None:
    """Return the slice through the center of a level of the mask."""
    found = next((x for x in e.extents if x.vertebra is level), None)
    if found is None:
        return None
    index = round(float(e.study.volume.grid.to_index(found.center_lps_mm)[0]))  # type: ignore[arg-type]  # array-like
    return min(max(index, 0), e.study.volume.grid.shape[0] - 1)


def _middle(e: Evidence) -> int | None:
    return _slice_of(e, e.extents[len(e.extents) // 2].vertebra) if e.extents else None
