"""What the generator wrote down of the studies of a folder, and a list of what differs from it.

The folder is one of `cspine phantom make --layout rsna`.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cspine.dicom import Numbering

LEVELS = tuple(f"C{k}" for k in range(1, 8))
TARGETS = ("patient_overall", *LEVELS)
Record = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Truth:
    """What the generator wrote down of the studies of the training part."""

    records: dict[str, Record]

    @classmethod
    def of(cls, root: Path) -> "Truth":
        """Read the sidecars of a folder."""
        read = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((root / "truth").glob("*.json"))]
        return cls({one["study_uid"]: one for one in read if one["rsna"]["split"] == "train"})

    @cached_property
    def labels(self) -> np.ndarray:
        """Labels of each study, 0 or 1."""
        return np.array([[r["rsna"]["labels"][t] for t in TARGETS] for r in self.records.values()], dtype=float)

    @cached_property
    def slices(self) -> dict[str, int]:
        """Slices of each study."""
        return {uid: int(r["images"]["slices"]) for uid, r in self.records.items()}

    @property
    def masked(self) -> dict[str, Record]:
        """Studies with a mask."""
        return {uid: r for uid, r in self.records.items() if r["rsna"]["segmented"]}

    def boxes(self) -> Iterator[tuple[str, Record]]:
        """Yield the boxes that stand in the table."""
        for uid, record in self.records.items():
            for box in record["boxes"]:
                if box["counted"] and record["rsna"]["boxed"]:
                    yield uid, box

    def numbers(self, uid: str) -> list[int]:
        """Return the number of each slice from head to foot."""
        images = self.records[uid]["images"]
        return list(Numbering(images["first_number"], images["backward"]).of(images["slices"]))

    def levels(self) -> Iterator[tuple[str, Record, bool]]:
        """Yield the levels of all masks, and whether islands were put where they change them."""
        for uid, record in self.masked.items():
            changed = {i["vertebra"] for i in record["islands"] if i["touches"] or is_hidden(i, record)}
            for level in record["levels"]:
                yield uid, level, level["vertebra"] in changed


def is_hidden(island: Record, record: Record) -> bool:
    """Tell whether an island lies at the end of a scan that cuts its level, too: it might be a part of the level."""
    ends = {"0", str(record["images"]["slices"] - 1)}
    cut = {level["vertebra"] for level in record["levels"] if level["cut"]}
    return island["vertebra"] in cut and bool(ends & set(island["voxels_by_slice"]))


class Wrong:
    """What differs, gathered."""

    def __init__(self) -> None:
        self._found: list[str] = []

    @property
    def found(self) -> tuple[str, ...]:
        """All of it."""
        return tuple(self._found)

    def add(self, text: str) -> None:
        """Take a difference."""
        self._found.append(text)

    def unless_equal(self, what: str, said: object, known: object) -> None:
        """Take a difference where values are not equal."""
        if said != known:
            self.add(f"{what}: {str(said)[:200]}, truth {str(known)[:200]}")

    def unless_close(self, what: str, said: Iterable[float], known: Iterable[float], tolerance: float) -> None:
        """Take a difference where numbers are not alike."""
        one, other = np.array(list(said), float), np.array(list(known), float)
        if one.shape != other.shape or not np.allclose(one, other, rtol=tolerance, atol=tolerance):
            self.add(f"{what}: {one.tolist()}, truth {other.tolist()}")
