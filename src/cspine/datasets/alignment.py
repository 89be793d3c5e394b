"""Do two pictures show the same slice? Lay one on the other where they agree best, and compare texture, then grain.

Texture is what is finer than about a centimeter; outlines of all necks are alike, it is not. Grain is what is left
between neighboring pixels, brought to the same contrast everywhere: fine edges, and noise, which two scans never
share, not even two of one patient. Copies that were re-encoded, cropped, moved or mirrored keep both in one place.
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from cspine.datasets.fingerprints import Mirror

# Pictures are compared at this pixel size, or where none is known at this many pixels along the longer side.
COMPARED_MM = 1.0
COMPARED_PIXELS = 256
# Texture coarser than this many pixels is taken out.
COARSE_PIXELS = 3.0
# Grain is compared at the coarser of the two pixel sizes, but no finer than this: scanners resolve no more.
FINEST_MM = 0.7
# Grain coarser than this many pixels is taken out; contrast is evened out over so many pixels. Differences of fewer HU
# (or gray levels) are rounding.
GRAIN_PIXELS, CONTRAST_PIXELS, LEAST_CONTRAST = 1.5, 4.0, 2.0
# Pixels by which the places of best texture and best grain may differ, as their grids do.
GRAIN_REACH = 2
# The part of the smaller picture that must lie on the other one.
LEAST_OVERLAP = 0.35
# Below this share of the strongest edge there is nothing but air.
_NOTHING = 0.002
_TURNS = {
    Mirror.NONE: (slice(None), slice(None)),
    Mirror.COLUMNS: (slice(None), slice(None, None, -1)),
    Mirror.ROWS: (slice(None, None, -1), slice(None)),
    Mirror.BOTH: (slice(None, None, -1), slice(None, None, -1)),
}


@dataclass(frozen=True)
class Alignment:
    """How well one picture lies on another.

    Attributes
    ----------
    similarity
        Correlation of the textures where both are, −1 … 1.
    shift_rc
        Rows and columns of the compared pictures by which the second one is moved.
    """

    similarity: float
    mirror: Mirror
    shift_rc: tuple[int, int]


def turned(pixels: np.ndarray, mirror: Mirror) -> np.ndarray:
    """Return a mirrored view."""
    return pixels[_TURNS[mirror]]


def texture(pixels: np.ndarray, pixel_mm: tuple[float, float] | None, scale: float = 1.0) -> np.ndarray:
    """Return a picture at the compared size with everything coarse taken out; HU beyond bone and air are cut.

    Parameters
    ----------
    scale
        By which it is enlarged besides, to lie on a copy that was cropped and enlarged.
    """
    small = _resampled(pixels, pixel_mm, COMPARED_MM, scale)
    fine = small - ndimage.gaussian_filter(small, COARSE_PIXELS)
    strength = np.abs(fine)
    live = strength[strength > _NOTHING * strength.max(initial=0)]
    limit = float(np.median(live)) if live.size else 0.0
    # Skin and cortex are the sharpest edges of every neck: cut down, they do not outvote the rest.
    limited: np.ndarray = np.clip(fine, -limit, limit)
    return limited


def grain(pixels: np.ndarray, pixel_mm: tuple[float, float], size_mm: float) -> np.ndarray:
    """Return the grain of a picture in HU at pixels of `size_mm`."""
    values = _resampled(pixels, pixel_mm, size_mm, 1.0)
    fine = values - ndimage.gaussian_filter(values, GRAIN_PIXELS)
    contrast = np.sqrt(ndimage.gaussian_filter(fine * fine, CONTRAST_PIXELS) + LEAST_CONTRAST**2)
    even: np.ndarray = fine / contrast
    return even


def grain_agreement(
    first: np.ndarray,
    first_mm: tuple[float, float],
    second: np.ndarray,
    second_mm: tuple[float, float],
    alignment: Alignment,
) -> float:
    """Return the correlation, −1 … 1, of the grain of two pictures in HU, within half a pixel of the best place.

    Parameters
    ----------
    alignment
        Of their textures; looked at are places near by.
    """
    size_mm = max(FINEST_MM, *first_mm, *second_mm)
    one, other = grain(first, first_mm, size_mm), turned(grain(second, second_mm, size_mm), alignment.mirror)
    center = [round(k * COMPARED_MM / size_mm) for k in alignment.shift_rc]
    near = range(-GRAIN_REACH, GRAIN_REACH + 1)
    return max(
        _correlation(a, b, (center[0] + row, center[1] + column))
        for a, b in [*((a, other) for a in _half_moved(one)), *((one, b) for b in _half_moved(other)[1:])]
        for row in near
        for column in near
    )


def _half_moved(picture: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return a picture as it is, and moved by half a pixel down, right, and both: read between the pixels."""
    down = (picture[:-1] + picture[1:]) / 2
    return picture, down, (picture[:, :-1] + picture[:, 1:]) / 2, (down[:, :-1] + down[:, 1:]) / 2


def _resampled(pixels: np.ndarray, pixel_mm: tuple[float, float] | None, size_mm: float, scale: float) -> np.ndarray:
    values = pixels.astype(np.float32)
    if pixel_mm is None:
        zoom = (scale * COMPARED_PIXELS / max(values.shape),) * 2
    else:
        values = np.clip(values, -300, 1200)
        zoom = (scale * pixel_mm[0] / size_mm, scale * pixel_mm[1] / size_mm)
    if max(zoom) < 1:
        values = ndimage.gaussian_filter(values, [0.35 / z for z in zoom])
    small: np.ndarray = ndimage.zoom(values, zoom, order=1, mode="nearest", grid_mode=True)
    return small


def align(one: np.ndarray, other: np.ndarray, mirrors: tuple[Mirror, ...] = tuple(Mirror)) -> Alignment:
    """Return the best of all shifts and mirrored copies of two textures."""
    found = [_best_shift(one, turned(other, mirror), mirror) for mirror in mirrors]
    return max(found, key=lambda alignment: alignment.similarity)


def _best_shift(one: np.ndarray, other: np.ndarray, mirror: Mirror) -> Alignment:
    shape = tuple(fft.next_fast_len(a + b - 1, real=True) for a, b in zip(one.shape, other.shape, strict=True))
    product = fft.rfft2(one, shape) * np.conj(fft.rfft2(other, shape))
    plane = fft.irfft2(product, shape)
    row, column = np.unravel_index(int(plane.argmax()), plane.shape)
    shift = tuple(int(k) - n if k >= a else int(k) for k, n, a in zip((row, column), shape, one.shape, strict=True))
    return Alignment(_correlation(one, other, (shift[0], shift[1])), mirror, (shift[0], shift[1]))


def _correlation(one: np.ndarray, other: np.ndarray, shift: tuple[int, int]) -> float:
    """Return the correlation where both are when the second one is moved; −1 where they overlap too little."""
    overlap = _overlap(one, other, shift)
    if overlap is None:
        return -1.0
    a, b = (part - part.mean() for part in overlap)
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum()) / scale if scale > 0 else -1.0


def _overlap(one: np.ndarray, other: np.ndarray, shift: tuple[int, int]) -> tuple[np.ndarray, np.ndarray] | None:
    cuts = []
    for n, m, k in zip(one.shape, other.shape, shift, strict=True):
        low, high = max(0, k), min(n, m + k)
        if high <= low:
            return None
        cuts.append((slice(low, high), slice(low - k, high - k)))
    size = (cuts[0][0].stop - cuts[0][0].start) * (cuts[1][0].stop - cuts[1][0].start)
    if size < LEAST_OVERLAP * min(one.size, other.size):
        return None
    return one[cuts[0][0], cuts[1][0]], other[cuts[0][1], cuts[1][1]]
