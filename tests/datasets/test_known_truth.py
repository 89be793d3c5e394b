"""Truths, answers and readers' calls read from plain files, and what is wrong with them named by row."""

import json

import pytest

from cspine.datasets import noise_group, read_answers, read_known, read_readers
from cspine.datasets.traits import header_traits, phantom_traits
from cspine.dicom import StudyHeader
from cspine.domain import Decision, InputError, NoImages, Vertebra, WorldBox
from cspine.evaluation import ReaderCalls
from tests.datasets.rsna_builders import write_csv

HEAD = ["StudyInstanceUID", "patient_overall", *(f"C{k}" for k in range(1, 8))]
ZERO = [0] * 7


def known(tmp_path, *rows):
    write_csv(tmp_path / "train.csv", HEAD, rows)
    return read_known(tmp_path)


def test_studies_come_in_the_order_of_their_uids_with_labels(tmp_path):
    first, second = known(tmp_path, ["1.20", 1, 0, 1, 0, 0, 0, 0, 0], ["1.10", 0, *ZERO])
    assert (first.files.uid, second.truth.labels) == ("1.10", (1, 0, 1, 0, 0, 0, 0, 0))
    assert first.truth.boxes == ()
    assert second.truth.boxes is None  # fractured, and no table says where
    assert not second.has_images


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["1.1", 0, *ZERO], ["1.1", 0, *ZERO]], "row 3: a second row about study 1.1"),
        ([["1.1", 0, *ZERO[1:], "?"]], "row 2, C7: '\\?' is no label"),
        ([["1.1", 0, *ZERO[1:], ""]], "is no label, 0 or 1; complete the row"),
        ([["", 0, *ZERO]], "names no study"),
    ],
)
def test_a_label_that_is_none_is_named(tmp_path, rows, message):
    with pytest.raises(InputError, match=message):
        known(tmp_path, *rows)


def test_a_set_without_studies_or_table_is_refused(tmp_path):
    with pytest.raises(NoImages, match=r"train\.csv"):
        read_known(tmp_path)
    with pytest.raises(NoImages, match="names no study"):
        known(tmp_path)


def test_a_box_that_is_no_number_is_named(tmp_path):
    write_csv(
        tmp_path / "train_bounding_boxes.csv",
        [HEAD[0], "x", "y", "width", "height", "slice_number"],
        [["1.1", "a", 1, 1, 1, 1]],
    )
    with pytest.raises(InputError, match=r"train_bounding_boxes\.csv, row 2"):
        known(tmp_path, ["1.1", 0, *ZERO])


def test_a_sidecar_tells_fractures_mimics_and_the_scan(tmp_path):
    fracture = {"type": "burst", "vertebra": "C5", "severity": 3, "counted": True, "box_lps_mm": [[0, 1, 2], [3, 4, 5]]}
    rib = fracture | {"vertebra": None, "counted": False}
    outside = fracture | {"box_lps_mm": None}
    record = {
        "fractures": [fracture, rib, outside],
        "mimics": [{"kind": "vascular-channel", "vertebra": "C2"}, {"kind": "motion-step", "vertebra": None}],
        "spec": {"scanner": {"noise_hu": 25.0}, "coverage": {"kind": "no-skull"}},
    }
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "1.1.json").write_text(json.dumps(record))
    (study,) = known(tmp_path, ["1.1", 1, 0, 0, 0, 0, 1, 0, 0])
    burst, other = study.truth.boxes
    assert (burst.box_lps_mm, burst.vertebra, burst.severity) == (WorldBox((0, 1, 2), (3, 4, 5)), Vertebra.C5, 3)
    assert not other.counted
    assert study.truth.mimics == {Vertebra.C2: ("vascular-channel",)}
    assert study.truth.traits == {"mimic": "some", "noise": "> 20 HU", "coverage": "no-skull"}
    (tmp_path / "truth" / "1.1.json").write_text("{}")
    with pytest.raises(InputError, match=r"1\.1\.json: is not what a phantom's truth must be: KeyError"):
        read_known(tmp_path)


def test_a_table_of_probabilities_decides_by_a_threshold_or_not_at_all(tmp_path):
    write_csv(tmp_path / "p.csv", HEAD, [["1.1", 0.7, 0.7, *[0.1] * 5, ""]])
    assert set(read_answers(tmp_path / "p.csv")["1.1"].decisions) == {Decision.UNCERTAIN, Decision.NOT_ASSESSED}
    answer = read_answers(tmp_path / "p.csv", 0.5)["1.1"]
    assert answer.decisions[:3] == (Decision.RULE_IN, Decision.RULE_IN, Decision.RULE_OUT)
    assert (answer.probabilities[7], answer.boxes) == (None, None)


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([], NoImages, "holds no row"),
        ([["1.1", 1.2, *ZERO]], InputError, "row 2, patient_overall: '1.2' is no probability"),
        ([["1.1", 0, *ZERO], ["1.1", 0, *ZERO]], InputError, "row 3: a second row"),
    ],
)
def test_a_table_of_probabilities_that_is_wrong_is_named(tmp_path, rows, error, message):
    write_csv(tmp_path / "p.csv", HEAD, rows)
    with pytest.raises(error, match=message):
        read_answers(tmp_path / "p.csv")


def test_a_folder_without_findings_or_with_a_broken_one_is_refused(tmp_path):
    with pytest.raises(NoImages, match=r"no findings.json below it"):
        read_answers(tmp_path)
    (tmp_path / "findings.json").write_text("{}")
    with pytest.raises(InputError, match=r"findings.json: .*schema version"):
        read_answers(tmp_path)


def test_readers_are_told_apart_and_a_whole_study_follows_from_its_levels(tmp_path):
    head = [HEAD[0], "reader", *HEAD[1:]]
    write_csv(tmp_path / "r.csv", head, [["1.1", "B", "", 0, 1, 0, 0, 0, 0, 0], ["1.1", "A", 0, "", *ZERO[1:]]])
    a, b = read_readers(tmp_path / "r.csv")
    assert a == ReaderCalls("A", {"1.1": (0, None, 0, 0, 0, 0, 0, 0)})
    assert b.calls["1.1"] == (1, 0, 1, 0, 0, 0, 0, 0)
    write_csv(tmp_path / "r.csv", head, [["1.1", "A", 2, *ZERO]])
    with pytest.raises(InputError, match="row 2, patient_overall: '2' is no call"):
        read_readers(tmp_path / "r.csv")
    write_csv(tmp_path / "r.csv", head, [["1.1", "A", 0, *ZERO]] * 2)
    with pytest.raises(InputError, match=r"A calls study 1\.1 twice"):
        read_readers(tmp_path / "r.csv")


class Stack:
    """A series of which only the header counts."""

    def __init__(self, slices, spacing_mm=0.0, **header):
        self.images, self.spacing_mm, self.header = (None,) * slices, spacing_mm, StudyHeader(**header)


def test_traits_of_a_header_in_words():
    stack = Stack(
        400,
        slice_thickness_mm=0.625,
        kernel="H60s\\3",
        manufacturer="GE MEDICAL SYSTEMS",
        patient_sex="f",
        patient_age="071Y",
    )
    assert header_traits(stack) == {
        "slice thickness": "≤ 1 mm", "slices": "> 350", "kernel": "H60s", "vendor": "GE", "sex": "female",
        "age": "65 and older",
    }  # fmt: skip
    assert header_traits(Stack(10, 1.5, manufacturer="Acme CT", patient_age="11M", patient_sex="O")) == {
        "slice thickness": "1–2 mm", "slices": "≤ 350", "vendor": "Acme", "age": "under 18",
    }  # fmt: skip
    assert header_traits(Stack(350, patient_age="old")) == {"slices": "≤ 350"}


def test_noise_is_put_into_one_of_three_parts():
    assert [noise_group(v) for v in (10.0, 10.1, 20.1)] == ["≤ 10 HU", "10–20 HU", "> 20 HU"]
    assert phantom_traits(None, has_mimic=False) == {"mimic": "none"}
