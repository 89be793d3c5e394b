"""An acceptance test from the folder to the record: the truth passes, a wrong answer shows as a failed row."""

from pathlib import Path

import pytest

from cspine.datasets import AcceptanceSuite
from cspine.domain import Analysis, Decision, Flag, FlagCode, OutOfScope, Rejected, Vertebra, VertebraFinding, Volume
from cspine.evaluation import Verdict
from cspine.workflow import UnderTest, run_acceptance
from tests.datasets.acceptance_builders import coded_suite
from tests.evaluation.builders import told

TESTED = UnderTest("ab" * 32, "oracle", "cspine tests", "2026-01-31")
# What the pipeline says by itself; everything else comes from the series.
OWN_FLAGS = (FlagCode.PARTIAL_COVERAGE,)


class Oracle:
    """Knows which study comes next, and what is true of it."""

    def __init__(self, suite: AcceptanceSuite) -> None:
        self._expected = {study.expected.name: study.expected for study in suite.studies}
        self._now = ""

    def next_is(self, name: str, share: float) -> None:
        self._now = name

    def analyze(self, volume: Volume, progress) -> Analysis:
        expected = self._expected[self._now]
        if expected.refused_as:
            raise OutOfScope("no cervical vertebra found")
        flags = tuple(Flag(code, "it is so") for code in expected.flags if code in OWN_FLAGS)
        return self.answer(expected, flags)

    def answer(self, expected, flags) -> Analysis:
        return told(expected, None, flags)


class Confused(Oracle):
    """Never finds C5, whatever the study."""

    def answer(self, expected, flags) -> Analysis:
        lost = VertebraFinding(Vertebra.C5, None, Decision.NOT_ASSESSED, 0.0)
        return told(expected, {Vertebra.C5: lost}, flags)


class Crashing(Oracle):
    """Breaks down."""

    def analyze(self, volume: Volume, progress) -> Analysis:
        raise ZeroDivisionError("a mistake")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("acceptance") / "suite"


@pytest.fixture(scope="module")
def suite(root) -> AcceptanceSuite:
    return coded_suite(root)


def run(oracle: Oracle, suite: AcceptanceSuite):
    return run_acceptance(suite, oracle, TESTED, oracle.next_is)


def test_an_analyzer_that_is_fed_the_truth_passes(suite):
    record = run(Oracle(suite), suite)
    assert [c for c in record.checks if c.verdict is not Verdict.PASS] == []
    assert record.passed
    assert list(record.titles) == [study.expected.name for study in suite.studies]
    assert (record.model_id, record.date, record.software) == ("ab" * 32, "2026-01-31", "cspine tests")
    assert suite.sha256 in record.suite


def test_what_an_analyzer_gets_wrong_fails_in_every_study_that_shows_it(suite):
    record = run(Confused(suite), suite)
    failed = [(c.study, c.question) for c in record.checks if c.verdict is Verdict.FAIL]
    analyzed = [s.expected.name for s in suite.studies if not s.expected.refused_as]
    assert [study for study, question in failed if question == "names the levels seen whole"] == analyzed
    assert not record.passed


def test_a_crash_fails_every_study_even_one_that_must_be_refused(suite):
    record = run(Crashing(suite), suite)
    assert [c.verdict for c in record.checks] == [Verdict.FAIL] * len(suite.studies)
    assert {c.found for c in record.checks} == {"ZeroDivisionError: a mistake"}


def test_progress_names_the_studies_and_rises(suite):
    seen = []

    def remember(name: str, share: float) -> None:
        seen.append((name, share))

    run_acceptance(suite, Crashing(suite), TESTED, remember)
    assert [name for name, _ in seen] == [*(s.expected.name for s in suite.studies), "done"]
    assert [share for _, share in seen] == sorted(share for _, share in seen)


def test_no_table_is_made_of_images_that_are_not_those_of_the_suite(suite, root):
    extra = suite.studies[-1].folder / "extra.dcm"
    extra.touch()
    try:
        with pytest.raises(Rejected, match="images differ"):
            run(Oracle(suite), suite)
    finally:
        extra.unlink()
