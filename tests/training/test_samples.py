"""Samples keep image, classes and centers together through every random deformation."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cspine.domain import Vertebra
from cspine.training.coarse_samples import CoarsePlan, draw_coarse, draw_coarse_real, seg_table
from cspine.training.real_cases import RealCase
from cspine.training.refine_samples import RefinePlan, draw_refine
from cspine.training.tissue_cases import TissueCase, bone_of, load_case
from cspine.training.warp import AxisPlan, WarpRange, block_mean, draw_axis

SHAPE = (48, 32, 32)


def test_the_heat_peaks_in_the_middle_of_its_vertebra(toy_case: TissueCase) -> None:
    spacing = np.array(CoarsePlan().coarse.spacing_mm)
    checked = 0
    for seed in range(12):
        made = draw_coarse(toy_case, SHAPE, CoarsePlan(), np.random.default_rng(seed))
        for vertebra in range(1, 8):
            voxels = np.argwhere(made.classes == vertebra)
            heat = made.heat[vertebra - 1]
            if len(voxels) < 25 or heat.max() < 0.8 or _touches_unscanned(made.ct[0], voxels):
                continue
            checked += 1
            peak = np.unravel_index(int(heat.argmax()), SHAPE)
            assert (np.abs((voxels.mean(axis=0) - peak) * spacing) < 4.5).all()
    assert checked >= 10


def _touches_unscanned(ct: np.ndarray, voxels: np.ndarray) -> bool:
    """Tell whether the box round some voxels, one voxel larger, leaves the scan or the patch."""
    low, high = voxels.min(axis=0) - 1, voxels.max(axis=0) + 2
    if (low < 0).any() or (high > np.array(ct.shape)).any():
        return True
    faces = ct[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    return bool((faces == ct.min()).mean() > 0.05)


def test_bone_is_brighter_than_soft_tissue_in_the_same_sample(toy_case: TissueCase) -> None:
    brighter = []
    for seed in range(10):
        made = draw_coarse(toy_case, SHAPE, CoarsePlan(), np.random.default_rng(seed))
        bone = (made.classes >= 1) & (made.classes <= 9)
        soft = (made.classes == 0) & (made.ct[0] > -1.0)
        if bone.sum() > 50 and soft.sum() > 50:
            brighter.append(made.ct[0][bone].mean() > made.ct[0][soft].mean())
    assert len(brighter) >= 5
    assert np.mean(brighter) > 0.75


def test_the_same_seed_gives_the_same_sample(toy_case: TissueCase) -> None:
    a = draw_coarse(toy_case, SHAPE, CoarsePlan(), np.random.default_rng(5))
    b = draw_coarse(toy_case, SHAPE, CoarsePlan(), np.random.default_rng(5))
    np.testing.assert_array_equal(a.ct, b.ct)
    np.testing.assert_array_equal(a.heat, b.heat)


@pytest.mark.parametrize("seed", range(8))
def test_the_mask_of_a_crop_lies_round_its_center_heat(toy_case: TissueCase, seed: int) -> None:
    made = draw_refine(toy_case, RefinePlan(), np.random.default_rng(seed))
    mask, heat = made.target
    assert mask.min() >= 0
    assert mask.max() <= 1
    middle = (np.indices(mask.shape).reshape(3, -1) * mask.ravel()).sum(axis=1) / mask.sum()
    peak = np.unravel_index(int(heat.argmax()), heat.shape)
    assert (np.abs(middle - peak) * RefinePlan().refine.spacing_mm < 3.0).all()


def test_the_crop_keeps_the_mask_beyond_the_edge_of_the_scan(toy_case: TissueCase) -> None:
    for seed in range(40):
        made = draw_refine(toy_case, RefinePlan(), np.random.default_rng(seed))
        outside = made.crop[3] == 0
        if (made.target[0][outside] > 0.5).sum() > 100:
            assert np.unique(made.crop[0][outside]).size == 1
            return
    pytest.fail("no crop was cut through its vertebra in 40 draws")


def test_the_prompt_is_off_the_center_by_the_jitter_only(toy_case: TissueCase) -> None:
    plan = RefinePlan()
    still = replace(plan, jitter_mm=(0.0, 0.0), warp=WarpRange((1, 1), (1, 1), 0))
    made = draw_refine(toy_case, still, np.random.default_rng(0))
    prompt_at = np.array(np.unravel_index(int(made.crop[1].argmax()), made.crop[1].shape))
    heat_at = np.array(np.unravel_index(int(made.target[1].argmax()), made.target[1].shape))
    assert (np.abs(prompt_at - heat_at) <= 1).all()


def test_a_warp_maps_points_to_where_it_takes_voxels_from() -> None:
    warp = draw_axis(np.random.default_rng(1), AxisPlan(40, 3, 3.0, 1.5), 1.1, (50.0, 20.0), 0.15)
    middles = warp.inner.reshape(40, 3)[:, 1]
    found = [warp.to_sample(float(i)) for i in middles]
    np.testing.assert_allclose(found, np.arange(40), atol=0.02)
    assert warp.to_sample(50.0) == pytest.approx(20.0, abs=0.02)


def test_block_mean_averages_sub_voxels() -> None:
    values = np.arange(2 * 3 * 3, dtype=np.float32).reshape(2, 3, 3)
    assert block_mean(values, (2, 3, 3)).item() == pytest.approx(values.mean())


def test_a_saved_case_comes_back(toy_case: TissueCase, toy_folder: Path) -> None:
    back = load_case(toy_folder)
    np.testing.assert_array_equal(back.field.codes, toy_case.field.codes)
    np.testing.assert_allclose(back.spine.grid.affine, toy_case.spine.grid.affine)
    np.testing.assert_allclose(back.centers_lps_mm[Vertebra.C4], toy_case.centers_lps_mm[Vertebra.C4])


def test_a_real_scan_gives_samples_with_its_pseudo_labels(toy_case: TissueCase) -> None:
    codes = toy_case.field.codes
    hu = np.where(codes >= 64, 600, np.where(codes > 0, 50, -1000)).astype(np.int16)
    real = RealCase(toy_case.field.grid, hu, seg_table()[bone_of(codes)], toy_case.centers_lps_mm)
    made = draw_coarse_real(real, SHAPE, CoarsePlan(), np.random.default_rng(2))
    bone = made.classes > 0
    assert bone.sum() > 50
    assert made.ct[0][bone].mean() > made.ct[0][~bone].mean() + 0.3
