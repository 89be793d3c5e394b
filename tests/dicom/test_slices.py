"""Where slices lie: tilt, gaps, uneven spacing, duplicates, mixed shapes; a test or more per kind of trouble."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from cspine.dicom import StudyHeader, choose_series, scan, to_volume
from cspine.domain import NotAVolume
from tests.dicom.builders import (
    codes,
    edit,
    linear_hu,
    load,
    message,
    setting,
    smooth_volume,
    store,
    stored,
    volume,
    write,
)


def shift_in_plane(path: Path, x_mm: float, y_mm: float) -> None:
    def change(dataset: Dataset) -> None:
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x + x_mm, y + y_mm, z]

    edit([path], change)


def tilted(folder: Path, degrees: float, slices: int = 12) -> tuple[list[Path], np.ndarray]:
    """Write a stack whose planes are fixed in direction but slide along y as z rises, of HU linear in space."""
    of = smooth_volume((slices, 24, 32))
    paths = write(folder, of)
    slide = np.tan(np.radians(degrees)) * np.arange(slices) * of.grid.spacing_mm[0]
    for path, by in zip(paths, slide, strict=True):

        def change(dataset: Dataset, by: float = float(by)) -> None:
            x, y, z = dataset.ImagePositionPatient
            dataset.ImagePositionPatient = [x, y + by, z]
            moved = np.rint(stored(dataset) + 10 * by).astype(np.int16)
            store(dataset, moved)

        edit([path], change)
    return paths, slide


@pytest.mark.parametrize("degrees", [-20.0, 5.0, 15.0])
def test_gantry_tilt_is_straightened_with_the_angle_in_a_flag(tmp_path: Path, degrees: float) -> None:
    tilted(tmp_path, degrees)
    read = load(tmp_path)
    assert f"tilted by {abs(degrees):.1f}°" in message(read, "gantry-tilt")
    assert read.slices == ()
    error = np.abs(read.volume.hu - linear_hu(read.volume.grid))
    seen = read.volume.hu > -1000
    inner = seen[:, 1:-1] & seen[:, :-2] & seen[:, 2:]
    assert inner.mean() > 0.5
    assert error[:, 1:-1][inner].max() <= 1.5


def test_a_tilt_below_half_a_degree_is_straightened_without_the_word_tilt(tmp_path: Path) -> None:
    tilted(tmp_path, 0.4, slices=80)
    read = load(tmp_path)
    assert codes(read) == {"sheared"}
    assert "up to 0.6 mm" in message(read, "sheared")


def test_offsets_of_a_fraction_of_a_pixel_are_ignored(tmp_path: Path) -> None:
    paths = write(tmp_path)
    shift_in_plane(paths[4], 0.05, 0.0)
    read = load(tmp_path)
    assert codes(read) == set()
    assert len(read.slices) == 12


def test_one_slice_that_lies_aside_is_put_in_its_place(tmp_path: Path) -> None:
    paths = write(tmp_path)
    plain = load(tmp_path).volume
    shift_in_plane(paths[4], 3 * 0.75, 0.0)
    read = load(tmp_path)
    assert codes(read) == {"sheared"}
    assert read.volume.grid.shape == (12, 24, 35)
    assert np.array_equal(read.volume.hu[4, :, 3:], plain.hu[4])
    assert np.array_equal(read.volume.hu[5, :, :32], plain.hu[5])
    assert (read.volume.hu[5, :, 32:] == -1024).all()


def test_a_missing_slice_is_flagged_with_its_place_and_bridged(tmp_path: Path) -> None:
    of = smooth_volume()
    paths = write(tmp_path, of)
    paths[5].unlink()
    read = load(tmp_path)
    assert message(read, "missing-slices").startswith("slices are missing between -99.0 … -97.0 mm along the stack")
    assert read.volume.grid.shape == of.grid.shape
    assert np.abs(read.volume.hu - of.hu).max() <= 1
    assert len(read.slices) == 12
    (gap,) = read.gaps
    assert (gap.min_lps_mm[2], gap.max_lps_mm[2]) == (-99.0, -97.0)


def test_a_missing_slice_moves_no_other_one(tmp_path: Path) -> None:
    of = volume()
    paths = write(tmp_path, of)
    paths[3].unlink()
    read = load(tmp_path).volume
    others = [k for k in range(12) if k != 3]
    assert np.array_equal(read.hu[others], of.hu[others])
    assert np.allclose(read.grid.affine, of.grid.affine)


def test_a_gap_that_could_hide_a_vertebra_splits_the_stack(tmp_path: Path) -> None:
    paths = write(tmp_path, volume((40, 24, 32)))
    for path in paths[20:31]:
        path.unlink()
    (study,) = scan([tmp_path]).studies
    assert [len(series.images) for series in study.series] == [20, 9]
    choice = choose_series(study.series)
    assert len(choice.chosen.images) == 20
    whole = replace(study.series[0], images=sum((series.images for series in study.series), ()))
    with pytest.raises(NotAVolume, match=r"no slices for 12\.0 mm between -84\.0 and -72\.0 mm"):
        to_volume(whole)


def test_uneven_spacing_is_resampled_with_a_flag(tmp_path: Path) -> None:
    of = smooth_volume()
    paths = write(tmp_path, of)
    for path in paths[6:]:

        def change(dataset: Dataset) -> None:
            x, y, z = dataset.ImagePositionPatient
            dataset.ImagePositionPatient = [x, y, z + 0.4]
            store(dataset, (stored(dataset) + 8).astype(np.int16))

        edit([path], change)
    read = load(tmp_path)
    assert codes(read) == {"uneven-spacing"}
    assert np.abs(read.volume.hu - linear_hu(read.volume.grid)).max() <= 1.5


def test_positions_rounded_by_the_scanner_are_no_uneven_spacing(tmp_path: Path) -> None:
    paths = write(tmp_path, volume(spacing_mm=(0.625, 0.5, 0.75)))

    def change(dataset: Dataset) -> None:
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, y, round(float(z), 1)]

    edit(paths, change)
    assert codes(load(tmp_path)) == set()


def test_identical_duplicates_are_dropped_with_a_flag(tmp_path: Path) -> None:
    of = volume()
    paths = write(tmp_path, of)
    for path in paths[:3]:
        path.with_suffix(".copy").write_bytes(path.read_bytes())
    read = load(tmp_path)
    assert message(read, "duplicate-slices").startswith("3 images were there twice")
    assert np.array_equal(read.volume.hu, of.hu)


def test_other_pixels_at_the_same_place_are_refused_never_averaged(tmp_path: Path) -> None:
    paths = write(tmp_path)
    twin = tmp_path / "twin.dcm"
    twin.write_bytes(paths[2].read_bytes())

    def change(dataset: Dataset) -> None:
        values = stored(dataset)
        values[7, 7] += 1
        store(dataset, values)
        dataset.SOPInstanceUID = "1.2.3"

    edit([twin], change)
    with pytest.raises(NotAVolume, match="two different images at the same place"):
        load(tmp_path)


def test_two_acquisitions_of_the_same_places_are_two_series(tmp_path: Path) -> None:
    header = StudyHeader(study_instance_uid="1.2.3", series_instance_uid="1.2.3.4")
    write(tmp_path / "first", volume(seed=1), header=header)
    second = write(tmp_path / "second", volume(seed=2), header=header)
    for number, path in enumerate(second):
        edit([path], setting(AcquisitionNumber=2, SOPInstanceUID=f"1.2.3.5.{number}"))
    (study,) = scan([tmp_path]).studies
    assert [len(series.images) for series in study.series] == [12, 12]
    read = to_volume(choose_series(study.series).chosen)
    assert np.array_equal(read.volume.hu, volume(seed=1).hu)


def test_two_stacks_slipped_into_each_other_are_refused(tmp_path: Path) -> None:
    header = StudyHeader(study_instance_uid="1.2.3", series_instance_uid="1.2.3.4")
    paths = write(tmp_path / "a", volume(seed=1), header=header)
    (other,) = write(tmp_path / "b", volume(seed=2), header=header)[5:6]
    for path in paths:
        edit([path], setting(SOPInstanceUID=f"1.2.3.5.{path.stem}"))

    def change(dataset: Dataset) -> None:
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, y, z + 0.1]

    edit([other], change)
    with pytest.raises(NotAVolume, match="two stacks are mixed"):
        load(tmp_path / "a", other)


def test_all_images_at_one_place_are_no_volume(tmp_path: Path) -> None:
    edit(write(tmp_path), setting(ImagePositionPatient=[0, 0, 0]))
    with pytest.raises(NotAVolume, match="1 distinct slice positions; at least 4 are needed"):
        load(tmp_path)


def test_three_slices_are_no_volume(tmp_path: Path) -> None:
    write(tmp_path, volume((3, 24, 32)))
    with pytest.raises(NotAVolume, match="3 slices; at least 4 are needed for a volume"):
        load(tmp_path)


@pytest.mark.parametrize(("extra", "offset_mm"), [(3, 0.0), (3, -2 * 0.75), (-4, 0.0), (-4, 4 * 0.75)])
def test_slices_of_another_matrix_are_placed_where_they_belong(tmp_path: Path, extra: int, offset_mm: float) -> None:
    of = smooth_volume()
    paths = write(tmp_path, of)

    def change(dataset: Dataset) -> None:
        values = stored(dataset)
        columns = np.arange(values.shape[1] + extra) + round(offset_mm / 0.75)
        store(dataset, (values[:, :1] + np.rint(5 * 0.75 * columns)[None, :]).astype(np.int16))
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x + offset_mm, y, z]

    edit([paths[3], paths[8]], change)
    read = load(tmp_path)
    assert message(read, "mixed-shapes").startswith("2 images have another matrix; they were placed on 24 × 32 pixels")
    seen = read.volume.hu > -1024
    assert seen.mean() > 0.95
    assert np.abs(read.volume.hu - of.hu)[seen].max() <= 2
    first_pixels = [ref.first_pixel_rc for ref in read.slices]
    assert first_pixels[3] == first_pixels[8] == (0, round(offset_mm / 0.75))
    assert first_pixels[4] == (0, 0)
