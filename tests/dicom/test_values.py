"""From stored values to HU: MONOCHROME1, rescale, padding, stray bits."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from cspine.dicom import Vendor
from cspine.domain import UnsupportedSeries, Volume
from tests.dicom.builders import (
    edit,
    load,
    message,
    setting,
    store,
    stored,
    volume,
    write,
)


def test_monochrome1_with_values_as_they_should_be_is_read_as_it_stands(tmp_path: Path) -> None:
    of = Volume(volume().grid, np.minimum(volume().hu, 600))
    edit(write(tmp_path, of), setting(PhotometricInterpretation="MONOCHROME1"))
    read = load(tmp_path)
    assert message(read, "monochrome1") == "images are marked MONOCHROME1; the values were used as stored"
    assert np.array_equal(read.volume.hu, of.hu)


@pytest.mark.parametrize("vendor", [Vendor.SIEMENS, Vendor.GE])
def test_monochrome1_with_inverted_values_is_turned_over(tmp_path: Path, vendor: Vendor) -> None:
    of = Volume(volume().grid, np.minimum(volume().hu, 600))
    paths = write(tmp_path, of, vendor)

    def change(dataset: Dataset) -> None:
        dataset.PhotometricInterpretation = "MONOCHROME1"
        values = stored(dataset)
        store(dataset, ~values if dataset.PixelRepresentation else (4095 - values).astype(np.uint16))

    edit(paths, change)
    read = load(tmp_path)
    assert message(read, "monochrome1").endswith("were inverted and have been turned over")
    assert np.array_equal(read.volume.hu, of.hu)


def test_monochrome1_that_could_be_either_is_refused(tmp_path: Path) -> None:
    def change(dataset: Dataset) -> None:
        dataset.PhotometricInterpretation = "MONOCHROME1"
        store(dataset, np.zeros((24, 32), np.int16))

    edit(write(tmp_path), change)
    with pytest.raises(UnsupportedSeries, match="neither air nor bone tells whether the values are inverted"):
        load(tmp_path)


def test_slope_and_intercept_are_those_of_each_slice(tmp_path: Path) -> None:
    of = volume()
    paths = write(tmp_path, of)
    for number, path in enumerate(paths):

        def change(dataset: Dataset, number: int = number) -> None:
            dataset.RescaleIntercept = -10 * number
            store(dataset, (stored(dataset) + 10 * number).astype(np.int16))

        edit([path], change)
    read = load(tmp_path).volume.hu
    assert read.dtype == np.int16
    assert np.array_equal(read, of.hu)


def test_a_fractional_slope_gives_float32(tmp_path: Path) -> None:
    of = volume()
    edit(write(tmp_path, of), setting(RescaleSlope="0.5"))
    read = load(tmp_path).volume.hu
    assert read.dtype == np.float32
    assert np.array_equal(read, of.hu * np.float32(0.5))


def test_values_beyond_int16_give_float32(tmp_path: Path) -> None:
    of = volume()
    paths = write(tmp_path, of)
    edit(paths[:1], setting(RescaleIntercept=33000))
    read = load(tmp_path).volume.hu
    assert read.dtype == np.float32
    assert np.array_equal(read[0], of.hu[0].astype(np.float32) + 33000)
    assert np.array_equal(read[1], of.hu[1])


@pytest.mark.parametrize("missing", ["RescaleSlope", "RescaleIntercept"])
def test_a_missing_rescale_is_refused(tmp_path: Path, missing: str) -> None:
    edit(write(tmp_path)[4:5], setting(**{missing: None}))
    with pytest.raises(UnsupportedSeries, match=r"5\.dcm: RescaleSlope or RescaleIntercept is missing"):
        load(tmp_path)


def test_a_slope_of_zero_is_refused(tmp_path: Path) -> None:
    edit(write(tmp_path), setting(RescaleSlope="0"))
    with pytest.raises(UnsupportedSeries, match="RescaleSlope is 0"):
        load(tmp_path)


@pytest.mark.parametrize("padding", [-2000, -3024])
def test_padding_becomes_air_before_anything_is_resampled(tmp_path: Path, padding: int) -> None:
    of = volume()
    paths = write(tmp_path, of, Vendor.GE)

    def change(dataset: Dataset) -> None:
        values = stored(dataset)
        values[:5] = padding
        store(dataset, values)
        setting(PixelPaddingValue=padding)(dataset)

    edit(paths, change)
    paths[6].unlink()
    read = load(tmp_path)
    assert "20.8% of the pixels" in message(read, "padding")
    assert (read.volume.hu[:, :5] == -1024).all()
    assert read.volume.hu.min() == -1024
    assert np.array_equal(read.volume.hu[:6, 5:], of.hu[:6, 5:])


def test_padding_above_minus_1024_is_blanked(tmp_path: Path) -> None:
    of = volume()

    def change(dataset: Dataset) -> None:
        values = stored(dataset)
        values[:5] = -500
        store(dataset, values)
        setting(PixelPaddingValue=-510, PixelPaddingRangeLimit=-490)(dataset)

    edit(write(tmp_path, of), change)
    read = load(tmp_path).volume.hu
    assert (read[:, :5] == -1024).all()
    assert np.array_equal(read[:, 5:], of.hu[:, 5:])


def test_a_padding_value_that_is_tissue_cuts_no_hole(tmp_path: Path) -> None:
    of = volume()
    edit(write(tmp_path, of), setting(PixelPaddingValue=300))
    assert np.array_equal(load(tmp_path).volume.hu, of.hu)


def test_bits_above_the_stored_ones_are_ignored(tmp_path: Path) -> None:
    of = volume()

    def change(dataset: Dataset) -> None:
        values = stored(dataset)
        values[::2] |= 0x8000
        store(dataset, values)

    edit(write(tmp_path, of, Vendor.SIEMENS), change)
    assert np.array_equal(load(tmp_path).volume.hu, of.hu)
