"""Answers of a run to slices or to whole studies, and the table that keeps them in the run folder.

``predictions.csv``: part, study, slice where slices were asked, then truth and probability of every label.

Legend: N answers, S studies, K labels.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cspine.dicom import write_atomically
from cspine.domain import ConfigError

DIGITS = 6
TRUTH, PROBABILITY = "truth_", "probability_"


@dataclass(frozen=True, eq=False)
class Answered:
    """Answers to slices: study and slice of each, truth and probability (N, K)."""

    studies: tuple[str, ...]
    slices: tuple[int, ...]
    truth: np.ndarray
    probability: np.ndarray


@dataclass(frozen=True, eq=False)
class StudyAnswers:
    """Answers to whole studies: truth and probability (S, K), the study's own label first."""

    studies: tuple[str, ...]
    truth: np.ndarray
    probability: np.ndarray

    def joined(self, other: "StudyAnswers") -> "StudyAnswers":
        """Return both, the studies of `other` after those of this."""
        return StudyAnswers(
            (*self.studies, *other.studies),
            np.concatenate([self.truth, other.truth]),
            np.concatenate([self.probability, other.probability]),
        )


def write_answers(path: Path, labels: Sequence[str], parts: Mapping[str, Answered | StudyAnswers]) -> None:
    """Write the answers of each part.

    Raises
    ------
    StoreError
        The folder cannot be written, or the disk is full.
    """
    sliced = any(isinstance(found, Answered) for found in parts.values())
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    names = [f"{head}{label}" for head in (TRUTH, PROBABILITY) for label in labels]
    table.writerow(["part", "study", *(["slice"] if sliced else []), *names])
    for part, found in parts.items():
        slices = [[str(k)] for k in found.slices] if isinstance(found, Answered) else [[]] * len(found.studies)
        for study, place, truth, p in zip(found.studies, slices, found.truth, found.probability, strict=True):
            table.writerow([part, study, *place, *(int(t) for t in truth), *(f"{v:.{DIGITS}f}" for v in p)])
    write_atomically(path, text.getvalue().encode())


def read_answers(path: Path) -> tuple[tuple[str, ...], dict[str, Answered | StudyAnswers]]:
    """Return the labels, and the answers of each part, as `write_answers` wrote them.

    Raises
    ------
    ConfigError
        There is no such table, or not in this form.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            head, *rows = list(csv.reader(file))
        first = 3 if "slice" in head else 2
        count = (len(head) - first) // 2
        labels = tuple(name.removeprefix(TRUTH) for name in head[first : first + count])
        if head[:2] != ["part", "study"] or head[first + count :] != [PROBABILITY + name for name in labels]:
            raise ValueError("columns " + ", ".join(head))
        parts = {part: [row for row in rows if row[0] == part] for part in dict.fromkeys(row[0] for row in rows)}
        return labels, {part: _read(own, first, count) for part, own in parts.items()}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: holds no answers of a run ({error}); train the run to its end") from error


def _read(rows: Sequence[Sequence[str]], first: int, count: int) -> Answered | StudyAnswers:
    numbers = np.array([[float(cell) for cell in row[first:]] for row in rows], dtype=np.float32)
    studies = tuple(row[1] for row in rows)
    truth, probability = numbers[:, :count], numbers[:, count:]
    if first == 2:
        return StudyAnswers(studies, truth, probability)
    return Answered(studies, tuple(int(row[2]) for row in rows), truth, probability)
