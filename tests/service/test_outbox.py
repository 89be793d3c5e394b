"""Results are announced once each, again until it worked, signed, and without a word about the patient."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from cspine.domain import Unreachable, Vertebra
from cspine.service.outbox import WEBHOOK, post, signature
from tests.service.builders import make_place, write_neck


@pytest.fixture
def told(tmp_path):
    """Return a place with a webhook, after one study was analyzed."""
    place = make_place(tmp_path, webhook_url="http://127.0.0.1:9/hook", webhook_secret="s")
    place.teller.fractured = (Vertebra.C2,)
    place.parts.spool.take_folder(write_neck(tmp_path / "in"), "test")
    place.work()
    return place


def test_what_does_not_arrive_is_sent_again_later_and_then_no_more(told):
    got: list[dict] = []

    def refuse(payload):
        raise Unreachable("away")

    assert told.parts.outbox.deliver({WEBHOOK: refuse}) == 0
    assert told.parts.outbox.deliver({WEBHOOK: got.append}) == 0  # not due yet
    told.clock.now += 6
    assert told.parts.outbox.deliver({WEBHOOK: got.append}) == 1
    told.clock.now += 1000
    assert told.parts.outbox.deliver({WEBHOOK: got.append}) == 0
    assert [one["decision"] for one in got] == ["rule-in"]
    assert "Phantom" not in json.dumps(got)
    assert "P-1" not in json.dumps(got)


def test_the_webhook_is_sent_a_signed_body_with_a_key(told):
    got: list[tuple] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((dict(self.headers), body))
            self.send_response(204 if len(got) == 1 else 500)
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = type(told.config)(
        told.config.data_dir, webhook_url=f"http://127.0.0.1:{server.server_port}/", webhook_secret="s"
    )
    post(config, {"key": "7-1"})
    headers, body = got[0]
    assert headers["X-Cspine-Signature"] == signature("s", body)
    assert (headers["Idempotency-Key"], json.loads(body)) == ("7-1", {"key": "7-1"})
    with pytest.raises(Unreachable, match="answered 500"):
        post(config, {"key": "7-1"})
    server.shutdown()
    server.server_close()


def test_metrics_count_jobs_and_waits(told):
    text = told.client().get("/api/metrics").text
    assert 'cspine_jobs{kind="analyze",state="done"} 1.0' in text
    assert 'cspine_studies{decision="rule-in"} 1.0' in text
    assert "cspine_undelivered 1.0" in text
