"""`slice-transfer` as the command line asks for it."""

from pathlib import Path
from typing import Any

import numpy as np

from cspine.evaluation import confusion
from cspine.training.backbones import build_classifier
from cspine.training.learning import make_loss
from cspine.training.recipes.exported import Exported, ExportedNetwork
from cspine.training.recipes.settings import config_from
from cspine.training.recipes.slice_transfer.config import SliceTransfer, slice_transfer, slice_transfer_table
from cspine.training.recipes.slice_transfer.images import LABEL, FolderImages
from cspine.training.recipes.slice_transfer.page import write_page
from cspine.training.recipes.slice_transfer.run import (
    NAME,
    RunResult,
    dry_run_slice_transfer,
    read_images,
    run_folds,
    run_slice_transfer,
)
from cspine.training.recipes.slice_transfer.table import run_table
from cspine.training.recipes.system import Order, System
from cspine.training.state_files import load_state


def _train(recipe: SliceTransfer, folder: FolderImages, order: Order) -> list[str]:
    if not order.folds:
        return [_line("", run_slice_transfer(recipe, folder, order.out, order.hardware, order.say))]
    runs = run_folds(recipe, folder, order.out, order.folds, hardware=order.hardware, say=order.say)
    return [_line(f"fold {number}, ", run) for number, run in enumerate(runs, start=1)]


def _line(which: str, run: RunResult) -> str:
    counts = confusion(run.test.truth, run.test.probability)
    figures = f"accuracy {counts.accuracy()}, recall {counts.recall()}, precision {counts.precision()}"
    return f"{which}test: {figures}"


def _export(run: Path, document: dict[str, Any], result: dict[str, Any]) -> Exported:
    recipe = config_from(SliceTransfer, document["config"])
    outputs = make_loss(recipe.frozen.loss, np.zeros((1, 1))).outputs
    network = build_classifier(recipe.backbone, outputs, recipe.head, recipe.seed).eval()
    network.load_state_dict(load_state(run / result["stage"] / "network.safetensors"))
    size = recipe.image_size
    return Exported(
        f"{recipe.backbone} on single images",
        f"Answers for one image: the logit of “{LABEL}”. It knows nothing of vertebrae or patients.",
        (ExportedNetwork("slice", network, (3, size, size), "image", ("logits",)),),
        {"logits": (LABEL,) if outputs == 1 else ("other", LABEL)},
        {"size": size, "mean": result["mean"], "std": result["std"], "range": [0, 1]},
    )


SYSTEM = System(
    NAME,
    slice_transfer,
    slice_transfer_table,
    read_images,
    _train,
    dry_run_slice_transfer,
    lambda table, folder, order: run_table(table, folder, order.out, order.hardware, order.say),
    write_page,
    _export,
    keeps_slices=False,
)
