"""Scans that are too unlike the training to be judged: noise, CT numbers that are off, metal everywhere.

A network gives a sure number for anything. What it has never seen is therefore found by measuring the scan itself, with
limits from physics and from what the training drew; where one is passed, no number is given.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from cspine.domain import Flag, FlagCode, Grid, Vertebra, Volume
from cspine.pipeline.preprocess import touched
from cspine.pipeline.spec import IntensitySpec, UnlikeSpec

# Soft tissue after smoothing, and how little of a mask may lie on it.
SOFT_HU, OUTSIDE = (-150.0, 200.0), 0.02
# Denser than air, whatever the scale.
NO_AIR_HU = -500.0
# From the median of absolute differences of two voxels to the standard deviation of one.
TO_SD = 1.4826 / np.sqrt(2)
EVERY_SLICE, FEWEST = 3, 500
DARKEST_PERCENT = 0.2


@dataclass(frozen=True)
class CropLook:
    """What a crop looks like, NaN where too little of it can be measured.

    Attributes
    ----------
    noise_hu
        Standard deviation of soft tissue.
    tissue_hu
        Median of what lies outside the vertebrae and is no air.
    metal_cm3
        Metal in it.
    """

    noise_hu: float = float("nan")
    tissue_hu: float = float("nan")
    metal_cm3: float = 0.0


def look_at(crop: np.ndarray, volume: Volume, grid: Grid, specs: tuple[IntensitySpec, UnlikeSpec]) -> CropLook:
    """Measure a crop.

    Parameters
    ----------
    crop
        Input of the fracture network (3, slice, row, column) on `grid`.
    volume
        The canonical scan that it was made from.
    """
    intensity, spec = specs
    hu = crop[0, ::EVERY_SLICE] * intensity.scale_hu + intensity.center_hu
    outside = (crop[1, ::EVERY_SLICE] < OUTSIDE) & (crop[2, ::EVERY_SLICE] < OUTSIDE)
    smooth = ndimage.uniform_filter(hu, (0, 5, 5))
    soft = outside & (smooth > SOFT_HU[0]) & (smooth < SOFT_HU[1])
    tissue = hu[outside & (smooth > NO_AIR_HU)]
    # Two voxels apart: neighbors share what resampling has mixed.
    steps = (hu[..., 2:] - hu[..., :-2])[soft[..., 2:] & soft[..., :-2]]
    return CropLook(
        float(np.median(np.abs(steps)) * TO_SD) if len(steps) >= FEWEST else float("nan"),
        float(np.median(tissue)) if len(tissue) >= FEWEST else float("nan"),
        _metal_cm3(volume, grid, spec.metal_hu),
    )


def darkest_hu(volume: Volume) -> float:
    """Return what the darkest two thousandths of a scan reach."""
    return float(np.percentile(volume.hu[::4, ::4, ::4], DARKEST_PERCENT))


def doubts(looks: Mapping[Vertebra, CropLook], darkest: float, spec: UnlikeSpec) -> dict[Vertebra, str]:
    """Return why vertebrae are not judged: those with a limit that is passed."""
    found = {}
    for vertebra, look in looks.items():
        reasons = [words for _, words in _passed(look, darkest, spec)]
        if reasons:
            found[vertebra] = "; ".join(reasons)
    return found


def unlike_flags(looks: Mapping[Vertebra, CropLook], darkest: float, spec: UnlikeSpec) -> tuple[Flag, ...]:
    """Return what a reader must know of noise, CT numbers and metal, each with the vertebrae that it concerns."""
    levels: dict[FlagCode, list[Vertebra]] = {}
    worst: dict[FlagCode, str] = {}
    for vertebra, look in looks.items():
        for code, words in _passed(look, darkest, spec):
            levels.setdefault(code, []).append(vertebra)
            worst.setdefault(code, f"Not judged: {words}.")
    metal = {v: look.metal_cm3 for v, look in looks.items() if look.metal_cm3 >= spec.metal_named_cm3}
    if metal and FlagCode.METAL not in levels:
        levels[FlagCode.METAL] = list(metal)
        worst[FlagCode.METAL] = (
            f"Metal of up to {max(metal.values()):.1f} cm³ round a vertebra; streaks may hide breaks."
        )
    return tuple(Flag(code, worst[code], tuple(levels[code])) for code in levels)


def _passed(look: CropLook, darkest: float, spec: UnlikeSpec) -> Iterator[tuple[FlagCode, str]]:
    low, high = spec.tissue_hu
    if look.noise_hu > spec.noise_hu:
        yield FlagCode.NOISE, f"noise of {look.noise_hu:.0f} HU in soft tissue, limit {spec.noise_hu:.0f} HU"
    if look.tissue_hu < low or look.tissue_hu > high:
        words = f"tissue round the vertebra has {look.tissue_hu:.0f} HU, expected {low:.0f} … {high:.0f} HU"
        yield FlagCode.HU_SCALE, f"{words}; the CT numbers are shifted or rescaled"
    elif darkest > spec.air_hu:
        words = f"nothing is darker than {darkest:.0f} HU, air should be below {spec.air_hu:.0f} HU"
        yield FlagCode.HU_SCALE, f"{words}; the CT numbers are clipped, shifted or rescaled"
    if look.metal_cm3 > spec.metal_most_cm3:
        yield (
            FlagCode.METAL,
            f"metal of {look.metal_cm3:.0f} cm³ round the vertebra, limit {spec.metal_most_cm3:.0f} cm³",
        )


def _metal_cm3(volume: Volume, grid: Grid, metal_hu: float) -> float:
    box = touched(volume.grid, grid)
    if box is None:
        return 0.0
    voxel_cm3 = float(np.prod(volume.grid.spacing_mm)) / 1000
    return float(np.count_nonzero(volume.hu[box.slices] > metal_hu)) * voxel_cm3
