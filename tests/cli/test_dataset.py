"""`cspine data`: what each command says and leaves, on tiny trees."""

import pandas as pd
import pytest
from PIL import Image

from tests.cli.programs import called
from tests.datasets.rsna_builders import TARGETS, TinyStudy, write_csv, write_tree


@pytest.fixture
def tree(tmp_path):
    return write_tree(tmp_path / "tree", [TinyStudy(1), TinyStudy(2, ("C2",))])


def test_index_tells_what_was_read_and_what_could_not_be_used(tree):
    head = ["StudyInstanceUID", "patient_overall", *(f"C{k}" for k in range(1, 8))]
    write_csv(tree / "train.csv", head, [["1.2.3", *[0] * 8], [TinyStudy(2).study_uid, 1, 0, "?", 0, 0, 0, 0, 0]])
    said = called("data", "index", tree, "--workers", "1")
    assert said.code == 0
    assert "2 studies (2 usable), 24 slices: 24 read, 0 as before, 0 gone" in said.out
    assert "! train.csv, row 3: C2 is '?', not 0 or 1; taken as unknown" in said.out
    assert "! train.csv, row 2: study 1.2.3 has no images" in said.out
    assert len(pd.read_parquet(tree / "cspine-index" / "slices.parquet")) == 24
    assert "24 slices: 0 read, 24 as before" in called("data", "index", tree).out


def test_index_of_nothing_ends_with_the_code_of_refused_input(tmp_path):
    said = called("data", "index", tmp_path)
    assert said.code == 3
    assert "neither train_images nor test_images" in said.err


def test_filter_prints_the_funnel_and_the_studies_that_stay(tree, tmp_path):
    called("data", "index", tree)
    said = called("data", "filter", tree, "--rule", "overall=1", "--out", tmp_path / "out")
    assert said.code == 0
    assert "overall=1        1        1      12       12" in said.out
    assert f"{TinyStudy(2).study_uid}  patient-2      12" in said.out
    assert "≤ 350 slices a study: 1 studies, 12 slices" in said.out
    assert called("data", "filter", tree, "--preset", "nothing", "--out", tmp_path / "out").code == 2


def test_a_leaky_split_is_marked_in_everything_that_reads_it(tree, tmp_path):
    called("data", "index", tree)
    path = tmp_path / "s.json"
    made = called("data", "split", tree, "--scheme", "80/20", "--by", "image", "--out", path)
    assert made.code == 0
    assert made.out.startswith("!!! LEAKY SPLIT (by image)")
    checked = called("data", "check-leaks", tree, path)
    assert checked.code == 3
    assert checked.out.startswith("!!! LEAKY SPLIT (by image)")
    assert "study-on-both-sides" in checked.out
    half = pd.DataFrame(
        {"row_id": [f"{TinyStudy(k).study_uid}_{t}" for k in (1, 2) for t in TARGETS], "fractured": 0.5}
    )
    half.to_csv(tmp_path / "half.csv", index=False)
    scored = called(
        "evaluate", "--metric", "rsna", "--submission", tmp_path / "half.csv", "--labels", tree / "train.csv",
        "--split", path,
    )  # fmt: skip
    assert scored.out.startswith("!!! LEAKY SPLIT (by image)")
    assert scored.out.count("0.6931") == 11  # three normalizations and eight columns


def test_a_split_of_too_few_studies_is_refused(tree, tmp_path):
    called("data", "index", tree)
    said = called("data", "split", tree, "--out", tmp_path / "s.json")
    assert said.code == 2
    assert "needs at least 10 studies" in said.err


def test_a_submission_answers_the_test_table(tmp_path):
    root = write_tree(tmp_path / "tree", [TinyStudy(1)], [TinyStudy(7)])
    write_csv(tmp_path / "p.csv", ["StudyInstanceUID", *TARGETS], [[TinyStudy(7).study_uid, *[0.5] * 8]])
    said = called("data", "submission", tmp_path / "p.csv", "--root", root, "--out", tmp_path / "s.csv")
    assert said.code == 0
    assert said.out.startswith("8 rows in ")
    assert set(pd.read_csv(tmp_path / "s.csv")["fractured"]) == {0.666667}


def test_a_folder_of_pictures_is_told_by_part_and_label(tmp_path):
    for part, label, name in (("train", "fracture", "p1_01"), ("train", "fracture", "p1_02"), ("val", "normal", "x")):
        folder = tmp_path / "set" / part / label
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("L", (20, 20), 7).save(folder / f"{name}.png")
    said = called("data", "folder", tmp_path / "set", "--out", tmp_path / "pictures.csv")
    assert said.code == 0
    assert "of 1 pictures the name tells no patient" in said.out
    assert list(pd.read_csv(tmp_path / "pictures.csv")["patient"].head(2)) == ["p1", "p1"]
