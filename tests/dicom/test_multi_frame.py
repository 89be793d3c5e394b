"""Enhanced CT: geometry, rescale and kind from per-frame groups, frames in any order."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from cspine.dicom import StoredAs, StudyHeader, scan, write_ct_series
from cspine.domain import UnsupportedSeries
from tests.dicom.builders import load, volume, write


def item(**values: object) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def enhanced(folder: Path, order: list[int], stored_as: StoredAs = StoredAs.RAW) -> Path:
    """Merge a written series into one enhanced object, frames in the given order."""
    paths = write_ct_series(volume(), folder / "plain", stored_as=stored_as, header=StudyHeader(kernel="Br64"))
    slices = [pydicom.dcmread(paths[k]) for k in order]
    whole = pydicom.dcmread(paths[0])
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope"):
        delattr(whole, keyword)
    del whole.RescaleIntercept
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    whole.NumberOfFrames = len(slices)
    first = slices[0]
    whole.SharedFunctionalGroupsSequence = [
        item(
            PlaneOrientationSequence=[item(ImageOrientationPatient=first.ImageOrientationPatient)],
            PixelMeasuresSequence=[item(PixelSpacing=first.PixelSpacing, SliceThickness=1)],
            CTReconstructionSequence=[item(ConvolutionKernel="Br64")],
            CTImageFrameTypeSequence=[item(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])],
        )
    ]
    whole.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=one.ImagePositionPatient)],
            PixelValueTransformationSequence=[
                item(RescaleSlope=1, RescaleIntercept=one.RescaleIntercept, RescaleType="HU")
            ],
        )
        for one in slices
    ]
    if stored_as is StoredAs.RAW:
        whole.PixelData = b"".join(one.PixelData for one in slices)
    else:
        frames = [next(pydicom.encaps.generate_frames(one.PixelData, number_of_frames=1)) for one in slices]
        whole.PixelData = pydicom.encaps.encapsulate(frames)
    path = folder / "enhanced" / "whole.dcm"
    path.parent.mkdir()
    whole.save_as(path)
    return path


@pytest.mark.parametrize("stored_as", list(StoredAs))
def test_frames_become_the_same_volume_as_slices(tmp_path: Path, stored_as: StoredAs) -> None:
    order = [int(k) for k in np.random.default_rng(1).permutation(12)]
    read = load(enhanced(tmp_path, order, stored_as))
    assert np.array_equal(read.volume.hu, volume().hu)
    assert np.allclose(read.volume.grid.affine, volume().grid.affine)
    assert [ref.frame_number for ref in read.slices] == [order.index(k) + 1 for k in range(12)]
    assert len({ref.sop_instance_uid for ref in read.slices}) == 1
    assert read.header.slice_thickness_mm == 1


def test_a_missing_per_frame_group_is_told(tmp_path: Path) -> None:
    path = enhanced(tmp_path, list(range(12)))
    dataset = pydicom.dcmread(path)
    del dataset.PerFrameFunctionalGroupsSequence[-1]
    dataset.save_as(path)
    (skipped,) = scan([path]).skipped
    assert "11 per-frame groups for 12 frames" in skipped.reason


def test_a_frame_without_rescale_is_refused(tmp_path: Path) -> None:
    path = enhanced(tmp_path, list(range(12)))
    dataset = pydicom.dcmread(path)
    del dataset.PerFrameFunctionalGroupsSequence[4].PixelValueTransformationSequence
    dataset.save_as(path)
    with pytest.raises(UnsupportedSeries, match="frame 5: RescaleSlope or RescaleIntercept is missing"):
        load(path)


def test_frames_that_are_cut_off_are_refused(tmp_path: Path) -> None:
    path = enhanced(tmp_path, list(range(12)))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UnsupportedSeries, match="truncated: 500 bytes"):
        load(path)


def test_plain_and_enhanced_objects_are_not_mixed(tmp_path: Path) -> None:
    path = enhanced(tmp_path, list(range(12)))
    write(tmp_path / "again")
    series = [one for study in scan([path, tmp_path / "again"]).studies for one in study.series]
    assert len(series) == 2
