"""Every figure's numbers are those of the tree that was written."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cspine.datasets import (
    Explored,
    ExplorePlan,
    MeasurePlan,
    PanelPlan,
    Subject,
    explore_set,
    index_rsna,
    labels_of,
    slice_contrast,
    studies_of,
)
from cspine.datasets.explore import charts, tables
from cspine.datasets.index import OVERALL, TARGETS, UID
from cspine.dicom import Numbering
from cspine.domain import CERVICAL, Box, ConfigError, LabelMap, Vertebra, Volume
from cspine.evaluation import wilson
from tests.datasets.coded_trees import SPACING_MM, StudySpec, block, middle_slices, neck, write_mask, write_tree

VOLUME, LABELS = neck()
COUNT = VOLUME.grid.shape[0]
UPPER = Box((0, 0, 0), (20, *VOLUME.grid.shape[1:]))
C = Vertebra
SPECS = (
    StudySpec("2.25.1", (C.C2, C.C5), (C.C2, C.C5), mask=True),
    StudySpec("2.25.2", numbering=Numbering(first=0, backward=True)),
    StudySpec("2.25.3", (C.C7,), (C.C7,), numbering=Numbering(first=5)),
    StudySpec("2.25.4", (C.C5, C.C6), mask=True),
    StudySpec("2.25.5", volume=VOLUME.crop(UPPER)),
)
FUNNEL = pd.DataFrame({"rule": ["all", "fractured"], "studies": [5, 3], "slices": [228, 156]})
LEVELS = tuple(v.name for v in CERVICAL)
FIGURES = {
    "share_by_level": "svg",
    "overall": "svg",
    "levels_ordered": "svg",
    "levels_per_patient": "svg",
    "correlation": "svg",
    "slices_per_study": "svg",
    "image_sizes": "svg",
    "spacing": "svg",
    "study_summary": "svg",
    "prevalence_by_slices": "svg",
    "funnel": "svg",
    "random_slices": "png",
    "contrast": "svg",
    "low_contrast": "png",
    "slices_per_vertebra": "svg",
    "heights": "svg",
    "overlaps": "svg",
    "levels_per_slice": "svg",
    "level_visibility": "svg",
    "side_views": "png",
    "triptychs": "png",
    "box_sizes": "svg",
    "box_places": "svg",
    "box_examples": "png",
}


def quiet(stage: str, share: float) -> None:
    """Report nothing."""


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    root = write_tree(tmp_path_factory.mktemp("rsna") / "tree", SPECS)
    index = index_rsna(root).index
    return Subject("tree", labels_of(index), studies_of(index), FUNNEL)


@pytest.fixture(scope="module")
def explored(subject: Subject, tmp_path_factory: pytest.TempPathFactory) -> Explored:
    return explore_set(subject, tmp_path_factory.mktemp("out"), ExplorePlan(), 2, quiet)


def table(explored: Explored, name: str) -> pd.DataFrame:
    return pd.read_csv(explored.page.parent / "figures" / f"{name}.csv", dtype={"StudyInstanceUID": str})


def test_every_figure_is_a_file_with_a_table_and_stands_on_the_page(explored: Explored):
    folder = explored.page.parent / "figures"
    assert {path.stem: path.suffix[1:] for path in folder.iterdir() if path.suffix != ".csv"} == FIGURES
    assert {path.stem for path in folder.glob("*.csv")} == set(FIGURES)
    page = explored.page.read_text()
    assert all(f'href="figures/{name}.csv"' in page for name in FIGURES)
    assert page.count("<img src=") == len(FIGURES) == explored.figures
    assert "http" not in page.replace("http://www.w3.org", "")


def test_shares_counts_and_intervals_are_those_of_the_labels(explored: Explored):
    shares = table(explored, "share_by_level").set_index("target")
    for target in ("patient_overall", *LEVELS):
        truth = sum(
            s.fractured != () if target == "patient_overall" else Vertebra[target] in s.fractured for s in SPECS
        )
        expected = wilson(truth, len(SPECS))
        row = shares.loc[target]
        assert (row["fractured"], row["n"]) == (truth, 5)
        assert [row["share"], row["low"], row["high"]] == pytest.approx([expected.value, expected.low, expected.high])
    assert table(explored, "overall")["fractured"].tolist() == [3]


def test_levels_are_ordered_by_count(explored: Explored):
    ordered = table(explored, "levels_ordered")
    assert ordered["level"].tolist() == ["C5", "C2", "C6", "C7", "C1", "C3", "C4"]
    assert ordered["fractured"].tolist() == [2, 1, 1, 1, 0, 0, 0]


def test_levels_per_patient_count_every_study_once(explored: Explored):
    counts = table(explored, "levels_per_patient")
    assert counts["studies"].tolist() == [2, 1, 2, 0, 0, 0, 0, 0]
    assert counts["share"].sum() == pytest.approx(1)


def test_correlations_are_phi_coefficients(explored: Explored):
    matrix = table(explored, "correlation").set_index("target")
    truth = np.array([[bool(s.fractured), *(v in s.fractured for v in CERVICAL)] for s in SPECS], float)
    for i, j in ((0, 5), (2, 5), (5, 6), (6, 7)):
        assert matrix.iloc[i, j] == pytest.approx(np.corrcoef(truth[:, i], truth[:, j])[0, 1])
    assert matrix.loc["C1"].isna().all()


def test_slices_sizes_spacing_and_coverage_are_those_that_were_written(explored: Explored):
    slices = table(explored, "slices_per_study").set_index("StudyInstanceUID")["slices"]
    assert slices.to_dict() == {spec.uid: spec.slices for spec in SPECS}
    summary = table(explored, "study_summary").set_index("of")
    assert summary.loc["slices", "median"] == COUNT
    assert summary.loc["slices", "mean"] == pytest.approx((4 * COUNT + 20) / 5)
    assert summary.loc["spacing_mm", ["minimum", "maximum"]].tolist() == pytest.approx([SPACING_MM[0]] * 2)
    coverage = table(explored, "spacing").set_index("StudyInstanceUID")["coverage_mm"]
    assert coverage["2.25.5"] == pytest.approx(20 * SPACING_MM[0])
    assert coverage["2.25.1"] == pytest.approx(COUNT * SPACING_MM[0])
    sizes = table(explored, "image_sizes")
    assert sizes.to_numpy().tolist() == [[*VOLUME.grid.shape[1:], 4 * COUNT + 20, 5]]


def test_groups_by_slices_hold_every_study(explored: Explored):
    groups = table(explored, "prevalence_by_slices")
    overall = groups[groups["target"] == "patient_overall"].set_index("slices")
    assert overall.loc["≤ 350", ["fractured", "n"]].tolist() == [3, 5]
    assert overall.loc["> 350", "n"] == 0


def test_groups_by_slices_have_the_limits_that_are_asked_for():
    labels = pd.DataFrame([[f"2.25.{k}", *[int(k > 3)] * 8] for k in range(6)], columns=[UID, *TARGETS])
    studies = pd.DataFrame({UID: labels[UID], "slices": [40, 41, 60, 61, 61, 10]})
    table = tables.prevalence_by_slices(labels, studies, (40, 60))
    overall = table[table["target"] == OVERALL]
    assert overall[["slices", "fractured", "n"]].to_numpy().tolist() == [
        ["≤ 40", 1, 2],
        ["41 … 60", 0, 2],
        ["> 60", 1, 2],
    ]
    _, names = charts.group_bars(table).axes[0].get_legend_handles_labels()
    assert names == [f"{name} slices, n = 2" for name in ("≤ 40", "41 … 60", "> 60")]


@pytest.mark.parametrize("limits", [(), (0,), (40, 40), (60, 40), tuple(range(1, 8))])
def test_limits_of_groups_that_do_not_rise_are_refused(limits: tuple[int, ...]):
    with pytest.raises(ConfigError, match="must be one to six rising numbers"):
        PanelPlan(slice_limits=limits)


def test_extents_and_overlaps_are_those_of_the_blocks(explored: Explored):
    levels = table(explored, "slices_per_vertebra")
    assert levels["StudyInstanceUID"].nunique() == 2
    for level in CERVICAL:
        rows = levels[levels["vertebra"] == level.name]
        assert rows["slices"].tolist() == [block(level).shape[0]] * 2
        assert rows["height_mm"].tolist() == pytest.approx([block(level).shape[0] * SPACING_MM[0]] * 2)
    overlaps = table(explored, "overlaps").set_index(["StudyInstanceUID", "upper"])["overlap_mm"]
    for upper, lower in pairwise(CERVICAL):
        gap = (block(lower).start_zyx[0] - block(upper).stop_zyx[0]) * SPACING_MM[0]
        assert overlaps["2.25.4", upper.name] == pytest.approx(-gap)


def test_levels_of_a_slice_are_counted_from_the_masks(explored: Explored):
    counts = table(explored, "levels_per_slice").set_index("levels")["slices"]
    bony = sum(block(level).shape[0] for level in CERVICAL)
    assert counts.to_dict() == {0: 2 * (COUNT - bony), 1: 2 * bony}
    seen = table(explored, "level_visibility")
    c3 = seen[(seen["StudyInstanceUID"] == "2.25.1") & (seen["vertebra"] == "C3") & (seen["visible"] > 0)]
    assert c3["slice_from_head"].tolist() == list(range(block(C.C3).start_zyx[0], block(C.C3).stop_zyx[0]))


def test_boxes_have_their_level_size_and_place(explored: Explored):
    sizes = table(explored, "box_sizes").set_index("level")
    assert sizes.loc["all", ["boxes", "studies", "median_width", "median_height"]].tolist() == [9, 2, 6, 4]
    assert sizes.loc["C2", "boxes"] == sizes.loc["C5", "boxes"] == 3
    assert sizes.loc["C7", "boxes"] == 0
    assert sizes.loc["no level", "boxes"] == 3
    places = table(explored, "box_places")
    truth = [row for spec in SPECS for row in spec.box_rows]
    assert sorted(zip(places["x"], places["y"], places["slice_number"], strict=True)) == sorted(
        (row[1], row[2], row[5]) for row in truth
    )
    assert places["center_x_share"].tolist() == pytest.approx([(x + 3) / VOLUME.grid.shape[2] for x in places["x"]])


def test_contrast_is_measured_on_evenly_spread_slices(explored: Explored):
    rows = table(explored, "contrast")
    assert rows.groupby("StudyInstanceUID").size().to_dict() == {spec.uid: 8 for spec in SPECS}
    spec = SPECS[2]
    for row in rows[rows["StudyInstanceUID"] == spec.uid].itertuples():
        k = [spec.number(k) for k in range(COUNT)].index(row.slice_number)
        assert row.contrast == pytest.approx(slice_contrast(VOLUME.hu[k]))
        assert row.low == (row.contrast < 0.35)


def test_pictures_show_what_their_tables_say(explored: Explored):
    boxes = table(explored, "box_examples")
    assert set(boxes["StudyInstanceUID"]) == {"2.25.1", "2.25.3"}
    assert len(table(explored, "random_slices")) == 5
    sides = table(explored, "side_views").set_index("vertebra")
    assert sides["voxels"].to_dict() == {v.name: int(np.prod(block(v).shape)) for v in CERVICAL}
    triples = table(explored, "triptychs").set_index("StudyInstanceUID")
    assert set(triples.index) == {"2.25.1", "2.25.4"}
    row = triples.loc["2.25.1"]
    k = [SPECS[0].number(k) for k in range(COUNT)].index(row["slice_number"])
    assert row["mask_pixels"] == (LABELS.labels[k] > 0).sum()
    lowest = table(explored, "low_contrast")["contrast"]
    assert lowest.is_monotonic_increasing
    with Image.open(explored.page.parent / "figures" / "triptychs.png") as picture:
        assert picture.width > 900


@pytest.mark.slow
def test_a_second_run_measures_nothing_and_gives_the_same_bytes(
    subject: Subject, explored: Explored, monkeypatch: pytest.MonkeyPatch
):
    folder = explored.page.parent
    before = {path: path.read_bytes() for path in (folder / "figures").iterdir()}
    monkeypatch.setattr("cspine.datasets.explore.run.measure_study", None)  # whatever is measured again fails
    again = explore_set(subject, folder, ExplorePlan(), 1, quiet)
    assert again.errors == {}
    assert {path: path.read_bytes() for path in (folder / "figures").iterdir()} == before


def test_broken_studies_and_masks_are_listed_and_cost_only_themselves(tmp_path: Path):
    specs = (StudySpec("2.25.1", mask=True), StudySpec("2.25.2", volume=_thin(VOLUME)), StudySpec("2.25.3"))
    root = write_tree(tmp_path / "tree", specs)
    studies = list(studies_of(index_rsna(root).index))
    wrong = LabelMap(VOLUME.grid.crop(UPPER), LABELS.labels[UPPER.slices])
    write_mask(root, "2.25.1", wrong)
    studies[2] = replace(studies[2], folder=tmp_path / "gone")
    problems = (("2.25.2", "3 files hold no pixel data"),)
    plan = ExplorePlan(MeasurePlan(contrast_slices=1), PanelPlan(random_slices=1, examples=1))
    done = explore_set(
        Subject("tree", pd.DataFrame(), tuple(studies), problems=problems), tmp_path / "out", plan, 1, quiet
    )
    assert set(done.errors) == {"2.25.3"}
    notes = table(done, "not_used").set_index("StudyInstanceUID")["note"]
    assert "mask of (20, 52, 52) voxels on a study of (52, 52, 52)" in notes["2.25.1"]
    assert "no readable image" in notes["2.25.3"]
    assert notes["2.25.2"] == "3 files hold no pixel data"
    assert not (tmp_path / "out" / "figures" / "share_by_level.csv").exists()


def test_a_set_without_studies_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="no study to explore"):
        explore_set(Subject("empty", pd.DataFrame(), ()), tmp_path, ExplorePlan(), 1, quiet)


def test_the_tables_reproduce_the_joint_pattern_of_the_challenge():
    """Counts and shares of the public labels (facts of the data set): 2,019 studies, 961 fractured."""
    per_study = {0: 1058, 1: 623, 2: 239, 3: 64, 4: 26, 5: 7, 6: 2}
    rows = [[int(n > 0), *(int(k < n) for k in range(7))] for n, many in per_study.items() for _ in range(many)]
    labels = pd.DataFrame(rows, columns=["patient_overall", *LEVELS])
    assert tables.levels_per_patient(labels)["studies"].tolist() == [*per_study.values(), 0]
    overall = tables.share_by_level(labels).iloc[0]
    assert (overall["fractured"], round(overall["share"], 3)) == (961, 0.476)


def _thin(volume: Volume) -> Volume:
    """Return the slices of a few levels."""
    start, stop = middle_slices(C.C3)[0], middle_slices(C.C5)[0]
    return volume.crop(Box((start, 0, 0), (stop, *volume.grid.shape[1:])))
