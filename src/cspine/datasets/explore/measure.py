"""What an exploration reads of one study: headers of all slices, pixels of a few, its mask, its boxes."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cspine.datasets.gray import slice_contrast
from cspine.datasets.labeled_study import PlacedBox, StudyFiles, mask_on, place_study, series_of, with_level
from cspine.datasets.mask_geometry import level_extents, without_islands
from cspine.dicom import Series, read_images
from cspine.domain import Grid, InputError, LabelMap
from cspine.stores import read_nifti_labels

Values = dict[str, Any]
MEASURES_VERSION = 5


@dataclass(frozen=True)
class MeasurePlan:
    """How much of each study is looked at.

    Attributes
    ----------
    contrast_slices
        Slices, evenly spread, whose contrast is measured; their pixels are the only ones that are read.
    """

    contrast_slices: int = 8

    @property
    def parameters(self) -> dict[str, object]:
        """What the answers depend on."""
        return asdict(self) | {"version": MEASURES_VERSION}


def measure_study(files: StudyFiles, plan: MeasurePlan) -> Values:
    """Measure one study; see `tables` for what becomes of it.

    Raises
    ------
    InputError
        The slices cannot be read. A mask that does not fit costs its own figures alone; ``notes`` say why.
    """
    series = series_of(files)
    shapes = Counter((image.kind.rows or 0, image.kind.columns or 0) for image in series.images)
    spacing = series.kind.pixel_spacing_mm
    values: Values = {
        "slices": len(series.images),
        "shapes": [[rows, columns, count] for (rows, columns), count in sorted(shapes.items())],
        "is_phantom": series.header.is_phantom,
        "spacing_mm": round(series.spacing_mm, 4),
        "pixel_mm": spacing[0] if spacing else None,
        "coverage_mm": round(series.extent_mm + series.spacing_mm, 3),
        "contrast": _contrast(series, plan.contrast_slices),
        "levels": [],
        "boxes": [],
        "notes": [],
    }
    return values | _annotations(files, series)


def _contrast(series: Series, count: int) -> list[Values]:
    picked = sorted({int(k) for k in np.linspace(0, len(series.images) - 1, count).round()}) if count else []
    planes = read_images(series, picked, workers=1) if picked else []
    return [
        {"slice_number": series.images[k].instance_number, "contrast": slice_contrast(plane)}
        for k, plane in zip(picked, planes, strict=True)
    ]


def _annotations(files: StudyFiles, series: Series) -> Values:
    placement = place_study(files, series)
    boxes, labels, notes = placement.boxes, None, list(placement.notes)
    if files.mask is not None:
        try:
            labels = mask_on(read_nifti_labels(files.mask), placement.grid, str(files.mask))[0]
        except InputError as error:
            notes.append(str(error))
    if labels is not None:
        boxes = tuple(with_level(box, labels.labels) for box in boxes)
    return {
        "levels": [] if labels is None else _levels(labels),
        "boxes": [_box(box, placement.grid) for box in boxes],
        "notes": notes,
    }


def _levels(labels: LabelMap) -> list[Values]:
    clean = without_islands(labels).labels
    voxels = np.stack([np.bincount(plane.ravel(), minlength=20)[:20] for plane in clean])
    found = []
    for extent in level_extents(labels):
        values = asdict(extent) | {"vertebra": extent.vertebra.name, "height_mm": extent.height_mm}
        found.append(values | {"voxels_by_slice": voxels[:, int(extent.vertebra)].tolist()})
    return found


def _box(placed: PlacedBox, grid: Grid) -> Values:
    _, top, left = placed.box.start_zyx
    _, height, width = placed.box.shape
    return {
        "slice_number": placed.slice_number,
        "x": left,
        "y": top,
        "width": width,
        "height": height,
        "center_x_share": (left + width / 2) / grid.shape[2],
        "center_y_share": (top + height / 2) / grid.shape[1],
        "level": placed.level.name if placed.level else "",
    }
