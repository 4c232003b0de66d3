"""The real service in a process of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from polling import until


@dataclass
class Service:
    url: str
    process: subprocess.Popen[str]

    def stop(self) -> tuple[int, str]:
        """Ask it to stop; return its exit code and what it said on stderr since it started."""
        self.process.send_signal(signal.SIGTERM)
        _, told = self.process.communicate(timeout=30)
        return self.process.returncode, told


def environment(data: Path, **extra: str) -> dict[str, str]:
    """Return this process's environment without freerecall's settings, but for `data` and `extra`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FREERECALL_")}
    return {**kept, "FREERECALL_DATA": str(data), **extra}


@contextmanager
def running_service(env: Mapping[str, str], *options: str) -> Iterator[Service]:
    """Start `freerecall` on a free port; it is listening and ready when this yields."""
    process = subprocess.Popen(
        [sys.executable, "-m", "freerecall", "--port", "0", *options],
        env=env,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Service(_address(process), process)
    finally:
        process.kill()
        process.communicate()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    told = []
    for line in process.stderr:
        if found := re.search(r"freerecall is at (\S+)", line):
            return found[1]
        told.append(line)
    raise AssertionError(f"the service did not start:\n{''.join(told)}")


@contextmanager
def served_here(app: FastAPI) -> Iterator[str]:
    """Serve within this process, for tests that tune it; yield the address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="on"))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        until(lambda: server.started or not thread.is_alive())
        assert server.started
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
