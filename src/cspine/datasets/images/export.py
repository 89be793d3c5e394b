"""Write the slices of many studies as JPEG or PNG, into folders by label or by study, with a table of labels.

::

    out/plan.json                                    what the folder holds
    out/train/fracture/<uid>_<n>.jpg  out/train/normal/…  out/val/…      layout "folders"
    out/<uid>/<n>.jpg                                                    layout "studies"
    out/labels.csv                                   every image: study, part, labels, where they come from
    out/preview.html                                 what the options do
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from cspine.datasets.gray import slice_contrast
from cspine.datasets.images.enhance import Look
from cspine.datasets.images.preview import look_preview
from cspine.datasets.images.slice_labels import SliceLabel, label_slices
from cspine.datasets.labeled_study import LabeledStudy, StudyFiles, StudyLabels, read_study
from cspine.datasets.study_pass import Report, Values, Work, over_studies
from cspine.datasets.tiles import jpeg, png
from cspine.dicom import write_atomically
from cspine.domain import CERVICAL, ConfigError

PLAN, TABLE, PREVIEW, ROWS = "plan.json", "labels.csv", "preview.html", ".rows"
CLASSES = {True: "fracture", False: "normal"}
FORMATS = {"jpeg": ".jpg", "png": ".png"}
PARTS = ("train", "val")
TRAIN_PERCENT = 80
EXPORT_VERSION = 2
PREVIEW_SLICES = 2


class ExportLayout(StrEnum):
    """How images are sorted into folders."""

    FOLDERS = "folders"
    STUDIES = "studies"


@dataclass(frozen=True)
class ImagePlan:
    """What is written.

    Attributes
    ----------
    size_px
        Longer side; ``None`` keeps the pixels of the slices.
    every
        Every n-th slice.
    least_contrast
        Slices below it are left out; 0 keeps all. See `slice_contrast`.
    weak
        Whether slices whose label is only that of the study, or of a visible level, are written as positive.
    """

    look: Look = field(default_factory=Look)
    layout: ExportLayout = ExportLayout.FOLDERS
    image_format: str = "jpeg"
    quality: int = 92
    size_px: int | None = None
    every: int = 1
    least_contrast: float = 0.0
    weak: bool = True

    def __post_init__(self) -> None:
        if self.image_format not in FORMATS:
            raise ConfigError(f"unknown format {self.image_format!r}; known are {', '.join(FORMATS)}")
        if not 1 <= self.quality <= 100:
            raise ConfigError(f"quality is {self.quality}, must be 1 … 100")
        if self.size_px is not None and not 16 <= self.size_px <= 2048:
            raise ConfigError(f"size is {self.size_px} pixels, must be 16 … 2048")
        if self.every < 1:
            raise ConfigError(f"every is {self.every}, must be at least 1")
        if not 0 <= self.least_contrast < 1:
            raise ConfigError(f"least contrast is {self.least_contrast:g}, must be 0 … 1")

    @property
    def document(self) -> str:
        """As it stands in ``plan.json``."""
        return json.dumps(asdict(self) | {"version": EXPORT_VERSION}, indent=2, sort_keys=True) + "\n"


@dataclass(frozen=True, eq=False)
class Exported:
    """What came of it.

    Attributes
    ----------
    table
        ``labels.csv``.
    low_contrast, left_out_weak
        Slices that the plan left out.
    errors
        By UID.
    """

    table: pd.DataFrame
    low_contrast: int
    left_out_weak: int
    errors: dict[str, str]


def hashed_part(uid: str) -> str:
    """Return the part of a study where no split was given: 80 % train, 20 % val, all slices of a study together."""
    return PARTS[int(hashlib.sha256(uid.encode()).hexdigest(), 16) % 100 >= TRAIN_PERCENT]


@dataclass(frozen=True)
class ExportSource:
    """What is written from.

    Attributes
    ----------
    labels
        Studies without a row are left out and named.
    parts
        UID → part of the split; ``None`` for `hashed_part`.
    """

    studies: Sequence[StudyFiles]
    labels: Mapping[str, StudyLabels]
    parts: Mapping[str, str] | None = None

    def part(self, uid: str) -> str | None:
        """Return the part of a study, ``None`` when the split does not hold it."""
        return hashed_part(uid) if self.parts is None else self.parts.get(uid)


def export_images(source: ExportSource, plan: ImagePlan, out: Path, workers: int, report: Report) -> Exported:
    """Write the slices of a set; a run that stopped goes on where it was.

    Raises
    ------
    ConfigError
        The folder holds images of another plan.
    StoreError
        The folder cannot be written, or the disk is full.
    """
    _claim(plan, out)
    taken = [f for f in source.studies if f.uid in source.labels and source.part(f.uid)]
    left = [f.uid for f in source.studies if f.uid not in source.labels]
    errors = dict.fromkeys(left, "no row in train.csv")
    work = Work(lambda f: _write_study(f, source, plan, out), lambda f: _depends_on(f, source, plan), out / ROWS)
    rows: dict[str, Values] = {}
    for answer in over_studies(taken, work, workers, report):
        if answer.error:
            errors[answer.files.uid] = answer.error
        else:
            rows[answer.files.uid] = answer.values
    table = pd.DataFrame(
        [row for files in taken for row in rows.get(files.uid, {}).get("images", [])], columns=_columns()
    )
    write_atomically(out / TABLE, table.to_csv(index=False).encode())
    _write_preview([files for files in taken if files.uid in rows], plan, out)
    counted: Counter[str] = Counter()
    for values in rows.values():
        counted.update(low=values["low_contrast"], weak=values["left_out_weak"])
    return Exported(table, counted["low"], counted["weak"], errors)


def _claim(plan: ImagePlan, out: Path) -> None:
    path = out / PLAN
    if path.exists():
        if path.read_text(encoding="utf-8") != plan.document:
            raise ConfigError(f"{out}: holds images of another plan ({PLAN} differs); use another folder")
        return
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out}: is not empty and holds no {PLAN}; use another folder")
    write_atomically(path, plan.document.encode())


def _depends_on(files: StudyFiles, source: ExportSource, plan: ImagePlan) -> Values:
    row = source.labels[files.uid]
    known = [row.overall, [int(v) for v in sorted(row.fractured)]]
    return {"plan": json.loads(plan.document), "part": source.part(files.uid), "labels": known}


def _columns() -> list[str]:
    names = ["file", "StudyInstanceUID", "slice_number", "part", "fracture", *(v.name for v in CERVICAL)]
    return [*names, "visible", "source", "weak"]


def _write_study(files: StudyFiles, source: ExportSource, plan: ImagePlan, out: Path) -> Values:
    study = read_study(files, workers=1)
    part = source.part(files.uid) or ""
    counted: Counter[str] = Counter()
    images = []
    for k, label in enumerate(label_slices(study, source.labels[files.uid])):
        if k % plan.every:
            continue
        if label.source.weak and label.fractured and not plan.weak:
            counted["weak"] += 1
            continue
        hu = study.volume.hu[k]
        if plan.least_contrast and slice_contrast(hu, plan.look.window) < plan.least_contrast:
            counted["low"] += 1
            continue
        name = _place(study, k, label, part, plan)
        write_atomically(out / name, _encoded(hu, study, plan))
        images.append([name.as_posix(), files.uid, _number(study, k), part, *_label_cells(label)])
    return {"images": images, "low_contrast": counted["low"], "left_out_weak": counted["weak"]}


def _place(study: LabeledStudy, k: int, label: SliceLabel, part: str, plan: ImagePlan) -> Path:
    suffix = FORMATS[plan.image_format]
    if plan.layout is ExportLayout.STUDIES:
        return Path(study.uid, f"{_number(study, k)}{suffix}")
    return Path(part, CLASSES[label.fractured], f"{study.uid}_{_number(study, k)}{suffix}")


def _number(study: LabeledStudy, k: int) -> int:
    return study.numbers[k] if study.numbers else k + 1


def _label_cells(label: SliceLabel) -> list[object]:
    levels = [None if known is None else int(known) for known in label.levels]
    visible = "" if label.visible is None else " ".join(v.name for v in sorted(label.visible))
    return [int(label.fractured), *levels, visible, label.source.value, int(label.source.weak and label.fractured)]


def _encoded(hu: np.ndarray, study: LabeledStudy, plan: ImagePlan) -> bytes:
    picture = Image.fromarray(plan.look.apply(hu))
    if plan.size_px is not None:
        height_mm, width_mm = study.volume.grid.extent_mm[1:]
        scale = plan.size_px / max(height_mm, width_mm)
        size = (max(1, round(width_mm * scale)), max(1, round(height_mm * scale)))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return jpeg(picture, plan.quality) if plan.image_format == "jpeg" else png(picture)


def _write_preview(studies: Sequence[StudyFiles], plan: ImagePlan, out: Path) -> None:
    slices = []
    for files in studies[:PREVIEW_SLICES]:
        study = read_study(files, workers=1)
        k = study.volume.grid.shape[0] // 2
        slices.append((f"slice {_number(study, k)}", np.asarray(study.volume.hu[k])))
    if slices:
        write_atomically(out / PREVIEW, look_preview(slices, plan.look))
