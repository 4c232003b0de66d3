"""What is asked: cards, their key points, and decks of them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """What a card asks for; it decides how its answer is read."""

    DEFINITION = "definition"
    LIST = "list"
    ORDERED_LIST = "ordered-list"
    TRUE_FALSE = "true-false"
    CLOZE = "cloze"


@dataclass(frozen=True, slots=True)
class KeyPoint:
    """One thing that a full answer must say.

    `accept` holds other wordings that say the same; `weight` (> 0) is its share
    of the card relative to the other key points.
    """

    text: str
    accept: tuple[str, ...] = ()
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Card:
    """A question with its reference answer.

    `id` is unique across decks (`<deck>:<key>`). `alternatives` are other full
    answers as good as `reference`. `points` may be empty: grading then derives
    them from the reference. `footnote` is context, never required of a learner.
    """

    id: str
    question: str
    reference: str
    kind: Kind = Kind.DEFINITION
    points: tuple[KeyPoint, ...] = ()
    alternatives: tuple[str, ...] = ()
    footnote: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deck:
    """Cards in the order in which they are introduced. `id` is a slug."""

    id: str
    title: str
    cards: tuple[Card, ...]
    description: str = ""


@dataclass(frozen=True, slots=True)
class PastReview:
    """A review of a card before it came here: when (UTC), how well (1–5), how long it took."""

    card_id: str
    at: datetime
    rating: int
    elapsed_ms: int | None = None
