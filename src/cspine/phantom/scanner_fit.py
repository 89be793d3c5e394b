"""Measures of a real or simulated scanner: noise spectrum, sharpness of edges, likeness of neighboring slices.

The figures of the real scans, and what the two scanner families make of them, stand in
`docs/explanation/phantom-scanner.md`.
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft

from cspine.domain import Box, Volume

_PATCH = 24
_EDGE_HU = -500.0  # halfway between air and tissue
_EDGE_REACH_MM = 6.0
_EDGE_BIN_MM = 0.1


@dataclass(frozen=True, eq=False)
class NoisePower:
    """Noise of a flat region.

    Attributes
    ----------
    frequency_per_mm, power
        (N,) radial frequency, and the two-dimensional power density in HU² mm² averaged over directions.
    std_hu
        Standard deviation after removal of slow trends.
    slice_correlation
        Correlation of a slice with the next one.
    """

    frequency_per_mm: np.ndarray
    power: np.ndarray
    std_hu: float
    slice_correlation: float

    @property
    def mean_frequency_per_mm(self) -> float:
        """First moment of the spectrum over the frequency plane's radius, the usual one-number texture."""
        return float((self.frequency_per_mm * self.power).sum() / self.power.sum())


def noise_power_spectrum(volume: Volume, region: Box) -> NoisePower:
    """Measure the noise in axial patches of 24 pixels that tile a region of one tissue.

    Slow trends (quadratic) are removed from every patch, so nothing is known below about 0.06 of a cycle per pixel.

    Raises
    ------
    ValueError
        The region is smaller than one patch.
    """
    hu = volume.hu[region.slices].astype(np.float64)
    rows, columns = hu.shape[1] // _PATCH, hu.shape[2] // _PATCH
    if rows == 0 or columns == 0:
        raise ValueError(f"region must hold a patch of {_PATCH} pixels, got {hu.shape} (slice, row, column)")
    tiled = hu[:, : rows * _PATCH, : columns * _PATCH].reshape(len(hu), rows, _PATCH, columns, _PATCH)
    patches = _detrended(tiled.transpose(0, 1, 3, 2, 4).reshape(len(hu), rows * columns, _PATCH, _PATCH))
    window = np.hanning(_PATCH + 2)[1:-1]
    window = window[:, None] * window[None, :]
    dy, dx = volume.grid.spacing_mm[1:]
    spectrum = np.abs(fft.fft2(patches * window)) ** 2 * dy * dx / (window**2).sum()
    radius = np.hypot(fft.fftfreq(_PATCH, dy)[:, None], fft.fftfreq(_PATCH, dx)[None, :])
    step = 1 / (_PATCH * max(dy, dx))
    edges = np.arange(1.5, _PATCH / 2 + 1) * step
    where = np.digitize(radius.ravel(), edges)
    mean = spectrum.mean(axis=(0, 1)).ravel()
    power = np.array([mean[where == k].mean() for k in range(1, len(edges))])
    pairs = (patches[:-1] * patches[1:]).mean() / (patches**2).mean() if len(patches) > 1 else np.nan
    return NoisePower((edges[:-1] + edges[1:]) / 2, power, float(patches.std()), float(pairs))


def _detrended(patches: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[:_PATCH, :_PATCH] / _PATCH - 0.5
    terms = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1).reshape(-1, 6)
    flat = patches.reshape(-1, _PATCH * _PATCH)
    slow = flat @ np.linalg.pinv(terms).T @ terms.T
    return np.asarray((flat - slow).reshape(patches.shape))


@dataclass(frozen=True, eq=False)
class EdgeSpread:
    """How an edge between air and tissue looks.

    Attributes
    ----------
    distance_mm, hu
        (N,) distance from the edge, positive inside, and the mean value there.
    rise_mm
        Distance from 10 % to 90 % of the step.
    overshoot
        Highest value just inside relative to the step, minus one: edge enhancement, and bright skin.
    """

    distance_mm: np.ndarray
    hu: np.ndarray
    rise_mm: float
    overshoot: float


def edge_spread(volume: Volume, region: Box) -> EdgeSpread:
    """Measure the edge between air in front and tissue behind, averaged over a region.

    In every slice and column of the region the first crossing of −500 HU from the front is found; a smooth line
    through the crossings is the edge, so that noise does not blur the mean profile.

    Raises
    ------
    ValueError
        Fewer than 16 columns of any slice cross the edge.
    """
    dy, dx = volume.grid.spacing_mm[1:]
    distances, values = [], []
    for plane in volume.hu[region.slices].astype(np.float64):
        crossing = _first_crossing(plane)
        good = np.flatnonzero(np.isfinite(crossing))
        if good.size < 16:
            continue
        line = np.polynomial.Polynomial.fit(good, crossing[good], 4)
        smooth, slope = line(good), line.deriv()(good) * dy / dx
        straight = np.abs(crossing[good] - smooth) < 0.75
        rows = np.arange(len(plane))[:, None]
        away = (rows - smooth[straight]) * dy / np.sqrt(1 + slope[straight] ** 2)
        near = np.abs(away) < _EDGE_REACH_MM
        distances.append(away[near])
        values.append(plane[:, good[straight]][near])
    if not distances:
        raise ValueError(f"no slice of region {region} has an edge at −500 HU in 16 columns")
    return _profile(np.concatenate(distances), np.concatenate(values))


def _first_crossing(plane: np.ndarray) -> np.ndarray:
    """Return the fractional row (column,) of the first rise through the edge value, NaN where there is none."""
    above = plane > _EDGE_HU
    first = above.argmax(axis=0)
    column = np.arange(plane.shape[1])
    low, high = plane[np.maximum(first - 1, 0), column], plane[first, column]
    with np.errstate(invalid="ignore", divide="ignore"):
        place = first - 1 + (_EDGE_HU - low) / (high - low)
    return np.where((first > 0) & above.any(axis=0), place, np.nan)


def _profile(distance: np.ndarray, value: np.ndarray) -> EdgeSpread:
    edges = np.arange(-_EDGE_REACH_MM, _EDGE_REACH_MM + _EDGE_BIN_MM, _EDGE_BIN_MM)
    where = np.digitize(distance, edges)
    filled = [k for k in range(1, len(edges)) if (where == k).any()]
    middle = edges[np.array(filled) - 1] + _EDGE_BIN_MM / 2
    mean = np.array([value[where == k].mean() for k in filled])
    air = float(np.median(mean[middle < -3]))
    plateau = float(np.median(mean[(middle > 0.8) & (middle < 1.8)]))
    step = (mean - air) / (plateau - air)
    rising = (middle > -3) & (middle < 2)
    ascent = np.maximum.accumulate(step[rising])
    low, high = (float(np.interp(level, ascent, middle[rising])) for level in (0.1, 0.9))
    inside = step[(middle > 0) & (middle < 3)]
    return EdgeSpread(middle, mean, high - low, float(inside.max() - 1))


__all__ = ["EdgeSpread", "NoisePower", "edge_spread", "noise_power_spectrum"]
