"""Resampling keeps every world point where it is, whatever the two grids."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cspine.domain import AXIS_ORDERS, AxisOrder, Grid, resample, resample_labels
from tests.domain.builders import all_indices, blob, centroid_lps_mm, grids, ramp, rotations

FILL = -1024.0


def _well_inside(target: Grid, source: Grid) -> np.ndarray:
    """Return where the whole target voxel lies between the centers of the outer source voxels."""
    corners = (np.indices((2, 2, 2)).reshape(3, -1).T - 0.5) * (1 + 1e-6)
    inside = np.ones(target.shape, dtype=bool)
    for corner in corners:
        index = source.to_index(target.to_world(all_indices(target) + corner))
        ok = ((index >= 0) & (index <= np.asarray(source.shape) - 1)).all(axis=1)
        inside &= ok.reshape(target.shape)
    return inside


def _outside(target: Grid, source: Grid) -> np.ndarray:
    """Return where no part of a target voxel lies within the outer faces of the source, by a wide margin."""
    index = source.to_index(target.to_world(all_indices(target)))
    reach = 0.5 + np.abs(target.index_map_to(source)[:3, :3]).sum(axis=1)
    gone = ((index < -0.5 - reach) | (index > np.asarray(source.shape) - 0.5 + reach)).any(axis=1)
    return gone.reshape(target.shape)


@given(grid=grids())
def test_the_same_grid_gives_the_same_values(grid: Grid):
    values = ramp(grid)
    assert np.allclose(resample(values, grid, grid, FILL), values, atol=1e-3)


@given(grid=grids(), factors=st.tuples(*[st.floats(0.3, 6.0) for _ in range(3)]))
def test_a_linear_ramp_is_reproduced_at_another_spacing(grid: Grid, factors: tuple[float, float, float]):
    z, y, x = (factor * spacing for factor, spacing in zip(factors, grid.spacing_mm, strict=True))
    target = grid.at_spacing((z, y, x))
    inside = _well_inside(target, grid)
    got = resample(ramp(grid), grid, target, FILL)
    assert np.abs(got - ramp(target))[inside].max(initial=0) < 5e-3


@given(source=grids(), turn=rotations)
def test_a_linear_ramp_is_reproduced_on_an_oblique_grid(source: Grid, turn: np.ndarray):
    target = Grid.from_axes((9, 9, 9), (0.8, 0.9, 1.1), tuple(source.to_world(np.zeros(3))), turn)
    inside = _well_inside(target, source)
    got = resample(ramp(source), source, target, FILL)
    assert np.abs(got - ramp(target))[inside].max(initial=0) < 5e-3
    assert (got[_outside(target, source)] == FILL).all()


@given(source=grids(), turn=rotations)
def test_the_outer_half_voxel_belongs_to_the_source(source: Grid, turn: np.ndarray):
    """A constant stays constant out to the outer faces and is the fill beyond, on oblique grids too."""
    target = Grid.from_axes((7, 8, 9), (0.7, 0.8, 0.9), tuple(source.to_world(np.full(3, -0.5))), turn)
    index = source.to_index(target.to_world(all_indices(target))).reshape(*target.shape, 3)
    got = resample(np.full(source.shape, 40, dtype=np.int16), source, target, FILL)
    safe = 1e-6
    inside = ((index > -0.5 + safe) & (index < np.asarray(source.shape) - 0.5 - safe)).all(axis=-1)
    beyond = ((index < -0.5 - safe) | (index > np.asarray(source.shape) - 0.5 + safe)).any(axis=-1)
    labels = resample_labels(np.full(source.shape, 3, dtype=np.uint8), source, target)
    oblique = np.abs(source.directions @ target.directions.T).max(axis=1).min() < 1 - 1e-6
    if oblique:
        assert np.allclose(got[inside], 40, atol=1e-3)
        assert (got[beyond] == FILL).all()
    assert (labels[inside] == 3).all()
    assert (labels[beyond] == 0).all()


@pytest.mark.parametrize("spacing", [(0.5, 0.5, 0.5), (1.0, 1.0, 1.0), (3.0, 3.0, 3.0), (4.0, 1.0, 2.5)])
@pytest.mark.parametrize("degrees", [0.0, 20.0])
def test_the_center_of_a_blob_stays_where_it_is(spacing: tuple[float, float, float], degrees: float):
    angle = np.deg2rad(degrees)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    source = Grid.from_axes((48, 64, 64), (1.0, 0.8, 0.7), (-20.0, -30.0, 10.0))
    center = source.to_world(np.array([23.3, 30.8, 32.1]))
    whole = Grid.from_axes((48, 64, 64), (1.0, 0.8, 0.7), (0.0, 0.0, 0.0), source.directions @ turn)
    shift = center - whole.to_world(np.array([24.0, 32.0, 32.0]))
    target = Grid.from_axes(whole.shape, whole.spacing_mm, tuple(shift), whole.directions).at_spacing(spacing)
    moved = resample(blob(source, center, width_mm=4.0), source, target, 0.0)
    assert np.abs(centroid_lps_mm(target, moved) - center).max() < 0.05


def test_shrinking_averages_so_that_a_thin_sheet_is_not_lost():
    source = Grid.from_axes((8, 64, 64), (1.0, 0.5, 0.5))
    sheet = np.zeros(source.shape, dtype=np.int16)
    sheet[:, :, 13] = 1200
    target = source.at_spacing((4.0, 4.0, 4.0))
    shrunk = resample(sheet, source, target, 0.0)
    assert shrunk.sum() * target.voxel_mm3 == pytest.approx(float(sheet.sum()) * source.voxel_mm3, rel=1e-4)


@pytest.mark.parametrize("closeness", [1e-12, 1e-7, 1e-4])
def test_nearly_the_same_spacing_gives_nearly_the_same_values(closeness: float):
    source = Grid.from_axes((20, 24, 28), (1.0, 0.5, 0.5))
    values = np.random.default_rng(2).normal(0, 100, source.shape).astype(np.float32)
    spacing = [s * (1 + closeness) for s in source.spacing_mm]
    target = Grid.from_axes(source.shape, (spacing[0], spacing[1], spacing[2]))
    got = resample(values, source, target, FILL)
    assert np.abs(got - values)[1:-1, 1:-1, 1:-1].max() < 0.01 + 3e4 * closeness


@pytest.mark.parametrize("axes", AXIS_ORDERS, ids=str)
def test_a_turned_source_gives_the_same_bytes(axes: AxisOrder):
    """Averaging happens in the axes of the target, so how the scanner stored the slices changes nothing."""
    source = Grid.from_axes((12, 20, 24), (1.25, 0.5, 0.625), (3.0, -7.0, 11.0))
    values = np.random.default_rng(0).integers(-1000, 2000, source.shape).astype(np.int16)
    labels = (values > 1000).astype(np.uint8)
    target = source.at_spacing((3.0, 2.0, 2.0))
    turned = source.reordered(axes)
    assert np.allclose(
        resample(axes.apply(values), turned, target, FILL), resample(values, source, target, FILL), atol=0.01
    )
    assert np.array_equal(resample_labels(axes.apply(labels), turned, target), resample_labels(labels, source, target))


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_the_number_of_threads_does_not_change_a_byte(threads: int):
    source = Grid.from_axes((30, 40, 50), (1.0, 0.5, 0.5))
    values = np.random.default_rng(1).integers(-1000, 2000, source.shape).astype(np.int16)
    target = source.at_spacing((3.0, 3.0, 3.0))
    assert np.array_equal(resample(values, source, target, FILL, threads), resample(values, source, target, FILL, 4))


@settings(max_examples=30)
@given(grid=grids(), dtype=st.sampled_from([np.int16, np.uint8, np.int32, np.float32, np.float64, np.bool_]))
def test_every_real_dtype_is_accepted_and_left_alone(grid: Grid, dtype: type):
    values: np.ndarray = np.ones(grid.shape, dtype=dtype)
    values.flags.writeable = False
    got = resample(values, grid, grid.at_spacing((0.9, 0.9, 0.9)), 1.0)
    assert got.dtype == np.float32
    assert np.allclose(got, 1, atol=1e-5)


def test_a_target_beyond_the_source_is_all_fill():
    source = Grid.from_axes((4, 5, 6), (1.0, 1.0, 1.0))
    far = Grid.from_axes((3, 3, 3), (1.0, 1.0, 1.0), (500.0, 0.0, 0.0))
    assert (resample(np.ones(source.shape, dtype=np.int16), source, far, FILL) == FILL).all()
    assert (resample_labels(np.ones(source.shape, dtype=np.uint8), source, far) == 0).all()


def test_a_voxel_half_beyond_the_source_is_half_fill():
    source = Grid.from_axes((4, 4, 4), (1.0, 1.0, 1.0))
    target = Grid.from_axes((1, 2, 2), (2.0, 2.0, 2.0), tuple(source.to_world(np.array([-0.5, 0.5, 0.5]))))
    got = resample(np.full(source.shape, 100, dtype=np.int16), source, target, -1000.0)
    assert np.allclose(got, -450.0)


@given(grid=grids(), factors=st.tuples(*[st.floats(0.3, 6.0) for _ in range(3)]))
def test_labels_come_from_the_nearest_voxel_and_keep_their_dtype(grid: Grid, factors: tuple[float, float, float]):
    labels = (np.arange(np.prod(grid.shape)) % 251).astype(np.uint8).reshape(grid.shape)
    z, y, x = (factor * spacing for factor, spacing in zip(factors, grid.spacing_mm, strict=True))
    target = grid.at_spacing((z, y, x))
    got = resample_labels(labels, grid, target)
    assert got.dtype == np.uint8
    index = grid.to_index(target.to_world(all_indices(target)))
    clear = (np.abs(index - np.floor(index) - 0.5) > 1e-6).all(axis=1)
    inside = ((index > -0.5) & (index < np.asarray(grid.shape) - 0.5)).all(axis=1) & clear
    nearest = np.clip(np.rint(index).astype(int), 0, np.asarray(grid.shape) - 1)
    assert np.array_equal(got.ravel()[inside], labels[tuple(nearest[inside].T)])


@given(grid=grids(oblique=False), axes=st.sampled_from(AXIS_ORDERS))
def test_labels_are_moved_between_orientations_without_loss(grid: Grid, axes: AxisOrder):
    labels = (np.arange(np.prod(grid.shape)) % 20).astype(np.uint8).reshape(grid.shape)
    assert np.array_equal(resample_labels(labels, grid, grid.reordered(axes)), axes.apply(labels))
