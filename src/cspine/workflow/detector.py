"""Evaluate a detector: analyze the studies of a set where they are not yet, score all, draw the worst, write the page.

::

    out/evaluation.html, evaluation.json, figures.csv, curves.csv, studies.csv
    out/studies/<uid>/findings.json, cost.json      where the bundle was run; a run that stopped goes on
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cspine.datasets import KnownStudy, described, measured_noise_hu, noise_group, read_answer, series_of
from cspine.dicom import write_atomically
from cspine.domain import BundleIncompatible, InputError, NoImages, StoreError, Unreachable, Vertebra
from cspine.evaluation import (
    RSNA_PRIORS,
    DetectorEvaluation,
    EvaluationSettings,
    Priors,
    ReaderCalls,
    StudyAnswer,
    StudyTruth,
    WorstCase,
    evaluate_detector,
    read_priors,
    read_triage,
)
from cspine.report import (
    EvaluationTitle,
    Frames,
    Picture,
    case_pictures,
    curves_csv,
    evaluation_html,
    evaluation_json,
    figures_csv,
    studies_csv,
)
from cspine.stores import FolderSink, StudySource, open_source
from cspine.workflow.case import Analyzing, Order, Progress, no_progress, run_case
from cspine.workflow.run import Failed, attempt

STUDIES, FINDINGS, COST = "studies", "findings.json", "cost.json"
NO_ANSWER = "no findings of this study were given"
NOISE = "noise"


@dataclass(frozen=True, eq=False)
class AnsweredSet:
    """Truths and answers of the same studies, in order.

    Attributes
    ----------
    notes
        What of single studies could not be used, in words.
    """

    known: tuple[KnownStudy, ...]
    answers: tuple[StudyAnswer, ...]
    notes: tuple[str, ...] = ()

    @property
    def truths(self) -> tuple[StudyTruth, ...]:
        """Truths alone."""
        return tuple(study.truth for study in self.known)


@dataclass(frozen=True)
class Beside:
    """What else is compared.

    Attributes
    ----------
    systems
        Answers of other systems by name, each by study.
    """

    readers: tuple[ReaderCalls, ...] = ()
    systems: Mapping[str, Mapping[str, StudyAnswer]] = field(default_factory=dict)


def answered_by_bundle(
    known: Sequence[KnownStudy], analyzer: Analyzing, model_id: str, out: Path, progress: Progress = no_progress
) -> AnsweredSet:
    """Analyze every study that this bundle has not answered in `out` yet; a refused one is an answer, too.

    Raises
    ------
    NoImages
        None of the studies has images.
    StoreError
        The folder cannot be written, or the disk is full.
    """
    if not any(study.has_images for study in known):
        raise NoImages(f"{known[0].files.folder.parent}: none of the {len(known)} studies has images there")
    answers: list[StudyAnswer] = []
    traits: list[str | None] = []
    for number, study in enumerate(known):
        progress(f"study {number + 1} of {len(known)}", number / len(known))
        folder = out / STUDIES / study.files.uid
        kept = _kept(folder, model_id)
        answer = kept or _analyzed(study, analyzer, folder)
        answers.append(answer)
        traits.append(_noise_trait(folder))
    progress("headers", 1.0)
    return _with_headers([_with_trait(s, t) for s, t in zip(known, traits, strict=True)], answers)


def answered_by_findings(
    known: Sequence[KnownStudy], given: Mapping[str, StudyAnswer], *, only_answered: bool = False
) -> AnsweredSet:
    """Put given answers beside the truths.

    Parameters
    ----------
    only_answered
        Leave out studies without an answer; otherwise nothing of them was assessed.

    Raises
    ------
    InputError
        No answer is about any of the studies.
    """
    if not any(study.files.uid in given for study in known):
        raise InputError(f"none of the {len(given)} answers is about one of the {len(known)} studies of the set")
    kept = [study for study in known if study.files.uid in given or not only_answered]
    answers = [given.get(s.files.uid) or StudyAnswer.refused(s.files.uid, NO_ANSWER) for s in kept]
    found = _with_headers(kept, answers)
    notes = list(found.notes)
    unknown = len(set(given) - {study.files.uid for study in known})
    if unknown:
        notes.append(f"{unknown} answers are about studies that the set does not have; they were left out")
    if len(kept) < len(known):
        notes.append(f"{len(known) - len(kept)} studies without an answer were left out, as was asked for")
    return replace(found, notes=tuple(notes))


def tuning_priors(calibration: Mapping[str, Any]) -> Priors:
    """Return the priors that a bundle's calibration names; those of RSNA 2022 where it names none.

    Raises
    ------
    BundleIncompatible
        They are impossible.
    """
    told = calibration.get("priors")
    try:
        return RSNA_PRIORS if told is None else read_priors(told)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleIncompatible(f"manifest: priors of the calibration are wrong ({error}); export it again") from error


def stated_errors(calibration: Mapping[str, Any]) -> tuple[str, ...]:
    """Return which error levels the rules of a bundle state, in words; nothing where it has none."""
    if "study_rule" not in calibration:
        return ()
    triage = read_triage(calibration)
    level, study = triage.level_rules[0].errors, triage.study_rule.errors
    return (
        f"The bundle states, on {triage.chosen_on}: of fractured vertebrae at most {level.miss:.1%} ruled out, of "
        f"others at most {level.false_alarm:.1%} ruled in; of studies by their own score {study.miss:.1%} and "
        f"{study.false_alarm:.1%}. Compare with the coverage of what was assessed.",
    )


def run_evaluation(
    answered: AnsweredSet, settings: EvaluationSettings, beside: Beside | None = None
) -> DetectorEvaluation:
    """Score answers beside truths, readers and other systems."""
    beside = beside or Beside()
    others = {
        name: [given.get(t.uid) or StudyAnswer.refused(t.uid, NO_ANSWER) for t in answered.truths]
        for name, given in beside.systems.items()
    }
    return evaluate_detector(answered.truths, answered.answers, settings, beside.readers, others)


def write_evaluation(
    evaluation: DetectorEvaluation,
    answered: AnsweredSet,
    title: EvaluationTitle,
    out: Path,
    progress: Progress = no_progress,
) -> Path:
    """Draw the worst cases and write page, JSON and tables below `out`; return the page.

    Raises
    ------
    StoreError
        The folder cannot be written, or the disk is full.
    """
    by_uid = {study.files.uid: (study, a) for study, a in zip(answered.known, answered.answers, strict=True)}
    drawn: dict[tuple[str, Vertebra], tuple[Picture, ...]] = {}
    for number, case in enumerate(evaluation.worst):
        progress(f"picture {number + 1} of {len(evaluation.worst)}", number / len(evaluation.worst))
        try:
            drawn[case.uid, case.vertebra] = _drawn(*by_uid[case.uid], case)
        except (InputError, Unreachable):
            continue  # told in words alone
    title = replace(title, notes=(*title.notes, *answered.notes))
    documents = {
        "figures.csv": figures_csv(evaluation),
        "curves.csv": curves_csv(evaluation),
        "studies.csv": studies_csv(evaluation),
        "evaluation.json": evaluation_json(evaluation, title),
        "evaluation.html": evaluation_html(evaluation, title, drawn),
    }
    for name, content in documents.items():
        write_atomically(out / name, content)
    return out / "evaluation.html"


def _kept(folder: Path, model_id: str) -> StudyAnswer | None:
    """Return what this bundle said of a study in an earlier run."""
    path = folder / FINDINGS
    if not path.is_file():
        return None
    try:
        same = json.loads(path.read_bytes())["model"]["id"] == model_id
        return replace(read_answer(path), uid=folder.name) if same else None
    except (OSError, ValueError, KeyError, TypeError, InputError):
        return None  # half a document, or another program's: analyze the study again


def _analyzed(study: KnownStudy, analyzer: Analyzing, folder: Path) -> StudyAnswer:
    uid = study.files.uid
    ended = attempt(lambda: _run(study, analyzer, folder))
    if isinstance(ended, Failed):
        if isinstance(ended.error, StoreError) and study.has_images:
            raise ended.error
        return StudyAnswer.refused(uid, f"{type(ended.error).__name__}: {ended.error}")
    return replace(read_answer(folder / FINDINGS), uid=uid)


def _run(study: KnownStudy, analyzer: Analyzing, folder: Path) -> None:
    memory = _PeakMemory()
    with open_source(study.files.folder) as source:
        chosen = _of_uid(source.studies(), study.files.uid)
        result = run_case(chosen.load, Order(analyzer, ("json",)), FolderSink(folder))
    cost = {"peak_mb": memory.megabytes(), "noise_hu": measured_noise_hu(result.loaded.volume)}
    write_atomically(folder / COST, (json.dumps(cost) + "\n").encode())


def _of_uid(studies: Sequence[StudySource], uid: str) -> StudySource:
    return next((study for study in studies if study.study_uid == uid), studies[0])


def _noise_trait(folder: Path) -> str | None:
    try:
        return noise_group(float(json.loads((folder / COST).read_bytes())["noise_hu"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _with_trait(study: KnownStudy, noise: str | None) -> KnownStudy:
    """Return a study with its measured noise, unless its truth names one."""
    if noise is None or NOISE in study.truth.traits:
        return study
    return replace(study, truth=replace(study.truth, traits={**study.truth.traits, NOISE: noise}))


def _with_headers(known: Sequence[KnownStudy], answers: Sequence[StudyAnswer]) -> AnsweredSet:
    """Return the set with traits and boxes from the headers; what cannot be read is a note."""
    found: list[KnownStudy] = []
    notes: list[str] = []
    for study in known:
        if not study.has_images:
            found.append(study)
            continue
        try:
            found.append(described(study, series_of(study.files)))
        except InputError as error:
            found.append(study)
            notes.append(f"study {study.files.uid}: headers or boxes could not be used: {error}")
    return AnsweredSet(tuple(found), tuple(answers), tuple(notes))


def _drawn(study: KnownStudy, answer: StudyAnswer, case: WorstCase) -> tuple[Picture, ...]:
    """Return the pictures of a case at its fracture, at what was found, or at the center of the level."""
    true, found = study.truth.boxes or (), answer.boxes or ()
    places = [box.box_lps_mm for box in true if box.vertebra is case.vertebra]
    places += [box.box_lps_mm for box in found if box.vertebra is case.vertebra]
    center = places[0].center_lps_mm if places else answer.centers_lps_mm.get(case.vertebra)
    if center is None:
        raise NoImages(f"{study.files.uid}: nobody says where {case.vertebra.name} is")
    with open_source(study.files.folder) as source:
        volume = _of_uid(source.studies(), study.files.uid).load().volume
    own = [tuple(b.box_lps_mm for b in side if b.vertebra is case.vertebra) for side in (true, found)]
    others = [tuple(b.box_lps_mm for b in side if b.vertebra is not case.vertebra) for side in (true, found)]
    return case_pictures(volume, center, Frames(*own, *others), case.vertebra.name)


class _PeakMemory:
    """The highest resident memory of this process since it was made, where Linux tells; else since its start."""

    _STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")

    def __init__(self) -> None:
        with suppress(OSError):
            self._RESET.write_text("5", encoding="ascii")  # sets the mark back, where that is allowed (proc(5))

    def megabytes(self) -> float | None:
        try:
            text = self._STATUS.read_text(encoding="utf-8")
        except OSError:
            return None
        marks = [line.split()[1] for line in text.splitlines() if line.startswith("VmHWM:")]
        return round(int(marks[0]) / 1024, 1) if marks else None
