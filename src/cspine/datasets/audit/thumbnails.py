"""A picture of each suspicion: the slice with mask and boxes, or the neck from the side for its direction."""

from base64 import b64encode

import numpy as np

from cspine.datasets.audit.checks import Kind, Suspicion
from cspine.datasets.labeled_study import LabeledStudy
from cspine.datasets.tiles import Tile, gray_tile, jpeg, montage, overlay_tile, with_frames
from cspine.domain import Box

LENGTHWISE = (Kind.DIRECTION, Kind.SHIFT, Kind.ORDER)
THUMBNAIL_PX = 240
OVERLAY_SHARE = 0.35


def thumbnail(study: LabeledStudy, suspicion: Suspicion) -> str:
    """Return a JPEG as a data URI."""
    shown = _from_side(study) if suspicion.kind in LENGTHWISE else _axial(study, suspicion)
    return "data:image/jpeg;base64," + b64encode(jpeg(montage([shown], 1, THUMBNAIL_PX))).decode("ascii")


def _axial(study: LabeledStudy, suspicion: Suspicion) -> Tile:
    middle = study.volume.grid.shape[0] // 2
    k = suspicion.slice_index if suspicion.slice_index is not None else middle
    gray = gray_tile(study.volume.hu[k])
    if study.labels is not None:
        gray = overlay_tile(gray, study.labels.labels[k], OVERLAY_SHARE)
    frames = [(box.box, box.level) for box in study.boxes if box.box.start_zyx[0] == k]
    number = f"slice {study.numbers[k]}" if study.numbers else f"slice {k + 1} from the head"
    return Tile(with_frames(gray, frames, max(1, gray.shape[1] // 200)), number)


def _from_side(study: LabeledStudy) -> Tile:
    grid, column = study.volume.grid, study.volume.grid.shape[2] // 2
    if study.labels is not None:
        tight = Box.of_mask(study.labels.labels > 0)
        column = column if tight is None else (tight.start_zyx[2] + tight.stop_zyx[2]) // 2
    gray = gray_tile(np.asarray(study.volume.hu[:, :, column]))
    if study.labels is not None:
        gray = overlay_tile(gray, study.labels.labels[:, :, column], OVERLAY_SHARE)
    return Tile(gray, f"sagittal, column {column}", grid.spacing_mm[0] / grid.spacing_mm[1])
