"""Toy studies of 28 slices: a level is a ring on four slices, as bright as its place; a break is a gap in it."""

from collections.abc import Sequence

import numpy as np

from cspine.datasets import LabeledStudy, PlacedBox, with_level
from cspine.domain import Box, Grid, LabelMap, Volume
from cspine.training.stacks import CERVICAL_FRACTURES, LabelSet, Stack, StackPlan, StackSet, make_stack

SIZE = 32
PER_LEVEL = 4
PLAN = StackPlan(size=SIZE)


def toy_study(
    number: int,
    broken: Sequence[int],
    *,
    segmented: bool = True,
    boxed: bool = False,
    values: Sequence[int] = range(1, 8),
) -> LabeledStudy:
    """Return a study; `broken` are places of levels (0 is the first), `values` what the mask says of each."""
    rng = np.random.default_rng([number, 77])
    slices = PER_LEVEL * len(values)
    grid = Grid.from_axes((slices, SIZE, SIZE), (4.0, 4.0, 4.0), (-62.0, -62.0, 100.0))
    rows, columns = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    rows, columns = rows - rng.integers(-2, 3), columns - rng.integers(-2, 3)
    ring = np.abs(np.hypot(rows, columns) - 9) < 3.2
    hu = rng.normal(0, 40, grid.shape)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    boxes = []
    for place, value in enumerate(values):
        for k in range(PER_LEVEL * place, PER_LEVEL * (place + 1)):
            bone = ring & (rows > 4) if place in broken else ring
            hu[k][bone] += 400 + 100 * place
            labels[k][ring] = value
            if boxed and place in broken:
                boxes.append(PlacedBox(k + 1, Box((k, 2, 6), (k + 1, 14, 26))))
    volume = Volume(grid, np.rint(hu).astype(np.int16))
    mask = LabelMap(grid, labels) if segmented else None
    placed = tuple(with_level(box, labels) for box in boxes) if segmented else tuple(boxes)
    return LabeledStudy(f"1.2.{number + 1}", volume, tuple(range(1, slices + 1)), mask, placed)


def toy_targets(broken: Sequence[int], levels: int = 7) -> np.ndarray:
    """Return the row of ``train.csv``."""
    return np.array([bool(broken), *(k in broken for k in range(levels))], dtype=np.float32)


def toy_broken(number: int, levels: int = 7) -> tuple[int, ...]:
    """Return which levels of a study are broken: of every second study one, in turn."""
    return ((number // 2) % levels,) if number % 2 else ()


def toy_stack(number: int, broken: Sequence[int], labels: LabelSet = CERVICAL_FRACTURES, **how: bool) -> Stack:
    """Return the stack of a toy study."""
    study = toy_study(number, broken, values=labels.values, **how)
    return make_stack(study, toy_targets(broken, len(labels.levels)), PLAN, labels, phantom=True, family="A")


def toy_set(count: int, segmented: int = 4, labels: LabelSet = CERVICAL_FRACTURES) -> StackSet:
    """Return studies of which every second one has a break; the first ones are segmented."""
    stacks = (toy_stack(n, toy_broken(n, len(labels.levels)), labels, segmented=n < segmented) for n in range(count))
    return StackSet(tuple(stacks), labels)
