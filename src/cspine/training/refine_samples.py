"""Samples for the per-vertebra network: one jittered crop, often cut by the edge of the scan."""

from dataclasses import dataclass, field

import numpy as np

from cspine.domain import Grid, Vertebra
from cspine.pipeline import IntensitySpec, RefineSpec, prompt, refine_channels
from cspine.training.coarse_samples import Centers, Field
from cspine.training.native_scan import NativeRange, scan_natively
from cspine.training.synthesis import AIR_CODE, add_texture, degrade, draw_contrast
from cspine.training.tissue_cases import BONE_BASE, TissueCase
from cspine.training.warp import (
    AxisPlan,
    Placement,
    WarpRange,
    block_mean,
    draw_axis,
    draw_scales,
    gaussian_at,
    take,
)

SUB = (2, 2, 2)
CENTER_SIGMA_MM = 3.0


@dataclass(frozen=True)
class RefinePlan:
    """How crops are made.

    Attributes
    ----------
    native
        Grids of scanners that half of the samples pass through before they are sampled as crops.
    jitter_mm
        Standard deviation and limit of the error of the prompt.
    often
        Times that C1 and C2 are drawn for one of another vertebra: their shapes are the ones to learn.
    """

    refine: RefineSpec = field(default_factory=RefineSpec)
    intensity: IntensitySpec = field(default_factory=IntensitySpec)
    warp: WarpRange = field(default_factory=lambda: WarpRange(size=(0.85, 1.15), aspect=(0.93, 1.07), stretch=0.1))
    native: NativeRange = field(default_factory=NativeRange)
    jitter_mm: tuple[float, float] = (3.0, 7.0)
    often: int = 2


@dataclass(frozen=True, eq=False)
class RefineSample:
    """One crop: input (4, D, H, W), target (2, D, H, W) float32: share of the vertebra per voxel, center heat."""

    crop: np.ndarray
    target: np.ndarray


def draw_refine(case: TissueCase, plan: RefinePlan, rng: np.random.Generator) -> RefineSample:
    """Draw one crop from a case."""
    vertebra = choose_vertebra(case.centers_lps_mm, plan, rng)
    spec = plan.refine
    place = place_crop(case.spine.grid, case.centers_lps_mm[vertebra], plan, rng)
    codes = place.unflipped(take(case.spine.codes, place.warps, AIR_CODE))
    target_code = BONE_BASE + 4 * int(vertebra)
    mask = block_mean((codes >= target_code) & (codes < target_code + 4), SUB)
    hu = block_mean(draw_contrast(rng)[codes], SUB)
    spacing_mm = (spec.spacing_mm,) * 3
    hu = scan_natively(add_texture(hu, block_mean(codes >= BONE_BASE, SUB), rng), spacing_mm, plan.native, rng)
    hu = degrade(hu, spacing_mm, rng)
    low, high = draw_scanned(spec.shape, rng)
    inside = np.zeros(spec.shape, dtype=bool)
    inside[low[0] : high[0], low[1] : high[1], low[2] : high[2]] = True
    hu[~inside] = plan.intensity.pad_hu
    at = place.to_sample(case.spine.grid.to_index(case.centers_lps_mm[vertebra]))
    heat = gaussian_at(spec.shape, at, (CENTER_SIGMA_MM / spec.spacing_mm,) * 3)
    crop = refine_channels(hu, inside, int(vertebra), plan.intensity, prompt(spec))
    return RefineSample(crop, np.stack([mask, heat]))


def choose_vertebra(centers: Centers, plan: RefinePlan, rng: np.random.Generator) -> Vertebra:
    """Draw whose crop it is."""
    usual = [v for v in centers if v <= Vertebra.T1]
    names = [v for v in usual for _ in range(plan.often if v <= Vertebra.C2 else 1)]
    return names[rng.integers(len(names))]


def place_crop(grid: Grid, center_lps_mm: np.ndarray, plan: RefinePlan, rng: np.random.Generator) -> Placement:
    """Draw where the crop of the vertebra with this center lies."""
    spec = plan.refine
    anchor = grid.to_index(center_lps_mm)
    scales = draw_scales(rng, plan.warp)
    sigma, limit = plan.jitter_mm
    jitter = np.clip(rng.normal(0, sigma, 3), -limit, limit)
    warps = []
    for axis in range(3):
        middle = (spec.shape[axis] - 1) / 2 + (spec.offset_mm[axis] + jitter[axis]) / spec.spacing_mm
        axis_plan = AxisPlan(spec.shape[axis], SUB[axis], spec.spacing_mm, grid.spacing_mm[axis])
        warps.append(draw_axis(rng, axis_plan, float(scales[axis]), (float(anchor[axis]), middle), plan.warp.stretch))
    return Placement((warps[0], warps[1], warps[2]), bool(rng.uniform() < 0.5))


def draw_scanned(shape: tuple[int, int, int], rng: np.random.Generator) -> Field:
    """Return the voxel box that the scan covers: usually all of the crop, else cut at a face."""
    low, high = [0, 0, 0], list(shape)
    for axis, chance, most, first in ((0, 0.3, 0.55, 0.5), (2, 0.1, 0.45, 0.5), (1, 0.1, 0.45, 0.3)):
        if rng.uniform() >= chance:
            continue
        cut = int(rng.uniform(0.05, most) * shape[axis])
        if rng.uniform() < first:
            low[axis] = cut
        else:
            high[axis] = shape[axis] - cut
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])
