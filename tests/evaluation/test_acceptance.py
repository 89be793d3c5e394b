"""The table of an acceptance test: the truth passes every row, each kind of mistake fails the row that asks for it."""

from dataclasses import replace

import pytest

from cspine.domain import (
    CERVICAL,
    Analysis,
    Decision,
    Flag,
    FlagCode,
    Location,
    NotAVolume,
    OutOfScope,
    Vertebra,
    VertebraFinding,
    WorldBox,
)
from cspine.evaluation import (
    AcceptanceRecord,
    Expectation,
    ExpectedFracture,
    ExpectedLevel,
    Verdict,
    check_study,
)
from tests.evaluation.builders import told, true_finding

BOX = WorldBox((-5.0, 0.0, 60.0), (5.0, 8.0, 70.0))
THICK = Flag(FlagCode.THICK_SLICES, "slices are 3 mm apart")
NO_MODEL = Flag(FlagCode.NO_FRACTURE_MODEL, "Fractures were not assessed.")


def center(vertebra: Vertebra) -> tuple[float, float, float]:
    return (0.0, 10.0, 100.0 - 17.0 * (vertebra - 1))


def expected(cut: Vertebra | None = None, absent: Vertebra | None = None, **changes: object) -> Expectation:
    """Return a neck with a fracture of C3; one level may be cut, one out of view."""
    levels = tuple(ExpectedLevel(v, 0.4 if v is cut else 1.0, center(v)) for v in CERVICAL if v is not absent)
    fracture = ExpectedFracture(Vertebra.C3, "lamina", 4, BOX)
    values: dict = {"levels": levels, "fractures": (fracture,), "flags": (FlagCode.THICK_SLICES,)}
    return Expectation("one", "One study", **(values | changes))


def said(of: Expectation, **levels: VertebraFinding) -> Analysis:
    """Return what is true, and that slices are thick."""
    return told(of, {Vertebra[name]: finding for name, finding in levels.items()}, (THICK,))


def failed(of: Expectation, ended: Analysis | Exception) -> list[str]:
    return [check.question for check in check_study(of, ended) if check.verdict is Verdict.FAIL]


def changed(analysis: Analysis, **values: object) -> Analysis:
    return replace(analysis, findings=replace(analysis.findings, **values))


@pytest.mark.parametrize("of", [expected(), expected(fractures=()), expected(cut=Vertebra.C7, absent=Vertebra.C1)])
def test_the_truth_passes_every_row(of):
    checks = check_study(of, said(of))
    assert [check.verdict for check in checks] == [Verdict.PASS] * len(checks)


def test_every_fracture_has_two_rows_of_its_own():
    questions = [check.question for check in check_study(expected(), said(expected()))]
    assert questions == [
        "is analyzed",
        "says: thick-slices",
        "names the levels seen whole",
        "finds lamina at C3",
        "shows where lamina at C3 is",
        "calls no intact level fractured",
    ]


def test_without_a_fracture_model_the_rows_about_fractures_are_not_applicable():
    of = expected()
    checks = check_study(of, changed(said(of), flags=(*said(of).findings.flags, NO_MODEL)))
    about = {check.question: check.verdict for check in checks}
    assert about["finds lamina at C3"] is Verdict.NOT_APPLICABLE
    assert about["shows where lamina at C3 is"] is Verdict.NOT_APPLICABLE
    assert about["calls no intact level fractured"] is Verdict.NOT_APPLICABLE
    assert about["names the levels seen whole"] is Verdict.PASS


def finding(v: Vertebra, **changes: object) -> VertebraFinding:
    of = expected()
    level = next(level for level in of.levels if level.vertebra is v)
    fracture = next((f for f in of.fractures if f.vertebra is v), None)
    return replace(true_finding(v, level, fracture), **changes)


MISTAKES = {
    "a fracture is missed": ({"C3": finding(Vertebra.C3, decision=Decision.RULE_OUT)}, "finds lamina at C3"),
    "a fracture is left uncertain": ({"C3": finding(Vertebra.C3, decision=Decision.UNCERTAIN)}, "finds lamina at C3"),
    "a fracture is seen elsewhere": (
        {"C3": finding(Vertebra.C3, locations=(Location(0.9, None, WorldBox((20, 0, 60), (30, 8, 70))),))},
        "shows where lamina at C3 is",
    ),
    "a fracture has no place": ({"C3": finding(Vertebra.C3, locations=())}, "shows where lamina at C3 is"),
    "an intact level is called fractured": (
        {"C6": finding(Vertebra.C6, decision=Decision.RULE_IN)},
        "calls no intact level fractured",
    ),
    "a level is off": (
        {"C5": finding(Vertebra.C5, center_lps_mm=(0.0, 10.0, 100.0 - 17.0 * 4 + 9))},
        "names the levels seen whole",
    ),
    "a level is not reported": (
        {"C5": VertebraFinding(Vertebra.C5, None, Decision.NOT_ASSESSED, 0.0)},
        "names the levels seen whole",
    ),
}


@pytest.mark.parametrize(("wrong", "question"), MISTAKES.values(), ids=MISTAKES.keys())
def test_each_mistake_fails_its_row_and_no_other(wrong, question):
    assert failed(expected(), said(expected(), **wrong)) == [question]


def test_a_level_that_is_not_in_view_must_not_be_reported():
    of = expected(absent=Vertebra.C1)
    invented = finding(Vertebra.C1, decision=Decision.UNCERTAIN)
    assert failed(of, said(of, C1=invented)) == ["reports no level that is not in view"]


def test_nothing_is_ruled_out_that_is_not_seen_whole():
    of = expected(cut=Vertebra.C7)
    level = finding(Vertebra.C7, visible_fraction=0.4)
    assert failed(of, said(of, C7=level)) == ["rules out nothing that is not seen whole"]
    study = changed(said(of), decision=Decision.RULE_OUT)
    (row,) = [c for c in check_study(of, study) if c.verdict is Verdict.FAIL]
    assert (row.question, row.found) == ("rules out nothing that is not seen whole", "the study")


def test_a_flag_that_is_not_raised_fails_and_the_row_says_which_were():
    of = expected(flags=(FlagCode.GANTRY_TILT,))
    (row,) = [c for c in check_study(of, said(of)) if c.verdict is Verdict.FAIL]
    assert row.question == "says: gantry-tilt"
    assert row.found == "not said (thick-slices)"


def test_a_study_that_must_be_analyzed_and_is_refused_has_one_failed_row():
    (row,) = check_study(expected(), NotAVolume("two slices at one place", "2.25.1"))
    assert (row.question, row.verdict) == ("is analyzed", Verdict.FAIL)
    assert row.found == "NotAVolume: 2.25.1: two slices at one place"


@pytest.mark.parametrize(
    ("ended", "verdict"),
    [
        (OutOfScope("no neck"), Verdict.PASS),
        (NotAVolume("x", "y"), Verdict.FAIL),
        (ZeroDivisionError("a crash"), Verdict.FAIL),
        (said(expected()), Verdict.FAIL),
    ],
    ids=["the right refusal", "another refusal", "a crash", "an answer"],
)
def test_a_study_that_must_be_refused(ended, verdict):
    (row,) = check_study(Expectation("chest", "A chest", ("OutOfScope",)), ended)
    assert (row.question, row.expected, row.verdict) == ("is refused", "OutOfScope", verdict)


def record(*ended: Analysis | Exception) -> AcceptanceRecord:
    checks = tuple(check for one in ended for check in check_study(expected(), one))
    return AcceptanceRecord("version 1", "2026-01-31", "0" * 64, "oracle", "tests", {"one": "One study"}, checks)


def test_a_record_passes_when_something_passed_and_nothing_failed():
    assert record(said(expected())).passed
    assert not record(said(expected()), OutOfScope("no neck")).passed
    assert not record().passed
    counts = record(said(expected()), OutOfScope("no neck")).counts
    assert counts == {Verdict.PASS: 6, Verdict.FAIL: 1, Verdict.NOT_APPLICABLE: 0}
