"""The scanner of the phantom: from a fine body in HU to a CT series as a scanner would reconstruct it.

Blur by the kernel's transfer function and the slice profile, noise with the kernel's spectrum that grows with the
thickness of the body, beam hardening, streaks of metal, motion between and within slices, padding. Families: A
trains, B only evaluates; they differ in kernels and noise (`kernels`).
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

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
_THREADS = 4
_CHUNK = 8
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
    sharp = _sampled(hu_fine, fine, grid, scanner.thickness_mm)
    surroundings = _surroundings(hu_fine, fine, grid, scanner, whole_body)
    metal = _metal_streaks(sharp, grid, surroundings, scanner.metal, rng)
    motion = _motion(len(sharp), scanner, rng)
    seed = int(rng.integers(2**63))
    spectrum = NoiseSpectrum.of(scanner.kernel, grid.shape[1:], scanner.pixel_mm)
    transfer = scanner.kernel.transfer(radial(grid.shape[1:], scanner.pixel_mm)).astype(np.float32)
    mixture = slice_mixture(scanner.thickness_mm, scanner.spacing_mm)
    outside = _outside_circle(grid, scanner.circle_mm)
    out = np.empty(grid.shape, dtype=np.int16)

    def chunk(start: int) -> None:
        stop = min(start + _CHUNK, len(sharp))
        reach = len(mixture) // 2
        white = [white_slice(seed, k + reach, grid.shape[1:]) for k in range(start - reach, stop + reach)]
        for k in range(start, stop):
            blurred = fft.irfft2(fft.rfft2(sharp[k]) * (transfer * motion(k)), grid.shape[1:])
            mixed = sum(w * white[k - start + j] for j, w in enumerate(mixture))
            plane = blurred + scanner.noise_hu * surroundings.noise(k, fft.rfft2(mixed), spectrum)
            plane += surroundings.shading(k)
            if k in metal:
                plane += metal[k]
            np.clip(np.rint(plane), HU_MIN, HU_MAX, out=plane)
            plane[outside] = scanner.padding_hu
            out[k] = plane

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(chunk, range(0, len(sharp), _CHUNK)))
    return Volume(grid, out)


def _grid_over(fine: Grid, scanner: Scanner) -> Grid:
    first, last = fine.to_world(np.zeros(3)), fine.to_world(np.asarray(fine.shape) - 1.0)
    x, y, z = ((float(a) + float(b)) / 2 for a, b in zip(first, last, strict=True))
    return native_grid(scanner, (x, y, z), float(max(first[2], last[2])), float(min(first[2], last[2])))


def _sampled(hu: np.ndarray, fine: Grid, grid: Grid, thickness_mm: float) -> np.ndarray:
    """Average over the slice profile (a box) and sample on the native grid; float32."""
    straight = np.abs(grid.directions - fine.directions).max() < 1e-6
    if not straight:
        profile = max(1, round(thickness_mm / fine.spacing_mm[0]))
        return _sampled_obliquely(ndimage.uniform_filter1d(hu, profile, axis=0), fine, grid)
    step = fine.spacing_mm[0]
    center = (grid.index_map_to(fine)[0, 0] * np.arange(grid.shape[0])) + grid.index_map_to(fine)[0, 3]
    half = max(thickness_mm / step, 1.0) / 2
    edges = np.arange(fine.shape[0])
    cover = np.minimum(center[:, None] + half, edges + 0.5) - np.maximum(center[:, None] - half, edges - 0.5)
    weights = (np.clip(cover, 0, None) / (2 * half)).astype(np.float32)
    out = np.empty(grid.shape, dtype=np.float32)

    def chunk(start: int) -> None:
        part = weights[start : start + _CHUNK]
        means = np.empty((len(part), *fine.shape[1:]), dtype=np.float32)
        for k, weight in enumerate(part):
            means[k] = -1000.0 * (1 - weight.sum())
            for i in np.flatnonzero(weight):
                means[k] += weight[i] * hu[i]
        box = Box((start, 0, 0), (start + len(part), *grid.shape[1:]))
        flat = grid.crop(box)
        out[box.slices] = resample(means, _in_slices_of(flat, fine), flat, fill=-1000.0, threads=1)

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(chunk, range(0, grid.shape[0], _CHUNK)))
    return out


def _in_slices_of(grid: Grid, fine: Grid) -> Grid:
    """Return the grid with the slices of one grid and the rows and columns of another."""
    affine = fine.affine.copy()
    affine[:3, 0] = grid.affine[:3, 0]
    affine[2, 3] = grid.affine[2, 3]
    return Grid((grid.shape[0], *fine.shape[1:]), affine)


def _sampled_obliquely(hu: np.ndarray, fine: Grid, grid: Grid) -> np.ndarray:
    starts = range(0, grid.shape[0], _CHUNK)
    parts = [Box((k, 0, 0), (min(k + _CHUNK, grid.shape[0]), *grid.shape[1:])) for k in starts]
    with ThreadPoolExecutor(_THREADS) as pool:
        done = list(pool.map(lambda box: resample(hu, fine, grid.crop(box), fill=-1000.0), parts))
    return np.concatenate(done)


def _interpolation(count: int, step: float, raster: int, raster_step: float) -> np.ndarray:
    """Return float32 (count, raster): linear weights from a raster to samples, both about the same middle."""
    place = (np.arange(count) - (count - 1) / 2) * step / raster_step + (raster - 1) / 2
    place = np.clip(place, 0, raster - 1)
    low = np.minimum(place.astype(int), raster - 2)
    weights = np.zeros((count, raster), dtype=np.float32)
    weights[np.arange(count), low] = 1 - (place - low)
    weights[np.arange(count), low + 1] = place - low
    return weights


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
    rows: np.ndarray
    columns: np.ndarray
    path_mm: np.ndarray

    def noise(self, k: int, white: np.ndarray, spectrum: NoiseSpectrum) -> np.ndarray:
        """Return noise (row, column) of slice k from transformed white noise, relative to an average neck."""
        shape = (len(self.rows), len(self.columns))
        along = self.rows @ self._between(self.along_rows, k)
        rest = self.rows @ self._between(self.elsewhere, k) @ self.columns.T
        noise: np.ndarray = colored(white, spectrum.streaks, shape) * along[:, None]
        noise += colored(white, spectrum.rest, shape) * rest
        return noise

    def shading(self, k: int) -> np.ndarray:
        """Return the error of beam hardening (row, column) of slice k in HU."""
        shading: np.ndarray = self.rows @ self._between(self.dark, k) @ self.columns.T
        return shading

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
        covered = resample(np.ones(fine.shape, dtype=np.uint8), fine, coarse, fill=0.0)
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


def _metal_streaks(
    sharp: np.ndarray, grid: Grid, surroundings: _Surroundings, strength: float, rng: np.random.Generator
) -> dict[int, np.ndarray]:
    """Return the streaks (row, column) in HU of every slice with metal."""
    seed = int(rng.integers(2**63))
    if strength == 0:
        return {}
    found = [k for k in range(len(sharp)) if float(sharp[k].max()) > METAL_HU]
    raster = min(_METAL_RASTER, max(grid.shape[1:]))
    step = max(grid.extent_mm[1:]) / raster
    rows = _interpolation(grid.shape[1], grid.spacing_mm[1], raster, step)
    columns = _interpolation(grid.shape[2], grid.spacing_mm[2], raster, step)
    gather = tuple(w.T / np.maximum(w.sum(axis=0), 1e-6)[:, None] for w in (rows, columns))

    def one(k: int) -> np.ndarray:
        metal = gather[0] @ (np.clip(sharp[k], 0, None) * (sharp[k] > METAL_HU)) @ gather[1].T
        path = surroundings.paths(k) * WATER_PER_MM
        streaks = metal_error_hu(metal, path, step, strength, np.random.default_rng([seed, k]))
        image: np.ndarray = rows @ streaks @ columns.T
        return image

    with ThreadPoolExecutor(_THREADS) as pool:
        return dict(zip(found, pool.map(one, found), strict=True))


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
