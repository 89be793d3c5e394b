"""Read the headers of a study folder, and bring its slices into order."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from cspine.datasets.index.schema import PLACE_FIELDS, Problem, ProblemKind, header_schema
from cspine.dicom import SliceHeader, SliceHeaderReader
from cspine.domain import NoImages

# Positions along the normal closer than this are the same place.
SAME_PLACE_MM = 0.01
_NUMBER = re.compile(r"^\d+$")


class FileState(NamedTuple):
    """A file as a listing shows it."""

    name: str
    size: int
    modified_ns: int


@dataclass(frozen=True)
class StudyFolder:
    """The files of one study that are to be read.

    Attributes
    ----------
    folder
        Relative to the root, with forward slashes.
    """

    part: str
    uid: str
    folder: str
    files: tuple[FileState, ...]


def list_studies(root: Path, part: str, images: Path) -> Iterator[StudyFolder]:
    """Yield the folders below ``<part>_images`` with their files, in the order of their names."""
    with os.scandir(images) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir())
    for name in names:
        place = images / name
        yield StudyFolder(part, name, place.relative_to(root).as_posix(), tuple(_listed(place)))


def _listed(folder: Path) -> list[FileState]:
    with os.scandir(folder) as entries:
        files = [(entry.name, entry.stat()) for entry in entries if entry.is_file() and not entry.name.startswith(".")]
    return sorted((FileState(name, s.st_size, s.st_mtime_ns) for name, s in files), key=lambda f: _number_first(f.name))


def _number_first(name: str) -> tuple[int, str]:
    number = slice_number(name)
    return (-1 if number is None else number, name)


def slice_number(name: str) -> int | None:
    """Return the number that a file is called by, ``None`` when it is called something else."""
    stem = name.rsplit(".", 1)[0]
    return int(stem) if _NUMBER.match(stem) and len(stem) <= 9 else None


def read_study(root: str, study: StudyFolder) -> tuple[pa.Table, tuple[Problem, ...]]:
    """Return one row a readable file, in the order of the names, and what could not be read."""
    reader, rows, problems = SliceHeaderReader(), [], []
    for file in study.files:
        relative = f"{study.folder}/{file.name}"
        try:
            header = reader.read(f"{root}/{relative}", relative)
        except NoImages as error:
            said = str(error).removeprefix(f"{relative}: ")
            problems.append(Problem(ProblemKind.BROKEN_FILE, relative, said, study=study.uid))
            continue
        rows.append(_row(study, relative, file, header))
    return _table(rows), tuple(problems)


def _row(study: StudyFolder, relative: str, file: FileState, header: SliceHeader) -> tuple[Any, ...]:
    """Return the values of `HEADER_FIELDS`, in that order."""
    spacing = header.pixel_spacing_mm or (None, None)
    position = header.position_lps_mm or (None, None, None)
    return (
        study.part,
        study.uid,
        relative,
        slice_number(file.name),
        header.instance_number,
        header.sop_instance_uid,
        header.study_uid,
        header.series_uid,
        header.patient_id,
        header.modality,
        header.transfer_syntax,
        header.photometric,
        header.bits_allocated,
        header.bits_stored,
        header.pixel_representation,
        header.rows,
        header.columns,
        *spacing,
        header.window_center,
        header.window_width,
        header.slope,
        header.intercept,
        *position,
        header.orientation,
        header.thickness_mm,
        header.kernel,
        header.manufacturer,
        header.pixels.value,
        header.file_bytes,
        header.modified_ns,
        header.header_hash,
    )


def _table(rows: list[tuple[Any, ...]]) -> pa.Table:
    schema = header_schema()
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    arrays = [_column(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _column(values: Iterable[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return pa.array(list(values), kind.value_type).dictionary_encode()
    return pa.array(list(values), kind)


def with_places(table: pa.Table) -> pa.Table:
    """Return the slices of one study from head to foot, with their place, height and gap to the next place.

    Height is the position along the normal, the normal pointing to the head (or to the left or back in stacks that are
    not axial). Slices without a usable position come last, without a place. Equal heights keep the order of the names.
    """
    count = table.num_rows
    places, heights, gaps = np.full(count, -1), np.full(count, np.nan), np.full(count, np.nan)
    measured = heights_mm(table)
    known = np.flatnonzero(np.isfinite(measured))
    order = known[np.argsort(-measured[known], kind="stable")]
    drops = -np.diff(measured[order])
    steps = np.concatenate([[0], np.cumsum(drops > SAME_PLACE_MM)]) if len(order) else np.zeros(0)
    rest = np.flatnonzero(~np.isfinite(measured))
    every = np.concatenate([order, rest]).astype(np.int64)
    places[: len(order)], heights[: len(order)] = steps, measured[order]
    gaps[: max(0, len(order) - 1)] = drops
    columns = (
        pa.array(places, pa.int32(), mask=places < 0),
        pa.array(heights, pa.float64(), mask=np.isnan(heights)),
        pa.array(gaps, pa.float64(), mask=np.isnan(gaps)),
    )
    out = table.unify_dictionaries().take(pa.array(every))
    for field, values in zip(PLACE_FIELDS, columns, strict=True):
        out = out.append_column(field, values)
    return out


def heights_mm(table: pa.Table) -> np.ndarray:
    """Return the position of each slice along the normal of most slices; NaN where it is not known."""
    flat = table["orientation"].drop_null().combine_chunks().flatten().to_numpy(zero_copy_only=False)
    if not flat.size:
        return np.full(table.num_rows, np.nan)
    orientations, counts = np.unique(flat.reshape(-1, 6), axis=0, return_counts=True)
    usual = orientations[int(counts.argmax())]
    normal = np.cross(usual[:3], usual[3:])
    length = float(np.linalg.norm(normal))
    if length < 1e-6:
        return np.full(table.num_rows, np.nan)
    normal = normal / length
    if normal[int(np.abs(normal).argmax())] < 0:
        normal = -normal
    positions = np.stack([table[name].to_numpy(zero_copy_only=False) for name in ("x_mm", "y_mm", "z_mm")], axis=1)
    heights: np.ndarray = positions.astype(np.float64) @ normal
    return heights
