"""`cspine data`: what each command says and leaves, on tiny trees."""

import pandas as pd
import pytest

from tests.cli.programs import called
from tests.datasets.rsna_builders import TinyStudy, write_csv, write_tree


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
    assert "! train.csv: study 1.2.3 has no images" in said.out
    assert len(pd.read_parquet(tree / "cspine-index" / "slices.parquet")) == 24
    assert "24 slices: 0 read, 24 as before" in called("data", "index", tree).out


def test_index_of_nothing_ends_with_the_code_of_refused_input(tmp_path):
    said = called("data", "index", tmp_path)
    assert said.code == 3
    assert "neither train_images nor test_images" in said.err
