"""A picture of each suspicion: the slice with mask and boxes, or the neck from the side for its direction."""

from base64 import b64encode
from collections.abc import Sequence

import numpy as np

from cspine.datasets.audit.checks import Kind, Suspicion
from cspine.datasets.labeled_study import LabeledStudy
from cspine.datasets.tiles import Tile, gray_tile, jpeg, montage, overlay_tile, with_frames
from cspine.domain import Box

LENGTHWISE = (Kind.DIRECTION, Kind.SHIFT, Kind.ORDER)
# No place in the images speaks for or against these.
WITHOUT_PICTURE = (Kind.OVERALL, Kind.UNPLACED)
THUMBNAIL_PX = 240
OVERLAY_SHARE = 0.35
# Shown round what the picture is about, so that bones stay large in it.
MARGIN_MM = 25.0


def thumbnail(study: LabeledStudy, suspicion: Suspicion) -> str:
    """Return a JPEG as a data URI; empty where there is nothing to see."""
    if suspicion.kind in WITHOUT_PICTURE:
        return ""
    shown = _from_side(study) if suspicion.kind in LENGTHWISE else _axial(study, suspicion)
    return "data:image/jpeg;base64," + b64encode(jpeg(montage([shown], 1, THUMBNAIL_PX))).decode("ascii")


def _axial(study: LabeledStudy, suspicion: Suspicion) -> Tile:
    """Show the slice round mask and boxes; frames are white, as the colors of the levels are those of the mask."""
    k = suspicion.slice_index if suspicion.slice_index is not None else study.volume.grid.shape[0] // 2
    boxes = [placed.box for placed in study.boxes if placed.box.start_zyx[0] == k]
    boxes += [] if suspicion.mark is None else [suspicion.mark]
    region = _region(study, (slice(k, k + 1), slice(None), slice(None)), boxes)
    _, top, left = region.start_zyx
    pixels = _colored(study, region)[0]
    moved = [(box.shifted((-k, -top, -left)), None) for box in boxes]
    number = f"slice {study.numbers[k]}" if study.numbers else f"slice {k + 1} from the head"
    return Tile(with_frames(pixels, moved, max(1, pixels.shape[1] // 150)), number)


def _from_side(study: LabeledStudy) -> Tile:
    """Show the column that holds most of the mask: there are the bodies, not only the arches."""
    grid, column = study.volume.grid, study.volume.grid.shape[2] // 2
    if study.labels is not None and study.labels.labels.any():
        column = int((study.labels.labels > 0).sum(axis=(0, 1)).argmax())
    region = _region(study, (slice(None), slice(None), slice(column, column + 1)), ())
    pixels = _colored(study, region)[:, :, 0]
    return Tile(pixels, f"sagittal, column {column}", grid.spacing_mm[0] / grid.spacing_mm[1])


def _region(study: LabeledStudy, plane: tuple[slice, slice, slice], boxes: Sequence[Box]) -> Box:
    """Return the part of a plane round its mask and the boxes; the whole plane where there is neither."""
    shape = study.volume.grid.shape
    ranges = [range(size)[cut] for size, cut in zip(shape, plane, strict=True)]
    start, stop = [r.start for r in ranges], [r.stop for r in ranges]
    seen = None if study.labels is None else Box.of_mask(study.labels.labels[plane] > 0)
    held = [*boxes, *([] if seen is None else [seen.shifted(start)])]
    if not held:
        return Box(_three(start), _three(stop))
    for axis, spacing in enumerate(study.volume.grid.spacing_mm):
        if stop[axis] - start[axis] > 1:
            margin = round(MARGIN_MM / spacing)
            start[axis] = max(0, min(box.start_zyx[axis] for box in held) - margin)
            stop[axis] = min(shape[axis], max(box.stop_zyx[axis] for box in held) + margin)
    return Box(_three(start), _three(stop))


def _colored(study: LabeledStudy, region: Box) -> np.ndarray:
    """Return colors (slice, row, column, 3) of a part of the study."""
    gray = gray_tile(study.volume.hu[region.slices])
    return gray if study.labels is None else overlay_tile(gray, study.labels.labels[region.slices], OVERLAY_SHARE)


def _three(numbers: Sequence[int]) -> tuple[int, int, int]:
    z, y, x = numbers
    return z, y, x
