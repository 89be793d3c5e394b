"""The scanner of the phantom: from a fine body in HU to a CT series as a scanner would reconstruct it.

Blur by the kernel's transfer function and the slice profile, noise with the kernel's spectrum that grows with the
thickness of the body, beam hardening, streaks of metal, motion between and within slices, padding. Families: A
trains, B only evaluates; they differ in kernels and noise (`kernels`).
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage, sparse

from cspine.domain import CANONICAL_DIRECTIONS, Box, Grid, Volume, resample
from cspine.phantom.artefacts import METAL_HU, hardening_hu, metal_error_hu
from cspine.phantom.kernels import frequency_grid, radial
from cspine.phantom.noise import (
    WATER_PER_MM,
    NoiseSpectrum,
    colored,
    noise_level,
    slice_mixture,
    white_slice,
)
from cspine.phantom.scanner_spec import Scanner, native_grid, sample_scanner

HU_MIN, HU_MAX = -1024, 3071  # twelve bits and the usual rescale intercept
_CHUNK = 16
_COARSE = 64
_COARSE_Z_MM = 4.0
_BODY_MM = 500.0
_METAL_RASTER = 256


def scan(
    hu_fine: np.ndarray,
    fine: Grid,
    scanner: Scanner,
    rng: np.random.Generator,
    *,
    target: Grid | None = None,
    whole_body: Volume | None = None,
    threads: int = 4,
) -> Volume:
    """Scan a body.

    Parameters
    ----------
    hu_fine
        (slice, row, column) on `fine` (canonical), HU without noise; metal is above 3,500 HU.
    target
        Grid of the series, from `native_grid`; by default it covers `fine`, centered.
    whole_body
        The body beyond `fine` as well, on a coarse grid (6 mm will do): what the rays pass outside the field of
        view. Without it, attenuation is that of `hu_fine` alone.

    Returns
    -------
    Volume
        int16 HU, −1024 … 3071 inside the reconstruction circle; the same bytes for the same generator state.
    """
    grid = _grid_over(fine, scanner) if target is None else target
    body = _Sampler.of(hu_fine, fine, grid, scanner.thickness_mm)
    surroundings = _surroundings(hu_fine, fine, grid, scanner, whole_body)
    streaks = _MetalStreaks.of(grid, surroundings, scanner.metal, rng)
    motion = _motion(grid.shape[0], scanner, rng)
    noise = _Noise.of(grid, scanner, surroundings, int(rng.integers(2**63)))
    transfer = scanner.kernel.transfer(radial(grid.shape[1:], scanner.pixel_mm)).astype(np.float32)
    outside = _outside_circle(grid, scanner.circle_mm)
    out = np.empty(grid.shape, dtype=np.int16)

    def chunk(start: int) -> None:
        stop = min(start + _CHUNK, grid.shape[0])
        planes, white = body.planes(start, stop), noise.white(start, stop)
        for k in range(start, stop):
            sharp = planes[k - start]
            plane = fft.irfft2(fft.rfft2(sharp) * (transfer * motion(k)), grid.shape[1:])
            noise.add_inplace(plane, k, white[k - start])
            plane += surroundings.shading(k)
            streaks.add_inplace(plane, k, sharp)
            np.clip(np.rint(plane, out=plane), HU_MIN, HU_MAX, out=plane)
            plane[outside] = scanner.padding_hu
            out[k] = plane

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(chunk, range(0, grid.shape[0], _CHUNK)))
    return Volume(grid, out)


def _grid_over(fine: Grid, scanner: Scanner) -> Grid:
    first, last = fine.to_world(np.zeros(3)), fine.to_world(np.asarray(fine.shape) - 1.0)
    x, y, z = ((float(a) + float(b)) / 2 for a, b in zip(first, last, strict=True))
    return native_grid(scanner, (x, y, z), float(max(first[2], last[2])), float(min(first[2], last[2])))


@dataclass(frozen=True, eq=False)
class _Sampler:
    """The body seen without blur and noise: averaged over the slice profile (a box), sampled on the native grid.

    Attributes
    ----------
    hu
        float32 (slice, row, column) on `fine`; for turned slices the profile has been applied already.
    weights
        float32 (native slice, fine slice) of the profile, or ``None`` for turned slices.
    """

    hu: np.ndarray
    fine: Grid
    grid: Grid
    weights: np.ndarray | None

    @classmethod
    def of(cls, hu: np.ndarray, fine: Grid, grid: Grid, thickness_mm: float) -> "_Sampler":
        step = fine.spacing_mm[0]
        if np.abs(grid.directions - fine.directions).max() > 1e-6:
            profile = max(1, round(thickness_mm / step))
            return cls(ndimage.uniform_filter1d(hu, profile, axis=0), fine, grid, None)
        matrix = grid.index_map_to(fine)
        center = (matrix[0, 0] * np.arange(grid.shape[0]) + matrix[0, 3])[:, None]
        half = max(thickness_mm / step, 1.0) / 2
        edges = np.arange(fine.shape[0])
        cover = np.minimum(center + half, edges + 0.5) - np.maximum(center - half, edges - 0.5)
        return cls(hu, fine, grid, (np.clip(cover, 0, None) / (2 * half)).astype(np.float32))

    def planes(self, start: int, stop: int) -> np.ndarray:
        """Return float32 planes (slice, row, column) of some native slices."""
        part = self.grid.crop(Box((start, 0, 0), (stop, *self.grid.shape[1:])))
        if self.weights is None:
            return resample(self.hu, self.fine, part, fill=-1000.0, threads=1)
        means = np.empty((stop - start, *self.fine.shape[1:]), dtype=np.float32)
        for mean, weight in zip(means, self.weights[start:stop], strict=True):
            used = np.flatnonzero(weight)
            mean[:] = -1000.0 * (1 - weight.sum())
            for i in used:
                np.add(mean, weight[i] * self.hu[i], out=mean)
        return resample(means, _in_slices_of(part, self.fine), part, fill=-1000.0, threads=1)


def _in_slices_of(grid: Grid, fine: Grid) -> Grid:
    """Return the grid with the slices of one grid and the rows and columns of another."""
    affine = fine.affine.copy()
    affine[:3, 0] = grid.affine[:3, 0]
    affine[2, 3] = grid.affine[2, 3]
    return Grid((grid.shape[0], *fine.shape[1:]), affine)


def _interpolation(count: int, step: float, raster: int, raster_step: float) -> sparse.csr_array:
    """Return float32 (count, raster): linear weights from a raster to samples, both about the same middle.

    Sparse, not only for speed: dense products start threads of their own in each thread of ours.
    """
    place = (np.arange(count) - (count - 1) / 2) * step / raster_step + (raster - 1) / 2
    place = np.clip(place, 0, raster - 1)
    low = np.minimum(place.astype(int), raster - 2)
    weights = np.zeros((count, raster), dtype=np.float32)
    weights[np.arange(count), low] = 1 - (place - low)
    weights[np.arange(count), low + 1] = place - low
    return sparse.csr_array(weights)


def _gather(spread: sparse.csr_array) -> sparse.csr_array:
    """Return the means over samples that lead back from an image to its raster."""
    sums = np.maximum(spread.sum(axis=0), 1e-6)
    return sparse.csr_array(spread.T.multiply(1 / sums[:, None]), dtype=np.float32)


def _spread(image: np.ndarray, rows: sparse.csr_array, columns: sparse.csr_array) -> np.ndarray:
    """Return an image (row, column) interpolated by weights of rows and columns."""
    wide: np.ndarray = (columns @ np.ascontiguousarray((rows @ image).T)).T
    return wide


@dataclass(frozen=True, eq=False)
class _Surroundings:
    """What depends on the attenuation of the whole body, on a coarse raster; all arrays float32.

    Attributes
    ----------
    height
        (slice,) fractional coarse slice of every native slice.
    along_rows, elsewhere, dark
        Noise levels (see `NoiseLevel`) and the shading of beam hardening in HU, per coarse slice.
    rows, columns
        Weights from the coarse raster to image rows and columns.
    path_mm
        (coarse slice, 2): largest water path along rows and along columns.
    """

    height: np.ndarray
    along_rows: np.ndarray
    elsewhere: np.ndarray
    dark: np.ndarray
    rows: sparse.csr_array
    columns: sparse.csr_array
    path_mm: np.ndarray

    def noise_levels(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the standard deviations of streaks (row, 1) and of other noise (row, column) of slice k."""
        along = self.rows @ self._between(self.along_rows, k)
        return along[:, None], _spread(self._between(self.elsewhere, k), self.rows, self.columns)

    def shading(self, k: int) -> np.ndarray:
        """Return the error of beam hardening (row, column) of slice k in HU."""
        return _spread(self._between(self.dark, k), self.rows, self.columns)

    def paths(self, k: int) -> np.ndarray:
        """Return the largest water paths (2,) along rows and columns at slice k, in mm."""
        return self._between(self.path_mm, k)

    def _between(self, planes: np.ndarray, k: int) -> np.ndarray:
        low = min(int(self.height[k]), len(planes) - 1)
        high = min(low + 1, len(planes) - 1)
        part = np.float32(self.height[k] - low)
        value: np.ndarray = planes[low] * (1 - part) + planes[high] * part
        return value


def _surroundings(hu: np.ndarray, fine: Grid, grid: Grid, scanner: Scanner, whole_body: Volume | None) -> _Surroundings:
    """Project the coarse body along both image axes and through the beam-hardening model."""
    middle = grid.to_world((np.asarray(grid.shape) - 1) / 2)
    extent = max(scanner.field_of_view_mm * max(1.0, grid.shape[1] / grid.shape[2]), 1.0)
    span = _BODY_MM if whole_body is not None else extent
    step = span / _COARSE
    heights = grid.to_world(np.stack([np.arange(grid.shape[0]), *([np.full(grid.shape[0], 0.0)] * 2)], axis=1))
    along_z = heights[:, 2] + (middle[2] - heights[:, 2].mean())
    top = float(along_z[0])
    slices = int(np.ceil((top - float(along_z[-1])) / _COARSE_Z_MM)) + 2
    corner = (float(middle[0]) - step * (_COARSE - 1) / 2, float(middle[1]) - step * (_COARSE - 1) / 2, top)
    coarse = Grid.from_axes((slices, _COARSE, _COARSE), (_COARSE_Z_MM, step, step), corner, CANONICAL_DIRECTIONS)
    body = resample(hu, fine, coarse, fill=-1000.0)
    if whole_body is not None:
        covered = resample(np.broadcast_to(np.uint8(1), fine.shape), fine, coarse, fill=0.0)
        body = np.where(covered > 0.99, body, resample(whole_body.hu, whole_body.grid, coarse, fill=-1000.0))
    water = np.clip(body + 1000, 0, 3000) / 1000
    left_right, front_back = water.sum(axis=2) * step, water.sum(axis=1) * step
    level = noise_level(left_right, front_back, scanner.modulation)
    return _Surroundings(
        height=np.clip((top - along_z) / _COARSE_Z_MM, 0, slices - 1),
        along_rows=level.along_rows,
        elsewhere=level.elsewhere,
        dark=hardening_hu(body, step, scanner.hardening),
        rows=_interpolation(grid.shape[1], scanner.pixel_mm[0], _COARSE, step),
        columns=_interpolation(grid.shape[2], scanner.pixel_mm[1], _COARSE, step),
        path_mm=np.stack([left_right.max(axis=1), front_back.max(axis=1)], axis=1),
    )


@dataclass(frozen=True, eq=False)
class _Noise:
    """Quantum noise of every slice; the same whichever slices are asked for together.

    Attributes
    ----------
    mixture
        Weights of a slice's neighbors, which share quanta with it.
    """

    shape: tuple[int, int]
    noise_hu: float
    mixture: np.ndarray
    spectrum: NoiseSpectrum
    surroundings: _Surroundings
    seed: int

    @classmethod
    def of(cls, grid: Grid, scanner: Scanner, surroundings: _Surroundings, seed: int) -> "_Noise":
        shape = grid.shape[1:]
        spectrum = NoiseSpectrum.of(scanner.kernel, shape, scanner.pixel_mm)
        mixture = slice_mixture(scanner.thickness_mm, scanner.spacing_mm)
        return cls(shape, scanner.noise_hu, mixture, spectrum, surroundings, seed)

    def white(self, start: int, stop: int) -> list[np.ndarray]:
        """Return white noise (row, column) of some slices, thicker slices sharing it."""
        if self.noise_hu == 0:
            return [np.zeros(0)] * (stop - start)
        reach = len(self.mixture) // 2
        white = [white_slice(self.seed, k + reach, self.shape) for k in range(start - reach, stop + reach)]
        if reach == 0:
            return white
        return [sum(w * white[k + j] for j, w in enumerate(self.mixture)) for k in range(stop - start)]

    def add_inplace(self, plane: np.ndarray, k: int, white: np.ndarray) -> None:
        """Add noise in HU to slice k (row, column)."""
        if self.noise_hu == 0:
            return
        transform = fft.rfft2(white)
        along, rest = self.surroundings.noise_levels(k)
        for amplitude, level in ((self.spectrum.streaks, along), (self.spectrum.rest, rest)):
            part = colored(transform, amplitude, self.shape)
            part *= level * np.float32(self.noise_hu)
            plane += part


@dataclass(frozen=True, eq=False)
class _MetalStreaks:
    """Streaks of the slices with metal, made on a square raster that covers the image."""

    strength: float
    seed: int
    step_mm: float
    rows: sparse.csr_array
    columns: sparse.csr_array
    surroundings: _Surroundings

    @classmethod
    def of(cls, grid: Grid, surroundings: _Surroundings, strength: float, rng: np.random.Generator) -> "_MetalStreaks":
        raster = min(_METAL_RASTER, max(grid.shape[1:]))
        step = max(grid.extent_mm[1:]) / raster
        rows = _interpolation(grid.shape[1], grid.spacing_mm[1], raster, step)
        columns = _interpolation(grid.shape[2], grid.spacing_mm[2], raster, step)
        return cls(strength, int(rng.integers(2**63)), step, rows, columns, surroundings)

    def add_inplace(self, plane: np.ndarray, k: int, sharp: np.ndarray) -> None:
        """Add the streaks of slice k in HU, if the body without blur holds metal there."""
        if self.strength == 0 or float(sharp.max()) <= METAL_HU:
            return
        metal = _spread(np.where(sharp > METAL_HU, sharp, np.float32(0)), _gather(self.rows), _gather(self.columns))
        path = self.surroundings.paths(k) * WATER_PER_MM
        rng = np.random.default_rng([self.seed, k])
        plane += _spread(metal_error_hu(metal, path, self.step_mm, self.strength, rng), self.rows, self.columns)


class _Motion:
    """Transfer functions of sudden movements: a shift between slices, a ghost within the slice of the movement."""

    def __init__(self, before_mm: np.ndarray, after_mm: np.ndarray, scanner: Scanner) -> None:
        self._before, self._after = before_mm, after_mm
        self._rows, self._columns = frequency_grid(scanner.matrix, scanner.pixel_mm)

    def __call__(self, k: int) -> np.ndarray | np.float32:
        """Return the factor of the transform of slice k."""
        before, after = self._before[k], self._after[k]
        if not before.any() and not after.any():
            return np.float32(1)
        shifts = (np.exp(-2j * np.pi * (self._rows * y + self._columns * x)) for y, x in (before, after))
        factor: np.ndarray = (sum(shifts) / 2).astype(np.complex64)
        return factor


def _motion(slices: int, scanner: Scanner, rng: np.random.Generator) -> _Motion:
    """Draw movements: away at one slice, most of the way back a few mm later; the still anatomy is the truth."""
    before, after = np.zeros((slices, 2)), np.zeros((slices, 2))
    events = int(rng.integers(1, 4)) if scanner.motion_mm > 0 else 0
    for _ in range(events):
        start = int(rng.integers(slices))
        stop = min(slices, start + max(2, round(float(rng.uniform(3, 25)) / scanner.spacing_mm)))
        shift = rng.normal(0, scanner.motion_mm / 1.5, 2)
        before[start + 1 : stop] += shift
        after[start : stop - 1] += shift
    return _Motion(before, after, scanner)


def _outside_circle(grid: Grid, diameter_mm: float) -> np.ndarray:
    """Return whether a pixel (row, column) lies outside the reconstruction circle about the middle of the image."""
    y, x = ((np.arange(n) - (n - 1) / 2) * s for n, s in zip(grid.shape[1:], grid.spacing_mm[1:], strict=True))
    outside: np.ndarray = np.hypot(y[:, None], x[None, :]) > diameter_mm / 2
    return outside


__all__ = ["HU_MAX", "HU_MIN", "Scanner", "native_grid", "sample_scanner", "scan"]
