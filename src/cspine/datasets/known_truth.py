"""What is true of the studies of a set, for scoring: from its tables and from sidecars of phantoms.

Needs no extra: a hospital's own ``train.csv`` with ``train_images/<uid>``, boxes and masks if it has them, is enough.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cspine.datasets.csv_rows import read_rows
from cspine.datasets.labeled_study import PlacedBox, SliceBox, StudyFiles, mask_on, place_study, with_level
from cspine.datasets.rsna_layout import BOXES, LEVELS, MASKS, OVERALL, TRAIN, TRUTH, Split
from cspine.datasets.traits import header_traits, phantom_traits
from cspine.dicom import Series
from cspine.domain import InputError, NoImages, Vertebra, WorldBox
from cspine.evaluation import StudyTruth, TrueBox, around, linked_in_z
from cspine.stores import read_nifti_labels

UID = "StudyInstanceUID"
_BOX_COLUMNS = ("x", "y", "width", "height", "slice_number")
_LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}


@dataclass(frozen=True)
class KnownStudy:
    """A study whose truth is known.

    Attributes
    ----------
    truth
        Boxes of a table are not in it before `described` has seen the slices.
    """

    files: StudyFiles
    truth: StudyTruth

    @property
    def has_images(self) -> bool:
        """Whether its folder is there."""
        return self.files.folder.is_dir()


def read_known(root: Path) -> tuple[KnownStudy, ...]:
    """Return the studies of ``root/train.csv``, in the order of their UIDs.

    Raises
    ------
    NoImages
        There is no such table, or it is empty.
    InputError
        A label is not 0 or 1, a study stands there twice, or a box or sidecar cannot be read.
    """
    boxes = _boxes(root)
    found: dict[str, KnownStudy] = {}
    for number, row in read_rows(root / TRAIN, (UID, OVERALL, *LEVELS)):
        uid, where = row[UID].strip(), f"{root / TRAIN}, row {number}"
        if not uid or uid in found:
            raise InputError(f"{where}: {'names no study' if not uid else f'a second row about study {uid}'}")
        labels = tuple(_label(row[name], f"{where}, {name}") for name in (OVERALL, *LEVELS))
        files = StudyFiles(uid, _folder(root, uid), _mask(root, uid), boxes.get(uid, ()))
        sidecar = root / TRUTH / f"{uid}.json"
        told = _from_sidecar(uid, labels, sidecar) if sidecar.is_file() else None
        found[uid] = KnownStudy(files, told or StudyTruth(uid, labels, None if labels[0] else ()))
    if not found:
        raise NoImages(f"{root / TRAIN}: names no study")
    return tuple(found[uid] for uid in sorted(found))


def described(known: KnownStudy, series: Series) -> KnownStudy:
    """Return a study with what the headers of its slices tell: traits, and where the boxes of the table lie.

    Raises
    ------
    InputError
        The slices or the mask cannot be read.
    """
    traits = header_traits(series) | dict(known.truth.traits)
    truth = replace(known.truth, traits=traits)
    if truth.boxes is None and known.files.boxes:
        truth = replace(truth, boxes=_linked(known, series))
    return replace(known, truth=truth)


def _linked(known: KnownStudy, series: Series) -> tuple[TrueBox, ...] | None:
    """Return the fractures that the boxes of single slices show; ``None`` when none can be placed."""
    placement = place_study(known.files, series)
    placed: tuple[PlacedBox, ...] = placement.boxes
    if known.files.mask is not None:
        mask, _ = mask_on(read_nifti_labels(known.files.mask), placement.grid, str(known.files.mask))
        placed = tuple(with_level(box, mask.labels) for box in placed)
    world = [placement.grid.box_to_world(box.box) for box in placed]
    fractured = [Vertebra[name] for name, label in zip(LEVELS, known.truth.labels[1:], strict=True) if label]
    groups = linked_in_z(world, gap_mm=1.01 * placement.grid.spacing_mm[0])
    linked = [TrueBox(_joined(world, group), _level([placed[k] for k in group], fractured)) for group in groups]
    return tuple(linked) or None


def _joined(boxes: list[WorldBox], group: list[int]) -> WorldBox:
    return around([boxes[k] for k in group])


def _level(boxes: list[PlacedBox], fractured: list[Vertebra]) -> Vertebra | None:
    """Return the level of a fracture: the only one that is fractured, else what the mask says of most slices."""
    if len(fractured) == 1:
        return fractured[0]
    said = Counter(box.level for box in boxes if box.level in fractured)
    return said.most_common(1)[0][0] if said else None


def _boxes(root: Path) -> dict[str, tuple[SliceBox, ...]]:
    path = root / BOXES
    if not path.is_file():
        return {}
    found: dict[str, list[SliceBox]] = {}
    for number, row in read_rows(path, (UID, *_BOX_COLUMNS)):
        try:
            x, y, width, height, place = (float(row[name]) for name in _BOX_COLUMNS)
        except ValueError as error:
            raise InputError(f"{path}, row {number}: {error}") from error
        found.setdefault(row[UID].strip(), []).append(SliceBox(int(place), x, y, width, height))
    return {uid: tuple(boxes) for uid, boxes in found.items()}


def _folder(root: Path, uid: str) -> Path:
    folders = [root / split.folder / uid for split in Split]
    return next((folder for folder in folders if folder.is_dir()), folders[0])


def _mask(root: Path, uid: str) -> Path | None:
    paths = [root / MASKS / f"{uid}{suffix}" for suffix in (".nii", ".nii.gz")]
    return next((path for path in paths if path.is_file()), None)


def _label(cell: str, where: str) -> int:
    label = _LABELS.get(cell.strip())
    if label is None:
        raise InputError(f"{where}: {cell!r} is no label, 0 or 1; complete the row or take it out")
    return label


def _from_sidecar(uid: str, labels: tuple[int, ...], path: Path) -> StudyTruth:
    try:
        record: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        boxes = tuple(_true_box(value) for value in record["fractures"] if value["box_lps_mm"] is not None)
        mimics: dict[Vertebra, tuple[str, ...]] = {}
        for value in record["mimics"]:
            if value["vertebra"] is not None:
                level = Vertebra[value["vertebra"]]
                mimics[level] = tuple(sorted({*mimics.get(level, ()), value["kind"]}))
        traits = phantom_traits(record.get("spec"), bool(record["mimics"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is not what a phantom's truth must be: {type(error).__name__}: {error}") from error
    return StudyTruth(uid, labels, boxes, mimics, traits)


def _true_box(value: Mapping[str, Any]) -> TrueBox:
    (a, b, c), (d, e, f) = value["box_lps_mm"]
    level = None if value["vertebra"] is None else Vertebra[value["vertebra"]]
    box = WorldBox((float(a), float(b), float(c)), (float(d), float(e), float(f)))
    return TrueBox(box, level, bool(value["counted"]), str(value["type"]), int(value["severity"]))
