"""What is asked: sessions, limits, cards put aside, answers taken back, history from elsewhere, figures."""

import sqlite3
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freerecall import library, practice, scheduling
from freerecall.cards import Card, Deck, KeyPoint, PastReview
from freerecall.decks import ImportResult
from freerecall.errors import ConflictError, InputError, NotFoundError
from freerecall.grades import GraderMode
from freerecall.practice import AnswerResult
from freerecall.store import DeckSettings, Only, Session, Store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
CARDS = tuple(
    Card(f"d:{key}", f"What is {key}?", f"the letter {key}", tags=("vowel",) if key in "ae" else ())
    for key in "abcdef"
)
DECK = Deck("d", "Letters", CARDS)
CRAM = Session(Only.CRAM, seed=3, id="one")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "f.db") as store:
        store.put_deck(DECK)
        yield store


def submit(store: Store, card_id: str, answer: str = "", *, now: datetime = NOW, **more: Any) -> AnswerResult:
    return practice.submit(
        store,
        card_id=card_id,
        answer=answer or store.card(card_id).reference,
        client_answer_id=uuid.uuid4().hex,
        elapsed_ms=1_000,
        mode=GraderMode.EMBEDDED,
        now=now,
        **more,
    )


def asked(store: Store, session: Session | None = None, *, now: datetime = NOW) -> str | None:
    following = practice.next_card(store, "d", now=now, session=session)
    return following.card.id if following.card else None


def test_only_due_and_only_new(store: Store) -> None:
    due = submit(store, "d:c").due
    assert asked(store, Session(Only.DUE)) is None
    assert asked(store, Session(Only.DUE), now=due) == "d:c"
    assert asked(store, Session(Only.NEW), now=due) == "d:a"


def test_a_tag_narrows_the_choice(store: Store) -> None:
    seen = []
    while card := asked(store, Session(tag="vowel")):
        seen.append(card)
        submit(store, card)
    assert seen == ["d:a", "d:e"]
    assert store.tags("d") == [("vowel", 2)]


def test_a_seed_draws_the_same_order_again_and_another_seed_another(tmp_path: Path) -> None:
    def order(seed: int) -> list[str]:
        with Store.open(tmp_path / f"{uuid.uuid4()}.db") as store:
            store.put_deck(DECK)
            store.put_deck(Deck("e", "More", tuple(Card(f"e:{i}", f"{i}?", "x") for i in range(3))))
            found = []
            while card := practice.next_card(store, None, now=NOW, session=Session(seed=seed)).card:
                found.append(card.id)
                submit(store, card.id)
            return found

    assert order(1) == order(1) != order(2)
    assert len(set(order(1))) == 9


def test_cramming_asks_each_card_once_and_schedules_nothing(store: Store) -> None:
    seen = []
    while card := asked(store, CRAM):
        seen.append(card)
        assert not submit(store, card, scheduled=False, session="one").scheduled
    assert sorted(seen) == [card.id for card in CARDS]
    assert store.db["reviews"].count == store.db["card_states"].count == 0
    assert asked(store, Session(Only.CRAM, seed=3, id="two")) == seen[0]


def test_an_unscheduled_answer_is_graded_and_can_be_overridden(store: Store) -> None:
    first = submit(store, "d:a")
    again = submit(store, "d:a", "nothing", now=NOW + timedelta(minutes=1), scheduled=False)
    assert (again.grade.rating, again.due) == (1, first.due)
    assert practice.override(store, again.answer_id, 4, now=NOW).rating == 4
    assert practice.result(store, again.answer_id).due == first.due
    assert [one.replaced for one in store.overrides(again.answer_id)] == [1]


@pytest.mark.parametrize("how", ["skip", "bury", "suspend"])
@pytest.mark.parametrize("new", [True, False])
def test_a_card_put_aside_is_not_asked(store: Store, how: str, new: bool) -> None:
    later = NOW if new else submit(store, "d:a").due
    if not new:
        assert asked(store, Session(Only.DUE), now=later) == "d:a"
    library.hold(store, "d:a", how, now=later)
    assert asked(store, now=later) == "d:b"
    after = {"skip": timedelta(minutes=11), "bury": 2 * DAY}.get(how)
    if after:
        assert asked(store, now=later + after) == "d:a"
    library.hold(store, "d:a", "release", now=later)
    assert asked(store, now=later) == "d:a"


def test_putting_aside_needs_a_card_and_a_known_word(store: Store) -> None:
    with pytest.raises(NotFoundError):
        library.hold(store, "d:z", "skip", now=NOW)
    with pytest.raises(InputError, match="skip, bury, suspend"):
        library.hold(store, "d:a", "burn", now=NOW)


def test_limits_a_day(store: Store) -> None:
    library.configure(store, "d", DeckSettings(new_per_day=2))
    for _ in range(2):
        card = asked(store)
        assert card is not None
        submit(store, card)
    assert asked(store) is None
    assert asked(store, Session(Only.NEW), now=NOW + 2 * DAY) == "d:c"
    assert store.decks(NOW)[0].new == 0


@pytest.mark.parametrize(
    "bad", [DeckSettings(new_per_day=-1), DeckSettings(retention=0.2), DeckSettings(reviews_per_day=10**6)]
)
def test_limits_out_of_range_are_refused(store: Store, bad: DeckSettings) -> None:
    with pytest.raises(InputError):
        library.configure(store, "d", bad)
    assert store.deck_settings("local", "d") == DeckSettings()


def test_retention_moves_the_schedule(store: Store) -> None:
    answers = [submit(store, "d:a", now=NOW + day * DAY) for day in (0, 3)]
    library.configure(store, "d", DeckSettings(retention=0.97))
    stricter = [submit(store, "d:b", now=NOW + day * DAY) for day in (0, 3)]
    assert stricter[1].interval < answers[1].interval


def test_undo_restores_what_was_before(store: Store) -> None:
    first = submit(store, "d:a")
    state = store.card_state("local", "d:a")
    second = submit(store, "d:a", "no idea", now=first.due)
    with pytest.raises(ConflictError):
        practice.undo(store, first.answer_id)
    assert practice.undo(store, second.answer_id).id == "d:a"
    assert store.card_state("local", "d:a") == state
    assert practice.undo(store, second.answer_id).id == "d:a"
    with pytest.raises(ConflictError, match="taken back"):
        practice.override(store, second.answer_id, 5, now=NOW)
    practice.undo(store, first.answer_id)
    assert store.card_state("local", "d:a") is None
    assert asked(store) == "d:a"
    assert store.db["answers"].count == 2
    assert practice.last_result(store) is None


def test_a_new_card_in_front_of_seen_ones_is_found(store: Store) -> None:
    for card in CARDS[:3]:
        submit(store, card.id)
    store.put_deck(Deck("d", "Letters", (Card("d:0", "What is 0?", "zero"), *CARDS)))
    assert asked(store) == "d:0"
    submit(store, "d:0")
    assert asked(store) == "d:d"


STEP = st.tuples(st.sampled_from("abcdef"), st.sampled_from(["say", "undo", "hold"]))


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(STEP, max_size=25))
def test_the_pointer_to_new_cards_never_skips_one(steps: list[tuple[str, str]]) -> None:
    with TemporaryDirectory() as folder, Store.open(Path(folder) / "f.db") as store:
        store.put_deck(DECK)
        seen: list[str] = []
        held: set[str] = set()
        at = NOW
        for key, step in steps:
            at += timedelta(seconds=1)
            if step == "say":
                submit(store, f"d:{key}", now=at)
                seen.append(f"d:{key}")
            elif step == "undo" and seen:
                last = store.last_answer("local")
                assert last is not None
                practice.undo(store, last)
                seen.pop()
            elif step == "hold":
                library.hold(store, f"d:{key}", "suspend", now=at)
                held.add(f"d:{key}")
            new = [card.id for card in CARDS if card.id not in {*seen, *held}]
            assert asked(store, Session(Only.NEW), now=at) == (new[0] if new else None)
        counted = dict(store.db.execute("SELECT card_id, n FROM card_counts WHERE n <> 0").fetchall())
        assert counted == {card: seen.count(card) for card in set(seen)}


def test_history_from_elsewhere_places_a_card_in_the_schedule(store: Store) -> None:
    past = tuple(PastReview("d:b", NOW - days * DAY, 4) for days in (30, 27, 15))
    read = ImportResult(DECK, reviews=past)
    for _ in range(2):
        library.put_import(store, read)
    state = store.card_state("local", "d:b")
    assert state == scheduling.replay("d:b", past).to_dict()
    assert store.history("local", "d") == list(past)
    assert store.db["past_reviews"].count == 3


def test_parameters_are_fitted_to_enough_reviews_only(store: Store) -> None:
    with pytest.raises(InputError, match="from 400 on"):
        library.fit_schedule(store, "d")
    deck = Deck("d", "Letters", tuple(Card(f"d:{i}", f"{i}?", "x") for i in range(80)))
    past = [
        PastReview(f"d:{i}", NOW - (200 - day) * DAY, 1 if (i + day) % 5 == 0 else 4)
        for i in range(80)
        for day in (0, 1, 4, 9, 25, 60)
    ]
    library.put_import(store, ImportResult(deck, reviews=tuple(past)))
    fitted = library.fit_schedule(store, "d")
    assert len(fitted) == 21
    assert store.deck_settings("local", "d").parameters == fitted
    assert submit(store, "d:1").due > NOW


def test_figures_follow_what_happened(store: Store) -> None:
    first = submit(store, "d:a")
    bad = submit(store, "d:b", "no idea")
    practice.override(store, bad.answer_id, 3, now=NOW)
    low = submit(store, "d:c", "no clue at all")
    found = store.statistics("d", NOW)
    assert dict(found.days)[NOW.astimezone().date().isoformat()] == 3
    assert (sum(found.ratings), found.ratings[first.rating - 1] > 0) == (3, True)
    assert (found.raised, found.lowered) == (1, 0)
    assert [(one.card.id, one.low) for one in found.hardest] == [("d:c", 1)]
    assert {card for card, _, _ in found.missed} == {"d:b", "d:c"}
    assert sum(n for _, n in found.forecast) == 3
    practice.undo(store, low.answer_id)
    assert sum(store.statistics(None, NOW).ratings) == 2
    with pytest.raises(NotFoundError):
        store.statistics("none", NOW)


def test_true_retention_counts_cards_in_review(store: Store) -> None:
    at = NOW
    for _ in range(4):
        at = max(submit(store, "d:a", now=at).due, at + DAY)
    submit(store, "d:a", "no idea", now=at)
    found = store.statistics("d", at)
    assert [(passed, n) for _, passed, n in found.retention] == [(0, 1)]
    assert sum(found.ratings) < 5  # the earlier ones are longer ago than the page looks back


def test_cards_are_found_by_words_and_tags(store: Store) -> None:
    store.put_deck(Deck("f", "French", (Card("f:1", "Où est le café ?", "Là-bas", tags=("lieu",)),)))
    assert [card.id for card in store.find_cards("f", "cafe")[0]] == ["f:1"]
    assert [card.id for card in store.find_cards("d", "lett", "vowel")[0]] == ["d:a", "d:e"]
    assert store.find_cards("d", '"; DROP') == ([], 0)
    assert store.find_cards("d", "***") == ([], 0)
    page, count = store.find_cards("d", limit=2, offset=2)
    assert ([card.id for card in page], count) == (["d:c", "d:d"], 6)


def test_an_edited_card_keeps_its_history_and_is_the_users_own(store: Store) -> None:
    answered = submit(store, "d:a")
    given = Card("d:a", "What is a?", "alpha")
    odd = KeyPoint("alpha | omega", ("α",), 2.0)
    library.edit_card(store, replace(given, points=(odd,), tags=("greek", "greek", "old world")))
    card = store.card("d:a")
    assert (card.points, card.tags) == ((odd,), ("greek", "old world"))
    assert practice.result(store, answered.answer_id).card == CARDS[0]
    assert store.find_cards("d", "alpha")[1] == store.find_cards("d", tag="greek")[1] == 1
    no_weight, no_text = replace(odd, weight=0.0), replace(odd, text=" ")
    for bad in (
        *({"question": " "}, {"reference": "x" * 20_000}),
        *({"points": (no_weight,)}, {"points": (no_text,)}),
    ):
        with pytest.raises(InputError):
            library.edit_card(store, replace(given, **bad))  # type: ignore[arg-type]
    assert store.card("d:a") == card


def test_hints_tell_the_number_then_first_letters() -> None:
    card = Card("x:1", "Q?", "R", points=(KeyPoint("red light"), KeyPoint("blue")))
    assert library.hint(card, 1) == ["…", "…"]
    assert library.hint(card, 2) == ["r·· l····", "b···"]


def test_a_store_of_the_first_schema_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with Store.open(path) as store:
        store.put_deck(DECK)
        submit(store, "d:a")
        submit(store, "d:b", "nothing")
    old = sqlite3.connect(path)
    old.executescript(_TO_M001)
    old.close()
    with Store.open(path) as store:
        assert sum(store.statistics("d", NOW + timedelta(hours=1)).ratings) == 2
        assert store.find_cards("d", "letter", "vowel")[1] == 2
        assert asked(store) == "d:c"
        assert store.db.execute("PRAGMA foreign_key_check").fetchall() == []


_TO_M001 = """
PRAGMA foreign_keys = OFF;
DROP TRIGGER reviews_counted; DROP TRIGGER reviews_uncounted; DROP TRIGGER reviews_recounted;
DROP TABLE card_flags; DROP TABLE deck_settings; DROP TABLE card_tags; DROP TABLE card_rows;
DROP TABLE card_texts; DROP TABLE past_reviews; DROP TABLE review_days; DROP TABLE card_counts;
DROP INDEX overrides_of_learner; DROP INDEX answers_by_time; DROP INDEX answers_by_card;
DROP INDEX answers_of_session;
ALTER TABLE answers DROP COLUMN scheduled; ALTER TABLE answers DROP COLUMN session;
ALTER TABLE answers DROP COLUMN hints; ALTER TABLE answers DROP COLUMN undone;
ALTER TABLE overrides DROP COLUMN learner;
ALTER TABLE reviews DROP COLUMN day; ALTER TABLE reviews DROP COLUMN phase;
DELETE FROM _sqlite_migrations WHERE name IN ('m002_sessions', 'm005_by_learner');
"""
