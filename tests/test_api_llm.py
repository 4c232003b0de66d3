"""Answers over HTTP while the language model works, fails, and comes back."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

import scripted_llm as llm
from polling import until
from service_process import environment, running_service

VAGUE = "it watches whether things have gone wrong with it, more or less"
CARD = "mlops:monitoring-step-pipeline"


def service(data: Path, api_base: str, grader: str = "llm") -> AbstractContextManager[Any]:
    model = {
        "FREERECALL_MODEL": "openai/scripted",
        "FREERECALL_API_BASE": api_base,
        "FREERECALL_PROMPT": "rubric-v1",
    }
    return running_service(environment(data, FREERECALL_GRADER=grader, FREERECALL_API_KEY="k", **model))


def submit(url: str, client_id: str = "1", answer: str = VAGUE) -> dict[str, Any]:
    body = {"card_id": CARD, "answer": answer, "client_answer_id": client_id}
    response = httpx.post(f"{url}/api/v1/practice/answers", json=body, timeout=30)
    assert response.status_code == 200, response.text
    result: dict[str, Any] = response.json()
    return result


def fetch(url: str, answer_id: str) -> dict[str, Any]:
    result: dict[str, Any] = httpx.get(f"{url}/api/v1/answers/{answer_id}").json()
    return result


def test_the_embedded_grade_comes_first_and_the_models_verdict_after(tmp_path: Path) -> None:
    with llm.ScriptedLLM(llm.hang(), llm.covered()) as model, service(tmp_path, model.api_base) as running:
        first = submit(running.url)
        assert (first["pending"], first["provisional"], first["decided_by"]) == (True, True, "embedded")
        assert model.arrived.acquire(timeout=30)
        assert fetch(running.url, first["answer_id"])["pending"] is True
        model.release()

        submit(running.url, "2", VAGUE + ", again")  # wakes whatever is left to do

        def settled() -> dict[str, Any] | None:
            found = fetch(running.url, first["answer_id"])
            return None if found["pending"] else found

        last = until(settled)
    assert (last["provisional"], last["decided_by"]) == (False, "llm")
    assert last["earlier_ratings"] == [first["rating"]]
    assert last["provenance"]["model"]
    assert last["provenance"]["prompt"]


FAILURES: dict[str, Callable[[], Any]] = {
    "429": lambda: llm.status(429, retry_after=3600),
    "500": lambda: llm.status(500),
    "malformed JSON": llm.malformed_json,
    "schema violated": llm.schema_violated,
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failing_model_leaves_the_embedded_grade(tmp_path: Path, failure: str) -> None:
    with llm.ScriptedLLM(FAILURES[failure]()) as model, service(tmp_path, model.api_base) as running:
        first = submit(running.url)
        assert first["provisional"] is True

        def failed() -> dict[str, Any] | None:
            found = fetch(running.url, first["answer_id"])
            return found if found["provenance"]["error"] else None

        told = until(failed)
    assert (told["pending"], told["provisional"]) == (True, True)
    assert told["rating"] == first["rating"]


def test_answers_that_the_model_failed_on_are_settled_in_their_turn(tmp_path: Path) -> None:
    with ExitStack() as stack:  # all at once: each waits for its turn to be asked about again
        asked = []
        for number, failure in enumerate(FAILURES.values()):
            model = stack.enter_context(llm.ScriptedLLM(failure()))
            running = stack.enter_context(service(tmp_path / str(number), model.api_base))
            asked.append((model, running.url, submit(running.url)["answer_id"]))
        for model, url, answer_id in asked:
            until(lambda url=url, one=answer_id: fetch(url, one)["provenance"]["error"])
            model.script(llm.covered())
            submit(url, "2", VAGUE + ", again")
        for _, url, answer_id in asked:
            assert until(lambda url=url, one=answer_id: not fetch(url, one)["pending"])


def test_no_model_at_the_address(tmp_path: Path) -> None:
    with llm.refused() as api_base, service(tmp_path, api_base) as running:
        first = submit(running.url)
        assert first["provisional"] is True
        told = until(lambda: fetch(running.url, first["answer_id"])["provenance"]["error"])
        assert told != "k"
        stateless = {"question": "q?", "reference": "the sky is blue", "answer": "sky", "grader": "llm"}
        grade = httpx.post(f"{running.url}/api/v1/grade", json=stateless, timeout=60).json()
        assert (grade["decided_by"], grade["provisional"]) == ("embedded", True)
        assert grade["provenance"]["error"]


def test_an_invented_quote_earns_nothing(tmp_path: Path) -> None:
    with llm.ScriptedLLM(llm.invented_quote()) as model, service(tmp_path, model.api_base) as running:
        first = submit(running.url, answer="bananas are yellow")

        def settled() -> dict[str, Any] | None:
            found = fetch(running.url, first["answer_id"])
            return None if found["pending"] else found

        last = until(settled)
    assert last["rating"] == 1
    assert {item["verdict"] for item in last["evidence"]} == {"missing"}


def test_hybrid_asks_only_where_it_is_unsure(tmp_path: Path) -> None:
    with llm.ScriptedLLM() as model, service(tmp_path, model.api_base, "hybrid") as running:
        assert submit(running.url, "1", "")["pending"] is False
        assert submit(running.url, "2", "I don't know")["pending"] is False
        assert not model.requests


def events(url: str, answer_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Read an answer's events until the service ends them."""
    found = []
    with httpx.stream("GET", f"{url}/api/v1/answers/{answer_id}/events", timeout=60) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        name = ""
        for line in reply.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                found.append((name, json.loads(line.removeprefix("data: "))))
    return found


def test_the_verdict_is_streamed_with_what_changed(tmp_path: Path) -> None:
    with llm.ScriptedLLM(llm.hang(), llm.covered()) as model, service(tmp_path, model.api_base) as running:
        first = submit(running.url)
        assert model.arrived.acquire(timeout=30)
        with ThreadPoolExecutor() as pool:
            reading = pool.submit(events, running.url, first["answer_id"])
            model.release()
            told = reading.result(timeout=60)
        if told[-1][0] == "failed":  # the model hung up; the next round has the verdict
            submit(running.url, "2", VAGUE + ", again")
            told += events(running.url, first["answer_id"])
        assert told[0][0] == "grade"
        assert told[0][1]["pending"]
        last = told[-1][1]
        assert not last["pending"]
        assert {change["after"] for change in last["changes"]} == {"covered"}
        assert events(running.url, first["answer_id"])[0][1]["changes"] == last["changes"]


def test_a_failing_model_is_told_of_too(tmp_path: Path) -> None:
    with llm.ScriptedLLM(llm.hang()) as model, service(tmp_path, model.api_base) as running:
        first = submit(running.url)
        assert model.arrived.acquire(timeout=30)
        with ThreadPoolExecutor() as pool:
            reading = pool.submit(events, running.url, first["answer_id"])
            model.script(llm.status(400))
            model.release()
            name, last = reading.result(timeout=60)[-1]
        assert (name, last["pending"], last["provisional"]) == ("failed", True, True)
