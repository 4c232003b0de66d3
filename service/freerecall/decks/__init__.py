"""Reading and writing decks. A file is read whole or not at all; whatever is wrong is a DeckError."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from freerecall import resources
from freerecall.cards import Deck, PastReview
from freerecall.decks import anki, delimited, own_json, page_dump, qa_markdown, toml_format
from freerecall.decks.result import MAX_BYTES, MAX_PACKAGE, ImportResult, Skipped
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

_PARSERS = {
    "toml": toml_format.parse,
    "page-dump": page_dump.parse,
    "json": own_json.parse,
    "csv": delimited.parse,
    "markdown": qa_markdown.parse,
    "anki-notes": anki.parse_notes,
}
FORMATS: tuple[str, ...] = (*_PARSERS, "anki")

_WRITERS: dict[str, Callable[[Deck, Sequence[PastReview]], str]] = {
    "toml": lambda deck, _reviews: toml_format.write(deck),
    "json": own_json.write,
    "csv": lambda deck, _reviews: delimited.write(deck),
    "tsv": lambda deck, _reviews: delimited.write(deck, "\t"),
    "markdown": lambda deck, _reviews: qa_markdown.write(deck),
    "anki-notes": lambda deck, _reviews: anki.write_notes(deck),
}
WRITTEN: dict[str, str] = {
    "toml": "toml",
    "json": "json",
    "anki": "apkg",
    "anki-notes": "txt",
    "csv": "csv",
    "tsv": "tsv",
    "markdown": "md",
}
"""The formats that can be written, each with the ending of its files' names."""

_SUFFIXES = {
    ".toml": "toml",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".md": "markdown",
    ".markdown": "markdown",
    ".apkg": "anki",
    ".colpkg": "anki",
}
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,98}[a-z0-9])?")


def read_deck(path: Path, format: str | None = None, *, deck_id: str | None = None) -> ImportResult:
    """Read the deck in `path`: text of at most 20 MB, or an Anki package of at most 256 MB.

    `format` None: told from the file's name and content. `deck_id` None: the file's own id, else
    its name. Raises DeckError where the file cannot be read or is no deck.
    """
    source = str(path)
    try:
        with path.open("rb") as file:
            data = file.read(4)
            data += file.read((MAX_PACKAGE if data == _ZIP else MAX_BYTES) - len(data) + 1)
    except FileNotFoundError:
        raise DeckError("there is no such file; check the path", source=source) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DeckError(f"cannot be read: {reason}; check the path", source=source) from None
    return parse_deck(data, source=source, format=format, deck_id=deck_id)


def parse_deck(
    content: str | bytes, *, source: str, format: str | None = None, deck_id: str | None = None
) -> ImportResult:
    """Read a deck from text, or from the bytes of a file (UTF-8, UTF-16 or Windows-1252; Anki's zip).

    `source` is the file's name, for messages and, where nothing else gives one, for the deck's id.
    Raises DeckError.
    """
    if format is not None and format not in FORMATS:
        raise DeckError(f"there is no deck format {format!r}; it must be one of {', '.join(FORMATS)}")
    if deck_id is not None and not _SLUG.fullmatch(deck_id):
        raise DeckError(f'deck id {deck_id!r} must be lower-case letters, digits and -, such as "mlops"')
    stem = clean_line(Path(source).stem)
    named = _SUFFIXES.get(Path(source).suffix.lower())
    if isinstance(content, bytes) and (format == "anki" or (format is None and content[:4] == _ZIP)):
        return _package(content, source, deck_id or "", stem)
    if format == "anki":
        raise DeckError("an Anki package is a file, not text; choose the .apkg itself", source=source)
    if isinstance(content, bytes):
        utf8_only = "toml" in (format, format or named)
        text = decode(content, source=source, utf8_only=utf8_only)
    elif len(content) > MAX_BYTES:
        raise too_large(source)
    else:
        text = content.removeprefix("\ufeff")
    if not text.strip():
        raise DeckError("the file is empty", source=source)
    format = format or _sniff(text, named, source)
    return _PARSERS[format](text, source=source, deck_id=deck_id or "", stem=stem)


_ZIP = b"PK\x03\x04"


def _package(data: bytes, source: str, deck_id: str, stem: str) -> ImportResult:
    if len(data) > MAX_PACKAGE:
        raise DeckError(f"larger than {MAX_PACKAGE // 2**20} MB; export it without media", source=source)
    if not anki.looks_like(data):
        raise DeckError(
            "this is a zip file without an Anki collection in it; export from Anki as .apkg or .colpkg",
            source=source,
        )
    return anki.parse(data, source=source, deck_id=deck_id, stem=stem)


def write_deck(deck: Deck, format: str, reviews: Sequence[PastReview] = ()) -> bytes:
    """Return `deck` as a file in one of the formats of WRITTEN. Raises DeckError for any other.

    Study history goes along in `json`.
    """
    if format not in WRITTEN:
        raise DeckError(f"decks cannot be written as {format!r}; it must be one of {', '.join(WRITTEN)}")
    return anki.write(deck) if format == "anki" else _WRITERS[format](deck, reviews).encode()


def bundled_decks() -> list[Path]:
    """Return the decks that come with freerecall, by name."""
    return sorted(resources.folder("deck").glob("*.toml"))


def _sniff(text: str, named: str | None, source: str) -> str:
    """Return the format by the text, and where that could be several, by the file's name."""
    tests = {
        "toml": toml_format.looks_like,
        "json": own_json.looks_like,
        "anki-notes": anki.looks_like_notes,
        "page-dump": page_dump.looks_like,
        "markdown": qa_markdown.looks_like,
        "csv": delimited.looks_like,
    }
    if named in ("toml", "json", "markdown") or (named == "csv" and not anki.looks_like_notes(text)):
        return named
    for format, fits in tests.items():
        if fits(text):
            return format
    tried = ", ".join(FORMATS)
    raise DeckError(f"this is no deck in a format known here (tried {tried}); name its format", source=source)
