"""Reading and writing decks. A file is read whole or not at all; whatever is wrong is a DeckError."""

import re
from collections.abc import Sequence
from pathlib import Path

from freerecall import resources
from freerecall.cards import Deck, PastReview
from freerecall.decks import page_dump, toml_format
from freerecall.decks.result import MAX_BYTES, ImportResult, Skipped
from freerecall.decks.text import clean_line, decode, too_large
from freerecall.errors import DeckError

__all__ = [
    "FORMATS",
    "WRITTEN",
    "ImportResult",
    "Skipped",
    "bundled_decks",
    "parse_deck",
    "read_deck",
    "write_deck",
]

FORMATS: tuple[str, ...] = ("toml", "page-dump")

_PARSERS = {"toml": toml_format.parse, "page-dump": page_dump.parse}
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,98}[a-z0-9])?")


def read_deck(path: Path, format: str | None = None, *, deck_id: str | None = None) -> ImportResult:
    """Read the deck in `path`, at most 20 MB.

    `format` None: told from the file's name and content. `deck_id` None: the file's own id, else
    its name. Raises DeckError where the file cannot be read or is no deck.
    """
    source = str(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise DeckError("there is no such file; check the path", source=source) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DeckError(f"cannot be read: {reason}; check the path", source=source) from None
    return parse_deck(data, source=source, format=format, deck_id=deck_id)


def parse_deck(
    content: str | bytes, *, source: str, format: str | None = None, deck_id: str | None = None
) -> ImportResult:
    """Read a deck from text, or from the bytes of a file (UTF-8, UTF-16 or Windows-1252).

    `source` is the file's name, for messages and, where nothing else gives one, for the deck's id.
    Raises DeckError.
    """
    if format is not None and format not in _PARSERS:
        raise DeckError(f"there is no deck format {format!r}; it must be one of {', '.join(FORMATS)}")
    if deck_id is not None and not _SLUG.fullmatch(deck_id):
        raise DeckError(f'deck id {deck_id!r} must be lower-case letters, digits and -, such as "mlops"')
    named_toml = Path(source).suffix.lower() == ".toml"
    if isinstance(content, bytes):
        utf8_only = format == "toml" or (format is None and named_toml)
        text = decode(content, source=source, utf8_only=utf8_only)
    elif len(content) > MAX_BYTES:
        raise too_large(source)
    else:
        text = content.removeprefix("\ufeff")
    if not text.strip():
        raise DeckError("the file is empty", source=source)
    if format is None:
        format = "toml" if named_toml else _sniff(text, source)
    stem = clean_line(Path(source).stem)
    return _PARSERS[format](text, source=source, deck_id=deck_id or "", stem=stem)


WRITTEN: dict[str, str] = {"toml": "toml"}
"""The formats that can be written, each with the ending of its files' names."""


def write_deck(deck: Deck, format: str, reviews: Sequence[PastReview] = ()) -> bytes:
    """Return `deck` as a file in one of the formats of WRITTEN. Raises DeckError for any other.

    Study history goes along where the format has a place for it.
    """
    if format not in WRITTEN:
        raise DeckError(f"decks cannot be written as {format!r}; it must be one of {', '.join(WRITTEN)}")
    return toml_format.write(deck).encode()


def bundled_decks() -> list[Path]:
    """Return the decks that come with freerecall, by name."""
    return sorted(resources.folder("deck").glob("*.toml"))


def _sniff(text: str, source: str) -> str:
    if toml_format.looks_like(text):
        return "toml"
    if page_dump.looks_like(text):
        return "page-dump"
    tried = ", ".join(FORMATS)
    raise DeckError(f"this is no deck in a format known here (tried {tried}); name its format", source=source)
