"""Boxes are half-open in voxels and closed in millimeters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cspine.domain import Box, WorldBox

indices = st.tuples(*[st.integers(-20, 20) for _ in range(3)])
sizes = st.tuples(*[st.integers(1, 20) for _ in range(3)])


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    start, size = draw(indices), draw(sizes)
    z, y, x = (a + n for a, n in zip(start, size, strict=True))
    return Box(start, (z, y, x))


def test_an_empty_box_is_refused_with_its_bounds():
    with pytest.raises(ValueError, match=r"empty box: start \(0, 3, 0\), stop \(2, 3, 2\)"):
        Box((0, 3, 0), (2, 3, 2))


@given(box=boxes(), by=indices)
def test_a_shifted_box_keeps_its_shape_and_comes_back(box: Box, by: tuple[int, int, int]):
    there = box.shifted(by)
    assert there.shape == box.shape
    assert there.shifted([-d for d in by]) == box


@given(box=boxes(), shape=sizes)
def test_a_clipped_box_holds_exactly_the_voxels_inside(box: Box, shape: tuple[int, int, int]):
    inside = box.clipped(shape)
    members = [max(0, min(n, b) - max(0, a)) for a, b, n in zip(box.start_zyx, box.stop_zyx, shape, strict=True)]
    if inside is None:
        assert min(members) == 0
    else:
        assert list(inside.shape) == members
        assert inside.clipped(shape) == inside


@given(box=boxes())
def test_a_box_indexes_an_array_of_its_own_shape(box: Box):
    home = box.shifted([-a for a in box.start_zyx])
    assert np.zeros(box.shape)[home.slices].shape == box.shape


@given(many=st.lists(boxes(), min_size=1, max_size=4))
def test_the_box_around_boxes_is_the_smallest_that_holds_all(many: list[Box]):
    around = Box.around(many)
    for axis in range(3):
        assert around.start_zyx[axis] == min(box.start_zyx[axis] for box in many)
        assert around.stop_zyx[axis] == max(box.stop_zyx[axis] for box in many)


@given(mask=hnp.arrays(bool, hnp.array_shapes(min_dims=3, max_dims=3, max_side=6)))
def test_the_box_of_a_mask_is_tight(mask: np.ndarray):
    box = Box.of_mask(mask)
    if box is None:
        assert not mask.any()
        return
    assert mask[box.slices].sum() == mask.sum()
    for axis in range(3):
        inner = np.moveaxis(mask[box.slices], axis, 0)
        assert inner[0].any()
        assert inner[-1].any()


def test_an_inverted_world_box_is_refused_with_its_corners():
    with pytest.raises(ValueError, match=r"inverted box: minimum \(0.0, 5.0, 0.0\), maximum \(1.0, 4.0, 1.0\)"):
        WorldBox((0.0, 5.0, 0.0), (1.0, 4.0, 1.0))


def test_the_center_of_a_world_box_lies_midway():
    assert WorldBox((-1.0, 0.0, 10.0), (3.0, 1.0, 30.0)).center_lps_mm == (1.0, 0.5, 20.0)
