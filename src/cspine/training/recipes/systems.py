"""The systems that read a set in the layout of RSNA 2022, by name: what the command line asks of each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from cspine.domain import ConfigError
from cspine.evaluation import figures_by_study
from cspine.training.learning import Hardware
from cspine.training.recipes.classifier_run import Answered, Say
from cspine.training.recipes.efficientnet_c1 import (
    EfficientNetC1,
    EfficientNetC1Table,
    dry_run_efficientnet_c1,
    efficientnet_c1,
    efficientnet_c1_table,
    experiment_efficientnet_c1,
    run_on_stacks,
    write_efficientnet_c1,
)
from cspine.training.recipes.efficientnet_c1.run import Divide, read_filtered
from cspine.training.recipes.study_multilabel import (
    StudyMultilabel,
    StudyMultilabelTable,
    dry_run_study_multilabel,
    experiment_study_multilabel,
    run_folds_study_multilabel,
    run_on_parts,
    study_multilabel,
    study_multilabel_table,
    write_study_multilabel,
)
from cspine.training.recipes.study_multilabel.run import by_study, read_studies
from cspine.training.recipes.study_multilabel.table import study_figures
from cspine.training.recipes.vertebra_slices import (
    BoxRun,
    VertebraSlices,
    VertebraSlicesTable,
    dry_run_vertebra_slices,
    experiment_vertebra_slices,
    run_task,
    vertebra_slices,
    vertebra_slices_table,
    write_vertebra_slices,
)
from cspine.training.recipes.vertebra_slices.run import read_slices
from cspine.training.stacks import fold_parts, held_out

# Begins that fit every network; a file fits one.
EVERYWHERE = ("none", "imagenet")


@dataclass(frozen=True)
class Order:
    """What was asked for on the command line: where from, where to, on what.

    Attributes
    ----------
    folds
        Networks are trained per fold below ``out``; 0 takes the recipe's own division.
    cache
        Where slices are kept between runs; ``None`` for ``out/stacks``.
    """

    data: Path
    out: Path
    hardware: Hardware
    say: Say
    folds: int = 0
    cache: Path | None = None

    @property
    def kept(self) -> Path:
        """Return where slices are kept."""
        return self.cache or self.out / "stacks"


@dataclass(frozen=True)
class System:
    """One published system.

    Attributes
    ----------
    recipe, table
        Frozen configs of one run and of the whole table.
    train
        Runs the recipe; returns lines about the test part.
    dry_run
        Says what the recipe would cost.
    experiment
        Runs the table; (table, order, command, origin) → page.
    """

    recipe: Callable[[], Any]
    table: Callable[[], Any]
    train: Callable[[Any, Order], list[str]]
    dry_run: Callable[[Any, Order], list[str]]
    experiment: Callable[[Any, Order, str, str], Path]


def with_weights(recipe: Any, weights: str | None) -> Any:
    """Return a recipe or table whose networks begin with `weights`; a file is for the classifier alone."""
    if weights is None:
        return recipe
    if hasattr(recipe, "base"):
        return replace(recipe, base=with_weights(recipe.base, weights))
    if hasattr(recipe, "detector") and weights in EVERYWHERE:
        recipe = replace(recipe, detector=replace(recipe.detector, weights=weights))
    return replace(recipe, weights=weights)


def _train_c1(recipe: EfficientNetC1, order: Order) -> list[str]:
    stacks = read_filtered(recipe, order.data, order.kept, order.say)
    if order.folds and recipe.by == "image":
        raise ConfigError("folds are of studies; by=image has one division, leave --folds out")
    told = []
    for name, divide in _divisions(recipe.seed, order):
        run = run_on_stacks(recipe, stacks, order.out / name, order.hardware, order.say, divide=divide)
        told += [line for line in (run.about["mark"],) if line]
        told.append(_line(name, run.test))
    return told


def _train_slices(recipe: VertebraSlices, order: Order) -> list[str]:
    stacks = read_slices(recipe, order.data, order.kept, order.say)
    told = []
    for name, divide in _divisions(recipe.seed, order):
        run = run_task(recipe, stacks, order.out / name, order.hardware, order.say, divide=divide)
        answered = run.answered if isinstance(run, BoxRun) else run.test
        told.append(_line(name, answered))
    return told


def _train_study(recipe: StudyMultilabel, order: Order) -> list[str]:
    stacks = read_studies(recipe, order.data, order.kept, order.say)
    if not order.folds:
        parts = held_out(stacks, (recipe.valid_share, recipe.test_share), recipe.seed)
        runs = [run_on_parts(recipe, stacks, parts, order.out, hardware=order.hardware, say=order.say)]
    else:
        runs = run_folds_study_multilabel(
            recipe, stacks, order.folds, order.out, hardware=order.hardware, say=order.say
        )
    told = []
    for number, run in enumerate(runs, start=1):
        found = study_figures(by_study(run.test, recipe.pool))
        words = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in found.items())
        told.append(f"{f'fold {number}, ' if order.folds else ''}test: {words}")
    return told


def _experiment_c1(table: EfficientNetC1Table, order: Order, command: str, origin: str) -> Path:
    done = experiment_efficientnet_c1(table, order.data, order.out, order.hardware, order.say, cache=order.kept)
    return write_efficientnet_c1(done, order.out, command, origin)


def _experiment_slices(table: VertebraSlicesTable, order: Order, command: str, origin: str) -> Path:
    done = experiment_vertebra_slices(table, order.data, order.out, order.hardware, order.say, cache=order.kept)
    return write_vertebra_slices(done, order.out, command, origin)


def _experiment_study(table: StudyMultilabelTable, order: Order, command: str, origin: str) -> Path:
    done = experiment_study_multilabel(table, order.data, order.out, order.hardware, order.say, cache=order.kept)
    return write_study_multilabel(done, order.out, command, origin)


def _divisions(seed: int, order: Order) -> list[tuple[str, Divide | None]]:
    """Return the folder below the run, and the division, of each fold; without folds the recipe's own in the run."""
    if not order.folds:
        return [("", None)]
    return [(f"fold-{k + 1}", _fold(order.folds, k, seed)) for k in range(order.folds)]


def _fold(folds: int, k: int, seed: int) -> Divide:
    return lambda stacks: fold_parts(stacks, folds, seed)[k]


def _line(name: str, answered: Answered) -> str:
    """Return accuracy, recall and AUC of all answers together."""
    labels = answered.truth.shape[1]
    found = figures_by_study(
        answered.truth.ravel(),
        answered.probability.ravel(),
        [study for study in answered.studies for _ in range(labels)],
        np.random.default_rng(0),
    )
    words = ", ".join(f"{figure} {found[figure]}" for figure in ("accuracy", "precision", "recall", "auc"))
    return f"{f'{name}, ' if name else ''}test: {words}"


SYSTEMS: Mapping[str, System] = MappingProxyType(
    {
        "efficientnet-c1": System(
            efficientnet_c1,
            efficientnet_c1_table,
            _train_c1,
            lambda r, o: dry_run_efficientnet_c1(r, o.data, o.hardware),
            _experiment_c1,
        ),
        "vertebra-slices": System(
            vertebra_slices,
            vertebra_slices_table,
            _train_slices,
            lambda r, o: dry_run_vertebra_slices(r, o.data, o.hardware),
            _experiment_slices,
        ),
        "study-multilabel": System(
            study_multilabel,
            study_multilabel_table,
            _train_study,
            lambda r, o: dry_run_study_multilabel(r, o.data, o.hardware),
            _experiment_study,
        ),
    }
)
