"""`cspine export`: a finished run as a bundle of ONNX graphs with a parity report."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from cspine import __version__
from cspine.domain import ConfigError
from cspine.evaluation import best_threshold
from cspine.models import ManifestParts, ModelBundle, Precision, write_bundle
from cspine.training.export import compared, to_onnx
from cspine.training.recipes.compared import read_parts
from cspine.training.recipes.exported import Exported, ExportedNetwork
from cspine.training.recipes.run_folder import RECIPE_FILE, RESULT_FILE, read_document
from cspine.training.recipes.systems import SYSTEM_NAMES, system_named

CARD = """# {name}: {network}

Research use only. Not a medical device.

{answers} It is no fracture stage of `cspine detect`.

- Trained by `cspine train {name}`, start: {start}; split: {split}.{origin}
- Thresholds have the highest F1 on the validation part: {thresholds}.
"""
# What is told of a run in the manifest, where it is known.
TOLD = ("split", "mark", "counts", "studies", "leaks", "start", "origin", "losses")
MOST = 1024


def export_run(run: Path, out: Path) -> ModelBundle:
    """Write the bundle of a finished run; its manifest says how images become inputs.

    Raises
    ------
    ConfigError
        Not a finished run of a recipe, or of a task that has no network to export.
    BundleError
        The folder exists, or an exported graph differs from its network.
    """
    document, result = (read_document(run / name) for name in (RECIPE_FILE, RESULT_FILE))
    name = str(document.get("recipe"))
    if name not in SYSTEM_NAMES:
        raise ConfigError(f"{run}: a run of recipe {name!r}, which is not exported this way")
    exported = system_named(name).export(run, document, result)
    graphs, parity = {}, {}
    for one in exported.networks:
        graphs[one.graph] = _graph(one)
        inputs = tuple(_noise(one, n) for n in (2, 3))
        parity[one.graph] = compared(one.network, graphs[one.graph], (one.input, list(one.outputs)), inputs)
    thresholds = _thresholds(run)
    parts = ManifestParts(
        name=name,
        version="1",
        created_by=f"cspine {__version__}",
        precision=Precision.F32,
        labels=exported.labels,
        preprocess=exported.preprocess,
        parity=parity,
        thresholds={**thresholds, "chosen_on": "validation part, highest F1"} if thresholds else {},
        training={"recipe": document, **{key: result[key] for key in TOLD if key in result}},
    )
    return write_bundle(out, parts, graphs, _card(name, exported, result, thresholds))


def _graph(one: ExportedNetwork) -> bytes:
    batch = torch.export.Dim("samples", min=1, max=MOST)
    return to_onnx(one.network, _noise(one, 2), ({0: batch},), ([one.input], list(one.outputs)))


def _noise(one: ExportedNetwork, count: int) -> torch.Tensor:
    return torch.randn(count, *one.shape, generator=torch.Generator().manual_seed(count))


def _thresholds(run: Path) -> dict[str, float]:
    """Return the threshold of each label with both answers in the validation part; nothing without such a part."""
    labels, parts = read_parts(run)
    if "valid" not in parts:
        return {}
    valid = parts["valid"]
    found = zip(labels, valid.truth.T, valid.probability.T, strict=True)
    return {label: best_threshold(truth, p) for label, truth, p in found if 0 < np.sum(truth) < len(truth)}


def _card(name: str, exported: Exported, result: dict[str, Any], thresholds: dict[str, float]) -> str:
    return CARD.format(
        name=name,
        network=exported.title,
        answers=exported.answers,
        start=result.get("start", "unknown"),
        split=result.get("split", "unknown"),
        origin=f" Data: {result['origin']}." if result.get("origin") else "",
        thresholds=", ".join(f"{label} {value:.3f}" for label, value in thresholds.items()) or "none",
    )
