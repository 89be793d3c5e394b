"""Split a scan into what moves with bone and what stays: signal and noise."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from cspine.domain import Grid
from cspine.phantom.insertion.look import ScanLook

_SOFT_SPREAD_MM = 2.2
_LEAST_WEIGHT = 0.02
_SOFT_HU = 50.0


@dataclass(frozen=True, eq=False)
class Signal:
    """A scan without most of its noise; all arrays float32 (slice, row, column) on one grid.

    Attributes
    ----------
    hu
        Local mean plus the part of the deviation that exceeds the noise (Lee 1980): flat regions are smooth, edges
        and trabeculae are those of the scan.
    kept
        0 … 1, the share of the noise that `hu` still has.
    """

    grid: Grid
    hu: np.ndarray
    kept: np.ndarray

    def at(self, index: np.ndarray) -> np.ndarray:
        """Return float32 (N,) at fractional indices (N, 3), interpolated without loss of sharpness."""
        low = np.maximum(np.floor(index.min(axis=0)).astype(int) - 4, 0)
        high = np.minimum(np.ceil(index.max(axis=0)).astype(int) + 5, self.hu.shape)
        part = self.hu[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        values: np.ndarray = ndimage.map_coordinates(part, (index - low).T, order=3, mode="nearest", output=np.float32)
        return values


def signal_of(hu: np.ndarray, grid: Grid, look: ScanLook) -> Signal:
    """Take the noise out of HU (slice, row, column) where there is nothing but noise."""
    values = hu.astype(np.float32)
    mean = ndimage.uniform_filter(values, 3)
    spread = ndimage.uniform_filter(values * values, 3) - mean * mean
    noise = np.float32(look.noise_hu**2)
    kept = np.clip(1 - noise / np.maximum(spread, 1e-3), 0, 1)
    return Signal(grid, mean + kept * (values - mean), kept)


def soft_tissue(hu: np.ndarray, is_soft: np.ndarray, grid: Grid) -> np.ndarray:
    """Return float32 HU of the soft tissue round about, also where bone lies, (slice, row, column)."""
    sigma = [_SOFT_SPREAD_MM / s for s in grid.spacing_mm]
    weight = ndimage.gaussian_filter(is_soft.astype(np.float32), sigma, truncate=3.0)
    total = ndimage.gaussian_filter(np.where(is_soft, hu, np.float32(0)), sigma, truncate=3.0)
    near = total / np.maximum(weight, _LEAST_WEIGHT)
    filled: np.ndarray = np.where(weight > _LEAST_WEIGHT, near, np.float32(_SOFT_HU))
    return filled


__all__ = ["Signal", "signal_of", "soft_tissue"]
