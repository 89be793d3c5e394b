"""Phantoms made on the fly: nothing touches the disk."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from cspine.datasets import LabeledStudy, PhantomPlan, PlacedBox, evenly, with_level
from cspine.domain import Box, NoImages
from cspine.phantom import Case, fracture_boxes, make_case
from cspine.training.stacks.label_set import CERVICAL_FRACTURES
from cspine.training.stacks.stack import Stack, StackPlan, StackSet, make_stack

Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class MadeStudy:
    """One phantom, which tells no more than row, mask and boxes of RSNA 2022 would.

    Attributes
    ----------
    targets
        (8,) float32: the study, then C1 … C7.
    """

    study: LabeledStudy
    targets: np.ndarray
    family: str

    def stack(self, plan: StackPlan) -> Stack:
        """Return it as training sees it."""
        return make_stack(self.study, self.targets, plan, phantom=True, family=self.family)


def each_phantom(phantoms: PhantomPlan, threads: int = 2, say: Say = lambda line: None) -> Iterator[MadeStudy]:
    """Make the studies of a plan one after the other.

    Which of them are segmented, and which fractured ones have boxes, follows ``phantoms.rsna`` as on disk.

    Raises
    ------
    ConfigError
        A specification is impossible.
    """
    for number in range(phantoms.studies):
        yield made_phantom(phantoms, number, threads)
        say(f"phantom {number + 1} of {phantoms.studies}: {phantoms.name(number)}")


def made_phantom(phantoms: PhantomPlan, number: int, threads: int = 2) -> MadeStudy:
    """Make one study of a plan, always the same; raises as `each_phantom`."""
    case = make_case(phantoms.spec(number), threads)
    segmented = evenly(number, phantoms.rsna.segmented_share, 0.0)
    boxed = np.random.default_rng([phantoms.seed, number, 31]).random() < phantoms.rsna.boxed_share
    study = case_study(phantoms.name(number), case, segmented=segmented, boxed=bool(boxed))
    return MadeStudy(study, case_targets(case), phantoms.family)


def phantom_stacks(phantoms: PhantomPlan, plan: StackPlan, threads: int = 2, say: Say = lambda line: None) -> StackSet:
    """Return the stacks of the studies of a plan; raises as `each_phantom`."""
    return StackSet(tuple(made.stack(plan) for made in each_phantom(phantoms, threads, say)))


def phantom_named(phantoms: PhantomPlan, uid: str, threads: int = 2) -> LabeledStudy:
    """Make a study of a plan anew.

    Raises
    ------
    NoImages
        None of that name is in the plan.
    """
    numbers = {phantoms.name(number): number for number in range(phantoms.studies)}
    if uid not in numbers:
        raise NoImages(f"{uid}: none of the {phantoms.studies} phantoms of seed {phantoms.seed}")
    return made_phantom(phantoms, numbers[uid], threads).study


def case_stack(name: str, case: Case, plan: StackPlan, family: str = "A") -> Stack:
    """Return the stack of one case, segmented and boxed."""
    return MadeStudy(case_study(name, case), case_targets(case), family).stack(plan)


def case_targets(case: Case) -> np.ndarray:
    """Return the row of one case, (8,) float32."""
    levels = {int(v) for v in case.truth.fractured if v.is_cervical}
    return np.array([bool(levels), *(k in levels for k in CERVICAL_FRACTURES.values)], dtype=np.float32)


def case_study(name: str, case: Case, *, segmented: bool = True, boxed: bool = True) -> LabeledStudy:
    """Return one case with mask and boxes, or without."""
    boxes = tuple(_placed(case)) if boxed else ()
    labels = case.labels if segmented else None
    if segmented:
        boxes = tuple(with_level(box, case.labels.labels) for box in boxes)
    numbers = tuple(range(1, case.volume.grid.shape[0] + 1))
    return LabeledStudy(name, case.volume, numbers, labels, boxes)


def _placed(case: Case) -> Iterable[PlacedBox]:
    for found in fracture_boxes(case):
        if case.truth.fractures[found.fracture].counted:
            first, last = (
                (found.slice, found.y, found.x),
                (found.slice + 1, found.y + found.height, found.x + found.width),
            )
            yield PlacedBox(found.slice + 1, Box(first, last))
