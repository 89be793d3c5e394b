"""Random appearance: tissue codes to HU, after SynthSeg (Billot et al., Med Image Anal 2023).

Contrast, texture, resolution, noise and artifacts are drawn far beyond what scanners do, so that a network must
learn shape. Every function draws from the generator it is given.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from cspine.phantom import Tissue
from cspine.training.tissue_cases import BONE_BASE, CODES, PART_CORTEX

# HU range (low, high) of the mean of each tissue over scanners, contrast phases and people.
TISSUE_HU: dict[Tissue, tuple[float, float]] = {
    Tissue.AIR: (-1000, -970),
    Tissue.SKIN: (-100, 80),
    Tissue.FAT: (-120, -60),
    Tissue.MUSCLE: (25, 90),
    Tissue.DISC: (50, 140),
    Tissue.CORD: (10, 60),
    Tissue.CSF: (-5, 40),
    Tissue.AIRWAY: (-1000, -900),
    Tissue.ARTERY: (30, 450),
    Tissue.VEIN: (30, 300),
    Tissue.GLAND: (-20, 80),
    Tissue.MUCOSA: (10, 80),
    Tissue.OESOPHAGUS: (10, 80),
    Tissue.FOAM: (-990, -850),
    Tissue.PLASTIC: (0, 200),
    Tissue.THYROID: (60, 220),
    Tissue.BRAIN: (15, 55),
    Tissue.LUNG: (-900, -650),
    Tissue.LIGAMENT: (40, 120),
    Tissue.TABLE: (-950, -300),
    Tissue.CARTILAGE: (60, 400),
    Tissue.TOOTH: (1200, 2800),
}
OTHER_HU = (0.0, 80.0)
CORTEX_HU = (450.0, 1500.0)
CANCELLOUS_HU = (60.0, 450.0)
AIR_CODE = int(Tissue.AIR)
_TISSUE_CODES = np.array([int(tissue) for tissue in Tissue])
_TISSUE_RANGES = np.array([TISSUE_HU.get(tissue, OTHER_HU) for tissue in Tissue]).T
# Correlation lengths of the fine and the slow texture in voxels, and how strong texture is.
FINE_VOXELS, SLOW_VOXELS = (0.6, 2.0), (3.0, 8.0)
BONE_TEXTURE_HU, SOFT_TEXTURE_HU = (0.0, 110.0), (0.0, 22.0)
TEXTURED_FROM_HU = -300.0
# Slow noise is drawn on a coarser lattice.
LATTICE_FROM_VOXELS = 2.5
NOISE_TRUNCATE = 2.5
SHARPENED_VOXELS = (0.0, 1.0, 1.0)
# Streaks of the shoulders: where they begin as a share of the slices, how fast they come, how strong and long they are.
STREAK_CHANCE, STREAK_START, STREAK_RISE, STREAK_HU = 0.35, (0.3, 0.9), 0.15, (20.0, 130.0)
STREAK_VOXELS, STREAK_TRUNCATE, STREAKED_FROM_HU = (0.2, 0.5, 8.0), 2.0, -600.0
METAL_CHANCE, METAL_RAYS, METAL_HU = 0.12, 5, 3000.0


def draw_contrast(rng: np.random.Generator) -> np.ndarray:
    """Return float32 (256,): mean HU of every code."""
    table = np.full(CODES, -1000.0)
    wild = rng.uniform() < 0.15
    low, high = _TISSUE_RANGES
    if wild:
        soft = (low > -150) & (high < 500)
        low, high = np.where(soft, -150.0, low), np.where(soft, 250.0, high)
    table[_TISSUE_CODES] = rng.uniform(low, high)
    cortex, cancellous = rng.uniform(*CORTEX_HU), rng.uniform(*CANCELLOUS_HU)
    cancellous = min(cancellous, cortex - 50)
    bones = BONE_BASE + 4 * np.arange(1, (CODES - BONE_BASE) // 4)
    own = rng.normal(1.0, 0.08, len(bones))
    table[bones], table[bones + PART_CORTEX] = cancellous * own, cortex * own
    return table.astype(np.float32)


class Metal(NamedTuple):
    """A blob of metal: its voxel, its rays (times round, phase), their height and fall, its reach along and across."""

    at: tuple[float, float, float]
    waves: tuple[float, ...]
    phases: tuple[float, ...]
    height_hu: float
    fall_voxels: float
    reach_voxels: float
    radius_voxels: float


def add_texture(hu: np.ndarray, bone: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add correlated texture: strong in bone, mild in soft tissue. `bone` is the share of bone per voxel."""
    field = _correlated(hu.shape, rng, rng.uniform(*FINE_VOXELS))
    slow = _correlated(hu.shape, rng, rng.uniform(*SLOW_VOXELS))
    bony, soft = rng.uniform(*BONE_TEXTURE_HU), rng.uniform(*SOFT_TEXTURE_HU)
    tissue = hu > TEXTURED_FROM_HU
    return np.asarray(hu + tissue * (field + 0.5 * slow) * (soft + (bony - soft) * bone), dtype=np.float32)


def degrade(hu: np.ndarray, spacing_mm: tuple[float, float, float], rng: np.random.Generator) -> np.ndarray:
    """Blur as kernel and slice thickness do, scale, offset, add noise, streaks and metal."""
    sigma = draw_blur(spacing_mm, rng)
    out = ndimage.gaussian_filter(hu, sigma) if max(sigma) > 0 else hu
    sharp = draw_sharpness(rng)
    if sharp:
        out = out + sharp * (out - ndimage.gaussian_filter(out, SHARPENED_VOXELS))
    gain, offset_hu = draw_scale(rng)
    out = out * gain + offset_hu
    noise_hu, noise_voxels = draw_noise(rng)
    out = out + noise_hu * _correlated(hu.shape, rng, noise_voxels)
    if rng.uniform() < STREAK_CHANCE:
        out = _shoulder_streaks(out, rng)
    if rng.uniform() < METAL_CHANCE:
        out = with_metal(out, draw_metal(out.shape, rng))
    return np.asarray(out, dtype=np.float32)


def draw_blur(spacing_mm: tuple[float, float, float], rng: np.random.Generator) -> tuple[float, float, float]:
    """Return standard deviations in voxels; all 0 where there is next to no blur."""
    thick_mm = rng.choice([0.0, rng.uniform(0, 2), rng.uniform(2, 5)], p=[0.4, 0.4, 0.2])
    in_plane_mm = rng.choice([0.0, rng.uniform(0, 1.2), rng.uniform(1, 3.0)], p=[0.4, 0.4, 0.2])
    sigma = thick_mm / 2.4 / spacing_mm[0], in_plane_mm / 1.4 / spacing_mm[1], in_plane_mm / 1.4 / spacing_mm[2]
    return sigma if max(sigma) > 0.2 else (0.0, 0.0, 0.0)


def draw_sharpness(rng: np.random.Generator) -> float:
    """Return the share of what blur takes away that is added; mostly 0."""
    return rng.uniform(0.2, 1.0) if rng.uniform() < 0.25 else 0.0


def draw_scale(rng: np.random.Generator) -> tuple[float, float]:
    """Return factor and offset (HU) of a scanner that is off."""
    return rng.uniform(0.88, 1.15), rng.uniform(-40, 40)


def draw_noise(rng: np.random.Generator) -> tuple[float, float]:
    """Return the noise's standard deviation (HU) and its correlation length (voxels)."""
    amount = rng.choice([rng.uniform(0, 15), rng.uniform(10, 60), rng.uniform(40, 140)], p=[0.5, 0.35, 0.15])
    return amount, rng.uniform(0.3, 0.9)


def draw_metal(shape: tuple[int, ...], rng: np.random.Generator) -> Metal:
    """Return metal somewhere in a sample of this shape."""
    d, h, w = shape
    at = rng.uniform(0, d), rng.uniform(0, 0.6) * h, rng.uniform(0.2, 0.8) * w
    waves = tuple(float(k) for k in rng.integers(3, 24, size=METAL_RAYS))
    phases = tuple(rng.uniform(0, 6.3) for _ in waves)
    return Metal(at, waves, phases, rng.uniform(50, 350), rng.uniform(5, 20), rng.uniform(1, 4), rng.uniform(1, 2.5))


def lattice(shape: tuple[int, ...], sigma: float) -> list[tuple[int, float]]:
    """Return, along each axis, points of the lattice that slow noise is drawn on, and its step per voxel."""
    counts = [int(n / sigma) + 3 for n in shape]
    return [(s, (s - 1) / (round(s * (n / (s - 2))) - 1)) for n, s in zip(shape, counts, strict=True)]


def _correlated(shape: tuple[int, ...], rng: np.random.Generator, sigma: float) -> np.ndarray:
    """Return Gaussian noise of standard deviation 1 with a correlation length of `sigma` voxels."""
    if sigma > LATTICE_FROM_VOXELS:
        small = rng.standard_normal([int(n / sigma) + 3 for n in shape], dtype=np.float32)
        zoomed = ndimage.zoom(small, [n / (s - 2) for n, s in zip(shape, small.shape, strict=True)], order=1)
        return np.asarray(zoomed[: shape[0], : shape[1], : shape[2]])
    noise = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma, truncate=NOISE_TRUNCATE)
    return np.asarray(noise / max(float(noise.std()), 1e-6))


def _shoulder_streaks(hu: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    start = rng.uniform(*STREAK_START) * hu.shape[0]
    ramp = np.clip((np.arange(hu.shape[0]) - start) / (STREAK_RISE * hu.shape[0]), 0, 1)[:, None, None]
    noise = rng.standard_normal(hu.shape, dtype=np.float32)
    streak = ndimage.gaussian_filter(noise, STREAK_VOXELS, truncate=STREAK_TRUNCATE)
    streak *= rng.uniform(*STREAK_HU) / max(float(streak.std()), 1e-6)
    return np.asarray(hu + ramp * streak * (hu > STREAKED_FROM_HU))


def with_metal(hu: np.ndarray, metal: Metal) -> np.ndarray:
    """Add a metal blob with radial bright and dark streaks in its slices."""
    d, h, w = hu.shape
    z0, y0, x0 = metal.at
    y, x = np.mgrid[:h, :w].astype(np.float32)
    angle, radius = np.arctan2(y - y0, x - x0), np.hypot(y - y0, x - x0)
    rays = sum(np.cos(np.float64(k) * angle + phase) for k, phase in zip(metal.waves, metal.phases, strict=True))
    pattern = metal.height_hu * np.asarray(rays) * np.exp(-radius / metal.fall_voxels)
    along = np.exp(-0.5 * ((np.arange(d) - z0) / metal.reach_voxels) ** 2)[:, None, None]
    out = hu + along * pattern
    blob = (((np.arange(d) - z0) / metal.reach_voxels) ** 2)[:, None, None] + (radius / metal.radius_voxels) ** 2 < 1
    return np.where(blob, np.float32(METAL_HU), out)
