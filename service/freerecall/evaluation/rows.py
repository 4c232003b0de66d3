"""Rows of JSON Lines files: answers with question and reference, perhaps with what people said of them."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from freerecall.cards import Card
from freerecall.decks import bundled_decks, read_deck
from freerecall.errors import InputError
from freerecall.grades import RATINGS, Grade
from freerecall.grading import ad_hoc_card

MAX_TEXT = 10_000
"""Characters that an answer, a question or a reference may have."""
LABELS = ("correct", "contradictory", "incorrect")


@dataclass(frozen=True, slots=True)
class Row:
    """An answer to grade. `gold` is a rating 1–5, `label` one of LABELS; each None where not given."""

    id: Any
    card: Card
    answer: str
    gold: int | None = None
    label: str | None = None
    dataset: str = ""
    style: str = ""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A line that cannot be graded. `line` is 1-based."""

    id: Any
    line: int
    error: str

    def to_dict(self) -> dict[str, Any]:
        return {"id": self.id, "error": self.error}


def read_rows(path: Path, *, gold: bool = False) -> Iterator[Row | BadRow]:
    """Yield one item per non-blank line of `path`, in order.

    With `gold`, a row without a `gold` rating or a `label` is bad. A row may name a bundled deck's
    `card`, or a `question_id` of questions.jsonl beside the file (SemEval-2013 Task 7), instead of
    a question and reference. Raises OSError where a file cannot be read.
    """
    with path.open("rb") as file:
        yield from parse_lines(file, gold=gold, questions=_questions(path.parent / "questions.jsonl"))


def parse_lines(
    lines: Iterable[bytes],
    *,
    gold: bool = False,
    questions: dict[tuple[str, str], dict[str, Any]] | None = None,
) -> Iterator[Row | BadRow]:
    """Parse each non-blank line; what is wrong with a line comes as a BadRow, never as an exception."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield parse_line(line, number, gold=gold, questions=questions or {})


def parse_line(
    line: bytes, number: int, *, gold: bool, questions: dict[tuple[str, str], dict[str, Any]]
) -> Row | BadRow:
    """Parse one line of JSON."""
    given: Any = None
    try:
        row = json.loads(line.decode("utf-8-sig"))
        if not isinstance(row, dict):
            raise InputError("a row must be a JSON object")
        given = row.get("id", number)
        if isinstance(given, (dict, list)):
            given = number
            raise InputError('"id" must be a string or a number')
        return _row(row, given, gold, questions)
    except UnicodeDecodeError:
        error = "not UTF-8 text"
    except json.JSONDecodeError as problem:
        error = f"not JSON: {problem.msg} at column {problem.colno}"
    except (RecursionError, ValueError):
        error = "not JSON that can be read: nested too deeply, or a number too long"
    except InputError as problem:
        error = str(problem)
    return BadRow(given, number, f"line {number}: {error}")


def _row(
    row: dict[str, Any], row_id: Any, gold: bool, questions: dict[tuple[str, str], dict[str, Any]]
) -> Row:
    asked = questions.get((str(row.get("dataset", "")), str(row.get("question_id", ""))))
    if asked is not None and "question" not in row:
        texts = [reference["text"] for reference in asked["references"]]
        row = {**row, "question": asked["question"], "references": texts}
    if "card" in row and "question" not in row:
        return _with_gold(row, row_id, _bundled_card(_text(row, "card")), gold)
    references = _texts(row, "references")
    points = _texts(row, "key_points")
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
    return _with_gold(row, row_id, card, gold)


def _with_gold(row: dict[str, Any], row_id: Any, card: Card, gold: bool) -> Row:
    rating, label = row.get("gold"), row.get("label")
    if rating is not None and (isinstance(rating, bool) or rating not in RATINGS):
        raise InputError('"gold" must be a whole number from 1 to 5')
    if label is not None and label not in LABELS:
        raise InputError(f'"label" must be one of {", ".join(LABELS)}')
    if gold and rating is None and label is None:
        raise InputError('"gold" is missing: a rating from 1 to 5')
    return Row(
        id=row_id,
        card=card,
        answer=_text(row, "answer"),
        gold=None if rating is None else int(rating),
        label=label,
        dataset=str(row.get("dataset") or ""),
        style=str(row.get("style") or ""),
    )


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
    if len(value) > 100 or sum(map(len, value)) > 10 * MAX_TEXT:
        raise InputError(f'"{name}" is too long: at most 100 texts')
    return tuple(value)


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
