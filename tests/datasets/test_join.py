"""Sets become one: whole studies, the later one's where both have it, and nothing when the disk is full."""

import csv
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cspine.datasets import join_sets
from cspine.domain import ConfigError, Rejected, Vertebra
from tests.cli.programs import files_below
from tests.datasets.coded_trees import StudySpec, write_tree


@pytest.fixture
def roots(tmp_path: Path) -> list[Path]:
    """Return two sets that share a study, intact in the first and fractured in the second."""
    first = write_tree(tmp_path / "one", [StudySpec("2.25.1", mask=True), StudySpec("2.25.2")])
    second = write_tree(tmp_path / "two", [StudySpec("2.25.2", (Vertebra.C2,), (Vertebra.C2,), mask=True)])
    return [first, second]


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_of_a_study_in_two_sets_the_later_counts_with_all_that_belongs_to_it(roots: list[Path], tmp_path: Path):
    out = tmp_path / "both"
    assert join_sets(roots, out) == 2
    assert {row["StudyInstanceUID"]: row["patient_overall"] for row in rows(out / "train.csv")} == {
        "2.25.1": "0",
        "2.25.2": "1",
    }
    assert {row["StudyInstanceUID"] for row in rows(out / "train_bounding_boxes.csv")} == {"2.25.2"}
    for uid, root in (("2.25.1", roots[0]), ("2.25.2", roots[1])):
        folder = Path("train_images", uid)
        assert files_below(out / folder) == files_below(root / folder)
        name = files_below(root / folder)[0]
        assert os.path.samefile(out / folder / name, root / folder / name)
    assert len(list((out / "segmentations").iterdir())) == 2


def test_a_full_disk_is_named_and_left_as_it_was(roots: list[Path], small_disk: Callable[[int], Path]):
    disk = small_disk(64 << 10)
    with pytest.raises(Rejected, match="both: no space left on the disk; nothing was written"):
        join_sets(roots, disk / "both")
    assert list(disk.iterdir()) == []


def test_tables_of_other_columns_are_refused_before_anything_is_linked(roots: list[Path], tmp_path: Path):
    path = roots[1] / "train.csv"
    path.write_text(path.read_text().replace("C7", "C8"))
    with pytest.raises(ConfigError, match=r"train\.csv: one set has the columns"):
        join_sets(roots, tmp_path / "both")
    assert not (tmp_path / "both").exists()
