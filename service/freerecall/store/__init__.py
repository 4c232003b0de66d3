"""Where decks, answers, grades and schedules are kept: one SQLite file."""

from freerecall.store.rows import Answer, DeckChange, DeckSummary, NextCard, Override, Review, Stage
from freerecall.store.sqlite import Store

__all__ = ["Answer", "DeckChange", "DeckSummary", "NextCard", "Override", "Review", "Stage", "Store"]
