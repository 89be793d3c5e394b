"""What a system said of many studies, and what readers called, read for scoring."""

import json
from pathlib import Path
from typing import Any

from cspine.datasets.csv_rows import probability_of, read_rows
from cspine.datasets.rsna_layout import LEVELS, OVERALL
from cspine.domain import Decision, InputError, NoImages
from cspine.evaluation import ReaderCalls, StudyAnswer
from cspine.report import parse_findings

FINDINGS = "findings.json"
# Beside it, where `cspine evaluate` analyzed the study itself.
COST = "cost.json"
_UID, _READER = "StudyInstanceUID", "reader"
_CALLS = {"": None, "0": 0, "1": 1, "0.0": 0, "1.0": 1}


def read_answers(place: Path, threshold: float | None = None) -> dict[str, StudyAnswer]:
    """Return what was said of each study.

    Parameters
    ----------
    place
        A folder with one ``findings.json`` for each study somewhere below it, or a table of probabilities
        (``StudyInstanceUID``, ``patient_overall``, C1 … C7; an empty cell is "not assessed").
    threshold
        From which probability a table rules in, and below which it rules out; ``None``: everything is uncertain.

    Raises
    ------
    NoImages
        There is nothing of either kind.
    InputError
        A document or cell cannot be read, or two are about one study.
    """
    if place.is_dir():
        return _from_folder(place)
    found: dict[str, StudyAnswer] = {}
    for number, row in read_rows(place, (_UID, OVERALL, *LEVELS)):
        uid = row[_UID].strip()
        if uid in found:
            raise InputError(f"{place}, row {number}: a second row about study {uid}")
        p = tuple(probability_of(row[name], f"{place}, row {number}, {name}") for name in (OVERALL, *LEVELS))
        found[uid] = StudyAnswer(uid, p, tuple(_decision(value, threshold) for value in p), boxes=None)
    if not found:
        raise NoImages(f"{place}: holds no row")
    return found


def read_answer(path: Path) -> StudyAnswer:
    """Return what one ``findings.json`` says, with time, and memory where it was measured.

    Raises
    ------
    InputError
        It cannot be read, or names no study.
    """
    try:
        text = path.read_bytes()
        findings = parse_findings(text)
        document: dict[str, Any] = json.loads(text)
        uid, seconds = document["study"]["study_instance_uid"], document["timings_s"]
        return StudyAnswer.of_findings(str(uid or ""), findings, seconds, _peak_mb(path.parent / COST))
    except (OSError, KeyError, TypeError, InputError) as error:
        raise InputError(f"{path}: {error}") from error


def read_readers(path: Path) -> tuple[ReaderCalls, ...]:
    """Return the calls of readers, in the order of their names.

    Columns: ``StudyInstanceUID``, ``reader``, ``patient_overall``, C1 … C7; 1 a fracture, 0 none, empty no call. An
    empty ``patient_overall`` beside seven calls is what follows from them.

    Raises
    ------
    NoImages
        There is no such table, or it is empty.
    InputError
        A call is not 0, 1 or empty, or a reader calls a study twice.
    """
    found: dict[str, dict[str, tuple[int | None, ...]]] = {}
    for number, row in read_rows(path, (_UID, _READER, OVERALL, *LEVELS)):
        where, uid, reader = f"{path}, row {number}", row[_UID].strip(), row[_READER].strip()
        if not uid or not reader or uid in found.setdefault(reader, {}):
            raise InputError(f"{where}: {f'{reader} calls study {uid} twice' if uid and reader else 'names no one'}")
        calls = [_call(row[name], f"{where}, {name}") for name in (OVERALL, *LEVELS)]
        levels = [call for call in calls[1:] if call is not None]
        if calls[0] is None and len(levels) == len(LEVELS):
            calls[0] = max(levels)
        found[reader][uid] = tuple(calls)
    if not found:
        raise NoImages(f"{path}: holds no call")
    return tuple(ReaderCalls(name, found[name]) for name in sorted(found))


def _from_folder(folder: Path) -> dict[str, StudyAnswer]:
    found: dict[str, StudyAnswer] = {}
    for path in sorted(folder.rglob(FINDINGS)):
        answer = read_answer(path)
        if not answer.uid or answer.uid in found:
            said = f"a second document about study {answer.uid}" if answer.uid else "names no study"
            raise InputError(f"{path}: {said}")
        found[answer.uid] = answer
    if not found:
        raise NoImages(f"{folder}: no {FINDINGS} below it")
    return found


def _peak_mb(path: Path) -> float | None:
    if not path.is_file():
        return None
    try:
        return float(json.loads(path.read_bytes())["peak_mb"])
    except (ValueError, KeyError, TypeError):
        return None


def _decision(probability: float | None, threshold: float | None) -> Decision:
    if probability is None:
        return Decision.NOT_ASSESSED
    if threshold is None:
        return Decision.UNCERTAIN
    return Decision.RULE_IN if probability >= threshold else Decision.RULE_OUT


def _call(cell: str, where: str) -> int | None:
    text = cell.strip()
    if text not in _CALLS:
        raise InputError(f"{where}: {cell!r} is no call; 0, 1 or empty")
    return _CALLS[text]
