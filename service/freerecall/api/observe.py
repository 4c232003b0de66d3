"""What every request leaves behind: an id, a line in the log, a count; an answer, whatever goes wrong."""

import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from freerecall.api.metrics import Metrics
from freerecall.api.problems import Unexpected
from freerecall.logs import request_id

HEADER = "x-request-id"
_SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_log = logging.getLogger(__name__)


class Observe:
    """ASGI middleware around all others. The id of a request may be the caller's own, if it is sane.

    A failure that nobody expects is answered here, and goes no further: the server would close the
    connection, which the client may be about to use again. Once a response has begun it is let
    through, so that the client sees that the rest is missing.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, unexpected: Unexpected) -> None:
        self.app = app
        self.metrics = metrics
        self.unexpected = unexpected

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        request_id.set(given if _SANE.fullmatch(given) else uuid.uuid4().hex)
        started, status, begun = time.perf_counter(), 500, False
        self.metrics.under_way += 1

        async def sending(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                begun = True
                self.metrics.under_way -= 1
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request_id.get()
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except Exception as error:
            if begun:
                raise
            answer = await self.unexpected(Request(scope, receive), error)
            await answer(scope, receive, sending)
        finally:
            self.metrics.under_way -= not begun
            took = time.perf_counter() - started
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = getattr(scope.get("route"), "path", "") or "(none)"
            self.metrics.served(method, route, status, took)
            fields = {"method": method, "route": route, "status": status, "ms": round(1000 * took, 1)}
            _log.info("%s %s %d in %.1f ms", *fields.values(), extra={"fields": fields})
