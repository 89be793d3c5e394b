"""The second job: analyze a study, keep its documents, and say what lists need to know."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cspine.domain import StoreError
from cspine.report import GROUPS
from cspine.service.shown import keep_shown
from cspine.service.sorting import IMAGES
from cspine.service.studies import Result
from cspine.stores import FolderSink, StudySource, open_source
from cspine.workflow import Analyzing, CaseResult, Order, Progress, run_case

RESULTS = "results"


@dataclass(frozen=True)
class Attempt:
    """Which try of which job: its documents go into a folder of their own.

    Attributes
    ----------
    folder
        Of the study.
    """

    folder: Path
    job_id: int
    number: int
    token: str

    @property
    def name(self) -> str:
        """Folder of the documents, relative to that of the study."""
        return f"{RESULTS}/{self.job_id}-{self.number}-{self.token}"


def analyze_study(
    attempt: Attempt, analyzer: Analyzing, kinds: tuple[str, ...], progress: Progress
) -> tuple[CaseResult, Result]:
    """Analyze one study and write its documents, and what the viewer reads, into the attempt's folder.

    Raises
    ------
    InputError
        The study is refused.
    CspineError
        A document cannot be made, or the disk is full.
    """
    out = attempt.folder / attempt.name
    with open_source(_opened(attempt.folder / IMAGES)) as source:
        study: StudySource = source.studies()[0]
        order = Order(analyzer, _possible(kinds, study), _below_one(progress))
        case = run_case(study.load, order, FolderSink(out))
    progress("keep images", 0.98)
    keep_shown(out, case.loaded, case.analysis)
    findings = case.analysis.findings
    phantom = case.loaded.header.is_phantom
    return case, Result(findings.decision, findings.probability, phantom, attempt.name)


def drop_results(folder: Path, kept: str | None) -> None:
    """Remove the results of a study that nothing points to: of attempts that died half-way."""
    with suppress(FileNotFoundError):
        for path in (folder / RESULTS).iterdir():
            if f"{RESULTS}/{path.name}" != kept:
                shutil.rmtree(path, ignore_errors=True)


def _opened(images: Path) -> Path:
    """Return the one file of a NIfTI study, else the folder."""
    try:
        first = next(images.iterdir(), None)
    except OSError as error:
        raise StoreError(f"the images of this study cannot be read: {error.strerror or error}") from error
    return first if first is not None and ".nii" in first.name else images


def _possible(kinds: tuple[str, ...], study: StudySource) -> tuple[str, ...]:
    """Leave out DICOM documents of a study that is not DICOM."""
    if study.study_uid is not None:
        return kinds
    of_groups = {member for members in GROUPS.values() for member in members} | set(GROUPS)
    return tuple(kind for kind in kinds if kind not in of_groups)


def _below_one(progress: Progress) -> Callable[[str, float], None]:
    return lambda stage, share: progress(stage, min(share, 0.98) if stage != "done" else 0.98)
