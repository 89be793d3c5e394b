"""What is measured of a mask is what was put there."""

import numpy as np
import pytest

from cspine.datasets import level_extents, level_overlaps
from cspine.datasets.mask_geometry import without_islands
from cspine.domain import CANONICAL_DIRECTIONS, CERVICAL, Grid, LabelMap, Vertebra
from tests.datasets.coded_trees import SPACING_MM, block, neck


def test_extents_of_the_coded_neck_are_those_of_its_blocks():
    _, labels = neck()
    extents = level_extents(labels)
    assert [e.vertebra for e in extents] == [*CERVICAL, Vertebra.T1]
    for extent in extents:
        box = block(extent.vertebra)
        faces = labels.grid.box_to_world(box)
        assert extent.slices == box.shape[0]
        assert extent.voxels == np.prod(box.shape)
        assert extent.height_mm == pytest.approx(box.shape[0] * SPACING_MM[0])
        assert (extent.top_mm, extent.bottom_mm) == pytest.approx((faces.max_lps_mm[2], faces.min_lps_mm[2]))
        assert extent.center_lps_mm == pytest.approx(faces.center_lps_mm)
        assert (extent.pieces, extent.stray_voxels, extent.cut) == (1, 0, False)


def test_overlap_is_positive_where_neighbors_share_slices_and_negative_across_a_gap():
    array = np.zeros((20, 4, 4), np.uint8)
    array[2:10, :, :2], array[6:14, :, 2:], array[16:18] = 3, 4, 5
    overlaps = level_overlaps(level_extents(LabelMap(Grid.from_axes(array.shape, (2.0, 1.0, 1.0)), array)))
    assert [(o.upper, o.lower) for o in overlaps] == [(Vertebra.C3, Vertebra.C4), (Vertebra.C4, Vertebra.C5)]
    assert [o.overlap_mm for o in overlaps] == pytest.approx([8.0, -4.0])


def test_levels_that_are_no_neighbors_have_no_overlap():
    array = np.zeros((8, 2, 2), np.uint8)
    array[:3], array[3:] = 2, 4
    assert level_overlaps(level_extents(LabelMap(Grid.from_axes(array.shape, (1.0, 1.0, 1.0)), array))) == ()


def test_a_level_of_tilted_slices_is_as_high_as_its_slices():
    array = np.zeros((12, 30, 30), np.uint8)
    array[4:8, 5:25, 5:25] = 3
    angle = np.deg2rad(25)
    tilt = np.array([[1, 0, 0], [0, np.cos(angle), np.sin(angle)], [0, -np.sin(angle), np.cos(angle)]])
    grid = Grid.from_axes(array.shape, (2.0, 1.0, 1.0), directions=CANONICAL_DIRECTIONS @ tilt)
    (extent,) = level_extents(LabelMap(grid, array))
    assert extent.height_mm == pytest.approx(4 * 2.0 * np.cos(angle))


def test_an_island_is_counted_and_left_out_of_the_extent():
    array = np.zeros((20, 6, 6), np.uint8)
    array[5:10, 1:5, 1:5] = 6
    array[18, 0, 0] = 6
    (extent,) = level_extents(LabelMap(Grid.from_axes(array.shape, (1.0, 1.0, 1.0)), array))
    assert (extent.pieces, extent.stray_voxels, extent.slices, extent.cut) == (2, 1, 5, False)


def test_what_the_edge_of_the_scan_cuts_off_a_level_is_no_island():
    array = np.zeros((12, 8, 8), np.uint8)
    array[8:, 1:4, 1:4] = 6
    array[10:, 6:8, 1:4] = 6
    array[3, 7, 7] = 6
    (extent,) = level_extents(LabelMap(Grid.from_axes(array.shape, (1.0, 1.0, 1.0)), array))
    assert (extent.pieces, extent.stray_voxels, extent.voxels, extent.cut) == (2, 1, 36, True)


def test_a_level_at_the_edge_of_the_scan_is_cut():
    array = np.zeros((5, 3, 3), np.uint8)
    array[0:2] = 1
    (extent,) = level_extents(LabelMap(Grid.from_axes(array.shape, (1.0, 1.0, 1.0)), array))
    assert extent.cut


def test_islands_are_taken_out_and_what_the_edge_cuts_off_stays():
    array = np.zeros((20, 6, 6), np.uint8)
    array[5:10, 1:5, 1:5], array[19, 0, 0] = 6, 6  # an island in the last slice, where the level itself does not end
    array[12:20, :3, 3:], array[19, 5, 0] = 7, 7  # a level that the scan cuts, and its other end
    labels = LabelMap(Grid.from_axes(array.shape, (1.0, 1.0, 1.0)), array)
    clean = without_islands(labels).labels
    assert np.argwhere(clean != array).tolist() == [[19, 0, 0]]
    assert clean[19, 0, 0] == 0
    assert labels.labels[19, 0, 0] == 6
