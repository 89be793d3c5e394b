"""How a real scan looks: its blur and its noise, measured in the scan itself."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, special

from cspine.domain import Box, ConfigError, LabelMap, Volume

_AIR_HU, _SOFT_HU = (-1100.0, -850.0), (-160.0, 220.0)
_EDGE_HU = -500.0
_PLATEAU = 3  # samples on either side of an edge between air and tissue
_FEWEST_EDGES = 60
_STEEP = 0.9  # quantile of the steepness: edges that the axis meets squarely
_SHARPEST = 0.32  # standard deviation of a box of one voxel, and a little more
_FLAT_HU = (-20.0, 110.0)
_PATCH = 5
_QUIET = 0.25  # quantile of local standard deviations: patches of one tissue
_ROUND_MM = 45.0
_MOST_VOXELS = 6_000_000


@dataclass(frozen=True)
class ScanLook:
    """Blur and noise of one scan.

    Attributes
    ----------
    blur_mm
        Standard deviation of the point spread along (slice, row, column), voxels included.
    noise_hu
        Standard deviation of the noise in soft tissue near the spine.
    grain
        Standard deviation in voxels, along the same axes, of the smoothing that gives white noise the likeness of
        neighbors that the scan's noise has.
    """

    blur_mm: tuple[float, float, float]
    noise_hu: float
    grain: tuple[float, float, float]

    def __post_init__(self) -> None:
        if not all(0 < b < 10 for b in self.blur_mm):
            raise ConfigError(f"scan look: blur_mm is {self.blur_mm}, must be above 0 and below 10 mm")
        if not 0 <= self.noise_hu < 1000:
            raise ConfigError(f"scan look: noise_hu is {self.noise_hu}, must be 0 … 1000")

    def noise(self, shape: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
        """Draw noise of standard deviation 1, float32 (slice, row, column)."""
        white = rng.standard_normal(shape, dtype=np.float32)
        smooth = ndimage.gaussian_filter(white, self.grain, mode="wrap", truncate=3.0)
        scaled: np.ndarray = smooth / max(float(smooth.std()), 1e-6)
        return scaled


def look_of(volume: Volume, labels: LabelMap) -> ScanLook:
    """Measure blur and noise near the labeled vertebrae of a canonical volume.

    Blur comes from edges between air and tissue; where there are too few, it is that of a soft kernel. Noise is the
    quietest quarter of soft tissue.
    """
    hu = _near(volume, labels)
    rows, columns = (_blur(hu, axis, volume.grid.spacing_mm[axis]) for axis in (1, 2))
    across = _first(columns, rows, max(0.45, 0.5 * volume.grid.spacing_mm[2]))
    along = _first(_blur(hu, 0, volume.grid.spacing_mm[0]), None, max(across, 0.4 * volume.grid.spacing_mm[0]))
    noise, grain = _noise(hu)
    return ScanLook((along, _first(rows, columns, across), across), noise, grain)


def _first(one: float | None, two: float | None, otherwise: float) -> float:
    return next((value for value in (one, two) if value is not None), otherwise)


def _near(volume: Volume, labels: LabelMap) -> np.ndarray:
    """Return float32 HU round the spine, every few rows and slices where there would be too many."""
    box = Box.of_mask(labels.labels > 0)
    if box is None:
        raise ConfigError("insert a fracture: no voxel is labeled; give a label map of the vertebrae")
    reach = [int(_ROUND_MM / s) for s in volume.grid.spacing_mm]
    start = [max(0, a - r) for a, r in zip(box.start_zyx, reach, strict=True)]
    stop = [min(n, b + r) for n, b, r in zip(labels.grid.shape, box.stop_zyx, reach, strict=True)]
    # A block in the middle: neighbors must stay neighbors.
    excess = np.prod([b - a for a, b in zip(start, stop, strict=True)]) / _MOST_VOXELS
    if excess > 1:
        half = int((stop[0] - start[0]) / excess / 2) + _PLATEAU + 2
        middle = (start[0] + stop[0]) // 2
        start[0], stop[0] = max(start[0], middle - half), min(stop[0], middle + half)
    (a, b, c), (d, e, f) = start, stop
    return volume.hu[a:d, b:e, c:f].astype(np.float32)


def _blur(hu: np.ndarray, axis: int, spacing_mm: float) -> float | None:
    """Return the standard deviation in mm of edges between air and tissue along an axis, ``None`` without edges."""
    count = hu.shape[axis]
    if count < 2 * _PLATEAU + 4:
        return None
    lines = np.moveaxis(hu, axis, 0)

    def at(offset: int) -> np.ndarray:
        return lines[_PLATEAU + offset : count - _PLATEAU - 1 + offset]

    crosses = (at(0) < _EDGE_HU) != (at(1) < _EDGE_HU)
    low, high = at(-_PLATEAU)[crosses], at(1 + _PLATEAU)[crosses]
    one, two = at(0)[crosses], at(1)[crosses]
    air, soft = np.minimum(low, high), np.maximum(low, high)
    clean = (air > _AIR_HU[0]) & (air < _AIR_HU[1]) & (soft > _SOFT_HU[0]) & (soft < _SOFT_HU[1])
    if clean.sum() < _FEWEST_EDGES:
        return None
    share = np.abs(two - one)[clean] / (soft - air)[clean]
    steep = float(np.clip(np.quantile(share, _STEEP), 0.05, 0.98))
    # A step of one voxel over a Gaussian edge that it straddles.
    sd = spacing_mm / (2 * np.sqrt(2) * float(special.erfinv(steep)))
    return float(max(sd, _SHARPEST * spacing_mm))


def _noise(hu: np.ndarray) -> tuple[float, tuple[float, float, float]]:
    """Return the noise in soft tissue and its grain."""
    size = (1, _PATCH, _PATCH)
    mean = ndimage.uniform_filter(hu, size)
    rest = hu - mean
    spread = np.sqrt(np.maximum(ndimage.uniform_filter(rest * rest, size), 0))
    soft = (mean > _FLAT_HU[0]) & (mean < _FLAT_HU[1])
    if soft.sum() < 1000:
        return 0.0, (0.0, 0.0, 0.0)
    quiet = soft & (spread < np.quantile(spread[soft], _QUIET))
    level = float(np.median(spread[quiet])) * _PATCH / np.sqrt(_PATCH**2 - 1)
    grain = []
    for axis in range(3):
        here, there = np.moveaxis(rest, axis, 0)[:-1], np.moveaxis(rest, axis, 0)[1:]
        calm = np.moveaxis(quiet, axis, 0)[:-1]
        alike = float((here * there)[calm].mean() / max(float((here * here)[calm].mean()), 1e-6))
        grain.append(float(np.sqrt(-1 / (4 * np.log(alike)))) if 0.02 < alike < 0.95 else 0.0)
    return level, (grain[0], grain[1], grain[2])


__all__ = ["ScanLook", "look_of"]
