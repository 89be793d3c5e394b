"""The receiver over the loopback: success only for what is on the disk, and no peer that can harm it."""

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cspine.domain import ConfigError, Unreachable
from cspine.stores import Delivery, Inbox, InboxLimits, ReceivedStudy, Receiver, ReceiverConfig, TlsFiles
from tests.stores.dimse.peer import Caller
from tests.stores.objects import ct_dataset

NO_ANSWER, SUCCESS, OUT_OF_RESOURCES, CANNOT_UNDERSTAND = -1, 0x0000, 0xA700, 0xC000


class Running:
    """A receiver that listens on a free port."""

    def __init__(self, folder: Path, limits: InboxLimits | None = None, **config: object) -> None:
        self.said: list[str] = []
        self.inbox = Inbox(folder, limits or InboxLimits(free_bytes=0))
        self.receiver = Receiver(ReceiverConfig(port=0, **config), self.inbox, self.said.append)

    @property
    def objects(self) -> int:
        return len(list((self.inbox.folder / "incoming").rglob("*.dcm")))

    def heard(self, part: str) -> bool:
        """Wait a moment for a sentence."""
        return _soon(lambda: any(part in sentence for sentence in self.said))


def _soon(true: Callable[[], bool], within_s: float = 20) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(0.01)
    return False


@contextmanager
def _running(folder: Path, **how: object) -> Iterator[Running]:
    made = Running(folder, **how)
    with made.receiver:
        yield made


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Running]:
    with _running(tmp_path_factory.mktemp("inbox"), callers=("SCANNER",), pdu_bytes=16_384, idle_s=10) as made:
        yield made


def test_what_is_sent_lies_in_the_inbox_and_becomes_a_study_when_it_falls_quiet(running):
    studies: list[ReceivedStudy] = []
    stop = threading.Event()

    def take_over(study: ReceivedStudy) -> None:
        studies.append(study)
        stop.set()

    assert Caller(running.receiver.port).store(*(ct_dataset("1.2.3", k) for k in range(1, 6))) == [SUCCESS] * 5
    running.receiver.run(Delivery(running.inbox, 0.05, take_over), stop)
    assert [(study.study_uid, study.objects) for study in studies] == [("1.2.3", 5)]
    assert len(list(studies[0].folder.iterdir())) == 5


def test_an_echo_is_answered(running):
    with Caller(running.receiver.port).established() as association:
        assert association.send_c_echo().Status == SUCCESS


def test_a_wrong_title_on_either_side_is_rejected_and_said(running):
    for how in ({"called": "OTHER"}, {"calling": "STRANGER"}):
        assert Caller(running.receiver.port, **how).ended() == "rejected"
    assert running.heard("rejected an association of STRANGER at 127.0.0.1")


def test_an_object_that_cannot_be_read_is_never_a_success(running):
    before = running.objects
    wrong = ct_dataset("1.2.4", 1)
    del wrong.StudyInstanceUID
    assert Caller(running.receiver.port).store(wrong, ct_dataset("1.2.4", 2)) == [CANNOT_UNDERSTAND, SUCCESS]
    assert running.objects == before + 1
    assert running.heard("refused an object of SCANNER at 127.0.0.1 with status C000: StudyInstanceUID is ''")


def _send(port: int, *parts: bytes) -> bytes:
    """Send bytes and return what comes before the connection ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        try:
            for part in parts:
                connection.sendall(part)
            return b"".join(iter(lambda: connection.recv(4096), b""))
        except ConnectionError:
            return b""


def test_a_pdu_that_announces_gigabytes_ends_the_connection_before_it_is_read(running):
    started = time.monotonic()
    assert _send(running.receiver.port, struct.pack(">BxL", 1, 0xFFFFFFFF), b"x" * 1000) == b""
    assert time.monotonic() - started < 8
    assert Caller(running.receiver.port).store(ct_dataset("1.2.5", 1)) == [SUCCESS]


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\x01\x00\x00\x00\x00\x04abcd", b"\x16\x03\x01"])
def test_garbage_ends_one_connection_and_no_other(running, garbage):
    with Caller(running.receiver.port).established() as association:
        with socket.create_connection(("127.0.0.1", running.receiver.port), timeout=20) as connection:
            connection.sendall(garbage)
        assert association.send_c_store(ct_dataset("1.2.6", 1)).Status == SUCCESS


def test_a_full_inbox_answers_a700_keeps_what_it_has_and_takes_again_when_there_is_room(tmp_path):
    with _running(tmp_path, limits=InboxLimits(free_bytes=0, total_bytes=2500)) as full:
        caller = Caller(full.receiver.port)
        answers = caller.store(*(ct_dataset("1.2.3", k) for k in range(1, 6)))
        kept = answers.count(SUCCESS)
        assert 0 < kept < 5
        assert answers == [SUCCESS] * kept + [OUT_OF_RESOURCES] * (5 - kept)
        assert full.objects == kept
        assert full.heard("with status A700")
        full.inbox.forget("1.2.3")
        assert caller.store(ct_dataset("1.2.4", 1)) == [SUCCESS]


def test_an_object_above_the_limit_ends_the_association_before_it_fills_the_memory(tmp_path):
    with _running(tmp_path, limits=InboxLimits(free_bytes=0, object_bytes=20_000)) as small:
        assert Caller(small.receiver.port, answer_s=2).store(ct_dataset("1.2.3", 1, side=200)) == [NO_ANSWER]
        assert Caller(small.receiver.port).store(*(ct_dataset("1.2.3", k, side=64) for k in range(1, 6))) == [0] * 5


def test_addresses_that_are_not_on_the_list_are_cut_off(tmp_path):
    with _running(tmp_path, networks=("10.0.0.0/8",)) as strict:
        assert Caller(strict.receiver.port).ended() != "established"
        assert strict.heard("refused a connection from 127.0.0.1: its address is not on the list")


def test_more_associations_than_allowed_are_told_so(tmp_path):
    with _running(tmp_path, associations=1) as narrow:
        with Caller(narrow.receiver.port).established() as association:
            assert Caller(narrow.receiver.port).ended() == "rejected"
            assert association.send_c_store(ct_dataset("1.2.3", 1)).Status == SUCCESS
        assert _soon(lambda: Caller(narrow.receiver.port).ended() == "established")


def test_a_port_that_is_taken_and_an_impossible_setting_are_explained(running, tmp_path):
    taken = Receiver(ReceiverConfig(port=running.receiver.port), running.inbox)
    with pytest.raises(Unreachable, match=rf"cannot listen on 127\.0\.0\.1:{running.receiver.port}: .*in use"):
        taken.start()
    for wrong, message in (
        ({"ae_title": "A" * 17}, "'A{17}' is no AE title"),
        ({"callers": ("A\\B",)}, "is no AE title"),
        ({"networks": ("10.0.0.1/8",)}, "has host bits set"),
        ({"associations": 0}, "associations is 0, must be 1 … 1000"),
    ):
        with pytest.raises(ConfigError, match=message):
            ReceiverConfig(**wrong)
    with pytest.raises(ConfigError, match="needs a certificate"):
        Receiver(ReceiverConfig(port=0, tls=TlsFiles()), running.inbox).start()


def test_over_tls_only_who_has_a_certificate_gets_in_and_a_silent_peer_keeps_nobody_out(tmp_path, certificate):
    with _running(tmp_path, tls=certificate, idle_s=10) as secure:
        port = secure.receiver.port
        with socket.create_connection(("127.0.0.1", port)):
            known = (certificate.client_context(), "localhost")
            assert Caller(port, tls_args=known).store(ct_dataset("1.2.3", 1, side=128)) == [SUCCESS]
            assert Caller(port).ended() != "established"
            stranger = ssl.create_default_context(cafile=str(certificate.ca_file))
            assert Caller(port, tls_args=(stranger, "localhost")).ended() != "established"
        assert secure.heard("a connection from 127.0.0.1 failed")


def test_tls_files_that_cannot_be_used_are_named(tmp_path, certificate):
    with pytest.raises(ConfigError, match=r"nowhere\.pem cannot be used: .*No such file"):
        TlsFiles(tmp_path / "nowhere.pem").server_context()
    with pytest.raises(ConfigError, match="cannot be used"):
        TlsFiles(certificate.key_file, certificate.cert_file).client_context()
