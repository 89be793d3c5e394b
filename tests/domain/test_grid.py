"""Geometry by properties, over all 48 axis orientations and any oblique, anisotropic grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspine.domain import AXIS_ORDERS, CANONICAL_DIRECTIONS, AxisOrder, Box, Grid
from tests.domain.builders import ORIENTATIONS, all_indices, grids, origins_lps_mm, spacings_mm

WORLD_LIMIT_MM = 1e-6


@st.composite
def boxes_in(draw: st.DrawFn, shape: tuple[int, int, int]) -> Box:
    starts = [draw(st.integers(0, n - 1)) for n in shape]
    stops = [draw(st.integers(a + 1, n)) for a, n in zip(starts, shape, strict=True)]
    return Box((starts[0], starts[1], starts[2]), (stops[0], stops[1], stops[2]))


@pytest.mark.parametrize("directions", ORIENTATIONS, ids=lambda d: "".join(f"{int(v):+d}" for v in d.ravel()))
def test_every_orientation_goes_to_the_world_and_back(directions: np.ndarray):
    grid = Grid.from_axes((7, 5, 3), (2.5, 0.4, 0.7), (-100.0, 33.0, 812.5), directions)
    index = all_indices(grid)
    again = grid.to_world(grid.to_index(grid.to_world(index)))
    assert np.abs(again - grid.to_world(index)).max() < WORLD_LIMIT_MM
    assert np.abs(grid.to_index(grid.to_world(index)) - index).max() < WORLD_LIMIT_MM


@given(grid=grids(), world=origins_lps_mm)
def test_any_world_point_survives_the_round_trip(grid: Grid, world: tuple[float, float, float]):
    assert np.abs(grid.to_world(grid.to_index(np.array(world))) - world).max() < WORLD_LIMIT_MM


@given(grid=grids())
def test_spacing_and_directions_build_the_same_grid(grid: Grid):
    origin = grid.to_world(np.zeros(3))
    again = Grid.from_axes(
        grid.shape, grid.spacing_mm, (origin[0], origin[1], origin[2]), grid.directions, grid.frame_uid
    )
    assert np.abs(again.affine - grid.affine).max() < WORLD_LIMIT_MM


@given(grid=grids(), data=st.data())
def test_a_crop_of_a_crop_is_one_crop(grid: Grid, data: st.DataObject):
    outer = data.draw(boxes_in(grid.shape))
    inner = data.draw(boxes_in(outer.shape))
    twice = grid.crop(outer).crop(inner)
    once = grid.crop(inner.shifted(outer.start_zyx))
    assert twice.shape == once.shape
    assert np.abs(twice.affine - once.affine).max() < WORLD_LIMIT_MM


@given(grid=grids(), data=st.data())
def test_a_crop_keeps_its_voxels_in_place(grid: Grid, data: st.DataObject):
    box = data.draw(boxes_in(grid.shape))
    index = all_indices(grid.crop(box))
    assert np.abs(grid.crop(box).to_world(index) - grid.to_world(index + box.start_zyx)).max() < WORLD_LIMIT_MM


def test_a_crop_may_reach_beyond_the_grid():
    grid = Grid.from_axes((4, 4, 4), (1.0, 1.0, 1.0))
    wider = grid.crop(Box((-2, -1, 0), (6, 4, 4)))
    assert wider.shape == (8, 5, 4)
    assert np.array_equal(wider.to_world(np.array([2, 1, 0])), grid.to_world(np.zeros(3)))


@given(grid=grids())
def test_canonical_twice_is_canonical_once(grid: Grid):
    once = grid.canonical()
    assert once.canonical() == once
    assert once.canonical_order() == AxisOrder((0, 1, 2), (False, False, False))


@given(grid=grids())
def test_canonical_axes_run_to_the_feet_to_the_back_and_to_the_left(grid: Grid):
    cosines = CANONICAL_DIRECTIONS @ grid.canonical().directions.T
    assert (np.diag(cosines) > 0).all()
    assert np.trace(cosines) >= max(
        np.trace(CANONICAL_DIRECTIONS @ grid.directions[list(o.order)].T) for o in AXIS_ORDERS
    )


@pytest.mark.parametrize("directions", ORIENTATIONS, ids=lambda d: "".join(f"{int(v):+d}" for v in d.ravel()))
def test_every_orientation_has_the_same_canonical_grid(directions: np.ndarray):
    straight = Grid.from_axes((6, 7, 8), (3.0, 1.0, 2.0), (1.0, 2.0, 3.0))
    order = straight.order_toward(directions)
    turned = straight.reordered(order)
    assert np.allclose(turned.directions, directions)
    assert turned.canonical().shape == straight.shape
    assert np.abs(turned.canonical().affine - straight.affine).max() < WORLD_LIMIT_MM


@given(grid=grids(), axes=st.sampled_from(AXIS_ORDERS))
def test_reordering_voxels_and_grid_keeps_each_value_at_its_world_point(grid: Grid, axes: AxisOrder):
    values = np.arange(np.prod(grid.shape)).reshape(grid.shape)
    moved, moved_grid = axes.apply(values), grid.reordered(axes)
    assert moved.shape == moved_grid.shape
    back = np.rint(grid.to_index(moved_grid.to_world(all_indices(moved_grid)))).astype(int)
    assert np.array_equal(values[tuple(back.T)], moved.ravel())


@given(axes=st.sampled_from(AXIS_ORDERS))
def test_an_axis_order_is_undone_exactly_and_without_a_copy(axes: AxisOrder):
    values = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    assert np.array_equal(axes.undo(axes.apply(values)), values)
    assert np.shares_memory(axes.undo(axes.apply(values)), values)


@given(grid=grids(), spacing=spacings_mm)
def test_another_spacing_keeps_the_outer_corner_and_nearly_the_extent(grid: Grid, spacing: tuple[float, float, float]):
    new = grid.at_spacing(spacing)
    assert np.allclose(new.spacing_mm, spacing)
    corner = np.full(3, -0.5)
    assert np.abs(new.to_world(corner) - grid.to_world(corner)).max() < WORLD_LIMIT_MM
    drift = np.abs(np.asarray(new.extent_mm) - grid.extent_mm)
    rounded = [n > 1 for n in new.shape]
    assert (drift[rounded] <= np.asarray(spacing)[rounded] / 2 + WORLD_LIMIT_MM).all()


@given(first=grids(), second=grids())
def test_the_map_between_two_grids_goes_through_the_world(first: Grid, second: Grid):
    index = all_indices(first)
    homogeneous = np.c_[index, np.ones(len(index))] @ first.index_map_to(second).T
    assert np.abs(second.to_world(homogeneous[:, :3]) - first.to_world(index)).max() < WORLD_LIMIT_MM


@given(grid=grids(), data=st.data())
def test_a_box_in_the_world_holds_the_faces_of_its_voxels(grid: Grid, data: st.DataObject):
    box = data.draw(boxes_in(grid.shape))
    world = grid.box_to_world(box)
    corners = grid.to_world(np.array([box.start_zyx, box.stop_zyx]) - 0.5)
    centers = grid.to_world(all_indices(grid.crop(box)) + np.asarray(box.start_zyx))
    for points in (corners, centers):
        assert (points >= np.asarray(world.min_lps_mm) - WORLD_LIMIT_MM).all()
        assert (points <= np.asarray(world.max_lps_mm) + WORLD_LIMIT_MM).all()
    if np.allclose(np.abs(grid.directions).max(axis=1), 1):
        size = np.abs(np.diff(corners, axis=0))[0]
        assert np.allclose(size, np.subtract(world.max_lps_mm, world.min_lps_mm))


def test_volume_of_a_voxel_and_extent_are_in_millimeters():
    grid = Grid.from_axes((10, 20, 30), (2.0, 0.5, 0.25))
    assert grid.voxel_mm3 == pytest.approx(0.25)
    assert grid.extent_mm == pytest.approx((20.0, 10.0, 7.5))


def test_grids_are_equal_by_value_and_hash_alike():
    first = Grid.from_axes((3, 4, 5), (1.0, 2.0, 3.0), frame_uid="1.2")
    same = Grid.from_axes((3, 4, 5), (1.0, 2.0, 3.0), frame_uid="1.2")
    assert first == same
    assert hash(first) == hash(same)
    assert first != Grid.from_axes((3, 4, 5), (1.0, 2.0, 3.0), frame_uid="1.3")
    assert first != Grid.from_axes((3, 4, 5), (1.0, 2.0, 3.1), frame_uid="1.2")
    assert first != "a grid"


def test_the_affine_is_copied_and_read_only():
    affine = np.eye(4)
    grid = Grid((1, 1, 1), affine)
    affine[0, 3] = 99
    assert grid.affine[0, 3] == 0
    with pytest.raises(ValueError, match="read-only"):
        grid.affine[0, 0] = 2


SHEARED = np.eye(4)
SHEARED[1, 2] = 0.01
PROJECTIVE = np.eye(4)
PROJECTIVE[3, 0] = 0.5


@pytest.mark.parametrize(
    ("shape", "affine", "message"),
    [
        ((2, 2, 2), np.diag([1, np.nan, 1, 1]), r"affine must be a finite 4×4 matrix, got shape \(4, 4\)"),
        ((2, 2, 2), np.diag([1, np.inf, 1, 1]), r"affine must be a finite 4×4 matrix"),
        ((2, 2, 2), np.eye(3), r"affine must be a finite 4×4 matrix, got shape \(3, 3\)"),
        ((2, 2, 2), PROJECTIVE, r"last row of the affine must be 0 0 0 1, got \[0.5, 0.0, 0.0, 1.0\]"),
        ((2, 0, 2), np.eye(4), r"shape must be three numbers of at least 1, got \(2, 0, 2\)"),
        ((2, 2), np.eye(4), r"shape must be three numbers of at least 1, got \(2, 2\)"),
        ((2, 2, 2), np.diag([1, 0, 1, 1]), r"voxel extents must be positive, got \[1.0, 0.0, 1.0\] mm"),
        ((2, 2, 2), SHEARED, r"axes are not orthogonal: largest cosine 0.01, limit 0.0001"),
    ],
    ids=["nan", "inf", "3x3", "projective", "no rows", "two axes", "flat", "sheared"],
)
def test_an_impossible_grid_is_refused_with_the_measured_value(shape, affine, message):
    with pytest.raises(ValueError, match=message):
        Grid(shape, affine)


@given(st.data(), grids(oblique=False), st.sampled_from(AXIS_ORDERS))
def test_a_box_moves_with_the_voxels_that_it_holds(data: st.DataObject, grid: Grid, axes: AxisOrder):
    box = data.draw(boxes_in(grid.shape))
    mask = np.zeros(grid.shape, dtype=bool)
    mask[box.slices] = True
    assert Box.of_mask(axes.apply(mask)) == axes.move_box(box, grid.shape)
