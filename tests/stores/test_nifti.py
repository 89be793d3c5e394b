"""NIfTI volumes: axes to LPS in every orientation, and what cannot be CT refused."""

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from cspine.domain import Grid, NoImages, NotAVolume, UnsupportedSeries, Volume
from cspine.stores import open_source, read_nifti
from tests.dicom.builders import ORIENTATIONS, codes, message, volume

RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def save(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
    """Write an array whose first axis is x, as NIfTI orders them."""
    image = nibabel.Nifti1Image(array, np.diag([0.5, 0.5, 1.0, 1.0]) if affine is None else affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
    return path


def ct(shape: tuple[int, int, int] = (20, 18, 16), dtype: str = "int16") -> np.ndarray:
    values = np.random.default_rng(0).integers(-1000, 1500, shape).astype(dtype)
    return values


@pytest.mark.parametrize("directions", ORIENTATIONS, ids=lambda d: "".join(str(int(v)) for v in d.ravel()))
@pytest.mark.parametrize("suffix", [".nii"])
def test_every_axis_orientation_comes_back_in_place(tmp_path: Path, directions: np.ndarray, suffix: str) -> None:
    written = volume((6, 20, 24), (1.5, 0.5, 0.75), directions)
    path = save(tmp_path / f"a{suffix}", np.asarray(written.hu), RAS @ written.grid.affine)
    read = read_nifti(path).volume.canonical()
    expected = written.canonical()
    assert np.array_equal(read.hu, expected.hu)
    assert np.allclose(read.grid.affine, expected.grid.affine, atol=1e-4)


def test_slices_lie_along_the_third_axis(tmp_path: Path) -> None:
    read = read_nifti(save(tmp_path / "a.nii.gz", ct()))
    assert read.volume.grid.shape == (16, 18, 20)
    assert read.volume.grid.spacing_mm == pytest.approx((1.0, 0.5, 0.5))
    assert read.volume.hu.dtype == np.int16
    assert read.slices == ()
    assert read.header.study_instance_uid is None
    assert read.volume.grid.frame_uid is None


def test_it_says_that_hu_were_assumed(tmp_path: Path) -> None:
    assert "does not say that its values are HU" in message(
        read_nifti(save(tmp_path / "a.nii", ct())), "geometry-assumed"
    )


def test_a_file_without_form_codes_is_flagged(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(ct(), None)
    image.header.set_sform(None, code=0)
    image.header.set_qform(None, code=0)
    nibabel.save(image, tmp_path / "a.nii")
    flags = [flag.message for flag in read_nifti(tmp_path / "a.nii").flags]
    assert any("names no patient axes" in text for text in flags)


def test_a_fourth_axis_of_one_is_dropped(tmp_path: Path) -> None:
    assert read_nifti(save(tmp_path / "a.nii", ct()[..., None])).volume.grid.shape == (16, 18, 20)


def test_fractions_stay_float32_and_whole_floats_become_int16(tmp_path: Path) -> None:
    assert read_nifti(save(tmp_path / "a.nii", ct(dtype="float32") + np.float32(0.25))).volume.hu.dtype == np.float32
    assert read_nifti(save(tmp_path / "b.nii", ct(dtype="float64"))).volume.hu.dtype == np.int16


def test_values_below_air_become_air(tmp_path: Path) -> None:
    values = ct()
    values[0] = -3024
    assert read_nifti(save(tmp_path / "a.nii", values)).volume.hu.min() == -1024


def test_a_small_rounding_of_the_axes_is_straightened(tmp_path: Path) -> None:
    affine = np.diag([0.5, 0.5, 1.0, 1.0])
    affine[0, 1] = 2e-4
    grid = read_nifti(save(tmp_path / "a.nii", ct(), affine)).volume.grid
    assert isinstance(grid, Grid)
    assert grid.spacing_mm == pytest.approx((1.0, 0.5, 0.5), abs=1e-4)


def sheared() -> np.ndarray:
    affine = np.diag([0.5, 0.5, 1.0, 1.0])
    affine[1, 2] = 0.3
    return affine


def not_a_number() -> np.ndarray:
    affine = np.diag([0.5, 0.5, 1.0, 1.0])
    affine[0, 3] = np.nan
    return affine


def nan_values() -> np.ndarray:
    values = ct(dtype="float32")
    values[3, 3, 3] = np.nan
    return values


REFUSED = {
    "four dimensions": (lambda: np.stack([ct(), ct()], axis=-1), None, NotAVolume, "4 dimensions .*; three are needed"),
    "one slice": (lambda: ct((20, 18, 1)), None, NotAVolume, "voxels per axis"),
    "sheared": (ct, sheared, NotAVolume, r"16\.7° off a right angle"),
    "coarse": (ct, lambda: np.diag([50.0, 50.0, 50.0, 1.0]), NotAVolume, "0.05 … 10 mm are read"),
    "gray values": (lambda: np.abs(ct()) % 256, None, UnsupportedSeries, "values 0 … 255 hold no air"),
    "shifted values": (lambda: ct() + 1024, None, UnsupportedSeries, r"look like HU \+ 1024"),
    "labels": (lambda: (ct() % 8).astype("uint8"), None, UnsupportedSeries, "hold no air"),
    "holes": (nan_values, None, UnsupportedSeries, "of the voxels are not numbers"),
    "complex": (lambda: ct().astype("complex64"), None, UnsupportedSeries, "HU are real numbers"),
    "wild": (lambda: ct(dtype="float32") * 1e6, None, UnsupportedSeries, "are not HU"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_ct_is_refused(tmp_path: Path, case: str) -> None:
    values, affine, error, sentence = REFUSED[case]
    path = save(tmp_path / "a.nii", values(), affine() if affine else None)
    with pytest.raises(error, match=sentence):
        read_nifti(path)


@pytest.mark.filterwarnings("ignore")
def test_an_affine_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", ct())
    content = bytearray(path.read_bytes())
    content[280:284] = np.float32(np.nan).tobytes()
    path.write_bytes(content)
    with pytest.raises(NotAVolume, match="the affine is not finite"):
        read_nifti(path)


def test_another_unit_is_refused(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(ct(), np.eye(4))
    image.header.set_xyzt_units("micron")
    nibabel.save(image, tmp_path / "a.nii")
    with pytest.raises(UnsupportedSeries, match="the affine is in micron, not mm"):
        read_nifti(tmp_path / "a.nii")


@pytest.mark.parametrize("keep", [0, 100, 348, 2000])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_truncated_file_is_told(tmp_path: Path, keep: int, suffix: str) -> None:
    path = save(tmp_path / f"a{suffix}", ct())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(NoImages, match="damaged or not a NIfTI file"):
        read_nifti(path)


def test_a_lying_shape_is_refused_before_anything_is_allocated(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", ct())
    content = bytearray(path.read_bytes())
    content[42:48] = np.array([30000, 30000, 30000], "<i2").tobytes()
    path.write_bytes(content)
    with pytest.raises(NotAVolume, match=r"shape .30000, 30000, 30000."):
        read_nifti(path)


def test_a_gzip_of_something_else_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(b"hello" * 1000))
    with pytest.raises(NoImages, match="damaged or not a NIfTI file"):
        read_nifti(tmp_path / "a.nii.gz")


def test_a_nifti_has_no_series_to_choose(tmp_path: Path) -> None:
    with open_source(save(tmp_path / "case 7.nii.gz", ct())) as source:
        (study,) = source.studies()
        assert (study.name, study.study_uid, study.not_used()) == ("case 7", None, ())
        with pytest.raises(NoImages, match=r"has no series 1\.2"):
            study.load("1.2")


@pytest.mark.parametrize(
    ("path", "shape", "spacing", "flags"),
    [
        (
            "unc-cthead/cthead_1x1x2mm_hu_approx",
            (113, 256, 256),
            (2, 1, 1),
            {"geometry-assumed", "thick-slices"},
        ),
        ("visible-human-female-head/vhf_head_1mm_hu", (234, 512, 512), (1, 1, 1), {"geometry-assumed"}),
    ],
)
def test_the_real_heads_are_read(
    shared_data: Callable[[str], Path], path: str, shape: tuple[int, ...], spacing: tuple[float, ...], flags: set[str]
) -> None:
    read = read_nifti(shared_data(f"real/{path}.nii.gz"))
    assert isinstance(read.volume, Volume)
    assert read.volume.grid.shape == shape
    assert read.volume.grid.spacing_mm == pytest.approx(spacing)
    assert codes(read) == flags
