"""`winner-2022` on toy studies: crops hold their vertebra, both models learn, the page compares them."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cspine.datasets import AugmentRange, LabeledStudy, PhantomPlan, Size, from_mask, sample_augmentation
from cspine.domain import ConfigError, NoImages
from cspine.evaluation import dice
from cspine.phantom import make_case
from cspine.training.backbones import HeadPlan, Start, build_classifier
from cspine.training.learning import FitConfig, Hardware, LossPlan
from cspine.training.recipes.study_scores import level_auc, level_auc_gain
from cspine.training.recipes.winner_2022 import (
    CropPlan,
    CropSet,
    SequencePlan,
    StudyNet,
    Winner2022,
    Winner2022Table,
    WinnerRun,
    crop_set,
    crop_study,
    experiment_on,
    run_winner_2022,
    widened,
    write_winner_2022,
)
from cspine.training.recipes.winner_2022.crops import vertebra_finder
from cspine.training.recipes.winner_2022.samples import VertebraSamples, vertebra_refs
from cspine.training.stacks import StackSet, fold_parts
from tests.training.stacks.toy_stacks import toy_broken, toy_stack, toy_study

QUICK = Hardware(device="cpu", threads=1)
CROPS = CropPlan(slices=3, neighbors=1, neighbor_mm=2.0, size=32, pixel_mm=4.0)
FIT = FitConfig(epochs=8, batch=14, learning_rate=0.01, optimizer="adamw", clip=1.0)
RECIPE = Winner2022(
    backbone="tiny",
    weights="none",
    vertebrae="mask",
    crops=CROPS,
    sequence=SequencePlan(16, 1, 0.0),
    augment=AugmentRange(0.03, 0.0, 0.0, 3.0, 0.0, 0.03),
    vertebra=replace(FIT, loss=LossPlan("weighted-bce", positive_weight=2.0)),
    study=replace(FIT, batch=4, loss=LossPlan("competition")),
)


def broken_of(number: int) -> tuple[int, ...]:
    """Return four of seven levels of every second study."""
    return tuple((number // 2 + k) % 7 for k in (0, 2, 4, 5)) if number % 2 else ()


@pytest.fixture(scope="module")
def crops() -> CropSet:
    """Return twelve studies; one has no mask and so no vertebra."""
    stacks = StackSet(tuple(toy_stack(n, broken_of(n), segmented=n != 4) for n in range(13)))
    studies = [toy_study(n, broken_of(n), segmented=n != 4) for n in range(13)]
    made = {study.uid: crop_study(study, from_mask, CROPS) for study in studies}
    return crop_set(stacks, made, lambda line: None)


@pytest.fixture(scope="module")
def run(crops: CropSet, tmp_path_factory: pytest.TempPathFactory) -> WinnerRun:
    parts = fold_parts(crops.stacks, 3)[0]
    return run_winner_2022(RECIPE, crops, parts, tmp_path_factory.mktemp("run"), hardware=QUICK, say=lambda line: None)


def test_a_crop_stands_at_its_vertebra_between_its_neighbors() -> None:
    study = toy_study(1, toy_broken(1))
    made = crop_study(study, from_mask, CROPS)
    assert made.levels.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert made.pixels.shape == (7, 3, 3, 32, 32)
    assert made.mask.shape == (7, 3, 32, 32)
    assert made.mask.any(axis=(2, 3)).all()
    bright = [float(made.pixels[k, 1, 1][made.mask[k, 1] > 0].mean()) for k in range(1, 7)]
    assert bright == sorted(bright)  # a level is as bright as its place
    assert (made.pixels[3, :, 0] != made.pixels[3, :, 2]).any()
    alone = crop_study(study, from_mask, replace(CROPS, neighbors=0))
    np.testing.assert_array_equal(alone.pixels[:, :, 0], made.pixels[:, :, 1])


@pytest.mark.slow  # 9 s: a phantom, and the vertebra stage of the shipped bundle on it
def test_vertebrae_of_a_study_without_a_mask_come_from_the_shipped_bundle() -> None:
    case = make_case(PhantomPlan(studies=1, seed=3, size=Size.SMALL).spec(0), threads=1)
    bare = LabeledStudy("1.2.3", case.volume, tuple(range(1, case.volume.grid.shape[0] + 1)))
    finder, _ = vertebra_finder(replace(RECIPE, vertebrae="both"))
    found, labels = finder(bare)
    assert labels is not None
    assert {one.vertebra.name for one in found} >= {"C3", "C4", "C5", "C6", "C7"}  # C2 is cut by the edge of the scan
    for one in found:
        assert dice(labels.labels == one.vertebra, case.labels.labels == one.vertebra) > 0.6
    made = crop_study(bare, lambda study: (found, labels), CROPS)
    assert made.levels.tolist() == [one.vertebra - 1 for one in found]
    assert made.mask.any(axis=(2, 3)).all()
    assert len(crop_study(bare, from_mask, CROPS).levels) == 0


def test_studies_without_vertebrae_are_left_out_and_an_empty_set_is_refused(crops: CropSet) -> None:
    assert len(crops.crops) == 12
    assert [one.uid for one in crops.crops] == [stack.uid for stack in crops.stacks.stacks]
    blind = StackSet((toy_stack(0, (), segmented=False),))
    made = {"1.2.1": crop_study(toy_study(0, (), segmented=False), from_mask, CROPS)}
    with pytest.raises(NoImages, match="no vertebra was found in 1 studies; use vertebrae=both"):
        crop_set(blind, made, lambda line: None)


def test_a_sample_is_labeled_by_its_level_and_changes_as_a_whole(crops: CropSet) -> None:
    samples = VertebraSamples(
        crops, vertebra_refs(crops, [1]), Start("random", (0.5,) * 3, (0.5,) * 3), True, AugmentRange(crop=0.1)
    )
    assert np.flatnonzero(samples.labels[:, 0]).tolist() == list(broken_of(1))
    assert samples.name(2) == "1.2.2, C3"
    plain = samples.plain(0)
    assert plain.shape == (3, 4, 32, 32)
    assert set(plain[:, 3].unique().tolist()) == {-1.0, 1.0}
    drawn = samples.draw(0, np.random.default_rng(5))
    change = sample_augmentation(AugmentRange(crop=0.1), np.random.default_rng(5))
    alone = change.apply(np.asarray(crops.crops[1].pixels[0, 2, 1]))
    np.testing.assert_allclose(drawn[2, 1].numpy(), (alone - 0.5) / 0.5, atol=1e-5)


def test_the_first_layer_is_spread_over_the_channels() -> None:
    three = build_classifier("tiny", 1, HeadPlan(0, 0.0), 0).eval()
    image = torch.rand(1, 1, 32, 32)
    before = three(image.expand(-1, 3, -1, -1))
    six = widened(three, 6)
    torch.testing.assert_close(six(image.expand(-1, 6, -1, -1)), before, atol=1e-4, rtol=1e-4)
    with pytest.raises(ConfigError, match="takes no three channels"):
        widened(six, 4)


def test_levels_that_were_not_found_say_nothing_about_the_study() -> None:
    network = StudyNet(5, SequencePlan(8, 1, 0.0), 7).eval()
    assert network(torch.zeros(2, 21, 6)).shape == (2, 8)
    assert torch.isfinite(network(torch.zeros(2, 21, 6))).all()


def test_severe_fractures_are_learned_vertebra_by_vertebra(run: WinnerRun) -> None:
    assert level_auc(run.models["first model"]).value > 0.9
    assert run.test.probability.shape == (4, 8)
    blended = (run.models["first model"].probability + run.models["second model"].probability) / 2
    np.testing.assert_allclose(run.test.probability, blended, atol=1e-6)
    assert run.about["origin"].startswith("PHANTOM")
    assert set(run.about["losses"]) == {"global", "column", "row"}
    assert np.isfinite(run.slices).all()


def test_a_finished_run_is_read_and_another_recipe_refused(run: WinnerRun, crops: CropSet) -> None:
    parts = fold_parts(crops.stacks, 3)[0]
    again = run_winner_2022(RECIPE, crops, parts, run.folder, hardware=QUICK, say=lambda line: None)
    np.testing.assert_allclose(again.test.probability, run.test.probability, atol=1e-6)
    np.testing.assert_array_equal(again.slices, run.slices)
    assert again.history == run.history
    with pytest.raises(ConfigError, match=r"config.mask_channel: True → False"):
        run_winner_2022(
            replace(RECIPE, mask_channel=False), crops, parts, run.folder, hardware=QUICK, say=lambda line: None
        )


@pytest.mark.slow  # about 15 s: three variants in three folds
def test_the_page_compares_models_and_variants_on_the_same_folds(crops: CropSet, tmp_path: Path) -> None:
    quick = replace(RECIPE, vertebra=replace(RECIPE.vertebra, epochs=1), study=replace(RECIPE.study, epochs=1))
    done = experiment_on(Winner2022Table(quick, folds=3), crops, tmp_path, QUICK, lambda line: None)
    page = write_winner_2022(done, tmp_path, "cspine experiment winner-2022").read_text()
    assert "PHANTOM: all 12 studies" in page
    models, levels, slices = (
        list(csv.DictReader((tmp_path / f"{name}.csv").read_text().splitlines()))
        for name in ("models", "levels", "slices")
    )
    assert [(row["variant"], row["model"]) for row in models] == [
        ("as published", "first model"),
        ("as published", "second model"),
        ("as published", "both models"),
        ("no mask channel", "both models"),
        ("no neighbors", "both models"),
        ("prevalence of the set", "–"),
    ]
    assert {row["studies"] for row in models} == {"12"}
    gain = level_auc_gain(done.answers("as published"), done.answers("no neighbors")).value
    assert float(models[4]["auc_gain of both models"]) == pytest.approx(gain)
    assert sum(int(levels[1][k]) for k in ("tn", "fp", "fn", "tp")) == 12
    assert len(slices) == 3 * 7 * 3


def test_odd_settings_are_refused() -> None:
    for change, words in {
        "vertebrae": "unknown source of vertebrae 'x'",
        "backbone": "unknown backbone 'x'",
    }.items():
        with pytest.raises(ConfigError, match=words):
            replace(RECIPE, **{change: "x"})
    with pytest.raises(ConfigError, match="neighbors 9 0 … 8"):
        CropPlan(neighbors=9)
    with pytest.raises(ConfigError, match="use bce, weighted-bce or focal"):
        replace(RECIPE, vertebra=replace(FIT, loss=LossPlan("categorical-ce")))
    with pytest.raises(ConfigError, match="unknown variant"):
        Winner2022Table(variants=("without",))
