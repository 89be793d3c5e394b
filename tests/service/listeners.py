"""A mail server and a web server on the loopback, which keep what they are sent."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.service.program import free_port

MAIL_USER, MAIL_PASSWORD = b"cspine", b"a mail secret"


@dataclass
class Mailbox:
    """What a mail server has taken.

    Attributes
    ----------
    encrypted
        Whether each message came by TLS.
    """

    port: int
    messages: list[Envelope] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        self.messages.append(envelope)
        self.encrypted.append(session.ssl is not None)
        return "250 taken"


@contextmanager
def mail_server(tls: ssl.SSLContext | None = None) -> Iterator[Mailbox]:
    """Run a mail server while the block runs; with `tls`, one that wants STARTTLS and a log-in."""
    box = Mailbox(free_port())
    secured = {"tls_context": tls, "require_starttls": True, "auth_required": True, "authenticator": _checked}
    controller = Controller(box, "127.0.0.1", box.port, **(secured if tls else {}))
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


def _checked(server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any) -> AuthResult:
    good = isinstance(given, LoginPassword) and (given.login, given.password) == (MAIL_USER, MAIL_PASSWORD)
    return AuthResult(success=good, handled=False)


@dataclass
class Hook:
    """What a webhook was called with: headers and body of each call.

    Attributes
    ----------
    answers
        Status of the calls to come; 204 when there is none left.
    """

    url: str = ""
    calls: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)


@contextmanager
def webhook() -> Iterator[Hook]:
    """Run a webhook while the block runs."""
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.calls.append((dict(self.headers), body))
            self.send_response(hook.answers.pop(0) if hook.answers else 204)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook.url = f"http://127.0.0.1:{server.server_port}/hook"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()
