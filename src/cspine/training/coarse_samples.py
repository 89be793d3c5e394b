"""Samples for the whole-volume network: random patch, random field of view, random appearance."""

from dataclasses import dataclass, field

import numpy as np

from cspine.domain import Grid, Vertebra
from cspine.phantom import RIB, SKULL
from cspine.pipeline import HEAT_CLASSES, CoarseSpec, IntensitySpec, normalize
from cspine.training.native_scan import NativeRange, scan_natively
from cspine.training.real_cases import RealCase
from cspine.training.synthesis import AIR_CODE, add_texture, degrade, draw_contrast
from cspine.training.tissue_cases import BONE_BASE, TissueCase, bone_of
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

SUB = (2, 3, 3)
HEAT_SIGMA_MM = 5.0
# A center may lie this far outside the scanned field and still be asked for.
CENTER_REACH_MM = 9.0
Field = tuple[tuple[int, int, int], tuple[int, int, int]]
Centers = dict[Vertebra, np.ndarray]


@dataclass(frozen=True)
class CoarsePlan:
    """How whole-volume samples are made.

    Attributes
    ----------
    shapes
        Patch shapes (slice, row, column), one drawn per batch.
    """

    shapes: tuple[tuple[int, int, int], ...] = ((96, 48, 32), (96, 32, 48), (80, 48, 48), (128, 32, 32), (64, 48, 48))
    warp: WarpRange = field(default_factory=lambda: WarpRange(size=(0.82, 1.22), aspect=(0.92, 1.09), stretch=0.25))
    native: NativeRange = field(default_factory=NativeRange)
    coarse: CoarseSpec = field(default_factory=CoarseSpec)
    intensity: IntensitySpec = field(default_factory=IntensitySpec)


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
    """Draw one sample from a phantom."""
    place = place_patch(case.field.grid, case.centers_lps_mm, shape, plan, rng)
    codes = place.unflipped(take(case.field.codes, place.warps, AIR_CODE))
    bony = block_mean(codes >= BONE_BASE, SUB)
    hu = block_mean(draw_contrast(rng)[codes], SUB)
    pick = rng.integers(0, SUB)
    classes = seg_table()[bone_of(codes[pick[0] :: SUB[0], pick[1] :: SUB[1], pick[2] :: SUB[2]])]
    hu = scan_natively(add_texture(hu, bony, rng), plan.coarse.spacing_mm, plan.native, rng)
    hu = degrade(hu, plan.coarse.spacing_mm, rng)
    return _finish(hu, classes, (case.field.grid, case.centers_lps_mm, place), plan, rng)


def draw_coarse_real(
    case: RealCase, shape: tuple[int, int, int], plan: CoarsePlan, rng: np.random.Generator
) -> CoarseSample:
    """Draw one sample from a real scan with pseudo-labels."""
    place = place_patch(case.grid, case.centers_lps_mm, shape, plan, rng)
    hu = block_mean(place.unflipped(take(case.hu, place.warps, -1000)).astype(np.float32), SUB)
    labels = place.unflipped(take(case.classes, place.warps, 0))
    classes = labels[SUB[0] // 2 :: SUB[0], SUB[1] // 2 :: SUB[1], SUB[2] // 2 :: SUB[2]].copy()
    hu = degrade(hu, plan.coarse.spacing_mm, rng)
    return _finish(hu, classes, (case.grid, case.centers_lps_mm, place), plan, rng)


def _finish(
    hu: np.ndarray,
    classes: np.ndarray,
    where: tuple[Grid, Centers, Placement],
    plan: CoarsePlan,
    rng: np.random.Generator,
) -> CoarseSample:
    low, high = draw_scanned(hu.shape, rng)
    outside = np.ones(hu.shape, dtype=bool)
    outside[low[0] : high[0], low[1] : high[1], low[2] : high[2]] = False
    hu[outside] = plan.intensity.pad_hu
    classes[outside] = 0
    heat = _heat(where, (low, high), plan.coarse)
    return CoarseSample(normalize(hu, plan.intensity)[None], classes, heat)


def place_patch(
    grid: Grid, centers: Centers, shape: tuple[int, int, int], plan: CoarsePlan, rng: np.random.Generator
) -> Placement:
    """Draw where a patch lies: mostly round a vertebra, seldom anywhere."""
    low = rng.uniform() < 0.15
    chosen = [v for v in centers if (v > Vertebra.T1) == low] or list(centers)
    anchor = grid.to_index(centers[chosen[rng.integers(len(chosen))]])
    if rng.uniform() < 0.07:
        anchor = rng.uniform(0, grid.shape)
    scales = draw_scales(rng, plan.warp)
    warps = []
    for axis in range(3):
        at = rng.uniform(0.1, 0.9) * shape[axis] if axis == 0 else rng.uniform(0.25, 0.75) * shape[axis]
        axis_plan = AxisPlan(shape[axis], SUB[axis], plan.coarse.spacing_mm[axis], grid.spacing_mm[axis])
        stretch = plan.warp.stretch if axis == 0 else 0.06
        warps.append(draw_axis(rng, axis_plan, float(scales[axis]), (float(anchor[axis]), float(at)), stretch))
    return Placement((warps[0], warps[1], warps[2]), bool(rng.uniform() < 0.5))


def draw_scanned(shape: tuple[int, ...], rng: np.random.Generator) -> Field:
    """Return the voxel box that the scan covers; often the whole patch, else cut at one or more faces."""
    low, high = [0, 0, 0], list(shape)
    for axis, chance in enumerate((0.45, 0.2, 0.2)):
        if rng.uniform() < chance:
            low[axis] = int(rng.uniform(0, 0.4) * shape[axis])
        if rng.uniform() < chance:
            high[axis] = shape[axis] - int(rng.uniform(0, 0.4) * shape[axis])
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def _heat(where: tuple[Grid, Centers, Placement], scanned: Field, spec: CoarseSpec) -> np.ndarray:
    place = where[2]
    heat = np.zeros((len(HEAT_CLASSES), *place.shape), dtype=np.float32)
    sz, sy, sx = (HEAT_SIGMA_MM / s for s in spec.spacing_mm)
    for vertebra, at in centers_in_reach(where, scanned, spec).items():
        channel = min(int(vertebra), len(HEAT_CLASSES)) - 1
        heat[channel] = np.maximum(heat[channel], gaussian_at(place.shape, at, (sz, sy, sx)))
    return heat


def centers_in_reach(where: tuple[Grid, Centers, Placement], scanned: Field, spec: CoarseSpec) -> Centers:
    """Return the (fractional) sample voxel of every center that is asked for."""
    grid, centers, place = where
    reach = CENTER_REACH_MM / np.array(spec.spacing_mm)
    low, high = np.array(scanned[0]) - 0.5 - reach, np.array(scanned[1]) - 0.5 + reach
    places = {vertebra: place.to_sample(grid.to_index(center)) for vertebra, center in centers.items()}
    return {vertebra: at for vertebra, at in places.items() if (at >= low).all() and (at <= high).all()}
