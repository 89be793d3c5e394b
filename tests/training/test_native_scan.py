"""A passage through another grid keeps what is smooth and loses what is thin."""

import numpy as np
import pytest

from cspine.training.native_scan import NativeRange, passage, scan_natively


@pytest.mark.parametrize("ratio", [1.2, 2.0, 2.7])
@pytest.mark.parametrize("offset", [0.0, 0.37, 0.9])
def test_a_constant_stays_and_a_slope_keeps_its_place(ratio: float, offset: float) -> None:
    matrix = passage(60, ratio, offset)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-5)
    ramp = np.arange(60.0)
    np.testing.assert_allclose((matrix @ ramp)[8:-8], ramp[8:-8], atol=0.07)


def test_a_thin_disc_loses_most_of_its_contrast_on_thick_slices() -> None:
    column = np.full((60, 4, 4), 300.0, dtype=np.float32)
    column[30] = 60.0
    ranges = NativeRange(chance=1.0, slice_mm=(5.0, 5.0), pixel_mm=(1.0, 1.0))
    out = scan_natively(column, (1.0, 2.0, 2.0), ranges, np.random.default_rng(1))
    assert out.shape == column.shape
    assert 200 < out[30, 0, 0] < 290


def test_finer_grids_and_the_other_samples_change_nothing() -> None:
    hu = np.random.default_rng(0).normal(size=(8, 8, 8)).astype(np.float32)
    for ranges in (NativeRange(chance=0.0), NativeRange(chance=1.0, slice_mm=(1, 1), pixel_mm=(1, 1))):
        np.testing.assert_array_equal(scan_natively(hu, (2.0, 4.0, 4.0), ranges, np.random.default_rng(0)), hu)
