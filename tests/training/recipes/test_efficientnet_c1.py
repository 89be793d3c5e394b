"""`efficientnet-c1` on toy studies: it learns, keeps patients apart unless told not to, and has the paper's tables."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cspine.domain import ConfigError, NoImages
from cspine.evaluation import roc_auc
from cspine.training.backbones import HeadPlan
from cspine.training.learning import FitConfig, Hardware, LossPlan
from cspine.training.recipes.classifier_run import ClassifierRun
from cspine.training.recipes.efficientnet_c1 import (
    C1Experiment,
    EfficientNetC1,
    EfficientNetC1Table,
    experiment_on,
    labeled_parts,
    run_on_stacks,
    write_efficientnet_c1,
)
from cspine.training.recipes.efficientnet_c1.published import CHANNELS, PUBLISHED, TIMES, VARIANTS
from cspine.training.recipes.efficientnet_c1.run import of_group
from cspine.training.stacks import Stack, StackSet
from tests.training.stacks.toy_stacks import toy_stack

QUICK = Hardware(device="cpu", threads=1)
RECIPE = EfficientNetC1(
    variant="tiny",
    weights="none",
    image_size=32,
    preset="usable",
    valid_share=0.34,
    test_share=0.34,
    head=HeadPlan(0, 0.0),
    fit=FitConfig(epochs=5, batch=16, learning_rate=0.01, optimizer="adamax"),
)


@pytest.fixture(scope="module")
def stacks() -> StackSet:
    """Return studies with a fracture of C1 or of C4; the last six have many slices on disk."""
    made = [toy_stack(n, (0,) if n % 2 else (3,), boxed=n % 4 == 1) for n in range(18)]
    return StackSet(tuple(replace(s, whole_slices=400) if n >= 12 else s for n, s in enumerate(made)))


@pytest.fixture(scope="module")
def run(stacks: StackSet, tmp_path_factory: pytest.TempPathFactory) -> ClassifierRun:
    return run_on_stacks(RECIPE, stacks, tmp_path_factory.mktemp("run"), QUICK, lambda line: None)


@pytest.fixture(scope="module")
def experiment(stacks: StackSet, tmp_path_factory: pytest.TempPathFactory) -> tuple[C1Experiment, Path]:
    out = tmp_path_factory.mktemp("table")
    quick = replace(RECIPE, fit=replace(RECIPE.fit, epochs=1))
    losses = ("bce", "categorical-ce")
    table = EfficientNetC1Table(quick, ("tiny", "basic-cnn"), ("few", "many"), losses, shown_slices=3)
    return experiment_on(table, stacks, out, QUICK, lambda line: None), out


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_a_severe_fracture_of_c1_is_learned(run: ClassifierRun):
    assert roc_auc(run.test.truth[:, 0], run.test.probability[:, 0]) > 0.9
    assert len(set(run.test.studies)) == 4
    assert run.history[-1].train_loss < run.history[0].train_loss


def test_a_finished_run_is_read_and_not_trained_again(run: ClassifierRun, stacks: StackSet):
    said: list[str] = []
    again = run_on_stacks(RECIPE, stacks, run.folder, QUICK, said.append)
    assert said[-1].endswith("finished before")
    assert again.history == run.history
    assert again.test.studies == run.test.studies
    assert np.allclose(again.test.probability, run.test.probability, atol=1e-6)
    with pytest.raises(ConfigError, match=r"config.label: slice → study"):
        run_on_stacks(replace(RECIPE, label="study"), stacks, run.folder, QUICK, said.append)


def test_patients_stand_on_one_side_unless_slices_are_divided_one_by_one(stacks: StackSet):
    honest = labeled_parts(RECIPE, stacks)
    assert honest.mark == ""
    sides = [set(part.refs[:, 0].tolist()) for part in (honest.train, honest.valid, honest.test)]
    assert not sides[0] & sides[1] | sides[0] & sides[2] | sides[1] & sides[2]
    leaky = labeled_parts(replace(RECIPE, by="image"), stacks)
    assert leaky.mark.startswith("LEAKY SPLIT (by image)")
    assert set(leaky.train.refs[:, 0].tolist()) & set(leaky.test.refs[:, 0].tolist())


def test_labels_are_of_the_slice_or_as_in_the_paper_of_the_study(stacks: StackSet):
    few = of_group(stacks, "few")
    by_slice, by_study = (labeled_parts(replace(RECIPE, label=label), few) for label in ("slice", "study"))
    marked = sum(float(np.nansum(stack.levels[:, 0])) for stack in few.stacks)
    assert sum(p.labels.sum() for p in (by_slice.train, by_slice.valid, by_slice.test)) == marked > 0
    assert sum(p.labels.sum() for p in (by_study.train, by_study.valid, by_study.test)) == 6 * 28


def test_slices_of_a_fractured_c1_that_nobody_marked_are_left_out():
    blind = StackSet(tuple(toy_stack(n, (0,) if n % 2 else (3,), segmented=n % 8 != 3) for n in range(16)))
    parts = labeled_parts(RECIPE, blind)
    known = np.concatenate([p.refs for p in (parts.train, parts.valid, parts.test)])
    assert len(known) == 14 * 28
    assert not set(known[:, 0].tolist()) & {3, 11}


def test_a_group_goes_by_the_slices_on_disk_and_an_empty_one_is_refused(stacks: StackSet):
    assert [len(of_group(stacks, g).stacks) for g in ("few", "many", "all")] == [12, 6, 18]
    with pytest.raises(NoImages, match="no study with > 350 slices among 12"):
        of_group(of_group(stacks, "few"), "many")


def test_a_class_absent_from_a_part_is_refused(stacks: StackSet):
    whole = StackSet(tuple(toy_stack(n, (3,)) for n in range(6)))
    with pytest.raises(ConfigError, match="0 positive and 6 negative studies cannot stand in each of 3 folds"):
        labeled_parts(RECIPE, whole)


def test_settings_that_make_no_sense_are_refused():
    for change, words in {
        "variant": "unknown backbone 'x'",
        "group": "unknown group of studies 'x'",
        "by": "unknown way of dividing 'x'",
        "label": "unknown kind of label 'x'",
        "preset": "unknown preset 'x'",
    }.items():
        with pytest.raises(ConfigError, match=words):
            replace(RECIPE, **{change: "x"})
    with pytest.raises(ConfigError, match=r"valid_share 0.5 and test_share 0.5 must be above 0"):
        replace(RECIPE, valid_share=0.5, test_share=0.5)
    with pytest.raises(ConfigError, match="unknown loss of this recipe"):
        EfficientNetC1Table(losses=("focal",))


def test_the_page_has_a_row_per_variant_group_and_loss_beside_the_papers_figures(
    experiment: tuple[C1Experiment, Path],
):
    done, out = experiment
    page = write_efficientnet_c1(done, out, "cspine experiment efficientnet-c1", "toy rings").read_text()
    assert "PHANTOM: all 18 studies are computed, no patient; toy rings" in page
    for group in ("few", "many"):
        for loss in ("bce", "categorical-ce"):
            rows = rows_of(out / f"test_{group}_{loss}.csv")
            assert [row["variant"] for row in rows] == ["tiny", "basic-cnn"]
            test = done.runs[loss, group, "tiny"].test
            right = ((test.probability >= 0.5) == (test.truth >= 0.5)).mean()
            assert float(rows[0]["accuracy"]) == pytest.approx(right)
            assert int(rows[0]["support"]) == int(test.truth.sum())
            assert len(rows_of(out / f"learning_{group}_{loss}.csv")) == 2
    assert page.count("data:image/svg+xml;base64,") == 2 + 4
    assert page.count("data:image/png;base64,") == 1
    assert {row["variant"] for row in rows_of(out / "curves.csv")} == {"tiny", "basic-cnn"}
    shown = rows_of(out / "patient.csv")
    assert len({row["study"] for row in shown}) == 1


def test_the_papers_tables_are_whole():
    assert len(PUBLISHED) == len(TIMES) == 16
    assert all(len(row) == 8 and min(row) > 0 and max(row[4:]) <= 1 for row in PUBLISHED.values())
    assert PUBLISHED["many", "efficientnet-b6"][4:] == (0.9925, 0.9434, 0.9804, 0.9615)
    assert CHANNELS["efficientnet-b3"][-2:] == (384, 1536)


@pytest.mark.slow  # about 25 s: eight large networks are built, and one step of each is taken
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_takes_a_step(variant: str, stacks: StackSet, tmp_path: Path):
    one = FitConfig(epochs=1, batch=8, optimizer="adamax", learning_rate=1e-3, loss=LossPlan("categorical-ce"))
    few = replace(of_group(stacks, "few"), stacks=tuple(_thin(s) for s in stacks.stacks[:6]))
    recipe = replace(RECIPE, variant=variant, fit=one, label="study")
    run = run_on_stacks(recipe, few, tmp_path, QUICK, lambda line: None)
    assert len(run.history) == 1
    assert np.isfinite(run.history[0].train_loss)


def _thin(stack: Stack) -> Stack:
    """Return a study with every seventh slice: eight of them make one step."""
    kept = np.arange(0, 28, 7)
    names = ("pixels", "fractured", "levels", "visible", "weak", "mask", "numbers", "hashes")
    return replace(stack, boxes=stack.boxes[:0], **{name: getattr(stack, name)[kept] for name in names})
