"""Untrusted bytes and text made safe to keep: decoding, cleaning, slugs and keys."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable

from freerecall.decks.result import MAX_BYTES
from freerecall.errors import DeckError

_LINE_BREAKS = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
_SPACES = re.compile("[\t\u00a0\u2007\u202f\u3000]")
_DROPPED = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\ufeff]")
_SURROGATES = re.compile("[\ud800-\udfff]")


def decode(data: bytes, *, source: str, utf8_only: bool) -> str:
    """Return `data` as text: UTF-8 or UTF-16 with or without a mark, else Windows-1252.

    Raises DeckError for binary data, and where `utf8_only` for anything but UTF-8.
    """
    if len(data) > MAX_BYTES:
        raise too_large(source)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) and not utf8_only:
        encodings = ["utf-16"]
    elif b"\0" in data:
        raise DeckError("this is a binary file, not a deck; give a text file", source=source)
    else:
        encodings = ["utf-8-sig"] if utf8_only else ["utf-8-sig", "cp1252"]
    line = 0
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
    raise DeckError(
        "this is not text in UTF-8; save the file as UTF-8 and try again", source=source, line=line
    )


def too_large(source: str) -> DeckError:
    """Return the error for a file beyond the limit."""
    return DeckError(f"larger than {MAX_BYTES // 2**20} MB; split it into several decks", source=source)


def clean(text: str) -> str:
    """Return `text` in NFC without control characters, odd blanks or blank edges; "\\n" breaks lines.

    Idempotent. What could steer a terminal (escape sequences) does not survive.
    """
    text = _SPACES.sub(" ", _LINE_BREAKS.sub("\n", text))
    text = _DROPPED.sub("", _SURROGATES.sub("\ufffd", text))
    lines = unicodedata.normalize("NFC", text).split("\n")
    return "\n".join(line.rstrip() for line in lines).strip()


def clean_line(text: str) -> str:
    """Return `text` cleaned, on one line, each run of blanks a single space."""
    if not (text.isascii() and text.isprintable()):
        text = clean(text)
    return " ".join(text.split())


def slug(text: str, *, limit: int = 60) -> str:
    """Return `text` as lower-case ASCII words joined by "-", at most `limit` long; "" if none is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    words = re.findall(r"[a-z0-9]+", plain.lower())
    while words and len("-".join(words)) > limit:
        words.pop()
    return "-".join(words)


def deck_id_from(name: str) -> str:
    """Return a deck id for a file's stem or a title; never empty."""
    return slug(name) or f"deck-{_digest(name)}"


def key_of(question: str) -> str:
    """Return a key that depends on the question alone, so that a corrected answer keeps its card."""
    plain = " ".join(unicodedata.normalize("NFKC", question).casefold().split())
    return "-".join(part for part in (slug(plain, limit=48), _digest(plain)) if part)


class KeyMaker:
    """Hands out `key_of` keys, with a counted suffix where the same question is asked again."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._asked: dict[str, int] = {}

    def key_for(self, question: str) -> str:
        """Return a key that is not taken, and take it."""
        plain = key = key_of(question)
        while key in self._taken:
            self._asked[plain] = self._asked.get(plain, 1) + 1
            key = f"{plain}-{self._asked[plain]}"
        self._taken.add(key)
        return key


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
