"""Several sets in the layout of RSNA 2022 as one: studies of a later set take the place of those of an earlier one."""

import csv
import io
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from cspine.datasets.rsna_layout import BOXES, MASKS, TRAIN, TRUTH, Split
from cspine.dicom import translated, write_atomically
from cspine.domain import ConfigError, NoImages, StoreError

_UID = "StudyInstanceUID"
_PARTS = (Split.TRAIN.folder, MASKS, TRUTH)
_Rows = dict[str, list[dict[str, str]]]


def join_sets(roots: Sequence[Path], out: Path) -> int:
    """Write the labeled studies of several sets into a new folder; return how many there are.

    Files are linked where both are on one disk, else copied. A join that fails leaves nothing behind.

    Raises
    ------
    NoImages
        One of them is no such set.
    ConfigError
        `out` holds something, or columns of the tables differ.
    StoreError
        The disk cannot be written, or is full.
    """
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out} is not empty; give a new folder")
    labels = [_table(root / TRAIN) for root in roots]
    boxes = [_table(root / BOXES) if (root / BOXES).exists() else ([], {}) for root in roots]
    home = {uid: k for k, (_, rows) in enumerate(labels) for uid in rows}
    tables = {name: _columns(name, found) for name, found in ((BOXES, boxes), (TRAIN, labels))}
    try:
        for uid, k in home.items():
            _link_study(uid, roots[k], out)
        for name, found in ((BOXES, boxes), (TRAIN, labels)):
            kept = [row for uid, k in home.items() for row in found[k][1].get(uid, [])]
            write_atomically(out / name, _written(tables[name], kept).encode())
    except StoreError:
        shutil.rmtree(out, ignore_errors=True)
        raise
    return len(home)


def _table(path: Path) -> tuple[list[str], _Rows]:
    """Return the columns of a table, and its rows by study."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows: _Rows = {}
            for row in reader:
                rows.setdefault(row[_UID].strip(), []).append(row)
            return list(reader.fieldnames or []), rows
    except OSError as error:
        raise NoImages(f"{path}: cannot be read: {error.strerror}; sets in the layout of RSNA 2022 have it") from error
    except KeyError as error:
        raise ConfigError(f"{path}: has no column {_UID}") from error


def _columns(name: str, tables: Sequence[tuple[list[str], _Rows]]) -> list[str]:
    heads = [columns for columns, _ in tables if columns]
    for head in heads[1:]:
        if set(head) != set(heads[0]):
            raise ConfigError(f"{name}: one set has the columns {', '.join(heads[0])}, another {', '.join(head)}")
    return heads[0] if heads else [_UID, "x", "y", "width", "height", "slice_number"]


def _link_study(uid: str, root: Path, out: Path) -> None:
    try:
        for part in _PARTS:
            (out / part).mkdir(parents=True, exist_ok=True)
            found = [path for path in (root / part).glob(f"{uid}*") if path.name[len(uid) :][:1] in ("", ".", "-")]
            for path in found:
                for file in [path] if path.is_file() else (inner for inner in path.rglob("*") if inner.is_file()):
                    _link(file, out / part / file.relative_to(root / part))
    except OSError as error:
        raise translated(error, out) from error


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, target)


def _written(columns: Sequence[str], rows: Sequence[dict[str, str]]) -> str:
    made = io.StringIO()
    writer = csv.DictWriter(made, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return made.getvalue()
