"""A scripted language model: a real HTTP server on loopback, OpenAI's chat protocol, and failures on order.

    with ScriptedLLM(status(429, retry_after=0), covered()) as server:
        llm = LLM("openai/scripted", server.api_base, retry_delay_s=0)
        ...                                  # first request: 429; second: every point covered
        assert len(server.requests) == 2     # .path, .headers, .body (decoded JSON) of each

Each request takes the next step of the script; the last step is repeated for ever. Without steps
every request gets `covered()`. Steps are made by the functions below; `server.script(*steps)`
replaces what is left of the script. For a server that is not there: `with refused() as api_base`.

A `hang()` step holds its request until `server.release()` or the end of the `with` block, so a
test of a deadline needs no sleep: give the caller a short deadline. `server.arrived` is a
semaphore that is released once for each request, for tests that wait for one.
"""

import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def points(self) -> list[str]:
        """The names of the key points that the schema asks for: p1, p2, …"""
        form = self.body.get("response_format") or {}
        names = form.get("json_schema", {}).get("schema", {}).get("properties", {})
        found = [name for name in names if re.fullmatch(r"p\d+", name)]
        return found or re.findall(r"^(p\d+):", self.prompt.rpartition("Key points:")[2], re.MULTILINE)

    @property
    def prompt(self) -> str:
        """The message that holds the learner's answer: the last one that does, as there may be an example."""
        texts = [one["content"] for one in self.body["messages"] if one["role"] == "user"]
        return next((text for text in reversed(texts) if _ANSWER in text), texts[-1])

    @property
    def answer(self) -> str:
        """The learner's answer, as the prompt quotes it."""
        data = self.prompt.rpartition(_ANSWER)[2]
        return str(json.loads(data)) if data.startswith('"') else ""


@dataclass(frozen=True)
class Response:
    """What goes over the wire; `truncate` closes the connection before the promised end, `reset` rudely,
    and `drip` sends half, then waits as `hang` does."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    truncate: bool = False
    hang: bool = False
    drip: bool = False
    reset: bool = False


Step = Callable[[Request], Response]

_ANSWER = "learner's answer: "
_JSON = {"Content-Type": "application/json"}


def completion(content: str | None, **changes: Any) -> Response:
    """A chat completion whose message is `content`; `changes` replace top-level fields."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "scripted",
        "choices": [choice],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
    }
    return Response(
        body=json.dumps({**body, **changes}).encode(), headers={"Content-Type": "application/json"}
    )


def text(content: str | None, **changes: Any) -> Step:
    """Reply with just this text."""
    return lambda _: completion(content, **changes)


def ok(*verdicts: tuple[str, str], wrong: tuple[str, ...] = (), feedback: str = "Well remembered.") -> Step:
    """Reply with these (verdict, quote) pairs, one for each key point."""
    points = {f"p{i}": {"quote": quote, "verdict": verdict} for i, (verdict, quote) in enumerate(verdicts, 1)}
    return text(json.dumps({**points, "wrong": list(wrong), "feedback": feedback}))


def every_point(verdict: str, quote: str | None = None) -> Step:
    """Give each key point asked for this verdict, quoting the whole answer unless told otherwise."""

    def step(request: Request) -> Response:
        said = request.answer if quote is None else quote
        points = {name: {"quote": said, "verdict": verdict} for name in request.points}
        return completion(json.dumps({**points, "wrong": [], "feedback": "Well remembered."}))

    return step


def covered() -> Step:
    """Find every key point in the answer."""
    return every_point("covered")


def invented_quote() -> Step:
    """Find every key point in words that the learner did not write."""
    return every_point("covered", "zebras juggle seventeen purple umbrellas")


def schema_violated() -> Step:
    """Reply with JSON of another shape."""
    return text('{"verdict": "excellent", "rating": 5}')


def malformed_json() -> Step:
    """Reply with text that only begins like JSON."""
    return text('{"p1": {"quote": "')


def malformed_body() -> Step:
    """Send a body that claims to be JSON and is not."""
    return lambda _: Response(body=b'{"choices": [', headers=dict(_JSON))


def wrong_content_type() -> Step:
    """Send a web page, as a proxy's login page would be."""
    return lambda _: Response(body=b"<html>Sign in</html>", headers={"Content-Type": "text/html"})


def empty_choices() -> Step:
    """Send a completion without any choice."""
    return text(None, choices=[])


def truncated_body() -> Step:
    """Promise a whole completion and send half of it."""

    def step(request: Request) -> Response:
        whole = covered()(request)
        return Response(200, whole.body, whole.headers, truncate=True)

    return step


def too_long(size: int = 3_000_000) -> Step:
    """Send a body of `size` bytes."""
    return text("x" * size)


def status(code: int, *, retry_after: float | str | None = None, message: str = "scripted failure") -> Step:
    """Send an error of this HTTP status."""
    headers = dict(_JSON)
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    body = json.dumps({"error": {"message": message, "type": "scripted", "code": code}}).encode()
    return lambda _: Response(code, body, headers)


def hang() -> Step:
    """Keep the client waiting until the server's `release()`, then close without a word."""
    return lambda _: Response(hang=True)


@contextmanager
def refused() -> Iterator[str]:
    """Give the address of a port that refuses connections, and hold it so that nobody else listens there."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}/v1"


class ScriptedLLM:
    """The server; see the module's docstring."""

    def __init__(self, *steps: Step) -> None:
        self.requests: list[Request] = []
        self.arrived = threading.Semaphore(0)
        self._steps = list(steps) or [covered()]
        self._lock = threading.Lock()
        self._released = threading.Event()
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                scripted._answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def api_base(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def script(self, *steps: Step) -> None:
        """Replace the rest of the script."""
        with self._lock:
            self._steps = list(steps)

    def release(self) -> None:
        """Let go of every request that hangs, now and later."""
        self._released.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        raw = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        request = Request(handler.path, dict(handler.headers.items()), json.loads(raw))
        with self._lock:
            self.requests.append(request)
            step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
        self.arrived.release()
        response = step(request)
        handler.close_connection = response.hang or response.truncate or response.drip
        if response.hang:
            self._released.wait()
            return
        try:
            handler.send_response(response.status)
            for name, value in response.headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(response.body)))
            handler.end_headers()
            half = response.truncate or response.drip
            handler.wfile.write(response.body[: len(response.body) // 2] if half else response.body)
            if response.drip:
                handler.wfile.flush()
                self._released.wait()
            if response.reset:
                linger = struct.pack("ii", 1, 0)
                handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        except OSError:
            handler.close_connection = True
