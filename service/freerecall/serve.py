"""Start the service on one address and stop it cleanly."""

import ctypes
import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import uvicorn

from freerecall import logs
from freerecall.errors import FreerecallError, SettingsError
from freerecall.settings import Settings, remarks

STOPS_WITHIN_S = 10
"""What is under way when the service is asked to stop has this long to end."""
KEEP_ALIVE_S = 125
"""A connection without a request is closed after this: longer than browsers and proxies keep theirs
(Caddy: 120 s), for one that closes first is cut off where a request is on its way already."""
SWITCH_S = 0.0005
"""Seconds until a thread that grades lets another have the interpreter; Python's own 0.005 is felt."""
_M_ARENA_MAX = -8
SHORTEST_TOKEN = 16
"""Characters, where other machines can reach the service."""


class _Server(uvicorn.Server):
    """Says where it listens; asked to stop, ends its streams first; asked twice, ends at once."""

    def __init__(self, config: uvicorn.Config, leave: Callable[[], None]) -> None:
        super().__init__(config)
        self._leave = leave

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            os._exit(128 + sig)  # the store bears it, as it bears a kill
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._leave()
        await super().shutdown(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            print(f"freerecall is at {_address(listener)} (Ctrl-C stops it)", file=sys.stderr, flush=True)


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM, then finish what is under way and return or exit with 0.

    A second signal ends the process at once.

    `port` 0 takes any free one. Raises SettingsError where others could reach the service
    and neither a token nor an account protects it, FreerecallError where the address cannot be had.
    """
    for remark in remarks():
        print(f"freerecall: {remark}", file=sys.stderr)
    logs.setup(settings.log, settings.log_level)
    loopback = is_loopback(host) and not settings.proxy
    if not (settings.token or loopback or _has_accounts(settings)):
        raise SettingsError(
            "FREERECALL_TOKEN is not set, there is no account, and"
            f" {'FREERECALL_PROXY' if is_loopback(host) else f'--host {host or repr(host)}'} lets other"
            " machines in: make an account with `freerecall user add NAME --role admin`, set"
            " FREERECALL_TOKEN to a secret of your choice, or use --host 127.0.0.1"
        )
    if settings.token and not loopback and len(settings.token) < SHORTEST_TOKEN:
        raise SettingsError(
            f"FREERECALL_TOKEN has {len(settings.token)} characters, which others could guess: give it"
            f" at least {SHORTEST_TOKEN}, from `openssl rand -hex 16` for example"
        )
    sys.setswitchinterval(SWITCH_S)
    _few_heaps()
    listener = _listen(host, port)
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, lambda *_: sys.exit(0))

    from freerecall.api.app import create_app  # after the socket: a taken port is told at once
    from freerecall.store import Store

    Store.open(settings.database).close()  # an unusable data folder is told in one line, too
    app = create_app(settings, loopback=loopback)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=STOPS_WITHIN_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        proxy_headers=bool(settings.proxy),
        forwarded_allow_ips=settings.proxy,
    )
    _Server(config, lambda: app.state.service.leave()).run(sockets=[listener])


def _few_heaps() -> None:
    """Have glibc take two heaps for all threads, not one for each: every one of them keeps what it got."""
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def _has_accounts(settings: Settings) -> bool:
    if not settings.database.exists():
        return False
    from freerecall.store import Store

    with Store.open(settings.database) as store:
        return store.has_accounts()


def is_loopback(host: str) -> bool:
    """Whether `host` is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(socket.SOMAXCONN)
    except OSError as error:
        reason = error.strerror or str(error)
        raise FreerecallError(
            f"cannot listen on {host} port {port}: {reason}; choose another with --port or --host"
        ) from error
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
