"""Submissions to the RSNA 2022 challenge: ``row_id,fractured``, written from probabilities and scored beside labels.

Findings carry the probability p of a fracture. The challenge's loss counts positives twice, so a submission carries
q = 2p / (1 + p), which that loss is smallest at.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cspine.datasets.csv_rows import probability_of, read_rows
from cspine.datasets.index.csvfiles import TEST_FILE, TRAIN_FILE, read_labels, read_test
from cspine.datasets.index.schema import TARGETS, UID, Problem
from cspine.dicom import write_atomically
from cspine.domain import InputError, NoImages
from cspine.evaluation import (
    RSNA_PRIORS,
    Normalization,
    Priors,
    rsna_column_losses,
    rsna_log_loss,
    submitted_probability,
)
from cspine.report import findings_probabilities

_HEAD = ("row_id", "fractured")

Probabilities = Mapping[str, Mapping[str, float | None]]


@dataclass(frozen=True)
class Submission:
    """What is submitted.

    Attributes
    ----------
    rows
        (row_id, q) in the order asked for.
    filled
        Rows of studies or vertebrae without a probability, which got the q of their prior.
    """

    rows: tuple[tuple[str, float], ...]
    filled: int


@dataclass(frozen=True)
class RsnaScore:
    """A submission beside the labels.

    Attributes
    ----------
    columns
        Weighted log loss within each of the eight columns.
    """

    n: int
    losses: Mapping[str, float]
    columns: Mapping[str, float]


def read_probabilities(place: Path) -> dict[str, dict[str, float | None]]:
    """Return p by study and target, from a table (``StudyInstanceUID``, ``patient_overall``, C1 … C7) or from findings.

    Parameters
    ----------
    place
        A CSV, or a folder with one ``findings.json`` for each study somewhere below it.

    Raises
    ------
    NoImages
        There is nothing of either kind.
    InputError
        A cell is no probability, or two documents are about one study.
    """
    if place.is_dir():
        return _from_findings(place)
    found: dict[str, dict[str, float | None]] = {}
    for number, row in read_rows(place, (UID, *TARGETS)):
        uid = row[UID]
        if uid in found:
            raise InputError(f"{place}, row {number}: a second row for study {uid}")
        found[uid] = {name: probability_of(row[name], f"{place}, row {number}, {name}") for name in TARGETS}
    return found


def make_submission(
    probabilities: Probabilities, asked: Iterable[tuple[str, str]], priors: Priors = RSNA_PRIORS
) -> Submission:
    """Return q of each asked (study, target); where no probability is known, of the target's prior.

    Parameters
    ----------
    priors
        Of the tuning set of the bundle that gave the probabilities; default: of the challenge's training set.
    """
    rows, filled, prior = [], 0, dict(zip(TARGETS, priors.row.tolist(), strict=True))
    for uid, target in asked:
        p = probabilities.get(uid, {}).get(target)
        filled += p is None
        q = float(submitted_probability(np.array(prior[target] if p is None else p)))
        rows.append((f"{uid}_{target}", q))
    return Submission(tuple(rows), filled)


def asked_rows(root: Path) -> tuple[list[tuple[str, str]], list[Problem]]:
    """Return (study, target) of each row that ``test.csv`` asks for, and what of it could not be used."""
    problems: list[Problem] = []
    wanted = read_test(root, problems.append)
    if not wanted:
        raise NoImages(f"{root / TEST_FILE}: asks for nothing")
    levels_first = (*TARGETS[1:], TARGETS[0])
    return [(uid, target) for uid, targets in wanted.items() for target in levels_first if target in targets], problems


def all_rows(probabilities: Probabilities) -> list[tuple[str, str]]:
    """Return (study, target) of every study that has probabilities."""
    return [(uid, target) for uid in sorted(probabilities) for target in (*TARGETS[1:], TARGETS[0])]


def write_submission(submission: Submission, path: Path) -> None:
    """Write ``row_id,fractured``; raises `StoreError` when the file cannot be written."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerows([_HEAD, *((row, f"{q:.6g}") for row, q in submission.rows)])
    write_atomically(path, out.getvalue().encode())


def read_submission(path: Path) -> dict[str, dict[str, float]]:
    """Return q by study and target.

    Raises
    ------
    NoImages
        There is no such table.
    InputError
        A row names no target, stands there twice, or holds no probability.
    """
    found: dict[str, dict[str, float]] = {}
    for number, row in read_rows(path, _HEAD):
        where = f"{path}, row {number}"
        uid, _, target = row["row_id"].partition("_")
        if target not in TARGETS:
            raise InputError(
                f"{where}: row_id {row['row_id']!r} is no <study>_<target>; known are {', '.join(TARGETS)}"
            )
        q = probability_of(row["fractured"], f"{where}, fractured")
        if q is None or target in found.setdefault(uid, {}):
            raise InputError(f"{where}: {'is empty' if q is None else 'stands there twice'}")
        found[uid][target] = q
    return found


def score_submission(
    submission: Mapping[str, Mapping[str, float]], labels_csv: Path, studies: Sequence[str] | None = None
) -> RsnaScore:
    """Score a submission in all three normalizations.

    Parameters
    ----------
    labels_csv
        In the columns of ``train.csv``.
    studies
        Only these are scored; default: all that have labels.

    Raises
    ------
    InputError
        A study lacks a row or a label.
    NoImages
        There are no labels, or none of the studies asked for.
    """
    problems: list[Problem] = []
    if labels_csv.is_dir():
        labels_csv = labels_csv / TRAIN_FILE
    labels = read_labels(labels_csv.parent, problems.append, labels_csv.name)
    wanted = sorted(labels if studies is None else studies)
    if not wanted or not labels:
        raise NoImages(f"{labels_csv}: {problems[0] if problems else 'no study to score'}")
    truth, guess = np.zeros((len(wanted), 8)), np.zeros((len(wanted), 8))
    for k, uid in enumerate(wanted):
        for t, target in enumerate(TARGETS):
            told, q = labels.get(uid), submission.get(uid, {}).get(target)
            label = told.labels.get(target) if told else None
            if label is None:
                why = "".join(f" ({problem})" for problem in problems if problem.study == uid)
                raise InputError(f"{labels_csv}: no label for {target} of study {uid}{why}; leave the study out")
            if q is None:
                raise InputError(f"the submission has no row {uid}_{target}")
            truth[k, t], guess[k, t] = label, q
    losses = {how.value: rsna_log_loss(truth, guess, how) for how in Normalization}
    columns = dict(zip(TARGETS, rsna_column_losses(truth, guess).tolist(), strict=True))
    return RsnaScore(len(wanted), losses, columns)


def _from_findings(folder: Path) -> dict[str, dict[str, float | None]]:
    found: dict[str, dict[str, float | None]] = {}
    for path in sorted(folder.rglob("findings.json")):
        try:
            uid, values = findings_probabilities(path.read_bytes())
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        if not uid or uid in found:
            raise InputError(f"{path}: {'names no study' if not uid else f'a second document about study {uid}'}")
        found[uid] = dict(zip(TARGETS, values, strict=True))
    if not found:
        raise NoImages(f"{folder}: no findings.json below it")
    return found
