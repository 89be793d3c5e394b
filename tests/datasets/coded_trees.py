"""A tiny RSNA tree of coded necks: every number that the toolkit shows is known beforehand."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from cspine.datasets import nifti_bytes
from cspine.dicom import Numbering, StudyHeader, write_ct_series
from cspine.domain import CERVICAL, AxisOrder, Box, LabelMap, Vertebra, Volume
from tests.models.coded import coded_case

SPACING_MM = (3.0, 2.5, 2.5)
LABEL_COLUMNS = ("StudyInstanceUID", "patient_overall", *(v.name for v in CERVICAL))
BOX_COLUMNS = ("StudyInstanceUID", "x", "y", "width", "height", "slice_number")
# RSNA masks are stored sagittally, front and head last.
SAGITTAL = AxisOrder((2, 1, 0), (False, True, True))


@cache
def neck() -> tuple[Volume, LabelMap]:
    """Return the coded neck that every study shows: C1 … T1, canonical, about 52 × 52 × 52 voxels."""
    volume, labels, _ = coded_case(spacing_mm=SPACING_MM)
    return volume, labels


@dataclass(frozen=True)
class StudySpec:
    """One study of a tree.

    Attributes
    ----------
    boxed
        Levels that have boxes: one on each slice of their middle three, round the middle of the block.
    mask
        Labels to write as its mask; ``True`` for the true ones.
    volume
        Voxels to write instead of the neck's.
    """

    uid: str
    fractured: tuple[Vertebra, ...] = ()
    boxed: tuple[Vertebra, ...] = ()
    mask: bool | LabelMap = False
    volume: Volume | None = None
    numbering: Numbering = field(default_factory=Numbering)
    extra_boxes: tuple[tuple[float, float, float, float, int], ...] = ()
    overall: int | None = None

    @property
    def slices(self) -> int:
        return (self.volume or neck()[0]).grid.shape[0]

    def number(self, slice_index: int) -> int:
        """Return the ``slice_number`` of a slice of the volume as it is written."""
        return self.numbering.of(self.slices)[slice_index]

    @property
    def label_row(self) -> list[object]:
        overall = int(bool(self.fractured)) if self.overall is None else self.overall
        return [self.uid, overall, *(int(v in self.fractured) for v in CERVICAL)]

    @property
    def box_rows(self) -> list[list[Any]]:
        rows = [box_of(v, k) for v in self.boxed for k in middle_slices(v)]
        named = [(*row[:4], self.number(row[4])) for row in rows] + list(self.extra_boxes)
        return [[self.uid, *row] for row in named]


def block(vertebra: Vertebra) -> Box:
    """Return the voxels of a level."""
    found = Box.of_mask(neck()[1].labels == vertebra)
    assert found is not None
    return found


def middle_slices(vertebra: Vertebra) -> list[int]:
    """Return the three slices in the middle of a level."""
    start, stop = block(vertebra).start_zyx[0], block(vertebra).stop_zyx[0]
    return [(start + stop) // 2 + step for step in (-1, 0, 1)]


def box_of(
    vertebra: Vertebra, slice_index: int, size: tuple[int, int] = (6, 4)
) -> tuple[float, float, float, float, int]:
    """Return x, y (top left), width, height and slice of a box in the middle of a level."""
    _, (top, left), (bottom, right) = 0, block(vertebra).start_zyx[1:], block(vertebra).stop_zyx[1:]
    row, column = (top + bottom) // 2, (left + right) // 2
    return column - size[0] // 2, row - size[1] // 2, size[0], size[1], slice_index


def write_tree(root: Path, studies: Sequence[StudySpec]) -> Path:
    """Write train.csv, train_bounding_boxes.csv, train_images and segmentations."""
    root.mkdir(parents=True, exist_ok=True)
    _csv(root / "train.csv", LABEL_COLUMNS, [spec.label_row for spec in studies])
    _csv(root / "train_bounding_boxes.csv", BOX_COLUMNS, [row for spec in studies for row in spec.box_rows])
    (root / "segmentations").mkdir(exist_ok=True)
    for spec in studies:
        header = StudyHeader(study_instance_uid=spec.uid, series_instance_uid=f"{spec.uid}.1", is_phantom=True)
        folder = root / "train_images" / spec.uid
        write_ct_series(spec.volume or neck()[0], folder, header=header, numbering=spec.numbering)
        if spec.mask is not False:
            write_mask(root, spec.uid, neck()[1] if spec.mask is True else spec.mask)
    return root


def write_mask(root: Path, uid: str, labels: LabelMap, stored: AxisOrder = SAGITTAL) -> Path:
    """Write a mask as RSNA has it: not in the axis order of the slices."""
    path = root / "segmentations" / f"{uid}.nii.gz"
    path.write_bytes(nifti_bytes(labels.grid.reordered(stored), np.ascontiguousarray(stored.apply(labels.labels))))
    return path


def _csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    lines = [",".join(columns), *(",".join(str(value) for value in row) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
