"""The service in the world of an archive: it receives studies by DICOM and sends results back, each once."""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from cspine.dicom import StudyQuery
from cspine.domain import ConfigError, Unreachable, Vertebra
from cspine.service import Role, Watch, Worker, receive, sending, staff_of
from cspine.service.studies import SEND
from cspine.stores import Access, Inbox, Receiver, ReceiverConfig, RemoteStore, open_store
from tests.service.builders import ROOT_UID, Place, make_place, neck, write_neck
from tests.stores.dimse.peer import LEFT_OPEN
from tests.stores.objects import as_file, ct_dataset
from tests.stores.orthanc import DIMSE_PORT, PASSWORD, USER, Orthanc

STUDY = f"{ROOT_UID}.1"
QUIET_S = 1.0
NOWHERE = "dimse://CSPINE@127.0.0.1:9/PACS"


def _place(folder: Path, **settings: object) -> Place:
    place = make_place(folder, kinds=("json", "dicom"), **({"send_to": NOWHERE} | settings))
    place.teller.fractured = (Vertebra.C5,)
    return place


def _sender(place: Place, archive: RemoteStore) -> Worker:
    return Worker(place.config, place.parts, sending(place.config, place.parts, archive), Watch())


def _read(place: Place, folder: Path) -> str:
    """Have one study analyzed; return its identity."""
    place.parts.spool.take_folder(write_neck(folder), "test")
    place.work()
    (row,) = place.parts.book.worklist()
    return row["id"]


def _web(orthanc: Orthanc) -> RemoteStore:
    return open_store(orthanc.web, Access(user=USER, password=PASSWORD))


def _results_of(place: Place, study: str) -> set[bytes]:
    row = place.parts.book.row(study)
    return {path.read_bytes() for path in (place.config.studies_dir / study / row["result"]).glob("*.dcm")}


def _objects_there(store: RemoteStore, folder: Path, study_uid: str = STUDY) -> list[bytes]:
    """Fetch everything of a study that is no CT image."""
    inbox = Inbox(folder)
    for series in store.find_series(study_uid):
        if series.modality != "CT":
            store.fetch(study_uid, series.series_uid, inbox)
    version = inbox.seal(study_uid)
    return [] if version is None else [path.read_bytes() for path in version.folder.iterdir()]


class Archive:
    """An archive that counts what it is sent, and does as it is told before and after."""

    name = "PACS"

    def __init__(self, *troubles: BaseException, after: BaseException | None = None) -> None:
        self.troubles, self.after = list(troubles), after
        self.got: list[dict[str, bytes]] = []

    def send_all(self, documents):
        if self.troubles:
            raise self.troubles.pop(0)
        self.got.append(dict(documents))
        after, self.after = self.after, None
        if after is not None:
            raise after
        return tuple(documents)


@pytest.fixture(scope="module")
def sent(tmp_path_factory, orthanc: Orthanc):
    """Return a place whose only study was read and sent to a real archive, and the study."""
    place = _place(tmp_path_factory.mktemp("sent"), send_to=orthanc.web)
    study = _read(place, place.config.data_dir.parent / "in")
    while _sender(place, _web(orthanc)).run_once():
        pass
    return place, study


def test_a_result_lies_in_the_archive_byte_for_byte_and_the_worklist_says_so(sent, orthanc: Orthanc, tmp_path):
    place, study = sent
    there = _objects_there(_web(orthanc), tmp_path)
    assert len(there) == 6
    assert set(there) == _results_of(place, study)
    row = place.client(Role.VIEWER).get("/api/studies").json()["studies"][0]
    assert (row["sending"]["state"], row["sending"]["attempt"]) == ("done", 1)
    assert [r["action"] for r in place.client().get("/api/audit").json()] == ["send"]


def test_a_sender_that_dies_after_the_archive_took_all_sends_the_same_again(sent, orthanc: Orthanc, tmp_path):
    place, study = sent
    dies = Archive(after=SystemExit(143))
    again = _place(tmp_path / "again")
    _read(again, tmp_path / "in")
    sender = _sender(again, dies)
    with pytest.raises(SystemExit):
        sender.run_once()
    assert _sender(again, _web(orthanc)).run_once()
    assert set(dies.got[0].values()) == _results_of(place, study)
    assert len(_objects_there(_web(orthanc), tmp_path / "there")) == 6
    (entry,) = _web(orthanc).find_studies(StudyQuery(study_uid=STUDY), 5)
    assert entry.images == 6


@LEFT_OPEN
def test_an_archive_that_is_down_gets_the_result_when_it_is_up_again(tmp_path):
    place = _place(tmp_path, retry_first_s=5.0, send_wait_max_s=12.0)
    study = _read(place, tmp_path / "in")
    away = _sender(place, open_store(NOWHERE))
    waits = []
    for _ in range(4):
        assert away.run_once()
        sending_now = place.parts.book.row(study)["sending"]
        assert sending_now["state"] == "waiting"
        assert "PACS at 127.0.0.1:9 cannot be reached: Connection refused" in sending_now["error"]
        waits.append(sending_now["run_after"] - place.clock.now)
        assert not away.run_once()
        place.clock.now += 20
    assert waits == [5.0, 10.0, 12.0, 12.0]
    there = Archive()
    assert _sender(place, there).run_once()
    assert not _sender(place, there).run_once()
    assert [set(one.values()) for one in there.got] == [_results_of(place, study)]
    assert place.parts.book.row(study)["sending"]["state"] == "done"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (f"dimse://CSPINE@127.0.0.1:{DIMSE_PORT}/WRONG", "rejected the association: it is not called WRONG"),
        ("dicomweb://127.0.0.1:8042/dicom-web", "answered 401: the store wants other credentials"),
    ],
)
def test_an_archive_that_does_not_want_us_says_why_and_nothing_is_lost(orthanc: Orthanc, tmp_path, address, message):
    place = _place(tmp_path, send_attempts=1)
    study = _read(place, tmp_path / "in")
    assert _sender(place, open_store(address)).run_once()
    told = place.parts.book.row(study)["sending"]
    assert told["state"] == "failed"
    assert message in told["error"]
    assert str(tmp_path) not in told["error"]
    client = place.client(Role.OPERATOR)
    assert client.post(f"/api/studies/{study}/send").json()["sending"]["state"] == "queued"
    assert client.post(f"/api/studies/{study}/send").status_code == 409
    got = Archive()
    assert _sender(place, got).run_once()
    assert set(got.got[0].values()) == _results_of(place, study)


def test_an_archive_that_does_not_know_our_title_says_so(tmp_path):
    place = _place(tmp_path, send_attempts=1)
    study = _read(place, tmp_path / "in")
    with Receiver(ReceiverConfig("PACS", port=0, callers=("CT1",)), Inbox(tmp_path / "pacs")) as other:
        assert _sender(place, open_store(f"dimse://CSPINE@127.0.0.1:{other.port}/PACS")).run_once()
    assert "it does not know our AE title CSPINE" in place.parts.book.row(study)["sending"]["error"]


def test_a_given_up_sending_is_announced(tmp_path):
    place = _place(tmp_path, send_attempts=1, webhook_url="http://127.0.0.1:9/")
    _read(place, tmp_path / "in")
    _sender(place, Archive(Unreachable("away"))).run_once()
    events: list[str] = []
    place.parts.outbox.deliver({"webhook": lambda payload: events.append(payload["event"])})
    assert events == ["study.done", "sending.failed"]


def test_only_the_newest_version_of_a_study_goes_out(tmp_path):
    place = _place(tmp_path)
    place.parts.spool.take_folder(write_neck(tmp_path / "half", slices=slice(0, 40)), "test")
    place.work()
    (old,) = place.parts.book.worklist()
    place.parts.spool.take_folder(write_neck(tmp_path / "whole"), "test")
    place.work()
    got = Archive()
    sender = _sender(place, got)
    assert [sender.run_once(), sender.run_once(), sender.run_once()] == [True, True, False]
    (new,) = place.parts.book.worklist()
    assert [set(one.values()) for one in got.got] == [_results_of(place, new["id"])]
    told = place.parts.book.row(old["id"])["sending"]
    assert (told["state"], "a newer version came" in told["error"]) == ("refused", True)


def test_without_an_archive_nothing_is_queued_for_one(tmp_path):
    place = _place(tmp_path, send_to="")
    study = _read(place, tmp_path / "in")
    assert place.parts.book.row(study)["sending"] is None
    assert place.client(Role.OPERATOR).post(f"/api/studies/{study}/send").status_code == 409
    assert not [kind for kind, _ in place.parts.queue.counts() if kind == SEND]


def test_a_removed_study_is_not_sent(tmp_path):
    place = _place(tmp_path)
    study = _read(place, tmp_path / "in")
    assert place.client().delete(f"/api/studies/{study}").status_code == 204
    assert not _sender(place, Archive()).run_once()


@contextmanager
def _receiving(place: Place) -> Iterator[None]:
    """Run the receiver of a place while the block runs."""
    stop, failed = threading.Event(), []

    def run() -> None:
        try:
            receive(place.config, place.parts, stop)
        except BaseException as error:
            failed.append(error)
            raise

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert failed == []


def _wait_for(what, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


class Scanner:
    """Sends by `storescu`, and waits until what it sent was taken over."""

    def __init__(self, program: str, place: Place) -> None:
        self._call = [program, "--scan-directories", "--required", "-aec", place.config.receive_ae_title]
        self._to, self._place = ["127.0.0.1", str(place.config.receive_port)], place

    def send(self, folder: Path) -> int:
        done = subprocess.run([*self._call, *self._to, folder], check=False, capture_output=True, text=True)
        return done.returncode

    def send_and_wait(self, folder: Path) -> None:
        before = self._told()
        _wait_for(lambda: self.send(folder) == 0)  # until the receiver listens
        _wait_for(lambda: self._told() > before)

    def _told(self) -> int:
        return len(list(self._place.config.inbox_dir.glob("versions/*/*/told")))


@pytest.fixture
def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def test_what_a_scanner_sends_is_read_once_and_late_slices_make_a_version(tmp_path, require_program, free_port):
    place = _place(tmp_path, receive_port=free_port, receive_quiet_s=QUIET_S, receive_ae_title="NECK")
    scanner = Scanner(require_program("storescu"), place)
    whole, early = write_neck(tmp_path / "whole"), tmp_path / "early"
    early.mkdir()
    for path in sorted(whole.iterdir())[:40]:
        shutil.copy(path, early)
    with _receiving(place):
        scanner.send_and_wait(early)
        place.work()
        (first,) = place.parts.book.worklist()
        scanner.send_and_wait(whole)
        place.work()
        (second,) = place.parts.book.worklist()
        assert scanner.send(whole) == 0
        time.sleep(3 * QUIET_S)
        place.work()
    assert (first["files"], second["files"]) == (40, neck()[0].grid.shape[0])
    assert place.parts.book.row(first["id"])["superseded_by"] == second["id"]
    assert [row["id"] for row in place.parts.book.worklist()] == [second["id"]]
    assert place.teller.told == 2
    assert abs(second["received_at"] - time.time()) < 600
    with _receiving(place):  # a service that is started again takes nothing over twice
        time.sleep(3 * QUIET_S)
    assert not place.worker.run_once()


def test_our_own_results_coming_back_and_reports_alone_make_no_study(tmp_path, require_program, free_port):
    place = _place(tmp_path, receive_port=free_port, receive_quiet_s=QUIET_S)
    scanner = Scanner(require_program("storescu"), place)
    images = write_neck(tmp_path / "in")
    with _receiving(place):
        scanner.send_and_wait(images)
        place.work()
        (row,) = place.parts.book.worklist()
        results = tmp_path / "results"
        shutil.copytree(place.config.studies_dir / row["id"] / row["result"], results, ignore=_all_but_dicom)
        scanner.send_and_wait(results)
        alone = tmp_path / "alone"
        alone.mkdir()
        report = ct_dataset("2.25.77", 1)
        report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
        (alone / "1.dcm").write_bytes(as_file(report))
        scanner.send_and_wait(alone)
        place.work()
    assert [one["id"] for one in place.parts.book.worklist()] == [row["id"]]
    assert place.parts.spool.open_or_refused() == []
    assert place.teller.told == 1


def _all_but_dicom(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not name.endswith(".dcm")]


def test_without_room_what_was_received_is_kept_until_there_is_some(tmp_path, require_program, free_port):
    place = _place(tmp_path, receive_port=free_port, receive_quiet_s=QUIET_S, retry_first_s=1.0)
    scanner = Scanner(require_program("storescu"), place)
    real, asked = place.parts.spool._check_room, []

    def full(total_bytes: int) -> None:
        asked.append(total_bytes)
        raise Unreachable("no room")

    place.parts.spool._check_room = full
    with _receiving(place):
        _wait_for(lambda: scanner.send(write_neck(tmp_path / "in")) == 0)
        _wait_for(lambda: asked)
        place.parts.spool._check_room = real
        _wait_for(place.parts.queue.counts)
        place.work()
    assert [row["state"] for row in place.parts.book.worklist()] == ["done"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"receive_port": 11112, "receive_ae_title": "A TITLE THAT IS TOO LONG"}, "16"),
        ({"receive_port": 11112, "receive_from": ("10.1.0.0/99",)}, "addresses look like"),
        ({"receive_port": 11112, "receive_tls_key": Path("key.pem")}, "belong together"),
        ({"send_to": "ftp://pacs"}, "is no address of an archive"),
        ({"mail_access": Path("none.toml")}, "none.toml cannot be read"),
        ({"send_to": NOWHERE, "send_access": Path("none.toml")}, "none.toml cannot be read"),
    ],
)
def test_impossible_settings_stop_the_service_before_it_starts(tmp_path, settings, message):
    config = replace(_place(tmp_path, send_to="").config, **settings)
    with pytest.raises(ConfigError, match=message):
        staff_of(config)


def test_a_port_that_is_taken_is_named_at_the_start(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        config = replace(_place(tmp_path).config, receive_port=other.getsockname()[1])
        with pytest.raises(ConfigError, match=r"cannot listen on 127\.0\.0\.1:[0-9]+: Address already in use"):
            staff_of(config)
