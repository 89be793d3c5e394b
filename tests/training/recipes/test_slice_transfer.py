"""`slice-transfer` end to end on toy images, from the command line: it learns, resumes, refuses, tables and exports."""

import csv
import json
import warnings
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cspine.cli.main import app
from cspine.datasets import AugmentRange
from cspine.domain import ConfigError, NoImages
from cspine.evaluation import confusion
from cspine.models import load_bundle, open_session
from cspine.training.backbones import HeadPlan
from cspine.training.learning import FitConfig, Hardware
from cspine.training.recipes import SYSTEM_NAMES, config_from, export_run, system_named, with_settings
from cspine.training.recipes.slice_transfer import (
    SliceTransfer,
    SliceTransferTable,
    dry_run_slice_transfer,
    list_images,
    run_slice_transfer,
    run_table,
    write_page,
)
from cspine.training.recipes.slice_transfer.images import FolderImages
from cspine.training.recipes.slice_transfer.samples import fold_splits, split_folder

QUICK = Hardware(device="cpu", threads=1)
FIT = FitConfig(epochs=3, batch=8, learning_rate=0.01)
RECIPE = SliceTransfer(
    backbone="tiny",
    weights="none",
    image_size=32,
    patient_pattern=r"(p\d+)_",
    augment=AugmentRange(shift=0.05, rotation_deg=10, shear=0.05, zoom=0.05),
    head=HeadPlan(8, 0.1),
    frozen=replace(FIT, epochs=1),
    finetune=FIT,
    thaw=1.0,
)


def table_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def listed(root: Path) -> FolderImages:
    return list_images(root, RECIPE.patient_pattern)


def draw(path: Path, fractured: bool, seed: int) -> None:
    """Write a gray slice with a bright ring; a fracture is a dark gap in it as wide as the ring."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:40, :40] - 19.5
    ring = np.abs(np.hypot(rows, columns) - 11) < 4
    image = rng.normal(60, 8, (40, 40)) + 150 * ring
    if fractured:
        image[(np.abs(rows) < 16) & (np.abs(columns) < 16)] = 20
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("images")
    for number in range(48):
        fractured = number % 2 == 1
        name = "fracture" if fractured else "normal"
        draw(root / name / f"p{number:02d}_{number:02d}.png", fractured, number)
    return root


@pytest.fixture(scope="module")
def run(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "one"
    run_slice_transfer(RECIPE, listed(images), folder, QUICK, lambda line: None)
    return folder


def test_a_learnable_toy_is_learned(run: Path) -> None:
    rows = [r for r in table_of(run / "predictions.csv") if r["part"] == "test"]
    truth, p = (np.array([float(r[k]) for r in rows]) for k in ("truth", "probability"))
    auc = np.mean([[(a > b) + 0.5 * (a == b) for b in p[truth == 0]] for a in p[truth == 1]])
    assert auc > 0.9
    assert len(rows) >= 8


def test_a_finished_run_is_read_again_and_another_recipe_is_refused(run: Path, images: Path) -> None:
    said: list[str] = []
    again = run_slice_transfer(RECIPE, listed(images), run, QUICK, said.append)
    assert not any(line.startswith("finetune") for line in said)
    assert again.about["seconds"] == json.loads((run / "result.json").read_text())["seconds"]
    assert len(again.history) == RECIPE.frozen.epochs + RECIPE.finetune.epochs
    with pytest.raises(ConfigError, match=r"config.thaw: 1.0 → 0.5"):
        run_slice_transfer(replace(RECIPE, thaw=0.5), listed(images), run, QUICK, said.append)


@pytest.mark.slow  # about 15 s: the ONNX exporter
def test_a_finished_run_exports_to_a_bundle_that_answers_like_it(run: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own dependencies warn about themselves
        bundle = export_run(run, tmp_path / "bundle")
    assert 0 <= bundle.manifest.parity["slice"].max_abs_diff <= bundle.manifest.parity["slice"].tolerance
    session = open_session(load_bundle(tmp_path / "bundle"), "slice", threads=1, precision="f32")
    assert session.run({"image": np.zeros((5, 3, 32, 32), np.float32)})["logits"].shape == (5, 1)
    assert 0 <= bundle.manifest.thresholds["fracture"] <= 1
    with pytest.raises(ConfigError, match="not a finished run"):
        export_run(tmp_path, tmp_path / "other")


def test_the_table_has_a_row_per_pair_the_ensemble_and_tuned_thresholds(images: Path, tmp_path: Path) -> None:
    quick = replace(RECIPE, frozen=replace(FIT, epochs=1), thaw=0.0)
    table = run_table(
        SliceTransferTable(quick, ("tiny",), ("adam", "nadam")), listed(images), tmp_path, QUICK, lambda line: None
    )
    assert [(r.name, r.optimizer) for r in table.rows] == 2 * [("tiny", "adam"), ("tiny", "nadam"), ("ensemble", "all")]
    page = write_page(table, tmp_path, "cspine experiment slice-transfer", "PHANTOM images, toy rings").read_text()
    assert "PHANTOM images, toy rings" in page
    assert "grouped by patient" in page
    written = table_of(tmp_path / "table.csv")
    test = table.runs["tiny", "adam"].test
    counts = confusion(test.truth, test.probability)
    assert [int(written[0][k]) for k in ("tn", "fp", "fn", "tp")] == [counts.tn, counts.fp, counts.fn, counts.tp]
    assert float(written[0]["accuracy"]) == pytest.approx((counts.tn + counts.tp) / len(test.truth))
    assert (tmp_path / "curves.csv").stat().st_size > 100
    assert (tmp_path / "risk_coverage.csv").read_text().startswith("network,coverage,risk")


def test_patients_stay_on_one_side_and_both_classes_stand_in_every_part(images: Path) -> None:
    folder = list_images(images, r"(p\d)\d_")
    with pytest.raises(ConfigError, match="part"):
        split_folder(list_images(images, r"(p)\d"), RECIPE)
    split = split_folder(folder, replace(RECIPE, test_share=0.3))
    patients = [{i.patient for i in part} for part in (split.train, split.valid, split.test)]
    assert not patients[0] & patients[1] | patients[0] & patients[2] | patients[1] & patients[2]


def test_every_image_is_tested_in_one_fold_and_impossible_folds_are_refused(images: Path) -> None:
    folder = list_images(images, r"(p\d+)_")
    tested = [i.path for split in fold_splits(folder, RECIPE, 4) for i in split.test]
    assert sorted(tested) == [i.path for i in folder.images]
    with pytest.raises(ConfigError, match="use from 3 to 48 folds"):
        fold_splits(folder, RECIPE, 49)
    with pytest.raises(ConfigError, match="has no"):
        fold_splits(folder, RECIPE, 48)


def test_the_same_file_in_two_parts_is_refused_or_reported(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for number in range(8):
            seed = number if part == "train" or number == 0 else 100 + number
            draw(tmp_path / part / ("fracture" if number % 2 else "normal") / f"{number}.png", bool(number % 2), seed)
    folder = list_images(tmp_path)
    with pytest.raises(ConfigError, match=r"leaks: 1 cases, such as train/normal/0.png and test/normal/0.png \(file\)"):
        split_folder(folder, RECIPE)
    split = split_folder(folder, replace(RECIPE, leaks="report"))
    assert len(split.leaks) == 1
    assert "by image" in split.kind


def test_folders_that_cannot_be_learned_from_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NoImages, match="no picture in a folder"):
        list_images(tmp_path)
    draw(tmp_path / "train" / "fracture" / "a.png", True, 0)
    with pytest.raises(NoImages, match="1 of 1 images are positive; both classes are needed"):
        list_images(tmp_path)
    draw(tmp_path / "train" / "normal" / "b.png", False, 1)
    with pytest.raises(ConfigError, match=r"does not match a\.png"):
        list_images(tmp_path, r"(p\d+)_")


def test_a_setting_replaces_one_field_and_a_wrong_one_is_answered_with_the_nearest() -> None:
    changed = with_settings(RECIPE, ["finetune.epochs=7", "backbone=vgg16", "augment.fill=reflect"])
    assert (changed.finetune.epochs, changed.backbone, changed.augment.fill) == (7, "vgg16", "reflect")
    assert with_settings(SliceTransferTable(), ["backbones=vgg16,tiny"]).backbones == ("vgg16", "tiny")
    for setting, words in {
        "finetune.epoch=7": "unknown setting 'finetune.epoch', did you mean 'epochs'",
        "bakbone=vgg16": "did you mean 'backbone'",
        "finetune.epochs=many": "takes int, got 'many'",
        "finetune=3": "has parts: set one of",
        "thaw": "expected key=value",
        "thaw=3": "thaw 3.0 from 0 to 1",
    }.items():
        with pytest.raises(ConfigError, match=words):
            with_settings(RECIPE, [setting])


@pytest.mark.parametrize("name", SYSTEM_NAMES)
def test_a_config_comes_back_from_its_document_also_from_before_a_field_was_added(name: str) -> None:
    for config in (system_named(name).recipe(), system_named(name).table()):
        document = json.loads(json.dumps(asdict(config)))
        assert config_from(type(config), document) == config
        recipe = document.get("base", document)
        recipe.pop("seed")
        for field in ("fit", "frozen", "vertebra"):
            if recipe.get(field, {}).get("mixup") == 0:  # a recipe that mixes has always said so
                del recipe[field]["mixup"]
        assert config_from(type(config), document) == config


def test_a_document_of_another_version_is_refused_by_its_field() -> None:
    document = asdict(RECIPE) | {"bakbone": "tiny"}
    with pytest.raises(ConfigError, match="SliceTransfer has no field 'bakbone', did you mean 'backbone'"):
        config_from(SliceTransfer, document)


def test_a_dry_run_says_what_each_stage_costs(images: Path) -> None:
    lines = dry_run_slice_transfer(RECIPE, listed(images), QUICK)
    text = "\n".join(lines)
    assert "frozen: head learns" in text
    assert text.count("GFLOP per step") == 2
    assert "99,196" not in text.split("frozen")[0]


def test_the_command_says_what_is_wrong_and_nothing_is_trained(images: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    call = ["train", "slice-transfer", "--data", str(images), "--out", str(tmp_path / "run")]
    for extra, words in {
        "--set=optimiser=adam": "unknown setting 'optimiser'",
        "--set=weights=none --set=backbone=densenet12": "did you mean 'densenet121'",
        "--precision=fp8": "unknown precision 'fp8'",
    }.items():
        done = runner.invoke(app, [*call, *extra.split()])
        assert done.exit_code == 2
        assert words in done.stderr
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "old").touch()
    assert "add --resume" in runner.invoke(app, call).stderr
    assert "slice-transfer" in runner.invoke(app, ["train", "slice-tranfer"]).stderr
