"""Every fault of a provider × every way in: each answer gets a grade in time, none the better for it."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

import scripted_llm as scripted
from faulty_llm import ALL, failing
from freerecall import exams, papers, practice
from freerecall.api import settling
from freerecall.api.app import create_app
from freerecall.cards import Card, Deck, KeyPoint
from freerecall.evaluation import batch
from freerecall.evaluation.batch import grade_rows
from freerecall.evaluation.rows import Row
from freerecall.grades import Grade, GraderMode
from freerecall.grading import AskPolicy, grade, grade_embedded
from freerecall.llm import LLM
from freerecall.llm_breaker import FAILURES, FIRST_S, Breaker
from freerecall.papers import Spec
from freerecall.settings import Settings
from freerecall.store import Store
from polling import until
from scripted_llm import ScriptedLLM
from service_process import served_here

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CARD = Card(
    "d:rain",
    "What makes it rain?",
    "Water vapour condenses into drops that grow too heavy to stay up.",
    points=(KeyPoint("vapour condenses into drops"), KeyPoint("drops become too heavy")),
)
ANSWER = "the vapour condenses, sort of"
DEADLINE_S = 1.0
GRACE_S = 5.0
"""The promise is one second; a machine that runs other things meanwhile gets more."""
ALWAYS = AskPolicy(gate=2.0)


def sound(found: Grade) -> None:
    """It is a grade, and no better than the answer's own words make it."""
    assert found.rating in range(1, 6)
    assert found.rating <= grade_embedded(CARD, ANSWER).rating or not found.provisional
    assert found.rating < 5
    assert found.feedback


def model(api_base: str) -> LLM:
    return LLM("openai/scripted", api_base, retry_delay_s=0)


@pytest.mark.parametrize("fault", ALL)
@pytest.mark.parametrize("mode", [GraderMode.LLM, GraderMode.HYBRID])
def test_a_grade_comes_in_time(fault: str, mode: GraderMode) -> None:
    async def ask(api_base: str) -> Grade:
        llm = model(api_base)
        try:
            return await grade(CARD, ANSWER, mode=mode, llm=llm, deadline_s=DEADLINE_S, policy=ALWAYS)
        finally:
            await llm.aclose()

    with failing(fault) as api_base:
        started = time.monotonic()
        sound(asyncio.run(ask(api_base)))
        assert time.monotonic() - started < DEADLINE_S + GRACE_S


@pytest.mark.parametrize("fault", ALL)
def test_practice_exams_and_batches_get_theirs(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "DEADLINE_S", DEADLINE_S)
    with failing(fault) as api_base, Store.open(tmp_path / "f.db") as store:
        store.put_deck(Deck("d", "Weather", (CARD,)))
        answered = practice.submit(
            store,
            card_id=CARD.id,
            answer=ANSWER,
            client_answer_id="1",
            elapsed_ms=None,
            mode=GraderMode.LLM,
            now=NOW,
        )
        assert answered.pending
        sound(answered.grade)
        paper = papers.compose(store, Spec(decks=("d",), count=1), now=NOW)
        sitting = exams.start(store, paper.id, "Ada", now=NOW)
        exams.save(store, sitting.id, 1, ANSWER, revision=1, now=NOW)
        exams.submit(store, sitting.id, now=NOW)
        assert not exams.grade_at_once(store, sitting.id, GraderMode.LLM, now=NOW)

        async def ask() -> practice.AnswerResult:
            llm = model(api_base)
            try:
                settled = await practice.settle(
                    store, answered.answer_id, llm, GraderMode.LLM, deadline_s=DEADLINE_S, now=NOW
                )
                await exams.ask_model(store, sitting.id, GraderMode.LLM, llm, deadline_s=DEADLINE_S, now=NOW)
                return settled
            finally:
                await llm.aclose()

        sound(asyncio.run(ask()).grade)
        (item,) = exams.report(store, sitting.id).items
        assert item.grade is not None
        sound(item.grade)
        rows = [Row(id=1, card=CARD, answer=ANSWER)]
        ((_, graded),) = grade_rows(rows, mode=GraderMode.LLM, llm=model(api_base))  # type: ignore[misc]
        assert isinstance(graded, Grade)
        sound(graded)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A service that tries again within moments."""
    monkeypatch.setattr(settling, "RETRY_FIRST_S", 0.05)
    monkeypatch.setattr(settling, "RETRY_MOST_S", 0.1)
    monkeypatch.setattr(settling, "EXAM_EVERY_S", 0.05)
    monkeypatch.setattr("freerecall.llm_breaker.FIRST_S", 0.05)
    monkeypatch.setattr("freerecall.llm_breaker.MOST_S", 0.1)
    yield


def test_what_a_dead_provider_left_is_settled_when_it_is_back(tmp_path: Path, quick: None) -> None:
    with ScriptedLLM(scripted.status(503)) as server:
        settings = Settings(
            data=tmp_path,
            model="openai/scripted",
            api_base=server.api_base,
            grader=GraderMode.LLM,
            prompt="rubric-v1",
        )
        with served_here(create_app(settings)) as url, httpx.Client(base_url=url, timeout=60) as client:
            deck = 'title = "W"\n[[cards]]\nid = "r"\nquestion = "What makes it rain?"\nreference = "Drops."'
            client.post("/api/v1/decks?name=w.toml", content=deck).raise_for_status()
            body = {"card_id": "w:r", "answer": "it is the drops", "client_answer_id": "1"}
            answered = client.post("/api/v1/practice/answers", json=body).json()
            assert answered["pending"]
            made = client.post("/api/v1/exams", json={"decks": ["w"], "count": 1}).json()
            sitting = client.post(f"/api/v1/exams/{made['id']}/sittings", json={"name": "Ada"}).json()["id"]
            client.put(f"/api/v1/sittings/{sitting}/answers/1", json={"text": "drops", "revision": 1})
            client.post(f"/api/v1/sittings/{sitting}/submit")
            until(lambda: len(server.requests) > FAILURES)
            until(lambda: "freerecall_provider_up 0.0" in client.get("/metrics").text)

            server.script(scripted.covered())

            assert until(lambda: not client.get(f"/api/v1/answers/{answered['answer_id']}").json()["pending"])
            assert until(lambda: client.get(f"/api/v1/sittings/{sitting}/report").json()["final"])
            assert "freerecall_provider_up 1.0" in client.get("/metrics").text


def test_the_breaker_opens_lets_one_probe_through_and_closes() -> None:
    clock = [0.0]
    breaker = Breaker(lambda: clock[0])
    for _ in range(FAILURES):
        assert breaker.enter() == 0
        breaker.failed()
    assert not breaker.closed
    assert breaker.enter() == FIRST_S
    clock[0] += FIRST_S
    assert breaker.enter() == 0, "the probe"
    assert breaker.enter() > 0, "and nobody else"
    breaker.failed()
    clock[0] += FIRST_S
    assert breaker.enter() > 0, "the pause has doubled"
    clock[0] += FIRST_S
    assert breaker.enter() == 0
    breaker.succeeded()
    assert breaker.closed
    assert breaker.enter() == 0


def test_a_held_back_call_asks_nobody_and_says_when(tmp_path: Path) -> None:
    with ScriptedLLM(scripted.status(503)) as server:
        llm = LLM("openai/scripted", server.api_base, retry_delay_s=0, retries=0, breaker=Breaker())

        async def ask() -> list[Grade]:
            try:
                return [
                    await grade(CARD, ANSWER, mode=GraderMode.LLM, llm=llm, policy=ALWAYS)
                    for _ in range(FAILURES + 1)
                ]
            finally:
                await llm.aclose()

        last = asyncio.run(ask())[-1]
        assert len(server.requests) == FAILURES
        assert last.provisional
        assert "asked again in" in last.provenance.error
        assert llm.usage.failures == FAILURES


def test_replies_that_make_no_sense_do_not_open_it() -> None:
    with ScriptedLLM(scripted.malformed_json()) as server:
        llm = LLM("openai/scripted", server.api_base, retry_delay_s=0, retries=0, breaker=Breaker())

        async def ask() -> None:
            for n in range(FAILURES + 2):
                await grade(CARD, f"{ANSWER} {n}", mode=GraderMode.LLM, llm=llm, policy=ALWAYS)
            await llm.aclose()

        asyncio.run(ask())
        assert llm.up
