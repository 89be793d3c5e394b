"""The demonstration: a phantom with a known answer goes the whole way, and the answer is checked."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from cspine.dicom import StudyHeader, write_ct_series
from cspine.evaluation import CaseScore, score_case
from cspine.phantom import Case, Coverage, PhantomSpec, Scanner, make_case
from cspine.workflow.case import Analyzing, CaseResult, Progress, no_progress
from cspine.workflow.run import Done
from cspine.workflow.studies import StudyOutcome, Wish, run_source

DEMO_NAME = "DEMO-1"
MAKE_SHARE, WRITE_SHARE, DETECT_SHARE = 0.0, 0.55, 0.6


@dataclass(frozen=True, eq=False)
class DemoResult:
    """The study, and what became of it.

    Attributes
    ----------
    images
        Folder of the DICOM files.
    score
        Against the truth; ``None`` when the study was refused.
    """

    images: Path
    case: Case
    outcome: StudyOutcome
    score: CaseScore | None

    @property
    def right(self) -> bool:
        """Whether every vertebra seen whole has its name and place, and none is invented."""
        return self.score is not None and self.score.right


def demo_spec() -> PhantomSpec:
    """Return the phantom of the demonstration: a whole neck, coarse enough to be made in seconds."""
    scanner = Scanner(field_of_view_mm=170.0, matrix=(192, 192), spacing_mm=1.5, thickness_mm=1.5)
    return PhantomSpec(seed=1, scanner=scanner, coverage=Coverage(top_mm=35.0))


def run_demo(
    folder: Path,
    make_analyzer: Callable[[], Analyzing],
    kinds: tuple[str, ...],
    progress: Progress = no_progress,
    threads: int = 4,
) -> DemoResult:
    """Make a phantom, write it as DICOM below `folder`, run it like any study, and compare with the truth.

    Raises
    ------
    CspineError
        The folder cannot be written, or the analyzer cannot be made.
    """
    wish = Wish(kinds, folder / "result")
    progress("make a phantom", MAKE_SHARE)
    case = make_case(demo_spec(), threads)
    progress("write DICOM", WRITE_SHARE)
    images = folder / "images"
    header = StudyHeader(
        patient_name="Demo^Phantom",
        patient_id=DEMO_NAME,
        study_description="CT cervical spine",
        series_description="Cervical spine, axial",
        is_phantom=True,
    )
    write_ct_series(case.volume, images, header=header)

    def later(stage: str, share: float) -> None:
        progress(stage, DETECT_SHARE + (1 - DETECT_SHARE) * share)

    (outcome,) = run_source(images, make_analyzer, wish, later)
    return DemoResult(
        images, case, outcome, _score(case, outcome.ended.value) if isinstance(outcome.ended, Done) else None
    )


def _score(case: Case, result: CaseResult) -> CaseScore:
    found = replace(result.analysis, labels=result.analysis.labels.canonical())
    return score_case(DEMO_NAME, "demo", case.truth, case.labels.canonical(), found)
