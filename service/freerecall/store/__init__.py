"""Where decks, answers, grades and schedules are kept: one SQLite file."""

from freerecall.store.rows import (
    Answer,
    DeckChange,
    DeckSettings,
    DeckSummary,
    NextCard,
    Only,
    Override,
    Review,
    Session,
    Stage,
    Statistics,
)
from freerecall.store.sqlite import Store

__all__ = [
    "Answer",
    "DeckChange",
    "DeckSettings",
    "DeckSummary",
    "NextCard",
    "Only",
    "Override",
    "Review",
    "Session",
    "Stage",
    "Statistics",
    "Store",
]
