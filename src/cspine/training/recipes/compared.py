"""Finished runs brought to the same test cases, so that they can be compared.

A run answers slices, images or whole studies. Answers to slices are pooled where runs are compared study by study: a
study is positive where any of its slices is, its answer is the mean of the highest quarter of theirs.

Legend: N cases, K labels.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cspine.domain import ConfigError
from cspine.training.recipes.answers import Answered, StudyAnswers, read_answers
from cspine.training.recipes.pooling import POOLING
from cspine.training.recipes.run_folder import ANSWERS_FILE, RECIPE_FILE, RESULT_FILE, read_document

OVERALL = "overall"
# What recipes call the answer whether there is any fracture.
CALLED = {"patient_overall": OVERALL, "fracture": OVERALL}
DEFAULT_POOL = "top"


@dataclass(frozen=True, eq=False)
class ComparedRun:
    """The test part of a run.

    Attributes
    ----------
    name
        The folder as it was given; `run_names.short_names` finds what pages call it.
    recipe
        Its name.
    settings
        Of the recipe: key, with dots, and value in words.
    labels
        K names.
    cases, studies
        What was asked (N), and the study or patient of each.
    truth, probability
        (N, K).
    pool
        How its slices are pooled into studies.
    split, mark, origin
        As its documents say.
    """

    name: str
    recipe: str
    settings: Mapping[str, str]
    labels: tuple[str, ...]
    cases: tuple[str, ...]
    studies: tuple[str, ...]
    truth: np.ndarray
    probability: np.ndarray
    pool: str
    split: str
    mark: str
    origin: str

    @property
    def by_study(self) -> bool:
        """Whether every case is a study."""
        return self.cases == self.studies

    def pooled(self) -> "ComparedRun":
        """Return the answers to whole studies, in the order of their names."""
        studies = sorted(set(self.studies))
        own = np.array(self.studies)
        places = [np.flatnonzero(own == study) for study in studies]
        truth = np.stack([self.truth[rows].max(axis=0) for rows in places])
        if self.by_study:
            probability = self.probability[np.concatenate(places)]
        else:
            probability = np.stack([POOLING[self.pool](self.probability[rows]) for rows in places])
        names = tuple(studies)
        return replace(self, cases=names, studies=names, truth=truth, probability=probability)

    def sorted(self) -> "ComparedRun":
        """Return the same answers in the order of the cases' names."""
        order = np.argsort(np.array(self.cases))
        cases, studies = (tuple(np.array(values)[order].tolist()) for values in (self.cases, self.studies))
        return replace(self, cases=cases, studies=studies, truth=self.truth[order], probability=self.probability[order])

    def only(self, labels: Sequence[str]) -> "ComparedRun":
        """Return the answers to some labels."""
        kept = [self.labels.index(label) for label in labels]
        return replace(self, labels=tuple(labels), truth=self.truth[:, kept], probability=self.probability[:, kept])


def read_run(folder: Path) -> ComparedRun:
    """Return the test part of a finished run; of a run with folds all its folds together.

    Raises
    ------
    ConfigError
        Not a finished run.
    """
    folds = sorted(folder.glob("fold-*"))
    if (folder / RECIPE_FILE).exists() or not folds:
        return _one(folder, str(folder))
    runs = [_one(_within(fold), str(folder)) for fold in folds]
    first = runs[0]
    if any(run.labels != first.labels for run in runs):
        raise ConfigError(f"{folder}: its folds answer different labels; compare them one by one")
    return replace(
        first,
        cases=sum((run.cases for run in runs), ()),
        studies=sum((run.studies for run in runs), ()),
        truth=np.concatenate([run.truth for run in runs]),
        probability=np.concatenate([run.probability for run in runs]),
        split=f"{len(runs)} folds",
    )


def aligned(runs: Sequence[ComparedRun]) -> tuple[ComparedRun, ...]:
    """Return runs with the labels that all have, their cases in one order.

    Raises
    ------
    ConfigError
        No label is common, the cases differ, or the truth of a case does; the message says which.
    """
    first = runs[0]
    common = [label for label in first.labels if all(label in run.labels for run in runs)]
    if not common:
        told = "; ".join(f"{run.name}: {', '.join(run.labels)}" for run in runs)
        raise ConfigError(f"the runs have no label in common ({told})")
    ordered = tuple(run.only(common).sorted() for run in runs)
    for run in ordered[1:]:
        _check(ordered[0], run)
    return ordered


def _check(first: ComparedRun, run: ComparedRun) -> None:
    lacking, more = (sorted(set(a.cases) - set(b.cases)) for a, b in ((first, run), (run, first)))
    if lacking or more:
        words = [
            f"{len(cases)} {how} (such as {cases[0]})"
            for how, cases in (("are missing", lacking), ("are tested only there", more))
            if cases
        ]
        raise ConfigError(
            f"{run.name} was tested on other cases than {first.name}: {', '.join(words)}; compare runs of one division"
        )
    wrong = np.argwhere(first.truth != run.truth)
    if len(wrong):
        row, column = wrong[0].tolist()
        values = [int(one.truth[row, column]) for one in (first, run)]
        raise ConfigError(
            f"{run.name} answers another question than {first.name}: {first.labels[column]} of {first.cases[row]} is "
            f"{values[0]} in the first and {values[1]} in the other"
        )


def _within(fold: Path) -> Path:
    """Return the one run in the folder of a fold."""
    found = [path.parent for path in (*fold.glob(RECIPE_FILE), *fold.glob(f"*/{RECIPE_FILE}"))]
    if len(found) != 1:
        raise ConfigError(f"{fold}: holds {len(found)} runs, must hold one; name the run itself")
    return found[0]


def read_parts(folder: Path) -> tuple[tuple[str, ...], dict[str, Answered | StudyAnswers]]:
    """Return labels and answers of each part, whatever was asked; images stand as slices, patients as studies.

    Raises
    ------
    ConfigError
        Not a finished run.
    """
    path = folder / ANSWERS_FILE
    images = _images(path)
    if images is None:
        return read_answers(path)
    parts = {}
    for part in dict.fromkeys(row["part"] for row in images):
        rows = [row for row in images if row["part"] == part]
        truth, p = (np.array([[float(row[key])] for row in rows], np.float32) for key in ("truth", "probability"))
        parts[part] = Answered(tuple(row["patient"] for row in rows), tuple(range(len(rows))), truth, p)
    return ("fracture",), dict(parts)


def _one(folder: Path, name: str) -> ComparedRun:
    document = read_document(folder / RECIPE_FILE)
    told: dict[str, Any] = read_document(folder / RESULT_FILE)
    labels, parts = read_parts(folder)
    if "test" not in parts:
        raise ConfigError(f"{folder}: has no answers to a test part")
    test, images = parts["test"], _images(folder / ANSWERS_FILE)
    cases = test.studies
    if images is not None:
        cases = tuple(row["image"] for row in images if row["part"] == "test")
    elif isinstance(test, Answered):
        cases = tuple(f"{study} slice {k + 1}" for study, k in zip(test.studies, test.slices, strict=True))
    return ComparedRun(
        name,
        str(document.get("recipe")),
        dict(_flat(document.get("config", {}))),
        tuple(CALLED.get(label, label) for label in labels),
        cases,
        test.studies,
        test.truth,
        test.probability,
        pool=str(document.get("config", {}).get("pool", DEFAULT_POOL)),
        split=str(document.get("split", "")),
        mark=str(told.get("mark", "")),
        origin=str(told.get("origin", "")),
    )


def _flat(config: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield the settings of a config, as ``--set`` takes them."""
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield before + key, ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _images(path: Path) -> list[dict[str, str]] | None:
    """Return the rows of a run on images; ``None`` for another run."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file)
            return list(table) if "image" in (table.fieldnames or ()) else None
    except OSError as error:
        raise ConfigError(f"{path.parent}: not a finished run (no {path.name}); train it to its end") from error
