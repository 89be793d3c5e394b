"""Labels, boxes and rows to predict, each cell checked: what is wrong is named by file, row and value."""

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cspine.datasets.index.schema import LEVELS, OVERALL, TARGETS, UID, Problem, ProblemKind

TRAIN_FILE, BOXES_CSV, TEST_FILE = "train.csv", "train_bounding_boxes.csv", "test.csv"
_BOX_COLUMNS = ("x", "y", "width", "height", "slice_number")
_LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}

Complain = Callable[[Problem], None]


@dataclass(frozen=True)
class BoxRow:
    """One row of the table of boxes: x, y is the top-left pixel corner."""

    study: str
    x: float
    y: float
    width: float
    height: float
    slice_number: int
    csv_row: int


@dataclass(frozen=True)
class LabelRow:
    """One row of the table of labels; ``None`` where a cell holds no label, nothing where there is no column."""

    csv_row: int
    labels: dict[str, int | None]


def read_labels(root: Path, complain: Complain, name: str = TRAIN_FILE) -> dict[str, LabelRow]:
    """Return the labels of each study of ``train.csv``, or another file."""
    found: dict[str, LabelRow] = {}
    for number, row in _rows(root / name, (UID, *TARGETS), complain):
        uid = row[UID]
        if uid in found:
            complain(_wrong(name, number, uid, f"a second row for study {uid}; the first one counts", uid))
            continue
        labels = {target: _LABELS.get(row[target]) for target in TARGETS if target in row}
        for target in (target for target, label in labels.items() if label is None):
            said = f"{target} is {row[target]!r}, not 0 or 1; taken as unknown"
            complain(_wrong(name, number, row[target], said, uid))
        _check_overall(labels, (name, number), uid, complain)
        found[uid] = LabelRow(number, labels)
    return found


def read_boxes(root: Path, complain: Complain) -> list[BoxRow]:
    """Return the boxes whose cells are numbers; whether they lie in an image is judged beside the slices."""
    boxes = []
    for number, row in _rows(root / BOXES_CSV, (UID, *_BOX_COLUMNS), complain):
        cells = {name: _number(row.get(name, "")) for name in _BOX_COLUMNS}
        bad = next((name for name, value in cells.items() if value is None), None)
        if bad is not None:
            said = f"{bad} is {row.get(bad, '')!r}, not a number; the box is left out"
            complain(_wrong(BOXES_CSV, number, row.get(bad, ""), said, row[UID]))
            continue
        x, y, width, height, slice_number = (float(value) for value in cells.values() if value is not None)
        if slice_number != int(slice_number):
            said = f"slice_number is {slice_number:g}, not a whole number; the box is left out"
            complain(_wrong(BOXES_CSV, number, row["slice_number"], said, row[UID]))
            continue
        boxes.append(BoxRow(row[UID], x, y, width, height, int(slice_number), number))
    return boxes


def read_test(root: Path, complain: Complain) -> dict[str, dict[str, int]]:
    """Return which of the eight targets are asked for of each study of ``test.csv``, and in which row."""
    wanted: dict[str, dict[str, int]] = {}
    for number, row in _rows(root / TEST_FILE, ("row_id", UID, "prediction_type"), complain):
        asked = row.get("prediction_type", "")
        if asked not in TARGETS:
            said = f"prediction_type is {asked!r}; known are {', '.join(TARGETS)}"
            complain(_wrong(TEST_FILE, number, asked, said, row[UID]))
            continue
        wanted.setdefault(row[UID], {}).setdefault(asked, number)
    return wanted


def _rows(path: Path, columns: tuple[str, ...], complain: Complain) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield line number and cells of every usable row; without a file, or without UIDs, nothing."""
    if not path.is_file():
        complain(Problem(ProblemKind.ABSENT, path.name, "is missing; what it would say stays empty"))
        return
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _checked(csv.DictReader(file), path.name, columns, complain)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        complain(Problem(ProblemKind.BROKEN_FILE, path.name, f"cannot be read on: {error}"))


def _checked(
    reader: "csv.DictReader[str]", name: str, columns: tuple[str, ...], complain: Complain
) -> Iterator[tuple[int, Mapping[str, str]]]:
    present = [str(column).strip() for column in reader.fieldnames or []]
    reader.fieldnames = present
    for column in columns:
        if column not in present:
            complain(Problem(ProblemKind.COLUMN, name, f"has no column {column}", 1, column))
    if UID not in present:
        return
    for cells in reader:
        number = reader.line_num
        if None in cells or None in cells.values():
            complain(
                _wrong(name, number, "", f"has not the {len(present)} cells of the head line; the row is left out")
            )
            continue
        row = {key: value.strip() for key, value in cells.items()}
        if not row[UID]:
            complain(_wrong(name, number, "", f"{UID} is empty; the row is left out"))
            continue
        yield number, row


def _check_overall(labels: Mapping[str, int | None], place: tuple[str, int], uid: str, complain: Complain) -> None:
    levels = [labels.get(name) for name in LEVELS]
    overall = labels.get(OVERALL)
    if overall is None or any(level is None for level in levels):
        return
    if overall != max(level for level in levels if level is not None):
        fractured = [name for name, level in zip(LEVELS, levels, strict=True) if level]
        said = (
            f"{OVERALL} is {overall}, fractured levels are {', '.join(fractured) or 'none'}: they contradict each other"
        )
        complain(_wrong(*place, str(overall), said, uid))


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if abs(value) < 1e9 else None  # NaN and infinity, too, are no pixels


def _wrong(file: str, row: int, value: str, message: str, study: str = "") -> Problem:
    return Problem(ProblemKind.VALUE, file, message, row, value, study)
