"""Compare what a system says about known studies with what it must say: the table of an acceptance test.

A row is a question with the expected and the found answer. Questions about fractures are "not applicable" as long as
a bundle says that it has no fracture model.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from cspine.domain import (
    CERVICAL,
    Analysis,
    CspineError,
    Decision,
    Findings,
    FlagCode,
    Vertebra,
    VertebraFinding,
    WorldBox,
    level_runs,
)
from cspine.evaluation.vertebrae import CENTER_LIMIT_MM, WHOLE

_LONGEST = 200


class Verdict(StrEnum):
    """How a row of the table ends."""

    PASS = "pass"
    FAIL = "fail"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class ExpectedLevel:
    """A cervical vertebra of which any part is in view; the rest is not.

    Attributes
    ----------
    visible_fraction
        Of its volume, 0 … 1.
    """

    vertebra: Vertebra
    visible_fraction: float
    center_lps_mm: tuple[float, float, float]

    @property
    def whole(self) -> bool:
        """Whether it is seen whole."""
        return self.visible_fraction >= WHOLE


@dataclass(frozen=True)
class ExpectedFracture:
    """A fracture that must be found, and the box round what is in view of it."""

    vertebra: Vertebra
    type: str
    severity: int
    box_lps_mm: WorldBox


@dataclass(frozen=True)
class Expectation:
    """What a system must say about one study.

    Attributes
    ----------
    name, title
        For files, and for people.
    refused_as
        Names of the errors one of which must refuse it; empty when it must be analyzed.
    flags
        Codes that must be among its flags.
    levels
        Head to foot.
    """

    name: str
    title: str
    refused_as: tuple[str, ...] = ()
    flags: tuple[FlagCode, ...] = ()
    levels: tuple[ExpectedLevel, ...] = ()
    fractures: tuple[ExpectedFracture, ...] = ()


@dataclass(frozen=True)
class Check:
    """One row of the table."""

    study: str
    question: str
    expected: str
    found: str
    verdict: Verdict


@dataclass(frozen=True)
class AcceptanceRecord:
    """What a hospital files.

    Attributes
    ----------
    suite
        Version and hash of the set of studies.
    date
        As the caller gave it.
    model_id, model_name, software
        What was tested.
    titles
        By name of the study, in order.
    """

    suite: str
    date: str
    model_id: str
    model_name: str
    software: str
    titles: dict[str, str]
    checks: tuple[Check, ...]
    counts: dict[Verdict, int] = field(init=False)

    def __post_init__(self) -> None:
        counted = Counter(check.verdict for check in self.checks)
        object.__setattr__(self, "counts", {verdict: counted[verdict] for verdict in Verdict})

    @property
    def passed(self) -> bool:
        """Whether no row failed, and any passed."""
        return self.counts[Verdict.FAIL] == 0 and self.counts[Verdict.PASS] > 0


def check_study(expected: Expectation, ended: Analysis | Exception) -> tuple[Check, ...]:
    """Return the rows of one study.

    Parameters
    ----------
    ended
        What the system made of it: flags of the series included; or the error that ended it.
    """
    table = _Table(expected)
    if expected.refused_as:
        table.refused(ended)
    elif isinstance(ended, Analysis):
        table.add("is analyzed", "a result", "a result", True)
        table.answered(ended.findings)
    else:
        table.add("is analyzed", "a result", _named(ended), False)
    return tuple(table.rows)


class _Table:
    """Collects the rows of one study."""

    def __init__(self, expected: Expectation) -> None:
        self._expected = expected
        self.rows: list[Check] = []

    def add(self, question: str, expected: str, found: str, right: bool | None) -> None:
        verdict = Verdict.NOT_APPLICABLE if right is None else Verdict.PASS if right else Verdict.FAIL
        self.rows.append(Check(self._expected.name, question, expected, found, verdict))

    def refused(self, ended: Analysis | Exception) -> None:
        kinds = self._expected.refused_as
        wanted = " or ".join(kinds)
        if isinstance(ended, Analysis):
            self.add("is refused", wanted, f"a result: {ended.findings.decision.value}", False)
        else:
            # Not any error will do: a crash is no refusal.
            right = isinstance(ended, CspineError) and type(ended).__name__ in kinds
            self.add("is refused", wanted, _named(ended), right)

    def answered(self, findings: Findings) -> None:
        self._flags(findings)
        self._levels(findings)
        self._withheld(findings)
        self._fractures(findings)

    def _flags(self, findings: Findings) -> None:
        raised = {flag.code for flag in findings.flags}
        for code in self._expected.flags:
            said = [flag.message for flag in findings.flags if flag.code is code]
            found = said[0] if said else f"not said ({_listed(sorted(raised)) or 'no flag at all'})"
            self.add(f"says: {code.value}", "a flag", found, bool(said))

    def _levels(self, findings: Findings) -> None:
        whole = [level for level in self._expected.levels if level.whole]
        wrong = [text for level in whole if (text := _wrong_place(level, findings))]
        if whole:
            expected = f"{level_runs(v.vertebra for v in whole)}, each within {CENTER_LIMIT_MM:g} mm"
            self.add("names the levels seen whole", expected, "; ".join(wrong) or "all of them", not wrong)
        in_view = {level.vertebra for level in self._expected.levels}
        absent = [v for v in CERVICAL if v not in in_view]
        invented = [v.name for v in absent if findings.of(v).visible_fraction > 0]
        if absent:
            self.add(
                "reports no level that is not in view",
                f"nothing of {level_runs(absent)}",
                _listed(invented) or "nothing",
                not invented,
            )

    def _withheld(self, findings: Findings) -> None:
        """Of a level that is not seen whole, and then of the study, the negative must be withheld."""
        whole = {level.vertebra for level in self._expected.levels if level.whole}
        part = [v for v in CERVICAL if v not in whole]
        said = [v.name for v in part if findings.of(v).decision is Decision.RULE_OUT]
        said += ["the study"] * (findings.decision is Decision.RULE_OUT)
        if part:
            levels = level_runs(part)
            self.add(
                "rules out nothing that is not seen whole",
                f"no rule-out of {levels}",
                _listed(said) or "none",
                not said,
            )

    def _fractures(self, findings: Findings) -> None:
        assessed = all(flag.code is not FlagCode.NO_FRACTURE_MODEL for flag in findings.flags)
        no_model = "no fracture model in this bundle"
        for fracture in self._expected.fractures:
            finding = findings.of(fracture.vertebra)
            what = f"{fracture.type} at {fracture.vertebra.name}"
            decision = _said(finding) if assessed else no_model
            found = finding.decision is Decision.RULE_IN
            self.add(f"finds {what}", Decision.RULE_IN.value, decision, found if assessed else None)
            near = any(_overlap(place.box_lps_mm, fracture.box_lps_mm) for place in finding.locations)
            place = f"{len(finding.locations)} places at this level, {'one' if near else 'none'} on the fracture"
            self.add(
                f"shows where {what} is", "a place on it", place if assessed else no_model, near if assessed else None
            )
        broken = {fracture.vertebra for fracture in self._expected.fractures}
        intact = [v.vertebra for v in self._expected.levels if v.whole and v.vertebra not in broken]
        if intact:
            called = [v.name for v in intact if findings.of(v).decision is Decision.RULE_IN]
            expected = f"no rule-in of {level_runs(intact)}"
            found_text = _listed(called) or "none" if assessed else no_model
            self.add("calls no intact level fractured", expected, found_text, not called if assessed else None)


def _wrong_place(level: ExpectedLevel, findings: Findings) -> str | None:
    """Return what is wrong with the place of a vertebra, if anything."""
    finding = findings.of(level.vertebra)
    if finding.center_lps_mm is None or finding.visible_fraction == 0:
        return f"{level.vertebra.name} not reported"
    off = float(np.linalg.norm(np.subtract(finding.center_lps_mm, level.center_lps_mm)))
    return f"{level.vertebra.name} off by {off:.0f} mm" if off > CENTER_LIMIT_MM else None


def _said(finding: VertebraFinding) -> str:
    if finding.probability is None:
        return finding.decision.value
    return f"{finding.decision.value}, {finding.probability:.0%}"


def _overlap(a: WorldBox, b: WorldBox) -> bool:
    ends = zip(a.min_lps_mm, a.max_lps_mm, b.min_lps_mm, b.max_lps_mm, strict=True)
    return all(low_a <= high_b and low_b <= high_a for low_a, high_a, low_b, high_b in ends)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_LONGEST]
