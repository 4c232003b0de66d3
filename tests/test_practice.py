"""Answers: stored, graded, scheduled, sent twice, overridden, found again."""

import sqlite3
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freerecall import practice, scheduling
from freerecall.cards import Card, Deck
from freerecall.errors import ConflictError, InputError, NotFoundError
from freerecall.grades import RATINGS, DecidedBy, GraderMode
from freerecall.grading import grade_embedded
from freerecall.practice import AnswerResult, NextCard
from freerecall.scheduling import CardState
from freerecall.store import Only, Override, Session, Store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

MITOSIS = Card("bio:mitosis", "What is mitosis?", "Cell division that yields two identical daughter cells")
OSMOSIS = Card("bio:osmosis", "What is osmosis?", "Diffusion of water through a semipermeable membrane")
ATOM = Card("chem:atom", "What is an atom?", "The smallest unit of a chemical element")
BIOLOGY = Deck("bio", "Biology", (MITOSIS, OSMOSIS))
CHEMISTRY = Deck("chem", "Chemistry", (ATOM,))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "f.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.open(path) as store:
        store.put_deck(BIOLOGY)
        store.put_deck(CHEMISTRY)
        yield store


def submit(
    store: Store,
    card: Card = MITOSIS,
    answer: str | None = None,
    *,
    now: datetime = NOW,
    client_id: str | None = None,
    elapsed_ms: int | None = 4_000,
    learner: str = "local",
) -> AnswerResult:
    return practice.submit(
        store,
        card_id=card.id,
        answer=card.reference if answer is None else answer,
        client_answer_id=client_id or str(uuid.uuid4()),
        elapsed_ms=elapsed_ms,
        mode=GraderMode.EMBEDDED,
        now=now,
        learner=learner,
    )


def rows(store: Store) -> dict[str, int]:
    return {name: store.db[name].count for name in ("answers", "grades", "reviews", "overrides")}


def test_an_answer_gets_the_embedded_grade_and_a_due_time(store: Store) -> None:
    result = submit(store, answer="two identical daughter cells, by cell division")
    assert result.grade == grade_embedded(MITOSIS, result.answer)
    assert result == AnswerResult(
        answer_id=result.answer_id,
        card=MITOSIS,
        answer="two identical daughter cells, by cell division",
        grade=result.grade,
        rating=result.grade.rating,
        overridden=False,
        due=scheduling.review(scheduling.new_state(MITOSIS.id), result.rating, NOW).due,
        interval=result.due - NOW,
        pending=False,
        answered_at=NOW,
    )
    assert practice.result(store, result.answer_id) == result


def test_nothing_said_is_rated_1_and_comes_again_in_a_minute(store: Store) -> None:
    result = submit(store, answer=" \n\t")
    assert (result.rating, result.due, result.grade.decided_by) == (1, NOW + MINUTE, DecidedBy.RULE)


def test_reopening_loses_nothing(store: Store, path: Path) -> None:
    first = submit(store, client_id="one")
    second = practice.override(store, submit(store, OSMOSIS).answer_id, 2, "guessed", now=NOW)
    store.close()
    with Store.open(path) as reopened:
        assert practice.result(reopened, first.answer_id) == first
        assert practice.result(reopened, second.answer_id) == second
        assert submit(reopened, client_id="one") == first
        assert practice.next_card(reopened, "bio", now=NOW + MINUTE).card == OSMOSIS


@pytest.mark.parametrize(
    "answer",
    ["\x00 zero \x00", "🧬 Zellteilung – naïve", "a" * 10_000, "'; DROP TABLE answers; --", "\ufeff"],
)
def test_any_text_is_kept_as_typed(store: Store, answer: str) -> None:
    result = submit(store, answer=answer, client_id=answer[:200])
    assert practice.result(store, result.answer_id).answer == answer
    assert submit(store, answer=answer, client_id=answer[:200]) == result


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"answer": "a" * 10_001}, "answer has 10001 characters; the most is 10000"),
        ({"answer": "half a pair: \ud83e"}, "answer has half a surrogate pair at character 14"),
        ({"client_answer_id": ""}, "client_answer_id is empty"),
        ({"client_answer_id": "x" * 201}, "client_answer_id has 201 characters"),
        ({"elapsed_ms": -1}, "elapsed_ms is -1"),
        ({"elapsed_ms": 2**63}, "elapsed_ms is 9223372036854775808"),
        ({"now": NOW.replace(tzinfo=None)}, "no time zone"),
    ],
)
def test_values_out_of_range_are_refused_and_nothing_is_stored(
    store: Store, changed: dict[str, object], said: str
) -> None:
    values = {"answer": "cells", "client_answer_id": "one", "elapsed_ms": 1, "now": NOW, **changed}
    with pytest.raises(InputError, match=said):
        practice.submit(store, card_id=MITOSIS.id, mode=GraderMode.EMBEDDED, **values)
    assert rows(store) == {"answers": 0, "grades": 0, "reviews": 0, "overrides": 0}


def test_what_is_not_there(store: Store) -> None:
    with pytest.raises(NotFoundError, match="no card 'bio:nothing'"):
        submit(store, Card("bio:nothing", "?", "!"))
    with pytest.raises(NotFoundError, match="no learner 'eve'"):
        submit(store, learner="eve")
    with pytest.raises(NotFoundError, match="no answer 'x'"):
        practice.result(store, "x")
    with pytest.raises(NotFoundError, match="no answer 'x'"):
        practice.override(store, "x", 3, now=NOW)


def test_the_same_answer_sent_again_writes_nothing(store: Store) -> None:
    first = submit(store, client_id="one")
    before = store.db.conn.total_changes
    assert submit(store, client_id="one", now=NOW + DAY, elapsed_ms=9) == first
    assert store.db.conn.total_changes == before


def test_the_same_answer_sent_after_a_later_review_keeps_its_result(store: Store) -> None:
    first = submit(store, client_id="one")
    submit(store, now=NOW + DAY)
    assert submit(store, client_id="one", now=NOW + 2 * DAY) == first


def test_one_client_answer_id_for_two_answers_is_a_conflict(store: Store) -> None:
    submit(store, client_id="one", answer="cells")
    for card, answer in ((MITOSIS, "other words"), (OSMOSIS, "cells")):
        with pytest.raises(ConflictError, match="'one' was used for another answer"):
            submit(store, card, answer, client_id="one")
    assert rows(store)["answers"] == 1


def test_learners_do_not_share_anything(store: Store) -> None:
    store.add_learner("ann")
    mine, hers = (
        submit(store, client_id="one"),
        submit(store, client_id="one", learner="ann", answer="no idea"),
    )
    assert mine.answer_id != hers.answer_id
    assert practice.next_card(store, "bio", now=NOW + MINUTE).card == OSMOSIS
    assert practice.next_card(store, "bio", now=NOW + MINUTE, learner="ann").card == MITOSIS


def test_threads_that_send_one_answer_make_one(store: Store) -> None:
    results: list[AnswerResult] = []
    for client_id in map(str, range(10)):
        barrier = threading.Barrier(4)

        def send(client_id: str = client_id, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            results.append(submit(store, client_id=client_id))

        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(results) == 40
    assert len({result.answer_id for result in results}) == 10
    assert all(practice.result(store, result.answer_id) == result for result in results)
    assert rows(store) == {"answers": 10, "grades": 10, "reviews": 10, "overrides": 0}


def test_threads_that_answer_one_card_leave_a_log_that_replays(store: Store) -> None:
    def send(start: int) -> None:
        for n in range(start, 40, 4):
            submit(store, now=NOW + n * DAY)

    threads = [threading.Thread(target=send, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_replayed(store, "local", MITOSIS)
    assert [review.at for review in store.reviews("local", MITOSIS.id)] == [NOW + n * DAY for n in range(40)]


# What to ask next.


def test_new_cards_come_in_the_decks_order(store: Store) -> None:
    assert practice.next_card(store, "bio", now=NOW) == NextCard(MITOSIS, 0, 2, None)
    submit(store, MITOSIS)
    assert practice.next_card(store, "bio", now=NOW) == NextCard(OSMOSIS, 0, 1, None)
    assert practice.next_card(store, None, now=NOW) == NextCard(OSMOSIS, 0, 2, None)


def test_due_cards_come_before_new_ones_the_longest_due_first(store: Store) -> None:
    submit(store, OSMOSIS, "no idea", now=NOW)
    submit(store, ATOM, "no idea", now=NOW + timedelta(seconds=10))
    then = NOW + timedelta(seconds=70)
    assert practice.next_card(store, None, now=then) == NextCard(OSMOSIS, 2, 1, None)
    assert practice.next_card(store, "chem", now=then) == NextCard(ATOM, 1, 0, None)
    assert practice.next_card(store, "bio", now=then - timedelta(seconds=11)).card == MITOSIS


def test_with_nothing_due_the_time_of_the_next_card_is_told(store: Store) -> None:
    submit(store, MITOSIS, "no idea", now=NOW + timedelta(seconds=5))
    submit(store, OSMOSIS, "no idea", now=NOW)
    assert practice.next_card(store, "bio", now=NOW) == NextCard(None, 0, 0, NOW + MINUTE)
    there = (NOW + MINUTE).astimezone(timezone(timedelta(hours=-5)))
    assert practice.next_card(store, "bio", now=there) == NextCard(OSMOSIS, 1, 0, None)


# Overrides.


@pytest.mark.parametrize("rating", RATINGS)
def test_an_override_schedules_as_if_the_answer_had_been_rated_so(store: Store, rating: int) -> None:
    result = submit(store)
    changed = practice.override(store, result.answer_id, rating, "my own view", now=NOW + MINUTE)
    assert (changed.rating, changed.overridden, changed.grade) == (rating, True, result.grade)
    assert changed.due == scheduling.review(scheduling.new_state(MITOSIS.id), rating, NOW).due
    assert practice.next_card(store, "bio", now=changed.due).due == 1
    assert store.overrides(result.answer_id) == [
        Override(result.answer_id, NOW + MINUTE, rating, result.rating, "my own view")
    ]


def test_the_last_override_counts_and_all_are_logged(store: Store) -> None:
    answer_id = submit(store, answer="no idea").answer_id
    practice.override(store, answer_id, 5, now=NOW)
    practice.override(store, answer_id, 5, now=NOW)
    result = practice.override(store, answer_id, 3, "too kind", now=NOW)
    assert (result.rating, result.due) == (3, NOW + timedelta(minutes=5, seconds=30))
    assert [(log.rating, log.replaced, log.reason) for log in store.overrides(answer_id)] == [
        (5, 1, ""),
        (3, 5, "too kind"),
    ]


@pytest.mark.parametrize("rating", [0, 6, -1, True, 3.0, "3", None])
def test_other_ratings_are_refused(store: Store, rating: object) -> None:
    result = submit(store)
    with pytest.raises(InputError, match="from 1 to 5"):
        practice.override(store, result.answer_id, rating, now=NOW)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="reason has 2001 characters"):
        practice.override(store, result.answer_id, 3, "x" * 2001, now=NOW)
    assert practice.result(store, result.answer_id) == result


def assert_replayed(store: Store, learner: str, card: Card) -> CardState:
    """Check that the log and the card's state are what the ratings give in order of time."""
    state = scheduling.new_state(card.id)
    for review in store.reviews(learner, card.id):
        assert review.prior == state.to_dict()
        state = scheduling.review(state, review.rating, review.at)
        assert review.result == state.to_dict()
    assert store.card_state(learner, card.id) == state.to_dict()
    return state


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    reviews=st.lists(
        st.tuples(st.integers(0, 200), st.sampled_from(["no idea", "two cells", MITOSIS.reference])),
        min_size=1,
        max_size=6,
    ),
    overrides=st.lists(st.tuples(st.integers(0, 5), st.sampled_from(RATINGS)), max_size=5),
)
def test_the_schedule_is_what_the_ratings_that_count_give_in_order_of_time(
    crowd: Store, reviews: list[tuple[int, str]], overrides: list[tuple[int, int]]
) -> None:
    learner = uuid.uuid4().hex
    crowd.add_learner(learner)
    answered = [
        submit(crowd, answer=answer, now=NOW + hours * timedelta(hours=7), learner=learner)
        for hours, answer in reviews
    ]
    ratings = {result.answer_id: result.rating for result in answered}
    for index, rating in overrides:
        answer_id = answered[index % len(answered)].answer_id
        practice.override(crowd, answer_id, rating, now=NOW)
        ratings[answer_id] = rating
    expected = scheduling.new_state(MITOSIS.id)
    for result in sorted(answered, key=lambda result: result.answered_at):
        expected = scheduling.review(expected, ratings[result.answer_id], result.answered_at)
        assert practice.result(crowd, result.answer_id).due == expected.due
    assert assert_replayed(crowd, learner, MITOSIS) == expected


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store that the examples of one test share, each with a learner of its own."""
    with Store.open(tmp_path_factory.mktemp("crowd") / "f.db") as store:
        store.put_deck(BIOLOGY)
        yield store


# What it costs.


def statements(store: Store) -> list[str]:
    """Have every statement that SQLite runs from now on added to the list."""
    seen: list[str] = []
    store.has_deck("")  # what reads is open by now
    for conn in store.connections:
        conn.set_trace_callback(seen.append)
    return seen


def test_a_first_answer_takes_two_commits_and_few_statements(store: Store) -> None:
    submit(store, OSMOSIS)
    seen = statements(store)
    submit(store)
    ours = [sql.split()[0] for sql, _ in groupby(seen)]  # a trigger's statements repeat the one it is of
    assert ours == [
        *("SELECT", "INSERT", "SELECT"),
        *("PRAGMA", "BEGIN", "UPDATE", "INSERT", "SELECT", "SELECT", "INSERT"),
        *("UPDATE", "INSERT", "INSERT", "SELECT", "SELECT", "UPDATE"),
        *("COMMIT", "PRAGMA"),
    ]


def test_frequent_queries_use_indexes(store: Store) -> None:
    seen = statements(store)
    answer_id = submit(store, client_id="one").answer_id
    submit(store, client_id="one")
    submit(store, now=NOW - DAY)
    practice.override(store, answer_id, 2, now=NOW)
    practice.result(store, answer_id)
    practice.pending(store)
    practice.recover(store, NOW)
    for now in (NOW, NOW + DAY):
        practice.next_card(store, "bio", now=now)
        practice.next_card(store, None, now=now)
        practice.next_card(store, "bio", now=now, session=Session(id="tonight", only=Only.CRAM))
    store.answers_to(MITOSIS.id, "local")
    store.decks(NOW)
    store.deck("bio")
    for conn in store.connections:
        conn.set_trace_callback(None)
    queries = {sql for sql in seen if sql.split()[0] in ("SELECT", "INSERT", "UPDATE")}
    assert len(queries) > 20
    for sql in queries:
        for *_, step in store.db.execute("EXPLAIN QUERY PLAN " + sql).fetchall():
            whole_table = step.startswith("SCAN") and "USING" not in step and step != "SCAN d"
            assert not whole_table, (step, sql)
            assert "AUTOMATIC" not in step, (step, sql)
            one_learner = "answers_by_card (card_id=? AND learner=?" in step
            assert one_learner or "answers_by_card" not in step, ("all learners' answers to a card", sql)
            assert "TEMP B-TREE" not in step or "title" in sql, (step, sql)


def test_how_often_a_learner_overrode_is_counted_from_their_own(store: Store) -> None:
    seen = statements(store)
    store.statistics("bio", NOW)
    (sql,) = {sql for sql in seen if "FROM overrides" in sql}
    steps = [step for *_, step in store.db.execute("EXPLAIN QUERY PLAN " + sql).fetchall()]
    assert any("overrides_of_learner (learner=?" in step for step in steps), steps
    assert not any(step.startswith("SCAN") for step in steps), steps


def test_another_connection_sees_an_answer_at_once(store: Store, path: Path) -> None:
    submit(store)
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT stage FROM answers").fetchall() == [("settled",)]
    other.close()
