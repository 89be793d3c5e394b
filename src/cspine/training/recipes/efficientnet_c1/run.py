"""Run `efficientnet-c1`: filter and group the studies, label the slices, divide, train."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from cspine.datasets import open_or_make_index, rules_of, select
from cspine.domain import NoImages
from cspine.training.learning import Hardware
from cspine.training.recipes.classifier_run import (
    ClassifierRun,
    Labeled,
    LabeledParts,
    dry_run_classifier,
    train_classifier,
    trainee_of,
)
from cspine.training.recipes.efficientnet_c1.config import GROUPS, EfficientNetC1
from cspine.training.recipes.run_folder import Say
from cspine.training.recipes.system import Divide, Order
from cspine.training.stacks import Stack, StackPlan, StackSet, folder_of, held_out, image_parts, read_stacks

NAME = "efficientnet-c1"
C1 = 0
FEW_LIMIT = 350
UID = "StudyInstanceUID"


def run_on_stacks(
    recipe: EfficientNetC1,
    stacks: StackSet,
    run: Path,
    hardware: Hardware,
    say: Say,
    *,
    divide: Divide | None = None,
) -> ClassifierRun:
    """Train one variant on studies that were read, from where an earlier run in `run` stopped.

    Parameters
    ----------
    divide
        Another division than that of the recipe, such as a fold.

    Raises
    ------
    ConfigError
        The run folder belongs to another recipe or other data, the split is impossible, or weights do not fit.
    NoImages
        The group has no study.
    TrainingStopped
        The loss is not a number, or the memory does not suffice.
    """
    parts = labeled_parts(recipe, of_group(stacks, recipe.group), divide)
    document = {"recipe": NAME, "config": asdict(recipe)}
    return train_classifier(trainee_of(recipe, recipe.variant), parts, run, document, hardware=hardware, say=say)


def dry_run_efficientnet_c1(recipe: EfficientNetC1, stacks: StackSet, hardware: Hardware) -> list[str]:
    """Return what a run would cost; the weights of the start are not needed. Raises as the run would."""
    parts = labeled_parts(recipe, of_group(stacks, recipe.group))
    return dry_run_classifier(trainee_of(recipe, recipe.variant), parts, hardware)


def read_filtered(recipe: EfficientNetC1, order: Order) -> StackSet:
    """Read the studies that the preset keeps.

    Raises
    ------
    NoImages
        It keeps none.
    """
    data = folder_of(order.data, NAME)
    index = open_or_make_index(data, None, 1, lambda text, share: None)
    kept = select(index, rules_of(recipe.preset)).studies
    if kept.empty:
        raise NoImages(
            f"{data}: preset {recipe.preset!r} keeps none of {len(index.studies)} studies; look at the funnel of "
            "cspine data filter, or use preset=usable"
        )
    order.say(f"preset {recipe.preset} keeps {len(kept)} of {len(index.studies)} studies")
    plan = StackPlan(size=recipe.stored_size, window=recipe.window, step_mm=recipe.step_mm)
    return read_stacks(data, plan, cache=order.cache, only=set(kept[UID].astype(str)), say=order.say)


def of_group(stacks: StackSet, group: str) -> StackSet:
    """Return the studies of a group.

    Raises
    ------
    NoImages
        There are none.
    """
    kept = tuple(stack for stack in stacks.stacks if _BELONGS[group](stack.whole_slices))
    if not kept:
        raise NoImages(f"no study with {GROUPS[group]} among {len(stacks.stacks)}; use another group")
    return replace(stacks, stacks=kept)


def labeled_parts(recipe: EfficientNetC1, stacks: StackSet, divide: Divide | None = None) -> LabeledParts:
    """Return the slices of each part whose label is known.

    Raises
    ------
    ConfigError
        The division is impossible, or a part has only one answer.
    """
    # Divided by fracture of C1, not of any level: the preset keeps studies with a fracture only.
    by_c1 = replace(stacks, stacks=tuple(_asking_c1(stack) for stack in stacks.stacks))
    parts = (divide or division_of(recipe))(by_c1)
    known = [_labeled(recipe, stacks, refs) for refs in (parts.train, parts.valid, parts.test)]
    return LabeledParts(stacks, known[0], known[1], known[2], ("C1",), parts.kind, parts.mark)


def division_of(recipe: EfficientNetC1) -> Divide:
    """Return how the recipe divides its studies."""
    make = {"study": held_out, "image": image_parts}[recipe.by]
    return lambda stacks: make(stacks, (recipe.valid_share, recipe.test_share), recipe.seed)


def _asking_c1(stack: Stack) -> Stack:
    targets = stack.targets.copy()
    targets[0] = targets[1 + C1]
    return replace(stack, targets=targets)


def _labeled(recipe: EfficientNetC1, stacks: StackSet, refs: np.ndarray) -> Labeled:
    labels = np.array([_C1_OF[recipe.label](stacks, int(n), int(k)) for n, k in refs], dtype=np.float32)
    known = np.isfinite(labels)
    return Labeled(refs[known], labels[known, None])


def _of_slice(stacks: StackSet, number: int, k: int) -> float:
    """Return whether C1 is fractured on a slice; NaN where nobody said. Where C1 is whole, it is so on every slice."""
    stack = stacks.stacks[number]
    return float(stack.levels[k, C1]) if stack.targets[1 + C1] else 0.0


def _of_study(stacks: StackSet, number: int, k: int) -> float:
    return float(stacks.stacks[number].targets[1 + C1])


_BELONGS: Mapping[str, Callable[[int], bool]] = {
    "few": lambda slices: slices <= FEW_LIMIT,
    "many": lambda slices: slices > FEW_LIMIT,
    "all": lambda slices: True,
}
_C1_OF: Mapping[str, Callable[[StackSet, int, int], float]] = {"slice": _of_slice, "study": _of_study}
