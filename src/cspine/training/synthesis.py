"""Random appearance: tissue codes to HU, after SynthSeg (Billot et al., Med Image Anal 2023).

Contrast, texture, resolution, noise and artifacts are drawn far beyond what scanners do, so that a network must
learn shape. Every function draws from the generator it is given.
"""

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


def draw_contrast(rng: np.random.Generator) -> np.ndarray:
    """Return float32 (256,): mean HU of every code."""
    table = np.full(CODES, -1000.0)
    wild = rng.uniform() < 0.15
    for tissue in Tissue:
        low, high = TISSUE_HU.get(tissue, OTHER_HU)
        if wild and low > -150 and high < 500:
            low, high = -150.0, 250.0
        table[int(tissue)] = rng.uniform(low, high)
    cortex, cancellous = rng.uniform(*CORTEX_HU), rng.uniform(*CANCELLOUS_HU)
    cancellous = min(cancellous, cortex - 50)
    for bone in range(1, (CODES - BONE_BASE) // 4):
        code = BONE_BASE + 4 * bone
        own = rng.normal(1.0, 0.08)
        table[code] = cancellous * own
        table[code + PART_CORTEX] = cortex * own
    return table.astype(np.float32)


def add_texture(hu: np.ndarray, bone: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add correlated texture: strong in bone, mild in soft tissue. `bone` is the share of bone per voxel."""
    field = _correlated(hu.shape, rng, rng.uniform(0.6, 2.0))
    slow = _correlated(hu.shape, rng, rng.uniform(3, 8))
    bony, soft = rng.uniform(0, 110), rng.uniform(0, 22)
    tissue = hu > -300
    return np.asarray(hu + tissue * (field + 0.5 * slow) * (soft + (bony - soft) * bone), dtype=np.float32)


def degrade(hu: np.ndarray, spacing_mm: tuple[float, float, float], rng: np.random.Generator) -> np.ndarray:
    """Blur as kernel and slice thickness do, scale, offset, add noise, streaks and metal."""
    thick_mm = rng.choice([0.0, rng.uniform(0, 2), rng.uniform(2, 5)], p=[0.4, 0.4, 0.2])
    in_plane_mm = rng.choice([0.0, rng.uniform(0, 1.2), rng.uniform(1, 3.0)], p=[0.4, 0.4, 0.2])
    sigma = [thick_mm / 2.4 / spacing_mm[0], in_plane_mm / 1.4 / spacing_mm[1], in_plane_mm / 1.4 / spacing_mm[2]]
    out = ndimage.gaussian_filter(hu, sigma) if max(sigma) > 0.2 else hu
    if rng.uniform() < 0.25:
        sharp = rng.uniform(0.2, 1.0)
        out = out + sharp * (out - ndimage.gaussian_filter(out, [0, 1.0, 1.0]))
    out = out * rng.uniform(0.88, 1.15) + rng.uniform(-40, 40)
    amount = rng.choice([rng.uniform(0, 15), rng.uniform(10, 60), rng.uniform(40, 140)], p=[0.5, 0.35, 0.15])
    out = out + amount * _correlated(hu.shape, rng, rng.uniform(0.3, 0.9))
    if rng.uniform() < 0.35:
        out = _shoulder_streaks(out, rng)
    if rng.uniform() < 0.12:
        out = _metal(out, rng)
    return np.asarray(out, dtype=np.float32)


def _correlated(shape: tuple[int, ...], rng: np.random.Generator, sigma: float) -> np.ndarray:
    """Return Gaussian noise of standard deviation 1 with a correlation length of `sigma` voxels."""
    if sigma > 2.5:
        small = rng.standard_normal([int(n / sigma) + 3 for n in shape], dtype=np.float32)
        zoomed = ndimage.zoom(small, [n / (s - 2) for n, s in zip(shape, small.shape, strict=True)], order=1)
        return np.asarray(zoomed[: shape[0], : shape[1], : shape[2]])
    noise = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma, truncate=2.5)
    return np.asarray(noise / max(float(noise.std()), 1e-6))


def _shoulder_streaks(hu: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    start = rng.uniform(0.3, 0.9) * hu.shape[0]
    ramp = np.clip((np.arange(hu.shape[0]) - start) / (0.15 * hu.shape[0]), 0, 1)[:, None, None]
    noise = rng.standard_normal(hu.shape, dtype=np.float32)
    streak = ndimage.gaussian_filter(noise, [0.2, 0.5, 8.0], truncate=2.0)
    streak *= rng.uniform(20, 130) / max(float(streak.std()), 1e-6)
    return np.asarray(hu + ramp * streak * (hu > -600))


def _metal(hu: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add a metal blob with radial bright and dark streaks in its slices."""
    d, h, w = hu.shape
    z0, y0, x0 = rng.uniform(0, d), rng.uniform(0, 0.6) * h, rng.uniform(0.2, 0.8) * w
    y, x = np.mgrid[:h, :w].astype(np.float32)
    angle, radius = np.arctan2(y - y0, x - x0), np.hypot(y - y0, x - x0)
    rays = sum(np.cos(k * angle + rng.uniform(0, 6.3)) for k in rng.integers(3, 24, size=5))
    pattern = rng.uniform(50, 350) * np.asarray(rays) * np.exp(-radius / rng.uniform(5, 20))
    reach = rng.uniform(1, 4)
    along = np.exp(-0.5 * ((np.arange(d) - z0) / reach) ** 2)[:, None, None]
    out = hu + along * pattern
    blob = (((np.arange(d) - z0) / reach) ** 2)[:, None, None] + (radius / rng.uniform(1, 2.5)) ** 2 < 1
    return np.where(blob, np.float32(3000), out)
