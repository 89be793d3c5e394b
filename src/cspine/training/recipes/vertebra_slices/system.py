"""`vertebra-slices` as the command line asks for it."""

from pathlib import Path
from typing import Any

from cspine.domain import ConfigError
from cspine.training.recipes.classifier_run import exported_classifier
from cspine.training.recipes.exported import Exported
from cspine.training.recipes.settings import config_from
from cspine.training.recipes.system import Order, System, told
from cspine.training.recipes.vertebra_slices.config import VertebraSlices, vertebra_slices, vertebra_slices_table
from cspine.training.recipes.vertebra_slices.run import (
    NAME,
    BoxRun,
    division_of,
    dry_run_vertebra_slices,
    network_of,
    read_slices,
    run_task,
)
from cspine.training.recipes.vertebra_slices.table import experiment_on, write_vertebra_slices
from cspine.training.stacks import StackSet


def _train(recipe: VertebraSlices, stacks: StackSet, order: Order) -> list[str]:
    lines = []
    for folder, divide in order.divisions(division_of(recipe), recipe.seed):
        run = run_task(recipe, stacks, folder, order.hardware, order.say, divide=divide)
        name = folder.name if order.folds else recipe.task
        lines.append(told(name, run.answered if isinstance(run, BoxRun) else run.test))
    return lines


QUESTIONS = {
    "levels": "the logit of each level: does the slice show it?",
    "fracture": "the logit of “the slice shows a fracture”",
}


def _export(run: Path, document: dict[str, Any], result: dict[str, Any]) -> Exported:
    recipe = config_from(VertebraSlices, document["config"])
    if recipe.task not in QUESTIONS:
        raise ConfigError(f"{run}: task {recipe.task} is not exported; levels and fracture are")
    answers = f"Answers for one axial slice: {QUESTIONS[recipe.task]}."
    return exported_classifier(network_of(recipe), run, result, answers, {"window": recipe.window})


SYSTEM = System(
    NAME,
    vertebra_slices,
    vertebra_slices_table,
    read_slices,
    _train,
    dry_run_vertebra_slices,
    lambda table, stacks, order: experiment_on(table, stacks, order.out, order.hardware, order.say),
    write_vertebra_slices,
    _export,
)
