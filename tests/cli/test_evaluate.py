"""`cspine evaluate`: a table of probabilities, readers and another system beside a table of labels."""

import json

import pytest

from tests.cli.programs import called
from tests.datasets.rsna_builders import write_csv

HEAD = ["StudyInstanceUID", "patient_overall", *(f"C{k}" for k in range(1, 8))]
UIDS = [f"1.{k}" for k in range(1, 9)]


@pytest.fixture
def root(tmp_path):
    rows = [[uid, int(k % 2), int(k % 2), *[0] * 6] for k, uid in enumerate(UIDS)]
    (tmp_path / "root").mkdir()
    write_csv(tmp_path / "root" / "train.csv", HEAD, rows)
    given = [[uid, 0.2 + 0.1 * k, 0.6 * (k % 2) + 0.01 * k, *[0.05] * 6] for k, uid in enumerate(UIDS)]
    write_csv(tmp_path / "p.csv", HEAD, given)
    write_csv(tmp_path / "r.csv", [HEAD[0], "reader", *HEAD[1:]], [[row[0], "R1", *row[1:]] for row in rows])
    return tmp_path


def evaluate(root, *more):
    return called("evaluate", root / "p.csv", "--data", root / "root", "--out", root / "out", "--draws", "20", *more)


def test_a_table_is_scored_beside_readers_and_another_system(root):
    said = evaluate(root, "--threshold", 0.5, "--readers", root / "r.csv", "--beside", f"same={root / 'p.csv'}")
    assert said.code == 0, said.err
    assert "8 studies, 4 with a fracture" in said.out
    assert "AUC, vertebra              1.000, n = 56" in said.out
    page = (root / "out" / "evaluation.html").read_text(encoding="utf-8")
    assert "reader: R1" in page
    assert "beside: same" in page
    document = json.loads((root / "out" / "evaluation.json").read_text(encoding="utf-8"))
    assert (document["phantom"], document["system"]["name"]) == (False, "p.csv")
    gaps = [f["value"] for f in document["figures"] if f["name"] == "AUC, this − other"]
    assert gaps == [0.0, 0.0]


def test_the_word_studies_may_be_left_out(root):
    short = evaluate(root)
    long = called("evaluate", "studies", root / "p.csv", "--data", root / "root", "--out", root / "b", "--draws", "20")
    assert (short.code, long.code) == (0, 0)
    assert (root / "b" / "figures.csv").read_bytes() == (root / "out" / "figures.csv").read_bytes()


def test_probabilities_are_moved_to_another_prevalence(root):
    evaluate(root, "--stated-prevalence", 0.05, "--prevalence", 0.5)
    rows = (root / "out" / "studies.csv").read_text(encoding="utf-8").splitlines()
    moved = float(next(row for row in rows if row.startswith("1.1,study")).split(",")[3])
    assert moved == pytest.approx(0.25 * 19 / (0.25 * 19 + 1), rel=1e-4)  # odds of 0.2, times (1/1)/(1/19)


def test_silence_counts_unless_it_is_left_out(root):
    lines = (root / "p.csv").read_text().splitlines()
    (root / "p.csv").write_text("\n".join(lines[:5]) + "\n")
    said = evaluate(root)
    assert "! 4 studies have no answer; they count as not assessed" in said.out
    assert "4 studies, 2 with a fracture" in evaluate(root, "--answered-only").out


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (("--readers", "nowhere.csv"), 3, "nowhere.csv: cannot be read"),
        (("--beside", "other"), 2, "--beside is 'other'; give NAME=RESULTS"),
        (("--prevalence", "2"), 2, "less than or equal to 0.999"),
        (("--limit", "-1"), 2, "greater than or equal to 0"),
    ],
)
def test_what_cannot_be_is_refused_with_its_code(root, more, code, words):
    said = evaluate(root, *more)
    assert said.code == code
    assert words in said.err


def test_answers_about_other_studies_and_a_missing_table_are_refused(root):
    write_csv(root / "root" / "train.csv", HEAD, [["9.9", *[0] * 8]])
    said = evaluate(root)
    assert (said.code, "none of the 8 answers is about one of the 1 studies" in said.err) == (3, True)
    (root / "root" / "train.csv").unlink()
    assert evaluate(root).code == 3


def test_help_is_shown_for_the_group_and_for_its_default():
    assert "vertebrae" in called("evaluate", "--help").out
    assert "BUNDLE|RUN" in called("evaluate", "studies", "--help").out
