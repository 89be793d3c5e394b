"""Volumes and label maps: read-only, checked against their grid, moved together with it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspine.domain import Box, Grid, LabelMap, Vertebra, Volume
from tests.domain.builders import grids, ramp


@given(grid=grids())
def test_a_canonical_volume_keeps_every_value_at_its_world_point(grid: Grid):
    moved = Volume(grid, ramp(grid)).canonical()
    assert np.allclose(moved.hu, ramp(moved.grid), atol=1e-2)
    assert np.shares_memory(moved.hu, moved.canonical().hu)


@given(grid=grids(), start=st.tuples(*[st.integers(0, 1) for _ in range(3)]))
def test_a_cropped_volume_keeps_every_value_at_its_world_point(grid: Grid, start: tuple[int, int, int]):
    part = Volume(grid, ramp(grid)).crop(Box(start, grid.shape))
    assert np.allclose(part.hu, ramp(part.grid), atol=1e-2)


@pytest.mark.parametrize(
    "make", [lambda g, a: Volume(g, a.astype(np.int16)), lambda g, a: LabelMap(g, a.astype(np.uint8))]
)
def test_a_crop_that_reaches_outside_is_refused_with_both_shapes(make):
    grid = Grid.from_axes((3, 4, 5), (1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match=r"stop_zyx=\(4, 4, 5\).* reaches outside a .* of shape \(3, 4, 5\)"):
        make(grid, np.zeros(grid.shape)).crop(Box((0, 0, 0), (4, 4, 5)))


def test_the_voxels_are_read_only_and_not_copied():
    grid = Grid.from_axes((2, 3, 4), (1.0, 1.0, 1.0))
    hu, labels = np.zeros(grid.shape, dtype=np.int16), np.zeros(grid.shape, dtype=np.uint8)
    volume, label_map = Volume(grid, hu), LabelMap(grid, labels)
    assert np.shares_memory(volume.hu, hu)
    for array in (volume.hu, label_map.labels, volume.canonical().hu, label_map.crop(Box((0, 0, 0), (1, 1, 1))).labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0, 0] = 1


def test_voxels_that_do_not_fit_their_grid_are_refused_with_both_shapes():
    grid = Grid.from_axes((2, 3, 4), (1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match=r"volume has shape \(4, 3, 2\), its grid \(2, 3, 4\)"):
        Volume(grid, np.zeros((4, 3, 2), dtype=np.int16))
    with pytest.raises(ValueError, match=r"label map has shape \(4, 3, 2\), its grid \(2, 3, 4\)"):
        LabelMap(grid, np.zeros((4, 3, 2), dtype=np.uint8))


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float64, np.bool_])
def test_other_voxel_types_are_refused_by_name(dtype):
    grid = Grid.from_axes((2, 2, 2), (1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match=f"a volume is int16 or float32, got {np.dtype(dtype)}"):
        Volume(grid, np.zeros(grid.shape, dtype=dtype))
    with pytest.raises(ValueError, match=f"a label map is uint8, got {np.dtype(dtype)}"):
        LabelMap(grid, np.zeros(grid.shape, dtype=dtype))


def test_the_label_values_are_those_of_the_rsna_masks():
    assert [int(v) for v in Vertebra] == list(range(1, 20))
    assert (Vertebra.C1, Vertebra.C7, Vertebra.T1, Vertebra.T12) == (1, 7, 8, 19)
    assert [v.name for v in Vertebra if v.is_cervical] == ["C1", "C2", "C3", "C4", "C5", "C6", "C7"]
