"""Results are announced once each, again until it worked, signed, and without a word about the patient."""

import json
import time
from dataclasses import replace
from email import message_from_bytes

import pytest
from aiosmtpd.smtp import Envelope

from cspine.domain import Unreachable, Vertebra
from cspine.service import ServiceConfig, bundle_of, open_parts, read_config
from cspine.service.outbox import POLL_S, WEBHOOK, mail, post, senders, signature
from tests.service.builders import PASSWORD, make_place, write_neck
from tests.service.listeners import MAIL_PASSWORD, mail_server, webhook
from tests.service.program import free_port, serving, wait_for


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


def _patient(place) -> list[str]:
    """Return what the header of the only study says of the patient."""
    (row,) = place.parts.book.worklist()
    said = [value for value in row["header"].values() if isinstance(value, str) and value]
    assert {"Secret^Name", "MRN-1", "20240305"} <= set(said)
    return [part for one in said for part in one.split("^")]


def _content(envelope: Envelope) -> bytes:
    assert isinstance(envelope.content, bytes)
    return envelope.content


def test_the_webhook_is_sent_a_signed_body_with_a_key(tmp_path):
    with webhook() as hook:
        config = ServiceConfig(tmp_path, webhook_url=hook.url, webhook_secret="s")
        hook.answers += [204, 500, 302]
        post(config, {"key": "7-1"})
        for status in (500, 302):
            with pytest.raises(Unreachable, match=f"answered {status}"):
                post(config, {"key": "7-1"})
    headers, body = hook.calls[0]
    assert headers["X-Cspine-Signature"] == signature("s", body)
    assert (headers["Idempotency-Key"], json.loads(body)) == ("7-1", {"key": "7-1"})
    assert len(hook.calls) == 3


def test_a_result_is_told_by_webhook_and_mail_once_and_neither_names_the_patient(tmp_path):
    with webhook() as hook, mail_server() as box:
        mails = {"mail_host": "127.0.0.1", "mail_port": box.port, "mail_from": "ct@x.example"}
        place = make_place(tmp_path, webhook_url=hook.url, mail_to=("a@x.example", "b@x.example"), **mails)
        place.teller.fractured = (Vertebra.C2,)
        header = {"patient_name": "Secret^Name", "patient_id": "MRN-1", "accession_number": "ACC-9"}
        place.parts.spool.take_folder(write_neck(tmp_path / "in", **header), "test")
        place.work()
        assert place.parts.outbox.deliver(senders(place.config)) == 2
        assert place.parts.outbox.deliver(senders(place.config)) == 0
    (row,) = place.parts.book.worklist()
    ((_, body),), (envelope,) = hook.calls, box.messages
    message = message_from_bytes(_content(envelope))
    assert (message["Subject"], message["From"], message["Date"] is not None) == (
        "cspine: rule-in",
        "ct@x.example",
        True,
    )
    assert envelope.rcpt_tos == ["a@x.example", "b@x.example"]
    assert row["id"] in str(message.get_payload())
    told = json.loads(body)
    assert (told["event"], told["decision"], told["study_instance_uid"]) == ("study.done", "rule-in", row["study_uid"])
    for word in _patient(place):
        assert word not in body.decode()
        assert word not in _content(envelope).decode()


def test_a_mail_server_that_asks_for_it_gets_tls_and_a_log_in(tmp_path, certificate):
    access = tmp_path / "mail.toml"
    with mail_server(replace(certificate, ca_file=None).server_context()) as box:
        said = {
            "mail_host": "localhost",
            "mail_port": box.port,
            "mail_from": "ct@x.example",
            "mail_to": ("a@x.example",),
        }
        payload = {"key": "7-1", "decision": "rule-in", "event": "study.done", "study": "s"}
        with pytest.raises(Unreachable, match=r"refused the message: .*STARTTLS"):
            mail(ServiceConfig(tmp_path, **said), payload)
        secured = ServiceConfig(tmp_path, **said, mail_access=access)
        for password, message in (("wrong", "credentials invalid"), (MAIL_PASSWORD.decode(), "")):
            access.write_text(f'user = "cspine"\npassword = "{password}"\nca_file = "{certificate.ca_file}"\n')
            access.chmod(0o600)
            if message:
                with pytest.raises(Unreachable, match=message):
                    mail(secured, payload)
            else:
                mail(secured, payload)
        access.write_text('user = "cspine"\npassword = "x"\n')
        with pytest.raises(Unreachable, match="certificate verify failed"):
            mail(secured, payload)
    assert (len(box.messages), box.encrypted) == (1, [True])


@pytest.mark.slow
def test_a_running_service_tells_of_a_refused_study_once(tmp_path):
    with webhook() as hook, mail_server() as box:
        mails = {
            "mail_host": "127.0.0.1",
            "mail_port": box.port,
            "mail_from": "ct@x.example",
            "mail_to": ["a@x.example"],
        }
        settings = mails | {"webhook_url": hook.url, "webhook_secret": "s", "port": free_port(), "min_free_mib": 0}
        with serving(tmp_path, settings, PASSWORD, tmp_path / "log.txt") as program:
            config = read_config(tmp_path / "cspine.toml")
            images = write_neck(tmp_path / "in", slices=slice(0, 3), patient_name="Secret^Name", patient_id="MRN-1")
            open_parts(config, bundle_of(config).id).spool.take_folder(images, "test")
            wait_for(lambda: bool(hook.calls and box.messages), program.check_alive)
            time.sleep(3 * POLL_S)
    ((headers, body),), (envelope,) = hook.calls, box.messages
    assert headers["X-Cspine-Signature"] == signature("s", body)
    assert json.loads(body)["event"] == "study.refused"
    assert message_from_bytes(_content(envelope))["Subject"] == "cspine: refused"
    assert not [word for word in (b"Secret", b"MRN-1") if word in body + _content(envelope)]


def test_metrics_count_jobs_and_waits(told):
    text = told.client().get("/api/metrics").text
    assert 'cspine_jobs{kind="analyze",state="done"} 1.0' in text
    assert 'cspine_studies{decision="rule-in"} 1.0' in text
    assert "cspine_undelivered 1.0" in text
