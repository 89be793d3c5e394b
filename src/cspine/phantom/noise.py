"""Quantum noise: the kernel's spectrum, more of it behind thick parts, streaks along the shoulders."""

from dataclasses import dataclass

import numpy as np
from scipy import fft

from cspine.phantom.kernels import Kernel, frequency_grid, radial

WATER_PER_MM = 0.0195  # attenuation of water at the mean energy of a 120 kV beam
REFERENCE_MM = 130.0  # water path at which `Scanner.noise_hu` holds: an average neck
_STREAK_SHARE = 0.2  # share of the projection angles that look along the shoulders
_STREAK_TANGENT = 0.16  # half width of their wedge in the frequency plane


@dataclass(frozen=True, eq=False)
class NoiseLevel:
    """Standard deviation of the noise relative to that of an average neck.

    Attributes
    ----------
    along_rows
        (slice, row): of the streaks that run from left to right.
    elsewhere
        (slice, row, column) on a coarse raster over the same field of view: of all other noise.
    """

    along_rows: np.ndarray
    elsewhere: np.ndarray


def noise_level(path_left_right_mm: np.ndarray, path_front_back_mm: np.ndarray, modulation: float) -> NoiseLevel:
    """Return noise from water-equivalent paths, (slice, row) and (slice, column) in mm.

    Parameters
    ----------
    modulation
        0 … 1, how much of the extra attenuation the tube current makes up for.
    """
    excess = [
        (1 - modulation) * WATER_PER_MM * (path - REFERENCE_MM) for path in (path_left_right_mm, path_front_back_mm)
    ]
    rows, columns = (np.clip(e, -2.0, 7.0) for e in excess)
    along = np.sqrt(_STREAK_SHARE * np.exp(rows))
    # Rays in between cross part of the long way.
    between = np.exp(0.25 * rows[:, :, None] + 0.75 * columns[:, None, :])
    other = np.sqrt((1 - _STREAK_SHARE) * between)
    return NoiseLevel(along.astype(np.float32), other.astype(np.float32))


@dataclass(frozen=True, eq=False)
class NoiseSpectrum:
    """Amplitude filters (H, W // 2 + 1), float32, that turn white noise into noise of standard deviation 1.

    Attributes
    ----------
    streaks
        For noise that runs along rows.
    rest
        For all other directions.
    """

    streaks: np.ndarray
    rest: np.ndarray

    @classmethod
    def of(cls, kernel: Kernel, shape: tuple[int, int], spacing_mm: tuple[float, float]) -> "NoiseSpectrum":
        """Split the kernel's spectrum into the wedge of left–right rays and the rest."""
        power = kernel.noise_power(radial(shape, spacing_mm))
        rows, columns = frequency_grid(shape, spacing_mm)
        wedge = np.exp(-0.5 * (columns / (_STREAK_TANGENT * np.abs(rows) + 1e-6)) ** 2)
        return cls(_unit(power * wedge, shape), _unit(power * (1 - wedge), shape))


def _unit(power: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the amplitude filter whose output has variance 1 for white input of variance 1."""
    weight = np.full(power.shape[1], 2.0)
    weight[0] = 1.0
    if shape[1] % 2 == 0:
        weight[-1] = 1.0
    power = power.copy()
    power[0, 0] = 0.0
    total = float((power * weight).sum()) / (shape[0] * shape[1])
    return np.sqrt(power / total).astype(np.float32)


def slice_mixture(thickness_mm: float, spacing_mm: float) -> np.ndarray:
    """Return weights over neighboring slices: slices thicker than their spacing share quanta. Σ w² = 1."""
    reach = int(np.ceil(thickness_mm / spacing_mm - 1e-6)) - 1
    offset = np.arange(-reach, reach + 1) * spacing_mm
    overlap = np.clip(thickness_mm / 2 + spacing_mm / 2 - np.abs(offset), 0, spacing_mm)
    weights: np.ndarray = (overlap / np.sqrt((overlap**2).sum())).astype(np.float32)
    return weights


def white_slice(seed: int, index: int, shape: tuple[int, int]) -> np.ndarray:
    """Return float32 white noise of one slice; the same for the same seed and index in any order."""
    rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence([seed, index])))
    return rng.standard_normal(shape, dtype=np.float32)


def colored(white_transform: np.ndarray, amplitude: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return float32 noise (H, W) from the transform of white noise."""
    return np.asarray(fft.irfft2(white_transform * amplitude, shape))
