"""Bad input ends with a sentence and the right code; no traceback, and nothing half-written is left behind."""

import ctypes
import resource
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from tests.cli.programs import called, cspine, files_below
from tests.models.coded import coded_case
from tests.workflow.oracle import SPACING_MM, coded_phantom, write_coded

SROW = 280  # where the affine stands in a NIfTI-1 header
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


@dataclass(frozen=True)
class Bad:
    """A kind of bad input: how to make it, and how the program must answer."""

    make: Callable[[Path], Path]
    code: int
    message: str


def empty_folder(root: Path) -> Path:
    (root / "in").mkdir()
    return root / "in"


def no_such_path(root: Path) -> Path:
    return root / "nowhere"


def truncated_slices(root: Path) -> Path:
    folder = write_coded(root / "in", "2.25.1")
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:-2000])
    return folder


def truncated_nifti(root: Path) -> Path:
    path = coded_nifti(root / "cut.nii.gz")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def zip_bomb(root: Path) -> Path:
    path = root / "bomb.zip"
    zeros = bytes(1 << 20)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("1.dcm", "w", force_zip64=True) as member,
    ):
        for _ in range(300):
            member.write(zeros)
    return path


def zip_with_a_way_out(root: Path) -> Path:
    path = root / "way-out.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../escaped.dcm", b"DICM")
    return path


def empty_file(root: Path) -> Path:
    (root / "empty.dcm").touch()
    return root / "empty.dcm"


def text_file(root: Path) -> Path:
    (root / "readme.txt").write_text("no image")
    return root / "readme.txt"


def three_slices(root: Path) -> Path:
    folder = write_coded(root / "in", "2.25.1")
    for path in folder.iterdir():
        if int(path.stem) > 3:
            path.unlink()
    return folder


def color_images(root: Path) -> Path:
    folder = write_coded(root / "in", "2.25.1")
    for path in folder.iterdir():
        image = pydicom.dcmread(path)
        image.SamplesPerPixel, image.PhotometricInterpretation, image.PlanarConfiguration = 3, "RGB", 0
        image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 8, 8, 7, 0
        image.PixelData = bytes(image.Rows * image.Columns * 3)
        image.save_as(path)
    return folder


def coded_nifti(path: Path) -> Path:
    volume, _, _ = coded_case(spacing_mm=SPACING_MM)
    z, y, x = volume.grid.spacing_mm
    # Columns run to the left, rows to the back, slices to the feet; NIfTI points right, front and head.
    nibabel.save(nibabel.Nifti1Image(np.transpose(volume.hu), np.diag([-x, -y, -z, 1.0])), path)
    return path


def nan_affine(root: Path) -> Path:
    path = coded_nifti(root / "nan.nii")
    data = bytearray(path.read_bytes())
    data[SROW : SROW + 48] = np.full(12, np.nan, dtype="<f4").tobytes()
    path.write_bytes(data)
    return path


def air_only(root: Path) -> Path:
    image = nibabel.Nifti1Image(np.full((40, 40, 40), -1000, dtype=np.int16), np.eye(4))
    nibabel.save(image, root / "air.nii.gz")
    return root / "air.nii.gz"


BAD = {
    "an empty folder": Bad(empty_folder, 3, "no file was found"),
    "a path that is not there": Bad(no_such_path, 7, "nowhere does not exist"),
    "truncated slices": Bad(truncated_slices, 3, "truncated"),
    "a truncated NIfTI": Bad(truncated_nifti, 3, "cut.nii.gz: damaged"),
    "a zip bomb": Bad(zip_bomb, 3, "a zip bomb"),
    "a zip that leads out": Bad(zip_with_a_way_out, 3, "leads out of the archive"),
    "a file of no bytes": Bad(empty_file, 3, "empty.dcm"),
    "a text": Bad(text_file, 3, "readme.txt"),
    "three slices": Bad(three_slices, 3, "3 slices; at least 4 are needed"),
    "color images": Bad(color_images, 3, "RGB"),
    "an affine of no numbers": Bad(nan_affine, 3, "the affine is not finite"),
    "nothing but air": Bad(air_only, 3, "empty"),
}


@pytest.mark.parametrize(
    "run", [called, pytest.param(cspine, marks=pytest.mark.slow)], ids=["in this process", "in its own process"]
)
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused_with_a_sentence(run, bad, bundle, tmp_path):
    source = bad.make(tmp_path)
    before = files_below(tmp_path)
    said = run("detect", source, "--bundle", bundle, "--out", tmp_path / "out", "-v")
    assert said.code == bad.code, said.err
    assert bad.message in said.err
    assert "internal error" not in said.err
    assert said.out == ""
    assert files_below(tmp_path) == before
    assert not (tmp_path / "out").exists()


def test_the_json_document_tells_of_bad_input_too(bundle, tmp_path):
    said = called("detect", empty_folder(tmp_path), "--bundle", bundle, "--out", tmp_path / "out", "--json")
    assert said.document["error"]["kind"] == "NoImages"
    assert said.document["exit_code"] == said.code == 3
    assert said.document["studies"] == []


def test_a_sound_nifti_of_the_same_kind_is_read(bundle, tmp_path):
    said = called(
        "detect", coded_nifti(tmp_path / "sound.nii.gz"), "--bundle", bundle, "-o", tmp_path / "out", "-f", "json"
    )
    assert said.code == 0, said.err


def _without_override() -> None:
    """Give up root's right to read everything; nothing changes for other users."""
    libc = ctypes.CDLL(None, use_errno=True)
    for right in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        libc.prctl(PR_CAPBSET_DROP, right, 0, 0, 0)


@pytest.fixture
def locked(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir()
    yield folder
    folder.chmod(0o700)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="rights are dropped in the way of Linux")
def test_a_folder_without_permission_is_refused(bundle, locked, tmp_path):
    locked.chmod(0o000)
    said = cspine("detect", locked, "--bundle", bundle, "-o", tmp_path / "out", before=_without_override)
    assert said.code == 7
    assert "locked: no permission to read it" in said.err


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="rights are dropped in the way of Linux")
def test_a_folder_that_may_not_be_written_is_refused(bundle, study, locked):
    locked.chmod(0o500)
    said = cspine("detect", study, "--bundle", bundle, "-o", locked / "out", before=_without_override)
    assert said.code == 7
    assert "Permission denied" in said.err
    assert list(locked.iterdir()) == []


def _small_files() -> None:
    """Let no file grow beyond what `findings.json` needs."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


def test_a_disk_that_fills_up_leaves_nothing_half_written(bundle, tmp_path):
    source = coded_nifti(tmp_path / "sound.nii.gz")
    said = cspine("detect", source, "--bundle", bundle, "-o", tmp_path / "out", before=_small_files)
    assert said.code == 7
    assert "no space left on the disk" in said.err
    assert files_below(tmp_path) == ["sound.nii.gz"]


@pytest.fixture
def tiny_disk(small_disk):
    """Return a mounted disk of 64 KiB."""
    return small_disk(64 << 10)


def test_a_full_disk_is_named_and_holds_no_half_written_document(bundle, study, tiny_disk):
    said = called("detect", study, "--bundle", bundle, "-o", tiny_disk / "out")
    assert said.code == 7
    assert "no space left on the disk" in said.err
    assert files_below(tiny_disk) == []


def test_a_phantom_run_on_a_full_disk_leaves_nothing_half_written(tiny_disk, monkeypatch):
    monkeypatch.setattr("cspine.datasets.phantom_studies.make_case", coded_phantom)
    said = called("phantom", "make", "-o", tiny_disk / "made", "--matrix", 64, "--finest", 4)
    assert said.code == 7
    assert "No space left" in said.err or "no space left" in said.err
    assert files_below(tiny_disk) == ["made/plan.json"]
