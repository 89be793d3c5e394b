"""From classes to Hounsfield units with the fine structure of tissue: fat strands, marbled muscle, lung vessels."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import fft

from cspine.phantom.tissue import Tissue

_TILE = 96
# Standard deviation of the fine texture in HU.
_GRAIN_HU = {
    Tissue.FAT: 10.0,
    Tissue.MUSCLE: 7.0,
    Tissue.GLAND: 14.0,
    Tissue.THYROID: 10.0,
    Tissue.BRAIN: 3.0,
    Tissue.LUNG: 40.0,
    Tissue.DISC: 9.0,
    Tissue.MUCOSA: 8.0,
    Tissue.OESOPHAGUS: 12.0,
    Tissue.FOAM: 12.0,
    Tissue.TABLE: 15.0,
}


def periodic_noise(
    rng: np.random.Generator,
    length_mm: tuple[float, float, float],
    spacing_mm: tuple[float, float, float],
) -> np.ndarray:
    """Return a float32 cube of Gaussian-correlated noise, mean 0, std 1, that repeats without a seam.

    Parameters
    ----------
    length_mm
        Correlation length (sigma of the smoothing) along (slice, row, column).
    """
    white = fft.rfftn(rng.standard_normal((_TILE,) * 3, dtype=np.float32))
    for axis, (length, step) in enumerate(zip(length_mm, spacing_mm, strict=True)):
        frequency = fft.rfftfreq(_TILE) if axis == 2 else fft.fftfreq(_TILE)
        falloff = np.exp(-2 * (np.pi * frequency * length / step) ** 2).astype(np.float32)
        white *= falloff.reshape([-1 if a == axis else 1 for a in range(3)])
    tile = fft.irfftn(white, (_TILE,) * 3)
    tile -= tile.mean()
    tile /= max(float(tile.std()), 1e-6)
    return np.asarray(tile, dtype=np.float32)


def textured_hu(
    classes: np.ndarray,
    table: np.ndarray,
    spacing_mm: tuple[float, float, float],
    fatty_muscle: float,
    *,
    rng: np.random.Generator,
    threads: int = 4,
) -> np.ndarray:
    """Return float32 HU (slice, row, column) of classes with texture.

    Parameters
    ----------
    table
        float32 (256,) mean HU by class.
    fatty_muscle
        0 … 1, share of muscle that fat streaks reach.
    """
    grain = periodic_noise(rng, (1.2, 0.9, 0.9), spacing_mm)
    strand = periodic_noise(rng, (6.0, 2.4, 2.4), spacing_mm)
    fiber = periodic_noise(rng, (10.0, 2.0, 1.4), spacing_mm)
    amplitude = np.zeros(256, dtype=np.float32)
    for tissue, std in _GRAIN_HU.items():
        amplitude[tissue] = std
    rows, columns = (np.arange(n) % _TILE for n in classes.shape[1:])
    out = np.empty(classes.shape, dtype=np.float32)
    fatty = np.float32(40 + 75 * fatty_muscle)

    def one(k: int) -> None:
        plane = classes[k]
        noise, thread, line = (t[k % _TILE][np.ix_(rows, columns)] for t in (grain, strand, fiber))
        hu = table[plane] + amplitude[plane] * noise
        fat, muscle, lung = (plane == t for t in (Tissue.FAT, Tissue.MUSCLE, Tissue.LUNG))
        hu[fat] += 45 * np.exp(-((thread[fat] / 0.09) ** 2)) * (noise[fat] > -0.3)
        # Thin sheets of fat along the fibers, in some bundles more than in others.
        hu[muscle] -= fatty * np.exp(-((line[muscle] / 0.2) ** 2)) * np.clip(thread[muscle] + 0.65, 0, 1.6)
        hu[lung] += 500 * np.clip(thread[lung] - 1.6, 0, 1)
        out[k] = hu

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, range(len(classes))))
    return out
