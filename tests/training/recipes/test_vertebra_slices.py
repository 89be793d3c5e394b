"""`vertebra-slices` on toy studies: forest and network tell levels, the detector finds gaps, the page tables all."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cspine.datasets import AugmentRange
from cspine.domain import ConfigError, NoImages
from cspine.evaluation import match_slice_boxes, meet_by_center, roc_auc
from cspine.report import Window
from cspine.training.backbones import HeadPlan, Start
from cspine.training.learning import FitConfig, Hardware
from cspine.training.loop import LoopConfig
from cspine.training.recipes.classifier_run import ClassifierRun
from cspine.training.recipes.vertebra_slices import (
    BoxRun,
    DetectorPlan,
    ForestPlan,
    ForestRun,
    SlicesExperiment,
    VertebraSlices,
    VertebraSlicesTable,
    experiment_on,
    write_vertebra_slices,
)
from cspine.training.recipes.vertebra_slices.detector import (
    OUTPUTS,
    STRIDE,
    BoxTask,
    _moved,
    box_losses,
    box_targets,
    decode,
    make_detector,
    sample_boxes,
)
from cspine.training.recipes.vertebra_slices.forest import FEATURES, forest_answers, slice_features, train_forest
from cspine.training.recipes.vertebra_slices.run import fracture_parts, level_parts
from cspine.training.stacks import SliceSamples, StackSet
from tests.training.stacks.toy_stacks import toy_stack

QUICK = Hardware(device="cpu", threads=1)
DETECTOR = DetectorPlan(
    backbone="tiny",
    weights="none",
    image_size=64,
    width=16,
    shift=0.05,
    fit=LoopConfig(steps=60, batch=8, learning_rate=5e-3, warmup=5, ema=0.8, workers=0, threads=1, log_every=10),
)
RECIPE = VertebraSlices(
    backbone="tiny",
    weights="none",
    image_size=32,
    augment=AugmentRange(0.0, 0.5, 0.0, rotation_deg=0, shear=0, zoom=0),
    head=HeadPlan(0, 0.0),
    fit=FitConfig(epochs=10, batch=14, learning_rate=0.01),
    forest=ForestPlan(trees=20),
    detector=DETECTOR,
    valid_share=0.34,
    test_share=0.34,
)
WINDOW = Window(400, 1800)


@pytest.fixture(scope="module")
def stacks() -> StackSet:
    """Return studies of which every second one is fractured at C2 and C5, and boxed."""
    return StackSet(tuple(toy_stack(n, (1, 4) if n % 2 else (), boxed=True) for n in range(12)))


@pytest.fixture(scope="module")
def experiment(stacks: StackSet, tmp_path_factory: pytest.TempPathFactory) -> tuple[SlicesExperiment, Path]:
    out = tmp_path_factory.mktemp("table")
    return experiment_on(VertebraSlicesTable(RECIPE, shown_slices=4), stacks, out, QUICK, lambda line: None), out


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_forest_and_network_tell_the_levels_of_unseen_studies(experiment: tuple[SlicesExperiment, Path]):
    runs = experiment[0].runs
    forest, network = runs["forest"], runs["levels"]
    assert isinstance(forest, ForestRun)
    assert isinstance(network, ClassifierRun)
    assert forest.test.studies == network.test.studies
    for test in (forest.test, network.test):
        assert np.mean([roc_auc(test.truth[:, k], test.probability[:, k]) for k in range(7)]) > 0.9


def test_severe_fractures_of_slices_are_told_and_their_boxes_found(experiment: tuple[SlicesExperiment, Path]):
    fracture, boxes = (experiment[0].runs[task] for task in ("fracture", "boxes"))
    assert isinstance(fracture, ClassifierRun)
    assert isinstance(boxes, BoxRun)
    assert roc_auc(fracture.test.truth[:, 0], fracture.test.probability[:, 0]) > 0.9
    assert roc_auc(boxes.answered.truth[:, 0], boxes.answered.probability[:, 0]) > 0.9
    found = [(f.scores, f.edges) for f in boxes.found]
    assert match_slice_boxes(found, boxes.truth, meet_by_center).sensitivity_at(0.2) > 0.8


def test_the_page_holds_the_papers_table_and_what_was_only_announced(experiment: tuple[SlicesExperiment, Path]):
    done, out = experiment
    page = write_vertebra_slices(done, out, "cspine experiment vertebra-slices").read_text()
    assert "PHANTOM: all 12 studies" in page
    levels = rows_of(out / "levels.csv")
    assert [row["level"] for row in levels] == ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "overall"]
    assert levels[-1]["paper_forest"] == "0.8841"
    assert levels[-1]["paper_EfficientNetV2"] == "0.9513"
    test = done.levels()["tiny"]
    right = (test.probability >= 0.5) == (test.truth >= 0.5)
    assert float(levels[-1]["tiny"]) == pytest.approx(right.mean())
    assert float(levels[0]["always_no"]) == pytest.approx(1 - test.truth[:, 0].mean())
    assert len(rows_of(out / "fracture.csv")) == 2
    assert [row["a box is right when"] for row in rows_of(out / "boxes.csv")] == [
        "overlap ≥ 0.5",
        "overlap ≥ 0.3",
        "center inside",
    ]
    assert {row["task"] for row in rows_of(out / "curves.csv")} == {"levels", "fracture"}
    assert page.count("data:image/png;base64,") == 1


def test_the_features_see_bone_air_and_an_empty_slice():
    gray = np.zeros((32, 32), np.uint8)
    assert slice_features(gray, WINDOW).tolist() == [0.0] * FEATURES
    gray[4:28, 4:28] = WINDOW.gray(np.array([[40.0]]))[0, 0]
    soft = slice_features(gray, WINDOW)
    gray[14:18, 10:22] = 255
    bone = slice_features(gray, WINDOW)
    assert soft.shape == bone.shape == (FEATURES,)
    assert soft[22] == 0.0
    assert bone[22] == pytest.approx(48 / 24**2, rel=0.02)
    assert bone[27] == 1.0


def test_a_level_that_was_never_shown_is_answered_with_no():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(30, 4)).astype(np.float32)
    labels = np.stack([features[:, 0] > 0, np.zeros(30)], axis=1).astype(np.float32)
    answers = forest_answers(train_forest(features, labels, ForestPlan(trees=10), 0), features)
    assert answers.shape == (30, 2)
    assert (answers[:, 1] == 0).all()
    assert roc_auc(labels[:, 0], answers[:, 0]) > 0.95


def test_a_perfect_map_decodes_to_the_boxes_it_was_made_of():
    boxes = np.array([[10.0, 12.0, 26.0, 44.0], [40.0, 33.0, 58.0, 51.0]])
    target = box_targets(boxes, 64)
    out = torch.zeros(1, OUTPUTS, 64 // STRIDE, 64 // STRIDE)
    out[0, :1] = torch.where(target["here"] > 0, 6.0, -6.0)
    out[0, 1:3], out[0, 3:] = target["size"], target["rest"]
    (found,) = decode(out, DETECTOR)
    order = np.argsort(found.edges[:, 0])
    assert found.edges[order] == pytest.approx(boxes, abs=1e-3)
    batch = {name: value[None] for name, value in target.items()}
    parts = box_losses(out, batch)
    assert parts["size"].item() == parts["rest"].item() == 0.0
    wrong = box_losses(-out, batch)
    assert wrong["heat"].item() > 20 * parts["heat"].item()


def test_boxes_move_with_the_slice():
    boxes = np.array([[20.0, 8.0, 30.0, 24.0]])
    image = torch.zeros(3, 64, 64)
    image[:, 20:30, 8:24] = 1.0
    for seed in range(6):
        moved, where = _moved(image, boxes, 0.1, np.random.default_rng(seed))
        top, left, bottom, right = (int(v) for v in where[0])
        assert moved[:, top:bottom, left:right].min() == 1.0
        assert moved.sum() == image.sum()


def test_true_boxes_come_at_the_size_of_the_network(stacks: StackSet):
    refs = np.array([[1, 4], [1, 0]], dtype=np.int32)
    samples = SliceSamples(stacks, refs, np.zeros((2, 1), np.float32), Start("random", (0.5,) * 3, (0.5,) * 3), size=64)
    boxes = sample_boxes(samples, size=64)
    assert boxes[0].tolist() == [[4.0, 12.0, 28.0, 52.0]]
    assert boxes[1].shape == (0, 4)
    task = BoxTask(samples, boxes, DETECTOR, make_detector(DETECTOR, 0)[0])
    sample = task.sample(0, 0, 0)
    assert sample["image"].shape == (3, 64, 64)
    assert sample["heat"].shape == (1, 8, 8)


def test_sets_without_masks_or_boxes_and_odd_settings_are_refused(stacks: StackSet):
    blind = StackSet(tuple(toy_stack(n, (1,) if n % 2 else (), segmented=False) for n in range(6)))
    with pytest.raises(NoImages, match="none of 6 studies is segmented"):
        level_parts(RECIPE, blind)
    with pytest.raises(NoImages, match="none of 6 studies has fracture boxes"):
        fracture_parts(RECIPE, blind)
    with pytest.raises(ConfigError, match="unknown task 'level', did you mean 'levels'"):
        replace(RECIPE, task="level")
    with pytest.raises(ConfigError, match=r"detector\.image_size is 100"):
        replace(DETECTOR, image_size=100)
    with pytest.raises(ConfigError, match=r"gives no maps of its stages|has no maps of strides"):
        make_detector(replace(DETECTOR, backbone="basic-cnn"), 0)


@pytest.mark.slow  # about 8 s: a large network is built
def test_efficientnetv2_takes_a_step_and_is_tapped_for_boxes(stacks: StackSet, tmp_path: Path):
    out = make_detector(replace(DETECTOR, backbone="efficientnetv2-s"), 0)[0](torch.zeros(1, 3, 64, 64))
    assert out.shape == (1, OUTPUTS, 8, 8)
