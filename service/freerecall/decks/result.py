"""What reading a deck gives back, and the limits of what is read."""

from dataclasses import dataclass

from freerecall.cards import Deck, PastReview

__all__ = ["ImportResult", "PastReview", "Skipped"]

MAX_BYTES = 20 * 1024 * 1024
MAX_PACKAGE = 256 * 1024 * 1024
"""Bytes of an Anki package, its media and all."""
MAX_CARDS = 100_000
MAX_TEXT = 10_000
"""Characters in a question, a reference answer, or any other single text of a card."""
MAX_POINTS = 100
"""Key points of a card; also its alternatives, its tags, and the accepted wordings of a point."""
MAX_WEIGHT = 100.0
"""A key point's weight is above 0 and at most this."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A card that was passed over: its number in the file, its 1-based line, and why."""

    number: int
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class ImportResult:
    """A deck as read; `notes` are remarks for the user about an input that was still readable.

    `reviews` is the study history that came with it, in the order of time.
    """

    deck: Deck
    skipped: tuple[Skipped, ...] = ()
    format: str = ""
    notes: tuple[str, ...] = ()
    reviews: tuple[PastReview, ...] = ()
