"""Run `efficientnet-c1`: filter and group the studies, label the slices, divide, train."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from cspine.datasets import open_or_make_index, rules_of, select
from cspine.domain import ConfigError, NoImages
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
from cspine.training.stacks import (
    Stack,
    StackPlan,
    StackSet,
    held_out,
    image_parts,
    label_set_named,
    phantoms_of,
    stacks_of,
)

NAME = "efficientnet-c1"
UNFILTERED = "usable"
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
    ConfigError
        The label set has no such level, or phantoms on the fly have no files that the preset could filter.
    """
    plan, labels = StackPlan(recipe.stored_size, recipe.window, recipe.step_mm), label_set_named(recipe.labels)
    recipe.place_in(labels)
    if phantoms_of(order.data, labels) is not None:
        if recipe.preset != UNFILTERED:
            raise ConfigError(
                f"--data {order.data}: preset {recipe.preset!r} asks how files are stored, and these phantoms have no "
                f"files; use preset={UNFILTERED}"
            )
        return stacks_of(order.data, plan, labels, say=order.say)
    data, index = order.data, open_or_make_index(order.data, None, 1, lambda text, share: None)
    kept = select(index, rules_of(recipe.preset)).studies
    if kept.empty:
        raise NoImages(
            f"{data}: preset {recipe.preset!r} keeps none of {len(index.studies)} studies; look at the funnel of "
            "cspine data filter, or use preset=usable"
        )
    order.say(f"preset {recipe.preset} keeps {len(kept)} of {len(index.studies)} studies")
    return stacks_of(data, plan, labels, cache=order.cache, only=set(kept[UID].astype(str)), say=order.say)


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
    place = recipe.place_in(stacks.label_set)
    # Divided by fracture of the level, not of any: the preset keeps studies with a fracture only.
    by_level = replace(stacks, stacks=tuple(_asking(stack, place) for stack in stacks.stacks))
    parts = (divide or division_of(recipe))(by_level)
    known = [_labeled(recipe, stacks, refs, place) for refs in (parts.train, parts.valid, parts.test)]
    return LabeledParts(stacks, known[0], known[1], known[2], (recipe.level,), parts.kind, parts.mark)


def division_of(recipe: EfficientNetC1) -> Divide:
    """Return how the recipe divides its studies."""
    make = {"study": held_out, "image": image_parts}[recipe.by]
    return lambda stacks: make(stacks, (recipe.valid_share, recipe.test_share), recipe.seed)


def _asking(stack: Stack, place: int) -> Stack:
    targets = stack.targets.copy()
    targets[0] = targets[1 + place]
    return replace(stack, targets=targets)


def _labeled(recipe: EfficientNetC1, stacks: StackSet, refs: np.ndarray, place: int) -> Labeled:
    told = _TOLD_OF[recipe.label]
    labels = np.array([told(stacks.stacks[int(n)], int(k), place) for n, k in refs], dtype=np.float32)
    known = np.isfinite(labels)
    return Labeled(refs[known], labels[known, None])


def _of_slice(stack: Stack, k: int, place: int) -> float:
    """Return whether a level is fractured on a slice; NaN where nobody said. A whole level is so on every slice."""
    return float(stack.levels[k, place]) if stack.targets[1 + place] else 0.0


def _of_study(stack: Stack, k: int, place: int) -> float:
    return float(stack.targets[1 + place])


_BELONGS: Mapping[str, Callable[[int], bool]] = {
    "few": lambda slices: slices <= FEW_LIMIT,
    "many": lambda slices: slices > FEW_LIMIT,
    "all": lambda slices: True,
}
_TOLD_OF: Mapping[str, Callable[[Stack, int, int], float]] = {"slice": _of_slice, "study": _of_study}
