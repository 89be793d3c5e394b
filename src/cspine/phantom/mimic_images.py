"""Mimics that a scanner makes of a healthy neck: streaks at the shoulders, steps of motion, lines beside cortices.

Each belongs to a vertebra and is confined to its surroundings; the rest of the scan is as without it. The general
noise, streaks and motion of a scan are those of `scanner`.
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from cspine.domain import Grid, Vertebra, Volume
from cspine.phantom.kernels import Kernel
from cspine.phantom.mimics import Mimic, MimicKind
from cspine.phantom.noise import NoiseSpectrum, colored, slice_mixture, white_slice
from cspine.phantom.scanner import HU_MAX, HU_MIN, Scanner

Centers = dict[Vertebra, tuple[float, float, float]]

_STREAK_HALF_MM = (15.0, 7.0)  # rows, slices: standard deviations of the window
_STREAK_HU, _DARK_HU = (25.0, 150.0), (8.0, 90.0)
_STEP_MM, _STEP_HALF_MM = (0.5, 3.2), (1.5, 5.0)
_LINE_FINE_MM, _LINE_BROAD_MM, _LINE_GAIN = 0.4, 1.3, (0.35, 1.7)
_LINE_FADE_MM = 2.5
_SLICES_BEFORE = 10_000  # numbers of slices stay positive
_REACH_MM = 40.0  # beside the center of the vertebra, what belongs to it


@dataclass(frozen=True)
class Step:
    """A movement of the patient: slices within `half_mm` of a height are shifted by (x, y) mm."""

    z_mm: float
    half_mm: float
    shift_mm: tuple[float, float]


def step_of(mimic: Mimic, centers: Centers) -> Step:
    """Return the movement that a mimic stands for: 0.5–3.2 mm, for 3–10 mm of the scan."""
    rng = mimic.rng()
    turn = float(rng.uniform(0, 2 * np.pi))
    size = _between(_STEP_MM, mimic.size)
    height = centers[mimic.vertebra][2] + float(rng.normal(0, 2))
    return Step(height, _between(_STEP_HALF_MM, float(rng.random())), (size * np.cos(turn), size * np.sin(turn)))


def moved(hu: np.ndarray, fine: Grid, mimics: tuple[Mimic, ...], centers: Centers) -> np.ndarray:
    """Return a body (slice, row, column) on an upright grid as a scanner sees it that is moved during the scan.

    The same array where no mimic is a step of motion; the still body is the truth.
    """
    steps = [step_of(m, centers) for m in mimics if m.kind is MimicKind.MOTION_STEP]
    if not steps:
        return hu
    out = hu.copy()
    height = fine.to_world(np.arange(fine.shape[0])[:, None] * np.array([1.0, 0.0, 0.0]))[:, 2]
    for step in steps:
        by = (step.shift_mm[1] / fine.spacing_mm[1], step.shift_mm[0] / fine.spacing_mm[2])
        for k in np.flatnonzero(np.abs(height - step.z_mm) < step.half_mm):
            out[k] = ndimage.shift(hu[k], by, order=1, mode="nearest", prefilter=False)
    return out


def disturbed(
    volume: Volume, scanner: Scanner, mimics: tuple[Mimic, ...], centers: Centers, lines: dict[int, np.ndarray]
) -> Volume:
    """Return a series with the streaks and lines of its mimics.

    Parameters
    ----------
    lines
        By the place of a dark line in `mimics`: bool (slice, row, column), where it is.
    """
    streaks = [m for m in mimics if m.kind is MimicKind.SHOULDER_STREAK]
    if not streaks and not lines:
        return volume
    hu = volume.hu.astype(np.float32)
    for number, mask in lines.items():
        _add_lines_inplace(hu, volume.grid, mask, _between(_LINE_GAIN, mimics[number].size))
    for mimic in streaks:
        _add_streaks_inplace(hu, volume.grid, scanner, mimic, centers)
    outside = _beyond_circle(volume.grid, scanner.circle_mm)
    out = np.clip(np.rint(hu), HU_MIN, HU_MAX).astype(np.int16)
    out[:, outside] = volume.hu[:, outside]
    return Volume(volume.grid, out)


def image_region(mimic: Mimic, grid: Grid, centers: Centers) -> np.ndarray:
    """Return bool (slice, row, column): where a streak or a step disturbs the surroundings of its vertebra."""
    x, y, z = centers[mimic.vertebra]
    half = (_REACH_MM, _REACH_MM, _REACH_MM)
    if mimic.kind is MimicKind.MOTION_STEP:
        step = step_of(mimic, centers)
        z, half = step.z_mm, (_REACH_MM, _REACH_MM, step.half_mm + grid.spacing_mm[0] / 2)
    elif mimic.kind is MimicKind.SHOULDER_STREAK:
        half = (_REACH_MM, 2 * _STREAK_HALF_MM[0], 2 * _STREAK_HALF_MM[1])
    out = np.ones(grid.shape, dtype=bool)
    for axis, (middle, reach) in enumerate(zip((x, y, z), half, strict=True)):
        out &= np.abs(_coordinate(grid, axis) - middle) <= reach
    return out


def _coordinate(grid: Grid, axis: int) -> np.ndarray:
    """Return one LPS coordinate in mm of every voxel, broadcast to (slice, row, column)."""
    row = grid.affine[axis]
    k, i, j = (np.arange(n).reshape([-1 if a == b else 1 for b in range(3)]) for a, n in enumerate(grid.shape))
    return np.asarray(row[0] * k + row[1] * i + row[2] * j + row[3])


def _add_lines_inplace(hu: np.ndarray, grid: Grid, mask: np.ndarray, gain: float) -> None:
    """Add the undershoot and overshoot of an edge-enhancing kernel inside a mask, in the axial plane."""
    slices = np.flatnonzero(mask.any(axis=(1, 2)))
    if not slices.size:
        return
    part = slice(int(slices[0]), int(slices[-1]) + 1)
    fade = [_LINE_FADE_MM / s for s in grid.spacing_mm]
    weight = ndimage.gaussian_filter(mask[part].astype(np.float32), fade, mode="nearest")
    fine, broad = (
        ndimage.gaussian_filter(hu[part], (0, mm / grid.spacing_mm[1], mm / grid.spacing_mm[2]))
        for mm in (_LINE_FINE_MM, _LINE_BROAD_MM)
    )
    hu[part] += np.float32(gain) * weight * (fine - broad)


def _add_streaks_inplace(hu: np.ndarray, grid: Grid, scanner: Scanner, mimic: Mimic, centers: Centers) -> None:
    """Add streaks from left to right, and the dark band between the shoulders, about the height of a vertebra."""
    rng = mimic.rng()
    shape = grid.shape[1:]
    middle = grid.to_index(np.array(centers[mimic.vertebra]))
    spectrum = _streak_filter(scanner.kernel, shape, scanner.pixel_mm)
    mixture = slice_mixture(scanner.thickness_mm, scanner.spacing_mm)
    seed = int(rng.integers(2**62))
    rows = (np.arange(shape[0]) - middle[1]) * grid.spacing_mm[1]
    window = np.exp(-0.5 * (rows / _STREAK_HALF_MM[0]) ** 2)
    bands = _bands(rows, rng) * _between(_DARK_HU, mimic.size)
    reach = len(mixture) // 2
    for k in range(grid.shape[0]):
        away = (k - middle[0]) * grid.spacing_mm[0] / _STREAK_HALF_MM[1]
        if abs(away) > 2:
            continue
        near = np.exp(-0.5 * away**2) - np.exp(-2.0)
        white = sum(
            w * white_slice(seed, _SLICES_BEFORE + k + j, shape)
            for j, w in zip(range(-reach, reach + 1), mixture, strict=True)
        )
        streaks = colored(fft.rfft2(white), spectrum, shape)
        hu[k] += (near * window)[:, None] * (_between(_STREAK_HU, mimic.size) * streaks - bands[:, None])


def _streak_filter(kernel: Kernel, shape: tuple[int, int], pixel_mm: tuple[float, float]) -> np.ndarray:
    return NoiseSpectrum.of(kernel, shape, pixel_mm).streaks


def _bands(rows_mm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a few soft dark bands along the shoulders, 0 … about 1.5, per row."""
    out = np.zeros(len(rows_mm))
    for at, width in zip(rng.normal(0, 9, 4), rng.uniform(1.2, 4.0, 4), strict=True):
        out += np.exp(-0.5 * ((rows_mm - at) / width) ** 2)
    return out


def _beyond_circle(grid: Grid, diameter_mm: float) -> np.ndarray:
    y, x = ((np.arange(n) - (n - 1) / 2) * s for n, s in zip(grid.shape[1:], grid.spacing_mm[1:], strict=True))
    return np.asarray(np.hypot(y[:, None], x[None, :]) > diameter_mm / 2)


def _between(ends: tuple[float, float], part: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * part


__all__ = ["Step", "disturbed", "image_region", "moved", "step_of"]
