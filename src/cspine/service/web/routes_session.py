"""Log in, log out, who am I."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from cspine.domain import Unauthenticated
from cspine.service.accounts import LOG_IN, Role
from cspine.service.web.guard import COOKIE, TheWeb, Viewer, address_of

router = APIRouter(prefix="/api/session", tags=["session"])


class LogIn(BaseModel):
    """Name and password."""

    name: Annotated[str, Field(max_length=80)]
    password: Annotated[str, Field(max_length=1000)]


@router.post("")
def log_in(given: LogIn, request: Request, response: Response, web: TheWeb) -> dict[str, Any]:
    """Begin a session; the answer sets a cookie that scripts cannot read."""
    address = address_of(request)
    try:
        token = web.accounts.log_in(given.name, given.password, address)
    except Unauthenticated:
        web.audit.note(given.name, LOG_IN, "", address, "failed")
        raise
    web.audit.note(given.name, LOG_IN, "", address)
    response.set_cookie(
        COOKIE, token, httponly=True, samesite="strict", secure=web.config.secure, path="/", max_age=None
    )
    actor = web.accounts.by_session(token)
    return {"name": actor.name, "role": actor.role.name.lower(), "csrf": actor.csrf}


@router.get("")
def who_am_i(actor: Viewer) -> dict[str, Any]:
    """Return name, role, and the token that changes must carry in the header X-CSRF-Token."""
    may = [role.name.lower() for role in Role if role <= actor.role]
    return {"name": actor.name, "role": actor.role.name.lower(), "may": may, "csrf": actor.csrf}


@router.delete("", status_code=204)
def log_out(actor: Viewer, request: Request, response: Response, web: TheWeb) -> None:
    """End the session."""
    web.accounts.log_out(request.cookies.get(COOKIE, ""))
    web.note(request, actor, "log out")
    response.delete_cookie(COOKIE, path="/")
