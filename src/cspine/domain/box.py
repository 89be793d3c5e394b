"""Boxes: half-open in voxels, closed in millimeters."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Box:
    """A half-open voxel box ``start <= index < stop`` in (slice, row, column)."""

    start_zyx: tuple[int, int, int]
    stop_zyx: tuple[int, int, int]

    def __post_init__(self) -> None:
        if any(a >= b for a, b in zip(self.start_zyx, self.stop_zyx, strict=True)):
            raise ValueError(f"empty box: start {self.start_zyx}, stop {self.stop_zyx}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (slice, row, column)."""
        z, y, x = (b - a for a, b in zip(self.start_zyx, self.stop_zyx, strict=True))
        return z, y, x

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Index an array with this box."""
        z, y, x = (slice(a, b) for a, b in zip(self.start_zyx, self.stop_zyx, strict=True))
        return z, y, x

    def shifted(self, by_zyx: Sequence[int]) -> "Box":
        """Move the box by whole voxels."""
        start = tuple(int(a + d) for a, d in zip(self.start_zyx, by_zyx, strict=True))
        stop = tuple(int(b + d) for b, d in zip(self.stop_zyx, by_zyx, strict=True))
        return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))

    def clipped(self, shape: Sequence[int]) -> "Box | None":
        """Return the part inside an array of `shape`, or ``None`` when nothing is."""
        start = [max(0, a) for a in self.start_zyx]
        stop = [min(n, b) for n, b in zip(shape, self.stop_zyx, strict=True)]
        if any(a >= b for a, b in zip(start, stop, strict=True)):
            return None
        return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))

    @classmethod
    def around(cls, boxes: "Sequence[Box]") -> "Box":
        """Return the tightest box round at least one box."""
        start = [min(box.start_zyx[axis] for box in boxes) for axis in range(3)]
        stop = [max(box.stop_zyx[axis] for box in boxes) for axis in range(3)]
        return cls((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))

    @classmethod
    def of_mask(cls, mask: np.ndarray) -> "Box | None":
        """Return the tightest box round the true voxels of a 3-D mask, ``None`` when empty."""
        start, stop = [], []
        for axis in range(3):
            hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
            if hit.size == 0:
                return None
            start.append(int(hit[0]))
            stop.append(int(hit[-1]) + 1)
        return cls((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


@dataclass(frozen=True)
class WorldBox:
    """A box in DICOM patient coordinates (LPS, mm), corners included: minimum and maximum (x, y, z)."""

    min_lps_mm: tuple[float, float, float]
    max_lps_mm: tuple[float, float, float]

    def __post_init__(self) -> None:
        if any(a > b for a, b in zip(self.min_lps_mm, self.max_lps_mm, strict=True)):
            raise ValueError(f"inverted box: minimum {self.min_lps_mm}, maximum {self.max_lps_mm}")

    @property
    def center_lps_mm(self) -> tuple[float, float, float]:
        """Middle of the box."""
        x, y, z = ((a + b) / 2 for a, b in zip(self.min_lps_mm, self.max_lps_mm, strict=True))
        return x, y, z
