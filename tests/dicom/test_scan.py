"""Finding images in any mess, and telling why a file is not one."""

import os
import random
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cspine.dicom import StoredAs, StudyHeader, readfile, scan, to_volume, write_ct_series
from cspine.dicom.elements import Unusual
from tests.dicom.builders import edit, load, setting, volume, without_privileges, write


def reasons(path: Path) -> dict[str, str]:
    return {Path(skipped.name).name: skipped.reason for skipped in scan([path]).skipped}


def test_nested_folders_without_extensions_and_other_files_between(tmp_path: Path) -> None:
    of = volume()
    for number, path in enumerate(write(tmp_path / "flat", of)):
        home = tmp_path / "deep" / f"PT{number % 3}" / f"SE{number % 2}"
        home.mkdir(parents=True, exist_ok=True)
        path.rename(home / f"IM{number:06d}")
    (tmp_path / "deep" / "readme.txt").write_text("hello" * 100)
    (tmp_path / "deep" / "picture.jpg").write_bytes(b"\xff\xd8\xff\xe0" + b"x" * 500)
    (tmp_path / "deep" / "empty").touch()
    assert np.array_equal(load(tmp_path).volume.hu, of.hu)
    assert reasons(tmp_path) == {
        "readme.txt": "not a DICOM file",
        "picture.jpg": "not a DICOM file",
        "empty": "empty file (0 bytes)",
    }


def test_a_file_reached_twice_counts_once(tmp_path: Path) -> None:
    write(tmp_path / "a")
    (tmp_path / "link.dcm").symlink_to(tmp_path / "a" / "1.dcm")
    (study,) = scan([tmp_path, tmp_path / "a", tmp_path / "a" / "2.dcm"]).studies
    assert len(study.series[0].images) == 12


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert reasons(tmp_path) == {
        "pipe": "not a regular file",
        "dangling": "cannot be read: No such file or directory",
    }


def test_what_may_not_be_read_is_named() -> None:
    with without_privileges() as folder:
        write(folder / "series")[3].chmod(0)
        (folder / "closed").mkdir(mode=0)
        assert reasons(folder) == {
            "4.dcm": "no permission to read it",
            "closed": "folder cannot be read: Permission denied",
        }


def test_two_studies_stay_apart(tmp_path: Path) -> None:
    write(tmp_path / "a", volume(seed=1), header=StudyHeader(study_instance_uid="1.2.4"))
    write(tmp_path / "b", volume(seed=2), header=StudyHeader(study_instance_uid="1.2.3"))
    found = scan([tmp_path])
    assert [study.uid for study in found.studies] == ["1.2.3", "1.2.4"]
    assert np.array_equal(to_volume(found.studies[0].series[0]).volume.hu, volume(seed=2).hu)


def test_two_kernels_in_one_series_are_two(tmp_path: Path) -> None:
    header = StudyHeader(study_instance_uid="1.2.3", series_instance_uid="1.2.3.4")
    write(tmp_path / "a", volume(seed=1), header=header)
    other = write(tmp_path / "b", volume(seed=2), header=header)
    edit(other, setting(ConvolutionKernel="B30s"))
    for path in other:
        edit([path], setting(SOPInstanceUID=f"1.2.3.4.9.{path.stem}"))
    (study,) = scan([tmp_path]).studies
    assert sorted(series.part for series in study.series) == [
        "axial, 24×32, kernel B30s, ORIGINAL PRIMARY AXIAL, 12 images",
        "axial, 24×32, kernel SHARP, ORIGINAL PRIMARY AXIAL, 12 images",
    ]


def test_a_dicomdir_stands_for_the_files_that_it_lists(shared_data, tmp_path: Path) -> None:
    folder = shared_data("dicom/pydicom-test-files/test_files/dicomdirtests")
    found = scan([folder / "DICOMDIR"])
    images = [image for study in found.studies for series in study.series for image in series.images]
    assert len(images) >= 7
    assert all(Path(image.name).is_relative_to(folder) for image in images)


def dicomdir(path: Path, *file_ids: list[str]) -> Path:
    """Write a DICOMDIR that lists files and nothing else."""
    index = pydicom.Dataset()
    index.file_meta = pydicom.dataset.FileMetaDataset()
    index.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    index.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    index.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    index.DirectoryRecordSequence = [pydicom.Dataset() for _ in file_ids]
    for record, file_id in zip(index.DirectoryRecordSequence, file_ids, strict=True):
        record.ReferencedFileID = file_id
    path.parent.mkdir(exist_ok=True)
    index.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
def test_a_dicomdir_cannot_point_out_of_its_folder(tmp_path: Path) -> None:
    write(tmp_path / "outside")
    write(tmp_path / "cd" / "in")
    listed = [["in", f"{number}.dcm"] for number in range(1, 6)]
    found = scan([dicomdir(tmp_path / "cd" / "DICOMDIR", ["..", "outside", "1.dcm"], *listed)])
    assert [len(study.series[0].images) for study in found.studies] == [5]
    found = scan([dicomdir(tmp_path / "cd" / "DICOMDIR", ["..", "outside", "1.dcm"])])
    assert found.studies == ()
    assert found.skipped[0].reason == "a DICOMDIR that lists no readable file"


def test_the_plain_reader_and_pydicom_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_ct_series(volume(), tmp_path, stored_as=StoredAs.JPEG_LOSSLESS, header=StudyHeader(patient_name="Ä^B"))
    plain = scan([tmp_path])

    def refuse(*_: object) -> None:
        raise Unusual("for this test")

    monkeypatch.setattr(readfile, "parse", refuse)
    assert scan([tmp_path]) == plain


@settings(max_examples=150)
@given(st.integers(0, 2**32 - 1))
def test_damaged_bytes_end_as_an_image_or_a_reason(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged"
    if not folder.exists():
        write(folder, volume((4, 16, 16)))
    rng = random.Random(seed)
    content = bytearray((folder / "2.dcm").read_bytes())
    for _ in range(rng.randint(1, 8)):
        content[rng.randrange(128, len(content))] = rng.randrange(256)
    if rng.random() < 0.3:
        del content[rng.randrange(len(content)) :]
    path = tmp_path_factory.getbasetemp() / "one.dcm"
    path.write_bytes(content)
    found = scan([path])
    images = [image for study in found.studies for series in study.series for image in series.images]
    assert len(images) + len(found.skipped) == 1


def test_a_sequence_of_undefined_length_before_the_pixels_is_stepped_over(tmp_path: Path) -> None:
    of = volume()

    def change(dataset: pydicom.Dataset) -> None:
        inner = pydicom.Dataset()
        inner.CodeValue = "1"
        outer = pydicom.Dataset()
        outer.PurposeOfReferenceCodeSequence = [inner]
        dataset.ReferencedImageSequence = [outer, outer]
        dataset["ReferencedImageSequence"].is_undefined_length = True
        for item in dataset.ReferencedImageSequence:
            item.is_undefined_length_sequence_item = True

    paths = write(tmp_path, of)
    edit(paths, change)
    assert np.array_equal(load(tmp_path).volume.hu, of.hu)


def test_a_long_private_header_is_read_to_its_end(tmp_path: Path) -> None:
    of = volume()

    def change(dataset: pydicom.Dataset) -> None:
        block = dataset.private_block(0x0029, "TEST", create=True)
        block.add_new(0x10, "OB", b"\0" * 300_000)

    edit(write(tmp_path, of), change)
    assert np.array_equal(load(tmp_path).volume.hu, of.hu)
