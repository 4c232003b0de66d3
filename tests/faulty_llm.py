"""Every way in which a provider fails, as steps for the scripted server."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import scripted_llm as scripted
from scripted_llm import Request, Response, ScriptedLLM, Step


def _body(body: bytes, code: int = 200, **headers: str) -> Step:
    return lambda _: Response(code, body, headers or {"Content-Type": "application/json"})


def _logprobs(value: str) -> Step:
    """A completion whose log-probabilities are `value`, a literal that JSON does not have."""

    def step(_: Request) -> Response:
        token = {"token": "yes", "logprob": -1, "top_logprobs": [{"token": "yes", "logprob": -1}]}
        choice = {
            "index": 0,
            "finish_reason": "length",
            "message": {"role": "assistant", "content": "yes"},
            "logprobs": {"content": [token]},
        }
        made = scripted.completion("yes", choices=[choice])
        return Response(
            200, made.body.replace(b'"logprob": -1', f'"logprob": {value}'.encode()), made.headers
        )

    return step


FAULTS: dict[str, Step] = {
    "late": scripted.hang(),
    "drip": lambda request: Response(
        200, scripted.covered()(request).body, {"Content-Type": "application/json"}, drip=True
    ),
    "cut off": scripted.truncated_body(),
    "reset": lambda request: Response(200, scripted.covered()(request).body, {}, truncate=True, reset=True),
    "429": scripted.status(429, retry_after=0),
    "429 until tomorrow": scripted.status(429, retry_after=86_400),
    "429 nonsense": scripted.status(429, retry_after="soon, I hope"),
    "500": scripted.status(500),
    "502 page": _body(b"<html>bad gateway</html>", 502, **{"Content-Type": "text/html"}),
    "503": scripted.status(503),
    "401": scripted.status(401, message="bad key"),
    "404 model": scripted.status(404, message="no such model"),
    "elsewhere": _body(b"", 302, Location="http://127.0.0.1:9/v1/chat/completions"),
    "page": scripted.wrong_content_type(),
    "half JSON": scripted.malformed_body(),
    "half verdict": scripted.malformed_json(),
    "huge": scripted.too_long(),
    "deep": _body(b"[" * 100_000),
    "no UTF-8": _body(b'{"choices": [{"message": {"content": "\xff\xfe"}}]}'),
    "a list": _body(b"[1, 2]"),
    "another schema": _body(json.dumps({"output": [{"text": "fine"}]}).encode()),
    "other verdicts": scripted.schema_violated(),
    "no choice": scripted.empty_choices(),
    "nothing": scripted.text(None),
    "refusal": scripted.text("I'm sorry, but I can't help with that."),
    "another language": scripted.text("Die Antwort ist im Großen und Ganzen richtig."),
    "NaN": _logprobs("NaN"),
    "infinity": _logprobs("1e999"),
    "invented": scripted.invented_quote(),
}
"""Each leaves the answer with what the embedded grader made of it, or with a grade that is as sound."""


@contextmanager
def failing(fault: str) -> Iterator[str]:
    """Give the address of a provider with this fault, or of none at all."""
    if fault == "refused":
        with scripted.refused() as api_base:
            yield api_base
        return
    with ScriptedLLM(FAULTS[fault]) as server:
        yield server.api_base


ALL = ("refused", *FAULTS)
