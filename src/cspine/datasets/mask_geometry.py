"""What a mask says of each level: pieces, slices, heights, and how neighbors overlap along the neck."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import ndimage

from cspine.domain import Box, LabelMap, Vertebra

_ALL_NEIGHBORS = np.ones((3, 3, 3), bool)


@dataclass(frozen=True)
class LevelExtent:
    """One level of a mask; all but `pieces` and `stray_voxels` speak of its largest piece.

    Attributes
    ----------
    slices
        Axial slices that it touches.
    top_mm, bottom_mm
        z (LPS) of the outer faces of its first and last slice, over its center: slices may be tilted.
    center_lps_mm
        Center of mass.
    cut
        Whether it touches the first or the last slice of the scan.
    pieces, stray_voxels
        The largest piece and its islands; voxels of the latter. What else ends with the largest piece at the edge of
        the scan is no island: body and arch of one vertebra end apart.
    stray
        The largest island; ``None`` without one.
    """

    vertebra: Vertebra
    voxels: int
    slices: int
    top_mm: float
    bottom_mm: float
    center_lps_mm: tuple[float, float, float]
    cut: bool
    pieces: int
    stray_voxels: int
    stray: Box | None = None

    @property
    def height_mm(self) -> float:
        """Along the neck."""
        return self.top_mm - self.bottom_mm


@dataclass(frozen=True)
class LevelOverlap:
    """How far the upper of two neighbors reaches below the top of the lower one, mm; negative for a gap."""

    upper: Vertebra
    lower: Vertebra
    overlap_mm: float


def level_extents(labels: LabelMap) -> tuple[LevelExtent, ...]:
    """Measure every level of a canonical mask, C1 first."""
    return tuple(_extent(labels, vertebra, around) for vertebra, around in _levels(labels))


def without_islands(labels: LabelMap) -> LabelMap:
    """Return a canonical mask with the islands of each level, as in `LevelExtent`, taken out."""
    kept = labels.labels.copy()
    for vertebra, around in _levels(labels):
        whole = labels.labels[around.slices] == vertebra
        largest, count = largest_piece(whole)
        if count > 1:
            kept[around.slices][_islands(whole, largest, around, labels.grid.shape[0])[0]] = 0
    return LabelMap(labels.grid, kept)


def level_overlaps(extents: Sequence[LevelExtent]) -> tuple[LevelOverlap, ...]:
    """Return the overlaps of those neighbors that are both there."""
    return tuple(
        LevelOverlap(upper.vertebra, lower.vertebra, lower.top_mm - upper.bottom_mm)
        for upper, lower in pairwise(extents)
        if lower.vertebra == upper.vertebra + 1
    )


def _levels(labels: LabelMap) -> Iterator[tuple[Vertebra, Box]]:
    """Yield the levels of a mask and the box round all that has their value, C1 first."""
    for value, place in enumerate(ndimage.find_objects(labels.labels), start=1):
        if place is not None:
            z, y, x = place
            yield Vertebra(value), Box((z.start, y.start, x.start), (z.stop, y.stop, x.stop))


def largest_piece(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the largest connected piece (26 neighbors) of a 3-D mask, and how many pieces there are."""
    pieces, count = ndimage.label(mask, structure=_ALL_NEIGHBORS)
    if count <= 1:
        return mask, count
    return pieces == int(np.bincount(pieces.ravel())[1:].argmax()) + 1, count


def _extent(labels: LabelMap, vertebra: Vertebra, around: Box) -> LevelExtent:
    whole = labels.labels[around.slices] == vertebra
    kept, _ = largest_piece(whole)
    islands, count = _islands(whole, kept, around, labels.grid.shape[0])
    tight = Box.of_mask(kept)
    assert tight is not None  # find_objects found voxels
    box = tight.shifted(around.start_zyx)
    middle = np.array(ndimage.center_of_mass(kept)) + np.array(around.start_zyx)
    x, y, z = labels.grid.to_world(middle).tolist()
    faces = [[edge - 0.5, middle[1], middle[2]] for edge in (box.start_zyx[0], box.stop_zyx[0])]
    top, bottom = labels.grid.to_world(np.array(faces))[:, 2].tolist()
    voxels, stray = int(kept.sum()), Box.of_mask(largest_piece(islands)[0])
    return LevelExtent(
        vertebra=vertebra,
        voxels=voxels,
        slices=int(kept.any(axis=(1, 2)).sum()),
        top_mm=top,
        bottom_mm=bottom,
        center_lps_mm=(x, y, z),
        cut=box.start_zyx[0] == 0 or box.stop_zyx[0] == labels.grid.shape[0],
        pieces=1 + count,
        stray_voxels=int(islands.sum()),
        stray=None if stray is None else stray.shifted(around.start_zyx),
    )


def _islands(whole: np.ndarray, largest: np.ndarray, around: Box, slices: int) -> tuple[np.ndarray, int]:
    """Return the islands of a level as one mask, and their number.

    A piece that ends where the largest one ends, at the first or the last slice of the scan, may belong to it beyond.
    """
    pieces, count = ndimage.label(whole & ~largest, structure=_ALL_NEIGHBORS)
    faces = [face for face, at in ((0, around.start_zyx[0] == 0), (-1, around.stop_zyx[0] == slices)) if at]
    both = [face for face in faces if largest[face].any()]
    cut = {int(piece) for face in both for piece in np.unique(pieces[face])} - {0}
    return (pieces > 0) & ~np.isin(pieces, list(cut)), count - len(cut)
