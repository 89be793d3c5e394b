"""A study from an archive and its results back into it, as a user does it, with a real archive."""

from pathlib import Path

import pytest

from cspine.dicom import StudyQuery, body_offset
from cspine.stores import Access, Inbox, RemoteStore, open_store
from tests.cli.programs import Ended, called
from tests.stores.dimse.peer import LEFT_OPEN
from tests.stores.orthanc import PASSWORD, USER, Orthanc

STUDY = "2.25.11"
RESULTS = {"vertebrae-seg.dcm", "findings-sr.dcm", "report-sc.dcm", "marks-pr.dcm", "report-pdf.dcm"}


def _web(orthanc: Orthanc) -> RemoteStore:
    return open_store(orthanc.web, Access(user=USER, password=PASSWORD))


def _results(store: RemoteStore, folder: Path) -> set[bytes]:
    """Fetch every object of the study that is no CT image."""
    inbox = Inbox(folder)
    for series in store.find_series(STUDY):
        if series.modality != "CT":
            store.fetch(STUDY, series.series_uid, inbox)
    version = inbox.seal(STUDY)
    assert version is not None
    return {path.read_bytes() for path in version.folder.iterdir()}


def _written(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.dcm")}


@pytest.fixture(scope="module")
def filled(orthanc: Orthanc, study: Path) -> Orthanc:
    """Return an archive that has the coded study."""
    _web(orthanc).send_all({path.name: path.read_bytes() for path in study.iterdir()})
    return orthanc


@pytest.fixture(scope="module")
def read_by_web(filled: Orthanc, bundle: Path, tmp_path_factory) -> tuple[Ended, Path]:
    folder = tmp_path_factory.mktemp("web")
    access = folder / "access.toml"
    access.write_text(f'user = "{USER}"\npassword = "{PASSWORD}"\n')
    access.chmod(0o600)
    how = ("--study", STUDY, "--send", "--access", access, "--bundle", bundle, "--out", folder / "out")
    return called("detect", filled.web, *how), folder / "out"


def test_a_study_is_read_from_the_archive_and_its_results_lie_there_byte_for_byte(filled, read_by_web, tmp_path):
    said, out = read_by_web
    assert said.code == 0, said.err
    written = _written(out)
    assert set(written) == RESULTS
    assert "127.0.0.1:8042/dicom-web/vertebrae-seg.dcm" in said.out
    assert _results(_web(filled), tmp_path) == set(written.values())


def test_read_again_by_the_other_protocol_it_is_the_same_result_once(filled, read_by_web, bundle, tmp_path):
    _, out = read_by_web
    how = ("--study", STUDY, "--send", "--bundle", bundle, "--out", tmp_path / "out")
    said = called("detect", filled.dimse, *how)
    assert said.code == 0, said.err
    assert _written(tmp_path / "out") == _written(out)
    assert _results(_web(filled), tmp_path / "fetched") == set(_written(out).values())
    (entry,) = _web(filled).find_studies(StudyQuery(study_uid=STUDY), 5)
    series = {one.modality: one.images for one in _web(filled).find_series(STUDY)}
    assert set(series) == {"CT", "SEG", "SR", "OT", "PR", "DOC"}
    assert entry.images == sum(count or 0 for count in series.values()) == (series["CT"] or 0) + len(RESULTS)


def test_results_are_sent_again_from_their_folder(filled, read_by_web, tmp_path):
    said = called("pacs", "send", filled.dimse, read_by_web[1])
    assert said.code == 0, said.err
    assert said.out.count(" bytes\n") == len(RESULTS)
    sent = {one[body_offset(one) :] for one in _written(read_by_web[1]).values()}
    assert {one[body_offset(one) :] for one in _results(open_store(filled.move), tmp_path)} == sent


def test_the_archive_is_asked_what_it_has(filled, access_file):
    assert called("pacs", "echo", filled.dimse).out == "ORTHANC at 127.0.0.1:4242 answers\n"
    listed = called("pacs", "find", filled.web, "--access", access_file)
    assert STUDY in listed.out
    assert listed.out.endswith("studies\n")
    assert "Coded" not in listed.out
    assert called("pacs", "find", filled.dimse, "--patient-id", "nobody", "--json").out == "[]\n"


@LEFT_OPEN
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["detect", "dicomweb://127.0.0.1:9/x"], 2, "name one with --study UID"),
        (["detect", "dicomweb://127.0.0.1:9/x", "--study", "1.2.*"], 2, "--study is '1.2.*', must be a UID"),
        (["detect", "dimse://127.0.0.1:9/PACS", "--study", "1.2"], 7, "PACS at 127.0.0.1:9 cannot be reached"),
        (["detect", "dicomweb://127.0.0.1:9/x", "--study", "1.2"], 7, "http://127.0.0.1:9/x cannot be reached"),
        (["detect", ".", "--send"], 2, "INPUT names none; use --send-to ADDRESS"),
        (["detect", "dimse://h/T", "--study", "1.2", "--send", "--send-to", "dimse://h/T"], 2, "go to one archive"),
        (["detect", ".", "--send-to", "ftp://pacs"], 2, "is no address of an archive"),
        (["pacs", "echo", "dimse://host"], 2, "names no AE title"),
        (["pacs", "echo", "dicomweb://user:word@host/x"], 2, "use an access file"),
        (["pacs", "echo", "dimse://h/T?get=1"], 2, "there is move=HOST:PORT"),
        (["pacs", "find", "dimse://h/T", "--patient-id", "a\\b"], 2, "PatientID is"),
        (["pacs", "send", "dimse://h/T", "."], 3, "holds no DICOM result"),
        (["pacs", "echo", "dicomweb://h/x", "--access", "nowhere.toml"], 2, "nowhere.toml cannot be read"),
        (["listen", "--send-to", "dimse://h/T"], 2, "--send-to needs --out"),
        (["listen", "--allow-from", "everybody"], 2, "addresses look like"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(arguments, code, message, tmp_path):
    said = called(*arguments, cwd=tmp_path)
    assert said.code == code
    assert message in said.err
    assert len(said.err.strip().splitlines()) == 1


@LEFT_OPEN
def test_results_stay_in_their_folder_when_the_archive_is_away(study, bundle, tmp_path):
    out = tmp_path / "out"
    said = called("detect", study, "--send-to", "dimse://127.0.0.1:9/PACS", "--bundle", bundle, "--out", out)
    assert said.code == 7
    assert f"PACS at 127.0.0.1:9 cannot be reached: Connection refused; is it running. The results are in {out}" in (
        said.err
    )
    assert f"cspine pacs send ADDRESS {out}" in said.err
    assert set(_written(out)) == RESULTS
    assert (out / "findings.json").exists()
