"""Answers that are a chemical element or formula: its name or symbol, its atoms."""

import re
from functools import cache, lru_cache

from freerecall.grading.text import bare

_ASKS_CHEMISTRY = re.compile(
    r"\b(?:chemi\w*|formula|compounds?|molecul\w*|elements?|metals?|gas(?:es)?|ions?|acids?|symbol|alloy)\b",
    re.IGNORECASE,
)
_ASKS_FOR_SYMBOL = re.compile(r"\bsymbol\b", re.IGNORECASE)
_FORMULA = re.compile(r"(?:[A-Z][a-z]?\d{0,2}|[()\d ])+")
_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_LONGEST = 40


def bounds(answer: str, reference: str, question: str) -> tuple[int, int] | None:
    """Return the least and the most that the answer may be rated; None where chemistry does not tell.

    An element's symbol stands for its name, but where the symbol is asked for; another element, or a
    formula with other atoms, is wrong.
    """
    if not _ASKS_CHEMISTRY.search(question) or len(answer) > _LONGEST:
        return None
    wanted, said = (bare(text).translate(_LOWERED) for text in (reference, answer))
    if element := _elements().get(wanted.casefold()):
        other = _elements().get(said.casefold())
        if other is None:
            return None
        is_same_form = (len(wanted) <= 2 and len(said) <= 2) or not _ASKS_FOR_SYMBOL.search(question)
        return (1, 1) if other != element else (5, 5) if is_same_form else (2, 2)
    ours, theirs = _atoms(said), _atoms(wanted)
    if ours is None or theirs is None:
        return None
    return (5, 5) if ours == theirs else (1, 2)


@cache
def _elements() -> dict[str, str]:
    """Return the symbol for every element's name and symbol, in small letters."""
    import periodictable

    found: dict[str, str] = {}
    for element in periodictable.elements:
        if element.number:
            found |= dict.fromkeys((element.name.casefold(), element.symbol.casefold()), element.symbol)
    return found | {"aluminum": "Al", "cesium": "Cs", "sulphur": "S"}


@lru_cache(maxsize=2_048)
def _atoms(formula: str) -> dict[str, float] | None:
    """Return how many atoms of each element `formula` has; None where it is none."""
    if not _FORMULA.fullmatch(formula):
        return None
    import periodictable
    from pyparsing import ParseBaseException

    try:
        atoms = periodictable.formula(formula.replace(" ", "")).atoms
    except (ParseBaseException, ValueError, KeyError):
        return None
    return {str(element): count for element, count in atoms.items()} or None
