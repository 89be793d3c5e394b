"""`cspine export`: a finished run of a slice recipe as a bundle with a parity report."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cspine import __version__
from cspine.domain import ConfigError
from cspine.evaluation import best_threshold
from cspine.models import ManifestParts, ModelBundle, Precision, write_bundle
from cspine.training.backbones import build_classifier
from cspine.training.export import compared, to_onnx
from cspine.training.learning import make_loss
from cspine.training.recipes.folder_images import LABEL
from cspine.training.recipes.registry import RECIPES, config_from
from cspine.training.recipes.run_slice_transfer import RECIPE_FILE, RESULT_FILE
from cspine.training.recipes.slice_transfer import SliceTransfer
from cspine.training.state_files import load_state

CARD = """# {name}: {backbone} on single images

Research use only. Not a medical device.

Answers for one image: the logit of “{positive}”. It knows nothing of vertebrae or patients, and is no fracture stage
of `cspine detect`.

- Trained by `cspine train {name}` on {train} images ({start}); split: {split}.
- Threshold {threshold:.3f}: highest F1 on the {valid} images of the validation part.
"""


def export_run(run: Path, out: Path) -> ModelBundle:
    """Write the bundle of a finished run; the graph takes (images, 3, rows, columns), normalized as its manifest says.

    Raises
    ------
    ConfigError
        Not a finished run of a recipe that can be exported.
    BundleError
        The folder exists, or the exported graph differs from the network.
    """
    document, result = (_read(run / name) for name in (RECIPE_FILE, RESULT_FILE))
    if document.get("recipe") not in RECIPES:
        raise ConfigError(f"{run}: a run of recipe {document.get('recipe')!r}, which is not exported this way")
    recipe = config_from(SliceTransfer, document["config"])
    outputs = make_loss(recipe.frozen.loss, np.zeros((1, 1))).outputs
    network = build_classifier(recipe.backbone, outputs, recipe.head, recipe.seed).eval()
    network.load_state_dict(load_state(run / result["stage"] / "network.safetensors"))
    example, other = (torch.randn(n, 3, *(recipe.image_size,) * 2, generator=_generator(n)) for n in (2, 3))
    graph = to_onnx(network, example, ({0: torch.export.Dim("images", min=1, max=1024)},), (["image"], ["logits"]))
    parity = compared(network, graph, ("image", ["logits"]), (example, other))
    threshold = _threshold(run)
    parts = ManifestParts(
        name=document["recipe"],
        version="1",
        created_by=f"cspine {__version__}",
        precision=Precision.F32,
        labels={"logits": (LABEL,) if outputs == 1 else ("other", LABEL)},
        preprocess={"size": recipe.image_size, "mean": result["mean"], "std": result["std"], "range": [0, 1]},
        parity={"slice": parity},
        thresholds={LABEL: threshold, "chosen_on": "validation part, highest F1"},
        training={"recipe": document, **{key: result[key] for key in ("split", "counts", "leaks", "start")}},
    )
    card = CARD.format(
        name=document["recipe"],
        backbone=recipe.backbone,
        positive=LABEL,
        train=result["counts"]["train"][0],
        valid=result["counts"]["valid"][0],
        start=f"start: {result['start']}",
        split=result["split"],
        threshold=threshold,
    )
    return write_bundle(out, parts, {"slice": graph}, card)


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path.parent}: not a finished run (no readable {path.name}); train it to its end"
        ) from error
    return found


def _threshold(run: Path) -> float:
    lines = (run / "predictions.csv").read_text().splitlines()
    rows = [line.rsplit(",", 2) for line in lines if line.startswith("valid,")]
    truth, probability = (np.array([float(row[k]) for row in rows]) for k in (1, 2))
    return best_threshold(truth, probability)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
