"""Small tables that people write: every row checked, what is wrong named by file and row."""

import csv
from collections.abc import Sequence
from pathlib import Path

from cspine.domain import InputError, NoImages


def read_rows(path: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Return line number and cells of each row, by column.

    Raises
    ------
    NoImages
        The file cannot be read.
    InputError
        It is no CSV, lacks one of the columns, or a row has other cells than the head line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = [(reader.line_num, row) for row in reader]
            present = reader.fieldnames or []
    except OSError as error:
        raise NoImages(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: is no CSV: {error}") from error
    missing = [name for name in columns if name not in present]
    if missing:
        raise InputError(f"{path}: has no column {missing[0]}; it has {', '.join(present)}")
    for number, row in rows:
        if None in row or None in row.values():
            raise InputError(f"{path}, row {number}: has not the {len(present)} cells of the head line")
    return rows


def probability_of(cell: str, where: str) -> float | None:
    """Return a probability, ``None`` for an empty cell.

    Raises
    ------
    InputError
        Anything else; the message begins with `where`.
    """
    if not cell.strip():
        return None
    try:
        value = float(cell)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 1:
        raise InputError(f"{where}: {cell!r} is no probability, 0 … 1")
    return value
