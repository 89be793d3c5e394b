"""Artefacts that follow from projections: beam hardening, metal, paths for the noise.

Everything here works on a coarse raster of each slice. A parallel-beam projector as one sparse matrix is enough: the
artefacts are smooth, apart from those of metal, which have their own finer path.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import fft, sparse

from cspine.phantom.noise import WATER_PER_MM

METAL_HU = 3500.0  # above enamel
_DENSE_HU = 250.0


@dataclass(frozen=True, eq=False)
class Projector:
    """A parallel-beam projector over a square raster.

    Attributes
    ----------
    matrix
        float32 (angle × detector, raster × raster), sparse, in units of pixels.
    angles, detectors, raster
        Counts.
    """

    matrix: sparse.csr_array
    angles: int
    detectors: int
    raster: int

    @classmethod
    @lru_cache(maxsize=2)
    def build(cls, raster: int, angles: int) -> "Projector":
        """Spread every pixel over the two nearest detectors of every angle; the last ones are kept."""
        detectors = int(np.ceil(raster * 1.5)) | 1
        theta = np.pi * np.arange(angles) / angles
        y, x = np.mgrid[:raster, :raster] - (raster - 1) / 2
        place = x.ravel() * np.cos(theta)[:, None] + y.ravel() * np.sin(theta)[:, None] + (detectors - 1) / 2
        low = np.floor(place).astype(int)
        part = (place - low).astype(np.float32)
        ray = (low + detectors * np.arange(angles)[:, None]).ravel()
        pixel = np.tile(np.arange(raster * raster), angles)
        weights = np.concatenate([1 - part.ravel(), part.ravel()])
        where = (np.concatenate([ray, ray + 1]), np.concatenate([pixel, pixel]))
        matrix = sparse.csr_array((weights, where), shape=(angles * detectors, raster * raster))
        return cls(matrix, angles, detectors, raster)

    def forward(self, images: np.ndarray) -> np.ndarray:
        """Return sinograms (N, angle, detector) of images (N, raster, raster), in pixels."""
        flat = self.matrix @ np.ascontiguousarray(images.reshape(len(images), -1).T, dtype=np.float32)
        return np.asarray(flat.T.reshape(len(images), self.angles, self.detectors))

    def reconstruct(self, sinograms: np.ndarray) -> np.ndarray:
        """Return filtered back projections (N, raster, raster) per pixel."""
        filtered = ramp_filtered(sinograms).reshape(len(sinograms), -1)
        images = self.matrix.T @ np.ascontiguousarray(filtered.T, dtype=np.float32) * np.float32(np.pi / self.angles)
        return np.asarray(images.T.reshape(-1, self.raster, self.raster))


def ramp_filtered(sinograms: np.ndarray) -> np.ndarray:
    """Apply the ramp filter along the last axis, in units of one over the detector step."""
    n = fft.next_fast_len(2 * sinograms.shape[-1], real=True)
    ramp = np.abs(fft.rfftfreq(n)).astype(np.float32)
    out = fft.irfft(fft.rfft(sinograms, n, axis=-1) * ramp, n, axis=-1)
    return np.asarray(out[..., : sinograms.shape[-1]])


def hardening_hu(coarse_hu: np.ndarray, pixel_mm: float, strength: float) -> np.ndarray:
    """Return the error of beam hardening in HU for square coarse slices (slice, row, column).

    The scanner corrects for water; bone along a ray makes it see too little attenuation, so that bands between
    dense parts, and the middle of a ring of bone, come out dark.

    Parameters
    ----------
    strength
        About 0.02 … 0.1: lost part of the bone's attenuation per unit of bone's attenuation.
    """
    projector = Projector.build(coarse_hu.shape[1], 60)
    per_pixel = WATER_PER_MM * pixel_mm
    dense = np.clip(coarse_hu - _DENSE_HU * 0.4, 0, 2500) * (coarse_hu > _DENSE_HU * 0.4) / 1000
    all_hu = np.clip(coarse_hu + 1000, 0, 4000) / 1000
    bone = projector.forward(dense) * per_pixel
    whole = projector.forward(all_hu) * per_pixel
    lost = strength * bone * (bone + 0.35 * whole)
    error: np.ndarray = -projector.reconstruct(lost) / per_pixel * 1000
    return error.astype(np.float32)


def metal_error_hu(
    metal: np.ndarray, path_water: np.ndarray, pixel_mm: float, strength: float, rng: np.random.Generator
) -> np.ndarray:
    """Return the streaks of metal in one slice, float32 HU (row, column) of the square raster.

    Rays through metal are too short (beam hardening grows with the square of the metal's path) and starved of
    photons, which the logarithm turns into noise; both are filtered and projected back.

    Parameters
    ----------
    metal
        (row, column) HU above tissue where there is metal, else 0.
    path_water
        (2,): attenuation of the rest of the slice along rows and along columns.
    strength
        1 is usual.
    """
    angles = 240
    theta = np.pi * np.arange(angles) / angles
    raster = metal.shape[0]
    detectors = int(np.ceil(raster * 1.5)) | 1
    rows, columns = np.nonzero(metal)
    half, middle = (raster - 1) / 2, (detectors - 1) / 2
    per_pixel = WATER_PER_MM * pixel_mm / 1000
    sinogram = np.zeros((angles, detectors), dtype=np.float64)
    for k, (cos, sin) in enumerate(zip(np.cos(theta), np.sin(theta), strict=True)):
        place = (columns - half) * cos + (rows - half) * sin + middle
        low = np.floor(place).astype(int)
        mass = metal[rows, columns] * per_pixel
        np.add.at(sinogram[k], low, mass * (1 - (place - low)))
        np.add.at(sinogram[k], low + 1, mass * (place - low))
    rest = path_water[0] * np.sin(theta) ** 2 + path_water[1] * np.cos(theta) ** 2
    lost = strength * 0.10 * sinogram**2 / (1 + 0.15 * sinogram)
    starved = np.minimum(np.exp((sinogram + rest[:, None]) / 2) * 0.004, 1.5)
    noise = strength * starved * rng.standard_normal(sinogram.shape) * (sinogram > 0.02)
    filtered = ramp_filtered((noise - lost).astype(np.float32))
    return _back_project(filtered, theta, raster) / per_pixel


def _back_project(filtered: np.ndarray, theta: np.ndarray, raster: int) -> np.ndarray:
    out = np.zeros((raster, raster), dtype=np.float32)
    axis = np.arange(raster, dtype=np.float32) - np.float32((raster - 1) / 2)
    middle = np.float32((filtered.shape[1] - 1) / 2)
    for line, angle in zip(filtered, theta, strict=True):
        place = axis[None, :] * np.float32(np.cos(angle)) + (axis[:, None] * np.float32(np.sin(angle)) + middle)
        low = place.astype(np.int32)
        part = place - low
        out += line[low] * (1 - part) + line[low + 1] * part
    return out * np.float32(np.pi / len(theta))
