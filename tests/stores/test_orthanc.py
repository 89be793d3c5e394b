"""A real archive: what is sent there comes back byte for byte, by every way there is."""

import numpy as np
import pytest

from cspine.dicom import Storage, StoredAs, StudyHeader, StudyQuery, body_offset, write_ct_images
from cspine.domain import Grid, NoImages, Rejected, Unreachable, Volume
from cspine.stores import Access, Inbox, RemoteSource, RemoteStore, open_store
from tests.stores.dimse.peer import LEFT_OPEN
from tests.stores.objects import as_file, ct_dataset, ct_file
from tests.stores.orthanc import DIMSE_PORT, PASSWORD, USER, WEB_PORT, Orthanc

STUDY = "2.25.770077"
SLICES = 10
ACCESS = Access(user=USER, password=PASSWORD)


def _store(orthanc: Orthanc, way: str) -> RemoteStore:
    address = getattr(orthanc, way)
    return open_store(address, ACCESS if way == "web" else None)


@pytest.fixture(scope="module")
def volume() -> Volume:
    hu = np.random.default_rng(3).integers(-200, 1200, (SLICES, 24, 20), dtype=np.int16)
    return Volume(Grid.from_axes(hu.shape, (2.0, 1.5, 1.5), (0.0, 0.0, 0.0)), hu)


@pytest.fixture(scope="module")
def files(tmp_path_factory, volume) -> dict[str, bytes]:
    """Return slices in two transfer syntaxes."""
    header = StudyHeader(study_instance_uid=STUDY, series_instance_uid=f"{STUDY}.1", patient_id="MRN-7")
    storage = Storage(stored_as=(StoredAs.RAW, StoredAs.JPEG_LOSSLESS))
    paths = write_ct_images(volume, tmp_path_factory.mktemp("ct"), storage, header=header)
    return {path.name: path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def filled(orthanc, files) -> Orthanc:
    """Return the archive with the study, sent once by each protocol, and an object that is no image."""
    for way in ("web", "dimse"):
        _store(orthanc, way).send_all(files)
    return orthanc


@pytest.mark.parametrize("way", ["web", "dimse"])
def test_the_archive_answers_and_lists_the_study_once_though_it_was_sent_twice(filled, way):
    store = _store(filled, way)
    store.echo()
    (entry,) = store.find_studies(StudyQuery(patient_id="MRN-7"), 10)
    assert (entry.study_uid, entry.modalities, entry.images) == (STUDY, "CT", SLICES)
    (series,) = store.find_series(STUDY)
    assert (series.series_uid, series.modality, series.images) == (f"{STUDY}.1", "CT", SLICES)
    assert store.find_studies(StudyQuery(patient_id="nobody"), 10) == []
    assert store.find_series("2.25.1") == []


@pytest.mark.parametrize("way", ["web", "dimse", "move"])
def test_every_image_comes_back_byte_for_byte_in_its_own_transfer_syntax(filled, files, way, tmp_path):
    inbox = Inbox(tmp_path)
    _store(filled, way).fetch(STUDY, f"{STUDY}.1", inbox)
    study = inbox.seal(STUDY)
    assert study is not None
    came = {path.read_bytes() for path in study.folder.iterdir()}
    assert {one[body_offset(one) :] for one in came} == {one[body_offset(one) :] for one in files.values()}
    if way == "web":
        assert came == set(files.values())


@pytest.mark.parametrize("way", ["web", "dimse", "move"])
def test_a_study_of_the_archive_is_a_source_like_any_other(filled, volume, way):
    with RemoteSource(_store(filled, way), STUDY) as source:
        (study,) = source.studies()
        loaded = study.load()
    assert study.study_uid == STUDY
    np.testing.assert_array_equal(np.sort(loaded.volume.hu, axis=None), np.sort(volume.hu, axis=None))
    assert loaded.volume.grid.spacing_mm == pytest.approx(volume.grid.spacing_mm)


def test_a_study_or_series_that_is_not_there_is_named(filled):
    with (
        pytest.raises(NoImages, match=r"dicom-web has no study 2\.25\.1"),
        RemoteSource(_store(filled, "web"), "2.25.1") as source,
    ):
        source.studies()
    with (
        pytest.raises(NoImages, match=rf"study {STUDY} has no series 1\.2\.3; it has {STUDY}\.1 \(CT\)"),
        RemoteSource(_store(filled, "dimse"), STUDY, "1.2.3") as source,
    ):
        source.studies()


def test_only_ct_is_fetched_and_the_rest_is_told(orthanc):
    other = ct_dataset("2.25.88", 1)
    other.Modality = "OT"
    _store(orthanc, "web").send("other", as_file(other))
    with (
        pytest.raises(NoImages, match=r"has no CT series; it has 2\.25\.88\.1 \(OT\)"),
        RemoteSource(_store(orthanc, "dimse"), "2.25.88") as source,
    ):
        source.studies()


@LEFT_OPEN
def test_wrong_credentials_titles_and_ports_are_told_apart(orthanc):
    web, dimse = f"dicomweb://127.0.0.1:{WEB_PORT}/dicom-web", f"127.0.0.1:{DIMSE_PORT}"
    with pytest.raises(Rejected, match="answered 401: the store wants other credentials") as caught:
        open_store(web, Access(user=USER, password="wrong")).echo()
    assert caught.value.status == "401"
    with pytest.raises(Rejected, match="it is not called OTHER; check the AE title"):
        open_store(f"dimse://CSPINE@{dimse}/OTHER").echo()
    with pytest.raises(Rejected, match="in the midst of C-FIND; it may not allow that to STRANGER"):
        open_store(f"dimse://STRANGER@{dimse}/ORTHANC").find_series(STUDY)
    with pytest.raises(Unreachable, match=r"ORTHANC at 127\.0\.0\.1:9 cannot be reached: Connection refused"):
        open_store("dimse://127.0.0.1:9/ORTHANC").echo()
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9/dicom-web cannot be reached"):
        open_store("dicomweb://127.0.0.1:9/dicom-web").echo()
    with pytest.raises(Rejected, match="is it a DICOM port"):
        open_store(f"dimse://127.0.0.1:{WEB_PORT}/ORTHANC").echo()


def test_what_the_archive_does_not_take_is_an_error_that_says_so(orthanc):
    strange = ct_dataset("2.25.89", 1)
    strange.SOPClassUID = strange.file_meta.MediaStorageSOPClassUID = "1.2.3.4.5"
    with pytest.raises(Rejected, match=r"offers nothing of what was asked for \(1\.2\.3\.4\.5\)"):
        _store(orthanc, "dimse").send("strange", as_file(strange))
    with pytest.raises(Rejected, match=r"did not store|answered"):
        _store(orthanc, "web").send("garbage", b"no DICOM at all")


def test_an_image_that_the_archive_has_already_is_no_error(filled):
    for way in ("web", "dimse"):
        for _ in range(2):
            _store(filled, way).send("one", ct_file("2.25.90", 1))
        (entry,) = _store(filled, way).find_studies(StudyQuery(study_uid="2.25.90"), 10)
        assert entry.images == 1
