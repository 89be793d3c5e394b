"""What radiologists say to the findings: kept with who and when, never changed, exported as labels as in RSNA 2022.

A location is confirmed, rejected or redrawn; of a level it is said that a fracture is present or absent, or one is
drawn. The last word on each counts. A study gives labels once every fracture that the system named was answered.
"""

import csv
import io
import json
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import insert, select

from cspine.domain import CERVICAL, Conflict, InputError, WorldBox
from cspine.report import RENDERERS
from cspine.service.config import ServiceConfig
from cspine.service.database import Clock, Database, open_database
from cspine.service.tables import feedback, jobs, studies

LEVELS = tuple(vertebra.name for vertebra in CERVICAL)
NOTE_LIMIT = 2000
DAY_S = 86400.0
TRAIN, BOXES = "train.csv", "train_bounding_boxes.csv"
_TRAIN_HEAD = ("StudyInstanceUID", "patient_overall", *LEVELS)
_BOXES_HEAD = ("StudyInstanceUID", "x", "y", "width", "height", "slice_number")


class Verdict(StrEnum):
    """What is said of a location (the first three) or of a level (the last three)."""

    CONFIRM = "confirm"
    REJECT = "reject"
    REDRAW = "redraw"
    PRESENT = "present"
    ABSENT = "absent"


OF_LOCATION = frozenset({Verdict.CONFIRM, Verdict.REJECT, Verdict.REDRAW})
OF_LEVEL = frozenset({Verdict.PRESENT, Verdict.ABSENT, Verdict.REDRAW})
FRACTURED = frozenset({Verdict.CONFIRM, Verdict.REDRAW, Verdict.PRESENT})


@dataclass(frozen=True)
class Opinion:
    """One thing that somebody said.

    Attributes
    ----------
    location
        Number of the location within its vertebra, from 0; ``None`` for the level.
    box_lps_mm
        Where the fracture is, when it was drawn.
    """

    vertebra: str
    location: int | None
    verdict: Verdict
    box_lps_mm: WorldBox | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.vertebra not in LEVELS:
            raise InputError(f"there is no level {self.vertebra!r}; there are {', '.join(LEVELS)}")
        allowed = OF_LEVEL if self.location is None else OF_LOCATION
        if self.verdict not in allowed:
            what = "a level" if self.location is None else "a location"
            raise InputError(f"{what} is not said to be {self.verdict}; it is {', '.join(sorted(allowed))}")
        if (self.verdict is Verdict.REDRAW) != (self.box_lps_mm is not None):
            raise InputError("a box belongs to the verdict redraw, and to no other")
        if len(self.note) > NOTE_LIMIT:
            raise InputError(f"the note has {len(self.note)} characters; at most {NOTE_LIMIT}")


class FeedbackBook:
    """The table of what was said; rows are added, never changed."""

    def __init__(self, database: Database, clock: Clock, studies_dir: Path) -> None:
        self._database, self._clock, self._studies_dir = database, clock, studies_dir

    def add(self, row: Mapping[str, Any], opinion: Opinion, actor: str) -> None:
        """Keep an opinion on a study.

        Raises
        ------
        Conflict, InputError
            The study has no result, or no such location.
        """
        found = self._findings(row)
        locations = found["vertebrae"][LEVELS.index(opinion.vertebra)]["locations"]
        if opinion.location is not None and not 0 <= opinion.location < len(locations):
            raise InputError(
                f"{opinion.vertebra} has {len(locations)} locations; there is no number {opinion.location}"
            )
        box = opinion.box_lps_mm
        values = {
            "study": row["id"],
            "bundle": row["bundle"],
            "vertebra": opinion.vertebra,
            "location": opinion.location,
            "verdict": opinion.verdict.value,
            "box_lps_mm": None if box is None else [box.min_lps_mm, box.max_lps_mm],
            "note": opinion.note,
        }
        with self._database.write() as connection:
            connection.execute(insert(feedback).values(**values, actor=actor, at=self._clock()))

    def of(self, row: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return what was said of a study as its bundle found it, the oldest first."""
        same = (feedback.c.study == row["id"]) & (feedback.c.bundle == row["bundle"])
        with self._database.read() as connection:
            return [r._asdict() for r in connection.execute(select(feedback).where(same).order_by(feedback.c.id))]

    def labeled(self) -> tuple[list["Labeled"], int]:
        """Return the studies that were answered in full, by UID, and how many others were answered in part."""
        found, left_out = [], 0
        for row in self._answered():
            findings = self._findings(row)
            said = latest(self.of(row))
            if row["study_uid"] and is_complete(findings, said):
                labels = tuple(level_labels(findings, said))
                found.append(Labeled(row, labels, tuple(self._box_rows(row, findings, said))))
            else:
                left_out += 1
        return found, left_out

    def export(self) -> tuple[bytes, dict[str, int]]:
        """Return a zip with ``train.csv`` and ``train_bounding_boxes.csv``, and how many studies are in or left out."""
        found, left_out = self.labeled()
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, table in tables({one.row["study_uid"]: one for one in found}).items():
                archive.writestr(name, table)
        boxes = sum(len(one.boxes) for one in found)
        return made.getvalue(), {"studies": len(found), "boxes": boxes, "left_out": left_out}

    def agreement(self) -> list[dict[str, Any]]:
        """Return, day by day, how many locations were answered and how many of them confirmed, redrawn or rejected."""
        query = select(feedback).where(feedback.c.location.is_not(None)).order_by(feedback.c.id)
        with self._database.read() as connection:
            rows = [row._asdict() for row in connection.execute(query)]
        last = {(r["study"], r["bundle"], r["vertebra"], r["location"]): r for r in rows}
        days: dict[int, dict[str, Any]] = {}
        for row in last.values():
            day = days.setdefault(int(row["at"] // DAY_S), {"confirm": 0, "redraw": 0, "reject": 0})
            day[row["verdict"]] += 1
        return [{"day": day * DAY_S, **days[day], "answered": sum(days[day].values())} for day in sorted(days)]

    def _answered(self) -> list[dict[str, Any]]:
        query = (
            select(studies, jobs.c.bundle, jobs.c.state, jobs.c.error)
            .join(jobs, jobs.c.id == studies.c.job_id)
            .where(studies.c.id.in_(select(feedback.c.study)), studies.c.superseded_by.is_(None))
            .where(studies.c.result.is_not(None))
            .order_by(studies.c.study_uid)
        )
        with self._database.read() as connection:
            return [row._asdict() for row in connection.execute(query)]

    def _findings(self, row: Mapping[str, Any]) -> dict[str, Any]:
        if row["result"] is None:
            raise Conflict(f"study {row['id']} has no result: it is {row['state']}")
        path = self._studies_dir / row["id"] / row["result"] / RENDERERS["json"].file_name
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return found

    def _box_rows(self, row: Mapping[str, Any], found: dict[str, Any], said: "Latest") -> list[tuple[object, ...]]:
        """Return a row for each original slice that a confirmed or drawn box crosses."""
        folder = self._studies_dir / row["id"] / row["result"]
        try:
            slices = json.loads((folder / "geometry.json").read_text("utf-8"))
        except OSError as error:
            raise Conflict(f"the images of study {row['id']} are not there any more") from error
        return [cells for box in fracture_boxes(found, said) for cells in box_cells(slices, box)]


def open_feedback(config: ServiceConfig) -> FeedbackBook:
    """Open what was said in a service, running or not; raises as `Database`."""
    return FeedbackBook(open_database(config), time.time, config.studies_dir)


@dataclass(frozen=True)
class Labeled:
    """A study that was answered in full.

    Attributes
    ----------
    row
        Of the table of studies.
    levels
        For C1 … C7 whether it is fractured.
    boxes
        (x, y, width, height, slice_number) of each slice that a fracture crosses.
    """

    row: Mapping[str, Any]
    levels: tuple[bool, ...]
    boxes: tuple[tuple[object, ...], ...]


def tables(labeled: Mapping[str, Labeled]) -> dict[str, str]:
    """Return the tables of RSNA 2022 of some studies, each under the UID that it goes by."""
    train = [(uid, int(any(one.levels)), *map(int, one.levels)) for uid, one in labeled.items()]
    boxes = [(uid, *cells) for uid, one in labeled.items() for cells in one.boxes]
    return {TRAIN: _csv(_TRAIN_HEAD, train), BOXES: _csv(_BOXES_HEAD, boxes)}


Latest = Mapping[tuple[str, int | None], Mapping[str, Any]]
Corners = Sequence[Sequence[float]]


def latest(said: Sequence[Mapping[str, Any]]) -> Latest:
    """Return the last word on each location and level."""
    return {(one["vertebra"], one["location"]): one for one in said}


def is_complete(found: Mapping[str, Any], said: Latest) -> bool:
    """Whether every location was answered, and every level without one that is not ruled out."""
    for vertebra in found["vertebrae"]:
        name, locations = vertebra["vertebra"], vertebra["locations"]
        if any((name, k) not in said for k in range(len(locations))):
            return False
        if not locations and vertebra["decision"] != "rule-out" and (name, None) not in said:
            return False
    return True


def level_labels(found: Mapping[str, Any], said: Latest) -> list[bool]:
    """Return for C1 … C7 whether the reader says that it is fractured; what nobody objected to is not."""
    return [any(o["verdict"] in FRACTURED for (name, _), o in said.items() if name == level) for level in LEVELS]


def fracture_boxes(found: Mapping[str, Any], said: Latest) -> list[Corners]:
    """Return where the fractures are: boxes that were confirmed, and those that were drawn."""
    boxes: list[Corners] = []
    for (name, location), one in said.items():
        if one["verdict"] == Verdict.REDRAW:
            boxes.append(one["box_lps_mm"])
        elif one["verdict"] == Verdict.CONFIRM and location is not None:
            boxes.append(found["vertebrae"][LEVELS.index(name)]["locations"][location]["box_lps_mm"])
    return boxes


def box_cells(slices: Mapping[str, Any], box: Corners) -> list[tuple[object, ...]]:
    """Return (x, y, width, height, slice_number) for each original slice through a box.

    Pixels count from the top-left corner, as in RSNA 2022; the slice number is that of the image.
    """
    inverse = np.linalg.inv(np.array(slices["affine"]))
    corners = np.array([[box[i][0], box[j][1], box[k][2], 1.0] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    index = (inverse @ corners.T)[:3].T
    low, high = index.min(axis=0), index.max(axis=0)
    depth, rows, columns = slices["shape"]
    x, y = max(0.0, low[2] + 0.5), max(0.0, low[1] + 0.5)
    width, height = min(float(columns), high[2] + 0.5) - x, min(float(rows), high[1] + 0.5) - y
    if width <= 0 or height <= 0:
        return []
    crossed = range(max(0, int(np.ceil(low[0]))), min(depth - 1, int(np.floor(high[0]))) + 1)
    cells = tuple(f"{value:.5f}" for value in (x, y, width, height))
    return [(*cells, slices["instance_numbers"][k]) for k in crossed if slices["instance_numbers"][k] is not None]


def _csv(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return made.getvalue()
