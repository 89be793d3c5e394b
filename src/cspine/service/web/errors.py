"""One table from errors to HTTP statuses, and the one JSON body of every error."""

import re

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from cspine.domain import (
    BundleError,
    ConfigError,
    Conflict,
    CspineError,
    Forbidden,
    InputError,
    NotFound,
    RequestError,
    StoreError,
    TooLarge,
    TooManyTries,
    Unauthenticated,
)
from cspine.service.database import is_full

# The first class that an error is an instance of decides; anything else is 500.
STATUS_OF_ERROR: tuple[tuple[type[Exception], int], ...] = (
    (Unauthenticated, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
    (TooLarge, 413),
    (TooManyTries, 429),
    (RequestError, 400),
    (ConfigError, 400),
    (InputError, 422),
    (BundleError, 503),
    (StoreError, 503),
)
NO_ROOM = 507


def status_of(error: Exception) -> int:
    """Return the HTTP status for an error."""
    if is_full(error):
        return NO_ROOM
    return next((status for kind, status in STATUS_OF_ERROR if isinstance(error, kind)), 500)


def error_body(status: int, code: str, message: str) -> dict[str, dict[str, object]]:
    """Return the body of every error."""
    return {"error": {"status": status, "code": code, "message": message}}


def add_error_handlers(app: FastAPI) -> None:
    """Make every way to fail answer with the one body."""

    @app.exception_handler(CspineError)
    def ours(request: Request, error: CspineError) -> JSONResponse:
        return _answer(status_of(error), code_of(type(error).__name__), str(error))

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        told = "; ".join(f"{'.'.join(str(p) for p in one['loc'])}: {one['msg']}" for one in error.errors()[:5])
        return _answer(400, "invalid-request", told)

    @app.exception_handler(HTTPException)
    def of_routing(request: Request, error: HTTPException) -> JSONResponse:
        words = {404: "there is nothing at this address", 405: "this address does not take this method"}
        return _answer(error.status_code, f"http-{error.status_code}", words.get(error.status_code, str(error.detail)))

    @app.exception_handler(Exception)
    def internal(request: Request, error: Exception) -> JSONResponse:
        """Answer without a word of what went wrong: the server's own log has the place."""
        return _answer(500, "internal", "internal error; the service's log has the details")


def code_of(name: str) -> str:
    """Return the class name as the code of a body: ``NotFound`` becomes ``not-found``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def _answer(status: int, code: str, message: str) -> JSONResponse:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse(error_body(status, code, message), status, headers)
