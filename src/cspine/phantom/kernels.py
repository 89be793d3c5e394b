"""Reconstruction kernels as transfer functions: how sharp an image is, and the spectrum of its noise.

Frequencies in cycles per mm. Two families that differ in shape: family A falls like a Gaussian, family B ends at a
cutoff like an apodized filter and so rings. Which values real kernels have: `docs/explanation/phantom-scanner.md`.
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft
from scipy.optimize import brentq


@dataclass(frozen=True)
class Kernel:
    """A reconstruction kernel.

    Attributes
    ----------
    name
        As a header would say it.
    half_per_mm
        Frequency at which the transfer function falls to one half.
    boost
        0 … 1, edge enhancement of sharp kernels: above about 0.3 edges overshoot.
    family
        ``"A"`` or ``"B"``.
    """

    name: str
    half_per_mm: float
    boost: float
    family: str = "A"

    def __post_init__(self) -> None:
        if self.family not in ("A", "B"):
            raise ValueError(f"kernel family must be A or B, got {self.family!r}")
        if not 0.1 <= self.half_per_mm <= 3:
            raise ValueError(f"half_per_mm must be 0.1 … 3, got {self.half_per_mm}")
        if not 0 <= self.boost <= 1:
            raise ValueError(f"boost must be 0 … 1, got {self.boost}")

    def transfer(self, frequency_per_mm: np.ndarray) -> np.ndarray:
        """Return the modulation transfer at frequencies of any shape; 1 at zero."""
        shape = _SHAPES[self.family]
        half = float(brentq(lambda q: float(shape(np.asarray(q), self.boost)) - 0.5, *_HALF_BRACKET))
        return shape(np.asarray(frequency_per_mm) / self.half_per_mm * half, self.boost)

    def noise_power(self, frequency_per_mm: np.ndarray) -> np.ndarray:
        """Return the shape of the noise power spectrum, not normalized.

        Family A is filtered back projection: ramp times squared transfer (Riederer 1978). Family B is the look of
        iterative reconstruction: weaker high frequencies, and a floor at low ones.
        """
        f = np.asarray(frequency_per_mm, dtype=np.float64)
        gain = self.transfer(f)
        if self.family == "A":
            return np.asarray((f + 0.02) * gain**2)
        return np.asarray((np.sqrt(f) + 0.12 * self.half_per_mm) * np.abs(gain) ** 2.6)


def _gaussian_roll(q: np.ndarray, boost: float) -> np.ndarray:
    squared = q * q
    value: np.ndarray = (1 + 1.9 * boost * squared) * np.exp(-squared)
    return value


def _cosine_roll(q: np.ndarray, boost: float) -> np.ndarray:
    inside = np.clip(q / 2, 0, 1)
    value: np.ndarray = (1 + 2.4 * boost * np.sin(np.pi * inside / 2) ** 2) * np.cos(np.pi * inside / 2) ** 2
    return value


_SHAPES = {"A": _gaussian_roll, "B": _cosine_roll}
_HALF_BRACKET = (0.5, 2.0)


def frequency_grid(shape: tuple[int, int], spacing_mm: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return frequencies along rows (H, 1) and columns (1, W // 2 + 1) of a real transform, in cycles per mm."""
    rows = fft.fftfreq(shape[0], spacing_mm[0])[:, None]
    return rows, fft.rfftfreq(shape[1], spacing_mm[1])[None, :]


def radial(shape: tuple[int, int], spacing_mm: tuple[float, float]) -> np.ndarray:
    """Return the radial frequency (H, W // 2 + 1) of a real transform, in cycles per mm."""
    rows, columns = frequency_grid(shape, spacing_mm)
    return np.asarray(np.hypot(rows, columns))


# Soft kernels: fitted to the three real scans by `tools/fit_scanner.py`, UNC, Visible Human, thorax. Bone kernels: as
# makers state them.
SOFT_KERNELS: tuple[Kernel, ...] = (
    Kernel("SOFT", 0.32, 0.0),
    Kernel("STANDARD", 0.44, 0.0),
    Kernel("DETAIL", 0.53, 0.1),
)
BONE_KERNELS: tuple[Kernel, ...] = (
    Kernel("BONE", 0.70, 0.45),
    Kernel("BONEPLUS", 0.85, 0.65),
    Kernel("EDGE", 0.95, 0.85),
)
OTHER_SOFT_KERNELS: tuple[Kernel, ...] = (
    Kernel("FC08", 0.38, 0.0, "B"),
    Kernel("FC18", 0.55, 0.0, "B"),
    Kernel("FC19", 0.60, 0.25, "B"),
)
OTHER_BONE_KERNELS: tuple[Kernel, ...] = (Kernel("FC30", 0.66, 0.4, "B"), Kernel("FC81", 0.90, 0.7, "B"))

__all__ = [
    "BONE_KERNELS",
    "OTHER_BONE_KERNELS",
    "OTHER_SOFT_KERNELS",
    "SOFT_KERNELS",
    "Kernel",
    "frequency_grid",
    "radial",
]
