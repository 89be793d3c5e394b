"""Audit a set: every annotated study is read once; a ranked page with thumbnails and a CSV are written."""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cspine import __version__
from cspine.datasets.audit.checks import WEIGHTS, Kind, Suspicion, audit_study
from cspine.datasets.audit.thumbnails import thumbnail
from cspine.datasets.labeled_study import LabeledStudy, StudyFiles, StudyLabels, read_study
from cspine.datasets.study_pass import Report, Values, Work, over_studies
from cspine.dicom import write_atomically
from cspine.domain import CERVICAL, ConfigError, Grid, InputError, Vertebra, Volume
from cspine.report import level_color, templates_of

PAGE, TABLE, ANSWERS = "audit.html", "audit.csv", "answers"
AUDIT_VERSION = 4
# Thumbnails of one kind in one study, and rows on the page; the CSV has everything.
PICTURES_PER_KIND, ROWS_ON_PAGE = 3, 400
COLUMNS = ("rank", "study", "kind", "level", "slice_number", "message")

_TEMPLATES = templates_of("cspine.datasets.audit")


@dataclass(frozen=True)
class Audited:
    """What came of it, the most suspicious first.

    Attributes
    ----------
    errors
        By UID, why an annotated study could not be read.
    """

    page: Path
    table: Path
    suspicions: tuple[Suspicion, ...]
    studies: int
    errors: dict[str, str]


def audit_set(
    studies: Sequence[StudyFiles], labels: Mapping[str, StudyLabels], out: Path, workers: int, report: Report
) -> Audited:
    """Write ``out/audit.html`` and ``out/audit.csv``.

    Pixels are read of studies with a mask or boxes; of the others only the labels can contradict each other. Answers
    are kept in ``out/answers``, so that a run that stopped goes on.

    Raises
    ------
    ConfigError
        There is no study.
    StoreError
        The folder cannot be written, or the disk is full.
    """
    if not studies:
        raise ConfigError("no study to audit; is train_images there?")
    found, pictures, errors = list[Suspicion](), dict[Suspicion, str](), dict[str, str]()
    phantoms = 0
    for files in [files for files in studies if files.mask is None and not files.boxes]:
        found += audit_study(_unread(files.uid), labels.get(files.uid))
    annotated = [files for files in studies if files.mask is not None or files.boxes]
    work = Work(lambda f: _answer(f, labels.get(f.uid)), lambda f: _parameters(labels.get(f.uid)), out / ANSWERS)
    for answer in over_studies(annotated, work, workers, report):
        if answer.error:
            errors[answer.files.uid] = answer.error
        phantoms += bool(answer.values.get("phantom"))
        for values in answer.values.get("suspicions", []):
            suspicion = _parsed(answer.files.uid, values)
            found.append(suspicion)
            pictures[suspicion] = values["picture"]
    ranked = tuple(sorted(found, key=lambda s: (-s.rank, s.uid, s.message)))
    write_atomically(out / TABLE, _csv(ranked).encode())
    write_atomically(out / PAGE, _page(studies, ranked, pictures, errors, phantoms))
    return Audited(out / PAGE, out / TABLE, ranked, len(studies), errors)


def _parameters(row: StudyLabels | None) -> Values:
    """Return what the answer of a study depends on: a corrected label costs its own study, not all."""
    known = None if row is None else [row.overall, [int(v) for v in sorted(row.fractured)]]
    return {"version": AUDIT_VERSION, "labels": known}


def _answer(files: StudyFiles, row: StudyLabels | None) -> Values:
    study, shown, entries = _read(files), Counter[Kind](), []
    for suspicion in audit_study(study, row):
        shown[suspicion.kind] += 1
        picture = thumbnail(study, suspicion) if shown[suspicion.kind] <= PICTURES_PER_KIND else ""
        entries.append(
            {
                "kind": suspicion.kind.value,
                "message": suspicion.message,
                "score": suspicion.score,
                "level": None if suspicion.level is None else int(suspicion.level),
                "slice_number": suspicion.slice_number,
                "slice_index": suspicion.slice_index,
                "picture": picture,
            }
        )
    return {"suspicions": entries, "phantom": study.phantom}


def _read(files: StudyFiles) -> LabeledStudy:
    """Read a study; a mask that does not fit is left out and becomes a note."""
    try:
        return read_study(files, workers=1)
    except InputError as error:
        if files.mask is None:
            raise
        study = read_study(replace(files, mask=None), workers=1)
        return replace(study, notes=(*study.notes, str(error)))


def _parsed(uid: str, values: Values) -> Suspicion:
    level = None if values["level"] is None else Vertebra(values["level"])
    return Suspicion(
        uid,
        Kind(values["kind"]),
        values["message"],
        values["score"],
        level,
        values["slice_number"],
        values["slice_index"],
    )


def _unread(uid: str) -> LabeledStudy:
    """Return a study of which only the labels are asked."""
    grid = Grid.from_axes((1, 1, 1), (1.0, 1.0, 1.0))
    return LabeledStudy(uid, Volume(grid, np.zeros((1, 1, 1), np.int16)), ())


def _csv(ranked: Sequence[Suspicion]) -> str:
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    for suspicion in ranked:
        level = "" if suspicion.level is None else suspicion.level.name
        number = "" if suspicion.slice_number is None else suspicion.slice_number
        table.writerow([f"{suspicion.rank:.3f}", suspicion.uid, suspicion.kind.value, level, number, suspicion.message])
    return out.getvalue()


def _page(
    studies: Sequence[StudyFiles],
    ranked: Sequence[Suspicion],
    pictures: Mapping[Suspicion, str],
    errors: Mapping[str, str],
    phantoms: int,
) -> bytes:
    counts = Counter(suspicion.kind for suspicion in ranked)
    page = _TEMPLATES.get_template("audit.html.jinja").render(
        rows=[(suspicion, pictures.get(suspicion, "")) for suspicion in ranked[:ROWS_ON_PAGE]],
        counts=[(kind.value, counts[kind]) for kind in sorted(WEIGHTS, key=lambda kind: -WEIGHTS[kind])],
        total=len(ranked),
        studies=len(studies),
        data_set=studies[0].folder.absolute().parents[1].name,
        levels=[(v.name, "rgb({}, {}, {})".format(*level_color(v))) for v in CERVICAL],
        touched=len({suspicion.uid for suspicion in ranked}),
        errors=errors,
        table=TABLE,
        phantoms=phantoms,
        read=sum(files.mask is not None or bool(files.boxes) for files in studies) - len(errors),
        footer=f"cspine {__version__} · a suspicion is a reason to look · research use, not a medical device",
    )
    return page.encode("utf-8", errors="replace")
