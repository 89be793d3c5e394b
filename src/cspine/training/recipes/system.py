"""A published system: what the command line asks of it, and what it is asked with.

A new one is a package of `cspine.training.recipes` with a `SYSTEM`, and a row in the table of `cspine.cli.recipes`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cspine.datasets import trainable_split
from cspine.domain import ConfigError
from cspine.evaluation import figures_by_study
from cspine.training.learning import Hardware
from cspine.training.recipes.answers import Answered
from cspine.training.recipes.exported import Exported
from cspine.training.recipes.run_folder import Say
from cspine.training.stacks import Parts, StackSet, fold_parts, parts_of_split

Divide = Callable[[StackSet], Parts]


@dataclass(frozen=True)
class Order:
    """What was asked for: where from, where to, on what.

    Attributes
    ----------
    folds
        Networks are trained per fold below ``out``; 0 takes the recipe's own division.
    cache
        Where what was read is kept between runs; ``None`` keeps it in memory.
    split
        A file of ``cspine data split`` instead of the recipe's own division.
    allow_leaks
        Whether it may leak; then its mark follows every result.
    """

    data: Path
    out: Path
    hardware: Hardware = field(default_factory=Hardware)
    say: Say = lambda line: None
    folds: int = 0
    cache: Path | None = None
    split: Path | None = None
    allow_leaks: bool = False

    def __post_init__(self) -> None:
        if self.split is not None and self.folds:
            raise ConfigError(f"--split {self.split} and --folds {self.folds} both divide the studies; leave one out")

    def divisions(self, own: Divide, seed: int) -> Iterator[tuple[Path, Divide]]:
        """Yield the folder and the division of each fold; without folds one, in the folder of the run."""
        if self.split is not None:
            yield self.out, self._by_file
        elif not self.folds:
            yield self.out, own
        for k in range(self.folds):
            yield self.out / f"fold-{k + 1}", _fold(self.folds, k, seed)

    def _by_file(self, stacks: StackSet) -> Parts:
        assert self.split is not None  # else the division is another
        parts = parts_of_split(stacks, self.split, allow_leaky=self.allow_leaks)
        if parts.mark:
            self.say(f"!!! {parts.mark}")
        return parts


@dataclass(frozen=True)
class System:
    """One published system.

    Attributes
    ----------
    recipe, table
        Make the frozen configs of one run, and of the whole table; the table's field ``base`` is a recipe.
    read
        (recipe, order) → what is trained on.
    train
        (recipe, what was read, order) → lines about the test part.
    dry_run
        (recipe, what was read, hardware) → lines about the cost.
    experiment
        (table, what was read, order) → everything that was run.
    write
        (everything, folder, command, origin) → page.
    export
        (run, what it is, what came of it) → what goes into a bundle.
    keeps_slices
        Whether `read` uses ``order.cache``.
    """

    name: str
    recipe: Callable[[], Any]
    table: Callable[[], Any]
    read: Callable[[Any, Order], Any]
    train: Callable[[Any, Any, Order], list[str]]
    dry_run: Callable[[Any, Any, Hardware], list[str]]
    experiment: Callable[[Any, Any, Order], Any]
    write: Callable[[Any, Path, str, str], Path]
    export: Callable[[Path, dict[str, Any], dict[str, Any]], Exported]
    keeps_slices: bool = True

    def run(self, recipe: Any, order: Order) -> list[str]:
        """Train by a recipe, from where an earlier run stopped; return lines about the test part.

        Raises
        ------
        ConfigError
            The folder holds another run, the division is impossible, or weights do not fit.
        NoImages
            There is nothing that can be trained on.
        TrainingStopped
            The loss is not a number, or the memory does not suffice.
        StoreError
            A folder cannot be written, or the disk is full.
        """
        if order.split is not None:
            trainable_split(order.split, order.allow_leaks)  # a leaky one is refused before anything is read
        return self.train(recipe, self.read(recipe, order), order)

    def cost(self, recipe: Any, order: Order) -> list[str]:
        """Return what a run would cost, measured on noise; nothing is written. Raises as the run would."""
        return self.dry_run(recipe, self.read(recipe, order), order.hardware)

    def page(self, table: Any, order: Order, command: str, origin: str) -> Path:
        """Run the whole table below ``order.out`` and write its page; raises as `run`.

        Parameters
        ----------
        command
            What was typed.
        origin
            What is known of the images besides what they say themselves.
        """
        return self.write(self.experiment(table, self.read(table.base, order), order), order.out, command, origin)


def _fold(folds: int, k: int, seed: int) -> Divide:
    return lambda stacks: fold_parts(stacks, folds, seed)[k]


def told(name: str, answered: Answered) -> str:
    """Return accuracy, precision, recall and AUC of all answers together, as one line."""
    labels = answered.truth.shape[1]
    found = figures_by_study(
        answered.truth.ravel(),
        answered.probability.ravel(),
        [study for study in answered.studies for _ in range(labels)],
        np.random.default_rng(0),
    )
    words = ", ".join(f"{figure} {found[figure]}" for figure in ("accuracy", "precision", "recall", "auc"))
    return f"{name}, test: {words}"
