"""freerecall's own JSON: a deck with its study history, all that is needed to go on elsewhere."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from freerecall.cards import Deck, PastReview
from freerecall.decks import toml_format
from freerecall.decks.result import ImportResult
from freerecall.errors import DeckError
from freerecall.grades import RATINGS

FORMAT, VERSION = "freerecall", 1
_REVIEW_KEYS = {"card", "at", "rating", "elapsed_ms"}
_MOST_MS = 10**12


def looks_like(text: str) -> bool:
    """Say whether `text` is a JSON object that names this format."""
    head = text.lstrip()[:200]
    return head.startswith("{") and f'"{FORMAT}"' in head


def parse(text: str, *, source: str, deck_id: str, stem: str) -> ImportResult:
    """Read a deck and its reviews. Raises DeckError naming the place of what is wrong."""
    try:
        data = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise DeckError(
            "values are nested too deeply; a card holds only texts and lists", source=source
        ) from None
    except ValueError as error:
        line = getattr(error, "lineno", 0)
        raise DeckError(f"not valid JSON: {error}", source=source, line=line) from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise DeckError('the file is not one of ours: it has no "format": "freerecall"', source=source)
    if data.get("version") != VERSION:
        found = str(data.get("version"))[:40]
        raise DeckError(f"the file's version is {found}; this freerecall reads {VERSION}", source=source)
    rows = data.get("reviews", [])
    tables = {name: value for name, value in data.items() if name not in ("format", "version", "reviews")}
    deck = toml_format.read_tables(tables, source=source, deck_id=deck_id, stem=stem)
    reviews = _reviews(rows, deck, source)
    return ImportResult(deck, format="json", reviews=tuple(sorted(reviews, key=lambda review: review.at)))


def write(deck: Deck, reviews: Sequence[PastReview] = ()) -> str:
    """Return the deck and its reviews as JSON that `parse` reads back as the same."""
    data = {
        "format": FORMAT,
        "version": VERSION,
        **toml_format.tables(deck),
        "reviews": [
            {
                "card": review.card_id.removeprefix(f"{deck.id}:"),
                "at": review.at.astimezone(UTC).isoformat(),
                "rating": review.rating,
                "elapsed_ms": review.elapsed_ms,
            }
            for review in reviews
        ],
    }
    return json.dumps(data, ensure_ascii=False, indent=1) + "\n"


def _reviews(rows: Any, deck: Deck, source: str) -> list[PastReview]:
    if not isinstance(rows, list):
        raise DeckError("reviews must be a list", source=source)
    known = {card.id for card in deck.cards}
    found = []
    for number, row in enumerate(rows):
        where = f"reviews[{number}]"
        if not isinstance(row, dict) or not row.keys() <= _REVIEW_KEYS:
            raise DeckError(f"{where} must have {', '.join(sorted(_REVIEW_KEYS))}", source=source)
        card_id, rating, took = f"{deck.id}:{row.get('card')}", row.get("rating"), row.get("elapsed_ms")
        if card_id not in known:
            raise DeckError(f"{where}.card: there is no card {str(row.get('card'))[:100]!r}", source=source)
        if type(rating) is not int or rating not in RATINGS:
            raise DeckError(f"{where}.rating must be a whole number from 1 to 5", source=source)
        if took is not None and (type(took) is not int or not 0 <= took <= _MOST_MS):
            raise DeckError(f"{where}.elapsed_ms must be milliseconds or null", source=source)
        at = _time(row.get("at"))
        if at is None:
            raise DeckError(
                f"{where}.at must be a time with its zone, such as 2026-01-31T09:00:00Z", source=source
            )
        found.append(PastReview(card_id, at, rating, took))
    return found


def _time(value: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(value)
        return at.astimezone(UTC) if at.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        return None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")
