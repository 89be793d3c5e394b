"""Run `study-multilabel`: slices carry their study's labels, studies are answered by pooling their slices."""

from collections import defaultdict
from dataclasses import asdict
from pathlib import Path

import numpy as np

from cspine.training.learning import Hardware
from cspine.training.recipes.answers import Answered, StudyAnswers
from cspine.training.recipes.classifier_run import (
    ClassifierRun,
    Labeled,
    LabeledParts,
    Trainee,
    dry_run_classifier,
    train_classifier,
    trainee_of,
)
from cspine.training.recipes.pooling import POOLING
from cspine.training.recipes.run_folder import Say
from cspine.training.recipes.study_multilabel.config import StudyMultilabel
from cspine.training.recipes.system import Divide, Order
from cspine.training.stacks import Parts, StackPlan, StackSet, fold_parts, held_out, label_set_named, stacks_of

NAME = "study-multilabel"


def run_folds_study_multilabel(
    recipe: StudyMultilabel, stacks: StackSet, folds: int, run: Path, *, hardware: Hardware, say: Say
) -> list[ClassifierRun]:
    """Train one network per fold below `run`: every study is tested once."""
    divisions = fold_parts(stacks, folds, recipe.seed)
    return [
        run_on_parts(recipe, stacks, parts, run / f"fold-{k}", hardware=hardware, say=say)
        for k, parts in enumerate(divisions, start=1)
    ]


def run_on_parts(
    recipe: StudyMultilabel, stacks: StackSet, parts: Parts, run: Path, *, hardware: Hardware, say: Say
) -> ClassifierRun:
    """Train one network on a division, from where an earlier run in `run` stopped.

    Raises
    ------
    ConfigError
        The run folder belongs to another recipe or other data, or weights do not fit.
    TrainingStopped
        The loss is not a number, or the memory does not suffice.
    """
    document = {"recipe": NAME, "config": asdict(recipe)}
    return train_classifier(
        network_of(recipe), labeled_parts(recipe, stacks, parts), run, document, hardware=hardware, say=say
    )


def dry_run_study_multilabel(recipe: StudyMultilabel, stacks: StackSet, hardware: Hardware) -> list[str]:
    """Return what a run would cost; the weights of the start are not needed. Raises as the run would."""
    parts = labeled_parts(recipe, stacks, division_of(recipe)(stacks))
    return dry_run_classifier(network_of(recipe), parts, hardware)


def read_studies(recipe: StudyMultilabel, order: Order) -> StackSet:
    """Read the labeled studies of a set."""
    plan = StackPlan(size=recipe.stored_size, window=recipe.window)
    return stacks_of(order.data, plan, label_set_named(recipe.labels), cache=order.cache, say=order.say)


def division_of(recipe: StudyMultilabel) -> Divide:
    """Return how the recipe divides its studies."""
    return lambda stacks: held_out(stacks, (recipe.valid_share, recipe.test_share), recipe.seed)


def labeled_parts(recipe: StudyMultilabel, stacks: StackSet, parts: Parts) -> LabeledParts:
    """Return evenly spread slices of each part with the labels of their studies."""
    made = [_labeled(recipe, stacks, parts.stacks(part)) for part in ("train", "valid", "test")]
    return LabeledParts(stacks, made[0], made[1], made[2], stacks.label_set.targets, parts.kind, parts.mark)


def by_study(answered: Answered, pool: str) -> StudyAnswers:
    """Return the answers to studies, in the order in which they first appear."""
    rows: dict[str, list[int]] = defaultdict(list)
    for k, study in enumerate(answered.studies):
        rows[study].append(k)
    truth = np.stack([answered.truth[numbers[0]] for numbers in rows.values()])
    probability = np.stack([POOLING[pool](answered.probability[numbers]) for numbers in rows.values()])
    return StudyAnswers(tuple(rows), truth, np.clip(probability.astype(np.float64), 0.0, 1.0))


def network_of(recipe: StudyMultilabel) -> Trainee:
    """Return the network and how it learns."""
    return trainee_of(recipe, recipe.network, recipe.augment, recipe.channels)


def _labeled(recipe: StudyMultilabel, stacks: StackSet, numbers: tuple[int, ...]) -> Labeled:
    refs, labels = [], []
    for number in numbers:
        stack = stacks.stacks[number]
        spread = np.linspace(0, len(stack) - 1, min(recipe.slices, len(stack))).round().astype(int)
        refs += [(number, int(k)) for k in spread]
        labels += [stack.targets] * len(spread)
    return Labeled(np.array(refs, dtype=np.int32), np.array(labels, dtype=np.float32))
