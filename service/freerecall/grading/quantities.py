"""Answers that are a quantity: a number in a unit, the same in any other unit that comes to it."""

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from text_to_num import alpha2digit

from freerecall.grading.text import HEDGES, STOPWORDS, bare, tokenise

if TYPE_CHECKING:
    from pint import UnitRegistry

_LONGEST = 80
_MULTIPLES = {
    "hundred": 1e2,
    "thousand": 1e3,
    "million": 1e6,
    "billion": 1e9,
    "trillion": 1e12,
    "dozen": 12.0,
}
_FILLERS = (
    HEDGES | STOPWORDS | frozenset("exactly only just precisely total answer think guess equals".split())
)
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻−–", "0123456789---")
_NUMBER = re.compile(
    r"(?<![\w.^])(?P<sign>[-−–+]|minus\s)?\s*(?P<digits>\d{1,3}(?:[,  ’']\d{3})+(?!\d)|\d+)(?P<part>\.\d+)?"
    r"(?:\s*(?:[eE](?P<e>[-+]?\d{1,2})(?!\w)"
    r"|[x×*·]\s*10\s*(?:\^|\*\*)?\s*\(?(?P<ten>[-−–]?\d{1,2}|[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3})\)?))?"
    rf"(?:\s*(?P<multiple>{'|'.join(_MULTIPLES)})s?\b)?"
)
_UNIT = re.compile(r"[a-zµμΩ°%/·²³⁻^¹0-9. -]{1,40}", re.IGNORECASE)
_DEGREES = re.compile(r"(?:°|º|\bdeg(?:rees?)?\b)\s*(?=[cf]\b|celsius|centigrade|fahrenheit)", re.IGNORECASE)
_SCALES = {"c": "degC", "celsius": "degC", "centigrade": "degC", "f": "degF", "fahrenheit": "degF"}
_DEGREE = frozenset(("°", "deg", "degree", "degrees"))
_SQUARED = re.compile(r"(?<=[a-zA-Z])([23])(?!\d)")
_ASKS_FOR_UNIT = re.compile(r"\bunits?\b", re.IGNORECASE)
_ASIDE = re.compile(r"\s*\([^()]*\)$")
_FRACTIONS = str.maketrans(
    {"½": ".5", "¼": ".25", "¾": ".75", "⅓": ".333", "⅔": ".667", "\u202f": " ", "\xa0": " "}
)
_PER = re.compile(r"\s+an?\s+(?=second|minute|hour|day|week|month|year)", re.IGNORECASE)
_SECOND = re.compile(r"\bsecond\b", re.IGNORECASE)
_WRONG_UNIT = (2, 2)
_EXACT, _CONVERTED, _ROUNDED = 1e-6, 0.01, 0.06


@dataclass(frozen=True, slots=True)
class Quantity:
    """`value` in `unit` ("" for a bare number); `digits` are the significant ones that were written."""

    value: float
    unit: str
    digits: int
    hedged: bool


def bounds(answer: str, reference: str, asked: frozenset[str]) -> tuple[int, int] | None:
    """Return the least and the most that the answer may be rated, by its quantity and the reference's.

    None where either is none, or the reference has no unit: then it is a figure like any other.
    `asked` are the stems of the question's words.
    """
    wanted = _wanted(reference, asked)
    said = parse(answer, asked) if wanted else None
    if wanted is None or said is None:
        return None
    is_degrees = said.unit.casefold() in _DEGREE and wanted.unit in _SCALES.values()
    if not said.unit or is_degrees or _known(said.unit) == _known(wanted.unit):
        return _compare(said.value, said, wanted)
    converted = _converted(said, wanted.unit)
    if converted is None:
        return _WRONG_UNIT if _is_near(said.value, wanted.value, _EXACT) else (1, 1)
    if _is_near(converted, wanted.value, max(_CONVERTED, _half_of_last(wanted) if wanted.hedged else 0.0)):
        return 5, 5
    found = _compare(converted, said, wanted)
    return _WRONG_UNIT if found == (1, 1) and _is_near(said.value, wanted.value, _EXACT) else found


def unit_bounds(answer: str, reference: str, question: str) -> tuple[int, int] | None:
    """Return the same where a unit is asked for, by its name or its symbol; None where none is."""
    if not _ASKS_FOR_UNIT.search(question):
        return None
    name, typed = (_ASIDE.sub("", bare(text)) for text in (reference, answer))
    wanted, said = _known(name), _known(typed)
    if wanted is None:
        return None
    if f"{wanted:~}".casefold() == typed.casefold():
        return 5, 5
    if said is None or said.dimensionality != wanted.dimensionality:
        return None if said is None else (1, 2)
    return (5, 5) if _is_near(float(_registry().Quantity(1, said).to(wanted).magnitude), 1, _EXACT) else None


@lru_cache(maxsize=2_048)
def _wanted(reference: str, asked: frozenset[str]) -> Quantity | None:
    found = parse(reference, asked)
    return found if found and (found.unit or found.value < 0 or abs(found.value) >= 1e13) else None


def _compare(value: float, said: Quantity, wanted: Quantity) -> tuple[int, int] | None:
    if _is_near(value, wanted.value, _EXACT):
        return 5, 5
    if said.digits < wanted.digits and _is_near(value, _rounded(wanted.value, said.digits), _EXACT):
        return (4, 4) if _is_near(value, wanted.value, _ROUNDED) else None
    if said.digits > wanted.digits and _is_near(_rounded(value, wanted.digits), wanted.value, _EXACT):
        return (5, 5) if wanted.hedged else None
    return None if said.hedged and _is_near(value, wanted.value, _ROUNDED) else (1, 1)


def _is_near(one: float, other: float, share: float) -> bool:
    return abs(one - other) <= share * abs(other)


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{max(digits, 1) - 1}e}")


def _half_of_last(one: Quantity) -> float:
    """Return half a unit of the last digit that was written, as a share."""
    return 0.5 * 10.0 ** (1 - one.digits)


def parse(text: str, asked: frozenset[str] = frozenset()) -> Quantity | None:
    """Return the quantity that `text` is beside filling words and those of the question, or None.

    Parts in units of one kind are added: 8 min 20 s, 5 ft 11 in.
    """
    if len(text) > _LONGEST:
        return None
    spoken = _PER.sub(" per ", text.translate(_FRACTIONS))
    spoken = _SECOND.sub("sec", spoken)  # or it is read as 2nd
    spoken = alpha2digit(spoken, "en", threshold=0) if not any(map(str.isdigit, spoken)) else spoken
    found = list(_NUMBER.finditer(spoken))
    if not 1 <= len(found) <= 3 or not _is_filling(spoken[: found[0].start()], asked):
        return None
    parts = []
    for at, number in enumerate(found):
        end = found[at + 1].start() if at + 1 < len(found) else len(spoken)
        unit, left = _unit(spoken[number.end() : end])
        if not _is_filling(left, asked):
            return None
        parts.append((_value(number), unit))
    value, unit = parts[0]
    for more, other in parts[1:]:
        added = _converted(Quantity(more, other, 1, False), unit) if unit and other else None
        if added is None:
            return None
        value += added
    digits = "".join(number["digits"] + (number["part"] or "") for number in found)
    said = {token.word for token in tokenise(text)}
    return Quantity(value, unit, _significant(digits), bool(said & HEDGES) or "~" in text or "≈" in text)


def _significant(digits: str) -> int:
    plain = re.sub(r"[^\d.]", "", digits)
    plain = plain.replace(".", "") if "." in plain else plain.rstrip("0")
    return max(len(plain.lstrip("0")), 1)


def _value(number: re.Match[str]) -> float:
    value = float(re.sub(r"\D", "", number["digits"]) + (number["part"] or ""))
    if power := number["e"] or number["ten"]:
        value *= 10.0 ** int(power.translate(_RAISED))
    value *= _MULTIPLES.get(number["multiple"] or "", 1.0)
    return -value if (number["sign"] or "+")[0] in "-−–m" else value


def _is_filling(text: str, asked: frozenset[str]) -> bool:
    tokens = tokenise(text)
    return not any(token.negated or token.word == "or" for token in tokens) and all(
        token.word in _FILLERS or token.stem in asked for token in tokens
    )


def _unit(text: str) -> tuple[str, str]:
    """Return the longest unit at the beginning of `text`, and the rest."""
    words = _DEGREES.sub("deg", text).split()
    for count in range(min(len(words), 4), 0, -1):
        unit = " ".join(words[:count]).strip(".,;!?)")
        unit = _SCALES.get(unit.casefold().removeprefix("deg"), unit)
        if _UNIT.fullmatch(unit) and _known(unit):
            return unit, " ".join(words[count:])
    return "", text


@cache
def _registry() -> "UnitRegistry[Any]":
    from pint import UnitRegistry

    return UnitRegistry()


@lru_cache(maxsize=2_048)
def _known(unit: str) -> Any:
    """Return pint's unit of that name, as typed or in small letters; None where there is none."""
    if unit.casefold() in STOPWORDS:
        return None
    for name in (unit, unit.lower()):
        try:
            return _registry().parse_units(_SQUARED.sub(r"^\1", name.replace("μ", "µ")))
        except Exception:  # noqa: S112 - pint raises its own errors, and those of Python's tokeniser
            continue
    return None


def _converted(one: Quantity, unit: str) -> float | None:
    """Return the value in `unit`; None where that measures something else."""
    ours, theirs = _known(one.unit), _known(unit)
    if ours is None or theirs is None or ours.dimensionality != theirs.dimensionality:
        return None
    return float(_registry().Quantity(one.value, ours).to(theirs).magnitude)
