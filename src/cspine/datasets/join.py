"""Several sets in the layout of RSNA 2022 as one: studies of a later set take the place of those of an earlier one."""

import csv
import io
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from cspine.datasets.rsna_layout import BOXES, MASKS, TRAIN, TRUTH, Split
from cspine.dicom import write_atomically
from cspine.domain import ConfigError, NoImages, Unreachable

_UID = "StudyInstanceUID"
_PARTS = (Split.TRAIN.folder, MASKS, TRUTH)
_Rows = dict[str, list[dict[str, str]]]


def join_sets(roots: Sequence[Path], out: Path) -> int:
    """Write the labeled studies of several sets into a new folder; return how many there are.

    Files are linked where both are on one disk, else copied. ``train.csv`` is written last.

    Raises
    ------
    NoImages
        One of them is no such set.
    ConfigError
        `out` holds something, or columns of the tables differ.
    Unreachable, Rejected
        The disk cannot be written, or is full.
    """
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out} is not empty; give a new folder")
    labels = [_table(root / TRAIN) for root in roots]
    boxes = [_table(root / BOXES) if (root / BOXES).exists() else ([], {}) for root in roots]
    home = {uid: k for k, (_, rows) in enumerate(labels) for uid in rows}
    for uid, k in home.items():
        _link_study(uid, roots[k], out)
    for name, tables in ((BOXES, boxes), (TRAIN, labels)):
        kept = [row for uid, k in home.items() for row in tables[k][1].get(uid, [])]
        write_atomically(out / name, _written(_columns(name, tables), kept).encode())
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
                if path.is_dir():
                    shutil.copytree(path, out / part / path.name, copy_function=_link)
                else:
                    _link(str(path), str(out / part / path.name))
    except OSError as error:
        raise Unreachable(f"{out}: cannot be written: {error.strerror or error}") from error


def _link(source: str, target: str) -> None:
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
