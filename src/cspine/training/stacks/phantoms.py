"""Stacks of phantoms made on the fly: nothing touches the disk."""

from collections.abc import Callable, Iterable

import numpy as np

from cspine.datasets import LabeledStudy, PhantomPlan, PlacedBox, evenly, with_level
from cspine.domain import Box
from cspine.phantom import Case, fracture_boxes, make_case
from cspine.training.stacks.label_set import CERVICAL_FRACTURES
from cspine.training.stacks.stack import Stack, StackPlan, StackSet, make_stack


def phantom_stacks(
    phantoms: PhantomPlan, plan: StackPlan, threads: int = 2, say: Callable[[str], None] = lambda line: None
) -> StackSet:
    """Make the studies of a plan one after the other and keep their stacks.

    Which of them are segmented, and which fractured ones have boxes, follows ``phantoms.rsna`` as on disk.

    Raises
    ------
    ConfigError
        A specification is impossible.
    """
    stacks = []
    for number in range(phantoms.studies):
        case = make_case(phantoms.spec(number), threads)
        segmented = evenly(number, phantoms.rsna.segmented_share, 0.0)
        boxed = np.random.default_rng([phantoms.seed, number, 31]).random() < phantoms.rsna.boxed_share
        name = phantoms.name(number)
        stacks.append(case_stack(name, case, plan, segmented=segmented, boxed=bool(boxed), family=phantoms.family))
        say(f"phantom {number + 1} of {phantoms.studies}: {name}")
    return StackSet(tuple(stacks))


def case_stack(
    name: str, case: Case, plan: StackPlan, *, segmented: bool = True, boxed: bool = True, family: str = "A"
) -> Stack:
    """Return the stack of one case, which tells no more than a row, mask and boxes of RSNA 2022 would."""
    levels = {int(v) for v in case.truth.fractured if v.is_cervical}
    targets = np.array([bool(levels), *(k in levels for k in CERVICAL_FRACTURES.values)], dtype=np.float32)
    boxes = tuple(_placed(case)) if boxed else ()
    labels = case.labels if segmented else None
    if segmented:
        boxes = tuple(with_level(box, case.labels.labels) for box in boxes)
    numbers = tuple(range(1, case.volume.grid.shape[0] + 1))
    study = LabeledStudy(name, case.volume, numbers, labels, boxes)
    return make_stack(study, targets, plan, phantom=True, family=family)


def _placed(case: Case) -> Iterable[PlacedBox]:
    for found in fracture_boxes(case):
        if case.truth.fractures[found.fracture].counted:
            first, last = (
                (found.slice, found.y, found.x),
                (found.slice + 1, found.y + found.height, found.x + found.width),
            )
            yield PlacedBox(found.slice + 1, Box(first, last))
