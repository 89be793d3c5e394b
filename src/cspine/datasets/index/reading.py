"""The index as a user of it sees it: tables in pandas, read when they are first asked for."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cspine.datasets.index.schema import BOXES_FILE, PROBLEMS_FILE, SCHEMA, SLICES_FILE, STUDIES_FILE
from cspine.domain import NoImages, Unreachable

_TABLES = (SLICES_FILE, STUDIES_FILE, BOXES_FILE, PROBLEMS_FILE)


@dataclass(frozen=True, eq=False)
class RsnaIndex:
    """The tables of an index.

    Attributes
    ----------
    folder
        Where the tables are.
    root
        The data set that they describe.
    """

    folder: Path
    root: Path

    @cached_property
    def studies(self) -> pd.DataFrame:
        """One row a study: `STUDY_FIELDS`, in the order of part and UID; whole numbers may be missing (``Int``)."""
        return _frame(self.folder / STUDIES_FILE)

    @cached_property
    def slices(self) -> pd.DataFrame:
        """One row a readable slice: `HEADER_FIELDS` and `PLACE_FIELDS`; each study from head to foot."""
        return _frame(self.folder / SLICES_FILE)

    @cached_property
    def boxes(self) -> pd.DataFrame:
        """One row a box that lies in an image: `BOX_FIELDS`; x, y is the top-left pixel corner."""
        return _frame(self.folder / BOXES_FILE)

    @cached_property
    def problems(self) -> pd.DataFrame:
        """One row for everything that could not be used: kind, file, row, value, study, message."""
        return pd.read_csv(self.folder / PROBLEMS_FILE, dtype={"value": str, "study": str}, keep_default_na=False)

    def slices_of(self, uid: str) -> pd.DataFrame:
        """Return the slices of one study from head to foot."""
        filters = [("StudyInstanceUID", "==", uid)]
        return _to_pandas(pq.read_table(self.folder / SLICES_FILE, filters=filters))


def read_index(place: Path) -> RsnaIndex:
    """Open an index, or the index in the root of a data set.

    Raises
    ------
    NoImages
        There is no index.
    Unreachable
        There is one, but it cannot be read, or it was made by another version.
    """
    folder = place
    if not (folder / STUDIES_FILE).is_file():
        folder = place / "cspine-index"
    missing = [name for name in _TABLES if not (folder / name).is_file()]
    if missing:
        raise NoImages(f"{place}: holds no index ({missing[0]} is missing); make one with: cspine data index ROOT")
    try:
        metadata = pq.read_schema(folder / STUDIES_FILE).metadata or {}
    except (pa.ArrowException, OSError) as error:
        raise Unreachable(f"{folder / STUDIES_FILE}: cannot be read: {error}; index again") from error
    version = metadata.get(b"cspine_schema", b"").decode()
    if version != SCHEMA:
        raise Unreachable(f"{folder}: an index of version {version or 'unknown'}, this is {SCHEMA}; index again")
    return RsnaIndex(folder, _root(folder, metadata))


def _root(folder: Path, metadata: dict[bytes, bytes]) -> Path:
    """Return the data set's root: where the index lies inside it, that place, so that both can be moved."""
    if any((folder.parent / f"{part}_images").is_dir() for part in ("train", "test")):
        return folder.parent
    return Path(metadata[b"cspine_root"].decode())


def _frame(path: Path) -> pd.DataFrame:
    try:
        return _to_pandas(pq.read_table(path))
    except (pa.ArrowException, OSError) as error:
        raise Unreachable(f"{path}: cannot be read: {error}; index again") from error


def _to_pandas(table: pa.Table) -> pd.DataFrame:
    kinds = {
        pa.int8(): pd.Int8Dtype(),
        pa.int16(): pd.Int16Dtype(),
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
    return table.to_pandas(types_mapper=kinds.get)
