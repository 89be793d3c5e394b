"""One row for a study, from the rows of its slices. Columns are looked at as a whole, never slice by slice."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cspine.datasets.index.schema import BAD_STUDIES, UID, Direction, Problem, ProblemKind
from cspine.datasets.index.slices import SAME_PLACE_MM, StudyFolder, read_study, with_places
from cspine.dicom import PixelState

# A gap is one when it exceeds this many median spacings, as in reading (docs/explanation/series-choice.md).
GAP_FACTOR = 1.5
# Fewer slices than this are no volume.
SLICES_LEAST = 4
# Several values of one study in one cell.
SEPARATOR = ";"
_MOST_COMMON = (
    "BitsStored",
    "PixelRepresentation",
    "Rows",
    "Columns",
    "pixel_spacing_row_mm",
    "pixel_spacing_column_mm",
    "WindowCenter",
    "WindowWidth",
    "SliceThickness",
)
_ALL_VALUES = ("PatientID", "TransferSyntaxUID", "PhotometricInterpretation", "ConvolutionKernel", "Manufacturer")


@dataclass(frozen=True)
class StudyHeaders:
    """What the headers of a study say.

    Attributes
    ----------
    table
        One row a readable file, from head to foot.
    broken
        Files that could not be read.
    row
        The columns of `STUDY_FIELDS` that follow from the slices.
    odd
        What is odd about the study as a whole.
    """

    table: pa.Table
    broken: tuple[Problem, ...]
    row: dict[str, Any]
    odd: tuple[Problem, ...]


def study_headers(root: str, study: StudyFolder) -> StudyHeaders:
    """Read the headers of a study; only `study.files` are opened."""
    return summed_up(study, *read_study(root, study))


def summed_up(study: StudyFolder, table: pa.Table, broken: tuple[Problem, ...]) -> StudyHeaders:
    """Return what the rows of a study's slices, in any order, say of it."""
    placed = with_places(table)
    row = study_row(study.part, study.uid, placed, len(broken))
    return StudyHeaders(placed, broken, row, tuple(study_problems(row, placed, study.folder)))


def study_row(part: str, uid: str, table: pa.Table, broken: int) -> dict[str, Any]:
    """Return the columns of `STUDY_FIELDS` that follow from the slices, in order from head to foot."""
    row: dict[str, Any] = {"part": part, UID: uid, "slices": table.num_rows, "broken_files": broken}
    for name in _ALL_VALUES:
        row[name] = SEPARATOR.join(sorted(str(value) for value in _counts(table[name]) if value))
    for name in _MOST_COMMON:
        row[name] = _most_common(_counts(table[name]))
    row["shapes"] = table.select(["Rows", "Columns"]).group_by(["Rows", "Columns"]).aggregate([]).num_rows
    row["series"] = len(_counts(table["SeriesInstanceUID"]))
    row |= _geometry(table)
    row |= _numbers(table)
    row["file_bytes"] = pc.sum(table["file_bytes"]).as_py() or 0
    row["study_hash"] = _study_hash(table)
    reason = _unusable(uid, table, row)
    return row | {"usable": not reason, "unusable_reason": reason}


def study_problems(row: dict[str, Any], table: pa.Table, folder: str) -> Iterator[Problem]:
    """Yield what is odd about a study as a whole."""
    uid = row[UID]
    if row["unusable_reason"]:
        yield Problem(ProblemKind.BAD_STUDY, folder, f"is not usable: {row['unusable_reason']}", study=uid)
    lost = table["z_mm"].null_count
    if lost:
        said = f"{lost} of {row['slices']} slices have no usable ImagePositionPatient"
        yield Problem(ProblemKind.GEOMETRY, folder, said, value=str(lost), study=uid)
    if row["gaps"]:
        size = f"{row['largest_gap_mm']:.2f} mm at {row['spacing_mm']:.2f} mm"
        said = f"{row['gaps']} gaps between slices, the largest {size}"
        yield Problem(ProblemKind.GEOMETRY, folder, said, value=f"{row['largest_gap_mm']:.3f}", study=uid)
    if row["same_place"]:
        said = f"{row['same_place']} slices lie where another one lies"
        yield Problem(ProblemKind.GEOMETRY, folder, said, value=str(row["same_place"]), study=uid)
    yield from _file_problems(uid, table)
    absent = _counts(table["pixels"]).get(PixelState.ABSENT, 0)
    if absent:
        said = f"{absent} of {row['slices']} files hold no pixel data"
        yield Problem(ProblemKind.BROKEN_FILE, folder, said, value=str(absent), study=uid)
    other = pc.sum(pc.not_equal(table["slice_number"], table["InstanceNumber"])).as_py()
    if other:
        said = f"{other} files are called by another number than their InstanceNumber"
        yield Problem(ProblemKind.HEADER, folder, said, value=str(other), study=uid)


def _file_problems(uid: str, table: pa.Table) -> Iterator[Problem]:
    if set(_counts(table["study_in_header"])) <= {uid} and PixelState.TRUNCATED not in _counts(table["pixels"]):
        return
    columns = [table[name].to_pylist() for name in ("file", "pixels", "file_bytes", "study_in_header")]
    for file, pixels, size, stated in zip(*columns, strict=True):
        if pixels == PixelState.TRUNCATED:
            yield Problem(ProblemKind.BROKEN_FILE, file, "pixel data is truncated", value=str(size), study=uid)
        if stated != uid:
            said = f"says study {stated or 'none'}, but lies in the folder of {uid}"
            yield Problem(ProblemKind.HEADER, file, said, value=stated, study=uid)


def _counts(column: pa.ChunkedArray) -> dict[Any, int]:
    """Return how many slices have each value."""
    found = pc.value_counts(column)
    return dict(zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True))


def _most_common(counts: dict[Any, int]) -> Any:
    """Return the value that most slices have, the smallest of several."""
    known = [value for value in counts if value is not None]
    return min(known, key=lambda value: (-counts[value], value), default=None)


def _geometry(table: pa.Table) -> dict[str, Any]:
    gaps, heights, z = (_known(table[name]) for name in ("gap_mm", "height_mm", "z_mm"))
    apart = gaps[gaps > SAME_PLACE_MM]
    spacing = float(np.median(apart)) if len(apart) else None
    wide = apart[apart > GAP_FACTOR * spacing] if spacing else apart[:0]
    return {
        "spacing_mm": spacing,
        "extent_mm": float(heights[0] - heights[-1]) if len(heights) else None,
        "top_z_mm": float(z.max()) if len(z) else None,
        "bottom_z_mm": float(z.min()) if len(z) else None,
        "gaps": len(wide),
        "largest_gap_mm": float(apart.max()) if len(apart) else None,
        "same_place": int((gaps <= SAME_PLACE_MM).sum()),
    }


def _numbers(table: pa.Table) -> dict[str, Any]:
    both = table.filter(pc.and_(table["slice_number"].is_valid(), table["height_mm"].is_valid()))
    ends = pc.min_max(table["slice_number"]).as_py()
    return {
        "first_number": ends["min"],
        "last_number": ends["max"],
        "z_direction": _direction(_known(both["slice_number"]), _known(both["height_mm"])).value,
    }


def _known(column: pa.ChunkedArray) -> np.ndarray:
    values: np.ndarray = column.drop_null().to_numpy()
    return values


def _direction(numbers: np.ndarray, heights_mm: np.ndarray) -> Direction:
    steps = np.diff(heights_mm[np.lexsort((heights_mm, numbers))])
    if not len(steps):
        return Direction.UNKNOWN
    if (steps <= SAME_PLACE_MM).all():
        return Direction.FALLS
    return Direction.RISES if (steps >= -SAME_PLACE_MM).all() else Direction.MIXED


def _study_hash(table: pa.Table) -> str:
    """Return a hash of the headers of all slices, whatever the order of the files."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(bytes.fromhex("".join(sorted(table["header_hash"].to_pylist()))))
    return digest.hexdigest()


def _unusable(uid: str, table: pa.Table, row: dict[str, Any]) -> str:
    if uid in BAD_STUDIES:
        return "one of the two studies that are known to be wrong"
    whole = _counts(table["pixels"]).get(PixelState.WHOLE, 0)
    if row["slices"] < SLICES_LEAST:
        return f"{row['slices']} readable slices; at least {SLICES_LEAST} are needed"
    if row["spacing_mm"] is None:
        return "no two slices at known, different positions"
    return (
        "" if whole >= SLICES_LEAST else f"{whole} slices with all of their pixels; at least {SLICES_LEAST} are needed"
    )
