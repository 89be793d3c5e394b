"""`study-multilabel` on toy studies: answers are learned, folds cover all, the U-Net segments, the page is whole."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cspine.datasets import AugmentRange, LabeledStudy
from cspine.domain import ConfigError
from cspine.evaluation import roc_auc
from cspine.training.backbones import HeadPlan, build_classifier
from cspine.training.backbones.basic_cnn import BasicCnn
from cspine.training.learning import FitConfig, Hardware, LossPlan
from cspine.training.loop import LoopConfig
from cspine.training.recipes.answers import Answered
from cspine.training.recipes.study_multilabel import (
    MultilabelExperiment,
    StudyMultilabel,
    StudyMultilabelTable,
    UnetPlan,
    divided,
    experiment_on,
    write_study_multilabel,
)
from cspine.training.recipes.study_multilabel.run import by_study, labeled_parts, run_on_parts
from cspine.training.recipes.study_multilabel.unet import Neck, _patch, make_neck, segment
from cspine.training.stacks import StackSet, held_out
from tests.training.stacks.toy_stacks import toy_set, toy_stack, toy_study

QUICK = Hardware(device="cpu", threads=1)
RECIPE = StudyMultilabel(
    image_size=32,
    slices=7,
    augment=AugmentRange(0.0, 0.5, 0.0, rotation_deg=0, shear=0, zoom=0),
    head=HeadPlan(0, 0.0),
    fit=FitConfig(epochs=3, batch=14, learning_rate=0.01, loss=LossPlan("weighted-bce"), patience=2),
    channels="gray",
    valid_share=0.25,
    test_share=0.25,
)
UNET = UnetPlan(
    spacing_mm=4.0,
    patch=(32, 32, 32),
    channels=(8, 8, 16, 16),
    fit=LoopConfig(steps=25, batch=2, learning_rate=0.02, warmup=4, ema=0.8, workers=0, threads=1, log_every=10),
)


@pytest.fixture(scope="module")
def stacks() -> StackSet:
    return toy_set(28, segmented=6)


@pytest.fixture(scope="module")
def experiment(stacks: StackSet, tmp_path_factory: pytest.TempPathFactory) -> tuple[MultilabelExperiment, Path]:
    out = tmp_path_factory.mktemp("table")
    table = StudyMultilabelTable(RECIPE, ("basic-cnn", "tiny"), 3, ("tiny",), shown_studies=5, unet=UNET)
    quick = replace(table, base=replace(RECIPE, slices=4, fit=replace(RECIPE.fit, epochs=1)))
    masked = [stack.uid for stack in stacks.stacks if stack.mask is not None]
    segmented = divided(masked, {uid: k for k, uid in enumerate(masked)}, reader(masked))
    return experiment_on(quick, stacks, segmented, out, hardware=QUICK, say=lambda line: None), out


def reader(uids: list[str]) -> Callable[[str], LabeledStudy]:
    return lambda uid: toy_study(uids.index(uid), ())


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_the_basic_network_learns_severe_fractures_of_studies(tmp_path: Path):
    severe = StackSet(tuple(toy_stack(n, tuple(range(7)) if n % 2 else ()) for n in range(16)))
    parts = held_out(severe, (0.25, 0.25))
    run = run_on_parts(RECIPE, severe, parts, tmp_path, hardware=QUICK, say=lambda line: None)
    answers = by_study(run.test, "top")
    assert len(answers.studies) == 4
    assert roc_auc(answers.truth[:, 0], answers.probability[:, 0]) > 0.9


def test_a_study_is_answered_from_its_slices():
    answered = Answered(
        ("a", "a", "a", "a", "b"),
        (0, 1, 2, 3, 0),
        np.repeat([[1.0, 0.0]], 5, axis=0),
        np.array([[0.1, 0.0], [0.2, 0.0], [0.9, 0.0], [0.4, 0.4], [0.5, 1.0]]),
    )
    assert by_study(answered, "mean").probability == pytest.approx(np.array([[0.4, 0.1], [0.5, 1.0]]))
    assert by_study(answered, "max").probability[0] == pytest.approx([0.9, 0.4])
    assert by_study(answered, "top").probability[0] == pytest.approx([0.9, 0.4])
    assert by_study(answered, "max").studies == ("a", "b")


def test_slices_are_spread_over_the_study_and_carry_its_labels(stacks: StackSet):
    parts = labeled_parts(replace(RECIPE, slices=5), stacks, held_out(stacks, (0.25, 0.25)))
    first = int(parts.train.refs[0, 0])
    mine = parts.train.refs[:, 0] == first
    assert parts.train.refs[mine, 1].tolist() == [0, 7, 14, 20, 27]
    assert (parts.train.labels[mine] == stacks.stacks[first].targets).all()
    assert parts.names == ("patient_overall", "C1", "C2", "C3", "C4", "C5", "C6", "C7")


def test_the_unet_finds_the_levels_of_studies_that_it_was_not_trained_on(
    experiment: tuple[MultilabelExperiment, Path],
):
    found = experiment[0].segmentation
    assert found is not None
    assert (found.trained_on, len(found.dice)) == (4, 2)
    assert set(found.dice["1.2.1"]) == {f"C{k}" for k in range(1, 8)}
    assert found.overall.value > 0.4
    assert found.film.stat().st_size > 1000


def test_a_segmentation_lies_on_the_grid_of_the_study():
    study = toy_study(0, ())
    network = torch.nn.Conv3d(1, 8, 1)
    labels = segment(network, UNET, study.volume)
    assert labels.grid == study.volume.grid
    assert labels.labels.dtype == np.uint8


def test_a_patch_holds_a_vertebra_and_pads_what_is_smaller_with_air():
    study = toy_study(0, ())
    assert study.labels is not None
    neck = make_neck("a", study.volume, study.labels, 4.0)
    large = Neck("b", neck.grid, np.tile(neck.hu, (3, 1, 1)), np.tile(neck.labels, (3, 1, 1)))
    for one, shape in ((neck, (64, 16, 40)), (large, (16, 32, 16))):
        hu, labels = _patch(one, shape, np.random.default_rng(0))
        assert hu.shape == labels.shape == shape
        assert labels.any()
    hu, _ = _patch(neck, (64, 32, 32), np.random.default_rng(1))
    assert (hu == -1000).all(axis=(1, 2)).sum() == 64 - 28


def test_the_page_holds_the_reports_tables(experiment: tuple[MultilabelExperiment, Path]):
    done, out = experiment
    page = write_study_multilabel(done, out, "cspine experiment study-multilabel").read_text()
    assert "PHANTOM: all 28 studies" in page
    networks = rows_of(out / "networks.csv")
    assert [row["network"] for row in networks] == ["basic-cnn", "tiny", "never yes", "prevalence of the set"]
    assert networks[0]["paper_f1"] == "0.8381"
    answers = done.answers("basic-cnn")
    right = ((answers.probability >= 0.5) == (answers.truth >= 0.5)).mean()
    assert float(networks[0]["accuracy"]) == pytest.approx(right)
    never = 1 - answers.truth.mean()
    assert float(networks[2]["accuracy"]) == pytest.approx(never)
    assert len(rows_of(out / "labels.csv")) == 2 * 8
    folds = rows_of(out / "folds.csv")
    assert [row["fold"] for row in folds] == ["fold 1", "fold 2", "fold 3", "all"]
    assert int(folds[-1]["studies"]) == 28
    unseen = rows_of(out / "unseen.csv")
    assert len(unseen) == 5 * 3
    assert {row["who"] for row in unseen} == {"truth", "basic-cnn", "tiny"}
    assert float(rows_of(out / "unet_dice.csv")[-1]["C1"]) > 0
    assert ("data:video/mp4" in page) or ("data:image/gif" in page)


def test_impossible_settings_and_too_few_masks_are_refused():
    with pytest.raises(ConfigError, match="unknown way of pooling 'sum'"):
        replace(RECIPE, pool="sum")
    with pytest.raises(ConfigError, match="three multiples of 8"):
        UnetPlan(patch=(60, 64, 64))
    with pytest.raises(ConfigError, match="folds is 0 or at least 3"):
        StudyMultilabelTable(folds=2)
    with pytest.raises(ConfigError, match="1 segmented patients: a segmentation needs at least 2"):
        divided(["a", "b"], {"a": 7, "b": 7}, reader(["a", "b"]))


def test_patients_with_masks_stand_on_one_side():
    groups = {"a": 1, "b": 1, "c": 2, "d": 3, "e": 4, "f": 5, "g": 6}
    made = divided(list(groups), groups, reader(list(groups)))
    assert set(made.test) == {"a", "b", "g"}
    assert set(made.train) == {"c", "d", "e", "f"}


@pytest.mark.slow  # about 20 s: three large networks are built, and one step of each is taken
@pytest.mark.parametrize("network", ["inception-v3", "resnet50", "efficientnet-b5"])
def test_every_network_takes_a_step(network: str, stacks: StackSet, tmp_path: Path):
    size = 96 if network == "inception-v3" else 32
    fit = FitConfig(epochs=1, batch=28, loss=LossPlan("weighted-bce"))
    one = replace(RECIPE, network=network, image_size=size, slices=2, fit=fit)
    run = run_on_parts(one, stacks, held_out(stacks, (0.25, 0.25)), tmp_path, hardware=QUICK, say=lambda line: None)
    assert len(run.history) == 1
    assert np.isfinite(run.history[0].train_loss)


def test_the_basic_network_halves_its_image_four_times():
    network = build_classifier("basic-cnn", 8, HeadPlan(), 0)
    assert isinstance(network.backbone, BasicCnn)
    assert network.backbone.forward_features(torch.zeros(1, 3, 48, 64)).shape == (1, 128, 3, 4)
    assert network(torch.zeros(2, 3, 48, 64)).shape == (2, 8)
