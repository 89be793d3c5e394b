"""Announcements of results: written with the result in one transaction, delivered afterwards, again until it worked.

What is sent names the study by UID and identity, and never the patient. Each announcement has a key: a receiver that
has seen it before knows a repetition.
"""

import hashlib
import hmac
import json
import logging
import smtplib
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from functools import partial
from typing import Any

from sqlalchemy import Connection, insert, select, update

from cspine.domain import Unreachable
from cspine.service.config import ServiceConfig
from cspine.service.database import Clock, Database
from cspine.service.queue import Failure, Job
from cspine.service.states import JobState
from cspine.service.studies import ANALYZE, SEND
from cspine.service.tables import outbox, studies
from cspine.stores import read_access
from cspine.workflow import Failed, attempt

WEBHOOK, MAIL = "webhook", "mail"
TRIES, FIRST_WAIT_S, TIMEOUT_S, POLL_S = 12, 5.0, 10.0, 1.0
TAKEN_S = 60.0  # so long after one began to send, another may take it up
Send = Callable[[Mapping[str, Any]], None]
_URGENT = ("rule-in", "uncertain")

_log = logging.getLogger("cspine.service")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected announcement has not arrived: nothing is sent to where nobody was told to send it."""

    def redirect_request(self, *_: object) -> None:
        """Refuse."""


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


@dataclass(frozen=True)
class Outbox:
    """The table of announcements."""

    config: ServiceConfig
    database: Database
    clock: Clock

    def announce(self, connection: Connection, job: Job, failure: Failure | None) -> None:
        """Write the announcements of a job's end, within the transaction that ends it."""
        if not (job.kind == ANALYZE or (job.kind == SEND and job.state is JobState.FAILED)):
            return
        row = connection.execute(select(studies).where(studies.c.id == job.subject)).first()
        if row is None:
            return
        payload = {
            "event": ("study." if job.kind == ANALYZE else "sending.") + job.state.value,
            "key": f"{job.id}-{job.attempt}",
            "study": row.id,
            "study_instance_uid": row.study_uid,
            "decision": row.decision if failure is None else None,
            "probability": row.probability if failure is None else None,
            "reason": None if failure is None else failure.kind,
        }
        for channel in self._channels(payload):
            now = self.clock()
            values = {"channel": channel, "key": payload["key"], "payload": payload}
            connection.execute(insert(outbox).values(**values, created_at=now, run_after=now, attempts=0))

    def deliver(self, send: Mapping[str, Send]) -> int:
        """Send what is due; return how many arrived. What does not is tried again, later each time."""
        arrived = 0
        for row in self._due():
            if not self._take(row):
                continue  # another machine's service was faster
            ended = attempt(partial(send[row["channel"]], row["payload"]))
            if isinstance(ended, Failed):
                wait = FIRST_WAIT_S * 2 ** row["attempts"]
                values: dict[str, Any] = {"run_after": self.clock() + wait, "error": str(ended.error)[:500]}
                _log.warning("%s of job %s: %s", row["channel"], row["key"], type(ended.error).__name__)
            else:
                values = {"delivered_at": self.clock(), "error": ""}
                arrived += 1
            with self.database.write() as connection:
                connection.execute(update(outbox).where(outbox.c.id == row["id"]).values(**values))
        return arrived

    def run(self, stop: threading.Event) -> None:
        """Deliver until asked to stop."""
        ways = senders(self.config)
        while not stop.wait(POLL_S):
            attempt(lambda: self.deliver(ways))

    def _channels(self, payload: Mapping[str, Any]) -> list[str]:
        urgent = payload["reason"] is not None or payload["decision"] in _URGENT
        wanted = {WEBHOOK: bool(self.config.webhook_url), MAIL: bool(self.config.mail_host) and urgent}
        return [channel for channel, asked in wanted.items() if asked]

    def _take(self, row: Mapping[str, Any]) -> bool:
        """Begin an attempt, unless somebody else has begun it."""
        as_seen = (outbox.c.id == row["id"]) & (outbox.c.attempts == row["attempts"])
        values = {"attempts": row["attempts"] + 1, "run_after": self.clock() + TAKEN_S}
        with self.database.write() as connection:
            done = connection.execute(update(outbox).where(as_seen).values(**values))
        return bool(done.rowcount)

    def _due(self) -> list[dict[str, Any]]:
        open_ = outbox.c.delivered_at.is_(None) & (outbox.c.attempts < TRIES) & (outbox.c.run_after <= self.clock())
        with self.database.read() as connection:
            return [row._asdict() for row in connection.execute(select(outbox).where(open_).order_by(outbox.c.id))]


def senders(config: ServiceConfig) -> Mapping[str, Send]:
    """Return what sends an announcement, by channel."""
    return {WEBHOOK: partial(post, config), MAIL: partial(mail, config)}


def signature(secret: str, body: bytes) -> str:
    """Return the HMAC-SHA256 of a body, as the header X-Cspine-Signature carries it."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def post(config: ServiceConfig, payload: Mapping[str, Any]) -> None:
    """Send an announcement to the webhook; raises `Unreachable` unless it answers 2xx."""
    body = json.dumps(payload).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": str(payload["key"])}
    if config.webhook_secret:
        headers["X-Cspine-Signature"] = signature(config.webhook_secret, body)
    request = urllib.request.Request(config.webhook_url, body, headers, method="POST")
    try:
        with _OPENER.open(request, timeout=TIMEOUT_S):
            pass
    except urllib.error.HTTPError as error:
        error.close()
        raise Unreachable(f"the webhook answered {error.code}") from error
    except OSError as error:
        raise Unreachable(f"the webhook does not answer: {error}") from error


def mail(config: ServiceConfig, payload: Mapping[str, Any]) -> None:
    """Send an announcement as a mail; with an access file by TLS only.

    Raises
    ------
    Unreachable
        The server is away, refuses the message, or wants other credentials or TLS.
    ConfigError
        The access file cannot be used.
    """
    access = None if config.mail_access is None else read_access(config.mail_access)
    message = EmailMessage()
    message["From"], message["To"] = config.mail_from, ", ".join(config.mail_to)
    message["Subject"] = f"cspine: {payload['decision'] or payload['event'].replace('study.', '').replace('.', ' ')}"
    message["Date"], message["Auto-Submitted"] = formatdate(), "auto-generated"
    message["Message-ID"] = f"<{payload['key']}@cspine>"
    message.set_content(f"Study {payload['study']} in the worklist. Research use only, not a medical device.\n")
    try:
        with smtplib.SMTP(config.mail_host, config.mail_port, timeout=TIMEOUT_S) as server:
            if access is not None:
                server.starttls(context=access.tls.client_context())
            if access is not None and access.user is not None:
                server.login(access.user, access.password or "")
            server.send_message(message)
    except (smtplib.SMTPException, OSError) as error:
        raise Unreachable(f"the mail server refused the message: {error}") from error
