"""Run a bundle over an acceptance suite and compare what it says with what it must say."""

from dataclasses import dataclass

from cspine.datasets import AcceptanceStudy, AcceptanceSuite
from cspine.domain import Analysis
from cspine.evaluation import AcceptanceRecord, Check, check_study
from cspine.stores import Receipt, open_source
from cspine.workflow.case import Analyzing, Order, Progress, no_progress, run_case
from cspine.workflow.run import Failed, attempt


@dataclass(frozen=True)
class UnderTest:
    """What is tested, and when: printed on the record.

    Attributes
    ----------
    date
        ``YYYY-MM-DD``, given by the caller.
    """

    model_id: str
    model_name: str
    software: str
    date: str


def run_acceptance(
    suite: AcceptanceSuite, analyzer: Analyzing, tested: UnderTest, progress: Progress = no_progress
) -> AcceptanceRecord:
    """Analyze every study of a suite and return the table.

    An error ends its study and stands in the table; the others go on.

    Parameters
    ----------
    progress
        Called with the name of a study before it is read, and the share of all that is done.

    Raises
    ------
    StoreError
        Images are missing or not those of the suite: such a table would be worth nothing.
    """
    for study in suite.studies:
        study.check_unchanged()
    checks: list[Check] = []
    for number, study in enumerate(suite.studies):
        progress(study.expected.name, number / len(suite.studies))
        checks.extend(check_study(study.expected, _ended(study, analyzer)))
    progress("done", 1.0)
    return AcceptanceRecord(
        suite=suite.identity,
        date=tested.date,
        model_id=tested.model_id,
        model_name=tested.model_name,
        software=tested.software,
        titles={study.expected.name: study.expected.title for study in suite.studies},
        checks=tuple(checks),
    )


def _ended(study: AcceptanceStudy, analyzer: Analyzing) -> Analysis | Exception:
    def job() -> Analysis:
        with open_source(study.folder) as source:
            (only,) = source.studies()
            return run_case(only.load, Order(analyzer, ()), _NoSink()).analysis

    ended = attempt(job)
    return ended.error if isinstance(ended, Failed) else ended.value


class _NoSink:
    """Takes no documents: none are rendered."""

    def send(self, name: str, content: bytes) -> Receipt:
        raise AssertionError(f"{name} was rendered although nothing was asked for")
