"""Opening whatever path a user gives, and telling what was found instead of images."""

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cspine.dicom import LoadedSeries, StudyHeader
from cspine.domain import InputError, NoImages, NotAVolume, Unreachable, UnsupportedSeries
from cspine.stores import FolderSource, NiftiSource, Source, StudySource, ZipSource, open_source
from tests.dicom.builders import codes, edit, message, setting, volume, without_privileges, write


def load_only(path: Path) -> LoadedSeries:
    with open_source(path) as source:
        (study,) = source.studies()
        return study.load()


def test_a_folder_a_file_and_a_link_are_opened(tmp_path: Path) -> None:
    of = volume()
    write(tmp_path / "series", of)
    assert np.array_equal(load_only(tmp_path).volume.hu, of.hu)
    with pytest.raises(NotAVolume, match="1 slices"):
        load_only(tmp_path / "series" / "3.dcm")


def test_every_source_keeps_the_protocol(tmp_path: Path) -> None:
    write(tmp_path)
    sources: list[Source] = [FolderSource([tmp_path], "x"), NiftiSource(tmp_path / "a.nii"), ZipSource(tmp_path)]
    for source in sources:
        source.close()
    studies: list[StudySource] = list(FolderSource([tmp_path], "x").studies())
    assert studies[0].study_uid == studies[0].name


def test_several_studies_are_all_there_and_one_bad_one_stops_none(tmp_path: Path) -> None:
    write(tmp_path / "a", volume(seed=1), header=StudyHeader(study_instance_uid="1.2.1"))
    edit(write(tmp_path / "b", header=StudyHeader(study_instance_uid="1.2.2")), setting(Modality="MR"))
    write(tmp_path / "c", volume(seed=3), header=StudyHeader(study_instance_uid="1.2.3"))
    with open_source(tmp_path) as source:
        studies = source.studies()
        assert [study.study_uid for study in studies] == ["1.2.1", "1.2.2", "1.2.3"]
        assert np.array_equal(studies[0].load().volume.hu, volume(seed=1).hu)
        with pytest.raises(UnsupportedSeries, match="not a CT image: modality MR"):
            studies[1].load()
        assert np.array_equal(studies[2].load().volume.hu, volume(seed=3).hu)


def test_a_series_may_be_named(tmp_path: Path) -> None:
    first = StudyHeader(study_instance_uid="1.2", series_instance_uid="1.2.1")
    write(tmp_path / "a", volume(seed=1), header=first)
    write(tmp_path / "b", volume((8, 24, 32)), header=replace(first, series_instance_uid="1.2.2"))
    with open_source(tmp_path) as source:
        (study,) = source.studies()
        assert study.load("1.2.2").volume.grid.shape == (8, 24, 32)
        assert study.not_used("1.2.2") == ()
        assert [unused.name for unused in study.not_used()] == ["1.2.2"]
        chosen = study.load()
        assert chosen.volume.grid.shape == (12, 24, 32)
        assert message(chosen, "series-not-used").startswith("1 other series of the study were not used (1.2.2: ")
        with pytest.raises(NoImages, match=r"study 1\.2 has no series 9\.9; it has 1\.2\.1, 1\.2\.2"):
            study.load("9.9")


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoImages, match="no file was found"):
        load_only(tmp_path)


def test_a_folder_of_other_things_is_told_with_counts(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text("x" * 200)
    (tmp_path / "empty").touch()
    with pytest.raises(NoImages, match=r"among 4 files \(3 × not a DICOM file; 1 × empty file \(0 bytes\)\)"):
        load_only(tmp_path)


@pytest.mark.parametrize("content", [b"", b"just text", b"\0" * 4000])
def test_a_file_that_is_nothing_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "thing"
    path.write_bytes(content)
    with pytest.raises(NoImages, match=r"no CT image was found: .*thing: (not a DICOM file|empty file)"):
        load_only(path)


def test_a_path_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="nowhere does not exist"):
        open_source(tmp_path / "nowhere")


def test_a_path_without_permission_is_told() -> None:
    with without_privileges() as folder:
        (folder / "closed").mkdir(mode=0)
        (folder / "closed.zip").touch(mode=0)
        for name in ("closed", "closed.zip"):
            with pytest.raises(Unreachable, match=f"{name}: no permission to read it"):
                open_source(folder / name)


def test_what_was_left_aside_is_listed(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "notes.txt").write_text("x" * 200)
    with open_source(tmp_path) as source:
        source.studies()
        assert [(Path(one.name).name, one.reason) for one in source.skipped] == [("notes.txt", "not a DICOM file")]


def test_a_folder_with_nifti_volumes_alone_is_read(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    source_file = shared_data("real/unc-cthead/cthead_1x1x2mm_hu_approx.nii.gz")
    (tmp_path / "head.nii").write_bytes(gzip.decompress(source_file.read_bytes()))
    read = load_only(tmp_path)
    assert read.volume.grid.shape == (113, 256, 256)


def test_nifti_beside_dicom_series_is_listed_not_read(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "truth.nii").write_bytes(b"\0" * 500)
    with open_source(tmp_path) as source:
        assert len(source.studies()) == 1
        assert [Path(one.name).name for one in source.skipped] == ["truth.nii"]


def test_the_real_thorax_comes_with_its_flags(shared_data: Callable[[str], Path]) -> None:
    read = load_only(shared_data("real/onkodicom-thorax"))
    assert codes(read) == {"thick-slices", "other-body-part"}


def test_the_wrong_parts_are_four_refused_studies(shared_data: Callable[[str], Path]) -> None:
    with open_source(shared_data("real/wrong-part")) as source:
        studies = source.studies()
        assert len(studies) == 4
        for study in studies:
            with pytest.raises(InputError, match="at least 4 are needed"):
                study.load()
