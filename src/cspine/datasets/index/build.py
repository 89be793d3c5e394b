"""Index a folder in the layout of RSNA 2022: what changed is read, everything else is taken from the last run.

The rows of slices go to shards while the run goes on; the run after one that was stopped takes them up. At the end the
shards become one table, and the tables of the last run are replaced all together.
"""

import shutil
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cspine.datasets.index.annotations import box_table, mask_problems, masks_of, placed_boxes
from cspine.datasets.index.csvfiles import (
    BOXES_CSV,
    TEST_FILE,
    TRAIN_FILE,
    BoxRow,
    LabelRow,
    read_boxes,
    read_labels,
    read_test,
)
from cspine.datasets.index.header_pass import read_headers
from cspine.datasets.index.known import KnownSlices, known_slices, ranges_of
from cspine.datasets.index.reading import RsnaIndex, read_index
from cspine.datasets.index.schema import (
    BOXES_FILE,
    PROBLEMS_FILE,
    SCHEMA,
    SLICES_FILE,
    STUDIES_FILE,
    STUDY_FIELDS,
    TARGETS,
    UID,
    Problem,
    ProblemKind,
    slice_schema,
)
from cspine.datasets.index.slices import StudyFolder, list_studies
from cspine.datasets.index.studies import StudyHeaders, summed_up
from cspine.domain import NoImages, Rejected, Unreachable

INDEX_FOLDER = "cspine-index"
PARTS = ("train", "test")
SHARDS = ".shards"
# Rows that are in memory before they go to a shard.
ROWS_PER_SHARD = 20_000

Report = Callable[[str, float, int], None]


@dataclass(frozen=True)
class IndexRun:
    """What an index run did.

    Attributes
    ----------
    read, kept
        Slices whose headers were read, and whose rows were taken from an earlier run.
    gone
        Slices of an earlier run whose file is no longer there.
    """

    index: RsnaIndex
    read: int
    kept: int
    gone: int


@dataclass
class _Gathered:
    """What a run gathers besides the slices."""

    labels: dict[str, LabelRow]
    boxes: dict[str, list[BoxRow]]
    masks: dict[str, Path]
    problems: list[Problem]
    rows: list[dict[str, Any]] = field(default_factory=list)
    kept_boxes: list[BoxRow] = field(default_factory=list)
    read: int = 0
    kept: int = 0


def index_rsna(
    root: Path, folder: Path | None = None, workers: int = 1, report: Report = lambda uid, share, slices: None
) -> IndexRun:
    """Index the slices, studies, labels, boxes and masks below `root`; only headers are read.

    Parameters
    ----------
    root
        In the layout of RSNA 2022; every part but ``train_images`` or ``test_images`` may be missing.
    folder
        Where the tables go; default: ``cspine-index`` in the root.
    workers
        Processes.
    report
        Called with each study, the share of the studies that is done, and the number of slices so far.

    Raises
    ------
    NoImages
        There are no images below the root.
    StoreError
        A folder cannot be read or written, or the disk is full.
    """
    folder = folder or root / INDEX_FOLDER
    present = [part for part in PARTS if (root / f"{part}_images").is_dir()]
    if not present:
        raise NoImages(f"{root}: has neither train_images nor test_images; give the root of the data set")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        known = known_slices(folder, SLICES_FILE, SHARDS)
        gathered = _gather(root, present)
        _index_slices((root, folder, present), known, gathered, workers, report)
        _write(root, folder, gathered)
    except OSError as error:
        if error.errno is None:
            raise
        raise _translated(error, folder) from error
    return IndexRun(read_index(folder), gathered.read, gathered.kept, max(0, known.rows - gathered.kept))


def _gather(root: Path, present: list[str]) -> _Gathered:
    problems: list[Problem] = []
    for part in PARTS:
        if part not in present:
            problems.append(Problem(ProblemKind.ABSENT, f"{part}_images", "is missing; its studies are not indexed"))
    by_study: dict[str, list[BoxRow]] = defaultdict(list)
    for box in read_boxes(root, problems.append):
        by_study[box.study].append(box)
    gathered = _Gathered(read_labels(root, problems.append), dict(by_study), masks_of(root), problems)
    if "test" in present or (root / TEST_FILE).exists():
        _check_test(root, problems)
    return gathered


def _check_test(root: Path, problems: list[Problem]) -> None:
    for uid, rows in read_test(root, problems.append).items():
        if (root / "test_images").is_dir() and not (root / "test_images" / uid).is_dir():
            problems.append(_unknown(TEST_FILE, uid, f"study {uid} has no images", min(rows.values())))


def _index_slices(
    where: tuple[Path, Path, list[str]], known: KnownSlices, gathered: _Gathered, workers: int, report: Report
) -> None:
    root, folder, present = where
    total = sum(1 for part in present for entry in (root / f"{part}_images").iterdir() if entry.is_dir())
    wanted = (study for part in present for study in list_studies(root, part, root / f"{part}_images"))
    kept: deque[pa.Table] = deque()

    def changed() -> Iterator[StudyFolder]:
        for study in wanted:
            to_read, old = known.compared(study)
            kept.append(old)
            yield to_read

    shards = _Shards(folder / SHARDS)
    for study, headers in read_headers(str(root), changed(), workers):
        old = kept.popleft()
        gathered.read += headers.table.num_rows
        gathered.kept += old.num_rows
        whole = headers
        if old.num_rows:
            table = pa.concat_tables([old, headers.table.select(old.column_names)])
            whole = summed_up(study, table, headers.broken)
        _add_study(root, study, whole, gathered)
        shards.add(whole.table)
        report(study.uid, len(gathered.rows) / total, gathered.read + gathered.kept)
    shards.flush()


def _add_study(root: Path, study: StudyFolder, headers: StudyHeaders, gathered: _Gathered) -> None:
    row, table, problems = headers.row, headers.table, gathered.problems
    problems += [*headers.broken, *headers.odd]
    told = gathered.labels.get(study.uid) if study.part == "train" else None
    row |= {name: told.labels.get(name) if told else None for name in TARGETS}
    boxes = placed_boxes(gathered.boxes.get(study.uid, []), table, problems.append)
    gathered.kept_boxes += boxes
    mask = gathered.masks.get(study.uid)
    row |= {"boxes": len(boxes), "mask": None, "mask_fits": None}
    if mask is not None:
        name = mask.relative_to(root).as_posix()
        found = list(mask_problems(mask, name, row, table)) if row["spacing_mm"] is not None else []
        problems += found
        row |= {"mask": name, "mask_fits": not found}
    gathered.rows.append(row)


class _Shards:
    """Rows of slices on their way to disk."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._tables, self._rows = folder, list[pa.Table](), 0
        self._number = len(list(folder.glob("*.parquet")))

    def add(self, table: pa.Table) -> None:
        """Take the slices of a study."""
        self._tables.append(table)
        self._rows += table.num_rows
        if self._rows >= ROWS_PER_SHARD:
            self.flush()

    def flush(self) -> None:
        """Write what is in memory."""
        if not self._tables:
            return
        self._folder.mkdir(exist_ok=True)
        part = self._folder / f".{self._number:05d}.part"
        pq.write_table(pa.concat_tables(self._tables).unify_dictionaries(), part, compression="zstd")
        part.replace(self._folder / f"{self._number:05d}.parquet")
        self._tables, self._rows, self._number = [], 0, self._number + 1


def _write(root: Path, folder: Path, gathered: _Gathered) -> None:
    """Write all tables under temporary names, then put them in their places."""
    _unknown_studies(gathered)
    metadata = {b"cspine_schema": SCHEMA.encode(), b"cspine_root": str(root.resolve()).encode()}
    studies = pa.Table.from_pylist(gathered.rows, schema=pa.schema(STUDY_FIELDS, metadata=metadata))
    stage = folder / ".new"
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir()
    _join_shards(folder / SHARDS, stage / SLICES_FILE, {(row["part"], row[UID]) for row in gathered.rows})
    pq.write_table(studies, stage / STUDIES_FILE, compression="zstd")
    pq.write_table(box_table(gathered.kept_boxes), stage / BOXES_FILE, compression="zstd")
    columns = ["kind", "file", "row", "value", "study", "message"]
    problems = [{name: getattr(one, name) for name in columns} for one in gathered.problems]
    pd.DataFrame(problems, columns=columns).to_csv(stage / PROBLEMS_FILE, index=False)
    for name in (SLICES_FILE, BOXES_FILE, PROBLEMS_FILE, STUDIES_FILE):
        (stage / name).replace(folder / name)
    stage.rmdir()
    shutil.rmtree(folder / SHARDS, ignore_errors=True)


def _join_shards(shards: Path, out: Path, wanted: set[tuple[str, str]]) -> None:
    """Write the rows of all shards as one table; of a study that stands in several, only those of the last run."""
    files = sorted(shards.glob("*.parquet"))
    last: dict[tuple[str, str], int] = {}
    for number, path in enumerate(files):
        last |= dict.fromkeys(ranges_of(pq.read_table(path, columns=["part", UID])), number)
    with pq.ParquetWriter(out, slice_schema(), compression="zstd") as writer:
        for number, path in enumerate(files):
            table = pq.read_table(path).cast(slice_schema())
            ranges = ranges_of(table)
            kept = [place for key, place in ranges.items() if key in wanted and last[key] == number]
            if len(kept) < len(ranges):
                table = pa.concat_tables([table.slice(*place) for place in kept] or [table.slice(0, 0)])
            writer.write_table(table)


def _unknown_studies(gathered: _Gathered) -> None:
    """Name labels, boxes and masks without images, and images without labels."""
    seen = {row[UID] for row in gathered.rows}
    trained = [row[UID] for row in gathered.rows if row["part"] == "train"]
    counts = Counter(box.study for boxes in gathered.boxes.values() for box in boxes)
    for uid, told in gathered.labels.items():
        if uid not in seen:
            gathered.problems.append(_unknown(TRAIN_FILE, uid, f"study {uid} has no images", told.csv_row))
    for uid, number in counts.items():
        if uid not in seen:
            first = gathered.boxes[uid][0].csv_row
            said = f"{number} boxes of study {uid}, which has no images"
            gathered.problems.append(_unknown(BOXES_CSV, uid, said, first))
    for uid, path in gathered.masks.items():
        if uid not in seen:
            gathered.problems.append(_unknown(f"{path.parent.name}/{path.name}", uid, f"study {uid} has no images"))
    if gathered.labels:
        for uid in trained:
            if uid not in gathered.labels:
                gathered.problems.append(
                    _unknown(TRAIN_FILE, uid, f"has no row for study {uid}; its labels are unknown")
                )


def _unknown(file: str, uid: str, message: str, row: int = 0) -> Problem:
    return Problem(ProblemKind.UNKNOWN_STUDY, file, message, row, value=uid, study=uid)


def _translated(error: OSError, folder: Path) -> Exception:
    place = error.filename or folder
    if error.errno in (28, 122):
        return Rejected(f"{place}: no space left on the disk; what was read so far is kept, run again to go on")
    return Unreachable(f"{place}: {error.strerror}; another place for the tables can be given with --index")
