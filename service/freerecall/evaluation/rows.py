"""Rows of files: answers with question and reference, perhaps with what people said of them."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from freerecall.cards import Card, KeyPoint
from freerecall.decks import bundled_decks, read_deck
from freerecall.errors import InputError
from freerecall.evaluation import tables
from freerecall.evaluation.scales import Scale, scale_of
from freerecall.grades import RATINGS, Grade, RatedAnswer
from freerecall.grading import ad_hoc_card
from freerecall.grading.rated import MOST

MAX_TEXT = 10_000
"""Characters that an answer, a question or a reference may have."""
MAX_TEXTS = 100
LABELS = ("correct", "contradictory", "incorrect")


@dataclass(frozen=True, slots=True)
class Row:
    """An answer to grade. `gold` is a rating 1–5, `label` one of LABELS; each None where not given.

    `split` names the part of its file that a row belongs to ("dev", "test"). `levels` are the
    ratings that the gold's own scale can give; `rated` are other answers to the same card that
    people have rated.
    """

    id: Any
    card: Card
    answer: str
    gold: int | None = None
    label: str | None = None
    dataset: str = ""
    style: str = ""
    split: str = ""
    levels: tuple[int, ...] = RATINGS
    rated: tuple[RatedAnswer, ...] = ()


@dataclass(frozen=True, slots=True)
class BadRow:
    """A line that cannot be graded. `line` is 1-based."""

    id: Any
    line: int
    error: str

    def to_dict(self) -> dict[str, Any]:
        return {"id": self.id, "error": self.error}


@dataclass(frozen=True, slots=True)
class Format:
    """What a file's rows must have and may leave out.

    With `gold`, a row without a `gold` rating or a `label` is bad; `scale` is what `gold` is on,
    where the row does not say. `questions`, by data set and id, are what rows may refer to.
    """

    gold: bool = False
    scale: Scale | None = None
    questions: Mapping[tuple[str, str], dict[str, Any]] = field(default_factory=dict)


def read_rows(
    path: Path, *, gold: bool = False, scale: Scale | None = None, split: Sequence[str] = ()
) -> Iterator[Row | BadRow]:
    """Yield one item per non-blank line of JSON Lines, or per row of a table (`.csv`, `.tsv`), in order.

    A row may name a bundled deck's `card`, or a `question_id` of questions.jsonl beside the file
    (as SemEval-2013 Task 7 does), instead of a question and reference. With `split`, only rows of
    those parts of the file, and rows that name none. Raises OSError where a file cannot be read,
    InputError for a table that is none.
    """
    for row in _all_rows(path, gold, scale):
        if isinstance(row, BadRow) or not split or row.split in ("", *split):
            yield row


def _all_rows(path: Path, gold: bool, scale: Scale | None) -> Iterator[Row | BadRow]:
    about = Format(gold, scale, _questions(path.parent / "questions.jsonl"))
    if path.suffix.lower() in (".csv", ".tsv"):
        for line, cells in tables.rows_of(path):
            yield _checked(cells, cells.get("id", line), line, about)
        return
    with path.open("rb") as file:
        yield from parse_lines(file, about)


def parse_lines(lines: Iterable[bytes], about: Format) -> Iterator[Row | BadRow]:
    """Parse each non-blank line; what is wrong with a line comes as a BadRow, never as an exception."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield parse_line(line, number, about)


def parse_line(line: bytes, number: int, about: Format) -> Row | BadRow:
    """Parse one line of JSON."""
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        error = "not UTF-8 text"
    except json.JSONDecodeError as problem:
        error = f"not JSON: {problem.msg} at column {problem.colno}"
    except (RecursionError, ValueError):
        error = "not JSON that can be read: nested too deeply, or a number too long"
    else:
        if not isinstance(row, dict):
            return BadRow(None, number, f"line {number}: a row must be a JSON object")
        given = row.get("id", number)
        if isinstance(given, (dict, list)):
            return BadRow(number, number, f'line {number}: "id" must be a string or a number')
        return _checked(row, given, number, about)
    return BadRow(None, number, f"line {number}: {error}")


def _checked(row: dict[str, Any], row_id: Any, number: int, about: Format) -> Row | BadRow:
    try:
        return _row(row, row_id, about)
    except InputError as problem:
        return BadRow(row_id, number, f"line {number}: {problem}")


def _row(row: dict[str, Any], row_id: Any, about: Format) -> Row:
    asked = about.questions.get((str(row.get("dataset", "")), str(row.get("question_id", ""))))
    if asked is not None and "question" not in row:
        texts = [reference["text"] for reference in asked["references"]]
        known: dict[str, Any] = {name: asked[name] for name in ("key_points", "kind") if name in asked}
        row = {**row, **known, "question": asked["question"], "references": texts}
    if "card" in row and "question" not in row:
        return _with_gold(row, row_id, _bundled_card(_text(row, "card")), about)
    references = _texts(row, "references")
    points = _key_points(row)
    if "reference" not in row and not references and not points:
        raise InputError('"reference" is missing')
    kind = row.get("kind")
    if kind is not None and not isinstance(kind, str):
        raise InputError('"kind" must be a string')
    card = ad_hoc_card(
        _text(row, "question"),
        _text(row, "reference", ""),
        references=references,
        key_points=points,
        kind=kind,
    )
    return _with_gold(row, row_id, card, about)


def _with_gold(row: dict[str, Any], row_id: Any, card: Card, about: Format) -> Row:
    rating, label = row.get("gold"), row.get("label")
    scale = scale_of(row["scale"]) if row.get("scale") is not None else about.scale
    if rating is not None and scale is not None:
        rating = scale.rating(rating)
    elif rating is not None and (isinstance(rating, bool) or rating not in RATINGS):
        raise InputError('"gold" must be a whole number from 1 to 5; for another scale, say which (--scale)')
    if label is not None and label not in LABELS:
        raise InputError(f'"label" must be one of {", ".join(LABELS)}')
    if about.gold and rating is None and label is None:
        raise InputError('"gold" is missing: a rating from 1 to 5')
    return Row(
        id=row_id,
        card=card,
        answer=_text(row, "answer"),
        gold=None if rating is None else int(rating),
        label=label,
        dataset=str(row.get("dataset") or ""),
        style=str(row.get("style") or ""),
        split=str(row.get("split") or ""),
        levels=scale.levels if scale else RATINGS,
        rated=_rated(row.get("rated")),
    )


def _rated(given: Any) -> tuple[RatedAnswer, ...]:
    if given is None:
        return ()
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise InputError('"rated" must be a list of objects with "answer" and "rating"')
    if any(type(one.get("rating")) is not int or one["rating"] not in RATINGS for one in given):
        raise InputError('"rating" in "rated" must be a whole number from 1 to 5')
    return tuple(RatedAnswer(_text(one, "answer"), one["rating"]) for one in given[:MOST])


@cache
def _bundled_cards() -> dict[str, Card]:
    return {card.id: card for path in bundled_decks() for card in read_deck(path).deck.cards}


def _bundled_card(card_id: str) -> Card:
    try:
        return _bundled_cards()[card_id]
    except KeyError:
        raise InputError(f'"card" is {card_id[:100]!r}; no bundled deck has it') from None


def _text(row: dict[str, Any], name: str, default: str | None = None) -> str:
    value = row.get(name, default)
    if value is None:
        raise InputError(f'"{name}" is missing')
    if not isinstance(value, str):
        raise InputError(f'"{name}" must be a string')
    if len(value) > MAX_TEXT:
        raise InputError(f'"{name}" has {len(value):,} characters; at most {MAX_TEXT:,} are graded')
    return value


def _texts(row: dict[str, Any], name: str) -> tuple[str, ...]:
    value = row.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise InputError(f'"{name}" must be a list of strings')
    _check_amount(name, value)
    return tuple(value)


def _key_points(row: dict[str, Any]) -> tuple[KeyPoint, ...]:
    """Each a text, or an object with `text` and `accept`, other wordings of it."""
    given = row.get("key_points")
    if not isinstance(given, list) or not any(isinstance(one, dict) for one in given):
        return tuple(KeyPoint(text) for text in _texts(row, "key_points"))
    points = [one if isinstance(one, dict) else {"text": one} for one in given]
    found = tuple(KeyPoint(_text(point, "text"), _texts(point, "accept")) for point in points)
    _check_amount("key_points", [text for point in found for text in (point.text, *point.accept)])
    return found


def _check_amount(name: str, texts: Sequence[str]) -> None:
    if len(texts) > MAX_TEXTS or sum(map(len, texts)) > 10 * MAX_TEXT:
        raise InputError(f'"{name}" is too long: at most {MAX_TEXTS} texts')


def _questions(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    if not path.is_file():
        return {}
    rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    return {(row["dataset"], row["question_id"]): row for row in rows}


def grade_dict(grade: Grade) -> dict[str, Any]:
    """Return the fields of a graded row, ready for JSON."""
    return {
        "rating": grade.rating,
        "score": grade.score,
        "confidence": grade.confidence,
        "decided_by": grade.decided_by.value,
        "provisional": grade.provisional,
        "evidence": [
            {
                "point": item.point,
                "verdict": item.verdict.value,
                "quote": item.quote,
                "found_by": item.found_by.value if item.found_by else None,
                "coverage": item.coverage,
                "weight": item.weight,
            }
            for item in grade.evidence
        ],
        "feedback": grade.feedback,
    }
