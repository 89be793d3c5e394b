"""`efficientnet-c1` as the command line asks for it."""

from pathlib import Path
from typing import Any

from cspine.domain import ConfigError
from cspine.training.recipes.classifier_run import exported_classifier, trainee_of
from cspine.training.recipes.efficientnet_c1.config import EfficientNetC1, efficientnet_c1, efficientnet_c1_table
from cspine.training.recipes.efficientnet_c1.run import (
    NAME,
    division_of,
    dry_run_efficientnet_c1,
    read_filtered,
    run_on_stacks,
)
from cspine.training.recipes.efficientnet_c1.table import experiment_on, write_efficientnet_c1
from cspine.training.recipes.exported import Exported
from cspine.training.recipes.settings import config_from
from cspine.training.recipes.system import Order, System, told
from cspine.training.stacks import StackSet


def _train(recipe: EfficientNetC1, stacks: StackSet, order: Order) -> list[str]:
    if (order.folds or order.split) and recipe.by == "image":
        raise ConfigError("folds are of studies; by=image has one division of its own, leave --folds and --split out")
    lines = []
    for folder, divide in order.divisions(division_of(recipe), recipe.seed):
        run = run_on_stacks(recipe, stacks, folder, order.hardware, order.say, divide=divide)
        lines += [line for line in (run.about["mark"],) if line]
        lines.append(told(run.about["split"], run.test))
    return lines


def _export(run: Path, document: dict[str, Any], result: dict[str, Any]) -> Exported:
    recipe = config_from(EfficientNetC1, document["config"])
    answers = f"Answers for one axial slice: the logit of “{recipe.level} is fractured”, and nothing of other levels."
    trainee = trainee_of(recipe, recipe.variant)
    return exported_classifier(trainee, run, result, answers, {"window": recipe.window})


SYSTEM = System(
    NAME,
    efficientnet_c1,
    efficientnet_c1_table,
    read_filtered,
    _train,
    dry_run_efficientnet_c1,
    lambda table, stacks, order: experiment_on(table, stacks, order.out, order.hardware, order.say),
    write_efficientnet_c1,
    _export,
)
