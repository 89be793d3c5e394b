"""Files from public repositories, sound and broken: each ends as read, listed or refused with a sentence."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cspine.dicom import LoadedSeries, Series, choose_series, scan, to_volume
from cspine.dicom.decode import decode
from cspine.dicom.notes import is_lossy
from cspine.dicom.syntaxes import SYNTAXES as KNOWN
from cspine.dicom.volume import decode_images, decode_job
from cspine.domain import InputError, NotAVolume, UnsupportedSeries
from tests.dicom.builders import codes, message

SharedData = Callable[[str], Path]
SYNTAXES = "dicom/ct-one-slice-15-transfer-syntaxes"
LOSSLESS = (
    "CTImage.dcm",
    "CTImage.dcm_LittleEndianImplicitTransferSyntax_1.2.840.10008.1.2.dcm",
    "CTImage.dcm_LittleEndianExplicitTransferSyntax_1.2.840.10008.1.2.1.dcm",
    "CTImage.dcm_DeflatedExplicitVRLittleEndianTransferSyntax_1.2.840.10008.1.2.1.99.dcm",
    "CTImage.dcm_BigEndianExplicitTransferSyntax_1.2.840.10008.1.2.2.dcm",
    "CTImage.dcm_JPEGProcess14TransferSyntax_1.2.840.10008.1.2.4.57.dcm",
    "CTImage.dcm_JPEGProcess14SV1TransferSyntax_1.2.840.10008.1.2.4.70.dcm",
    "CTImage.dcm_JPEGLSLosslessTransferSyntax_1.2.840.10008.1.2.4.80.dcm",
    "CTImage.dcm_JPEG2000LosslessOnlyTransferSyntax_1.2.840.10008.1.2.4.90.dcm",
    "CTImage.dcm_RLELosslessTransferSyntax_1.2.840.10008.1.2.5.dcm",
)
LOSSY_JPEG = ("50", "51", "53", "55")


def only_series(path: Path) -> Series:
    (study,) = scan([path]).studies
    (series,) = study.series
    return series


def read_all(folder: Path) -> dict[str, LoadedSeries | InputError]:
    """Return what every series below a folder ends as, by its UID and part."""
    outcome: dict[str, LoadedSeries | InputError] = {}
    for study in scan([folder]).studies:
        for series in study.series:
            try:
                outcome[series.name] = to_volume(series)
            except InputError as refused:
                outcome[series.name] = refused
    return outcome


@pytest.mark.parametrize("name", LOSSLESS)
def test_every_lossless_syntax_gives_the_same_hu(shared_data: SharedData, name: str) -> None:
    reference = decode_images(only_series(shared_data(f"{SYNTAXES}/{LOSSLESS[0]}")).images)
    (hu,) = decode_images(only_series(shared_data(f"{SYNTAXES}/{name}")).images)
    assert np.array_equal(hu, reference[0])
    assert hu.dtype == np.int16
    assert (int(hu.min()), int(hu.max()), int(hu.sum(dtype=np.int64))) == (-1024, 1378, -137250693)


@pytest.mark.parametrize("process", LOSSY_JPEG)
def test_lossy_jpeg_is_refused(shared_data: SharedData, process: str) -> None:
    (path,) = shared_data(SYNTAXES).glob(f"*1.2.840.10008.1.2.4.{process}.dcm")
    with pytest.raises(UnsupportedSeries, match="lossy\\); HU cannot be recovered from it, send the original images"):
        to_volume(only_series(path))


@pytest.mark.parametrize(("name", "within_hu"), [("JPEG2000TransferSyntax*4.91", 60), ("JPEGLSLossy*4.81", 4)])
def test_other_lossy_syntaxes_come_close_and_count_as_lossy(shared_data: SharedData, name: str, within_hu: int) -> None:
    (path,) = shared_data(SYNTAXES).glob(f"*{name}.dcm")
    series = only_series(path)
    assert is_lossy(series.kind)
    (reference,) = decode_images(only_series(shared_data(f"{SYNTAXES}/{LOSSLESS[0]}")).images)
    (hu,) = decode_images(series.images)
    assert 0 < np.abs(hu.astype(int) - reference).max() <= within_hu


def test_a_real_tilted_series_is_straightened(shared_data: SharedData) -> None:
    read = to_volume(only_series(shared_data("dicom/bad-geometry-series/gantrytilting/001")))
    assert message(read, "gantry-tilt").startswith("the stack is tilted by 14.0°")
    assert read.volume.grid.spacing_mm == pytest.approx((5 * np.cos(np.radians(14)), 0.41796875, 0.41796875), abs=1e-4)


def test_a_real_uneven_series_is_bridged(shared_data: SharedData) -> None:
    read = to_volume(only_series(shared_data("dicom/bad-geometry-series/sliceincrement/001")))
    assert message(read, "missing-slices").startswith("slices are missing between 28.1 … 38.1 mm")
    assert read.volume.grid.shape == (5, 512, 512)


def test_a_real_tilted_series_with_a_missing_slice_is_told_as_both(shared_data: SharedData) -> None:
    read = to_volume(only_series(shared_data("dicom/bad-geometry-series/sliceincrement/002")))
    assert codes(read) == {"gantry-tilt", "missing-slices"}


@pytest.mark.parametrize(
    ("folder", "sentence"),
    [
        ("slicecount/001", "not a CT image: modality MR"),
        ("sliceorientation/001", "not a CT image: modality MR"),
        ("notavolume/001", "1 slices; at least 4 are needed"),
    ],
)
def test_what_is_no_ct_volume_is_refused(shared_data: SharedData, folder: str, sentence: str) -> None:
    (study,) = scan([shared_data(f"dicom/bad-geometry-series/{folder}")]).studies
    with pytest.raises(InputError, match=sentence):
        choose_series(study.series)


def test_single_slices_of_the_wrong_part_are_refused(shared_data: SharedData) -> None:
    outcomes = read_all(shared_data("real/wrong-part"))
    assert len(outcomes) == 4
    for outcome in outcomes.values():
        assert isinstance(outcome, NotAVolume)
        assert "1 slices; at least 4 are needed for a volume" in str(outcome)


def test_the_real_thorax_is_read_with_its_thickness_flagged(shared_data: SharedData) -> None:
    read = to_volume(only_series(shared_data("real/onkodicom-thorax/dicom")))
    assert codes(read) == {"thick-slices", "other-body-part"}
    assert read.volume.grid.shape == (105, 512, 512)
    assert read.volume.grid.spacing_mm == pytest.approx((4.0, 1.26953125, 1.26953125))
    assert read.volume.hu.dtype == np.int16
    assert len(read.slices) == 105


@pytest.mark.parametrize("folder", ["pydicom-test-files", "bad-geometry-series", "ct-one-slice-15-transfer-syntaxes"])
def test_every_odd_file_ends_as_read_listed_or_refused(shared_data: SharedData, folder: str) -> None:
    root = shared_data(f"dicom/{folder}")
    found = scan([root])
    files = {path for path in root.rglob("*") if path.is_file()}
    used = {
        image.pixels.path for study in found.studies for one in study.series for image in one.images if image.pixels
    }
    named = {image.name.split(", frame")[0] for study in found.studies for one in study.series for image in one.images}
    listed = {skipped.name for skipped in found.skipped}
    assert used <= named
    assert {str(path) for path in files} == named | listed
    assert all(skipped.reason for skipped in found.skipped)
    for outcome in read_all(root).values():
        assert isinstance(outcome, LoadedSeries) or len(str(outcome)) > 20


def test_pixels_of_every_odd_file_harm_only_a_child(shared_data: SharedData) -> None:
    """Decode whatever the headers call a 16-bit gray image, refusals set aside."""
    sentences: list[str] = []
    attempted = 0
    for study in scan([shared_data("dicom/pydicom-test-files")]).studies:
        for image in (image for series in study.series for image in series.images):
            syntax = KNOWN.get(image.kind.transfer_syntax)
            complete = image.pixels and image.kind.rows and image.kind.columns and image.kind.bits_allocated
            if syntax is None or syntax.codec is None or not complete or image.kind.bits_stored is None:
                continue
            attempted += 1
            try:
                job = decode_job(image, "float32", 0, False)
                decode([job], 4 * (image.kind.rows or 0) * (image.kind.columns or 0))
            except UnsupportedSeries as refused:
                sentences.append(str(refused))
    assert attempted > 50
    assert sentences
    assert all("pixel data cannot be decoded" in sentence for sentence in sentences)
