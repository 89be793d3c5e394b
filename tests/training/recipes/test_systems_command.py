"""`cspine train` and `cspine experiment` of the systems on a tiny set in the layout of RSNA 2022."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cspine.cli.main import app
from cspine.cli.recipes import NAMES
from cspine.datasets import Split, write_split
from cspine.domain import ConfigError
from cspine.training.recipes import SYSTEM_NAMES, system_named, with_settings, with_weights
from tests.datasets.coded_fractures import coded_with_fractures
from tests.datasets.rsna_builders import TinyBox, TinyStudy, write_tree

FIT = {"slice-transfer": "frozen", "winner-2022": "vertebra"}
SMALL = ("--weights", "none", "--set", "stored_size=32", "--set", "valid_share=0.34", "--set", "test_share=0.34")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return nine studies: odd ones have a fractured C1, boxed."""
    studies = []
    for n in range(1, 10):
        plain = TinyStudy(n, ("C1",) if n % 2 else (), mask=True)
        box = TinyBox(12, 12, 7, 6, plain.slice_number(0))
        studies.append(TinyStudy(n, plain.fractured, mask=True, boxes=(box,) if n % 2 else ()))
    return write_tree(tmp_path_factory.mktemp("set"), studies)


def test_every_system_has_its_two_commands():
    assert set(NAMES) == set(SYSTEM_NAMES)
    for group in ("train", "experiment"):
        shown = CliRunner().invoke(app, [group, "--help"]).stdout
        assert all(name in shown for name in NAMES)


def test_a_run_reads_the_set_trains_and_says_how_it_does(root: Path, tmp_path: Path):
    call = ["train", "vertebra-slices", "--data", str(root), "--out", str(tmp_path / "run"), *SMALL]
    done = CliRunner().invoke(app, [*call, "--set", "task=forest", "--set", "forest.trees=5"])
    assert done.exit_code == 0, done.output
    assert "9 studies, 108 slices, 9 segmented" in done.stdout
    assert "test: accuracy 0." in done.stdout
    assert (tmp_path / "run" / "predictions.csv").read_text().startswith("part,study,slice,truth_C1,")
    assert "is not empty; add --resume" in CliRunner().invoke(app, call).stderr


def test_of_several_processes_the_first_one_speaks(root: Path, tmp_path: Path):
    call = ["train", "vertebra-slices", "--data", str(root), "--out", str(tmp_path / "run"), *SMALL]
    forest = [*call, "--set", "task=forest", "--set", "forest.trees=5"]
    done = CliRunner().invoke(app, forest, env={"RANK": "1"})
    assert (done.exit_code, done.stdout) == (0, "")
    assert "test: accuracy 0." in CliRunner().invoke(app, [*forest, "--resume"], env={"RANK": "0"}).stdout


def test_a_run_goes_by_a_split_file_and_by_a_leaky_one_only_on_purpose(root: Path, tmp_path: Path):
    forest = ["train", "vertebra-slices", "--data", str(root), *SMALL, "--set", "task=forest"]
    uids = [path.name for path in sorted((root / "train_images").iterdir())]
    parts = {"train": tuple(uids[:3]), "validation": tuple(uids[3:6]), "test": tuple(uids[6:])}
    files = [path for uid in uids for path in sorted((root / "train_images" / uid).iterdir())]
    keys = [path.relative_to(root).as_posix() for path in files]
    images = {"train": tuple(keys[::2]), "validation": tuple(keys[1::4]), "test": tuple(keys[3::4])}
    write_split(Split("80/10/10", "study", 0, parts, {}), tmp_path / "honest.json")
    write_split(Split("80/10/10", "image", 0, images, {}), tmp_path / "leaky.json")

    def trained(split: str, *more: str) -> Result:
        run = tmp_path / split
        return CliRunner().invoke(app, [*forest, "--out", str(run), "--split", f"{run}.json", *more])

    done = trained("honest")
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader((tmp_path / "honest" / "predictions.csv").read_text().splitlines()))
    assert {row["study"] for row in rows if row["part"] == "test"} == set(parts["test"])
    refused = trained("leaky")
    assert refused.exit_code == 2
    assert "LEAKY SPLIT" in refused.stderr
    allowed = trained("leaky", "--allow-leaks")
    assert allowed.exit_code == 0, allowed.output
    assert "!!! LEAKY SPLIT" in allowed.stdout
    assert json.loads((tmp_path / "leaky" / "result.json").read_text())["mark"].startswith("LEAKY SPLIT")
    both = trained("honest", "--resume", "--folds", "3")
    assert "both divide the studies; leave one out" in both.stderr


def test_an_experiment_writes_its_page_and_a_leaky_division_is_marked(root: Path, tmp_path: Path):
    settings = {
        "variants": "tiny",
        "groups": "few",
        "losses": "bce",
        "base.preset": "usable",
        "base.image_size": "32",
        "base.stored_size": "32",
        "base.by": "image",
        "base.valid_share": "0.3",
        "base.test_share": "0.3",
        "base.fit.epochs": "1",
    }
    call = ["experiment", "efficientnet-c1", "--data", str(root), "--out", str(tmp_path), "--weights", "none"]
    done = CliRunner().invoke(app, [*call, *options(settings), "--origin", "tiny coded boxes"])
    assert done.exit_code == 0, done.output
    page = (tmp_path / "index.html").read_text()
    assert '<p class="alarm">LEAKY SPLIT (by image)' in page
    assert "9 studies; tiny coded boxes" in page


# What makes a run of each system on sixteen phantoms small.
SHORT = {"valid_share": "0.3", "test_share": "0.3"}
ON_PHANTOMS = {
    "efficientnet-c1": {"variant": "tiny", "preset": "usable", "group": "all", "level": "C6", "label": "study"},
    "vertebra-slices": {"backbone": "tiny", "task": "forest", "forest.trees": "5"},
    "study-multilabel": {"network": "tiny", "slices": "4"},
    "semi-supervised": {"backbone": "tiny", "method": "supervised", "stacks.size": "32", "visibility.epochs": "1"},
    "winner-2022": {"backbone": "tiny", "vertebrae": "mask", "crops.size": "32", "crops.slices": "3"},
}
OF_SLICES = {"image_size": "32", "stored_size": "32", "fit.epochs": "1"}
WITH = {
    "semi-supervised": {"fit.epochs": "1"},
    "winner-2022": {"crops.pixel_mm": "4", "vertebra.epochs": "1", "study.epochs": "1", "sequence.hidden": "8"},
}


@pytest.mark.parametrize("name", ON_PHANTOMS)
def test_phantoms_made_on_the_fly_are_trained_on_and_never_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("cspine.training.stacks.phantoms.make_case", coded_with_fractures)
    monkeypatch.chdir(tmp_path)
    settings = ON_PHANTOMS[name] | SHORT | WITH.get(name, OF_SLICES)
    call = ["train", name, "--data", "phantom:16:5", "--weights", "none", "--device", "cpu", "--threads", "1"]
    done = CliRunner().invoke(app, [*call, "--out", "run", *options(settings)])
    assert done.exit_code == 0, done.output
    assert "phantom 16 of 16: phantom-5-00015" in done.stdout
    (result,) = (tmp_path / "run").rglob("result.json")
    assert json.loads(result.read_text())["origin"].startswith("PHANTOM: all ")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert {path.name for path in (tmp_path / "run").rglob("*.npy")} <= {"features.npy"}  # of a network, no images


def test_the_segmentation_of_a_table_learns_from_phantoms_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("cspine.training.stacks.phantoms.make_case", coded_with_fractures)
    unet = {"fit.steps": "2", "fit.warmup": "1", "patch": "16,16,16", "channels": "4,4,8,8", "spacing_mm": "6"}
    base = ON_PHANTOMS["study-multilabel"] | SHORT | OF_SLICES
    settings = {f"base.{key}": value for key, value in base.items() if key != "network"}
    settings |= {f"unet.{key}": value for key, value in unet.items()} | {"networks": "tiny", "folds": "0"}
    call = ["experiment", "study-multilabel", "--data", "phantom:16:5", "--weights", "none", "--threads", "1"]
    done = CliRunner().invoke(app, [*call, "--out", str(tmp_path), *options(settings)])
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader((tmp_path / "unet_dice.csv").read_text().splitlines()))
    assert [row["study"] for row in rows[:-1]] == [f"phantom-5-{k:05d}" for k in (0, 5, 10, 15)]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("study-multilabel", "phantom:few", "write phantom:STUDIES or phantom:STUDIES:SEED, such as phantom:40:7"),
        ("winner-2022", "phantom:8:x", "write phantom:STUDIES or phantom:STUDIES:SEED, such as phantom:40:7"),
        ("efficientnet-c1", "phantom:8", "these phantoms have no files; use preset=usable"),
    ],
)
def test_phantoms_that_cannot_be_made_on_the_fly_are_refused(name: str, data: str, message: str, tmp_path: Path):
    done = CliRunner().invoke(app, ["train", name, "--data", data, "--out", str(tmp_path / "run")])
    assert done.exit_code == 2
    assert message in done.stderr


def test_wrong_words_are_answered_before_anything_is_read(tmp_path: Path):
    for name in NAMES:
        call = ["train", name, "--data", str(tmp_path / "none"), "--out", str(tmp_path / "run")]
        done = CliRunner().invoke(app, [*call, "--set", f"{FIT.get(name, 'fit')}.epoch=3"])
        assert done.exit_code == 2
        assert "did you mean 'epochs'" in done.stderr


def test_a_beginning_is_for_every_network_and_a_file_for_the_classifier_alone():
    recipe = system_named("vertebra-slices").recipe()
    assert with_weights(recipe, "none").detector.weights == "none"
    assert with_weights(recipe, "a.npz").detector.weights == "imagenet"
    assert with_weights(system_named("study-multilabel").table(), "a.npz").base.weights == "a.npz"
    assert with_weights(recipe, None) == recipe
    with pytest.raises(ConfigError, match="unknown task"):
        with_settings(recipe, ["task=nothing"])


# What makes a dry run of each system small; slice-transfer is measured in its own tests.
DRY = {
    "efficientnet-c1": {"variant": "tiny", "preset": "usable", "image_size": "32", "stored_size": "32"},
    "vertebra-slices": {"backbone": "tiny", "image_size": "32", "stored_size": "32"},
    "study-multilabel": {"image_size": "32", "stored_size": "32", "slices": "4"},
    "semi-supervised": {"backbone": "tiny", "stacks.size": "32"},
    "winner-2022": {"backbone": "tiny", "vertebrae": "mask", "crops.size": "32", "crops.pixel_mm": "4"},
}


def options(settings: dict[str, str]) -> list[str]:
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


@pytest.mark.parametrize("name", DRY)
def test_a_dry_run_says_what_a_run_would_cost_and_writes_nothing(name: str, root: Path, tmp_path: Path):
    settings = DRY[name] | {"valid_share": "0.34", "test_share": "0.34"}
    call = ["train", name, "--data", str(root), "--out", str(tmp_path / "run"), "--dry-run", *options(settings)]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    for words in (
        "held out (34% validation, 34% test)",
        "parameters ",
        "GFLOP per step",
        "MiB for weights",
        "one step",
    ):
        assert words in done.stdout
    assert not (tmp_path / "run").exists()


def test_a_cache_is_refused_where_nothing_is_cached(root: Path, tmp_path: Path):
    call = ["train", "slice-transfer", "--data", str(root), "--out", str(tmp_path), "--cache", str(tmp_path / "kept")]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 2
    assert "slice-transfer reads images from the folder each time; leave --cache out" in done.stderr
