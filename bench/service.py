"""The service over HTTP: its start, its memory, and one answer stored, graded and scheduled."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from statistics import median

import psutil

from bench.answers import answered
from bench.measure import Row, alternate

STARTS = 9
GRADES = 1000
ANSWERS = 500
WARM_UP = 50
START_LIMIT_S = 60.0


class Server:
    """A process that serves HTTP on 127.0.0.1, and one kept-alive connection to it."""

    def __init__(self, *command: str, port: int, data: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FREERECALL_")}
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", *command],
            env={**kept, "FREERECALL_DATA": str(data)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.port = port
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def wait(self) -> None:
        """Return at the first 200 from /healthz."""
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self.request("GET", "/healthz")
            except OSError:
                self.connection.close()
                time.sleep(0.002)
            else:
                return
        raise RuntimeError(f"no answer from port {self.port}")

    def request(self, method: str, path: str, body: object = None) -> bytes:
        """Return the body of a 2xx reply. Raises RuntimeError on any other."""
        content = None if body is None else json.dumps(body)
        self.connection.request(method, path, content, {"Content-Type": "application/json"})
        reply = self.connection.getresponse()
        received = reply.read()
        if reply.status // 100 != 2:
            raise RuntimeError(f"{method} {path}: {reply.status} {received[:200]!r}")
        return received

    def stop(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.wait()


@contextmanager
def ours(data: Path) -> Iterator[Server]:
    port = free_port()
    yield from _running(Server("freerecall", "--port", str(port), port=port, data=data))


@contextmanager
def bare(data: Path, *database: str) -> Iterator[Server]:
    port = free_port()
    yield from _running(Server("bench.bare", str(port), *database, port=port, data=data))


def start(folder: Path) -> list[Row]:
    """Time from a new process to its first 200, on a data folder that is already there."""

    def started(server: object) -> None:
        with server as running:  # type: ignore[attr-defined]
            running.wait()

    started(ours(folder))  # makes the database, and the caches of compiled modules
    started(bare(folder))
    mine, plain = alternate(lambda _: started(ours(folder)), lambda _: started(bare(folder)), STARTS)
    ratio = median(own / other for own, other in zip(mine, plain, strict=True))
    return [
        Row(
            "start to the first 200 from /healthz (baseline: FastAPI + uvicorn hello)",
            f"{median(mine):.2f} s",
            f"{median(plain):.2f} s",
            ratio,
            "≤ 2.5 ×",
            ratio <= 2.5,
        )
    ]


def memory(folder: Path) -> list[Row]:
    """Measure resident memory after many embedded grades over HTTP."""
    with ours(folder) as server, bare(folder) as plain:
        server.wait()
        plain.wait()
        for card, answer in islice(answered(), GRADES):
            body = {"question": card.question, "reference": card.reference, "answer": answer}
            server.request("POST", "/api/v1/grade", {**body, "grader": "embedded"})
            plain.request("GET", "/healthz")
        mine, other = (psutil.Process(one.process.pid).memory_info().rss / 2**20 for one in (server, plain))
    return [
        Row(
            f"resident memory after {GRADES} embedded grades (baseline: hello, as many requests)",
            f"{mine:.0f} MB",
            f"{other:.0f} MB",
            mine / other,
            "≤ 250 MB",
            mine <= 250,
        )
    ]


def submit(folder: Path) -> list[Row]:
    """Time one answer stored, graded and scheduled against one row inserted, both durably."""
    pairs = list(islice(answered(), ANSWERS + WARM_UP))

    def body(number: int) -> dict[str, object]:
        card, answer = pairs[number]
        return {
            "card_id": card.id,
            "answer": answer,
            "client_answer_id": f"bench-{number}",
            "elapsed_ms": 1000,
        }

    with ours(folder) as server, bare(folder, str(folder / "bare.db")) as plain:
        server.wait()
        plain.wait()
        for number in range(ANSWERS, ANSWERS + WARM_UP):
            server.request("POST", "/api/v1/practice/answers", body(number))
            plain.request("POST", "/answers", body(number))
        mine, other = alternate(
            lambda number: server.request("POST", "/api/v1/practice/answers", body(number)),
            lambda number: plain.request("POST", "/answers", body(number)),
            ANSWERS,
        )
    ratio = median(mine) / median(other)
    return [
        Row(
            "POST /api/v1/practice/answers, median (baseline: FastAPI route inserting one row)",
            f"{median(mine) * 1000:.2f} ms",
            f"{median(other) * 1000:.2f} ms",
            ratio,
            "≤ 3 ×",
            ratio <= 3,
        )
    ]


def _running(server: Server) -> Iterator[Server]:
    try:
        yield server
    finally:
        server.stop()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port
