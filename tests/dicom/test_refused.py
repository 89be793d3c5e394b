"""What is refused by its header, with which sentence, and what is read with a flag all the same."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from cspine.dicom import StudyHeader, scan, to_volume
from cspine.domain import NotAVolume, UnsupportedSeries
from tests.dicom.builders import (
    edit,
    load,
    message,
    setting,
    volume,
    write,
)

REFUSED: dict[str, tuple[Callable[[Dataset], None], str]] = {
    "another modality": (setting(Modality="MR"), "not a CT image: modality MR"),
    "another object": (setting(SOPClassUID="1.2.840.10008.5.1.4.1.1.7"), "not a CT image"),
    "color": (setting(PhotometricInterpretation="RGB", SamplesPerPixel=3), "not grayscale: RGB, 3 samples"),
    "palette": (setting(PhotometricInterpretation="PALETTE COLOR"), "not grayscale: PALETTE COLOR"),
    "projection": (setting(ImageType=["DERIVED", "SECONDARY", "MIP"]), "maximum intensity projections, not HU"),
    "8 bits": (setting(BitsAllocated=8, BitsStored=8, HighBit=7), "8 bits per pixel cannot hold HU"),
    "strange high bit": (setting(BitsStored=12, HighBit=15), "with high bit 15 is not supported"),
    "other quantity": (setting(RescaleType="US"), "RescaleType is US, not HU"),
    "iodine": (setting(RescaleType="MGML"), "RescaleType is MGML, not HU"),
    "modified HU": (setting(RescaleType="HU_MOD"), "RescaleType is HU_MOD, not HU"),
    "iodine map": (
        setting(ImageType=["DERIVED", "PRIMARY", "AXIAL", "MAT_SPECIFIC"]),
        "a dual-energy map (image type MAT_SPECIFIC)",
    ),
    "non-calcium map": (
        setting(SeriesDescription="HWS VNCa 1.0"),
        "a dual-energy map (series description says “VNCa”)",
    ),
    "lookup table": (setting(ModalityLUTSequence=[Dataset()]), "modality lookup table"),
    "many rows": (setting(Rows=4096), "4096 rows × 32 columns; 16 … 2048 are supported"),
    "several frames": (setting(NumberOfFrames=3), "3 frames in a single-frame CT object"),
    "no orientation": (setting(ImageOrientationPatient=None), "without a usable ImageOrientationPatient"),
    "no position": (setting(ImagePositionPatient=None), "no usable ImagePositionPatient in"),
    "no spacing": (setting(PixelSpacing=None), "without a usable PixelSpacing"),
    "zero spacing": (setting(PixelSpacing=[0, 0.5]), "pixel spacing 0 × 0.5 mm; 0.05 … 5 mm are supported"),
    "skewed": (setting(ImageOrientationPatient=[1, 0, 0, 0.5, 0.8, 0]), "is not two orthogonal unit vectors"),
    "zero orientation": (setting(ImageOrientationPatient=[0, 0, 0, 0, 0, 0]), "is not two orthogonal unit vectors"),
    "no pixels": (setting(PixelData=None), "no pixel data"),
    "short pixels": (setting(PixelData=b"\0" * 1000), "pixel data of 1000 bytes; 1536 are needed"),
}


@pytest.mark.parametrize("trouble", REFUSED)
def test_it_is_refused_with_a_sentence(tmp_path: Path, trouble: str) -> None:
    change, sentence = REFUSED[trouble]
    edit(write(tmp_path), change)
    with pytest.raises((UnsupportedSeries, NotAVolume)) as refused:
        load(tmp_path)
    assert sentence in str(refused.value)
    (study,) = scan([tmp_path]).studies
    with pytest.raises((UnsupportedSeries, NotAVolume)) as again:
        to_volume(study.series[0])
    assert sentence in str(again.value)


def test_a_truncated_file_is_refused_before_any_pixel_is_read(tmp_path: Path) -> None:
    path = write(tmp_path)[7]
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UnsupportedSeries, match=r"8\.dcm: truncated: 100 bytes of 1536 of the pixel data are missing"):
        load(tmp_path)


def test_a_lying_length_is_refused_before_anything_is_allocated(tmp_path: Path) -> None:
    path = write(tmp_path)[7]
    content = path.read_bytes()
    at = content.rindex(b"\xe0\x7f\x10\x00OW\0\0") + 8
    path.write_bytes(content[:at] + (0x7FFFFFFE).to_bytes(4, "little") + content[at + 4 :])
    with pytest.raises(UnsupportedSeries, match="truncated: 2147482110 bytes of 2147483646"):
        load(tmp_path)


def test_more_slices_than_can_be_are_refused(tmp_path: Path) -> None:
    write(tmp_path)
    (study,) = scan([tmp_path]).studies
    (series,) = study.series
    with pytest.raises(NotAVolume, match="3012 slices; at most 3000 are read"):
        to_volume(replace(series, images=series.images * 251))


def test_lossy_history_is_flagged_with_the_ratio(tmp_path: Path) -> None:
    edit(write(tmp_path), setting(LossyImageCompression="01", LossyImageCompressionRatio=["7.5", "12.25"]))
    assert message(load(tmp_path), "lossy") == (
        "the images were compressed with loss at a ratio of 12.2:1; fine fracture lines may be gone"
    )


def test_the_body_part_is_only_a_hint(tmp_path: Path) -> None:
    of = volume()
    write(tmp_path, of, header=StudyHeader(body_part="CHEST"))
    read = load(tmp_path)
    assert message(read, "other-body-part") == "the header says CHEST; the images decide, not the header"
    assert np.array_equal(read.volume.hu, of.hu)


def test_thick_slices_are_flagged(tmp_path: Path) -> None:
    write(tmp_path, volume(spacing_mm=(4.0, 0.5, 0.5)))
    assert message(load(tmp_path), "thick-slices").startswith("slices are 4.0 mm thick or apart")


def test_slices_too_far_apart_are_refused(tmp_path: Path) -> None:
    write(tmp_path, volume(spacing_mm=(12.0, 0.5, 0.5)))
    (study,) = scan([tmp_path]).studies
    with pytest.raises(NotAVolume, match=r"slices are 12\.00 mm apart; at most 10 mm are read"):
        to_volume(study.series[0])


def test_patient_position_changes_nothing(tmp_path: Path) -> None:
    of = volume()
    edit(write(tmp_path, of), setting(PatientPosition="FFP"))
    read = load(tmp_path).volume
    assert np.array_equal(read.hu, of.hu)
    assert np.allclose(read.grid.affine, of.grid.affine)


def test_a_file_without_preamble_and_meta_is_read(tmp_path: Path) -> None:
    of = volume()
    for path in write(tmp_path, of):
        dataset = pydicom.dcmread(path)
        del dataset.file_meta
        dataset.save_as(path, implicit_vr=True, little_endian=True, enforce_file_format=False)
    assert np.array_equal(load(tmp_path).volume.hu, of.hu)
