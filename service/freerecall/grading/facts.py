"""Answers that are one short fact, which is right or wrong: what that leaves of the ratings."""

from functools import lru_cache

from freerecall.cards import Kind
from freerecall.grading import chemistry, dates, figures, formulas, quantities
from freerecall.grading.calibration import SINGLE
from freerecall.grading.reading import Reading

_WRONG_FORMULA = 2
ANY = (1, 5)


def bounds(reading: Reading) -> tuple[int, int]:
    """Return the least and the most that the answer may be rated, by the best full answer of its card.

    A formula, a date or a quantity is told by what it comes to; a figure, a label or a name by itself.
    """
    card = reading.prepared.card
    if reading.layer not in SINGLE and card.kind is not Kind.CLOZE:
        return ANY
    asked = reading.prepared.question_stems
    told = (_by(reading.answer, text, card.question, asked) for text in (card.reference, *card.alternatives))
    found = [one for one in told if one]
    if found:
        return max(found)
    if card.kind is Kind.CLOZE:
        return ANY
    if (right := figures.is_right(reading)) is not None:
        return (5, 5) if right else (1, 1)
    return figures.name_bounds(reading)


def is_settled(reading: Reading) -> bool:
    """Say whether the answer is nothing but such a fact, and its rating is known."""
    least, most = bounds(reading)
    return least == most


@lru_cache(maxsize=256)
def _by(answer: str, reference: str, question: str, asked: frozenset[str]) -> tuple[int, int] | None:
    if (same := formulas.agrees(answer, reference, question)) is not None:
        return (5, 5) if same else (1, _WRONG_FORMULA)
    return (
        dates.bounds(answer, reference, asked)
        or quantities.bounds(answer, reference, asked)
        or quantities.unit_bounds(answer, reference, question)
        or chemistry.bounds(answer, reference, question)
    )
