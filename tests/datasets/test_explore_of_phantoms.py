"""The page of a folder of phantoms says what the generator wrote down of each; the same comparison runs on 300."""

import csv
from pathlib import Path

import pytest

from cspine.datasets import (
    ExplorePlan,
    Layout,
    PanelPlan,
    PhantomPlan,
    RsnaOptions,
    Size,
    Subject,
    explore_set,
    index_rsna,
    labels_of,
    studies_of,
    write_phantoms,
)
from tests.datasets.coded_fractures import coded_with_fractures
from tools.toolkit_truth import Line, compare

OPTIONS = RsnaOptions(segmented_share=0.4, boxed_share=0.7, test_share=0.1, islands=3, mixed_share=0.2)
STUDIES, TESTED, MASKED = 24, 2, 8


def quiet(stage: str, share: float) -> None:
    """Report nothing."""


def explored(root: Path, plan: ExplorePlan) -> Path:
    index = index_rsna(root).index
    out = root.parent / "exploration"
    explore_set(Subject("set", labels_of(index), studies_of(index)), out, plan, 1, quiet)
    return out


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("phantoms") / "set"
    plan = PhantomPlan(STUDIES, seed=4, layout=Layout.RSNA, size=Size.SMALL, rsna=OPTIONS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cspine.datasets.phantom_studies.make_case", coded_with_fractures)
        write_phantoms(plan, root, quiet)
    return root


@pytest.fixture(scope="module")
def exploration(root: Path) -> Path:
    return explored(root, ExplorePlan(panels=PanelPlan(side_views=3, visibility=8)))


@pytest.fixture(scope="module")
def lines(root: Path, exploration: Path) -> dict[str, Line]:
    return {line.figure: line for line in compare(root, exploration)}


def test_every_figure_with_numbers_says_what_is_true(lines: dict[str, Line], exploration: Path):
    assert {line.figure: line.wrong for line in lines.values() if line.wrong} == {}
    assert all(line.compared > 0 for line in lines.values())
    named = {name for figure in lines for name in figure.split(", ")}
    assert named == {path.stem for path in (exploration / "figures").glob("*.csv")}


def test_the_comparison_covers_what_was_written(lines: dict[str, Line]):
    assert f" of {STUDIES - TESTED} studies" in lines["share_by_level"].said
    assert f"of {MASKED} masks" in lines["slices_per_vertebra, heights"].said
    assert lines["slices_per_study"].compared == STUDIES - TESTED
    assert lines["box_places"].compared >= 20


@pytest.mark.parametrize(
    ("figure", "column", "named"),
    [
        ("share_by_level", "high", "share_by_level"),
        ("correlation", "C5", "correlation"),
        ("slices_per_study", "slices", "slices_per_study"),
        ("overlaps", "overlap_mm", "overlaps"),
        ("heights", "height_mm", "slices_per_vertebra, heights"),
        ("box_places", "x", "box_places"),
        ("levels_per_slice", "slices", "levels_per_slice"),
        ("random_slices", "slice_number", "random_slices"),
    ],
)
def test_a_wrong_number_in_a_table_is_noticed(
    root: Path, exploration: Path, tmp_path: Path, figure: str, column: str, named: str
):
    (tmp_path / "figures").mkdir()
    for path in (exploration / "figures").glob("*.csv"):
        (tmp_path / "figures" / path.name).write_bytes(path.read_bytes())
    path = tmp_path / "figures" / f"{figure}.csv"
    rows = list(csv.DictReader(path.read_text().splitlines()))
    spoiled = next(row for row in rows if row[column])
    spoiled[column] = str(float(spoiled[column]) + 100).removesuffix(".0")
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    assert {line.figure for line in compare(root, tmp_path) if line.wrong} == {named}
