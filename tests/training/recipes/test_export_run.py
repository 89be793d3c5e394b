"""Finished runs as bundles: the graphs answer as the networks do, the manifest says how to ask them."""

import json
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cspine.domain import ConfigError
from cspine.models import ModelBundle, load_bundle, open_session
from cspine.training.backbones import HeadPlan, build_classifier
from cspine.training.learning import FitConfig, LossPlan
from cspine.training.recipes import export_run
from cspine.training.recipes.answers import Answered, StudyAnswers, write_answers
from cspine.training.recipes.efficientnet_c1 import EfficientNetC1
from cspine.training.recipes.semi_supervised import SemiSupervised
from cspine.training.recipes.semi_supervised.network import two_headed
from cspine.training.recipes.study_multilabel import StudyMultilabel
from cspine.training.recipes.vertebra_slices import VertebraSlices
from cspine.training.recipes.winner_2022 import CropPlan, SequencePlan, Winner2022
from cspine.training.recipes.winner_2022.run import build_networks
from cspine.training.stacks import StackPlan
from cspine.training.state_files import save_state

LEVELS = tuple(f"C{k}" for k in range(1, 8))
TARGETS = ("patient_overall", *LEVELS)
MEAN, STD = [0.5] * 3, [0.25] * 3


def finished(folder: Path, name: str, recipe: object, labels: tuple[str, ...], *, sliced: bool = True) -> Path:
    """Write what a finished run leaves besides its weights."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    truth = np.stack([np.arange(12) % 2] * len(labels), axis=1).astype(np.float32)
    p = np.clip(truth * 0.4 + rng.random(truth.shape) * 0.6, 0, 1).astype(np.float32)
    uids = tuple(f"1.2.{k}" for k in range(12))
    valid = Answered(uids, tuple(range(12)), truth, p) if sliced else StudyAnswers(uids, truth, p)
    write_answers(folder / "predictions.csv", labels, {"valid": valid, "test": valid})
    (folder / "recipe.json").write_text(json.dumps({"recipe": name, "config": asdict(recipe)}))  # type: ignore[call-overload]  # a dataclass
    asked = {"labels" if sliced else "targets": labels}  # runs of slices and of studies say it in words of their own
    about = {**asked, "mean": MEAN, "std": STD, "start": "random", "split": "held out"}
    (folder / "result.json").write_text(json.dumps(about | {"origin": "PHANTOM: all 12 studies"}))
    return folder


def bundled(run: Path) -> ModelBundle:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own dependencies warn about themselves
        export_run(run, run.parent / "bundle")
    return load_bundle(run.parent / "bundle")


def answer(bundle: ModelBundle, graph: str, name: str, sample: np.ndarray) -> dict[str, np.ndarray]:
    return open_session(bundle, graph, threads=1, precision="f32").run({name: sample})


CLASSIFIERS: dict[str, tuple[Any, tuple[str, ...], tuple[str, ...]]] = {
    "efficientnet-c1": (
        EfficientNetC1(
            variant="tiny", image_size=32, head=HeadPlan(0, 0.0), fit=FitConfig(loss=LossPlan("categorical-ce"))
        ),
        ("C1",),
        ("other", "C1"),
    ),
    "vertebra-slices": (VertebraSlices(backbone="tiny", image_size=32), LEVELS, LEVELS),
    "study-multilabel": (StudyMultilabel(network="basic-cnn", image_size=32), TARGETS, TARGETS),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_of_slices_answers_as_its_network_does(name: str, tmp_path: Path) -> None:
    recipe, labels, channels = CLASSIFIERS[name]
    run = finished(tmp_path / "run", name, recipe, labels)
    backbone = getattr(recipe, {"efficientnet-c1": "variant", "study-multilabel": "network"}.get(name, "backbone"))
    network = build_classifier(backbone, len(channels), recipe.head, 9).eval()
    save_state(network.state_dict(), run / "fit" / "network.safetensors")
    bundle = bundled(run)
    image = np.random.default_rng(1).normal(size=(5, 3, 32, 32)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(answer(bundle, "slice", "image", image)["logits"], expected, atol=1e-3)
    assert tuple(bundle.manifest.labels["logits"]) == channels
    assert set(bundle.manifest.thresholds) == {*labels, "chosen_on"}
    assert bundle.manifest.preprocess["window"] == "bone"
    assert bundle.manifest.parity["slice"].max_abs_diff <= bundle.manifest.parity["slice"].tolerance
    assert "PHANTOM: all 12 studies" in (bundle.folder / "MODEL_CARD.md").read_text()


def test_both_heads_are_named_and_their_plane_is_told(tmp_path: Path) -> None:
    recipe = SemiSupervised(backbone="tiny", stacks=StackPlan(size=32), plane="coronal")
    run = finished(tmp_path / "run", "semi-supervised", recipe, TARGETS, sliced=False)
    save_state(two_headed("tiny", 7, 0.3, 0).state_dict(), run / "fit" / "network.safetensors")
    bundle = bundled(run)
    assert answer(bundle, "slice", "image", np.zeros((2, 3, 32, 32), np.float32))["logits"].shape == (2, 14)
    assert bundle.manifest.labels["logits"][6:8] == ("fracture_C7", "visible_C1")
    assert bundle.manifest.preprocess["plane"] == "coronal"


@pytest.mark.slow  # about 20 s: the exporter writes out every step of the recurrent networks
def test_vertebra_and_study_are_two_graphs_that_fit_together(tmp_path: Path) -> None:
    crops = CropPlan(slices=3, neighbors=1, size=32, pixel_mm=4.0)
    recipe = Winner2022(backbone="tiny", weights="none", crops=crops, sequence=SequencePlan(8, 2, 0.1))
    run = finished(tmp_path / "run", "winner-2022", recipe, TARGETS, sliced=False)
    first, second = (network.eval() for network in build_networks(replace(recipe, seed=4), 7))
    for network, stage in ((first, "vertebra"), (second, "study")):
        save_state(network.state_dict(), run / stage / "network.safetensors")
    bundle = bundled(run)
    slices = np.random.default_rng(1).normal(size=(7, 3, 4, 32, 32)).astype(np.float32)
    found = answer(bundle, "vertebra", "slices", slices)
    features = np.concatenate([found["features"].reshape(1, 21, -1), np.ones((1, 21, 1), np.float32)], axis=2)
    study = answer(bundle, "study", "features", features)["study_logits"]
    with torch.no_grad():
        np.testing.assert_allclose(found["vertebra_logits"], first(torch.from_numpy(slices)).numpy(), atol=1e-3)
        np.testing.assert_allclose(study, second(torch.from_numpy(features)).numpy(), atol=1e-3)
    assert tuple(bundle.manifest.labels["study_logits"]) == TARGETS
    assert bundle.manifest.preprocess["neighbors"] == 1


def test_a_task_without_a_network_is_refused(tmp_path: Path) -> None:
    run = finished(tmp_path / "run", "vertebra-slices", VertebraSlices(task="forest"), LEVELS)
    with pytest.raises(ConfigError, match="task forest is not exported; levels and fracture are"):
        export_run(run, tmp_path / "bundle")
