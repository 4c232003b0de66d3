"""Ratings and times in, due times out."""

import json
from datetime import UTC, datetime, timedelta, timezone

import fsrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freerecall import scheduling
from freerecall.errors import InputError
from freerecall.grades import RATINGS
from freerecall.scheduling import CardState

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

reviews = st.lists(
    st.tuples(st.sampled_from(RATINGS), st.timedeltas(timedelta(0), timedelta(days=400))), max_size=12
)


def state_after(history: list[tuple[int, timedelta]]) -> tuple[CardState, datetime]:
    state, now = scheduling.new_state("deck:card"), NOW
    for rating, later in history:
        now += later
        state = scheduling.review(state, rating, now)
    return state, now


@pytest.mark.parametrize(
    ("rating", "after"),
    [
        (1, timedelta(minutes=1)),
        (2, timedelta(minutes=1)),
        (3, timedelta(minutes=5, seconds=30)),
        (4, timedelta(minutes=10)),
        (5, timedelta(days=8)),
    ],
)
def test_first_review(rating: int, after: timedelta) -> None:
    assert scheduling.review(scheduling.new_state("deck:card"), rating, NOW).due == NOW + after


def test_the_steps_of_a_card_that_is_learned_and_forgotten() -> None:
    state = scheduling.new_state("deck:card")
    assert (state.state, state.step, state.due, state.last_review) == ("learning", 0, None, None)
    state = scheduling.review(state, 4, NOW)
    assert (state.state, state.step, state.last_review) == ("learning", 1, NOW)
    state = scheduling.review(state, 4, NOW + timedelta(minutes=10))
    assert (state.state, state.step) == ("review", None)
    assert state.due == NOW + timedelta(days=2, minutes=10)
    state = scheduling.review(state, 1, NOW + timedelta(days=2))
    assert (state.state, state.step) == ("relearning", 0)
    assert state.due == NOW + timedelta(days=2, minutes=10)


@given(reviews)
def test_the_schedule_is_that_of_fsrs(history: list[tuple[int, timedelta]]) -> None:
    again, hard, good, easy = fsrs.Rating.Again, fsrs.Rating.Hard, fsrs.Rating.Good, fsrs.Rating.Easy
    scheduler, card, now = fsrs.Scheduler(enable_fuzzing=False), fsrs.Card(card_id=1, due=NOW), NOW
    for rating, later in history:
        now += later
        card, _ = scheduler.review_card(card, {1: again, 2: again, 3: hard, 4: good, 5: easy}[rating], now)
    state, _ = state_after(history)
    assert (state.stability, state.difficulty, state.step) == (card.stability, card.difficulty, card.step)
    assert (state.due or NOW) == card.due


@given(reviews, st.timedeltas(timedelta(0), timedelta(days=400)))
def test_a_better_rating_never_comes_sooner(history: list[tuple[int, timedelta]], later: timedelta) -> None:
    state, now = state_after(history)
    at = now + later
    dues = [scheduling.review(state, rating, at).due for rating in RATINGS]
    assert dues == sorted(dues)
    assert dues[0] == dues[1]
    assert dues[0] > at


@given(reviews)
def test_states_survive_json_and_reviews_are_repeatable(history: list[tuple[int, timedelta]]) -> None:
    state, now = state_after(history)
    read = CardState.from_dict(json.loads(json.dumps(state.to_dict())))
    assert read == state
    assert scheduling.review(read, 4, now) == scheduling.review(state, 4, now)


@settings(max_examples=20)
@given(reviews)
def test_a_review_leaves_the_state_before_it_as_it_was(history: list[tuple[int, timedelta]]) -> None:
    state, now = state_after(history)
    before = state.to_dict()
    scheduling.review(state, 1, now)
    assert state.to_dict() == before


def test_times_are_kept_in_utc() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=9)))
    state = scheduling.review(scheduling.new_state("deck:card"), 4, there)
    assert state == scheduling.review(scheduling.new_state("deck:card"), 4, NOW)
    assert state.due is not None
    assert state.due.tzinfo is UTC


@pytest.mark.parametrize("rating", [0, 6, -1, 3.5])
def test_other_ratings_are_refused(rating: int) -> None:
    with pytest.raises(InputError, match="from 1 to 5"):
        scheduling.review(scheduling.new_state("deck:card"), rating, NOW)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(InputError, match="no time zone"):
        scheduling.review(scheduling.new_state("deck:card"), 4, NOW.replace(tzinfo=None))
