"""The text of a flashcard page, selected in a browser and saved as it is.

Two layouts are understood, also one after the other in one file. Both begin a card with its
number on a line of its own:

- marked: a line "Q", the question, a line "A", the answer, a blank line, a footnote, and the
  page's "How well did you know this?" scale;
- plain: the question on one line, then the answer, with " * " between list items and
  "## Footnote" before a footnote.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from freerecall import derive
from freerecall.cards import Card, Deck, Kind
from freerecall.decks.result import MAX_CARDS, MAX_POINTS, MAX_TEXT, ImportResult, Skipped
from freerecall.decks.text import KeyMaker, clean, clean_line, deck_id_from
from freerecall.errors import DeckError

_SCALE = "how well did you know this"
_SCALE_LABELS = ("1", "not at all", "2", "3", "4", "5", "perfectly")
_SCALE_ON_ONE_LINE = re.compile(r"1\W*not at all\W*2\W*3\W*4\W*5\W*perfectly\W*", re.IGNORECASE)
_SCALE_TAIL = re.compile(rf"{_SCALE}.*", re.IGNORECASE | re.DOTALL)
_NUMBER = re.compile(r"[0-9]{1,6}")
_DECLARED = re.compile(r"\(\s*(\d{1,6})\s+cards?\s*\)", re.IGNORECASE)
_FOOTNOTE = re.compile(r"#{1,6}\s*footnotes?\b\s*:?\s*", re.IGNORECASE)
_BOLD = re.compile(r"\*\*([^*\n]+)\*\*")
_QUESTION_MARK = ("Q", "Q:")
_ANSWER_MARK = ("A", "A:")


@dataclass(slots=True)
class _RawCard:
    number: int
    line: int
    question: str = ""
    answer: str = ""
    footnote: str = ""


def looks_like(text: str) -> bool:
    """Say whether `text` is meant to be a page dump: numbered, and with a mark of its own."""
    lines = [line.strip() for line in text.splitlines()]
    numbers = {int(line) for line in lines if _NUMBER.fullmatch(line)}
    if not numbers:
        return False
    in_sequence = any(number + 1 in numbers for number in numbers)
    return in_sequence or bool(
        set(lines).intersection(_QUESTION_MARK)
        or any(line.casefold().startswith(_SCALE) for line in lines)
        or _FOOTNOTE.search(text)
        or _DECLARED.search(text)
    )


def parse(text: str, *, source: str, deck_id: str, stem: str) -> ImportResult:
    """Read a page dump. Wholly blank cards are skipped and reported.

    Raises DeckError with the line for a card with only a question or only an answer, for
    numbers that do not rise, and for text between cards.
    """
    reader = _Reader(text, source)
    title, declared = reader.header()
    deck_id = deck_id or deck_id_from(stem or title)
    raw_cards = list(reader.cards())
    keys = KeyMaker()
    cards: list[Card] = []
    skipped: list[Skipped] = []
    for raw in raw_cards:
        if raw.question or raw.answer or raw.footnote:
            cards.append(_card(raw, deck_id, keys, source))
        else:
            skipped.append(Skipped(raw.number, raw.line, "blank: neither question nor answer"))
    if not cards:
        raise DeckError("there are no cards with a question and an answer", source=source)
    if len(cards) > MAX_CARDS:
        raise DeckError(f"{len(cards)} cards; a deck may have {MAX_CARDS}: split the file", source=source)
    notes: tuple[str, ...] = ()
    if declared is not None and declared != len(raw_cards):
        notes = (f"the page announces {declared} cards, but the file has {len(raw_cards)}: is it all there?",)
    deck = Deck(deck_id, title or stem or deck_id, tuple(cards))
    return ImportResult(deck, tuple(skipped), "page-dump", notes)


def _card(raw: _RawCard, deck_id: str, keys: KeyMaker, source: str) -> Card:
    question, answer, footnote = (_plain(text) for text in (raw.question, raw.answer, raw.footnote))

    def wrong(message: str) -> DeckError:
        return DeckError(f"card {raw.number} {message}", source=source, line=raw.line)

    if not question:
        raise wrong("has an answer but no question; add the question or remove the card")
    if not answer:
        raise wrong("has a question but no answer; add the answer or remove the card")
    if max(len(question), len(answer), len(footnote)) > MAX_TEXT:
        raise wrong(f"has a text of more than {MAX_TEXT} characters; shorten it or split the card")
    kind = derive.kind_of(question, answer)
    reference = as_reference(answer, kind)
    points = derive.points_of(question, reference, kind)
    if len(points) > MAX_POINTS:
        raise wrong(f"lists {len(points)} things; a card may have {MAX_POINTS}: split it")
    return Card(f"{deck_id}:{keys.key_for(question)}", question, reference, kind, points, footnote=footnote)


def as_reference(answer: str, kind: Kind) -> str:
    """Return an answer in the form that references have: list items on lines of their own."""
    if kind is Kind.TRUE_FALSE and answer.isalpha():
        return answer.capitalize()
    intro, items = derive.split_list(answer)
    if len(items) == 1 and not intro:
        return items[0]
    return "\n".join([*([intro] if intro else []), *(f"- {item}" for item in items)]) if items else answer


def _plain(text: str) -> str:
    return clean(_SCALE_TAIL.sub("", _BOLD.sub(r"\1", text)))


class _Reader:
    def __init__(self, text: str, source: str) -> None:
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self.lines = [clean_line(line) for line in lines]
        self.source = source
        self.at = 0

    def header(self) -> tuple[str, int | None]:
        """Read up to the first card; return (title, announced number of cards)."""
        while self.at < len(self.lines) and not self.is_number(self.at):
            self.at += 1
        if self.at == len(self.lines):
            self.fail(0, "no card found: each card must begin with its number on a line of its own")
        head = [line for line in self.lines[: self.at] if line]
        declared = next((int(found[1]) for line in head if (found := _DECLARED.search(line))), None)
        title = next((text for line in head if (text := _DECLARED.sub("", line).strip())), "")
        return _plain(title)[:500], declared

    def cards(self) -> Iterator[_RawCard]:
        last = 0
        while (at := self.skip_blank(self.at)) < len(self.lines):
            if not self.is_number(at):
                self.fail(at, f"expected the number of the card after {last}, not {self.lines[at][:60]!r}")
            number = int(self.lines[at])
            if number <= last:
                self.fail(
                    at, f"card number {number} comes after {last}; numbers must rise: is a part pasted twice?"
                )
            last = number
            raw = _RawCard(number, at + 1)
            if self.is_marked(at):
                self.read_marked(raw, self.skip_blank(at + 1) + 1)
            else:
                self.read_plain(raw, self.skip_blank(at + 1))
            if _FOOTNOTE.search(raw.footnote):
                self.fail(at, f"card {number} has two footnotes: is the number of the card after it missing?")
            yield raw

    def read_marked(self, raw: _RawCard, start: int) -> None:
        end = self.marked_end(raw.number, start)
        body = self.lines[start:end]
        mark = next((i for i, line in enumerate(body) if line in _ANSWER_MARK), None)
        self.at = end
        if mark is None:
            if any(body):
                self.fail(raw.line - 1, f'card {raw.number} has no line "A" before its answer; add it')
        else:
            raw.question = "\n".join(body[:mark])
            raw.answer, raw.footnote = _answer_and_footnote(body[mark + 1 :])
        self.skip_scale()

    def marked_end(self, number: int, start: int) -> int:
        for at in range(start, len(self.lines)):
            if self.is_scale(at):
                return at
            if self.is_number(at) and self.is_marked(at):
                break
        else:
            at = len(self.lines)
        # No scale: the next number ends the card.
        following = (i for i in range(start, at) if self.lines[i] == str(number + 1))
        return next(following, at)

    def read_plain(self, raw: _RawCard, at: int) -> None:
        self.at = at
        if at == len(self.lines) or self.is_number(at) or self.is_scale(at):
            self.skip_scale()
            return
        raw.question = self.lines[at]
        body: list[str] = []
        at += 1
        while at < len(self.lines) and not self.is_scale(at):
            if self.is_number(at) and (any(body) or not self.is_answer(at, raw.number)):
                break
            body.append(self.lines[at])
            at += 1
        self.at = at
        answer, *footnote = _FOOTNOTE.split("\n".join(body), maxsplit=1)
        raw.answer, raw.footnote = answer, "".join(footnote)
        self.skip_scale()

    def is_answer(self, at: int, number: int) -> bool:
        """Say whether the number here, right after card `number`'s question, answers it.

        It does unless it is the next card's number; "5" and again "5" is an answer and a card.
        """
        following = self.skip_blank(at + 1)
        next_number = str(number + 1)
        return self.lines[at] != next_number or self.lines[following : following + 1] == [next_number]

    def skip_scale(self) -> None:
        if self.at >= len(self.lines) or not self.is_scale(self.at):
            return
        left = list(_SCALE_LABELS)
        if self.lines[self.at].casefold() not in left:
            self.at += 1
        while (at := self.skip_blank(self.at)) < len(self.lines) and not self.is_marked(at):
            line = self.lines[at].casefold()
            if line not in left:
                break
            del left[: left.index(line) + 1]
            self.at = at + 1

    def skip_blank(self, at: int) -> int:
        while at < len(self.lines) and not self.lines[at]:
            at += 1
        return at

    def is_number(self, at: int) -> bool:
        return bool(_NUMBER.fullmatch(self.lines[at]))

    def is_marked(self, at: int) -> bool:
        """Say whether the number on this line begins a card of the marked layout."""
        following = self.skip_blank(at + 1)
        return self.is_number(at) and following < len(self.lines) and self.lines[following] in _QUESTION_MARK

    def is_scale(self, at: int) -> bool:
        """Say whether the page's scale begins here, with its heading or, that lost, its first labels."""
        line = self.lines[at].casefold()
        if line.startswith(_SCALE) or _SCALE_ON_ONE_LINE.fullmatch(line):
            return True
        if line not in _SCALE_LABELS[:2]:
            return False
        following = self.skip_blank(at + 1)
        after = _SCALE_LABELS[_SCALE_LABELS.index(line) + 1]
        return following < len(self.lines) and self.lines[following].casefold() == after

    def fail(self, at: int, message: str) -> NoReturn:
        raise DeckError(message, source=self.source, line=at + 1)


def _answer_and_footnote(lines: list[str]) -> tuple[str, str]:
    """Split what follows "A": the first paragraph answers, with its list; the rest is the footnote."""
    answer, *marked = _FOOTNOTE.split("\n".join(lines), maxsplit=1)
    paragraphs = [part for part in re.split(r"\n\s*\n", answer.strip()) if part]
    if not paragraphs:
        return "", "".join(marked)
    used = 1
    while used < len(paragraphs) and re.match(r"[•*-]\s", paragraphs[used]):
        used += 1
    return "\n".join(paragraphs[:used]), "\n".join([*paragraphs[used:], *marked])
