"""Samples for the whole-volume network: random patch, random field of view, random appearance."""

from dataclasses import dataclass

import numpy as np

from cspine.domain import Vertebra
from cspine.pipeline import HEAT_CLASSES, CoarseSpec, IntensitySpec, normalize
from cspine.training.synthesis import AIR_CODE, add_texture, degrade, draw_contrast
from cspine.training.tissue_cases import BONE_BASE, TissueCase, bone_of
from cspine.training.warp import AxisPlan, AxisWarp, WarpRange, block_mean, draw_axis, draw_scales, take

RIB, SKULL = 21, 20
SUB = (2, 3, 3)
HEAT_SIGMA_MM = 5.0


@dataclass(frozen=True)
class CoarsePlan:
    """How whole-volume samples are made.

    Attributes
    ----------
    shapes
        Patch shapes (slice, row, column), one drawn per batch.
    """

    shapes: tuple[tuple[int, int, int], ...] = ((64, 48, 48), (80, 48, 32), (48, 48, 64), (48, 64, 48))
    warp: WarpRange = WarpRange()
    coarse: CoarseSpec = CoarseSpec()
    intensity: IntensitySpec = IntensitySpec()


@dataclass(frozen=True, eq=False)
class CoarseSample:
    """One training sample: network input (1, D, H, W), classes uint8 (D, H, W), heat float32 (9, D, H, W)."""

    ct: np.ndarray
    classes: np.ndarray
    heat: np.ndarray


def seg_table() -> np.ndarray:
    """Return uint8 (64,): bone number → class of the coarse segmentation."""
    table = np.zeros(64, dtype=np.uint8)
    table[1:9] = np.arange(1, 9)
    table[9:20] = 9
    table[SKULL] = 10
    table[RIB] = 11
    return table


def draw_coarse(
    case: TissueCase, shape: tuple[int, int, int], plan: CoarsePlan, rng: np.random.Generator
) -> CoarseSample:
    """Draw one sample from a case."""
    warps = _place(case, shape, plan, rng)
    codes = take(case.field.codes, warps, AIR_CODE)
    flip = rng.uniform() < 0.5
    if flip:
        codes = codes[:, :, ::-1]
    bony = block_mean(codes >= BONE_BASE, SUB)
    hu = block_mean(draw_contrast(rng)[codes], SUB)
    pick = rng.integers(0, SUB)
    classes = seg_table()[bone_of(codes[pick[0] :: SUB[0], pick[1] :: SUB[1], pick[2] :: SUB[2]])]
    hu = degrade(add_texture(hu, bony, rng), plan.coarse.spacing_mm, rng)
    low, high = _draw_field(shape, rng)
    outside = np.ones(shape, dtype=bool)
    outside[low[0] : high[0], low[1] : high[1], low[2] : high[2]] = False
    hu[outside] = plan.intensity.pad_hu
    classes[outside] = 0
    heat = _heat(case, warps, shape, flip, (low, high), plan.coarse)
    return CoarseSample(normalize(hu, plan.intensity)[None], classes, heat)


def _place(
    case: TissueCase, shape: tuple[int, int, int], plan: CoarsePlan, rng: np.random.Generator
) -> tuple[AxisWarp, AxisWarp, AxisWarp]:
    grid = case.field.grid
    names = list(case.centers_lps_mm)
    low = rng.uniform() < 0.15
    chosen = [v for v in names if (v > Vertebra.T1) == low] or names
    anchor = grid.to_index(case.centers_lps_mm[chosen[rng.integers(len(chosen))]])
    if rng.uniform() < 0.07:
        anchor = rng.uniform(0, grid.shape)
    scales = draw_scales(rng, plan.warp)
    warps = []
    for axis in range(3):
        at = rng.uniform(0.1, 0.9) * shape[axis] if axis == 0 else rng.uniform(0.25, 0.75) * shape[axis]
        axis_plan = AxisPlan(shape[axis], SUB[axis], plan.coarse.spacing_mm[axis], grid.spacing_mm[axis])
        stretch = plan.warp.stretch if axis == 0 else 0.06
        warps.append(draw_axis(rng, axis_plan, float(scales[axis]), (float(anchor[axis]), float(at)), stretch))
    return warps[0], warps[1], warps[2]


def _draw_field(shape: tuple[int, int, int], rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """Return the voxel box that the scan covers; often the whole patch, else cut at one or more faces."""
    low, high = [0, 0, 0], list(shape)
    for axis, chance in enumerate((0.45, 0.2, 0.2)):
        if rng.uniform() < chance:
            low[axis] = int(rng.uniform(0, 0.4) * shape[axis])
        if rng.uniform() < chance:
            high[axis] = shape[axis] - int(rng.uniform(0, 0.4) * shape[axis])
    return low, high


def _heat(
    case: TissueCase,
    warps: tuple[AxisWarp, AxisWarp, AxisWarp],
    shape: tuple[int, int, int],
    flip: bool,
    field: tuple[list[int], list[int]],
    spec: CoarseSpec,
) -> np.ndarray:
    heat = np.zeros((len(HEAT_CLASSES), *shape), dtype=np.float32)
    reach = np.array([9.0 / s for s in spec.spacing_mm])
    for vertebra, center in case.centers_lps_mm.items():
        index = case.field.grid.to_index(center)
        at = np.array([w.to_sample(float(i)) for w, i in zip(warps, index, strict=True)])
        if flip:
            at[2] = shape[2] - 1 - at[2]
        if (at < np.array(field[0]) - 0.5 - reach).any() or (at > np.array(field[1]) - 0.5 + reach).any():
            continue
        channel = min(int(vertebra), len(HEAT_CLASSES)) - 1
        axes = [
            np.exp(-0.5 * ((np.arange(n) - a) * s / HEAT_SIGMA_MM) ** 2)
            for n, a, s in zip(shape, at, spec.spacing_mm, strict=True)
        ]
        gauss = axes[0][:, None, None] * axes[1][None, :, None] * axes[2][None, None, :]
        heat[channel] = np.maximum(heat[channel], gauss)
    return heat
