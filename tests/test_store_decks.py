"""Decks in the store: imported, imported again, edited, shortened."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from freerecall import library, practice
from freerecall.cards import Card, Deck, KeyPoint, Kind
from freerecall.errors import ConflictError, NotFoundError
from freerecall.grades import GraderMode
from freerecall.practice import NextCard
from freerecall.store import DeckChange, DeckSummary, Store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

FULL = Card(
    "d:full",
    "Nennen Sie drei Früchte 🍎",
    "apple; pear; fig",
    Kind.ORDERED_LIST,
    (KeyPoint("apple", ("apples", "Apfel"), 2.0), KeyPoint("pear"), KeyPoint("fig")),
    ("apples, pears, figs",),
    "Seen at the\nmarket",
    ("fruit", "basics"),
)
A = Card("d:a", "What is a?", "The first letter")
B = Card("d:b", "What is b?", "The second letter")
C = Card("d:c", "What is c?", "The third letter")
DECK = Deck("d", "Letters", (A, B, C), "Three of them")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "f.db")


def answer(store: Store, card: Card, now: datetime = NOW) -> practice.AnswerResult:
    return practice.submit(
        store,
        card_id=card.id,
        answer="the first letter",
        client_answer_id=f"{card.id} {now}",
        elapsed_ms=None,
        mode=GraderMode.EMBEDDED,
        now=now,
    )


def test_a_deck_comes_back_as_it_went_in(store: Store) -> None:
    deck = Deck("d", "Früchte", (FULL, A), "Ein\nDeck")
    assert store.put_deck(deck) == DeckChange(added=2)
    assert store.deck("d") == deck
    assert store.cards("d") == [FULL, A]
    assert store.card("d:full") == FULL


def test_importing_again_writes_nothing(store: Store) -> None:
    store.put_deck(DECK)
    before = store.db.conn.total_changes
    assert store.put_deck(DECK) == DeckChange(unchanged=3)
    assert store.db.conn.total_changes == before


def test_an_edited_card_keeps_its_history(store: Store) -> None:
    store.put_deck(DECK)
    first = answer(store, A)
    edited = replace(A, question="Which letter comes first?")
    assert store.put_deck(replace(DECK, cards=(edited, B, C))) == DeckChange(changed=1, unchanged=2)
    assert practice.next_card(store, "d", now=NOW) == NextCard(B, 0, 2, None)
    assert practice.next_card(store, "d", now=first.due) == NextCard(edited, 1, 2, None)
    assert practice.result(store, first.answer_id).card == A, "graded against what was asked"


def test_a_removed_card_is_not_asked_and_comes_back_with_its_history(store: Store) -> None:
    store.put_deck(DECK)
    due = answer(store, A).due
    assert store.put_deck(replace(DECK, cards=(C,))) == DeckChange(unchanged=1, removed=2)
    assert store.cards("d") == [C]
    assert store.decks(due) == [DeckSummary("d", "Letters", "Three of them", 1, 0, 1)]
    assert practice.next_card(store, "d", now=due) == NextCard(C, 0, 1, None)
    assert store.card("d:a") == A
    assert store.put_deck(DECK) == DeckChange(added=2, unchanged=1)
    assert store.decks(due) == [DeckSummary("d", "Letters", "Three of them", 3, 1, 2)]
    assert practice.next_card(store, "d", now=due) == NextCard(A, 1, 2, None)


def test_a_card_that_was_removed_while_asked_is_still_graded(store: Store) -> None:
    store.put_deck(DECK)
    store.put_deck(replace(DECK, cards=(B,)))
    assert answer(store, A).card == A


def test_a_new_order_is_followed(store: Store) -> None:
    store.put_deck(DECK)
    assert store.put_deck(replace(DECK, cards=(C, A, B))) == DeckChange(unchanged=3)
    assert store.cards("d") == [C, A, B]
    assert practice.next_card(store, "d", now=NOW).card == C


def test_a_new_title_is_taken_over(store: Store) -> None:
    store.put_deck(DECK)
    renamed = replace(DECK, title="ABC", description="")
    assert store.put_deck(renamed) == DeckChange(unchanged=3)
    assert store.deck("d") == renamed


def test_a_refused_deck_changes_nothing(store: Store) -> None:
    store.put_deck(DECK)
    twice = replace(DECK, title="New", cards=(replace(A, reference="Changed"), B, B))
    with pytest.raises(ConflictError, match="two cards with the id 'd:b'"):
        store.put_deck(twice)
    assert store.deck("d") == DECK


def test_a_card_id_belongs_to_one_deck(store: Store) -> None:
    store.put_deck(DECK)
    with pytest.raises(ConflictError, match="taken by another deck"):
        store.put_deck(Deck("e", "Other", (Card("e:x", "?", "!"), A)))
    assert [deck.id for deck in store.decks(NOW)] == ["d"]
    assert store.deck("d") == DECK


def test_an_empty_deck(store: Store) -> None:
    empty = Deck("e", "Nothing yet", ())
    assert store.put_deck(empty) == DeckChange()
    assert store.deck("e") == empty
    assert practice.next_card(store, "e", now=NOW) == NextCard(None, 0, 0, None)


def test_what_is_not_there(store: Store) -> None:
    with pytest.raises(NotFoundError, match="no deck 'x'"):
        store.deck("x")
    with pytest.raises(NotFoundError, match="no deck 'x'"):
        store.cards("x")
    with pytest.raises(NotFoundError, match="no card 'x'"):
        store.card("x")
    with pytest.raises(NotFoundError, match="no deck 'x'"):
        practice.next_card(store, "x", now=NOW)


def test_decks_are_listed_by_title_with_each_learners_own_numbers(store: Store) -> None:
    store.put_deck(DECK)
    store.put_deck(Deck("e", "Even more letters", (Card("e:z", "What is z?", "The last letter"),)))
    store.add_learner("ann")
    due = answer(store, A).due
    assert [(deck.id, deck.cards, deck.due, deck.new) for deck in store.decks(due)] == [
        ("e", 1, 0, 1),
        ("d", 3, 1, 2),
    ]
    assert [deck.due for deck in store.decks(due - timedelta(microseconds=1))] == [0, 0]
    assert [(deck.due, deck.new) for deck in store.decks(due, learner="ann")] == [(0, 1), (0, 3)]


def test_importing_one_deck_from_two_threads(store: Store) -> None:
    barrier = threading.Barrier(2)
    changes: list[DeckChange] = []

    def put() -> None:
        barrier.wait()
        changes.append(store.put_deck(DECK))

    threads = [threading.Thread(target=put) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(change.added for change in changes) == [0, 3]


BUNDLED = """
title = "Bundled"

[[cards]]
id = "a"
question = "What is a?"
reference = "The first letter"
"""


@pytest.fixture
def bundled(tmp_path: Path) -> Path:
    path = tmp_path / "letters.toml"
    path.write_text(BUNDLED)
    return path


def test_a_bundled_deck_is_read_once(store: Store, bundled: Path) -> None:
    assert library.load_bundled(store, [bundled]) == {"letters": DeckChange(added=1)}
    assert library.load_bundled(store, [bundled]) == {}
    bundled.write_text(BUNDLED.replace("The first", "The very first"))
    assert library.load_bundled(store, [bundled]) == {"letters": DeckChange(changed=1)}
    assert store.card("letters:a").reference == "The very first letter"


def test_a_users_own_version_of_a_bundled_deck_is_left_alone(store: Store, bundled: Path) -> None:
    library.load_bundled(store, [bundled])
    own = BUNDLED.replace("The first", "My first")
    _, change = library.import_deck(store, own, name="letters.toml")
    assert change == DeckChange(changed=1)
    assert library.load_bundled(store, [bundled]) == {}
    bundled.write_text(BUNDLED.replace("The first", "The very first"))
    assert library.load_bundled(store, [bundled]) == {}
    assert store.card("letters:a").reference == "My first letter"


def test_importing_a_bundled_deck_unchanged_does_not_make_it_the_users_own(
    store: Store, bundled: Path
) -> None:
    library.load_bundled(store, [bundled])
    _, change = library.import_deck(store, bundled)
    assert change == DeckChange(unchanged=1)
    bundled.write_text(BUNDLED.replace("The first", "The very first"))
    assert library.load_bundled(store, [bundled]) == {"letters": DeckChange(changed=1)}


def test_importing_from_a_file_and_from_its_content(store: Store, bundled: Path) -> None:
    read, change = library.import_deck(store, bundled)
    assert (read.deck.id, change) == ("letters", DeckChange(added=1))
    _, change = library.import_deck(store, bundled.read_bytes(), name="letters.toml")
    assert change == DeckChange(unchanged=1)
    read, change = library.import_deck(store, BUNDLED, "toml", deck_id="mine")
    assert (read.deck.id, change) == ("mine", DeckChange(added=1))
