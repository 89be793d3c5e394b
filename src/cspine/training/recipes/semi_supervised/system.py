"""`semi-supervised` as the command line asks for it."""

from pathlib import Path
from typing import Any

import numpy as np

from cspine.training.backbones import HeadPlan, build_classifier
from cspine.training.learning import Hardware, make_loss
from cspine.training.recipes.dry_run import cost_of
from cspine.training.recipes.exported import Exported, ExportedNetwork
from cspine.training.recipes.semi_supervised.config import SemiSupervised, semi_supervised, semi_supervised_table
from cspine.training.recipes.semi_supervised.network import two_headed
from cspine.training.recipes.semi_supervised.page import write_semi_supervised
from cspine.training.recipes.semi_supervised.run import (
    NAME,
    Setting,
    division_of,
    read_labeled,
    run_semi_supervised,
    trained_network,
)
from cspine.training.recipes.semi_supervised.table import experiment_on
from cspine.training.recipes.settings import config_from
from cspine.training.recipes.study_scores import test_words
from cspine.training.recipes.system import Order, System
from cspine.training.stacks import StackSet


def _train(recipe: SemiSupervised, stacks: StackSet, order: Order) -> list[str]:
    lines = []
    for folder, divide in order.divisions(division_of(recipe), recipe.seed):
        setting = Setting(stacks, divide(stacks), folder, order.hardware, order.say)
        run = run_semi_supervised(recipe, setting, folder / recipe.method)
        lines.append(f"{run.about['split']}, {test_words(run.test)}")
    return lines


def _dry_run(recipe: SemiSupervised, stacks: StackSet, hardware: Hardware) -> list[str]:
    """Return what the network of visibility, and the two heads, would cost."""
    parts = division_of(recipe)(stacks)
    levels, image = len(stacks.label_set.levels), (3, recipe.stacks.size, recipe.stacks.size)
    lines = [f"{recipe.backbone}, {recipe.stacks.size} pixels; {parts.kind}: {len(parts.train)} slices to train on"]
    stages = (
        ("visibility", recipe.visibility, build_classifier(recipe.backbone, levels, HeadPlan(0, recipe.dropout), 0)),
        ("two heads", recipe.fit, two_headed(recipe.backbone, levels, recipe.dropout, 0)),
    )
    for name, config, network in stages:
        labels = levels if name == "visibility" else 2 * levels
        loss = make_loss(config.loss, np.zeros((1, labels)))
        cost = cost_of(network, image, loss.compute, config, hardware, labels=labels)
        steps = config.epochs * max(1, len(parts.train) // (config.batch * config.accumulate))
        lines += [f"{name}, at most", *(f"  {line}" for line in cost.lines(steps))]
    return lines


def _export(run: Path, document: dict[str, Any], result: dict[str, Any]) -> Exported:
    recipe, levels = config_from(SemiSupervised, document["config"]), result["targets"][1:]
    network, size = trained_network(recipe, run, len(levels)), recipe.stacks.size
    return Exported(
        f"{recipe.backbone} with two heads, {recipe.plane} slices",
        f"Answers for one {recipe.plane} slice: logits of a fracture of each level, then of each level being visible. "
        "A study's score is the mean over its slices, weighted by visibility.",
        (ExportedNetwork("slice", network, (3, size, size), "image", ("logits",)),),
        {"logits": (*(f"fracture_{name}" for name in levels), *(f"visible_{name}" for name in levels))},
        {
            "size": size,
            "window": recipe.stacks.window,
            "plane": recipe.plane,
            "mean": result["mean"],
            "std": result["std"],
            "range": [0, 1],
        },
    )


SYSTEM = System(
    NAME,
    semi_supervised,
    semi_supervised_table,
    read_labeled,
    _train,
    _dry_run,
    lambda table, stacks, order: experiment_on(table, stacks, order.out, order.hardware, order.say),
    write_semi_supervised,
    _export,
)
