"""A web store that answers badly: each answer is an error with a sentence, never a traceback, never a silence."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from cspine.dicom import StudyQuery
from cspine.domain import ConfigError, Rejected, StoreTimeout, Unreachable
from cspine.stores import Access, DicomWebStore, Inbox
from cspine.stores.dicomweb.multipart import written
from tests.stores.objects import ct_file


class _Answers(BaseHTTPRequestHandler):
    """Answers every request with what the test has laid out; notes what was asked."""

    status: ClassVar[int] = 200
    headers_sent: ClassVar[dict[str, str]] = {}
    body: ClassVar[bytes] = b""
    asked: ClassVar[list[dict[str, str]]] = []

    def do_GET(self) -> None:
        self.asked.append(dict(self.headers))
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.status)
        for name, value in {"Content-Length": str(len(self.body)), **self.headers_sent}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.body)

    do_POST = do_GET  # noqa: N815 - as above

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as made:
        threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{made.server_port}/root"
        made.shutdown()


def _answer(body: bytes = b"", status: int = 200, **headers: str) -> None:
    _Answers.body, _Answers.status, _Answers.headers_sent = body, status, headers
    _Answers.asked.clear()


@pytest.mark.parametrize(
    ("body", "status", "headers", "message"),
    [
        (b"<html>", 200, {}, "without JSON; is it a DICOMweb root"),
        (b'{"a": 1}', 200, {}, "without a list; is it a DICOMweb root"),
        (b"[" * 100_000, 200, {}, "without JSON"),
        (b"", 500, {}, "answered 500: Internal Server Error"),
        (b"", 403, {}, "answered 403: the store does not allow that to this user"),
        (b"", 302, {"Location": "http://elsewhere/"}, "it has moved to 'http://elsewhere/'; give that address"),
    ],
)
def test_a_bad_answer_to_a_query_is_explained(server, body, status, headers, message):
    _answer(body, status, **headers)
    with pytest.raises(Rejected, match=message):
        DicomWebStore(server).find_studies(StudyQuery(), 5)


def test_answers_of_strange_shape_are_left_out(server):
    good = {"0020000D": {"vr": "UI", "Value": ["1.2.3"]}, "00201208": {"vr": "IS", "Value": [7]}}
    _answer(json.dumps([7, None, {"0020000D": 3}, {"0020000D": {"Value": ["../x"]}}, good]).encode())
    (entry,) = DicomWebStore(server).find_studies(StudyQuery(), 5)
    assert (entry.study_uid, entry.images, entry.study_date) == ("1.2.3", 7, "")


def test_an_empty_answer_is_no_study(server):
    _answer(status=204)
    assert DicomWebStore(server).find_series("1.2.3") == []


def test_images_that_are_none_are_refused(server, tmp_path):
    store, inbox = DicomWebStore(server), Inbox(tmp_path)
    _answer(b"<html>", **{"Content-Type": "text/html"})
    with pytest.raises(Rejected, match="'text/html' where images belong"):
        store.fetch("1.2.3", "1.2.3.1", inbox)
    kind, body = written([ct_file("1.2.3", 1), b"garbage"])
    _answer(body, **{"Content-Type": kind})
    with pytest.raises(Rejected, match="gave something else than an image"):
        store.fetch("1.2.3", "1.2.3.1", inbox)
    _answer(body[:300], **{"Content-Type": kind})
    with pytest.raises(Rejected, match="ends in the midst of an object"):
        store.fetch("1.2.3", "1.2.3.1", inbox)


def test_objects_that_were_not_stored_are_named_with_the_reason_and_repeated_ones_are_stored(server):
    def failed(reason: int) -> bytes:
        item = {"00081155": {"vr": "UI", "Value": ["1.2.9"]}, "00081197": {"vr": "US", "Value": [reason]}}
        return json.dumps({"00081198": {"vr": "SQ", "Value": [item]}}).encode()

    store = DicomWebStore(server)
    _answer(failed(0xA700), 202)
    with pytest.raises(Rejected, match=r"did not store 1 of 1 objects: 1\.2\.9: out of resources \(A700\)") as caught:
        store.send("a.dcm", b"x")
    assert caught.value.status == "202"
    _answer(failed(0x0111), 202)
    assert store.send("a.dcm", b"x").size_bytes == 1
    _answer(b"", 409)
    with pytest.raises(Rejected, match="did not store all of 1 objects: it gives no reason"):
        store.send("a.dcm", b"x")


def test_credentials_are_sent_as_asked_and_never_unencrypted_to_another_machine(server):
    _answer(b"[]")
    DicomWebStore(server, Access(token="t0ken")).echo()
    assert _Answers.asked[-1]["Authorization"] == "Bearer t0ken"
    DicomWebStore(server, Access(user="u", password="p")).echo()
    assert _Answers.asked[-1]["Authorization"] == "Basic dTpw"
    with pytest.raises(ConfigError, match=r"would travel unencrypted to pacs\.example"):
        DicomWebStore("http://pacs.example/x", Access(token="t0ken"))
    assert "t0ken" not in repr(Access(token="t0ken"))


def test_a_store_that_is_silent_or_gone_is_told_apart():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        with pytest.raises(StoreTimeout, match=r"did not answer within 0\.2 s"):
            DicomWebStore(address, timeout_s=0.2).echo()
    with pytest.raises(Unreachable, match="cannot be reached"):
        DicomWebStore(address, timeout_s=5).echo()
