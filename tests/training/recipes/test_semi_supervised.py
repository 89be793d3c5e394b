"""`semi-supervised` on toy rings: labels spread to studies without masks, all methods run, a patient is scored."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cspine.datasets import AugmentRange
from cspine.domain import ConfigError
from cspine.evaluation import rsna_log_loss
from cspine.training.learning import FitConfig, Hardware, LossPlan
from cspine.training.recipes.answers import StudyAnswers
from cspine.training.recipes.semi_supervised import (
    SemiRun,
    SemiSupervised,
    SemiSupervisedTable,
    Setting,
    experiment_on,
    in_plane,
    parts_in_plane,
    patient_scores,
    run_semi_supervised,
    write_semi_supervised,
)
from cspine.training.recipes.semi_supervised.table import SemiCase
from cspine.training.recipes.semi_supervised.targets import labeled_studies, taught, with_flips
from cspine.training.recipes.study_scores import fused, level_auc, level_auc_gain, log_loss_gain, log_losses
from cspine.training.stacks import LabelSet, Parts, StackSet, fold_parts, held_out
from tests.training.stacks.toy_stacks import PER_LEVEL, toy_set

pytestmark = pytest.mark.slow  # half a minute: some hundred steps, since the toy starts from noise

LUMBAR = LabelSet("lumbar", "any", ("L1", "L2", "L3"), (20, 21, 22))
NONE = AugmentRange(0.03, 0.0, 0.0, 3.0, 0.0, 0.03)
FIT = FitConfig(epochs=24, batch=16, learning_rate=0.01, optimizer="adamw", keep="last", clip=1.0)
RECIPE = SemiSupervised(
    backbone="tiny",
    weights="none",
    dropout=0.0,
    weak=NONE,
    augment=NONE,
    visibility=replace(FIT, epochs=36),
    pretext=replace(FIT, epochs=1, loss=LossPlan("contrastive")),
    fit=replace(FIT, loss=LossPlan("two-heads", positive_weight=4.0), ema=0.9),
)


def setting(stacks: StackSet, parts: Parts, shared: Path) -> Setting:
    return Setting(stacks, parts, shared, Hardware(device="cpu", threads=1), lambda line: None)


@pytest.fixture(scope="module")
def lumbar() -> tuple[StackSet, Parts]:
    stacks = toy_set(32, 32, LUMBAR)
    return stacks, held_out(stacks, (0.2, 0.3))


@pytest.fixture(scope="module")
def supervised(lumbar: tuple[StackSet, Parts], tmp_path_factory: pytest.TempPathFactory) -> SemiRun:
    folder = tmp_path_factory.mktemp("semi")
    return run_semi_supervised(replace(RECIPE, method="supervised"), setting(*lumbar, folder), folder / "supervised")


def test_other_levels_are_learned_without_new_code(supervised: SemiRun) -> None:
    assert supervised.about["targets"] == ["any", "L1", "L2", "L3"]
    assert supervised.about["visibility"]["all"] > 0.9
    assert level_auc(supervised.test).value > 0.9
    assert supervised.about["origin"].startswith("PHANTOM")


def test_a_finished_run_is_read_and_another_recipe_is_refused(
    supervised: SemiRun, lumbar: tuple[StackSet, Parts]
) -> None:
    at = setting(*lumbar, supervised.folder.parent)
    again = run_semi_supervised(supervised.recipe, at, supervised.folder)
    np.testing.assert_allclose(again.test.probability, supervised.test.probability, atol=1e-6)
    np.testing.assert_array_equal(again.slices.refs, supervised.slices.refs)
    with pytest.raises(ConfigError, match=r"labeled_share: 1.0 → 0.5"):
        run_semi_supervised(replace(supervised.recipe, labeled_share=0.5), at, supervised.folder)


@pytest.mark.parametrize("method", ["semi-supervised", "features"])
def test_the_other_methods_share_the_spread_labels_and_run(
    supervised: SemiRun, lumbar: tuple[StackSet, Parts], method: str
) -> None:
    short = replace(RECIPE, method=method, labeled_share=0.5, fit=replace(RECIPE.fit, epochs=1))
    at = setting(*lumbar, supervised.folder.parent)
    made = run_semi_supervised(short, at, supervised.folder.parent / method)
    assert made.test.studies == supervised.test.studies
    assert np.isfinite(made.test.probability).all()
    assert np.isfinite(level_auc_gain(made.test, supervised.test).value)


def test_the_page_compares_methods_labels_and_planes_on_the_same_folds(
    lumbar: tuple[StackSet, Parts], tmp_path: Path
) -> None:
    quick = replace(
        RECIPE,
        visibility=replace(FIT, epochs=1),
        fit=replace(RECIPE.fit, epochs=1),
        pretext=replace(RECIPE.pretext, batch=8),
    )
    table = SemiSupervisedTable(quick, shares=(0.5, 1.0), flips=(0.0, 0.2), planes=("axial", "coronal"), folds=3)
    done = experiment_on(table, lumbar[0], tmp_path, Hardware(device="cpu", threads=1), lambda line: None)
    page = write_semi_supervised(done, tmp_path, "cspine experiment semi-supervised", "toy rings").read_text()
    assert "PHANTOM: all 32 studies" in page
    assert "3 folds, grouped by patient" in page
    labels, gains, wrong, planes, levels, slices = (
        list(csv.DictReader((tmp_path / f"{name}.csv").read_text().splitlines()))
        for name in ("labels", "labels_gain", "wrong_labels", "planes", "levels", "slices")
    )
    assert [(row["method"], row["share"]) for row in labels][:2] == [("labels alone", "0.5"), ("labels alone", "1.0")]
    assert {row["studies"] for row in labels} == {"32"}
    semi = done.answers(SemiCase("semi-supervised", 0.5, 0.0, "axial"))
    alone = done.answers(SemiCase("supervised", 0.5, 0.0, "axial"))
    gain = next(
        row for row in gains if row["comparison"].startswith("semi-supervised − labels") and row["share"] == "0.5"
    )
    assert float(gain["auc_gain"]) == pytest.approx(level_auc_gain(semi, alone).value)
    assert float(gain["auc_gain_low"]) <= float(gain["auc_gain"]) <= float(gain["auc_gain_high"])
    assert len(wrong) == 3 * 2
    assert [row["plane"] for row in planes] == ["axial", "coronal", "fused"]
    assert float(planes[2]["auc_levels"]) == pytest.approx(level_auc(done.fused_planes()).value)
    assert [row["level"] for row in levels] == ["any", "L1", "L2", "L3"]
    assert sum(int(levels[1][k]) for k in ("tn", "fp", "fn", "tp")) == 32
    assert len(slices) == 3 * 12
    assert page.count("data:image/png;base64,") == 1


def test_a_level_counts_where_it_is_seen_and_the_study_by_any_level() -> None:
    finding = np.array([[0.9, 0.1], [0.1, 0.3]])
    visible = np.array([[1.0, 0.0], [0.0, 1.0]])
    overall, first, second = patient_scores(finding, visible)
    assert (first, second) == (pytest.approx(0.9, abs=1e-6), pytest.approx(0.3, abs=1e-6))
    assert overall == pytest.approx(1 - 0.1 * 0.7, abs=1e-6)


def test_fractures_are_taught_only_where_the_level_is_visible() -> None:
    stacks = toy_set(4)
    refs = np.array([[1, k] for k in range(28)])
    targets = taught(stacks, refs, [s.visible for s in stacks.stacks])
    assert targets.shape == (28, 14)
    assert targets[:, 0].tolist() == [1.0] * PER_LEVEL + [0.0] * 24  # study 1: the first level is broken
    assert targets[:, 1:7].sum() == 0
    np.testing.assert_array_equal(targets[:, 7:], stacks.stacks[1].visible)


def test_labels_are_thinned_by_answer_and_turned_round_by_share() -> None:
    stacks = toy_set(12)
    few, many = (labeled_studies(stacks, range(12), share, 0) for share in (0.2, 0.6))
    assert set(few) < set(many)
    assert sum(stacks.targets[list(few), 0]) == 1
    told, turned = with_flips(stacks, many, 0.25, 0)
    assert turned == round(0.25 * 7 * len(many))
    assert (told.targets[:, 1:] != stacks.targets[:, 1:]).sum() == turned
    assert (told.targets[:, 0] == told.targets[:, 1:].max(axis=1)).all()


def test_sagittal_and_coronal_slices_show_the_levels_that_their_mask_shows() -> None:
    stacks = toy_set(6)
    parts = fold_parts(stacks, 3)[0]
    for plane in ("sagittal", "coronal"):
        cut = in_plane(stacks, plane)
        moved = parts_in_plane(parts, cut)
        assert moved.stacks("test") == parts.stacks("test")
        middle = cut.stacks[0].visible[len(cut.stacks[0]) // 2]
        assert middle.all()
        assert np.isnan(cut.stacks[5].visible).all()
        mask = cut.stacks[0].mask
        assert mask is not None
        seen = mask[len(cut.stacks[0]) // 2].max(axis=1)
        assert np.flatnonzero(seen == 1).max() < np.flatnonzero(seen == 7).min()  # the head is up


def test_too_few_segmented_studies_and_impossible_settings_are_refused(tmp_path: Path) -> None:
    stacks = toy_set(6, 0)
    with pytest.raises(ConfigError, match=r"0 studies of the training part .* are segmented, at least 2"):
        run_semi_supervised(RECIPE, setting(stacks, fold_parts(stacks, 3)[0], tmp_path), tmp_path / "run")
    with pytest.raises(ConfigError, match="did you mean 'supervised'"):
        SemiSupervised(method="supervise")
    with pytest.raises(ConfigError, match="this stage needs 'two-heads'"):
        SemiSupervised(fit=FIT)


def test_losses_come_in_three_normalizations_and_gains_are_paired() -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random((30, 8)) < 0.3).astype(np.float32)
    uids = tuple(map(str, range(30)))
    good = StudyAnswers(uids, truth, np.clip(truth * 0.6 + 0.2, 0, 1))
    bad = StudyAnswers(uids, truth, np.full_like(truth, 0.5))
    assert set(log_losses(bad)) == {"global", "column", "row"}
    assert log_losses(good)["row"] == pytest.approx(rsna_log_loss(truth, good.probability, "row"))
    assert log_loss_gain(good, bad).low > 0
    assert level_auc_gain(good, bad).value == pytest.approx(0.5)
    assert fused([good, bad]).probability[0, 0] == pytest.approx((good.probability[0, 0] + 0.5) / 2)
