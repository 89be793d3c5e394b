"""Filters: named rules, the preset of a paper, and a funnel whose steps add up."""

import pandas as pd
import pytest

from cspine.datasets import funnel_figure, index_rsna, parse_rule, rules_of, select, write_selection
from cspine.domain import ConfigError
from tests.datasets.rsna_builders import TinyStudy, write_tree

KEPT = TinyStudy(1, ("C1",))
MIXED = TinyStudy(2, ("C2",), odd_shapes={0: (30, 32)})
STUDIES = (
    KEPT,
    MIXED,
    TinyStudy(3),
    TinyStudy(4, ("C3",), photometric="MONOCHROME1"),
    TinyStudy(5, ("C4",), jpeg=True),
    TinyStudy(6, ("C5",), bits_stored=12, signed=False),
    TinyStudy(7, ("C6",), signed=False),
    TinyStudy(8, ("C6",), slices=14),
)
# The preset with the matrix and the number of slices of the tiny studies.
RULES = tuple("shape=32x32" if rule == "shape=512x512" else rule for rule in rules_of("efficientnet-c1"))


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    root = write_tree(tmp_path_factory.mktemp("filters") / "tree", STUDIES, [TinyStudy(9)])
    return index_rsna(root).index


def test_the_preset_is_that_of_the_paper():
    assert rules_of("efficientnet-c1") == (
        "part=train", "overall=1", "transfer-syntax=1.2.840.10008.1.2.1", "photometric=MONOCHROME2", "bits-stored=16",
        "shape=512x512", "pixel-representation=1",
    )  # fmt: skip
    assert rules_of("efficientnet-c1-few")[-1] == "slices=..350"
    assert rules_of("efficientnet-c1-many")[-1] == "slices=351.."


def test_each_rule_removes_what_it_names_and_the_funnel_adds_up(index):
    selection = select(index, RULES)
    steps = selection.funnel.set_index("rule")
    assert steps["studies"].tolist() == [9, 8, 7, 6, 5, 4, 4, 3]
    assert steps["studies_removed"].tolist() == [0, 1, 1, 1, 1, 1, 0, 1]
    assert steps.loc["shape=32x32", "slices_removed"] == 1  # one slice of another shape; its study stays
    assert steps["slices"].iloc[-1] == len(selection.slices) == 12 + 11 + 14
    assert (steps["slices"] + steps["slices_removed"]).iloc[1:].tolist() == steps["slices"].iloc[:-1].tolist()


def test_what_stays_is_shown_with_patient_and_slices(index):
    studies = select(index, RULES).studies.set_index("StudyInstanceUID")
    assert list(studies.index) == [s.study_uid for s in (KEPT, MIXED, STUDIES[-1])]
    assert studies.loc[MIXED.study_uid, ["PatientID", "slices", "kept_slices"]].tolist() == ["patient-2", 12, 11]
    assert set(studies["group"]) == {"≤ 350"}


@pytest.mark.parametrize(
    ("rule", "numbers"),
    [
        ("slices=13..", [8]),
        ("slices=..12", [1, 2, 3, 4, 5, 6, 7, 9]),
        ("fractured=C1,C3", [1, 4]),
        ("mask=yes", []),
        ("boxes=no", [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("gaps=..0", [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("usable=no", []),
        ("spacing=3..3", [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("extent=35..", [8]),
        ("pixels=whole", [1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ],
)
def test_rules_of_studies_and_slices(index, rule, numbers):
    kept = select(index, [rule]).studies["PatientID"]
    assert sorted(int(patient.split("-")[1]) for patient in kept) == numbers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("size=3", "'size=3' is no rule; write one of part=train"),
        ("overall", "is no rule"),
        ("bits-stored=many", "for example bits-stored=16"),
        ("shape=512", "'512' is no ROWSxCOLUMNS"),
        ("slices=12", "'12' is no range"),
        ("fractured=T1", "'T1' is none of patient_overall"),
        ("mask=maybe", "neither yes nor no"),
    ],
)
def test_a_wrong_rule_is_refused_with_an_example(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_rule(text)


def test_an_unknown_preset_is_refused_with_those_that_exist():
    with pytest.raises(ConfigError, match="unknown preset 'karno'; known are usable, efficientnet-c1"):
        rules_of("karno")


def test_tables_and_figure_are_written(index, tmp_path):
    selection = select(index, RULES)
    write_selection(selection, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "funnel.csv", "funnel.png", "funnel.svg", "slices.csv", "studies.csv",
    ]  # fmt: skip
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "funnel.csv"), selection.funnel, check_dtype=False)
    assert len(pd.read_csv(tmp_path / "slices.csv")) == len(selection.slices)


def test_the_figure_says_what_the_funnel_says(index):
    funnel = select(index, RULES).funnel
    left, right = funnel_figure(funnel).axes
    assert [label.get_text() for label in left.get_yticklabels()] == list(funnel["rule"])
    assert [text.get_text().split("  ")[0] for text in right.texts] == [f"{n:,}" for n in funnel["slices"]]


def test_a_selection_of_nothing_has_empty_tables(index, tmp_path):
    selection = select(index, ["slices=9000.."])
    write_selection(selection, tmp_path)
    assert selection.funnel["studies"].tolist() == [9, 0]
    assert len(pd.read_csv(tmp_path / "studies.csv")) == 0
