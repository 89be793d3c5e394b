"""What is true of a study in the layout of RSNA 2022 and stands in none of its tables: ``truth/<uid>.json``.

Besides what `cspine.datasets.phantom_truth` tells of any phantom, it holds what each figure of an exploration should
say: images and their numbers, the levels of the generator's labels slice by slice, the islands of the mask, the boxes.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
from scipy import ndimage

from cspine.datasets.mask_geometry import level_extents
from cspine.datasets.phantom_truth import truth_document
from cspine.datasets.rsna_layout import RsnaDraw, label_row
from cspine.domain import Grid, LabelMap, Vertebra
from cspine.phantom import Case, PhantomSpec, fracture_boxes

_ALL_NEIGHBORS = np.ones((3, 3, 3), bool)


def sidecar(
    names: tuple[str, str], spec: PhantomSpec | None, case: Case, draw: RsnaDraw, mask: LabelMap | None
) -> dict[str, Any]:
    """Return what is true of a study, as plain JSON values, and what of it the tables tell.

    Parameters
    ----------
    names
        Of the case, and its StudyInstanceUID.
    mask
        As it is written, with islands; ``None`` for a study without one.
    """
    return {
        **truth_document(spec, case.truth),
        "name": names[0],
        "study_uid": names[1],
        "rsna": {
            "split": draw.split.value,
            "segmented": draw.segmented,
            "boxed": draw.boxed,
            "labels": label_row(case.truth.fractured),
        },
        "images": _images(case.volume.grid, draw),
        "levels": _levels(case.labels),
        "islands": [] if mask is None else _islands(case.labels, mask),
        "boxes": _boxes(case, draw),
    }


def _images(grid: Grid, draw: RsnaDraw) -> dict[str, Any]:
    """Return the stored images, slices counted from the head."""
    storage = draw.storage
    return {
        "slices": grid.shape[0],
        "rows": grid.shape[1],
        "columns": grid.shape[2],
        "spacing_mm": list(grid.spacing_mm),
        "first_number": storage.numbering.first,
        "backward": storage.numbering.backward,
        "transfer_syntaxes": [stored.value for stored in storage.stored_as],
        "monochrome1": storage.monochrome1,
        "trimmed": list(storage.trimmed),
        "trimmed_rows": storage.trimmed_rows,
    }


def _levels(labels: LabelMap) -> list[dict[str, Any]]:
    """Return extents of the generator's labels, and voxels of each in every slice from head to foot."""
    voxels = np.stack([np.bincount(plane.ravel(), minlength=20)[:20] for plane in labels.labels])
    return [
        asdict(extent) | {"vertebra": extent.vertebra.name, "voxels_by_slice": voxels[:, int(extent.vertebra)].tolist()}
        for extent in level_extents(labels)
    ]


def _islands(labels: LabelMap, mask: LabelMap) -> list[dict[str, Any]]:
    """Return what a mask has and the labels have not, piece by piece, and whether it touches its own level."""
    found = []
    for value in np.unique(mask.labels[mask.labels != labels.labels]).tolist():
        added, own = (mask.labels == value) & (labels.labels != value), labels.labels == value
        around = ndimage.binary_dilation(own, structure=_ALL_NEIGHBORS)
        pieces, count = ndimage.label(added, structure=_ALL_NEIGHBORS)
        for piece in range(1, count + 1):
            here = pieces == piece
            slices = here.sum(axis=(1, 2))
            found.append(
                {
                    "vertebra": Vertebra(value).name,
                    "voxels": int(here.sum()),
                    "touches": bool((here & around).any()),
                    "voxels_by_slice": {str(k): int(slices[k]) for k in np.flatnonzero(slices)},
                }
            )
    return found


def _boxes(case: Case, draw: RsnaDraw) -> list[dict[str, Any]]:
    """Return the boxes by slice, with what RSNA does not tell of each; what a trimmed image lacks is cut off."""
    slices, rows, _ = case.volume.grid.shape
    numbers = draw.storage.numbering.of(slices)
    found = []
    for box in fracture_boxes(case):
        fracture = case.truth.fractures[box.fracture]
        stored_rows = rows - draw.storage.trimmed_rows * (box.slice in draw.storage.trimmed)
        height = min(box.height, stored_rows - box.y)
        if height > 0:
            found.append(
                {
                    "slice_number": numbers[box.slice],
                    "x": box.x,
                    "y": box.y,
                    "width": box.width,
                    "height": height,
                    "fracture": box.fracture,
                    "vertebra": None if box.vertebra is None else box.vertebra.name,
                    "type": fracture.type,
                    "severity": fracture.severity,
                    "counted": fracture.counted,
                }
            )
    return sorted(found, key=lambda box: (box["slice_number"], box["fracture"]))
