"""Who asks, and may they: sessions and keys, the token against forged requests, security headers, the audit."""

from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest
from typing import Annotated, cast

from fastapi import Depends, Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cspine.domain import Forbidden, Unauthenticated
from cspine.service.accounts import Accounts, Actor, Role
from cspine.service.audit import Audit
from cspine.service.config import ServiceConfig
from cspine.service.feedback import FeedbackBook
from cspine.service.parts import Parts

COOKIE, CSRF_HEADER = "cspine_session", "x-csrf-token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Everything comes from here; pictures that the page itself makes may be data or blobs, and so may the viewer's workers.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self' data: blob:; worker-src 'self' blob:; frame-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
# The report is one file that brings its own styles and pictures, and no script.
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


@dataclass(frozen=True)
class Web:
    """What the routes stand on."""

    config: ServiceConfig
    parts: Parts
    accounts: Accounts
    audit: Audit
    feedback: FeedbackBook

    def note(self, request: Request, actor: Actor, action: str, subject: str = "") -> None:
        """Add a row to the audit."""
        self.audit.note(actor.name, action, subject, address_of(request))


def web_of(request: Request) -> Web:
    """Return what the routes stand on."""
    return cast(Web, request.app.state.web)


def address_of(request: Request) -> str:
    """Return the address that a request came from."""
    return request.client.host if request.client else ""


def actor_of(request: Request) -> Actor:
    """Return who asks.

    Raises
    ------
    Unauthenticated
        There is neither a session nor a key, or it has ended.
    Forbidden
        A change was asked for by a browser without the token of its session.
    """
    web = web_of(request)
    given = request.headers.get("authorization", "")
    if given:
        scheme, _, token = given.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated("the header Authorization must be: Bearer KEY")
        return web.accounts.by_key(token.strip())
    session = request.cookies.get(COOKIE)
    if not session:
        raise Unauthenticated("log in, or send a key in the header Authorization")
    actor = web.accounts.by_session(session)
    if request.method not in SAFE_METHODS:
        _check_not_forged(request, actor)
    return actor


def _check_not_forged(request: Request, actor: Actor) -> None:
    site = request.headers.get("sec-fetch-site", "same-origin")
    token = request.headers.get(CSRF_HEADER, "")
    if site not in ("same-origin", "none") or not compare_digest(token.encode(), (actor.csrf or "").encode()):
        raise Forbidden(f"the header {CSRF_HEADER} of this session is missing or wrong; load the page again")


def _at_least(role: Role) -> Callable[[Request], Actor]:
    def check(request: Request) -> Actor:
        actor = actor_of(request)
        actor.need(role)
        return actor

    return check


Viewer = Annotated[Actor, Depends(_at_least(Role.VIEWER))]
Operator = Annotated[Actor, Depends(_at_least(Role.OPERATOR))]
Admin = Annotated[Actor, Depends(_at_least(Role.ADMIN))]
TheWeb = Annotated[Web, Depends(web_of)]


class SecurityHeaders:
    """Adds what tells browsers to load nothing from elsewhere, and to keep nothing of a patient."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and add the headers to its answer."""

        async def adding(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Content-Security-Policy", POLICY)
                cached = scope["path"].startswith("/static/")
                headers.setdefault("Cache-Control", "no-cache" if cached else "no-store")
            await send(message)

        await self._app(scope, receive, adding if scope["type"] == "http" else send)
