"""One study of an RSNA set with its mask and boxes, all on the voxels of the slices.

The set numbers slices, stores masks sagittally and boxes as top-left pixel corners. Here everything stands on one
canonical grid: slice 0 nearest the head, whatever the files are called and in whatever direction their numbers run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cspine.dicom import Series, SliceRef, choose_series, place_series, scan, to_volume
from cspine.domain import AxisOrder, Box, Grid, LabelMap, NoImages, NotAVolume, UnsupportedSeries, Vertebra, Volume
from cspine.stores import read_nifti_labels

# A mask may be written with rounded affines; beyond this share its voxels are not those of the slices.
SPACING_TOLERANCE = 0.02


@dataclass(frozen=True)
class SliceBox:
    """One row of ``train_bounding_boxes.csv``: x, y is the top-left pixel corner."""

    slice_number: int
    x: float
    y: float
    width: float
    height: float

    def voxels(self, slice_index: int, first_pixel_rc: tuple[int, int] = (0, 0)) -> Box:
        """Return the box of one slice, rows ``y : y + height`` and columns ``x : x + width``, at least one pixel."""
        top, left = round(self.y) + first_pixel_rc[0], round(self.x) + first_pixel_rc[1]
        bottom, right = top + max(1, round(self.height)), left + max(1, round(self.width))
        return Box((slice_index, top, left), (slice_index + 1, bottom, right))


@dataclass(frozen=True)
class StudyLabels:
    """The row of ``train.csv`` of one study."""

    overall: bool
    fractured: frozenset[Vertebra]


@dataclass(frozen=True)
class StudyFiles:
    """Where the parts of a study lie.

    Attributes
    ----------
    mask
        ``None`` for the many studies without.
    """

    uid: str
    folder: Path
    mask: Path | None = None
    boxes: tuple[SliceBox, ...] = ()


@dataclass(frozen=True)
class PlacedBox:
    """A box on the canonical grid.

    Attributes
    ----------
    box
        One slice thick.
    center_level
        Whose mask holds the box's center; ``None`` outside every mask, and without a mask.
    level
        The same, or where the center lies in a canal or a gap, the level with most voxels inside the box.
    """

    slice_number: int
    box: Box
    center_level: Vertebra | None = None
    level: Vertebra | None = None


@dataclass(frozen=True, eq=False)
class Placement:
    """Where slices and boxes lie.

    Attributes
    ----------
    grid
        Canonical.
    numbers
        ``slice_number`` of each slice; empty when slices were moved in their plane (tilt), and no box can be placed.
    notes
        What of the annotations could not be used, in words.
    """

    grid: Grid
    numbers: tuple[int, ...]
    boxes: tuple[PlacedBox, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class LabeledStudy:
    """A study read.

    Attributes
    ----------
    volume
        Canonical.
    numbers, boxes, notes
        As in `Placement`; boxes know their level when there is a mask.
    labels
        On the volume's grid.
    mask_offset_mm
        How far the mask's own frame lies from that of the slices, LPS; its voxels were taken one for one.
    phantom
        Whether its images say that they were computed.
    """

    uid: str
    volume: Volume
    numbers: tuple[int, ...]
    labels: LabelMap | None = None
    boxes: tuple[PlacedBox, ...] = ()
    mask_offset_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    notes: tuple[str, ...] = ()
    phantom: bool = False


def series_of(files: StudyFiles) -> Series:
    """Return the series of a study that would be read, by its headers.

    Raises
    ------
    NoImages
        The folder holds no image.
    """
    found = scan([files.folder]).studies
    if not found:
        raise NoImages(f"{files.folder}: no readable image")
    return choose_series([series for study in found for series in study.series]).chosen


def place_study(files: StudyFiles, series: Series) -> Placement:
    """Return where the slices and boxes of a study lie, from the headers alone.

    Raises
    ------
    InputError
        The slices do not form one axial volume; boxes that cannot be placed are notes.
    """
    return _placement(files, *place_series(series), series.name)


def read_study(files: StudyFiles, workers: int | None = None, highest_label: int = max(Vertebra)) -> LabeledStudy:
    """Read volume, mask and boxes of a study.

    Parameters
    ----------
    workers
        Child processes that decode.
    highest_label
        Largest value that a mask may hold.

    Raises
    ------
    InputError
        The slices or the mask cannot be read, or are not of one grid; boxes that cannot be placed are notes.
    """
    series = series_of(files)
    loaded = to_volume(series, workers)
    placement = _placement(files, loaded.volume.grid, loaded.slices, loaded.name)
    volume, boxes = loaded.volume.canonical(), placement.boxes
    labels, offset = None, (0.0, 0.0, 0.0)
    if files.mask is not None:
        labels, offset = mask_on(read_nifti_labels(files.mask, highest=highest_label), volume.grid, str(files.mask))
        boxes = tuple(with_level(box, labels.labels) for box in boxes)
    phantom = series.header.is_phantom
    return LabeledStudy(files.uid, volume, placement.numbers, labels, boxes, offset, placement.notes, phantom)


def mask_on(mask: LabelMap, grid: Grid, name: str) -> tuple[LabelMap, tuple[float, float, float]]:
    """Return a mask voxel for voxel on the canonical grid of its study, and how far its own frame lies off.

    Parameters
    ----------
    name
        What messages call the mask.

    Raises
    ------
    NotAVolume
        Shape or spacing differ from the study's.
    """
    mask = mask.canonical()
    if mask.grid.shape != grid.shape:
        raise NotAVolume(f"mask of {mask.grid.shape} voxels on a study of {grid.shape} (slice, row, column)", name)
    own, wanted = np.array(mask.grid.spacing_mm), np.array(grid.spacing_mm)
    if float(np.abs(own / wanted - 1).max()) > SPACING_TOLERANCE:
        raise NotAVolume(f"mask voxels of {own.round(3).tolist()} mm on slices of {wanted.round(3).tolist()} mm", name)
    middle = (np.array(grid.shape) - 1) / 2
    x, y, z = (mask.grid.to_world(middle) - grid.to_world(middle)).tolist()
    return LabelMap(grid, mask.labels), (x, y, z)


def with_level(placed: PlacedBox, labels: np.ndarray) -> PlacedBox:
    """Return a box with the levels that a mask (slice, row, column) gives it."""
    inside = placed.box.clipped(labels.shape)
    if inside is None:
        return placed
    k, top, left = placed.box.start_zyx
    row, column = (top + placed.box.stop_zyx[1]) // 2, (left + placed.box.stop_zyx[2]) // 2
    held = row < labels.shape[1] and column < labels.shape[2] and min(row, column) >= 0
    center = int(labels[k, row, column]) if held else 0
    counts = np.bincount(labels[inside.slices].ravel(), minlength=2)
    most = int(counts[1:].argmax()) + 1 if counts[1:].any() else 0
    center_level = _named(center)
    return replace(placed, center_level=center_level, level=center_level or _named(most))


def _named(value: int) -> Vertebra | None:
    """Return the vertebra with that value in masks; ``None`` for background, and for what is no vertebra of ours."""
    return Vertebra(value) if Vertebra.C1 <= value <= Vertebra.T12 else None


def _placement(files: StudyFiles, stored: Grid, slices: Sequence[SliceRef], name: str) -> Placement:
    axes = stored.canonical_order()
    if axes.order[0] != 0:
        raise UnsupportedSeries(f"{name}: slices are not axial; boxes and masks number axial slices")
    ordered = slices[::-1] if axes.flips[0] else slices
    numbers = tuple(-1 if ref.instance_number is None else ref.instance_number for ref in ordered)
    in_plane = AxisOrder(axes.order, (False, axes.flips[1], axes.flips[2]))
    places = {number: k for k, number in enumerate(numbers)}
    boxes, notes = [], []
    for row in files.boxes:
        k = places.get(row.slice_number)
        if k is None:
            notes.append(f"a box on slice {row.slice_number}, which the study does not have")
            continue
        box = row.voxels(k, ordered[k].first_pixel_rc)
        inside = box.clipped(stored.shape)
        if inside != box:
            notes.append(f"a box on slice {row.slice_number} reaches outside the image")
        if inside is not None:
            boxes.append(PlacedBox(row.slice_number, in_plane.move_box(inside, stored.shape)))
    return Placement(stored.canonical(), numbers, tuple(boxes), tuple(notes))
