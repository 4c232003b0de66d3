"""Verdicts in the background: in turn, without a stubborn one holding up the others, none while held back."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import scripted_llm as scripted
from freerecall.api import settling
from freerecall.api.app import create_app
from freerecall.grades import GraderMode
from freerecall.llm_breaker import FAILURES
from freerecall.settings import Settings
from polling import until
from scripted_llm import Request, Response, ScriptedLLM
from service_process import served_here

DECK = 'title = "W"\n[[cards]]\nid = "r"\nquestion = "What makes it rain?"\nreference = "Drops."'
STUBBORN = "the drops that no model understands"


def stubborn(request: Request) -> Response:
    """Makes sense of every answer but one."""
    return (scripted.empty_choices() if request.answer == STUBBORN else scripted.covered())(request)


@contextmanager
def serving(tmp_path: Path, server: ScriptedLLM) -> Iterator[httpx.Client]:
    settings = Settings(
        data=tmp_path,
        model="openai/scripted",
        api_base=server.api_base,
        grader=GraderMode.LLM,
        prompt="rubric-v1",
    )
    with served_here(create_app(settings)) as url, httpx.Client(base_url=url, timeout=60) as client:
        client.post("/api/v1/decks?name=w.toml", content=DECK).raise_for_status()
        yield client


def answer(client: httpx.Client, text: str) -> dict[str, Any]:
    body = {"card_id": "w:r", "answer": text, "client_answer_id": text}
    reply = client.post("/api/v1/practice/answers", json=body)
    reply.raise_for_status()
    given: dict[str, Any] = reply.json()
    return given


def sit(client: httpx.Client, text: str) -> str:
    paper = client.post("/api/v1/exams", json={"decks": ["w"], "count": 1}).json()["id"]
    sitting: str = client.post(f"/api/v1/exams/{paper}/sittings", json={"name": "Ada"}).json()["id"]
    client.put(f"/api/v1/sittings/{sitting}/answers/1", json={"text": text, "revision": 1}).raise_for_status()
    client.post(f"/api/v1/sittings/{sitting}/submit").raise_for_status()
    return sitting


def settled(client: httpx.Client, given: dict[str, Any]) -> Callable[[], bool]:
    return lambda: not client.get(f"/api/v1/answers/{given['answer_id']}").json()["pending"]


def asked(server: ScriptedLLM, text: str) -> int:
    return sum(request.answer == text for request in server.requests)


def test_an_answer_that_the_model_fails_on_waits_while_others_are_settled(tmp_path: Path) -> None:
    with ScriptedLLM(stubborn) as server, serving(tmp_path, server) as client:
        first = answer(client, STUBBORN)
        until(lambda: asked(server, STUBBORN))
        for number in range(5):
            until(settled(client, answer(client, f"drops, I think {number}")))
        assert not settled(client, first)()
        assert asked(server, STUBBORN) <= 2, "once, and once more to have the reply mended"


def test_a_sitting_that_the_model_fails_on_holds_up_no_other(tmp_path: Path) -> None:
    with ScriptedLLM(stubborn) as server, serving(tmp_path, server) as client:
        first = sit(client, STUBBORN)
        until(lambda: asked(server, STUBBORN))
        for number in range(3):
            other = sit(client, f"drops, I think {number}")
            assert until(lambda other=other: client.get(f"/api/v1/sittings/{other}/report").json()["final"])
        assert asked(server, STUBBORN) <= 2
        found = client.get(f"/api/v1/sittings/{first}/report").json()
        assert not found["final"]
        assert found["graded"] == 1


def test_both_are_asked_about_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "RETRY_FIRST_S", 0.05)
    monkeypatch.setattr(settling, "RETRY_MOST_S", 0.1)
    monkeypatch.setattr(settling, "EXAM_EVERY_S", 0.05)
    with ScriptedLLM(stubborn) as server, serving(tmp_path, server) as client:
        given, sitting = answer(client, STUBBORN), sit(client, STUBBORN)
        until(lambda: asked(server, STUBBORN) > 8)
        server.script(scripted.covered())
        assert until(settled(client, given))
        assert until(lambda: client.get(f"/api/v1/sittings/{sitting}/report").json()["final"])


def test_a_reply_is_read_when_no_request_is_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "LONGEST_STEP_S", 1e9)
    replies = threading.Event()

    def slow(request: Request) -> Response:
        replies.wait()
        return scripted.covered()(request)

    with ScriptedLLM(slow) as server, serving(tmp_path, server) as client:
        given = answer(client, "drops, I think")
        until(lambda: asked(server, "drops, I think"))
        address = (client.base_url.host, client.base_url.port)
        with socket.create_connection(address) as half:
            half.sendall(
                b"POST /api/v1/grade HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n"
            )
            assert b" 100 " in half.recv(99), "its body is waited for"
            replies.set()
            assert not any(settled(client, given)() for _ in range(50))
        assert until(settled(client, given))


def test_what_failed_before_waits_while_nothing_succeeds() -> None:
    now = [0.0]
    brake, waits = settling.Brake(lambda: now[0]), []
    for _ in range(10):
        brake.note(False)
        before = now[0]
        while brake.on:
            now[0] += 5.0
        waits.append(now[0] - before)
    assert waits == [0, 0, 15, 30, 60, 120, 240, 480, 600, 600]
    brake.note(False)
    assert brake.on
    brake.note(True)
    assert not brake.on
    brake.note(False)
    assert not brake.on, "one failure among successes holds nothing back"


def test_while_the_model_is_held_back_a_grade_says_so_at_once(tmp_path: Path) -> None:
    with ScriptedLLM(scripted.status(401)) as server, serving(tmp_path, server) as client:
        for number in range(FAILURES):
            answer(client, f"drops, I think {number}")
        until(lambda: "freerecall_provider_up 0.0" in client.get("/metrics").text)
        before = len(server.requests)
        late = answer(client, "drops after drops")
        assert (late["pending"], late["provisional"]) == (True, True)
        assert "it is asked again in" in late["provenance"]["error"]
        told = client.get(f"/api/v1/answers/{late['answer_id']}/events").text
        assert "event: failed" in told
        assert len(server.requests) == before
