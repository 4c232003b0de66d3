"""What every request passes: host and origin checks, who asks, rate and body limits, security headers."""

import asyncio
import ipaddress
import re
from datetime import datetime
from http.cookies import SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from freerecall import accounts
from freerecall.access import LOCAL, Identity
from freerecall.api import problems
from freerecall.api.clock import now
from freerecall.api.service import Service

MAX_BODY = 1 << 20
MAX_UPLOAD = 20 << 20
COOKIE = "freerecall"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_SAFE = {"GET", "HEAD", "OPTIONS"}
# Who has a paper's code may sit it, and who has a sitting's id may go on with it.
_OPEN = ("/login", "/sit/", "/sittings/", "/api/v1/sittings/", "/api/v1/exams/code/")
_NOBODYS = ("/healthz", "/readyz", "/api/v1/healthz", "/static/")
_SITTING = re.compile(r"/(?:api/v1/)?sittings/([^/]{1,64})")


class Guard:
    """ASGI middleware: `scope["state"]["identity"]` is who asks, None on open paths where nobody says.

    `loopback`: the service listens on this machine only. Then, until there is a token or an account,
    there is one learner, and only loopback names are served (against DNS rebinding).
    """

    def __init__(self, app: ASGIApp, token: str, loopback: bool) -> None:
        self.app = app
        self.token = token
        self.loopback = loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in problems.security_headers(scope["scheme"]).items():
                    headers.setdefault(name, value)
                if not scope["path"].startswith("/static/"):
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        refusal = await self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send_with_headers)
            return
        limit = MAX_UPLOAD if scope["path"].startswith(("/api/v1/decks", "/import")) else MAX_BODY
        await self.app(scope, _limited(receive, limit), send_with_headers)

    async def _refusal(self, scope: Scope) -> ASGIApp | None:
        headers, path = Headers(scope=scope), scope["path"]
        host, unsafe = headers.get("host", ""), scope["method"] not in _SAFE
        if unsafe and not _same_site(headers, host):
            return problems.response(403, "This request comes from another site.")
        state = scope.setdefault("state", {})
        state["identity"] = None
        if path.startswith(_NOBODYS):
            return None
        service: Service = scope["app"].state.service
        cookie = _cookie(headers)
        scheme, _, value = headers.get("authorization", "").partition(" ")
        bearer = value.strip() if scheme.lower() == "bearer" else ""
        at = now()
        who = accounts.who_asks(
            service.door,
            session_id=cookie,
            bearer=bearer,
            token=self.token,
            alone=self.loopback,
            now=at,
            touch=lambda session: _note_use(service, session, at),
        )
        state["identity"] = who
        if who is LOCAL and not bearer and (refusal := _foreign_host(host)):
            return refusal
        if who is None and not path.startswith(_OPEN):
            if path.startswith(("/api/", "/metrics")) or unsafe:
                return problems.response(401, "Log in, or send FREERECALL_TOKEN's value as a bearer token.")
            return RedirectResponse("/login", status_code=303)
        if unsafe and who is not None and who.session and not _says_where_from(headers):
            return problems.response(
                403, "A change with a cookie must say where it comes from: send Origin or Sec-Fetch-Site."
            )
        if unsafe and who is not LOCAL:
            return _too_many(service, _whose_rate(who, path, scope))
        return None


def _note_use(service: Service, session: str, at: datetime) -> None:
    asyncio.get_running_loop().run_in_executor(None, service.store.use_session, session, at)


def _foreign_host(host: str) -> ASGIApp | None:
    if (urlsplit(f"//{host}").hostname or "") in _LOOPBACK:
        return None
    return problems.response(400, f"This service does not answer to the host name {host[:100]!r}.")


def client_address(scope: Scope) -> str:
    """Return the client's address; of IPv6 the network, for one client has a whole one to itself."""
    address = scope["client"][0] if scope.get("client") else ""
    try:
        if ipaddress.ip_address(address).version == 6:
            return str(ipaddress.ip_network(f"{address}/64", strict=False))
    except ValueError:
        pass
    return address


def _whose_rate(who: Identity | None, path: str, scope: Scope) -> str:
    """A learner's, else a sitting's, else an address's: a class may share one address."""
    if who is not None:
        return f"learner {who.learner}"
    found = _SITTING.match(path)
    return f"sitting {found[1]}" if found else f"address {client_address(scope)}"


def _too_many(service: Service, key: str) -> ASGIApp | None:
    wait = (service.arrivals if key.startswith("address ") else service.changes).take(key)
    if not wait:
        return None
    return problems.response(429, "Too many changes in a short time; wait a little.", retry_after_s=wait)


def _cookie(headers: Headers) -> str:
    cookies = SimpleCookie()
    try:
        cookies.load(headers.get("cookie", ""))
    except Exception:  # a malformed cookie is no cookie
        return ""
    return cookies[COOKIE].value if COOKIE in cookies else ""


def _says_where_from(headers: Headers) -> bool:
    return "origin" in headers or "sec-fetch-site" in headers


def _same_site(headers: Headers, host: str) -> bool:
    """Browsers say where an unsafe request comes from; programs say nothing."""
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == host


def _limited(receive: Receive, limit: int) -> Receive:
    taken = 0

    async def limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            raise HTTPException(413, f"The request's body is larger than {limit >> 20} MiB.")
        return message

    return limited
