"""What is written is read again: same voxels at the same world points, whatever the orientation or file order."""

import random
import re
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from cspine.dicom import (
    Numbering,
    StoredAs,
    StudyHeader,
    Vendor,
    choose_series,
    scan,
    to_volume,
    write_ct_series,
)
from cspine.domain import FlagCode, Grid, Rejected, Volume
from tests.dicom.builders import ORIENTATIONS, load, volume, write


def assert_same_in_space(read: Volume, written: Volume) -> None:
    a, b = read.canonical(), written.canonical()
    assert a.grid.shape == b.grid.shape
    assert np.abs(a.grid.affine - b.grid.affine).max() < 1e-6
    assert np.array_equal(a.hu, b.hu)


@pytest.mark.parametrize("directions", ORIENTATIONS, ids=lambda d: "".join(str(int(v)) for v in d.ravel()))
def test_every_axis_orientation_comes_back_in_place(tmp_path: Path, directions: np.ndarray) -> None:
    written = volume((6, 20, 24), (1.5, 0.5, 0.7), directions)
    write(tmp_path, written)
    read = load(tmp_path)
    assert_same_in_space(read.volume, written)
    assert read.flags == ()
    assert read.volume.hu.dtype == np.int16


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from(list(Vendor)), st.sampled_from(list(StoredAs)))
def test_oblique_stacks_of_every_maker_come_back_in_place(
    tmp_path_factory: pytest.TempPathFactory, seed: int, vendor: Vendor, stored_as: StoredAs
) -> None:
    folder = tmp_path_factory.mktemp("oblique")
    rng = np.random.default_rng(seed)
    directions = Rotation.random(random_state=seed).as_matrix()
    written = volume((4, 16, 18), tuple(rng.uniform(0.3, 3, 3)), directions, seed)
    write_ct_series(
        written,
        folder,
        vendor=vendor,
        stored_as=stored_as,
        numbering=Numbering(int(rng.integers(0, 900)), bool(rng.integers(2))),
    )
    assert_same_in_space(load(folder).volume, written)


def test_file_order_and_names_change_no_byte(tmp_path: Path) -> None:
    paths = write(tmp_path / "a")
    first = load(*paths)
    other = tmp_path / "b"
    other.mkdir()
    names = random.Random(3).sample(range(1000), len(paths))
    shuffled = [path.rename(other / f"{name:x}") for path, name in zip(paths, names, strict=True)]
    random.Random(4).shuffle(shuffled)
    second = load(*shuffled)
    assert first.volume.hu.tobytes() == second.volume.hu.tobytes()
    assert first.volume.grid == second.volume.grid
    assert first.slices == second.slices


def test_a_series_built_in_another_order_gives_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path, volume(directions=Rotation.random(random_state=5).as_matrix()))
    (study,) = scan([tmp_path]).studies
    (series,) = study.series
    turned = type(series)(series.study_uid, series.series_uid, series.images[::-1])
    assert to_volume(series).volume.grid == to_volume(turned).volume.grid


@pytest.mark.parametrize("backward", [False, True])
def test_instance_numbers_do_not_decide_the_order(tmp_path: Path, backward: bool) -> None:
    written = volume()
    paths = write_ct_series(written, tmp_path, numbering=Numbering(7, backward))
    assert paths[0].name == ("18.dcm" if backward else "7.dcm")
    read = load(tmp_path)
    assert_same_in_space(read.volume, written)
    numbers = [ref.instance_number for ref in read.slices]
    assert numbers == (list(range(18, 6, -1)) if backward else list(range(7, 19)))


def test_each_slice_refers_to_the_image_that_it_came_from(tmp_path: Path) -> None:
    paths = write(tmp_path)
    read = load(tmp_path)
    datasets = [pydicom.dcmread(path) for path in paths]
    assert [ref.sop_instance_uid for ref in read.slices] == [ds.SOPInstanceUID for ds in datasets]
    for k, ref in enumerate(read.slices):
        assert np.allclose(read.volume.grid.to_world(np.array([k, 0, 0])), ref.position_lps_mm, atol=1e-9)


def test_rows_and_columns_stay_as_stored(tmp_path: Path) -> None:
    written = volume()
    write(tmp_path, written)
    read = load(tmp_path).volume
    assert read.grid.shape == written.grid.shape
    assert np.array_equal(read.hu, written.hu)
    assert read.grid.frame_uid is not None


@pytest.mark.parametrize("vendor", list(Vendor))
@pytest.mark.parametrize("stored_as", list(StoredAs))
def test_written_images_pass_dciodvfy(
    tmp_path: Path, require_program: Callable[[str], str], vendor: Vendor, stored_as: StoredAs
) -> None:
    header = StudyHeader(
        patient_name="Müller^Jörg", patient_id="1", study_date="20240229", study_time="101500", is_phantom=True
    )
    paths = write_ct_series(volume(), tmp_path, header=header, vendor=vendor, stored_as=stored_as)
    told = subprocess.run([require_program("dciodvfy"), str(paths[3])], capture_output=True, text=True, check=False)
    report = told.stdout + told.stderr
    assert "CTImage" in report
    assert not re.search(r"^Error", report, re.MULTILINE), report


def test_another_decoder_reads_the_same_hu_from_jpeg_lossless(
    tmp_path: Path, require_program: Callable[[str], str]
) -> None:
    written = volume()
    paths = write_ct_series(written, tmp_path, stored_as=StoredAs.JPEG_LOSSLESS, vendor=Vendor.GE)
    assert pydicom.dcmread(paths[5]).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.70"
    raw = tmp_path / "raw.dcm"
    subprocess.run([require_program("dcmdjpeg"), str(paths[5]), str(raw)], check=True, capture_output=True)
    dataset = pydicom.dcmread(raw)
    read = dataset.pixel_array * int(dataset.RescaleSlope) + int(dataset.RescaleIntercept)
    assert np.array_equal(read, written.hu[5])


def test_the_header_comes_back(tmp_path: Path) -> None:
    header = StudyHeader(
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.4",
        patient_name="Yamada^Tarou=山田^太郎",
        patient_id="P-1",
        birth_date="19700101",
        patient_sex="M",
        patient_age="054Y",
        accession_number="A9",
        study_date="20240102",
        study_time="030405",
        study_description="Halswirbelsäule",
        series_description="HWS 0,6 Knochen",
        series_number="4",
        body_part="NECK",
        kernel="Br64",
        contrast_agent="OMNIPAQUE 300",
        manufacturer="Maker",
        scanner_model="Model",
        slice_thickness_mm=0.6,
    )
    write(tmp_path, header=header)
    assert load(tmp_path).header == header


@pytest.mark.parametrize(("age", "years"), [("008Y", 8), ("018M", 2), ("003W", 0), ("015Y", 15)])
def test_a_child_is_told_from_the_age_in_the_header(tmp_path: Path, age: str, years: int) -> None:
    write(tmp_path, header=StudyHeader(patient_age=age))
    (flag,) = load(tmp_path).flags
    assert flag.code is FlagCode.CHILD
    assert f"the patient is {years} years old; growth plates look like breaks below 18" in flag.message


@pytest.mark.parametrize("age", ["018Y", "300M", ""])
def test_an_adult_and_a_patient_of_unknown_age_are_not_flagged(tmp_path: Path, age: str) -> None:
    write(tmp_path, header=StudyHeader(patient_age=age))
    assert load(tmp_path).flags == ()


@pytest.mark.parametrize(
    ("agent", "flagged"), [("Omnipaque 300", True), ("NONE", False), ("none ", False), ("", False)]
)
def test_a_contrast_agent_in_the_header_is_told(tmp_path: Path, agent: str, flagged: bool) -> None:
    write(tmp_path, header=StudyHeader(contrast_agent=agent))
    flags = load(tmp_path).flags
    assert [flag.code for flag in flags] == [FlagCode.CONTRAST_MEDIUM] * flagged
    assert all("(Omnipaque 300)" in flag.message for flag in flags)


def test_a_phantom_is_marked_and_recognized(tmp_path: Path) -> None:
    (path, *_) = write(tmp_path, header=StudyHeader(is_phantom=True))
    read = load(tmp_path)
    assert read.header.is_phantom
    assert [flag.code.value for flag in read.flags] == ["phantom"]
    dataset = pydicom.dcmread(path)
    assert dataset.PatientName == "PHANTOM^CSPINE"
    assert dataset.StudyDescription == "PHANTOM"
    assert dataset.ImageComments.startswith("PHANTOM")


def test_same_seed_same_uids_and_bytes_other_seed_other_uids(tmp_path: Path) -> None:
    first, again = write(tmp_path / "a"), write(tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    other = write_ct_series(volume(), tmp_path / "c", seed=1)
    assert pydicom.dcmread(first[0]).StudyInstanceUID != pydicom.dcmread(other[0]).StudyInstanceUID


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(Rejected, match=r"12\.dcm exists|1\.dcm exists"):
        write(tmp_path)


def test_nothing_is_left_when_the_disk_takes_no_more(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(Rejected, match="no space left on the disk; nothing was written"):
            write(tmp_path / "series", volume((8, 64, 64)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "series").iterdir()) == []


def test_hu_that_a_maker_cannot_store_are_clipped(tmp_path: Path) -> None:
    grid = Grid.from_axes((4, 16, 16), (1, 1, 1))
    hu = np.full(grid.shape, -1000, np.float32)
    hu[2, 3, 4], hu[2, 3, 5] = 9000.4, 12.6
    write(tmp_path, Volume(grid, hu), Vendor.SIEMENS)
    read = load(tmp_path).volume.canonical().hu
    assert read[2, 3, 4] == 4095 - 1024
    assert read[2, 3, 5] == 13


def test_a_study_of_two_series_is_read_by_choice(tmp_path: Path) -> None:
    header = StudyHeader(study_instance_uid="1.2.3", kernel="B30s")
    write(tmp_path / "soft", header=header)
    write_ct_series(volume(), tmp_path / "bone", header=StudyHeader(study_instance_uid="1.2.3", kernel="B70s"))
    (study,) = scan([tmp_path]).studies
    choice = choose_series(study.series)
    assert choice.chosen.kind.kernel == "B70s"
    (unused,) = choice.not_used
    assert unused.reason == "kernel B30s is not a bone kernel"
