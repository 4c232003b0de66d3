"""Where decks, answers, grades and schedules are kept: one SQLite file."""

from freerecall.store.accounts import AccountRow, SessionRow
from freerecall.store.rows import (
    Answer,
    Appeal,
    DeckChange,
    DeckSettings,
    DeckSummary,
    Mark,
    NextCard,
    Only,
    Override,
    Review,
    Session,
    Sitting,
    SittingAnswer,
    Stage,
    Statistics,
)
from freerecall.store.sqlite import Store

__all__ = [
    "AccountRow",
    "Answer",
    "Appeal",
    "DeckChange",
    "DeckSettings",
    "DeckSummary",
    "Mark",
    "NextCard",
    "Only",
    "Override",
    "Review",
    "Session",
    "SessionRow",
    "Sitting",
    "SittingAnswer",
    "Stage",
    "Statistics",
    "Store",
]
