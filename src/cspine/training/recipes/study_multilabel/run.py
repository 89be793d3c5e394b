"""Run `study-multilabel`: slices carry their study's labels, studies are answered by pooling their slices."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from cspine.evaluation import rsna_log_loss, submitted_probability
from cspine.training.learning import Hardware
from cspine.training.recipes.classifier_run import (
    Answered,
    ClassifierRun,
    Labeled,
    LabeledParts,
    Say,
    Trainee,
    dry_run_classifier,
    train_classifier,
)
from cspine.training.recipes.study_multilabel.config import StudyMultilabel
from cspine.training.stacks import Parts, StackPlan, StackSet, fold_parts, held_out, read_stacks

NAME = "study-multilabel"
TOP_SHARE = 0.25

# (slices of a study, labels) → labels
POOLING: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": lambda p: p.mean(axis=0),
    "max": lambda p: p.max(axis=0),
    "top": lambda p: np.sort(p, axis=0)[-max(1, round(TOP_SHARE * len(p))) :].mean(axis=0),
}


@dataclass(frozen=True, eq=False)
class StudyAnswers:
    """Answers to studies: truth and probability (studies, 8), overall first."""

    studies: tuple[str, ...]
    truth: np.ndarray
    probability: np.ndarray

    @property
    def log_loss(self) -> float:
        """The challenge's loss, global normalization, of the entries that these probabilities ask for."""
        return rsna_log_loss(self.truth, submitted_probability(self.probability))


def run_study_multilabel(recipe: StudyMultilabel, data: Path, run: Path, hardware: Hardware, say: Say) -> ClassifierRun:
    """Train one network, from where an earlier run in `run` stopped.

    Raises
    ------
    ConfigError
        The run folder belongs to another recipe or other data, the split is impossible, or weights do not fit.
    NoImages
        There is no usable study.
    TrainingStopped
        The loss is not a number, or the memory does not suffice.
    """
    stacks = read_studies(recipe, data, run / "stacks", say)
    parts = held_out(stacks, (recipe.valid_share, recipe.test_share), recipe.seed)
    return run_on_parts(recipe, stacks, parts, run, hardware=hardware, say=say)


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
    """Train one network on a division; raises as `run_study_multilabel`."""
    document = {"recipe": NAME, "config": asdict(recipe)}
    return train_classifier(
        trainee_of(recipe), labeled_parts(recipe, stacks, parts), run, document, hardware=hardware, say=say
    )


def dry_run_study_multilabel(recipe: StudyMultilabel, data: Path, hardware: Hardware) -> list[str]:
    """Return what a run would cost; the weights of the start are not needed. Raises as the run would."""
    stacks = read_studies(recipe, data, None, lambda line: None)
    parts = held_out(stacks, (recipe.valid_share, recipe.test_share), recipe.seed)
    return dry_run_classifier(trainee_of(recipe), labeled_parts(recipe, stacks, parts), hardware)


def read_studies(recipe: StudyMultilabel, data: Path, cache: Path | None, say: Say) -> StackSet:
    """Read the labeled studies of a set."""
    return read_stacks(data, StackPlan(size=recipe.stored_size, window=recipe.window), cache=cache, say=say)


def trainee_of(recipe: StudyMultilabel) -> Trainee:
    """Return the network and how it learns."""
    return Trainee(
        recipe.network,
        recipe.size,
        recipe.fit,
        recipe.weights,
        head=recipe.head,
        augment=recipe.augment,
        channels=recipe.channels,
        seed=recipe.seed,
    )


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


def _labeled(recipe: StudyMultilabel, stacks: StackSet, numbers: tuple[int, ...]) -> Labeled:
    refs, labels = [], []
    for number in numbers:
        stack = stacks.stacks[number]
        spread = np.linspace(0, len(stack) - 1, min(recipe.slices, len(stack))).round().astype(int)
        refs += [(number, int(k)) for k in spread]
        labels += [stack.targets] * len(spread)
    return Labeled(np.array(refs, dtype=np.int32), np.array(labels, dtype=np.float32))
