"""Where fractures are in the voxels of a scan.

A voxel belongs to a fracture when somewhere in it, on a lattice of at most 0.6 mm,

- a break runs through bone: the surface with its gap, at its old and, for moved fragments, at its new place; or
- bone has left or entered: the place was bone and is none, or the other way round.

Places where a fragment only replaces other bone are inside the outline of the fracture but not in the mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cspine.domain import Box, FractureTruth, Grid, LabelMap, MimicTruth, Vertebra, WorldBox
from cspine.phantom.fractures.broken import BrokenBone, Envelope
from cspine.phantom.fractures.kinds import FractureAge
from cspine.phantom.fractures.placing import PlacedFracture
from cspine.phantom.fractures.table import OTHER_BONES
from cspine.phantom.raster import box_corners, slabs
from cspine.phantom.skeleton import PlacedBone, mean_scale
from cspine.phantom.warp import Warp

HEALED = "healed-fracture"
_STEP_MM = 0.6
_BEYOND_MM = 0.5


@dataclass(frozen=True)
class SliceBox:
    """The cross-section of a fracture's mask in one slice, as RSNA 2022 gives boxes.

    Attributes
    ----------
    slice
        Index along the first axis of the volume.
    x, y
        Column and row of the top-left pixel.
    width, height
        Columns and rows.
    fracture
        Index in ``truth.fractures``.
    vertebra
        Its level, or ``None``.
    """

    slice: int
    x: int
    y: int
    width: int
    height: int
    fracture: int
    vertebra: Vertebra | None


def fracture_truth(
    fractures: Sequence[PlacedFracture], grid: Grid, warp: Warp
) -> tuple[LabelMap, tuple[FractureTruth, ...]]:
    """Return the map of all fractures that are not healed (value k is the k-th), and what is true of each."""
    fresh = [placed for placed in fractures if placed.fracture.age is not FractureAge.HEALED]
    labels, boxes = _painted(fresh, grid, warp)
    truths = tuple(
        FractureTruth(
            placed.fracture.type.value,
            _vertebra(placed),
            placed.fracture.severity,
            placed.fracture.age.value,
            placed.fracture.family,
            box,
        )
        for placed, box in zip(fresh, boxes, strict=True)
    )
    return labels, truths


def healed_truth(
    fractures: Sequence[PlacedFracture], grid: Grid, warp: Warp
) -> tuple[LabelMap, tuple[MimicTruth, ...]]:
    """Return the map of the healed fractures (value k is the k-th), and what is true of each."""
    old = [placed for placed in fractures if placed.fracture.age is FractureAge.HEALED]
    labels, boxes = _painted(old, grid, warp)
    return labels, tuple(MimicTruth(HEALED, _vertebra(p), box) for p, box in zip(old, boxes, strict=True))


def slice_boxes(labels: LabelMap, truths: Sequence[FractureTruth]) -> tuple[SliceBox, ...]:
    """Return the box of every fracture in every slice that its mask meets, fracture by fracture."""
    found = []
    for number, truth in enumerate(truths):
        mask = labels.labels == number + 1
        for k in np.flatnonzero(mask.any(axis=(1, 2))):
            rows, columns = np.flatnonzero(mask[k].any(axis=1)), np.flatnonzero(mask[k].any(axis=0))
            x, y = int(columns[0]), int(rows[0])
            size = int(columns[-1]) - x + 1, int(rows[-1]) - y + 1
            found.append(SliceBox(int(k), x, y, *size, number, truth.vertebra))
    return tuple(found)


def _vertebra(placed: PlacedFracture) -> Vertebra | None:
    return None if placed.fracture.type in OTHER_BONES else placed.fracture.vertebra


def _painted(fractures: Sequence[PlacedFracture], grid: Grid, warp: Warp) -> tuple[LabelMap, list[WorldBox | None]]:
    labels = np.zeros(grid.shape, dtype=np.uint8)
    for number, placed in enumerate(fractures):
        box = _reach(placed.broken, grid, warp)
        if box is not None:
            mask = fracture_mask(placed.broken, grid.crop(box), warp)
            part = labels[box.slices]
            part[mask & (part == 0)] = number + 1
    found = [Box.of_mask(labels == number + 1) for number in range(len(fractures))]
    return LabelMap(grid, labels), [None if box is None else grid.box_to_world(box) for box in found]


def fracture_mask(placed: PlacedBone, grid: Grid, warp: Warp) -> np.ndarray:
    """Return bool (slice, row, column): the voxels of a grid in which a broken bone shows its breaks."""
    broken = placed.bone
    assert isinstance(broken, BrokenBone)
    parts = np.maximum(1, np.ceil(np.array(grid.spacing_mm) / _STEP_MM)).astype(int)
    z, y, x = (float(s / n) for s, n in zip(grid.spacing_mm, parts, strict=True))
    fine = grid.at_spacing((z, y, x))
    half = (z + y + x) / 6 / mean_scale(placed)
    room = replace(placed, bone=Envelope(broken))
    mask = np.zeros(grid.shape, dtype=bool)
    for slab in slabs(fine, warp):
        for hits in slab.hits(room, 0.0):
            flat = hits.flat[broken.shows_at(hits.own_mm, half)]
            index = np.unravel_index(flat, (slab.slices.stop - slab.start_slice, *fine.shape[1:]))
            mask[(index[0] + slab.start_slice) // parts[0], index[1] // parts[1], index[2] // parts[2]] = True
    return mask


def _reach(placed: PlacedBone, grid: Grid, warp: Warp) -> Box | None:
    """Return the part of the grid that a bone can lie in."""
    body = box_corners(*placed.bone.bounds_mm) @ placed.to_body[:3, :3].T + placed.to_body[:3, 3]
    extra = warp.largest_mm + _BEYOND_MM
    index = grid.to_index(box_corners(body.min(axis=0) - extra, body.max(axis=0) + extra))
    start, stop = np.floor(index.min(axis=0)).astype(int), np.ceil(index.max(axis=0)).astype(int) + 1
    (a, b, c), (d, e, f) = start.tolist(), stop.tolist()
    return Box((a, b, c), (d, e, f)).clipped(grid.shape)


__all__ = ["HEALED", "SliceBox", "fracture_mask", "fracture_truth", "healed_truth", "slice_boxes"]
