"""Answers that are one figure, one label or one name: another is not nearly right."""

import re
from dataclasses import dataclass
from functools import lru_cache

from text_to_num import alpha2digit

from freerecall.cards import Card
from freerecall.grading import polarity
from freerecall.grading.calibration import SINGLE
from freerecall.grading.prepared import prepare
from freerecall.grading.reading import Reading
from freerecall.grading.text import HEDGES, tokenise

_SHORT = 8
"""Content words up to which an answer may be no more than a figure."""
_FILLERS = HEDGES | frozenset(
    "year exactly only just precisely total degree degrees answer think guess".split()
)
_NEAR = 0.05
"""Share by which a figure with a hedge may be off, and is left to the model."""
_UNITS = {
    unit: name
    for name, units in {
        "s": "s sec secs second seconds",
        "min": "min mins minute minutes",
        "h": "h hr hrs hour hours",
        "day": "day days",
        "week": "week weeks",
        "month": "month months",
        "mm": "mm millimetre millimetres millimeter millimeters",
        "cm": "cm centimetre centimetres centimeter centimeters",
        "m": "m metre metres meter meters",
        "km": "km kilometre kilometres kilometer kilometers",
        "c": "c celsius centigrade",
        "f": "f fahrenheit",
        "k": "k kelvin",
        "dozen": "dozen",
        "hundred": "hundred hundreds",
        "thousand": "thousand thousands",
        "million": "million millions",
        "billion": "billion billions",
    }.items()
    for unit in units.split()
}
_LABEL = re.compile(r"[a-z]\d{0,3}")
_FIGURE = re.compile(r"(\d+(?:\.\d+)?)(?:st|nd|rd|th)?")
_CALCULATED = re.compile(r"\d\s*[/^*×x·]\s*\d|[√π]|\d[eE]\d")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_NAME = re.compile(r"(?:[A-Z][\w’'-]+\W*){2,3}")
_WHO = re.compile(r"\b(?:who|whom|whose)\b", re.IGNORECASE)
_LEAST_NAME = 4
"""Letters of a family name that may stand for the whole."""
_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class _Said:
    """What a short text says beside words of the question: figures or labels, units, and other words."""

    figures: frozenset[str]
    units: frozenset[str]
    others: frozenset[str]
    hedged: bool
    percent: bool
    plain: bool
    """Whether it neither calculates, nor denies, nor chooses."""

    @classmethod
    def of(cls, text: str, asked: frozenset[str]) -> "_Said":
        spelled = text if any(map(str.isdigit, text)) else alpha2digit(text, "en", threshold=0)
        tokens = tokenise(_THOUSANDS.sub("", spelled))
        told = [token for token in tokens if token.is_content and token.stem not in asked]
        words = [token.word for token in told if token.word not in _FILLERS and token.stem not in _FILLERS]
        figures = {word for word in words if polarity.is_number(word)}
        if not figures:
            figures = {word for word in words if _LABEL.fullmatch(word)}
        units = {_UNITS[word] for word in words if word in _UNITS and word not in figures}
        return cls(
            figures=frozenset(figures),
            units=frozenset(units),
            others=frozenset(word for word in words if word not in figures and word not in _UNITS),
            hedged=any(token.word in HEDGES for token in tokens),
            percent="%" in text or any(token.stem == "percent" for token in tokens),
            plain=not _CALCULATED.search(text)
            and not any(token.negated or token.word == "or" for token in tokens),
        )


def is_right(reading: Reading) -> bool | None:
    """Say whether the answer is the figure or label that the card asks for; None where it is no such answer.

    A figure in another unit, one that is calculated, and words beside it are left to the model.
    """
    if reading.layer not in SINGLE or len(reading.match.content) > _SHORT:
        return None
    wanted = _wanted(reading.prepared.card)
    said = _Said.of(reading.answer, reading.prepared.question_stems)
    if len(said.figures) != 1 or not said.plain:
        return None
    found = [_agrees(said, one) for one in wanted]
    if True in found:
        return True
    return False if found and all(one is False for one in found) else None


@lru_cache(maxsize=2_048)
def _wanted(card: Card) -> tuple[_Said, ...]:
    prepared = prepare(card)
    return tuple(_Said.of(phrase.text, prepared.question_stems) for phrase in prepared.phrases)


def _agrees(said: _Said, wanted: _Said) -> bool | None:
    if len(wanted.figures) != 1 or not wanted.plain or len(wanted.others) > 1 or said.others - wanted.others:
        return None
    if said.percent is not wanted.percent:
        return None
    ours, theirs = _value(*said.figures), _value(*wanted.figures)
    if said.units != wanted.units:
        is_other_unit = ours == theirs and len(said.units) == len(wanted.units) == 1
        return False if is_other_unit else None
    if ours == theirs:
        return True if said.others == wanted.others else None
    is_near = isinstance(ours, float) and isinstance(theirs, float) and abs(ours - theirs) <= _NEAR * theirs
    return None if is_near and said.hedged else False


def _value(figure: str) -> float | str:
    found = _FIGURE.fullmatch(figure)
    return float(found.group(1)) if found else figure


def name_bounds(reading: Reading) -> tuple[int, int]:
    """Return the least and the most that the answer may be rated where a person's full name is asked for.

    The family name alone will do; a name of which no word is the same is somebody else's.
    """
    card = reading.prepared.card
    names = [text.strip() for text in (card.reference, *card.alternatives)]
    if reading.layer not in SINGLE or not _WHO.search(card.question):
        return 1, 5
    if not all(len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) for name in names):
        return 1, 5
    said = [token.word for token in reading.match.content]
    family = {tokenise(name)[-1].word for name in names}
    if len(said) == 1 and said[0] in family and len(said[0]) >= _LEAST_NAME:
        return 4, 5
    return (1, 2) if not reading.match.keyword_coverage.any() else (1, 5)
