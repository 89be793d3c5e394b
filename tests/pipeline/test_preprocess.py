"""Network input: geometry of the working grids, intensities, the edge of the field."""

import numpy as np

from cspine.domain import Grid, Volume
from cspine.pipeline import (
    CoarseSpec,
    IntensitySpec,
    RefineSpec,
    body_box,
    coarse_input,
    inside_field,
    normalize,
    prompt,
    refine_grid,
    refine_input,
)

NATIVE = Grid.from_axes((60, 100, 90), (1.5, 0.9, 0.9), (-40.0, -45.0, 60.0))


def test_the_coarse_grid_has_allowed_shapes_and_holds_the_body_with_a_margin() -> None:
    spec = CoarseSpec()
    ct, grid = coarse_input(Volume(NATIVE, np.zeros(NATIVE.shape, dtype=np.int16)), IntensitySpec(), spec, threads=1)
    assert ct.shape == (1, 1, *grid.shape)
    assert all(n % spec.multiple == 0 for n in grid.shape)
    np.testing.assert_allclose(grid.spacing_mm, spec.spacing_mm)
    corners = NATIVE.to_world(np.array([[0, 0, 0], np.array(NATIVE.shape) - 1]))
    index = grid.to_index(corners)
    margin = spec.margin_mm / np.array(spec.spacing_mm) - 1
    assert (index[0] >= margin - 0.5).all()
    assert (index[1] <= np.array(grid.shape) - margin).all()


def test_air_and_a_table_beside_the_body_cost_nothing() -> None:
    wide = Grid.from_axes((30, 250, 250), (2.0, 2.0, 2.0), (-250.0, -250.0, 60.0))
    hu = np.full(wide.shape, -1000, dtype=np.int16)
    hu[:, 90:150, 100:160] = 40
    hu[:, 200:202, 20:230] = 100
    spec = CoarseSpec()
    _, grid = coarse_input(Volume(wide, hu), IntensitySpec(), spec, threads=1)
    assert grid.shape == (48, 48, 48)
    low, high = grid.to_index(wide.to_world(np.array([[0, 90, 100], [29, 149, 159]])))
    assert (low >= spec.margin_mm / np.array(spec.spacing_mm) - 1).all()
    assert (high <= np.array(grid.shape)).all()


def test_a_volume_of_air_is_all_body_box() -> None:
    box = body_box(np.full((4, 5, 6), -1000.0), CoarseSpec())
    assert (box.start_zyx, box.stop_zyx) == ((0, 0, 0), (4, 5, 6))


def test_intensities_are_clipped_and_scaled() -> None:
    spec = IntensitySpec()
    out = normalize(np.array([-3000, spec.center_hu, 30000]), spec)
    low, high = (spec.low_hu - spec.center_hu) / spec.scale_hu, (spec.high_hu - spec.center_hu) / spec.scale_hu
    np.testing.assert_allclose(out, [low, 0, high], rtol=1e-6)
    assert out.dtype == np.float32


def test_a_bright_voxel_lands_at_its_world_point_in_the_coarse_input() -> None:
    hu = np.full(NATIVE.shape, -800, dtype=np.int16)
    hu[28:33, 48:54, 43:48] = 1000
    ct, grid = coarse_input(Volume(NATIVE, hu), IntensitySpec(), CoarseSpec(), threads=1)
    weight = (ct[0, 0] - ct.min()).astype(float)
    weight[weight < 1e-3] = 0
    center = (np.indices(grid.shape).reshape(3, -1) * weight.ravel()).sum(axis=1) / weight.sum()
    # averaging assigns each fine voxel to whole coarse ones: exact only to a fraction of a coarse voxel
    np.testing.assert_allclose(grid.to_world(center), NATIVE.to_world(np.array([30.0, 50.5, 45.0])), atol=0.4)


def test_the_prompt_peaks_at_the_center_that_the_crop_was_made_for() -> None:
    spec = RefineSpec()
    center = np.array([3.0, -7.0, 11.0])
    grid = refine_grid(center, NATIVE, spec)
    gauss = prompt(spec)
    index = (np.indices(grid.shape).reshape(3, -1) * gauss.ravel()).sum(axis=1) / gauss.sum()
    np.testing.assert_allclose(grid.to_world(index), center, atol=0.05)


def test_the_crop_says_which_voxels_lie_inside_the_scan() -> None:
    spec = RefineSpec()
    bottom = NATIVE.to_world(np.array([NATIVE.shape[0] - 0.5, 50, 45]))
    grid = refine_grid(bottom, NATIVE, spec)
    inside = inside_field(NATIVE, grid)
    middle = (spec.shape[0] - 1) / 2
    assert inside[: int(middle)].any()
    assert not inside[int(middle) + 2 :].any()
    crop = refine_input(Volume(NATIVE, np.zeros(NATIVE.shape, dtype=np.int16)), grid, 3, IntensitySpec(), prompt(spec))
    np.testing.assert_array_equal(crop[3].astype(bool), inside)
    assert (crop[2] == 0).all()


def test_c1_and_c2_have_their_own_level_code() -> None:
    grid = refine_grid(np.zeros(3), NATIVE, RefineSpec())
    volume = Volume(NATIVE, np.zeros(NATIVE.shape, dtype=np.int16))
    codes = [refine_input(volume, grid, v, IntensitySpec(), prompt(RefineSpec()))[2, 0, 0, 0] for v in (1, 2, 3, 7)]
    assert codes == [-1.0, 1.0, 0.0, 0.0]
