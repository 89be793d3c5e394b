"""Tissue codes of all cases in the memory of the device that draws from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from cspine.domain import Grid
from cspine.training.coarse_samples import Centers
from cspine.training.on_device.looks import on_device
from cspine.training.synthesis import AIR_CODE
from cspine.training.tissue_cases import load_case
from cspine.training.warp import Placement

Addresses = tuple[np.ndarray, np.ndarray, np.ndarray]
# Added to any other address it stays below 0, where air is.
OUTSIDE = -(1 << 48)


@dataclass(frozen=True, eq=False)
class HeldCase:
    """What the processor keeps of a case.

    Attributes
    ----------
    start
        Address of its first voxel in `HeldCases.codes`.
    """

    grid: Grid
    centers_lps_mm: Centers
    start: int

    def addresses(self, place: Placement) -> Addresses:
        """Return int64 addresses of a sample's sub-voxels, to be added up over the axes; below 0 outside the case."""
        shape = self.grid.shape
        strides, starts = (shape[1] * shape[2], shape[2], 1), (self.start, 0, 0)
        found = []
        for warp, count, stride, start in zip(place.warps, shape, strides, starts, strict=True):
            index = np.rint(warp.inner).astype(np.int64)
            found.append(np.where((index >= 0) & (index < count), start + index * stride, OUTSIDE))
        return found[0], found[1], place.unflipped(found[2])


@dataclass(frozen=True, eq=False)
class HeldCases:
    """All cases.

    Attributes
    ----------
    codes
        uint8, the code of air and then the codes of one case after the other.
    """

    cases: tuple[HeldCase, ...]
    codes: torch.Tensor

    def take(self, addresses: Sequence[Addresses]) -> torch.Tensor:
        """Return the codes (N, D, H, W) at addresses of N samples; air outside the cases."""
        z, y, x = (on_device(np.stack(axis), self.codes.device) for axis in zip(*addresses, strict=True))
        places = z[:, :, None, None] + y[:, None, :, None] + x[:, None, None, :]
        return self.codes[places.clamp(min=0)]


@lru_cache(maxsize=1)
def hold(folders: tuple[Path, ...], part: Literal["field", "spine"], device: torch.device) -> HeldCases:
    """Read cases into the memory of a device; those of the last call are kept."""
    cases, codes, start = [], [np.array([AIR_CODE], dtype=np.uint8)], 1
    for folder in folders:
        case = load_case(folder)
        held = case.field if part == "field" else case.spine
        cases.append(HeldCase(held.grid, case.centers_lps_mm, start))
        codes.append(np.asarray(held.codes).ravel())
        start += held.codes.size
    return HeldCases(tuple(cases), torch.from_numpy(np.concatenate(codes)).to(device))


__all__ = ["Addresses", "HeldCase", "HeldCases", "hold"]
