"""What a slice looks like in some hundred numbers, so that a copy of it is found among hundreds of thousands.

Descriptors of each slice, all of them coefficients of a cosine transform (the perceptual hash of images, kept as
numbers instead of bits): one of the whole frame, which re-encoding and small shifts hardly change, and some of windows
round the places with the densest bone, which also stay when the picture is cropped or moved. Of several places, as
cropping may cut one away or make another the densest. A mirrored picture has the same coefficients with other signs,
so that mirrored copies are found without another descriptor. The lowest coefficients say "a neck" and are damped.

Legend: N slices, A windows (anchors), D coefficients.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy import fft, ndimage

# Side of the square that is transformed, and coefficients kept along each of its axes.
SIDE, KEPT = 32, 10
COUNT = KEPT * KEPT - 1
WINDOW_MM = 96.0
# Where no size is known, the window is this share of the longer side.
WINDOW_SHARE = 0.45
ANCHOR_SIGMA = 0.35
ANCHOR_STEPS = 12
ANCHORS = 3
# Round a place that was found, so many times the window's sigma are left out when the next one is looked for.
ANCHOR_APART = 1.5
BONE_HU, BONE_GRAY = 200.0, 150.0
# Of a window with less structure than this (HU or gray levels) nothing can be said.
LEAST_DEVIATION = 2.0


class Mirror(StrEnum):
    """How a copy may be turned."""

    NONE = "as it is"
    COLUMNS = "mirrored left to right"
    ROWS = "mirrored top to bottom"
    BOTH = "turned by 180°"


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """One slice.

    Attributes
    ----------
    pixel_hash
        BLAKE2b of shape and pixel values.
    frame
        (D,) float32 of unit length; zeros where nothing can be said.
    anchored
        (A, D), the same of each window, the densest first.
    """

    pixel_hash: str
    frame: np.ndarray
    anchored: np.ndarray


def fingerprint(pixels: np.ndarray, pixel_mm: tuple[float, float] | None, scale: float = 1.0) -> Fingerprint:
    """Describe a picture.

    Parameters
    ----------
    pixels
        (row, column) in HU when `pixel_mm` is given, else gray 0 … 255.
    scale
        Of the window round the densest bone: above 1 finds copies that were cropped and enlarged.
    """
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).astype("<i2" if _fits(pixels) else "<f4", copy=False).data)
    values = np.clip(pixels, -1000, 2000) if pixel_mm is not None else pixels
    values = values.astype(np.float32)
    centers, half = _windows(values, pixel_mm, scale)
    anchored = np.stack([describe(_sampled(values, center, half)) for center in centers])
    return Fingerprint(digest.hexdigest(), describe(_square(values)), anchored)


def mirror_signs(mirror: Mirror) -> np.ndarray:
    """Return the factors (D,) that turn the coefficients of a picture into those of its mirrored copy."""
    u, v = np.meshgrid(np.arange(KEPT), np.arange(KEPT), indexing="ij")
    rows = (-1.0) ** u if mirror in (Mirror.ROWS, Mirror.BOTH) else np.ones_like(u, dtype=float)
    columns = (-1.0) ** v if mirror in (Mirror.COLUMNS, Mirror.BOTH) else 1.0
    signs: np.ndarray = (rows * columns).ravel()[1:].astype(np.float32)
    return signs


def describe(square: np.ndarray) -> np.ndarray:
    """Return the damped cosine coefficients (D,) of a square picture, of unit length."""
    if float(square.std()) < LEAST_DEVIATION:
        return np.zeros(COUNT, np.float32)
    limited = np.clip(square, *np.percentile(square, (2, 98)))
    found = fft.dctn(limited.astype(np.float32), norm="ortho")[:KEPT, :KEPT]
    u, v = np.meshgrid(np.arange(KEPT), np.arange(KEPT), indexing="ij")
    weighted = (found * np.hypot(u, v)).ravel()[1:]
    length = float(np.linalg.norm(weighted))
    unit: np.ndarray = (weighted / length if length > 0 else weighted).astype(np.float32)
    return unit


def _fits(pixels: np.ndarray) -> bool:
    return bool(pixels.dtype.kind in "iu" and np.can_cast(pixels.dtype, np.int16))


def _square(values: np.ndarray) -> np.ndarray:
    """Return the whole picture on a square of `SIDE`, by mean over blocks."""
    rows, columns = values.shape
    edges = [np.linspace(0, n, SIDE + 1).astype(int) for n in (rows, columns)]
    if min(rows, columns) < SIDE:
        return _sampled(values, ((rows - 1) / 2, (columns - 1) / 2), (rows / 2, columns / 2))
    sums = np.add.reduceat(np.add.reduceat(values, edges[0][:-1], axis=0), edges[1][:-1], axis=1)
    square: np.ndarray = sums / np.outer(np.diff(edges[0]), np.diff(edges[1]))
    return square


def _windows(
    values: np.ndarray, pixel_mm: tuple[float, float] | None, scale: float
) -> tuple[list[tuple[float, float]], tuple[float, float]]:
    """Return centers and half sides (row, column) of the windows round the densest bone, in pixels."""
    longest = max(values.shape)
    sides = (WINDOW_SHARE * longest,) * 2 if pixel_mm is None else tuple(WINDOW_MM / mm for mm in pixel_mm)
    half = (sides[0] / 2 / scale, sides[1] / 2 / scale)
    step = max(1, int(min(half) / 16))
    bone = np.clip(values - (BONE_GRAY if pixel_mm is None else BONE_HU), 0, 600)
    rows, columns = (n // step * step for n in bone.shape)
    coarse = bone[:rows, :columns].reshape(rows // step, step, columns // step, step).mean(axis=(1, 3))
    sigma = (half[0] / step * ANCHOR_SIGMA, half[1] / step * ANCHOR_SIGMA)
    found = []
    for _ in range(ANCHORS):
        center = _densest(coarse, sigma)
        found.append(((center[0] + 0.5) * step - 0.5, (center[1] + 0.5) * step - 0.5))
        coarse = coarse * (1 - _hill(coarse.shape, center, (ANCHOR_APART * sigma[0], ANCHOR_APART * sigma[1])))
    return found, half


def _hill(shape: tuple[int, ...], center: tuple[float, float], sigma: tuple[float, float]) -> np.ndarray:
    axes = [np.exp(-0.5 * ((np.arange(n) - c) / s) ** 2) for n, c, s in zip(shape, center, sigma, strict=True)]
    return np.outer(*axes)


def _densest(weight: np.ndarray, sigma: tuple[float, float]) -> tuple[float, float]:
    """Return where the most weight lies within a soft window: the peak of the smoothed weight, then refined."""
    if not weight.any():
        return ((weight.shape[0] - 1) / 2, (weight.shape[1] - 1) / 2)
    smooth = ndimage.gaussian_filter(weight, sigma, mode="constant")
    peak = np.unravel_index(int(smooth.argmax()), smooth.shape)
    center = (float(peak[0]), float(peak[1]))
    y, x = np.arange(weight.shape[0]), np.arange(weight.shape[1])
    for _ in range(ANCHOR_STEPS):
        soft = weight * _hill(weight.shape, center, sigma)
        total = float(soft.sum())
        if total <= 0:
            break
        center = (float(soft.sum(axis=1) @ y) / total, float(soft.sum(axis=0) @ x) / total)
    return center


def _sampled(values: np.ndarray, center: tuple[float, float], half: tuple[float, float]) -> np.ndarray:
    """Return the window on a square of `SIDE`: smoothed to its resolution, then read linearly; the edge goes on."""
    step = [2 * h / SIDE for h in half]
    block = [max(1, int(s)) for s in step]
    # Only the window and what smoothing needs round it is touched.
    low = [int(min(max(0, c - h - 2 * b), n - 1)) for c, h, b, n in zip(center, half, block, values.shape, strict=True)]
    high = [int(max(c + h + 2 * b + 2, at + 1)) for c, h, b, at in zip(center, half, block, low, strict=True)]
    values = values[low[0] : high[0], low[1] : high[1]]
    center = (center[0] - low[0], center[1] - low[1])
    smooth = ndimage.uniform_filter(values, block, mode="nearest") if max(block) > 1 else values
    offsets = np.arange(SIDE) - (SIDE - 1) / 2
    shift = [0.5 if b % 2 == 0 else 0.0 for b in block]  # an even block is centered half a pixel lower
    grid = np.meshgrid(
        center[0] + offsets * step[0] + shift[0], center[1] + offsets * step[1] + shift[1], indexing="ij"
    )
    sampled: np.ndarray = ndimage.map_coordinates(smooth, grid, order=1, mode="nearest")
    return sampled
