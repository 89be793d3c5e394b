"""Voxel arrays on a grid: Hounsfield units and vertebra labels. Arrays inside are read-only."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cspine.domain.box import Box
from cspine.domain.grid import Grid


def _frozen_on(grid: Grid, array: np.ndarray, what: str) -> np.ndarray:
    if array.shape != grid.shape:
        raise ValueError(f"{what} has shape {array.shape}, its grid {grid.shape}")
    view = array.view()
    view.flags.writeable = False
    return view


def _digest(array: np.ndarray, grid: Grid) -> bytes:
    digest = hashlib.sha256(np.ascontiguousarray(array).data)
    digest.update(grid.affine.tobytes())
    return digest.digest()


@dataclass(frozen=True, eq=False)
class Volume:
    """A CT volume in Hounsfield units.

    Parameters
    ----------
    grid
        Where the voxels are.
    hu
        (slice, row, column), int16 or float32, in HU; air is −1000. Not copied: the caller gives it away.
    """

    grid: Grid
    hu: np.ndarray

    def __post_init__(self) -> None:
        if self.hu.dtype not in (np.int16, np.float32):
            raise ValueError(f"a volume is int16 or float32, got {self.hu.dtype}")
        object.__setattr__(self, "hu", _frozen_on(self.grid, self.hu, "volume"))

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the voxels and of where they are."""
        return _digest(self.hu, self.grid)

    def canonical(self) -> "Volume":
        """Return the same voxels in canonical axis order (a view)."""
        axes = self.grid.canonical_order()
        return Volume(self.grid.reordered(axes), axes.apply(self.hu))

    def crop(self, box: Box) -> "Volume":
        """Return the voxels of a box that lies inside (a view)."""
        if box.clipped(self.grid.shape) != box:
            raise ValueError(f"box {box} reaches outside a volume of shape {self.grid.shape}")
        return Volume(self.grid.crop(box), self.hu[box.slices])


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Vertebra labels: 0 is background, else the value of `Vertebra`.

    Parameters
    ----------
    grid
        Where the voxels are.
    labels
        (slice, row, column), uint8. Not copied: the caller gives it away.
    """

    grid: Grid
    labels: np.ndarray

    def __post_init__(self) -> None:
        if self.labels.dtype != np.uint8:
            raise ValueError(f"a label map is uint8, got {self.labels.dtype}")
        object.__setattr__(self, "labels", _frozen_on(self.grid, self.labels, "label map"))

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the voxels and of where they are."""
        return _digest(self.labels, self.grid)

    def canonical(self) -> "LabelMap":
        """Return the same voxels in canonical axis order (a view)."""
        axes = self.grid.canonical_order()
        return LabelMap(self.grid.reordered(axes), axes.apply(self.labels))

    def crop(self, box: Box) -> "LabelMap":
        """Return the voxels of a box that lies inside (a view)."""
        if box.clipped(self.grid.shape) != box:
            raise ValueError(f"box {box} reaches outside a label map of shape {self.grid.shape}")
        return LabelMap(self.grid.crop(box), self.labels[box.slices])
