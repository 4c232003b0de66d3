"""What every request passes: host and origin checks, the token, body limits, security headers."""

import hashlib
import hmac
from http.cookies import SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from freerecall.api import problems

MAX_BODY = 1 << 20
MAX_UPLOAD = 20 << 20
COOKIE = "freerecall"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_SAFE = {"GET", "HEAD", "OPTIONS"}
_OPEN = (
    *("/healthz", "/readyz", "/api/v1/healthz", "/login", "/static/"),
    # Who has a paper's code may sit it, and who has a sitting's id may go on with it.
    *("/sit/", "/sittings/", "/api/v1/sittings/", "/api/v1/exams/code/"),
)
_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def cookie_value(token: str) -> str:
    """Return what the login cookie holds: proof of the token, not the token."""
    return hmac.new(token.encode(), b"freerecall login", hashlib.sha256).hexdigest()


class Guard:
    """ASGI middleware. Without a token only loopback names are served (against DNS rebinding)."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app = app
        self.token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if not scope["path"].startswith("/static/"):
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send_with_headers)
            return
        limit = MAX_UPLOAD if scope["path"].startswith(("/api/v1/decks", "/import")) else MAX_BODY
        await self.app(scope, _limited(receive, limit), send_with_headers)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self.token and (urlsplit(f"//{host}").hostname or "") not in _LOOPBACK:
            return problems.response(400, f"This service does not answer to the host name {host[:100]!r}.")
        if scope["method"] not in _SAFE and not _same_site(headers, host):
            return problems.response(403, "This request comes from another site.")
        path: str = scope["path"]
        if self.token and not path.startswith(_OPEN) and not self._knows_token(headers):
            if path.startswith("/api/") or scope["method"] not in _SAFE:
                return problems.response(401, "Send FREERECALL_TOKEN's value as a bearer token.")
            from starlette.responses import RedirectResponse

            return RedirectResponse("/login", status_code=303)
        return None

    def _knows_token(self, headers: Headers) -> bool:
        scheme, _, value = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(value.strip().encode(), self.token.encode()):
            return True
        cookies = SimpleCookie()
        try:
            cookies.load(headers.get("cookie", ""))
        except Exception:  # a malformed cookie is no cookie
            return False
        sent = cookies[COOKIE].value if COOKIE in cookies else ""
        return hmac.compare_digest(sent.encode(), cookie_value(self.token).encode())


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
