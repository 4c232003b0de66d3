"""Errors as problem documents (RFC 9457), in one place."""

import logging
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Iterator
from http import HTTPStatus
from math import ceil
from typing import Any

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from freerecall.errors import (
    BudgetExceededError,
    ConflictError,
    DeckError,
    ForbiddenError,
    FreerecallError,
    InputError,
    LLMError,
    NotFoundError,
    NotSignedInError,
    TooManyError,
)
from freerecall.logs import request_id

MEDIA_TYPE = "application/problem+json"
_STATUS: dict[type[FreerecallError], int] = {
    NotFoundError: 404,
    NotSignedInError: 401,
    ForbiddenError: 403,
    TooManyError: 429,
    ConflictError: 409,
    InputError: 422,
    DeckError: 422,
    BudgetExceededError: 503,
    LLMError: 503,
}
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
Unexpected = Callable[[Request, Exception], Awaitable[Response]]
_log = logging.getLogger(__name__)


def security_headers(scheme: str) -> dict[str, str]:
    """Return what every response says to browsers; over TLS also that there is no other way here."""
    if scheme != "https":
        return _HEADERS
    return {**_HEADERS, "strict-transport-security": "max-age=31536000"}


class Problem(BaseModel):
    """What went wrong; `errors` names the fields, where fields are to blame.

    `request_id` is also in the service's log.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[dict[str, Any]] | None = None
    request_id: str | None = None


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that can answer with these problems."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "model": Problem,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in sorted({*statuses, 400, 401, 403, 413, 422, 429})
    }


def response(
    status: int,
    detail: str,
    errors: list[dict[str, Any]] | None = None,
    *,
    retry_after_s: float | None = None,
) -> JSONResponse:
    """Return a problem document."""
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        errors=errors,
        request_id=request_id.get() or None,
    )
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if retry_after_s is not None:
        headers["Retry-After"] = str(ceil(retry_after_s))
    return JSONResponse(
        body.model_dump(exclude_none=True), status_code=status, media_type=MEDIA_TYPE, headers=headers
    )


def status_of(error: FreerecallError) -> int:
    """Return the HTTP status that fits an error of ours."""
    return next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)


def _methods(routes: Iterable[Any], path: str) -> set[str]:
    """Return what a path may be asked with; the router itself names one route's methods only.

    A route of just this path goes before those with a name in it that fits any.
    """
    matching = [
        route for route in _flat(routes) if hasattr(route, "path_regex") and route.path_regex.match(path)
    ]
    own = [route for route in matching if route.path == path]
    return {method for route in own or matching for method in getattr(route, "methods", None) or ()}


def _flat(routes: Iterable[Any]) -> Iterator[Any]:
    for route in routes:
        inner = getattr(route, "original_router", None)
        yield from _flat(inner.routes) if inner is not None else (route,)


def _storing(error: sqlite3.Error) -> tuple[int, str]:
    """Return the status and what to tell where the database did not take a change."""
    kept = "Nothing that was stored before is lost, and this was not stored"
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return 507, f"The disk is full. {kept}: make room, then send it again."
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return 503, f"The database is held by another program. {kept}: send it again in a moment."
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR):
        return 503, f"The database cannot be written. {kept}: see to the data folder, then send it again."
    return 500, f"The database failed; the service's log says how, under {request_id.get()}. {kept}."


def install(app: FastAPI, page: Callable[[int, str], Response]) -> Unexpected:
    """Answer the errors of `app`: under /api with a problem document, elsewhere with a `page`.

    Return what answers those that nobody expects.
    """

    def told(request: Request, status: int, detail: str, errors: Any = None) -> Response:
        if request.url.path.startswith("/api/"):
            return response(status, detail, errors)
        return page(status, detail)

    @app.exception_handler(FreerecallError)
    async def ours(request: Request, error: FreerecallError) -> Response:
        answer = told(request, status_of(error), str(error))
        if isinstance(error, TooManyError):
            answer.headers["Retry-After"] = str(ceil(error.wait_s))
        return answer

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        answer = told(request, error.status_code, str(error.detail))
        answer.headers.update(error.headers or {})
        if error.status_code == 405:
            answer.headers["allow"] = ", ".join(sorted(_methods(app.routes, request.url.path)))
        return answer

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        found = [
            {"field": ".".join(str(part) for part in item["loc"][1:]) or "body", "message": item["msg"]}
            for item in error.errors()
        ]
        detail = "; ".join(f"{item['field']}: {item['message']}" for item in found[:5])
        return told(request, 422, detail, jsonable_encoder(found))

    @app.exception_handler(sqlite3.Error)
    async def storing(request: Request, error: sqlite3.Error) -> Response:
        _log.error("the store: %s", error)
        status, detail = _storing(error)
        return told(request, status, detail)

    async def unexpected(request: Request, error: Exception) -> Response:
        if isinstance(error, sqlite3.Error):  # in the guard, outside of what handles it else
            answer = await storing(request, error)
        else:
            _log.error("request failed", exc_info=error)
            detail = f"Something went wrong here; the service's log says what, under {request_id.get()}."
            answer = told(request, 500, detail)
        answer.headers.update(security_headers(request.url.scheme))
        return answer

    return unexpected
