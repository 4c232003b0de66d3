"""Answers to the bundled deck, of every quality, the same in each run."""

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from freerecall.cards import Card
from freerecall.decks import bundled_decks, read_deck
from freerecall.evaluation.rows import Row, read_rows

GOLD = Path(__file__).parents[1] / "evals/gold/mlops.jsonl"


def cards() -> list[Card]:
    """Return the cards of all bundled decks."""
    return [card for path in bundled_decks() for card in read_deck(path).deck.cards]


def answered() -> Iterator[tuple[Card, str]]:
    """Yield cards with an answer, without end: full, half, shuffled, a neighbour's, a typo in each word."""
    deck = cards()
    for round_number, make in cycle(enumerate((_full, _half, _backwards, _neighbours, _typos))):
        for position, card in enumerate(deck):
            yield card, make(card, deck[(position + 1 + round_number) % len(deck)])


def typed() -> Iterator[tuple[Card, str]]:
    """Yield cards of the bundled deck with the answers of evals/gold, as learners type, without end."""
    rows = read_rows(GOLD, gold=True)
    return cycle([(row.card, row.answer) for row in rows if isinstance(row, Row)])


def _full(card: Card, _neighbour: Card) -> str:
    return card.reference


def _half(card: Card, _neighbour: Card) -> str:
    words = card.reference.split()
    return " ".join(words[: (len(words) + 1) // 2])


def _backwards(card: Card, _neighbour: Card) -> str:
    return " ".join(reversed(card.reference.split()))


def _neighbours(_card: Card, neighbour: Card) -> str:
    return neighbour.reference


def _typos(card: Card, _neighbour: Card) -> str:
    return " ".join(word[:-2] + word[-1:] if len(word) > 4 else word for word in card.reference.split())
