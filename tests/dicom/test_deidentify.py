"""Nothing that points to the patient is left in an export, and the images still form the same volume."""

from io import BytesIO

import numpy as np
import pydicom
import pytest

from cspine.dicom import StudyHeader, deidentified_images, scan, to_volume, write_ct_series
from cspine.domain import Grid, NoImages, Volume

# Of PS3.15 Table E.1-1, with secrets that must not be found again.
SECRETS = {
    "PatientName": "Secret^Name",
    "PatientID": "SECRET-1",
    "PatientBirthDate": "19700102",
    "OtherPatientIDs": "SECRET-2",
    "PatientAddress": "Secret street 3",
    "ReferringPhysicianName": "Secret^Doctor",
    "InstitutionName": "Secret hospital",
    "StationName": "SECRET-CT",
    "DeviceSerialNumber": "SECRET-4",
    "AccessionNumber": "SECRET-5",
    "StudyID": "SECRET-6",
    "StudyDate": "20240305",
    "AcquisitionDate": "20240305",
    "ContentTime": "101500",
    "StudyDescription": "Secret study",
    "SeriesDescription": "Secret series",
    "ProtocolName": "Secret protocol",
    "ImageComments": "Secret comment",
    "OperatorsName": "Secret^Operator",
    "RequestedProcedureDescription": "Secret request",
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("named")
    hu = np.random.default_rng(1).integers(-1000, 1000, (4, 16, 16)).astype(np.int16)
    grid = Grid.from_axes((4, 16, 16), (2.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    write_ct_series(
        Volume(grid, hu), folder, header=StudyHeader(study_instance_uid="1.2.3", patient_name="Secret^Name")
    )
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        dataset = pydicom.dcmread(path)
        for keyword, value in SECRETS.items():
            setattr(dataset, keyword, value)
        dataset.private_block(0x11, "SECRET", create=True).add_new(1, "LO", "Secret private")
        dataset.save_as(path)
    return files


def test_nothing_that_points_to_the_patient_is_left(images):
    for content in deidentified_images(images, b"k", "ANONYMOUS"):
        made = pydicom.dcmread(BytesIO(content))
        assert b"ecret" not in content.replace(b"SECRET", b"Secret")
        assert [k for k, v in SECRETS.items() if made.get(k) and str(made[k].value) == v] == []
        assert (made.PatientIdentityRemoved, str(made.PatientName)) == ("YES", "ANONYMOUS")
        assert made.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
        assert b"1.2.3\0" not in content
        assert not any(element.tag.is_private for element in made)


def test_the_images_still_form_the_same_volume(images, tmp_path):
    for number, content in enumerate(deidentified_images(images, b"k", "ANONYMOUS")):
        (tmp_path / str(number)).write_bytes(content)
    ((before,), (after,)) = (scan([path]).studies[0].series for path in (images[0].parent, tmp_path))
    assert np.array_equal(to_volume(before).volume.hu, to_volume(after).volume.hu)
    assert to_volume(before).volume.grid.affine.tolist() == to_volume(after).volume.grid.affine.tolist()


def test_two_exports_cannot_be_joined_by_their_uids(images):
    first, second = (
        {pydicom.dcmread(BytesIO(c)).StudyInstanceUID for c in deidentified_images(images, secret, "A")}
        for secret in (b"one", b"two")
    )
    assert len(first) == len(second) == 1
    assert first != second


def test_what_is_no_dicom_is_refused(tmp_path):
    (tmp_path / "x").write_bytes(b"<html>")
    with pytest.raises(NoImages, match="x: not DICOM"):
        list(deidentified_images([tmp_path / "x"], b"k", "A"))
