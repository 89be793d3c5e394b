"""One study: stages in order, flags joined, documents whole, nothing sent too early."""

import json
from dataclasses import replace

import numpy as np
import pytest

from cspine.domain import Decision, Flag, FlagCode, OutOfScope, RenderError, Vertebra, WorldBox
from cspine.report import parse_findings
from cspine.stores import FolderSink, Receipt
from cspine.workflow import Order, StageClock, run_case, with_series_flags
from tests.workflow.oracle import coded_series


class Memory:
    """A sink that remembers what was sent, in order."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []

    def send(self, name: str, content: bytes) -> Receipt:
        self.sent.append((name, content))
        return Receipt(name, len(content))


def ticking():
    """Return a clock that advances by one second per look."""
    ticks = iter(range(10_000))
    return lambda: float(next(ticks))


def test_a_study_goes_from_series_to_documents(tmp_path):
    loaded, oracle = coded_series()
    result = run_case(lambda: loaded, Order(oracle, ("json", "html")), FolderSink(tmp_path / "out"))
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"findings.json", "report.html"}
    said = parse_findings((tmp_path / "out" / "findings.json").read_bytes())
    assert [f.center_lps_mm for f in said.vertebrae] == [f.center_lps_mm for f in result.analysis.findings.vertebrae]
    assert result.documents["html"] == (tmp_path / "out" / "report.html").read_bytes()
    assert [r.where for r in result.receipts] == [str(tmp_path / "out" / n) for n in ("report.html", "findings.json")]


def test_findings_are_sent_last_whatever_the_order_that_was_asked_for():
    loaded, oracle = coded_series()
    sink = Memory()
    run_case(lambda: loaded, Order(oracle, ("json", "html")), sink)
    assert [name for name, _ in sink.sent] == ["report.html", "findings.json"]


def test_every_stage_is_timed_once_and_the_document_holds_those_before_it():
    loaded, oracle = coded_series()
    result = run_case(lambda: loaded, Order(oracle, ("json",), clock=ticking()), Memory())
    assert result.timings_s == {"read": 1.0, "analyze": 1.0, "remember": 1.0, "render": 1.0, "send": 1.0}
    assert json.loads(result.documents["json"])["timings_s"] == {"read": 1.0, "analyze": 1.0, "remember": 1.0}


def test_a_stage_that_comes_back_adds_up():
    clock = StageClock(ticking())
    for stage in ("a", "b", "a"):
        clock.start(stage)
    clock.stop()
    clock.stop()
    assert clock.timings_s == {"a": 2.0, "b": 1.0}


def test_progress_rises_from_nothing_to_all():
    loaded, oracle = coded_series()
    seen = []
    run_case(lambda: loaded, Order(oracle, ("json",), progress=lambda s, x: seen.append((s, x))), Memory())
    shares = [share for _, share in seen]
    assert shares == sorted(shares)
    assert seen[0] == ("read", 0.0)
    assert seen[-1] == ("done", 1.0)
    assert "remember" in [stage for stage, _ in seen]


def test_flags_of_the_series_join_those_of_the_analysis_once():
    tilt = Flag(FlagCode.GANTRY_TILT, "the stack is tilted by 3.0°")
    loaded, oracle = coded_series(flags=(tilt, tilt))
    result = run_case(lambda: loaded, Order(oracle, ("json",)), Memory())
    assert [f.code for f in result.analysis.findings.flags] == [FlagCode.NO_FRACTURE_MODEL, FlagCode.GANTRY_TILT]


def test_missing_slices_name_the_levels_that_they_cross():
    gap = WorldBox((-100.0, -100.0, 446.0), (100.0, 100.0, 449.0))
    missing = Flag(FlagCode.MISSING_SLICES, "slices are missing")
    loaded, oracle = coded_series(flags=(missing,), gaps=(gap,))
    analysis = oracle.analyze(loaded.volume, lambda stage, share: None)
    # C3 is centered at 500 − 18 − 35.5 = 446.5 mm, and 13 mm high.
    (flag,) = [f for f in with_series_flags(analysis, loaded).findings.flags if f.code is FlagCode.MISSING_SLICES]
    assert flag.vertebrae == (Vertebra.C3,)


def test_missing_slices_outside_the_neck_name_nobody():
    gap = WorldBox((-100.0, -100.0, 900.0), (100.0, 100.0, 905.0))
    loaded, oracle = coded_series(flags=(Flag(FlagCode.MISSING_SLICES, "slices are missing"),), gaps=(gap,))
    analysis = oracle.analyze(loaded.volume, lambda stage, share: None)
    assert with_series_flags(analysis, loaded).findings.flags[-1].vertebrae == ()


def test_of_a_child_vertebrae_are_named_and_nothing_is_said_about_fractures():
    child = Flag(FlagCode.CHILD, "the patient is 8 years old")
    loaded, oracle = coded_series(flags=(child,))
    analysis = oracle.analyze(loaded.volume, lambda stage, share: None)
    sure = tuple(replace(f, probability=0.97, decision=Decision.RULE_IN) for f in analysis.findings.vertebrae)
    judged = replace(analysis.findings, vertebrae=sure, probability=0.98, decision=Decision.RULE_IN)
    findings = with_series_flags(replace(analysis, findings=judged), loaded).findings
    assert findings.decision is Decision.NOT_ASSESSED
    assert findings.probability is None
    assert {(f.probability, f.decision, f.reason) for f in findings.vertebrae} == {
        (None, Decision.NOT_ASSESSED, "the patient is 8 years old")
    }
    assert [f.center_lps_mm for f in findings.vertebrae] == [f.center_lps_mm for f in sure]


def test_nothing_is_sent_when_a_document_cannot_be_made():
    loaded, oracle = coded_series()
    sink = Memory()
    with pytest.raises(RenderError, match="unknown format 'docx'"):
        run_case(lambda: loaded, Order(oracle, ("json", "docx")), sink)
    assert sink.sent == []


def test_a_refusal_of_the_analyzer_passes_unchanged():
    loaded, _ = coded_series()

    class Refusing:
        def analyze(self, volume, progress):
            raise OutOfScope("no cervical vertebra found")

    with pytest.raises(OutOfScope, match="no cervical vertebra found"):
        run_case(lambda: loaded, Order(Refusing(), ("json",)), Memory())


def test_the_volume_is_not_changed_on_its_way():
    loaded, oracle = coded_series()
    before = np.array(loaded.volume.hu)
    run_case(lambda: loaded, Order(oracle, ("json", "html")), Memory())
    np.testing.assert_array_equal(loaded.volume.hu, before)
