"""Submissions: q for p, in the rows that were asked for, and scored beside labels."""

import csv
from math import log

import pytest

from cspine.datasets import (
    all_rows,
    asked_rows,
    make_submission,
    read_probabilities,
    read_submission,
    score_submission,
    write_submission,
)
from cspine.domain import InputError, NoImages
from cspine.report import findings_json
from tests.datasets.rsna_builders import TARGETS, TinyStudy, write_csv, write_tree
from tests.report.builders import partial_neck

HEAD = ("StudyInstanceUID", *TARGETS)


@pytest.fixture
def table(tmp_path):
    write_csv(tmp_path / "p.csv", HEAD, [["1.2.1", 0.5, *[0.25] * 7], ["1.2.2", 1, 0, "", *[0.2] * 5]])
    return tmp_path / "p.csv"


def test_probabilities_become_what_the_loss_asks_for(table, tmp_path):
    probabilities = read_probabilities(table)
    made = make_submission(probabilities, all_rows(probabilities))
    write_submission(made, tmp_path / "s.csv")
    rows = list(csv.reader((tmp_path / "s.csv").read_text().splitlines()))
    assert rows[0] == ["row_id", "fractured"]
    assert rows[1] == ["1.2.1_C1", "0.4"]  # 2 · ¼ / (1 + ¼)
    assert rows[8] == ["1.2.1_patient_overall", "0.666667"]
    assert rows[9] == ["1.2.2_C1", "0"]
    assert made.filled == 1  # C2 of the second study: the prevalence
    assert dict(rows[1:])["1.2.2_C2"] == "0.247152"


def test_the_rows_are_those_of_the_test_table(tmp_path, table):
    root = write_tree(tmp_path / "tree", [TinyStudy(1)], [TinyStudy(7), TinyStudy(8)])
    asked, problems = asked_rows(root)
    assert problems == []
    assert [f"{uid}_{target}" for uid, target in asked] == [
        f"{TinyStudy(n).study_uid}_{t}" for n in (7, 8) for t in (*TARGETS[1:], TARGETS[0])
    ]
    assert make_submission(read_probabilities(table), asked).filled == 16


def test_findings_are_read_from_their_documents(tmp_path):
    folder = tmp_path / "results" / "study"
    folder.mkdir(parents=True)
    (folder / "findings.json").write_bytes(findings_json(*partial_neck(), {}))
    ((uid, values),) = read_probabilities(tmp_path / "results").items()
    analysis, source = partial_neck()
    assert uid == source.header.study_instance_uid
    assert values["patient_overall"] == analysis.findings.probability
    assert [values[f"C{k}"] for k in range(1, 8)] == [v.probability for v in analysis.findings.vertebrae]


def test_a_submission_is_scored_in_all_three_normalizations(tmp_path):
    root = write_tree(tmp_path / "tree", [TinyStudy(1, ("C2",)), TinyStudy(2)])
    half = {TinyStudy(n).study_uid: dict.fromkeys(TARGETS, 1 / 3) for n in (1, 2)}  # q = 0.5
    write_submission(make_submission(half, all_rows(half)), tmp_path / "s.csv")
    score = score_submission(read_submission(tmp_path / "s.csv"), root)
    assert score.n == 2
    assert score.losses == {name: pytest.approx(log(2), abs=1e-6) for name in ("global", "column", "row")}
    one = score_submission(read_submission(tmp_path / "s.csv"), root / "train.csv", [TinyStudy(2).study_uid])
    assert one.n == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["1.2.1_C9", 0.5]], "row 2: row_id '1.2.1_C9' is no <study>_<target>"),
        ([["1.2.1_C1", 1.5]], "row 2, fractured: '1.5' is no probability"),
        ([["1.2.1_C1", "x"]], "'x' is no probability"),
        ([["1.2.1_C1", 0.5], ["1.2.1_C1", 0.5]], "row 3: stands there twice"),
        ([["1.2.1_C1", ""]], "row 2: is empty"),
        ([["1.2.1_C1"]], "row 2: has not the 2 cells"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, rows, message):
    write_csv(tmp_path / "s.csv", ["row_id", "fractured"], rows)
    with pytest.raises(InputError, match=message):
        read_submission(tmp_path / "s.csv")


def test_a_missing_row_label_column_or_file_is_named(tmp_path):
    root = write_tree(tmp_path / "tree", [TinyStudy(1)])
    with pytest.raises(InputError, match="the submission has no row"):
        score_submission({}, root)
    with pytest.raises(InputError, match=r"no label for patient_overall of study 1\.2\.9"):
        score_submission({}, root, ["1.2.9"])
    with pytest.raises(NoImages, match=r"nowhere\.csv: cannot be read"):
        read_submission(tmp_path / "nowhere.csv")
    write_csv(tmp_path / "s.csv", ["row", "fractured"], [])
    with pytest.raises(InputError, match="has no column row_id"):
        read_submission(tmp_path / "s.csv")
    with pytest.raises(NoImages, match=r"no findings\.json"):
        read_probabilities(tmp_path / "tree")
