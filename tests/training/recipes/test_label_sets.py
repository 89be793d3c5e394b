"""Other levels in every recipe on studies: a toy lumbar set and a JSON file, through the commands."""

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from cspine.cli.main import app
from tests.datasets.rsna_builders import LEVELS, TinyBox, TinyStudy, write_csv, write_tree

TARGETS = ("any", "L1", "L2", "L3")
VALUES = (20, 21, 22)
SMALL = {"valid_share": "0.34", "test_share": "0.34"}
TINY = {"image_size": "32", "stored_size": "32", "fit.epochs": "1"}
SEMI = {"visibility.epochs": "1", "fit.epochs": "1", "method": "supervised"}
WINNER = {
    "vertebrae": "mask",
    "crops.size": "32",
    "crops.slices": "3",
    "crops.pixel_mm": "4",
    "sequence.hidden": "8",
    "vertebra.epochs": "1",
    "study.epochs": "1",
    "study.loss.name": "weighted-bce",
}
RECIPES = {
    "efficientnet-c1": {"variant": "tiny", "preset": "usable", "level": "L2", "group": "all", **TINY},
    "vertebra-slices": {"backbone": "tiny", **TINY},
    "study-multilabel": {"network": "tiny", "slices": "4", **TINY},
    "semi-supervised": {"backbone": "tiny", "stacks.size": "32", **SEMI},
    "winner-2022": {"backbone": "tiny", **WINNER},
}
LABELS_OF = {
    "efficientnet-c1": ("L2",),
    "vertebra-slices": TARGETS[1:],
    "study-multilabel": TARGETS,
    "semi-supervised": TARGETS,
    "winner-2022": TARGETS,
}
TABLES = {
    "efficientnet-c1": {"variants": "tiny", "groups": "all", "losses": "bce", "shown_slices": "2"},
    "vertebra-slices": {"tasks": "forest,levels,fracture", "shown_slices": "2", "base.forest.trees": "5"},
    "study-multilabel": {
        "networks": "tiny",
        "folds": "0",
        "shown_studies": "2",
        "unet.fit.steps": "2",
        "unet.fit.warmup": "1",
        "unet.patch": "16,16,16",
        "unet.channels": "4,4,8,8",
        "unet.spacing_mm": "4",
    },
    "winner-2022": {"variants": "as published", "folds": "0", "shown_patients": "1"},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return twelve studies of L1 to L3, odd ones with a fractured and boxed L2; masks hold other values, too."""
    studies = []
    for n in range(1, 13):
        plain = TinyStudy(n, ("C2",) if n % 2 else (), mask=True)
        box = TinyBox(12, 12, 7, 6, plain.slice_number(3))
        studies.append(TinyStudy(n, plain.fractured, mask=True, boxes=(box,) if n % 2 else ()))
    root = write_tree(tmp_path_factory.mktemp("set"), studies)
    rows = ([s.study_uid, *(s.labels[name] for name in ("patient_overall", *LEVELS[:3]))] for s in studies)
    write_csv(root / "train.csv", ("StudyInstanceUID", *TARGETS), rows)
    table = np.arange(256, dtype=np.uint8)
    table[1:4] = VALUES
    for path in sorted((root / "segmentations").iterdir()):
        image = nib.load(path)
        values = table[np.asarray(image.dataobj).astype(np.uint8)]
        nib.save(nib.Nifti1Image(values, image.affine), path)
    levels = dict(zip(TARGETS[1:], VALUES, strict=True))
    (root / "lumbar.json").write_text(json.dumps({"name": "lumbar", "overall": "any", "levels": levels}))
    return root


def invoked(verb: str, name: str, root: Path, out: Path, settings: dict[str, str]) -> Result:
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    call = [verb, name, "--data", str(root), "--out", str(out), "--weights", "none", "--device", "cpu"]
    return CliRunner().invoke(app, [*call, "--threads", "1", *words])


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_learns_the_levels_of_a_label_set(name: str, root: Path, tmp_path: Path):
    settings = RECIPES[name] | SMALL | {"labels": str(root / "lumbar.json")}
    done = invoked("train", name, root, tmp_path / "run", settings)
    assert done.exit_code == 0, done.output
    (answers,) = (tmp_path / "run").rglob("predictions.csv")
    rows = list(csv.DictReader(answers.read_text().splitlines()))
    asked = [column.removeprefix("truth_") for column in rows[0] if column.startswith("truth_")]
    assert tuple(asked) == LABELS_OF[name]
    if "L2" in asked and name != "vertebra-slices":
        assert {row["truth_L2"] for row in rows} == {"0", "1"}
    assert all(0 <= float(row[f"probability_{label}"]) <= 1 for row in rows for label in asked)


@pytest.mark.parametrize("name", TABLES)
def test_a_page_speaks_of_the_levels_of_a_label_set(name: str, root: Path, tmp_path: Path):
    base = RECIPES[name] | SMALL | {"labels": str(root / "lumbar.json")}
    settings = TABLES[name] | {f"base.{key}": value for key, value in base.items()}
    done = invoked("experiment", name, root, tmp_path, settings)
    assert done.exit_code == 0, done.output
    page = (tmp_path / "index.html").read_text()
    assert "L2" in page
    tables = "\n".join(path.read_text() for path in tmp_path.glob("*.csv"))
    assert "C5" not in tables
    if name != "efficientnet-c1":
        assert all(level in tables for level in TARGETS[1:])


def test_a_level_that_the_set_lacks_and_a_bundle_for_other_levels_are_refused(root: Path, tmp_path: Path):
    labels = {"labels": str(root / "lumbar.json")}
    asked = invoked("train", "efficientnet-c1", root, tmp_path / "a", RECIPES["efficientnet-c1"] | {"level": "L2"})
    assert "unknown level of label set 'cervical' 'L2'" in asked.stderr
    found = invoked("train", "winner-2022", root, tmp_path / "b", labels)
    assert "a bundle finds C1 … C7 alone; use vertebrae=mask" in found.stderr
    phantoms = invoked("train", "study-multilabel", Path("phantom:4"), tmp_path / "c", labels)
    assert "phantoms have the levels C1 … C7, not those of 'lumbar'" in phantoms.stderr
