"""Many studies, one after the other; a bad one is recorded and does not stop the rest."""

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from cspine.domain import ConfigError, NoImages, RenderError
from cspine.report import check_kind
from cspine.stores import FolderSink, RemoteStore, Source, StudySource, open_source
from cspine.workflow.archive import send_results
from cspine.workflow.case import Analyzing, CaseResult, Order, Progress, no_progress, run_case
from cspine.workflow.run import Done, Failed, attempt

_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")
_LONGEST_FOLDER = 100


@dataclass(frozen=True)
class Wish:
    """What is wanted of a source.

    Attributes
    ----------
    kinds
        Kinds of documents, as `cspine.report.RENDERERS` and `GROUPS` name them.
    out
        Where the documents go: of a single study straight into it, of several into a folder each.
    series_uid
        The series to read, or ``None`` for the choice of the written rule.
    study_uid
        The study to read, or ``None`` for all of them.
    archive
        Where DICOM results go besides, or ``None``.
    """

    kinds: tuple[str, ...]
    out: Path
    series_uid: str | None = None
    study_uid: str | None = None
    archive: RemoteStore | None = None

    def __post_init__(self) -> None:
        if not self.kinds:
            raise ConfigError("no format was asked for; give at least one")
        for kind in self.kinds:
            try:
                check_kind(kind)
            except RenderError as error:
                raise ConfigError(str(error)) from error


@dataclass(frozen=True, eq=False)
class StudyOutcome:
    """One study of a source, and how it ended.

    Attributes
    ----------
    folder
        Where its documents are, or would be.
    """

    name: str
    folder: Path
    ended: Done[CaseResult] | Failed

    @property
    def error(self) -> Exception | None:
        """What ended it badly, if anything did."""
        return self.ended.error if isinstance(self.ended, Failed) else None


def run_source(
    path: Path, make_analyzer: Callable[[], Analyzing], wish: Wish, progress: Progress = no_progress
) -> Iterator[StudyOutcome]:
    """Run every study below a path; see `run_opened`.

    Raises
    ------
    Unreachable
        The path cannot be read.
    """
    progress("look for studies", 0.0)
    yield from run_opened(open_source(path), make_analyzer, wish, progress)


def run_opened(
    source: Source, make_analyzer: Callable[[], Analyzing], wish: Wish, progress: Progress = no_progress
) -> Iterator[StudyOutcome]:
    """Run every study of a source, yield how each ended, in the order of their UIDs, and close the source.

    Drop an outcome before taking the next one, so that a single volume is in memory at a time.

    Parameters
    ----------
    make_analyzer
        Called once, beside the search for studies: both take about as long.

    Raises
    ------
    CspineError
        Nothing was found, or the analyzer cannot be made; what befalls single studies stands in their outcomes.
    """
    progress("look for studies", 0.0)
    with source, ThreadPoolExecutor(1) as beside:
        analyzer = beside.submit(make_analyzer)
        studies = _with_series(_of_study(source.studies(), wish.study_uid), wish.series_uid)
        order = Order(analyzer.result(), wish.kinds, progress)
        yield from run_studies(studies, order, wish)


def run_studies(studies: Sequence[StudySource], order: Order, wish: Wish) -> Iterator[StudyOutcome]:
    """Run studies one after the other and yield how each ended."""
    folders = _folders([study.name for study in studies], wish.out)
    for number, (study, folder) in enumerate(zip(studies, folders, strict=True)):
        placed = replace(order, progress=_part(order.progress, number, len(studies)))
        yield StudyOutcome(study.name, folder, attempt(_Job(study, folder, placed, wish)))


@dataclass(frozen=True)
class _Job:
    """One study, ready to be run."""

    study: StudySource
    folder: Path
    order: Order
    wish: Wish

    def __call__(self) -> CaseResult:
        result = run_case(lambda: self.study.load(self.wish.series_uid), self.order, FolderSink(self.folder))
        return result if self.wish.archive is None else send_results(result, self.wish.archive, self.folder)


def _of_study(studies: Sequence[StudySource], study_uid: str | None) -> Sequence[StudySource]:
    """Return the study that is asked for; all of them when none is."""
    if study_uid is None:
        return studies
    wanted = [study for study in studies if study.study_uid == study_uid]
    if not wanted:
        raise NoImages(f"none of the {len(studies)} studies is {study_uid}")
    return wanted


def _with_series(studies: Sequence[StudySource], series_uid: str | None) -> Sequence[StudySource]:
    """Return the studies that have the series; all of them when none is asked for."""
    if series_uid is None or len(studies) == 1:
        return studies
    having = [study for study in studies if not isinstance(_missing(study, series_uid), NoImages)]
    if not having:
        raise NoImages(f"none of the {len(studies)} studies has the series {series_uid}")
    return having


def _missing(study: StudySource, series_uid: str) -> Exception | None:
    tried = attempt(lambda: study.not_used(series_uid))
    return tried.error if isinstance(tried, Failed) else None


def _part(progress: Progress, number: int, count: int) -> Progress:
    """Return a progress of one study that moves the progress of all."""
    if count == 1:
        return progress
    return lambda stage, share: progress(f"study {number + 1} of {count}: {stage}", (number + share) / count)


def _folders(names: Sequence[str], out: Path) -> list[Path]:
    """Return a folder for each study: names made safe and told apart; `out` itself for a single one."""
    if len(names) == 1:
        return [out]
    taken: set[str] = set()
    folders = []
    for name in names:
        safe = _UNSAFE.sub("_", name).strip("._-")[:_LONGEST_FOLDER] or "study"
        free = next(k for k in range(1, len(names) + 1) if _numbered(safe, k).lower() not in taken)
        taken.add(_numbered(safe, free).lower())
        folders.append(out / _numbered(safe, free))
    return folders


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"
