from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspine.dicom.header import LoadedSeries, SliceRef, StudyHeader
from cspine.domain import AXIS_ORDERS, AxisOrder, Box, Grid, Volume, WorldBox
from cspine.report import image_region
from cspine.report.locate import image_name, slice_through
from tests.report.builders import default_grid, series, slice_refs


def _series_on(grid: Grid) -> LoadedSeries:
    return series(Volume(grid, np.zeros(grid.shape, dtype=np.int16)))


@pytest.mark.parametrize("axes", AXIS_ORDERS, ids=str)
def test_a_voxel_box_comes_back_as_the_very_pixels_in_every_orientation(axes: AxisOrder):
    grid = Grid.from_axes((12, 20, 30), (2.5, 0.7, 0.7), (-31.0, 12.5, 700.25))
    box = Box((3, 4, 11), (8, 9, 17))
    marked = np.zeros(grid.shape, dtype=bool)
    marked[box.slices] = True
    pixels = axes.apply(marked)
    region = image_region(grid.box_to_world(box), _series_on(grid.reordered(axes)))
    assert region is not None
    index = int(region.image.sop_instance_uid.rsplit(".", 1)[1])
    x, y, width, height = region.pixel_box
    expected = np.zeros_like(pixels[index])
    expected[y : y + height, x : x + width] = True
    assert pixels[index].any()
    assert np.array_equal(expected, pixels[index])


@given(
    start=st.tuples(*[st.floats(0, 60)] * 3),
    size=st.tuples(*[st.floats(0, 40)] * 3),
    turn=st.floats(-0.4, 0.4),
)
def test_a_region_lies_in_the_image_and_goes_round_the_center_on_oblique_slices(start, size, turn):
    cosine, sine = np.cos(turn), np.sin(turn)
    directions = np.array([[0, -sine, -cosine], [0, cosine, -sine], [1, 0, 0]])
    grid = Grid.from_axes((40, 80, 90), (2.0, 1.0, 1.0), (0.0, 0.0, 70.0), directions)
    box = WorldBox(start, tuple(a + b for a, b in zip(start, size, strict=True)))
    region = image_region(box, _series_on(grid))
    k, row, column = grid.to_index(np.array(box.center_lps_mm)).tolist()
    if region is None:
        outside = not (-0.5 <= k <= 39.5 and -0.5 <= row <= 79.5 and -0.5 <= column <= 89.5)
        assert outside
        return
    x, y, width, height = region.pixel_box
    assert 0 <= x < x + width <= 90
    assert 0 <= y < y + height <= 80
    if 0 <= row <= 79 and 0 <= column <= 89:
        assert x - 0.01 <= column + 0.5 <= x + width + 0.01
        assert y - 0.01 <= row + 0.5 <= y + height + 0.01


def test_a_box_that_reaches_beyond_the_image_is_clipped_to_it():
    source = _series_on(default_grid())
    region = image_region(WorldBox((-50, -50, -40), (11.9, 5.9, -30)), source)
    assert region is not None
    assert region.pixel_box == (0, 0, 11, 6)  # the last column ends at 12.6 mm, half a pixel beyond its center


def test_no_region_is_given_where_there_is_no_image():
    volume = _series_on(default_grid()).volume
    inside = WorldBox((20, 20, -40), (30, 30, -30))
    nifti = LoadedSeries(volume, StudyHeader(), (), (), "neck.nii.gz")
    assert image_region(inside, nifti) is None
    assert image_region(WorldBox((20, 20, 100), (30, 30, 110)), series(volume)) is None
    assert image_region(WorldBox((900, 20, -40), (910, 30, -30)), series(volume)) is None


def test_the_slice_through_a_point_ends_at_the_outer_faces():
    grid = default_grid()
    assert slice_through((0, 0, 0.79), grid) == 0
    assert slice_through((0, 0, 0.81), grid) is None
    assert slice_through((0, 0, -16.0), grid) == 10


def test_an_image_is_called_by_its_frame_before_its_number():
    reference = slice_refs(default_grid())[3]
    assert image_name(reference) == "image 104"
    frame = SliceRef(reference.sop_class_uid, reference.sop_instance_uid, 1, 17, reference.position_lps_mm)
    assert image_name(frame) == "frame 17"
    nameless = SliceRef(reference.sop_class_uid, reference.sop_instance_uid, None, None, reference.position_lps_mm)
    assert image_name(nameless) == "image"


def test_in_a_series_of_mixed_shapes_pixels_are_counted_from_the_image_s_own_corner():
    source = _series_on(default_grid())
    shifted = tuple(replace(s, first_pixel_rc=(2, 3)) for s in source.slices)
    box = default_grid().box_to_world(Box((1, 5, 7), (3, 9, 12)))
    plain, moved = image_region(box, source), image_region(box, replace(source, slices=shifted))
    assert plain is not None
    assert moved is not None
    assert moved.pixel_box == (plain.pixel_box[0] - 3, plain.pixel_box[1] - 2, *plain.pixel_box[2:])
