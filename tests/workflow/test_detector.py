"""A detector on a tiny tree: analyzed once, scored beside boxes on slices, drawn, written, and gone on with."""

import json
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from cspine.datasets import read_answers, read_known
from cspine.domain import (
    CERVICAL,
    Analysis,
    BundleIncompatible,
    Decision,
    Findings,
    LabelMap,
    Location,
    NoImages,
    OutOfScope,
    Vertebra,
    VertebraFinding,
)
from cspine.evaluation import RSNA_PRIORS, EvaluationSettings, Section
from cspine.report import EvaluationTitle
from cspine.workflow import (
    answered_by_bundle,
    answered_by_findings,
    run_evaluation,
    stated_errors,
    tuning_priors,
    write_evaluation,
)
from tests.datasets.coded_trees import StudySpec, block, neck, write_tree

C2, C5, C6 = Vertebra.C2, Vertebra.C5, Vertebra.C6
MODEL = "a" * 64
QUICK = EvaluationSettings(draws=30, worst=2)
TITLE = EvaluationTitle("a <b>system</b>", MODEL, "tree", "cspine 0", "2026-01-01", phantom=True)


class Scripted:
    """An analyzer that says beforehand known things, study by study."""

    def __init__(self, *said: Vertebra | Exception | None):
        self._said, self.calls = list(said), 0

    def analyze(self, volume, progress):
        said = self._said[self.calls]
        self.calls += 1
        if isinstance(said, Exception):
            raise said
        rows = [self._finding(v, v is said) for v in CERVICAL]
        decision = Decision.RULE_OUT if said is None else Decision.RULE_IN
        probability = 0.03 if said is None else 0.9
        findings = Findings(probability, decision, tuple(rows), (), MODEL, "scripted", "tests")
        return Analysis(findings, LabelMap(volume.grid, neck()[1].labels))

    @staticmethod
    def _finding(vertebra, fractured):
        box = neck()[0].grid.box_to_world(block(vertebra))
        if not fractured:
            return VertebraFinding(vertebra, 0.02, Decision.RULE_OUT, 1.0, center_lps_mm=box.center_lps_mm)
        place = Location(0.9, None, box)
        return VertebraFinding(vertebra, 0.9, Decision.RULE_IN, 1.0, None, box.center_lps_mm, box, (place,))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return four studies: C2 with a mask and boxes, C5 with boxes, C6 without, and one without a fracture."""
    specs = [
        StudySpec("2.25.11", fractured=(C2, C6), boxed=(C2,), mask=True),
        StudySpec("2.25.12", fractured=(C5,), boxed=(C5,)),
        StudySpec("2.25.13", fractured=(C6,)),
        StudySpec("2.25.14"),
    ]
    return write_tree(tmp_path_factory.mktemp("tree") / "root", specs)


@pytest.fixture(scope="module")
def run(root, tmp_path_factory):
    """Return a run: C2 found, C5 missed, a refusal, and a false alarm at C2."""
    out = tmp_path_factory.mktemp("run")
    analyzer = Scripted(C2, None, OutOfScope("no neck"), C2)
    answered = answered_by_bundle(read_known(root), analyzer, MODEL, out)
    found = run_evaluation(answered, QUICK)
    return out, answered, found, write_evaluation(found, answered, TITLE, out)


def test_boxes_of_slices_become_fractures_at_their_level(run):
    _, answered, _, _ = run
    (first,), (second,), third, none = (truth.boxes for truth in answered.truths)
    assert (first.vertebra, second.vertebra) == (C2, C5)
    assert third is None
    assert none == ()
    low, high = first.box_lps_mm.min_lps_mm, first.box_lps_mm.max_lps_mm
    assert tuple(b - a for a, b in zip(low, high, strict=True)) == pytest.approx((15.0, 10.0, 9.0))


def test_traits_come_from_the_headers(run):
    traits = run[1].truths[0].traits
    assert traits["slices"] == "≤ 350"
    assert traits["slice thickness"] == "> 2 mm"
    assert traits["noise"] == "≤ 10 HU"


def test_figures_are_those_of_what_was_said(run):
    found = run[2]
    assert found.find(Section.DECISIONS, "sensitivity", "study").value == pytest.approx(1 / 3)
    assert found.find(Section.DECISIONS, "fractured called rule-out", "study").value == pytest.approx(1 / 3)
    assert found.refused == {"2.25.13": "OutOfScope: no neck"}
    assert found.find(Section.BOXES, "sensitivity, all boxes", "box", "center inside").value == pytest.approx(1 / 2)
    assert found.find(Section.COST, "peak memory, MB, highest", "study").value > 10


def test_everything_is_written_and_what_was_missed_is_drawn(run):
    out, _, _, page = run
    assert {p.name for p in out.glob("*.*")} == {
        "evaluation.html", "evaluation.json", "figures.csv", "curves.csv", "studies.csv",
    }  # fmt: skip
    text = page.read_text(encoding="utf-8")
    assert text.count("data:image/png;base64,") >= 4
    assert "a &lt;b&gt;system&lt;/b&gt;" in text
    assert "PHANTOMS" in text
    assert json.loads((out / "evaluation.json").read_text())["studies"] == 4


def test_the_page_loads_nothing_and_closes_every_tag(run):
    opened: list[str] = []
    sources: list[str] = []

    class Checked(HTMLParser):
        def handle_startendtag(self, tag, attributes):
            assert tag in {"path", "circle", "rect"}

        def handle_starttag(self, tag, attributes):
            sources.extend(str(v) for k, v in attributes if k in ("src", "href"))
            if tag not in {"meta", "img"}:
                opened.append(tag)

        def handle_endtag(self, tag):
            assert opened.pop() == tag

    Checked().feed(run[3].read_text(encoding="utf-8"))
    assert opened == []
    assert {s[:10] for s in sources if not s.startswith("#")} == {"data:image"}


def test_a_run_goes_on_and_tries_again_only_what_was_refused(root, run):
    again = Scripted(C6)
    answered = answered_by_bundle(read_known(root), again, MODEL, run[0])
    assert again.calls == 1
    assert answered.answers[0] == run[1].answers[0]
    assert answered.answers[2].probabilities[0] == 0.9


def test_another_bundle_answers_anew(root, run):
    other = Scripted(None, None, None, None)
    answered_by_bundle(read_known(root), other, "b" * 64, run[0])
    assert other.calls == 4


def test_findings_of_another_run_are_scored_and_silence_counts(root, run):
    given = {"2.25.12": read_answers(run[0] / "studies")["2.25.12"], "9.9": replace(run[1].answers[0], uid="9.9")}
    known = read_known(root)
    answered = answered_by_findings(known, given)
    assert [bool(answer.refusal) for answer in answered.answers] == [True, False, True, True]
    assert answered.notes == ("1 answers are about studies that the set does not have; they were left out",)
    only = answered_by_findings(known, given, only_answered=True)
    assert [truth.uid for truth in only.truths] == ["2.25.12"]
    assert "3 studies without an answer were left out" in only.notes[1]


def test_a_set_without_images_cannot_run_a_bundle(root, tmp_path):
    (tmp_path / "train.csv").write_text((root / "train.csv").read_text())
    with pytest.raises(NoImages, match="none of the 4 studies has images there"):
        answered_by_bundle(read_known(tmp_path), Scripted(), MODEL, tmp_path / "out")


def test_priors_are_those_of_the_bundle_where_it_names_some():
    told = {"study": 0.3, "levels": [0.1] * 7}
    assert tuning_priors({"priors": told}).levels[0] == 0.1
    assert tuning_priors({}) == RSNA_PRIORS
    assert stated_errors({}) == ()
    with pytest.raises(BundleIncompatible, match="priors of the calibration are wrong"):
        tuning_priors({"priors": {"study": 0}})
