"""Answers that a language model has a say in, by way of a scripted server."""

import asyncio
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import scripted_llm as scripted
from freerecall import practice, scheduling
from freerecall.cards import Card, Deck, KeyPoint
from freerecall.errors import NotFoundError
from freerecall.grades import DecidedBy, GraderMode
from freerecall.grading import grade_embedded
from freerecall.llm import LLM
from freerecall.practice import AnswerResult
from freerecall.store import Store
from scripted_llm import ScriptedLLM
from test_practice import assert_replayed

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)

CARD = Card(
    "bio:mitosis",
    "What is mitosis?",
    "Cell division that yields two identical daughter cells",
    points=(KeyPoint("a cell divides"), KeyPoint("two identical daughter cells result")),
)
ANSWER = "it makes a pair of copies out of one"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "f.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.open(path) as store:
        store.put_deck(Deck("bio", "Biology", (CARD,)))
        yield store


@pytest.fixture
def server() -> Iterator[ScriptedLLM]:
    with ScriptedLLM() as server:
        yield server


@pytest.fixture
def llm(server: ScriptedLLM) -> LLM:
    return LLM("openai/scripted", server.api_base, "key", retries=0, prompt="rubric-v1")


def submit(
    store: Store, answer: str = ANSWER, *, mode: GraderMode = GraderMode.LLM, now: datetime = NOW
) -> AnswerResult:
    return practice.submit(
        store,
        card_id=CARD.id,
        answer=answer,
        client_answer_id=f"{answer} {now}",
        elapsed_ms=None,
        mode=mode,
        now=now,
    )


def settle(store: Store, answer_id: str, llm: LLM | None, deadline_s: float = 20.0) -> AnswerResult:
    return asyncio.run(
        practice.settle(store, answer_id, llm, GraderMode.LLM, deadline_s=deadline_s, now=NOW + DAY)
    )


def test_the_embedded_grade_stands_until_the_model_has_spoken(store: Store, llm: LLM) -> None:
    first = submit(store)
    embedded = grade_embedded(CARD, ANSWER)
    assert (first.grade.score, first.rating) == (embedded.score, embedded.rating)
    assert (first.pending, first.grade.provisional) == (True, True)
    assert practice.result(store, first.answer_id) == first
    assert practice.pending(store) == [first.answer_id]

    settled = settle(store, first.answer_id, llm)
    assert (settled.pending, settled.grade.provisional, settled.overridden) == (False, False, False)
    assert (settled.grade.decided_by, settled.rating) == (DecidedBy.LLM, 5)
    assert settled.grade.provenance.model == "openai/scripted"
    assert settled.earlier == (first.grade,)
    assert settled.due == scheduling.review(scheduling.new_state(CARD.id), 5, NOW).due
    assert practice.result(store, first.answer_id) == settled
    assert practice.pending(store) == []
    assert submit(store) == settled, "sent again, the answer has its verdict"


def test_nothing_is_asked_where_the_embedded_grade_is_enough(store: Store) -> None:
    assert not submit(store, "no idea").pending
    assert not submit(store, mode=GraderMode.EMBEDDED, now=NOW + DAY).pending
    assert practice.pending(store) == []


FAILURES = {
    "refused": None,
    "429": scripted.status(429),
    "500": scripted.status(500),
    "malformed JSON": scripted.malformed_json(),
    "malformed body": scripted.malformed_body(),
    "schema violated": scripted.schema_violated(),
    "nothing": scripted.empty_choices(),
    "cut off": scripted.truncated_body(),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_model_that_fails_leaves_the_grade_and_is_asked_again(
    store: Store, server: ScriptedLLM, llm: LLM, failure: str
) -> None:
    first = submit(store)
    if step := FAILURES[failure]:
        server.script(step)
        failed = settle(store, first.answer_id, llm)
    else:
        with scripted.refused() as nobody:
            failed = settle(store, first.answer_id, LLM("openai/scripted", nobody, "key", retries=0))
    assert failed.grade.provenance.error
    assert (failed.grade.score, failed.rating, failed.due) == (first.grade.score, first.rating, first.due)
    assert (failed.pending, failed.grade.provisional, failed.earlier) == (True, True, ())
    assert practice.pending(store) == [first.answer_id]

    server.script(scripted.covered())
    settled = settle(store, first.answer_id, llm)
    assert (settled.rating, settled.pending) == (5, False)
    assert settled.earlier == (failed.grade,)


def test_a_model_that_does_not_answer_in_time(store: Store, server: ScriptedLLM, llm: LLM) -> None:
    settle(store, submit(store, "one of them", now=NOW - DAY).answer_id, llm)  # the client is loaded
    first = submit(store)
    server.script(scripted.hang())
    failed = settle(store, first.answer_id, llm, deadline_s=0.05)
    assert failed.grade.provenance.error
    assert (failed.pending, failed.due) == (True, first.due)


def test_an_invented_quote_earns_nothing(store: Store, server: ScriptedLLM, llm: LLM) -> None:
    server.script(scripted.invented_quote())
    settled = settle(store, submit(store).answer_id, llm)
    assert (settled.rating, settled.pending) == (1, False)


def test_without_a_model_the_answer_waits(store: Store) -> None:
    first = submit(store)
    assert settle(store, first.answer_id, None) == first
    assert practice.pending(store) == [first.answer_id]


def test_answers_that_wait_survive_a_restart(store: Store, path: Path, llm: LLM) -> None:
    first = submit(store)
    store.close()
    with Store.open(path) as reopened:
        assert practice.recover(reopened, NOW) == 0
        assert practice.pending(reopened) == [first.answer_id]
        assert settle(reopened, first.answer_id, llm).rating == 5


def test_the_least_often_tried_are_next_in_order_of_time(store: Store, server: ScriptedLLM, llm: LLM) -> None:
    ids = [submit(store, now=NOW + days * DAY).answer_id for days in range(3)]
    assert practice.pending(store) == ids
    server.script(scripted.status(500))
    settle(store, ids[0], llm)
    assert practice.pending(store) == [ids[1], ids[2], ids[0]]
    assert practice.pending(store, 2) == [ids[1], ids[2]]


def test_settling_twice_changes_nothing_more(store: Store, server: ScriptedLLM, llm: LLM) -> None:
    settled = settle(store, submit(store).answer_id, llm)
    before = store.db.conn.total_changes
    assert settle(store, settled.answer_id, llm) == settled
    assert store.db.conn.total_changes == before
    assert len(server.requests) == 1


def test_settling_twice_at_once_stores_one_verdict(store: Store, llm: LLM) -> None:
    first = submit(store)

    async def both() -> list[AnswerResult]:
        calls = [
            practice.settle(store, first.answer_id, llm, GraderMode.LLM, deadline_s=20, now=NOW)
            for _ in range(2)
        ]
        return await asyncio.gather(*calls)

    one, other = asyncio.run(both())
    assert one == other
    assert one.earlier == (first.grade,)
    assert_replayed(store, "local", CARD)


def test_a_failure_that_comes_after_the_verdict_leaves_no_trace(
    store: Store, server: ScriptedLLM, llm: LLM
) -> None:
    first = submit(store)
    server.script(scripted.hang(), scripted.covered())

    async def slow_and_quick() -> tuple[AnswerResult, AnswerResult]:
        def call() -> Coroutine[None, None, AnswerResult]:
            return practice.settle(store, first.answer_id, llm, GraderMode.LLM, deadline_s=20, now=NOW)

        slow = asyncio.create_task(call())
        await asyncio.to_thread(server.arrived.acquire)
        quick = await call()
        server.release()
        return await slow, quick

    slow, quick = asyncio.run(slow_and_quick())
    assert slow == quick
    assert (quick.pending, quick.grade.provenance.error) == (False, "")


def test_an_override_outlasts_the_models_verdict(store: Store, llm: LLM) -> None:
    first = submit(store)
    overridden = practice.override(store, first.answer_id, 2, now=NOW)
    assert overridden.pending
    settled = settle(store, first.answer_id, llm)
    assert (settled.grade.rating, settled.rating, settled.overridden) == (5, 2, True)
    assert settled.due == overridden.due
    assert settled.earlier == (first.grade,)


def test_an_override_after_the_verdict_replaces_it(store: Store, llm: LLM) -> None:
    settled = settle(store, submit(store).answer_id, llm)
    overridden = practice.override(store, settled.answer_id, 3, now=NOW)
    assert (overridden.rating, overridden.grade) == (3, settled.grade)
    assert overridden.due == NOW + timedelta(minutes=5, seconds=30)
    assert store.overrides(settled.answer_id)[0].replaced == 5


def test_a_late_verdict_carries_through_later_reviews(store: Store, llm: LLM) -> None:
    first = submit(store)
    later = submit(store, "no idea", now=NOW + 3 * DAY)
    settle(store, first.answer_id, llm)
    state = scheduling.review(scheduling.new_state(CARD.id), 5, NOW)
    assert practice.result(store, first.answer_id).due == state.due
    state = scheduling.review(state, 1, NOW + 3 * DAY)
    assert practice.result(store, later.answer_id).due == state.due
    assert assert_replayed(store, "local", CARD) == state


def test_failed_attempts_cost_is_kept(store: Store, server: ScriptedLLM, llm: LLM) -> None:
    first = submit(store)
    server.script(scripted.schema_violated())
    once = settle(store, first.answer_id, llm).grade.provenance
    twice = settle(store, first.answer_id, llm).grade.provenance
    assert twice.tokens_in == 2 * once.tokens_in
    assert twice.model == first.grade.provenance.model, "the grade is still the embedded one"


def test_an_unknown_answer(store: Store, llm: LLM) -> None:
    with pytest.raises(NotFoundError, match="no answer 'x'"):
        settle(store, "x", llm)
