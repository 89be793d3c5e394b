"""`cspine data explore`, `video`, `audit`, `prepare`, `images` and `augment`, run as a user runs them."""

import warnings
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from cspine.datasets import Split, write_split
from cspine.domain import Vertebra
from tests.cli.programs import called, files_below
from tests.datasets.coded_trees import StudySpec, neck, write_tree

C = Vertebra
COUNT = neck()[0].grid.shape[0]
SPECS = (
    StudySpec("2.25.1", (C.C2,), (C.C2, C.C4), mask=True),
    StudySpec("2.25.2"),
    StudySpec("2.25.3", (C.C5,), mask=True),
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("rsna") / "tree", SPECS)


def test_explore_writes_a_page_and_says_where(tree: Path, tmp_path: Path):
    said = called("data", "explore", tree, "--out", tmp_path / "out", "--contrast-slices", 2, "--workers", 2)
    assert said.code == 0, said.err
    assert said.out == f"3 studies, 25 figures: {tmp_path / 'out' / 'explore.html'}\n"
    assert "tree: exploration" in (tmp_path / "out" / "explore.html").read_text()


def test_audit_counts_kinds_and_says_where(tree: Path, tmp_path: Path):
    said = called("data", "audit", tree, "-o", tmp_path / "out")
    assert said.code == 0, said.err
    page = tmp_path / "out" / "audit.html"
    assert said.out == f"     1  box without a fractured level\n1 suspicions in 1 of 3 studies: {page}\n"
    assert "2.25.1,box without a fractured level,C4" in (tmp_path / "out" / "audit.csv").read_text()


def test_video_finds_mask_and_boxes_beside_the_study(tree: Path, tmp_path: Path):
    study = tree / "train_images" / "2.25.1"
    options = ["--planes", "axial", "--format", "gif", "--size", 64, "--every", 20]
    said = called("data", "video", study, "-o", tmp_path, *options)
    assert said.code == 0, said.err
    assert files_below(tmp_path) == ["2.25.1-axial-mask-boxes.gif", "2.25.1-axial-plain.gif"]
    assert said.out.splitlines() == [str(tmp_path / f"2.25.1-axial-{kind}.gif") for kind in ("plain", "mask-boxes")]


def test_prepare_says_what_it_takes_before_it_starts(tree: Path, tmp_path: Path):
    said = called("data", "prepare", tree, "-o", tmp_path / "out", "--parts", "crops", "--dry-run")
    assert said.code == 0, said.err
    assert said.out.startswith("3 studies to prepare (0 are there): at most 0.0")
    assert not (tmp_path / "out").exists()
    said = called("data", "prepare", tree, "-o", tmp_path / "out", "--parts", "crops")
    assert said.code == 0, said.err
    assert "3 studies prepared, 0 were there, 0.01 GB" in said.out
    again = called("data", "prepare", tree, "-o", tmp_path / "out", "--parts", "crops")
    assert again.out.startswith("0 studies to prepare (3 are there)")
    assert "0 studies prepared, 3 were there" in again.out


def test_prepare_leaves_nothing_on_a_disk_that_is_too_small(tree: Path, small_disk: Callable[[int], Path]):
    disk = small_disk(1 << 20)
    said = called("data", "prepare", tree, "-o", disk / "out", "--parts", "crops")
    assert said.code == 7
    needed = "3 studies to prepare (0 are there): at most 0.01 GB, 0.00 GB are free, of which 0.20 GB stay so"
    assert said.out == f"{needed}\n"
    assert f"{needed}; free space, choose fewer parts, or use another disk" in said.err
    assert files_below(disk) == []


def test_images_are_counted_by_part_and_label(tree: Path, tmp_path: Path):
    out = tmp_path / "out"
    said = called("data", "images", tree, "-o", out, "--every", 4, "--enhance", "clahe", "--filter", "median")
    assert said.code == 0, said.err
    images = [name for name in files_below(out) if name.endswith(".jpg")]
    assert len(images) == 3 * -(-COUNT // 4)
    assert f"{len(images)} images below {out}" in said.out
    assert "(1 by a weak label)" in said.out


def test_images_follow_a_split(tree: Path, tmp_path: Path):
    parts = {"train": ("2.25.1",), "validation": ("2.25.3",), "test": ()}
    write_split(Split("80/10/10", "study", 0, parts, {}), tmp_path / "split.json")
    out = tmp_path / "out"
    said = called("data", "images", tree, "-o", out, "--split", tmp_path / "split.json", "--every", 30)
    assert said.code == 0, said.err
    table = pd.read_csv(out / "labels.csv", dtype={"StudyInstanceUID": str})
    assert set(zip(table["part"], table["StudyInstanceUID"], strict=True)) == {
        ("train", "2.25.1"),
        ("validation", "2.25.3"),
    }


def test_images_refuse_a_split_by_image(tree: Path, tmp_path: Path):
    called("data", "index", tree, "--index", tmp_path / "index")
    called("data", "split", tmp_path / "index", "-o", tmp_path / "leaky.json", "--scheme", "90/10", "--by", "image")
    options = ["--index", tmp_path / "index", "--split", tmp_path / "leaky.json"]
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        said = called("data", "images", tree, "-o", tmp_path / "out", *options)
    assert said.code == 2
    assert "a split by image, which leaks" in said.err


def test_augment_shows_each_folder(tree: Path, tmp_path: Path):
    called("data", "images", tree, "-o", tmp_path / "images", "--every", 12, "--size", 64)
    said = called("data", "augment", tmp_path / "images", "-o", tmp_path / "out", "--fill", "reflect")
    assert said.code == 0, said.err
    assert said.out == f"{tmp_path / 'out' / 'augmentation.html'}\n"
    assert "fill “reflect”" in (tmp_path / "out" / "augmentation.html").read_text()


def test_augment_shows_what_a_recipe_does_to_its_slices(tree: Path, tmp_path: Path):
    called("data", "images", tree, "-o", tmp_path / "images", "--every", 12, "--size", 64)
    said = called("data", "augment", tmp_path / "images", "-o", tmp_path / "out", "--recipe", "semi-supervised")
    assert said.code == 0, said.err
    page = (tmp_path / "out" / "augmentation.html").read_text()
    assert "Rotation up to 20°, shear up to 0%, zoom up to 20%, shift up to 10%, crop up to 10%" in page


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["explore", "nowhere"], 3, "nowhere"),
        (["explore", "TREE", "--slice-groups", "many"], 2, "--slice-groups 'many': must be whole numbers"),
        (["explore", "TREE", "--slice-groups", "60,40"], 2, "slice_limits are (60, 40), must be one to six rising"),
        (["audit", "nowhere"], 3, "nowhere"),
        (["video", "nowhere"], 3, "nowhere: no such folder"),
        (["video", "TREE", "--planes", "oblique"], 2, "unknown plane oblique; known are axial, coronal, sagittal"),
        (["video", "TREE", "--window", "sky"], 2, "unknown window 'sky'; known are bone, soft, brain, lung"),
        (["prepare", "TREE", "--parts", "films"], 2, "unknown part films"),
        (["prepare", "TREE", "--vertebrae", "stars"], 2, "unknown source of vertebrae 'stars'"),
        (["images", "TREE", "--layout", "heap"], 2, "unknown layout 'heap'; known are folders, studies"),
        (["images", "TREE", "--enhance", "magic"], 2, "unknown enhancement 'magic'"),
        (["augment", "TREE", "--recipe", "efficientnet-c1"], 2, "it trains on slices as they are"),
        (["augment", "TREE", "--recipe", "winner-2022", "--shear", "0.1"], 2, "has changes of its own"),
        (["augment", "nowhere"], 3, "nowhere: no JPEG or PNG below it"),
        (["augment", "TREE", "--shear", "7"], 2, "shear is 7, must be 0 … 1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_refused_by_name(tree: Path, tmp_path: Path, arguments, code: int, message: str):
    given = [str(tree) if word == "TREE" else word for word in arguments]
    said = called("data", *given, "-o", tmp_path / "out", cwd=tmp_path)
    assert said.code == code
    assert message in said.err
    assert not (tmp_path / "out").exists()
