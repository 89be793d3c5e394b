"""Stacks from a folder in the layout of RSNA 2022, read once and kept as memory-mapped arrays."""

import csv
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from cspine.datasets import StudyFiles, Work, open_or_make_index, over_studies, read_study, studies_of
from cspine.domain import ConfigError, NoImages, Vertebra
from cspine.training.names import nearest
from cspine.training.stacks.kept import are_stored, kept_name, open_arrays, store_arrays
from cspine.training.stacks.label_set import CERVICAL_FRACTURES, LabelSet
from cspine.training.stacks.stack import Stack, StackPlan, StackSet, make_stack

STACK_VERSION = 2
UID = "StudyInstanceUID"
LABELS = "train.csv"
ARRAYS = tuple(f.name for f in fields(Stack) if f.type is np.ndarray or f.name == "mask")
Say = Callable[[str], None]


def read_stacks(
    root: Path,
    plan: StackPlan,
    labels: LabelSet = CERVICAL_FRACTURES,
    *,
    cache: Path | None = None,
    only: Collection[str] | None = None,
    workers: int = 1,
    say: Say = lambda line: None,
) -> StackSet:
    """Read the labeled, usable studies of ``train_images``.

    Parameters
    ----------
    cache
        Folder of read stacks, which the next run of an equal plan takes up; ``None`` keeps them in memory.
    only
        UIDs to read, such as those that ``cspine data filter`` kept.
    workers
        Studies that are decoded at a time.

    Raises
    ------
    NoImages
        There is no such set, or no usable study in it.
    ConfigError
        ``train.csv`` lacks a column of the label set, or a cell is not 0 or 1.
    StoreError
        The cache cannot be written, or the disk is full.
    """
    index = open_or_make_index(root, None, workers, lambda text, share: None)
    targets = read_targets(root / LABELS, labels)
    patients = {str(u): str(p) for u, p in zip(index.studies[UID], index.studies["PatientID"], strict=True)}
    chosen = [f for f in studies_of(index) if f.uid in targets and (only is None or f.uid in only)]
    found: dict[str, Stack] = {}
    about = {"version": STACK_VERSION, "plan": asdict(plan), "labels": asdict(labels)}
    kept_in = None if cache is None else cache / kept_name(about, plan.size)

    def do(files: StudyFiles) -> dict[str, Any]:
        stack = _read(files, targets[files.uid], patients.get(files.uid, ""), plan, labels)
        if kept_in is not None:
            return _stored(stack, kept_in)
        found[files.uid] = stack
        return {}

    answers = None if kept_in is None else kept_in / "answers"
    work = Work(do, lambda f: about | {"targets": targets[f.uid].tolist()}, answers, lambda v: are_stored(kept_in, v))
    errors: dict[str, str] = {}
    for answer in over_studies(chosen, work, workers, lambda uid, share: None):
        if answer.error:
            errors[answer.files.uid] = answer.error
            say(f"{answer.files.uid}: left out, {answer.error}")
        elif kept_in is not None:
            found[answer.files.uid] = _open(kept_in, answer.values)
    stacks = tuple(found[f.uid] for f in chosen if f.uid in found)
    if not stacks:
        first = next(iter(errors.values()), "no study of train_images has a whole row of labels")
        raise NoImages(f"{root}: none of {len(chosen)} labeled studies can be read (first: {first})")
    say(f"{len(stacks)} studies, {sum(map(len, stacks))} slices, {sum(s.mask is not None for s in stacks)} segmented")
    return StackSet(stacks, labels, errors)


def read_targets(path: Path, labels: LabelSet) -> dict[str, np.ndarray]:
    """Return the row of each study, (1 + L,) float32; rows with an empty cell are left out.

    Raises
    ------
    NoImages
        There is no such table.
    ConfigError
        A column is missing, or a cell is not 0 or 1.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise NoImages(f"{path}: cannot be read: {error.strerror}; a training needs labels") from error
    columns = list(rows[0]) if rows else []
    for name in (UID, *labels.targets):
        if name not in columns:
            raise ConfigError(f"{path}: has no column {name}{nearest(name, columns)}; it has {', '.join(columns)}")
    targets = {}
    for number, row in enumerate(rows, start=2):
        cells = [row[name].strip() for name in labels.targets]
        wrong = next((c for c in cells if c not in ("", "0", "1", "0.0", "1.0")), None)
        if wrong is not None:
            raise ConfigError(f"{path}: line {number} holds {wrong!r} where 0 or 1 is expected")
        if all(cells):
            targets[row[UID].strip()] = np.array([float(c) for c in cells], dtype=np.float32)
    return targets


def _read(files: StudyFiles, targets: np.ndarray, patient: str, plan: StackPlan, labels: LabelSet) -> Stack:
    study = read_study(files, workers=1, highest_label=max(*labels.values, *Vertebra))
    known = "" if patient == "nan" else patient
    family = phantom_family(files) if study.phantom else ""
    return make_stack(study, targets, plan, labels, patient=known, phantom=study.phantom, family=family)


def phantom_family(files: StudyFiles) -> str:
    """Return B where anything of a phantom is of the family that only evaluates, by what stands beside the set."""
    beside = files.folder.parents[1] / "truth" / f"{files.uid}.json"
    try:
        told = beside.read_text(encoding="utf-8")
        spec: Mapping[str, Any] | None = json.loads(told).get("spec")
    except (OSError, ValueError):
        return "A"
    return "B" if spec is not None and '"family": "B"' in json.dumps(spec) else "A"


def _stored(stack: Stack, kept_in: Path) -> dict[str, Any]:
    arrays = {name: getattr(stack, name) for name in ARRAYS}
    plain = {f.name: getattr(stack, f.name) for f in fields(Stack) if f.name not in ARRAYS}
    return store_arrays(kept_in, stack.uid, arrays, plain)


def _open(kept_in: Path, values: Mapping[str, Any]) -> Stack:
    plain, arrays = open_arrays(kept_in, values, ARRAYS, ("pixels", "mask"))
    return Stack(**{**plain, "spacing_mm": tuple(plain["spacing_mm"])}, **arrays)
