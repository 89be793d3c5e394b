"""`winner-2022` as the command line asks for it."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cspine.training.learning import Hardware, make_loss
from cspine.training.recipes.dry_run import cost_of
from cspine.training.recipes.exported import Exported, ExportedNetwork
from cspine.training.recipes.settings import config_from
from cspine.training.recipes.study_scores import test_words
from cspine.training.recipes.system import Order, System
from cspine.training.recipes.winner_2022.config import Winner2022, winner_2022, winner_2022_table
from cspine.training.recipes.winner_2022.crops import CropSet, read_crops
from cspine.training.recipes.winner_2022.network import WithFeatures
from cspine.training.recipes.winner_2022.page import write_winner_2022
from cspine.training.recipes.winner_2022.run import NAME, build_networks, division_of, run_winner_2022, trained_networks
from cspine.training.recipes.winner_2022.samples import vertebra_refs
from cspine.training.recipes.winner_2022.table import experiment_on


def _train(recipe: Winner2022, crops: CropSet, order: Order) -> list[str]:
    lines = []
    for folder, divide in order.divisions(division_of(recipe), recipe.seed):
        run = run_winner_2022(recipe, crops, divide(crops.stacks), folder, hardware=order.hardware, say=order.say)
        lines.append(f"{run.about['split']}, {test_words(run.test)}")
    return lines


def _dry_run(recipe: Winner2022, crops: CropSet, hardware: Hardware) -> list[str]:
    """Return what both models would cost."""
    parts, plan = division_of(recipe)(crops.stacks), recipe.crops
    studies = parts.stacks("train")
    vertebrae = len(vertebra_refs(crops, studies))
    levels = crops.levels
    first, second = build_networks(recipe, levels)
    stages = (
        ("first model", recipe.vertebra, first, (plan.slices, recipe.channels, plan.size, plan.size), vertebrae, 1),
        ("second model", recipe.study, second, (levels * plan.slices, second.width), len(studies), 1 + levels),
    )
    lines = [f"{recipe.backbone}; {parts.kind}: {len(studies)} studies, {vertebrae} vertebrae to train on"]
    for name, config, network, shape, count, labels in stages:
        loss = make_loss(config.loss, np.zeros((1, labels)))
        cost = cost_of(network, shape, loss.compute, config, hardware, labels=labels)
        steps = config.epochs * max(1, count // (config.batch * config.accumulate))
        lines += [name, *(f"  {line}" for line in cost.lines(steps))]
    return lines


def _export(run: Path, document: dict[str, Any], result: dict[str, Any]) -> Exported:
    recipe = config_from(Winner2022, document["config"])
    plan, targets = recipe.crops, tuple(result["targets"])
    levels = len(targets) - 1
    first, second = trained_networks(recipe, run, levels)
    shape = (plan.slices, recipe.channels, plan.size, plan.size)
    return Exported(
        f"{recipe.backbone} and LSTM on vertebrae, and on the study",
        "Graph vertebra: slices of one vertebra to the logit of a fracture, and features of each slice. Graph study: "
        "the features of all slices of the levels in their order (0 where a vertebra is not seen), each with 1 where "
        "it is, to logits of the study and its levels. The answer is the mean of both models' probabilities.",
        (
            ExportedNetwork("vertebra", WithFeatures(first), shape, "slices", ("vertebra_logits", "features")),
            ExportedNetwork("study", second, (levels * plan.slices, second.width), "features", ("study_logits",)),
        ),
        {"vertebra_logits": ("fracture",), "study_logits": targets},
        {
            **asdict(plan),
            "mask_channel": recipe.mask_channel,
            "mean": float(np.mean(result["mean"])),
            "std": float(np.mean(result["std"])),
            "range": [0, 1],
        },
    )


SYSTEM = System(
    NAME,
    winner_2022,
    winner_2022_table,
    read_crops,
    _train,
    _dry_run,
    lambda table, crops, order: experiment_on(table, crops, order.out, order.hardware, order.say),
    write_winner_2022,
    _export,
)
