"""Odd ways of storing a series: the voxels stay where they are in space, and the reader says what is odd."""

from pathlib import Path

import numpy as np
import pydicom
import pytest

from cspine.dicom import Numbering, Storage, StoredAs, write_ct_images
from cspine.domain import Volume
from tests.dicom.builders import SHAPE, SPACING_MM, codes, load, message, stored, volume


def pixels_in_place(paths: list[Path], written: Volume) -> list[np.ndarray]:
    """Return HU of every image, after checking that each pixel inside the volume has the volume's value there."""
    images = []
    for path in paths:
        image = pydicom.dcmread(path)
        first = written.grid.to_index(np.array([float(v) for v in image.ImagePositionPatient]))
        z, y, x = (round(v) for v in first)
        assert np.abs(first - [z, y, x]).max() < 1e-6
        hu = stored(image) * int(image.RescaleSlope) + int(image.RescaleIntercept)
        inside = written.hu[z, y : y + hu.shape[0], x:]
        assert np.array_equal(hu[: inside.shape[0]], inside)
        images.append(hu)
    return images


@pytest.mark.parametrize("step", [1, -1])
def test_a_tilted_gantry_moves_the_field_and_no_voxel(tmp_path, step):
    written = volume()
    paths = write_ct_images(written, tmp_path, Storage(row_step=step))
    images = pixels_in_place(paths, written)
    assert {image.shape for image in images} == {SHAPE[1:]}
    far = images[-1] if step > 0 else images[0]
    assert (far[-abs(step) * (SHAPE[0] - 1) :] == -1000).all()
    angle = np.degrees(np.arctan(abs(step) * SPACING_MM[1] / SPACING_MM[0]))
    assert f"tilted by {angle:.1f}°" in message(load(tmp_path), "gantry-tilt")


def test_slices_left_out_are_missing_and_the_others_keep_their_numbers(tmp_path):
    written = volume()
    paths = write_ct_images(written, tmp_path, Storage(left_out=range(5, 7), numbering=Numbering(10)))
    assert [int(path.stem) for path in paths] == [10, 11, 12, 13, 14, 17, 18, 19, 20, 21]
    pixels_in_place(paths, written)
    assert codes(load(tmp_path)) == {"missing-slices"}


def test_trimmed_slices_lack_their_last_rows(tmp_path):
    written = volume()
    paths = write_ct_images(written, tmp_path, Storage(trimmed=range(2), trimmed_rows=3))
    images = pixels_in_place(paths, written)
    assert [image.shape[0] for image in images] == [21, 21, *[24] * 10]
    read = load(tmp_path)
    assert codes(read) == {"mixed-shapes"}
    back, expected = read.volume.hu, written.hu
    assert np.array_equal(back[2:], expected[2:])
    assert np.array_equal(back[:2, :21], expected[:2, :21])


def test_monochrome1_changes_the_mark_and_no_value(tmp_path):
    written = volume()
    written = Volume(written.grid, np.where(written.hu > 300, 20, written.hu).astype(np.int16))
    paths = write_ct_images(written, tmp_path, Storage(monochrome1=True))
    assert {pydicom.dcmread(path).PhotometricInterpretation for path in paths} == {"MONOCHROME1"}
    read = load(tmp_path)
    assert codes(read) == {"monochrome1"}
    assert np.array_equal(read.volume.canonical().hu, written.canonical().hu)


def test_transfer_syntaxes_are_taken_in_turn(tmp_path):
    written = volume()
    turns = (StoredAs.RAW, StoredAs.RAW, StoredAs.JPEG_LOSSLESS)
    paths = write_ct_images(written, tmp_path, Storage(stored_as=turns))
    used = [pydicom.dcmread(path).file_meta.TransferSyntaxUID for path in paths]
    assert used == [turns[k % 3].value for k in range(len(paths))]
    assert np.array_equal(load(tmp_path).volume.canonical().hu, written.canonical().hu)
