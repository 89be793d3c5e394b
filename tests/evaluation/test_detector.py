"""A whole evaluation on a handful of studies that can be counted, and on many whose figures are known."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from cspine.domain import CERVICAL, Decision, Findings, Location, Vertebra, VertebraFinding, WorldBox
from cspine.evaluation import (
    RSNA_PRIORS,
    DetectorEvaluation,
    EvaluationSettings,
    FoundBox,
    Priors,
    ReaderCalls,
    Section,
    StudyAnswer,
    StudyTruth,
    TrueBox,
    evaluate_detector,
    predictive_values,
    rsna_log_loss,
    submitted_probability,
    wilson,
)

IN, OUT, DOUBT, NONE = Decision.RULE_IN, Decision.RULE_OUT, Decision.UNCERTAIN, Decision.NOT_ASSESSED
C2, C5, C7 = Vertebra.C2, Vertebra.C5, Vertebra.C7
BOX = WorldBox((0, 0, 0), (10, 10, 10))
QUICK = EvaluationSettings(draws=40)


def labels(*fractured: Vertebra) -> tuple[int, ...]:
    return (int(bool(fractured)), *(int(v in fractured) for v in CERVICAL))


def said(uid: str, study: tuple[float | None, Decision], **levels: tuple[float | None, Decision]) -> StudyAnswer:
    """Return an answer; levels that are not given are ruled out at 2 %."""
    rows = [study, *(levels.get(v.name, (0.02, OUT)) for v in CERVICAL)]
    return StudyAnswer(uid, tuple(p for p, _ in rows), tuple(d for _, d in rows))


@pytest.fixture(scope="module")
def few() -> DetectorEvaluation:
    """Return six studies: of four fractured ones one is ruled in, one uncertain, one missed, one refused."""
    truths = [
        StudyTruth("a", labels(C2), (TrueBox(BOX, C2, type="dens-ii", severity=4),), traits={"vendor": "GE"}),
        StudyTruth("b", labels(C5), (TrueBox(BOX, C5, type="burst", severity=2),)),
        StudyTruth("c", labels(C7), None),
        StudyTruth("d", labels(C7), (TrueBox(BOX, C7),)),
        StudyTruth("e", labels(), mimics={C2: ("vascular-channel",)}),
        StudyTruth("f", labels()),
    ]
    answers = [
        replace(
            said("a", (0.9, IN), C2=(0.9, IN)),
            boxes=(FoundBox(0.9, BOX, C2, IN, "dens-ii"),),
            seconds={"read": 1, "analyze": 2},
        ),
        said("b", (0.4, DOUBT), C5=(0.4, DOUBT)),
        said("c", (0.1, OUT), C7=(0.1, OUT)),
        StudyAnswer.refused("d", "NotAVolume: a gap"),
        replace(
            said("e", (0.8, IN), C2=(0.8, IN)), boxes=(FoundBox(0.8, BOX, C2, IN),), seconds={"read": 2, "analyze": 4}
        ),
        replace(said("f", (0.05, OUT)), mimics={C5: "osteophyte"}),
    ]
    readers = [ReaderCalls("R1", {"a": labels(), "b": labels(C5), "e": labels(), "f": labels()})]
    return evaluate_detector(truths, answers, QUICK, readers)


@pytest.mark.parametrize(
    ("name", "value", "n"),
    [
        ("sensitivity", 1 / 4, 4),
        ("sensitivity, decided only", 1 / 2, 2),
        ("fractured ruled in or uncertain", 2 / 4, 4),
        ("fractured called rule-out", 1 / 4, 4),
        ("specificity", 1 / 2, 2),
        ("not fractured called rule-out", 1 / 2, 2),
        ("abstention", 2 / 6, 6),
        ("not assessed", 1 / 6, 6),
        ("coverage of fractured, assessed", 2 / 3, 3),
    ],
)
def test_decisions_of_studies_by_hand(few, name, value, n):
    found = few.find(Section.DECISIONS, name, "study")
    assert (found.value, found.n) == (pytest.approx(value), n)


def test_what_did_not_happen_still_has_an_upper_limit(few):
    """Of 2 studies without a fracture one was ruled out; of C3, never fractured and never ruled in, 6 of 6."""
    missed = few.find(Section.DECISIONS, "not fractured called rule-in", "C3")
    assert (missed.value, missed.low) == (0.0, 0.0)
    assert missed.high == pytest.approx(wilson(0, 6).high)
    level = few.find(Section.BOXES, "level right, of right boxes", "box", "IoU > 0.2")
    assert (level.value, level.low) == (1.0, pytest.approx(wilson(1, 1).low))
    npv = few.find(Section.DECISIONS, "NPV of rule-out at 5%", "C3")
    assert math.isnan(npv.value)


def test_a_value_of_an_answer_that_was_never_wrong_has_a_lower_limit(few):
    """C7: 2 fractured, one ruled out, one refused; C2: 1 fractured, ruled in; 5 others, of which 3 were ruled out."""
    npv = few.find(Section.DECISIONS, "NPV of rule-out at 10%", "C2")
    good, bad = wilson(3, 5), wilson(0, 1)
    assert npv.value == 1.0
    assert npv.low == pytest.approx(0.9 * good.low / (0.9 * good.low + 0.1 * bad.high))


def test_every_denominator_of_levels_counts_what_was_refused(few):
    assert few.find(Section.DECISIONS, "sensitivity", "vertebra").n == 4
    assert few.find(Section.DECISIONS, "abstention", "vertebra").value == pytest.approx(8 / 42)


def test_a_refused_study_is_scored_with_the_priors(few):
    """Scores .9 .4 .1 .476 against .8 .05: of eight pairs six are in order."""
    assert few.find(Section.DISCRIMINATION, "AUC", "study").value == pytest.approx(5 / 8)
    assert few.scored.filled[3].tolist() == RSNA_PRIORS.row.tolist()
    assert few.refused == {"d": "NotAVolume: a gap"}


def test_the_loss_is_that_of_the_challenge_in_all_normalizations(few):
    for entry, values in (("q", submitted_probability(few.scored.filled)), ("p", few.scored.filled)):
        for how in ("global", "column", "row"):
            found = few.find(Section.LOSS, f"weighted log loss of {entry}, {how}", "all targets")
            assert found.value == pytest.approx(rsna_log_loss(few.scored.labels, values, how))


def test_boxes_leave_out_the_study_without_a_table_and_state_their_point(few):
    """Known boxes: a, b, d; found: one right, one false, in five studies."""
    at = few.find(Section.BOXES, "sensitivity at 1 false per study", "box", "IoU > 0.2")
    assert (at.value, at.n) == (pytest.approx(1 / 3), 3)
    assert few.find(Section.BOXES, "PPV, boxes of levels ruled in", "box", "center inside").value == 0.5
    assert few.find(Section.BOXES, "level right, of right boxes", "box", "IoU > 0.2").value == 1.0


def test_fractures_and_mimics_have_figures_of_their_own(few):
    assert few.find(Section.KINDS, "sensitivity", "vertebra", "severity: 4").value == 1
    assert few.find(Section.KINDS, "sensitivity", "vertebra", "type: burst").value == 0
    alarm = few.find(Section.KINDS, "not fractured called rule-in", "vertebra", "mimic: vascular-channel")
    assert (alarm.value, alarm.n) == (1.0, 1)


def test_types_and_mimics_are_judged_where_they_were_named(few):
    assert few.find(Section.BOXES, "type suggested, of right boxes", "box", "IoU > 0.2").value == 1.0
    assert few.find(Section.BOXES, "type right, of suggested", "box", "center inside").value == 1.0
    told = few.find(Section.KINDS, "not fractured, a mimic named", "vertebra", "mimic: any")
    assert (told.value, told.n) == (0.0, 1)
    assert few.find(Section.KINDS, "not fractured, a mimic named", "vertebra", "mimic: none").value == pytest.approx(
        1 / 37
    )


def test_readers_stand_beside_the_system_and_with_it(few):
    def of(name):
        return few.find(Section.READERS, name, "study", "reader: R1")

    assert (of("sensitivity, reader").value, of("sensitivity, reader").n) == (0.5, 2)
    assert of("sensitivity, either").value == 1.0
    assert of("specificity, reader").value == 1.0
    assert of("specificity, either").value == 0.5
    assert of("sensitivity, either − reader").value == 0.5


def test_time_is_that_of_the_studies_that_were_measured(few):
    assert few.find(Section.COST, "seconds, highest", "study").value == 6
    assert few.find(Section.COST, "seconds, read, median", "study").n == 2


def test_the_worst_cases_are_named_with_what_is_known_of_them(few):
    first = few.worst[0]
    assert (first.uid, first.vertebra, first.fractured, first.probability) == ("c", C7, True, 0.1)
    false = next(case for case in few.worst if not case.fractured)
    assert (false.uid, false.vertebra, false.story) == ("e", C2, "mimic: vascular-channel")


def test_predictive_values_by_hand():
    ppv, npv = predictive_values(0.9, 0.8, 0.1)
    assert (float(ppv), float(npv)) == pytest.approx((0.09 / 0.27, 0.72 / 0.73))
    assert np.isnan(predictive_values(0.0, 1.0, 0.1)[0])


def test_ppv_of_decisions_at_a_prevalence_by_hand(few):
    """Ruled in: 1 of 4 fractured, 1 of 2 others."""
    found = few.find(Section.DECISIONS, "PPV of rule-in at 5%", "study")
    assert found.value == pytest.approx(0.05 * 0.25 / (0.05 * 0.25 + 0.95 * 0.5))


@pytest.fixture(scope="module")
def many() -> tuple[list[StudyTruth], list[StudyAnswer], Priors]:
    """Return 300 studies with calibrated probabilities and a trait."""
    rng = np.random.default_rng(8)
    truths, answers = [], []
    for k in range(300):
        z = rng.normal(-2.5, 2.0, 7)
        y = rng.random(7) < expit(z)
        p = expit(z)
        study = 1 - np.prod(1 - p)
        decisions = tuple(IN if v > 0.5 else OUT if v < 0.05 else DOUBT for v in (study, *p))
        traits = {"vendor": "GE" if k % 2 else "Siemens", "age": "rare" if k < 3 else "old"}
        truths.append(StudyTruth(str(k), (int(y.any()), *y.astype(int).tolist()), (), traits=traits))
        answers.append(StudyAnswer(str(k), (float(study), *p.tolist()), decisions, boxes=None))
    shares = np.array([t.labels for t in truths]).mean(axis=0)
    return truths, answers, Priors(float(shares[0]), tuple(shares[1:].tolist()))


def test_calibrated_scores_are_called_calibrated_and_intervals_hold_their_value(many):
    truths, answers, priors = many
    found = evaluate_detector(truths, answers, EvaluationSettings(priors, draws=200))
    for target in ("study", "vertebra"):
        assert (
            found.find(Section.CALIBRATION, "slope", target).low
            < 1
            < found.find(Section.CALIBRATION, "slope", target).high
        )
        assert found.find(Section.CALIBRATION, "intercept", target).low < 0.0
        assert found.find(Section.CALIBRATION, "Brier skill", target).low > 0.1
    outside = [
        f for f in found.figures if math.isfinite(f.estimate.low) and not f.estimate.low <= f.estimate.value + 1e-9
    ]
    assert [f.name for f in outside if f.name != "ECE"] == []  # the error of bins only grows by drawing anew


def test_parts_that_are_too_small_are_left_out(many):
    truths, answers, priors = many
    found = evaluate_detector(truths, answers, EvaluationSettings(priors, draws=20))
    groups = {f.group for f in found.figures if f.section is Section.SUBGROUPS}
    assert groups == {"vendor: GE", "vendor: Siemens", "age: old"}


def test_a_source_without_boxes_has_no_figures_of_boxes(many):
    truths, answers, priors = many
    found = evaluate_detector(truths, answers, EvaluationSettings(priors, draws=20))
    assert [f for f in found.figures if f.section is Section.BOXES] == []


def test_probabilities_stated_at_another_prevalence_are_moved_back(many):
    truths, answers, priors = many
    at_five = priors.at(0.05).row
    factor = at_five / (1 - at_five) / (priors.row / (1 - priors.row))
    odds = [np.array(a.probabilities) / (1 - np.array(a.probabilities)) * factor for a in answers]
    moved = [replace(a, probabilities=tuple((o / (1 + o)).tolist())) for a, o in zip(answers, odds, strict=True)]
    plain = evaluate_detector(truths, answers, EvaluationSettings(priors, draws=2))
    back = evaluate_detector(truths, moved, EvaluationSettings(priors, stated_at=0.05, scored_at=priors.study, draws=2))
    np.testing.assert_allclose(back.scored.given, plain.scored.given, atol=1e-9)


def test_findings_become_an_answer():
    place = Location(0.7, None, BOX)
    rows = [VertebraFinding(v, 0.1, DOUBT, 1.0, reason="why", locations=(place,) if v is C5 else ()) for v in CERVICAL]
    answer = StudyAnswer.of_findings("u", Findings(0.3, DOUBT, tuple(rows), (), "0" * 64, "m", "s"), {"read": 1.0})
    assert answer.probabilities == (0.3, *[0.1] * 7)
    assert answer.boxes == (FoundBox(0.7, BOX, C5, DOUBT),)
    assert answer.reasons == (None, *["why"] * 7)


def test_truths_and_answers_of_other_studies_are_refused():
    with pytest.raises(ValueError, match="1 truths and 1 answers must be of the same studies"):
        evaluate_detector([StudyTruth("a", labels())], [StudyAnswer.refused("b", "x")])
    with pytest.raises(ValueError, match="a: labels"):
        StudyTruth("a", (0, 1))
