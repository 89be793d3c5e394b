"""`cspine evaluate vertebrae`: stored phantoms are named, centered and outlined, and compared with the truth."""

import csv

import pytest

from tests.cli.programs import called

pytestmark = pytest.mark.slow


def make(root, masks):
    size = ("--size", "small", "--finest", "2", "--usual", "--fracture", "none")
    said = called("phantom", "make", "-o", root, "--layout", "rsna", "--masks", masks, "--islands", "0", *size)
    assert said.code == 0, said.err


def test_a_stored_phantom_is_scored_against_its_mask_and_centers(tmp_path):
    make(tmp_path / "set", 1)
    scores = tmp_path / "scores.csv"
    said = called("evaluate", "vertebrae", "--data", tmp_path / "set", "--out", scores, "--threads", "2")
    assert said.code == 0, said.err
    assert "PHANTOM figures: set set, 1 cases, bundle" in said.out
    rows = list(csv.DictReader(scores.read_text().splitlines()))
    assert [row["vertebra"] for row in rows] == [f"C{k}" for k in range(1, 8)]
    whole = [row for row in rows if float(row["visible"]) == 1]
    assert whole
    for row in whole:  # a plain neck: named right, and outlined where the mask is
        assert float(row["center_error_mm"]) < 4
        assert float(row["dice"]) > 0.7


def test_a_set_without_masks_is_refused_with_what_to_do(tmp_path):
    make(tmp_path / "set", 0)
    said = called("evaluate", "vertebrae", "--data", tmp_path / "set")
    assert said.code == 3
    assert "no phantom with a mask; make some with cspine phantom make --layout rsna --masks 1" in said.err
