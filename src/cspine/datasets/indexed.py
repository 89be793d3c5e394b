"""From an index to what the rest of the toolkit works on: the parts of each study, and its labels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cspine.datasets.index import LEVELS, OVERALL, TARGETS, UID, RsnaIndex, index_rsna, read_index
from cspine.datasets.index.annotations import masks_of
from cspine.datasets.index.csvfiles import read_boxes
from cspine.datasets.labeled_study import SliceBox, StudyFiles, StudyLabels
from cspine.datasets.study_pass import Report
from cspine.domain import NoImages, Vertebra


def studies_of(index: RsnaIndex, part: str = "train") -> tuple[StudyFiles, ...]:
    """Return the usable studies of one part, in the order of their UIDs, with their masks and boxes."""
    boxes: dict[str, list[SliceBox]] = {}
    for row in index.boxes.itertuples(index=False):
        box = SliceBox(int(row.slice_number), float(row.x), float(row.y), float(row.width), float(row.height))
        boxes.setdefault(row.StudyInstanceUID, []).append(box)
    table = index.studies
    table = table[(table["part"] == part) & table["usable"].astype(bool)]
    return tuple(
        StudyFiles(
            row.StudyInstanceUID,
            index.root / f"{part}_images" / row.StudyInstanceUID,
            None if not _given(row.mask) else index.root / row.mask,
            tuple(boxes.get(row.StudyInstanceUID, ())),
        )
        for row in table.sort_values(UID).itertuples(index=False)
    )


def labels_of(index: RsnaIndex) -> pd.DataFrame:
    """Return UID and 0/1 labels of every study whose row of ``train.csv`` is whole, usable images or not."""
    table = index.studies[[UID, *TARGETS]].dropna()
    return table.astype(dict.fromkeys(TARGETS, int)).reset_index(drop=True)


def study_labels_of(index: RsnaIndex) -> Mapping[str, StudyLabels]:
    """Return the same by UID."""
    found = {}
    for row in labels_of(index).to_dict("records"):
        fractured = frozenset(Vertebra[level] for level in LEVELS if row[level])
        found[row[UID]] = StudyLabels(bool(row[OVERALL]), fractured)
    return found


def _given(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def problems_of(index: RsnaIndex) -> tuple[tuple[str, str], ...]:
    """Return UID and sentence of every problem of the index; the UID is empty where it is about no single study."""
    rows = index.problems[["study", "message"]].itertuples(index=False)
    return tuple((str(row.study), str(row.message)) for row in rows)


def open_or_make_index(root: Path, place: Path | None, workers: int, report: Report) -> RsnaIndex:
    """Return the index of a data set, made now where there is none.

    Parameters
    ----------
    place
        Folder of the index; ``None`` for ``root/cspine-index``.

    Raises
    ------
    NoImages
        There is no data set in that layout.
    StoreError
        The index cannot be read or written.
    """
    try:
        return read_index(place or root)
    except NoImages:
        return index_rsna(
            root, place, workers, lambda uid, share, slices: report(f"index {slices} slices", share)
        ).index


def study_at(folder: Path, mask: Path | None = None) -> StudyFiles:
    """Return a study by its folder; where that lies in a data set, with the mask and boxes that the set has of it.

    Raises
    ------
    NoImages
        There is no such folder.
    """
    if not folder.is_dir():
        raise NoImages(f"{folder}: no such folder; give the folder of one study")
    uid, root = folder.resolve().name, folder.resolve().parents[1]
    if not folder.resolve().parent.name.endswith("_images"):
        return StudyFiles(uid, folder, mask)
    rows = [row for row in read_boxes(root, lambda problem: None) if row.study == uid]
    boxes = tuple(SliceBox(row.slice_number, row.x, row.y, row.width, row.height) for row in rows)
    return StudyFiles(uid, folder, mask or masks_of(root).get(uid), boxes)
