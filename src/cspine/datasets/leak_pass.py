"""Fingerprint every slice of an index or every picture of a folder once, keep that, and look for leaks.

Fingerprints are kept beside the index and made anew only for files that changed. Files are decoded in child processes
and described in threads; at most a few dozen pictures are in memory.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cspine.datasets.fingerprints import ANCHORS, COUNT, fingerprint
from cspine.datasets.index import UID, RsnaIndex
from cspine.datasets.leak_report import LeakReport
from cspine.datasets.leaks import Pixels, Prints, Slide, find_leaks
from cspine.datasets.splits import BY_IMAGE, Split
from cspine.dicom import read_pictures

PRINTS_FILE = "fingerprints.parquet"
# Copies without a pixel size may have been cropped and enlarged: these factors are tried.
SCALES = (1.0, 1.1, 1.21, 1.33)
_BATCH = 24
_SCHEMA = pa.schema([
    ("file", pa.string()), ("file_bytes", pa.int64()), ("modified_ns", pa.int64()), ("scale", pa.float32()),
    ("pixel_hash", pa.string()), ("frame", pa.list_(pa.float16(), COUNT)),
    ("anchored", pa.list_(pa.float16(), ANCHORS * COUNT)),
])  # fmt: skip

Report = Callable[[str, float], None]
Read = Callable[[Sequence[Path]], list[Pixels | str]]
_Row = tuple[str, int, int, float, str, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class PictureFile:
    """One file to compare, and who owns it in which part."""

    file: str
    owner: str
    part: str
    file_bytes: int
    modified_ns: int


@dataclass(frozen=True)
class Gallery:
    """Files below a root, and how to read them.

    Attributes
    ----------
    kept_in
        Folder for the fingerprints.
    scales
        At which each picture is described.
    """

    root: Path
    files: tuple[PictureFile, ...]
    read: Read
    kept_in: Path
    scales: tuple[float, ...] = (1.0,)


def index_gallery(index: RsnaIndex, split: Split | None, per_study: int | None = None) -> Gallery:
    """Return the slices of an index by part of a split; without one every study is a part of its own.

    Parameters
    ----------
    per_study
        Compare only this many slices of each study, evenly spread from head to foot; default: all.
    """
    columns = ["file", UID, "file_bytes", "modified_ns", "place"]
    slices = index.slices[columns].astype({UID: str})
    parts = None if split is None else split.part_of()
    if parts is not None and split is not None:
        key = slices["file"] if split.by == BY_IMAGE else slices[UID]
        slices = slices.assign(part=key.map(parts)).dropna(subset=["part"])
    else:
        slices = slices.assign(part=slices[UID])
    if per_study is not None:
        slices = slices[_evenly(slices, per_study)]
    rows = zip(*(slices[c] for c in ("file", UID, "part", "file_bytes", "modified_ns")), strict=True)
    files = tuple(PictureFile(str(f), str(u), str(p), int(b), int(m)) for f, u, p, b, m in rows)
    return Gallery(index.root, files, _read_dicom, index.folder)


def check_leaks(
    gallery: Gallery, split_hash: str = "", workers: int = 1, report: Report = lambda f, s: None
) -> LeakReport:
    """Compare all files of a gallery across its parts.

    Parameters
    ----------
    report
        Called with a file and the share of the files that is described.

    Raises
    ------
    StoreError
        Fingerprints cannot be kept.
    """
    rows, unread = _described(gallery, workers, report)
    by_key = {(row[0], row[3]): row for row in rows}
    slides, found = [], []
    for file in gallery.files:
        for scale in gallery.scales:
            row = by_key.get((file.file, scale))
            if row is not None:
                slides.append(Slide(file.file, file.owner, file.part, scale))
                found.append(row)
    prints = Prints(
        np.array([row[4] for row in found], dtype=object),
        np.array([row[5] for row in found], np.float16).reshape(-1, COUNT),
        np.array([row[6] for row in found], np.float16).reshape(-1, ANCHORS, COUNT),
    )

    def load(key: str) -> Pixels | None:
        (picture,) = gallery.read([gallery.root / key])
        return None if isinstance(picture, str) else picture

    leaks = find_leaks(slides, prints, load, workers)
    return LeakReport(split_hash, len(gallery.files) - len(unread), tuple(leaks), tuple(unread))


def _described(gallery: Gallery, workers: int, report: Report) -> tuple[list[_Row], list[str]]:
    """Return the fingerprints of all files, new ones made and kept."""
    known = _known(gallery.kept_in / PRINTS_FILE)
    rows: list[_Row] = []
    missing: list[PictureFile] = []
    for file in gallery.files:
        states = [known.get((file.file, file.file_bytes, file.modified_ns, scale)) for scale in gallery.scales]
        if None in states:
            missing.append(file)
        rows += [state for state in states if state is not None and None not in states]
    batches = [missing[at : at + _BATCH] for at in range(0, len(missing), _BATCH)]
    unread: list[str] = []
    with ThreadPoolExecutor(max(1, workers)) as pool:
        for number, (made, said) in enumerate(pool.map(lambda batch: _describe(gallery, batch), batches), start=1):
            rows += made
            unread += said
            report(batches[number - 1][0].file, number / len(batches))
    if missing:
        _keep(rows, gallery.kept_in / PRINTS_FILE)
    return rows, unread


def _describe(gallery: Gallery, batch: Sequence[PictureFile]) -> tuple[list[_Row], list[str]]:
    rows: list[_Row] = []
    unread = []
    for file, picture in zip(batch, gallery.read([gallery.root / f.file for f in batch]), strict=True):
        if isinstance(picture, str):
            unread.append(picture)
            continue
        for scale in gallery.scales:
            seen = fingerprint(*picture, scale)
            frame, anchored = seen.frame.astype(np.float16), seen.anchored.ravel().astype(np.float16)
            rows.append((file.file, file.file_bytes, file.modified_ns, scale, seen.pixel_hash, frame, anchored))
    return rows, unread


def _known(path: Path) -> dict[tuple[str, int, int, float], _Row]:
    """Return what an earlier run kept; a damaged file is as good as none."""
    try:
        table = pq.read_table(path)
        table = table.cast(_SCHEMA)
    except (pa.ArrowException, OSError, ValueError):
        return {}
    arrays = [
        table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(len(table), -1)
        for name in ("frame", "anchored")
    ]
    plain = [table[name].to_pylist() for name in ("file", "file_bytes", "modified_ns", "scale", "pixel_hash")]
    return {
        (f, b, m, round(s, 3)): (f, b, m, round(s, 3), h, arrays[0][k], arrays[1][k])
        for k, (f, b, m, s, h) in enumerate(zip(*plain, strict=True))
    }


def _keep(rows: Iterable[_Row], path: Path) -> None:
    rows = sorted(rows, key=lambda row: (row[0], row[3]))
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(_SCHEMA)
    arrays = [pa.array(list(values), field.type) for values, field in zip(columns[:5], _SCHEMA, strict=False)]
    for vectors in columns[5:]:
        flat = pa.array(np.concatenate(vectors) if vectors else np.zeros(0, np.float16), pa.float16())
        arrays.append(pa.FixedSizeListArray.from_arrays(flat, _SCHEMA.field(len(arrays)).type.list_size))
    part = path.with_name(f".{path.name}.{os.getpid()}")
    pq.write_table(pa.Table.from_arrays(arrays, schema=_SCHEMA), part, compression="zstd")
    part.replace(path)


def _read_dicom(paths: Sequence[Path]) -> list[Pixels | str]:
    found = read_pictures([(path, str(path)) for path in paths])
    return [picture if isinstance(picture, str) else (picture.hu, picture.pixel_mm) for picture in found]


def _evenly(slices: pd.DataFrame, count: int) -> np.ndarray:
    """Return which slices are among `count` of their study, evenly spread; symmetric, so reversed copies agree."""
    keep = np.zeros(len(slices), bool)
    for rows in slices.reset_index(drop=True).groupby(UID, sort=False).indices.values():
        picked = np.unique(np.rint((np.arange(count) + 0.5) / count * len(rows) - 0.5).astype(int))
        keep[np.asarray(list(_ordered(rows)))[picked]] = True
    return keep


def _ordered(rows: np.ndarray) -> Iterator[int]:
    yield from sorted(int(row) for row in rows)
