"""What earlier runs know of the slices: whole tables, and the shards of a run that was stopped."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cspine.datasets.index.schema import HEADER_FIELDS, UID, header_schema, slice_schema
from cspine.datasets.index.slices import StudyFolder

_NAMES = [field.name for field in HEADER_FIELDS]


@dataclass(frozen=True, eq=False)
class KnownSlices:
    """Rows of earlier runs by study.

    Attributes
    ----------
    tables
        Newest first.
    ranges
        For each table the (first row, number of rows) of a (part, study).
    """

    tables: tuple[pa.Table, ...]
    ranges: tuple[dict[tuple[str, str], tuple[int, int]], ...]

    @property
    def rows(self) -> int:
        """Slices known, each once."""
        newest: dict[tuple[str, str], int] = {}
        for ranges in reversed(self.ranges):
            newest |= {key: number for key, (_, number) in ranges.items()}
        return sum(newest.values())

    def compared(self, study: StudyFolder) -> tuple[StudyFolder, pa.Table]:
        """Return a study with the files that no earlier run knows with this size and time, and the rows of the rest."""
        table = self._of(study)
        if not table.num_rows:
            return study, table
        known = _states(table)
        there = {(f"{study.folder}/{file.name}", file.size, file.modified_ns): file for file in study.files}
        if there.keys() == set(known):
            return replace(study, files=()), table
        stayed = pa.array([state in there for state in known], pa.bool_())
        changed = there.keys() - set(known)
        files = tuple(file for state, file in there.items() if state in changed)
        return replace(study, files=files), table.filter(stayed)

    def _of(self, study: StudyFolder) -> pa.Table:
        for table, ranges in zip(self.tables, self.ranges, strict=True):
            if (study.part, study.uid) in ranges:
                return table.slice(*ranges[study.part, study.uid])
        return _nothing()


def known_slices(folder: Path, name: str, shards: str) -> KnownSlices:
    """Return what an index folder knows; a damaged table, or one of another version, is as good as none."""
    paths = [*sorted((folder / shards).glob("*.parquet"), reverse=True), folder / name]
    tables = [table for path in paths if path.is_file() if (table := _read(path)) is not None]
    return KnownSlices(tuple(tables), tuple(map(ranges_of, tables)))


def _read(path: Path) -> pa.Table | None:
    try:
        table = pq.read_table(path)
        return table.cast(slice_schema()).select(_NAMES)
    except (pa.ArrowException, OSError, ValueError):
        return None


def ranges_of(table: pa.Table) -> dict[tuple[str, str], tuple[int, int]]:
    """Return where each study begins and how many rows it has; the rows of a study stand together."""
    if not table.num_rows:
        return {}
    codes = [table[name].unify_dictionaries().combine_chunks() for name in ("part", UID)]
    parts, uids = (c if isinstance(c, pa.DictionaryArray) else c.chunk(0) for c in codes)
    both = parts.indices.to_numpy().astype(np.int64) << 32 | uids.indices.to_numpy().astype(np.int64)
    starts = np.flatnonzero(np.diff(both, prepend=both[0] - 1))
    lengths = np.diff([*starts, len(both)])
    keys = [(parts[int(at)].as_py(), uids[int(at)].as_py()) for at in starts]
    return {key: (int(at), int(n)) for key, at, n in zip(keys, starts, lengths, strict=True)}


def _states(table: pa.Table) -> list[tuple[str, int, int]]:
    columns = [table[name].to_pylist() for name in ("file", "file_bytes", "modified_ns")]
    return list(zip(*columns, strict=True))


@lru_cache(maxsize=1)
def _nothing() -> pa.Table:
    return header_schema().empty_table()
