"""The layout of the RSNA 2022 cervical spine data set: which files there are, and what stands in them.

::

    root/train.csv                    StudyInstanceUID, patient_overall, C1 … C7
    root/train_bounding_boxes.csv     StudyInstanceUID, x, y, width, height, slice_number
    root/train_images/<uid>/<n>.dcm   n = InstanceNumber = slice_number
    root/segmentations/<uid>.nii      of some studies; C1 = 1 … C7 = 7, T1 = 8 … T12 = 19
    root/test.csv                     row_id, StudyInstanceUID, prediction_type
    root/test_images/<uid>/<n>.dcm
    root/sample_submission.csv        row_id, fractured
    root/truth/<uid>.json             what RSNA does not tell: types, severities, levels of the boxes, mimics
    root/truth/<uid>-fractures.nii.gz where there are any: value k is the k-th fracture of the list; so -mimics.nii.gz

x and y are the top left corner in pixels. The quirks of the original are kept: raw and JPEG Lossless images, numbers
that rise toward the feet in most studies and toward the head in others and do not always begin at 1, images of another
shape within a study, now and then MONOCHROME1, masks stored sagittally and with stray islands.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from cspine.dicom import Numbering, Storage, StoredAs, Vendor, write_atomically
from cspine.domain import CERVICAL, Box, ConfigError, LabelMap, Vertebra

TRAIN, BOXES, TEST, SUBMISSION = "train.csv", "train_bounding_boxes.csv", "test.csv", "sample_submission.csv"
MASKS, TRUTH = "segmentations", "truth"
OVERALL = "patient_overall"
LEVELS = tuple(v.name for v in CERVICAL)
RSNA_PARTS = (TRAIN, BOXES, TEST, SUBMISSION, MASKS, TRUTH, "train_images", "test_images")

_BACKWARD_SHARE = 0.25
_SYNTAXES = ((StoredAs.RAW,), (StoredAs.JPEG_LOSSLESS,), (StoredAs.RAW, StoredAs.RAW, StoredAs.JPEG_LOSSLESS))
_SYNTAX_ODDS = (0.45, 0.45, 0.1)
_FIRST_NUMBERS, _FIRST_ODDS = (1, 0, 2, 17, 60), (0.75, 0.1, 0.05, 0.05, 0.05)
# 512 of 519 rows, as in the original; the same share of smaller images.
_TRIMMED_PART = 74
_ISLAND_RADIUS = 1.6
_LARGER_THAN_ISLANDS = 60  # voxels; a ball has at most some thirty


class Split(StrEnum):
    """Where the images of a study are; only those to train on have labels in the tables."""

    TRAIN = "train"
    TEST = "test"

    @property
    def folder(self) -> str:
        """Name of the folder of images."""
        return f"{self.value}_images"


@dataclass(frozen=True)
class RsnaOptions:
    """How often a folder in the layout of RSNA 2022 has what.

    Attributes
    ----------
    segmented_share
        Share of the studies with a mask, evenly spread; the original has 87 of 2,019.
    boxed_share
        Share of the fractured studies whose boxes stand in the table; the original has 235 of 961.
    test_share
        Share of the studies that go to the test side, evenly spread.
    islands
        Stray islands in each mask, as annotators left them.
    mixed_share
        Share of the studies with some images of another shape.
    monochrome1_share
        Share of the studies whose images are marked to be shown inverted.
    """

    segmented_share: float = 0.2
    boxed_share: float = 1.0
    test_share: float = 0.0
    islands: int = 2
    mixed_share: float = 0.02
    monochrome1_share: float = 0.01

    def document(self) -> dict[str, float]:
        """Return the options as plain JSON values."""
        return asdict(self)

    def __post_init__(self) -> None:
        for name in ("segmented_share", "boxed_share", "test_share", "mixed_share", "monochrome1_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, must be 0 … 1")
        if not 0 <= self.islands <= 100:
            raise ConfigError(f"islands is {self.islands}, must be 0 … 100")


@dataclass(frozen=True)
class RsnaDraw:
    """What chance decides about one study, apart from the case itself."""

    split: Split
    segmented: bool
    boxed: bool
    storage: Storage
    island_seed: int


def split_of(options: RsnaOptions, number: int) -> Split:
    """Return where the images of the study of that number go."""
    return Split.TEST if evenly(number, options.test_share, 0.5) else Split.TRAIN


def draw_study(options: RsnaOptions, uid: str, number: int, shape: tuple[int, int, int]) -> RsnaDraw:
    """Decide how a study is stored: a pure function of its UID, its number, and the shape of the volume."""
    rng = np.random.default_rng([int(part) for part in uid.split(".")])
    slices, rows, _ = shape
    stored = _SYNTAXES[int(rng.choice(len(_SYNTAXES), p=_SYNTAX_ODDS))]
    vendor = list(Vendor)[int(rng.integers(len(Vendor)))]
    first = int(rng.choice(_FIRST_NUMBERS, p=_FIRST_ODDS))
    numbering = Numbering(first, bool(rng.random() < _BACKWARD_SHARE))
    monochrome1, mixed, boxed, few = rng.random(4)
    count = max(1, round(slices * (0.02 + 0.08 * few))) if mixed < options.mixed_share else 0
    trimmed = range(slices - count, slices) if rng.random() < 0.5 else range(count)
    split = split_of(options, number)
    return RsnaDraw(
        split=split,
        segmented=evenly(number, options.segmented_share, 0.0) and split is Split.TRAIN,
        boxed=bool(boxed < options.boxed_share),
        storage=Storage(
            stored,
            vendor,
            numbering,
            monochrome1=bool(monochrome1 < options.monochrome1_share),
            trimmed=trimmed,
            trimmed_rows=max(1, rows // _TRIMMED_PART),
        ),
        island_seed=int(rng.integers(2**62)),
    )


def evenly(number: int, share: float, start: float) -> bool:
    """Whether the study of that number belongs to a share of all, evenly spread: at 1/5 every fifth.

    Parameters
    ----------
    start
        0 … 1: how far into the first stretch the first one comes.
    """
    before, after = (np.floor(round(n * share + 1 - share - start * (1 - share), 9)) for n in (number, number + 1))
    return bool(after > before)


def with_islands(labels: LabelMap, count: int, seed: int) -> LabelMap:
    """Return labels with small stray balls of their own levels in empty places.

    A level that the edge of the scan leaves hardly larger than a ball gets none: nobody could tell which is which.
    """
    rng = np.random.default_rng(seed)
    out = labels.labels.copy()
    sizes = np.bincount(out.ravel())
    present = [int(v) for v in np.flatnonzero(sizes > _LARGER_THAN_ISLANDS) if v]
    for _ in range(count if present else 0):
        center = [int(rng.integers(n)) for n in out.shape]
        reach = int(np.ceil(_ISLAND_RADIUS))
        ball = Box(
            (center[0] - reach, center[1] - reach, center[2] - reach),
            (center[0] + reach + 1, center[1] + reach + 1, center[2] + reach + 1),
        ).clipped(out.shape)
        assert ball is not None  # its center lies inside
        offsets = np.moveaxis(np.indices(ball.shape), 0, -1) + np.array(ball.start_zyx) - np.array(center)
        inside = (np.linalg.norm(offsets, axis=-1) <= _ISLAND_RADIUS) & (out[ball.slices] == 0)
        out[ball.slices][inside] = present[int(rng.integers(len(present)))]
    return LabelMap(labels.grid, out)


def label_row(levels: Iterable[Vertebra]) -> dict[str, int]:
    """Return the labels of a study with fractures of these levels; those below C7 do not count."""
    fractured = {v.name for v in levels if v.is_cervical}
    return {OVERALL: int(bool(fractured)), **{name: int(name in fractured) for name in LEVELS}}


def write_tables(root: Path, uids: Sequence[str]) -> None:
    """Write the four tables of a folder from what stands beside its studies, in the order of `uids`.

    Folders of images and masks are there even when they hold nothing, as readers expect them.

    Raises
    ------
    StoreError
        The disk is full, or the folder cannot be written.
    """
    records = [json.loads((root / TRUTH / f"{uid}.json").read_text(encoding="utf-8")) for uid in uids]
    train = [r for r in records if r["rsna"]["split"] == Split.TRAIN]
    tests = [r for r in records if r["rsna"]["split"] == Split.TEST]
    kinds = (*LEVELS, OVERALL)
    rows = {
        TRAIN: [
            ("StudyInstanceUID", OVERALL, *LEVELS),
            *((r["study_uid"], *(r["rsna"]["labels"][name] for name in (OVERALL, *LEVELS))) for r in train),
        ],
        BOXES: [
            ("StudyInstanceUID", *_BOX_COLUMNS),
            *((r["study_uid"], *_box_cells(box)) for r in train for box in _told(r)),
        ],
        TEST: [
            ("row_id", "StudyInstanceUID", "prediction_type"),
            *((f"{r['study_uid']}_{kind}", r["study_uid"], kind) for r in tests for kind in kinds),
        ],
        SUBMISSION: [
            ("row_id", "fractured"),
            *((f"{r['study_uid']}_{kind}", 0.5) for r in tests for kind in kinds),
        ],
    }
    for folder in (MASKS, *(split.folder for split in Split)):
        (root / folder).mkdir(exist_ok=True)
    for name, table in rows.items():
        text = "".join(",".join(str(cell) for cell in row) + "\n" for row in table)
        write_atomically(root / name, text.encode())


_BOX_COLUMNS = ("x", "y", "width", "height", "slice_number")


def _told(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the boxes of a study that stand in the table: none of distractors, and of some studies none at all."""
    return [box for box in record["boxes"] if box["counted"] and record["rsna"]["boxed"]]


def _box_cells(box: Mapping[str, Any]) -> tuple[str | int, ...]:
    """Return a box with five decimals, as in the original."""
    return (*(f"{box[name]:.5f}" for name in _BOX_COLUMNS[:4]), box["slice_number"])
