"""Doctor and backup: a store that went through much is sound, a spoilt one is told, a copy is whole."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freerecall import library, practice
from freerecall.cards import Card, Deck, PastReview
from freerecall.decks import ImportResult
from freerecall.errors import ConflictError, InputError
from freerecall.grades import GraderMode
from freerecall.store import DeckSettings, Store
from freerecall.store.check import backup, check
from terminal import Terminal

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CARDS = tuple(Card(f"d:{key}", f"What is {key}?", f"the letter {key}") for key in "abc")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "f.db") as store:
        store.put_deck(Deck("d", "Letters", CARDS))
        yield store


def submit(store: Store, card: str, at: datetime, text: str = "x", *, scheduled: bool = True) -> str:
    result = practice.submit(
        store,
        card_id=f"d:{card}",
        answer=text,
        client_answer_id=uuid.uuid4().hex,
        elapsed_ms=1,
        mode=GraderMode.EMBEDDED,
        now=at,
        scheduled=scheduled,
    )
    return result.answer_id


STEP = st.tuples(
    st.sampled_from(["say", "late", "again", "override", "undo", "hold", "retention"]),
    st.sampled_from("abc"),
    st.integers(1, 5),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(STEP, max_size=30), st.booleans())
def test_whatever_a_learner_does_the_store_stays_sound(steps: list[tuple[str, str, int]], past: bool) -> None:
    with TemporaryDirectory() as folder, Store.open(Path(folder) / "f.db") as store:
        reviews = tuple(PastReview("d:a", NOW - timedelta(days=days), 4) for days in (9, 4) if past)
        library.put_import(store, ImportResult(Deck("d", "Letters", CARDS), reviews=reviews))
        ids: list[str] = []
        at = NOW
        for step, card, number in steps:
            at += timedelta(hours=number * 7)
            if step in ("say", "late", "again"):
                when = at - timedelta(days=2) if step == "late" else at
                ids.append(
                    submit(store, card, when, f"the letter {card}" * (number % 2), scheduled=step != "again")
                )
            elif step == "override" and ids:
                try:
                    practice.override(store, ids[number % len(ids)], number, now=at)
                except ConflictError:
                    continue
            elif step == "undo" and (last := store.last_answer("local")):
                practice.undo(store, last)
            elif step == "hold":
                library.hold(store, f"d:{card}", "bury", now=at)
            elif step == "retention":
                library.configure(store, "d", DeckSettings(retention=0.75 + number / 25))
            assert check(store) == []


def test_what_is_spoilt_is_told(store: Store) -> None:
    for day in range(3):
        submit(store, "a", NOW + timedelta(days=3 * day), "the letter a")
    submit(store, "b", NOW)
    assert check(store) == []
    store.db.execute("UPDATE reviews SET result = prior WHERE id = 1")
    store.db.execute("DELETE FROM reviews WHERE card_id = 'd:b'")
    found = "\n".join(check(store))
    assert "the log of its reviews has a gap" in found
    assert "it has a schedule and no review" in found
    assert "graded, and has no review" in found


def test_ratings_and_times_that_differ_are_told(store: Store) -> None:
    first = submit(store, "a", NOW, "the letter a")
    second = submit(store, "b", NOW, "the letter b")
    practice.override(store, second, 2, now=NOW)
    assert check(store) == []
    store.db.execute("UPDATE reviews SET rating = 6 - rating WHERE rating IN (2, 5)")
    store.db.execute("UPDATE reviews SET at = '2027-01-01T00:00:00.000000+00:00' WHERE id = 1")
    found = "\n".join(check(store))
    for answer_id in (first, second):
        assert f"answer {answer_id}: its review has another rating" in found
    assert "a state of another time" in found


def test_a_copy_is_whole_and_can_take_the_places_place(store: Store, tmp_path: Path) -> None:
    submit(store, "a", NOW)
    backup(store, tmp_path / "copy.db")
    submit(store, "b", NOW)
    with pytest.raises(InputError, match="there already"):
        backup(store, tmp_path / "copy.db")
    with Store.open(tmp_path / "copy.db") as copy:
        assert check(copy) == []
        assert copy.db["answers"].count == 1
        assert copy.deck("d").cards == CARDS


def test_the_commands(freerecall: Terminal, tmp_path: Path) -> None:
    assert freerecall("doctor").out == "all is sound\n"
    assert freerecall("backup", tmp_path / "copy.db").code == 0
    assert "there already" in freerecall("backup", tmp_path / "copy.db").err
