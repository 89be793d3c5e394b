"""One row for a study, from the rows of its slices."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from cspine.datasets.index.schema import BAD_STUDIES, UID, Direction, Problem, ProblemKind
from cspine.datasets.index.slices import SAME_PLACE_MM
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


def study_row(part: str, uid: str, table: pa.Table, broken: int) -> dict[str, Any]:
    """Return the columns of `STUDY_FIELDS` that follow from the slices, in order from head to foot."""
    row: dict[str, Any] = {"part": part, UID: uid, "slices": table.num_rows, "broken_files": broken}
    for name in _ALL_VALUES:
        row[name] = SEPARATOR.join(sorted({str(v) for v in table[name].to_pylist() if v}))
    for name in _MOST_COMMON:
        row[name] = _most_common(table[name].to_pylist())
    shapes = set(zip(table["Rows"].to_pylist(), table["Columns"].to_pylist(), strict=True))
    row["shapes"], row["series"] = len(shapes), len(set(table["SeriesInstanceUID"].to_pylist()))
    row |= _geometry(table)
    row |= _numbers(table)
    row["file_bytes"] = int(np.sum(table["file_bytes"].to_pylist(), dtype=np.int64))
    row["study_hash"] = _study_hash(table)
    reason = _unusable(uid, table, row)
    return row | {"usable": not reason, "unusable_reason": reason}


def study_problems(row: dict[str, Any], table: pa.Table, folder: str) -> Iterator[Problem]:
    """Yield what is odd about a study as a whole."""
    uid = row[UID]
    if row["unusable_reason"]:
        yield Problem(ProblemKind.BAD_STUDY, folder, f"is not usable: {row['unusable_reason']}", study=uid)
    lost = sum(value is None for value in table["z_mm"].to_pylist())
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
    absent = sum(value == PixelState.ABSENT for value in table["pixels"].to_pylist())
    if absent:
        said = f"{absent} of {row['slices']} files hold no pixel data"
        yield Problem(ProblemKind.BROKEN_FILE, folder, said, value=str(absent), study=uid)
    other = sum(
        number is not None and instance is not None and number != instance
        for number, instance in zip(table["slice_number"].to_pylist(), table["InstanceNumber"].to_pylist(), strict=True)
    )
    if other:
        said = f"{other} files are called by another number than their InstanceNumber"
        yield Problem(ProblemKind.HEADER, folder, said, value=str(other), study=uid)


def _file_problems(uid: str, table: pa.Table) -> Iterator[Problem]:
    columns = [table[name].to_pylist() for name in ("file", "pixels", "file_bytes", "study_in_header")]
    for file, pixels, size, stated in zip(*columns, strict=True):
        if pixels == PixelState.TRUNCATED:
            yield Problem(ProblemKind.BROKEN_FILE, file, "pixel data is truncated", value=str(size), study=uid)
        if stated != uid:
            said = f"says study {stated or 'none'}, but lies in the folder of {uid}"
            yield Problem(ProblemKind.HEADER, file, said, value=stated, study=uid)


def _most_common(values: list[Any]) -> Any:
    """Return the value that most slices have, the smallest of several."""
    counts = Counter(value for value in values if value is not None)
    return min(counts, key=lambda value: (-counts[value], value)) if counts else None


def _geometry(table: pa.Table) -> dict[str, Any]:
    gaps = np.array([gap for gap in table["gap_mm"].to_pylist() if gap is not None])
    heights = [height for height in table["height_mm"].to_pylist() if height is not None]
    z = [value for value in table["z_mm"].to_pylist() if value is not None]
    apart = gaps[gaps > SAME_PLACE_MM]
    spacing = float(np.median(apart)) if len(apart) else None
    wide = apart[apart > GAP_FACTOR * spacing] if spacing else apart[:0]
    return {
        "spacing_mm": spacing,
        "extent_mm": heights[0] - heights[-1] if heights else None,
        "top_z_mm": max(z, default=None),
        "bottom_z_mm": min(z, default=None),
        "gaps": len(wide),
        "largest_gap_mm": float(apart.max()) if len(apart) else None,
        "same_place": int((gaps <= SAME_PLACE_MM).sum()),
    }


def _numbers(table: pa.Table) -> dict[str, Any]:
    numbers = table["slice_number"].to_pylist()
    known = [number for number in numbers if number is not None]
    pairs = [
        (number, height)
        for number, height in zip(numbers, table["height_mm"].to_pylist(), strict=True)
        if number is not None and height is not None
    ]
    return {
        "first_number": min(known, default=None),
        "last_number": max(known, default=None),
        "z_direction": _direction(pairs).value,
    }


def _direction(pairs: list[tuple[int, float]]) -> Direction:
    steps = np.diff([height for _, height in sorted(pairs)])
    if not len(steps):
        return Direction.UNKNOWN
    if (steps <= SAME_PLACE_MM).all():
        return Direction.FALLS
    return Direction.RISES if (steps >= -SAME_PLACE_MM).all() else Direction.MIXED


def _study_hash(table: pa.Table) -> str:
    """Return a hash of the headers of all slices, whatever the order of the files."""
    digest = hashlib.blake2b(digest_size=16)
    for one in sorted(table["header_hash"].to_pylist()):
        digest.update(bytes.fromhex(one))
    return digest.hexdigest()


def _unusable(uid: str, table: pa.Table, row: dict[str, Any]) -> str:
    if uid in BAD_STUDIES:
        return "one of the two studies that are known to be wrong"
    whole = sum(value == PixelState.WHOLE for value in table["pixels"].to_pylist())
    if row["slices"] < SLICES_LEAST:
        return f"{row['slices']} readable slices; at least {SLICES_LEAST} are needed"
    if row["spacing_mm"] is None:
        return "no two slices at known, different positions"
    return (
        "" if whole >= SLICES_LEAST else f"{whole} slices with all of their pixels; at least {SLICES_LEAST} are needed"
    )
