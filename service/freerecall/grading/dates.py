"""Answers that are a date: the same in any notation, less exact, or another."""

import re
from dataclasses import dataclass
from functools import lru_cache

from freerecall.grading.text import STOPWORDS, normalise, tokenise

_LONGEST = 60
_MONTHS = "january february march april may june july august september october november december".split()
_MONTH = "|".join(f"{month[:3]}(?:{month[3:]})?" if len(month) > 3 else month for month in _MONTHS) + "|sept"
_DAY = r"(?P<d>[12]?\d|3[01])(?:st|nd|rd|th)?"
_YEAR = r"(?P<y>\d{3,4}|\d{1,4}(?=\s*(?:bc|ad|ce)))"
_ERA = r"(?:\s*(?P<era>bce?|ad|ce)\b)?"
_FORMS = [
    re.compile(rf"\b{form}{_ERA}(?![\w/])")
    for form in (
        rf"{_DAY}(?:\s+of)?[\s.,-]*(?P<m>{_MONTH})\b[\s.,-]*(?:of\s+)?(?:{_YEAR}\b)?",
        rf"(?P<m>{_MONTH})\b[\s.,]*{_DAY}\b(?!\d)(?:[\s.,]+{_YEAR}\b)?",
        rf"(?P<m>{_MONTH})\b[\s.,]*(?:of\s+)?{_YEAR}\b",
        rf"{_YEAR}-(?P<m>1[0-2]|0?\d)-{_DAY}\b",
        rf"{_DAY}\s*[./-]\s*(?P<m>1[0-2]|0?[1-9])\s*[./-]\s*{_YEAR}\b",
        rf"(?P<m>1[0-2]|0?[1-9])/{_DAY}/{_YEAR}\b",
        rf"{_YEAR}\b",
    )
]
_FILLERS = STOPWORDS | frozenset(
    "year date day think guess answer monday tuesday wednesday thursday friday".split()
)


@dataclass(frozen=True, slots=True)
class Date:
    """Day, month and year, each None where it is not said; years before Christ are negative."""

    day: int | None
    month: int | None
    year: int | None


def bounds(answer: str, reference: str, asked: frozenset[str]) -> tuple[int, int] | None:
    """Return the least and the most that the answer may be rated, by its date; None where either is none.

    A reference that is a year alone is a figure like any other. `asked` are the stems of the
    question's words.
    """
    wanted = _dates(reference, asked)
    if not wanted or wanted[0].month is None:
        return None
    said = _dates(answer, asked)
    if not said:
        return None
    return max(_compare(one, wanted[0]) for one in said)


def _compare(said: Date, wanted: Date) -> tuple[int, int]:
    pairs = [(said.day, wanted.day), (said.month, wanted.month), (said.year, wanted.year)]
    if any(one != other for one, other in pairs if one is not None and other is not None):
        return 1, 1
    if all(one is not None for one, other in pairs if other is not None):
        return 5, 5
    rating = 4 if said.month is not None or wanted.day is None else 3
    return rating, rating


@lru_cache(maxsize=2_048)
def _dates(text: str, asked: frozenset[str]) -> tuple[Date, ...]:
    """Return what date all of `text` may be, beside filling words and those of the question; () if none."""
    if len(text) > _LONGEST or not any(map(str.isdigit, text)):
        return ()
    plain = normalise(text)
    found: dict[Date, None] = {}
    for form in _FORMS:
        for match in form.finditer(plain):
            rest = tokenise(f"{plain[: match.start()]} {plain[match.end() :]}")
            if any(token.word == "or" for token in rest):
                continue
            if all(token.word in _FILLERS or token.stem in asked for token in rest):
                found[_date(match)] = None
    return tuple(found)


def _date(match: re.Match[str]) -> Date:
    said = match.groupdict()
    month = said.get("m")
    year = int(said["y"]) if said.get("y") else None
    if year is not None and (said.get("era") or "").startswith("b"):
        year = -year
    named = month and (int(month) if month.isdigit() else 1 + [one[:3] for one in _MONTHS].index(month[:3]))
    return Date(int(said["d"]) if said.get("d") else None, named or None, year)
