"""Whether words that a model quotes are the learner's own, and whether they may support a verdict."""

import re
import unicodedata
from dataclasses import dataclass

from rapidfuzz import fuzz

from freerecall.cards import Card, KeyPoint, Kind
from freerecall.grading import manipulation
from freerecall.grading.manipulation import Span
from freerecall.grading.text import NEGATIONS, tokenise

_LIKE = 85.0
"""Least likeness, of 100, between a quote and the place in the answer that it was taken from."""
_SHORT = 8
"""Quotes of fewer characters must be in the answer letter by letter."""

_WORD = re.compile(r"[^\W_]+")
_ELLIPSIS = re.compile(r"…|\.{3}")
_CHOICE = re.compile(r"\bor\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """A learner's answer, as typed, and the spans of it that speak to the grader."""

    text: str
    orders: tuple[Span, ...]

    @classmethod
    def read(cls, text: str, card: Card) -> "Answer":
        """Find the sentences that speak of the grading instead of the card's subject."""
        return cls(text, manipulation.spans(text, card))

    def find(self, quote: str) -> Span | None:
        """Return where in the answer `quote` was taken from, in whole words, or None.

        Case, punctuation and small slips do not matter; a negation that one has and the other has not does.
        """
        part = max(_ELLIPSIS.split(quote), key=len)
        sought, _ = _words(part)
        text, places = _words(self.text)
        if not sought or not text:
            return None
        if len(sought) < _SHORT or len(sought) > len(text):
            at = f" {text} ".find(f" {sought} ")
            if at < 0 and len(sought) > len(text) and fuzz.ratio(sought, text) >= _LIKE:
                at, sought = 0, text
            if at < 0:
                return None
            first, last = at, at + len(sought)
        else:
            found = fuzz.partial_ratio_alignment(sought, text, score_cutoff=_LIKE)
            if found is None:
                return None
            first, last = found.dest_start, found.dest_end
        inside = [(start, end) for begins, ends, start, end in places if begins < last and ends > first]
        if not inside:
            return None
        span = inside[0][0], inside[-1][1]
        return span if _negates(part) == _negates(self.text[slice(*span)]) else None

    @property
    def is_function_words(self) -> bool:
        """Whether the answer has no word that carries content ("no", "it is")."""
        return not any(token.is_content for token in tokenise(self.text))

    def supports(self, span: Span, point: KeyPoint, card: Card) -> bool:
        """Say whether the words at `span` may count for `point`.

        Not if they only repeat the question or speak to the grader. In an answer that speaks to
        the grader, other words must also share one with the point or the reference.
        """
        if any(start < span[1] and span[0] < end for start, end in self.orders):
            return False
        words = {token.stem for token in tokenise(self.text[slice(*span)]) if token.is_content}
        if (not words and not self.is_function_words) or _echoes(words, point, card):
            return False
        if not self.orders:
            return True
        wanted = " ".join((point.text, *point.accept, card.reference, *card.alternatives))
        return bool(words & {token.stem for token in tokenise(wanted) if token.is_content})


def _echoes(words: set[str], point: KeyPoint, card: Card) -> bool:
    """Say whether all `words` stand in the question, unless they choose or order what it offers."""
    asked = {token.stem for token in tokenise(card.question) if token.is_content}
    if not words or not words <= asked:
        return False
    if card.kind is Kind.TRUE_FALSE or _CHOICE.search(card.question):
        return len(words) > len(asked) / 2
    return not {token.stem for token in tokenise(point.text) if token.is_content} <= asked


def _negates(text: str) -> bool:
    return any(token.word in NEGATIONS for token in tokenise(text))


def _words(text: str) -> tuple[str, list[tuple[int, int, int, int]]]:
    """Return `text` as plain words with one space between, and each word's span there and in `text`."""
    parts: list[str] = []
    places = []
    at = 0
    for match in _WORD.finditer(text):
        word = unicodedata.normalize("NFKC", match.group()).casefold()
        parts.append(word)
        places.append((at, at + len(word), *match.span()))
        at += len(word) + 1
    return " ".join(parts), places
