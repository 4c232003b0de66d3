"""Answers that are a formula: the same one, turned round by arithmetic or not, is right.

Two formulas are told apart by their values at a few points, so it does not matter how each is
written: F = ma, a = F/m and "force is mass times acceleration" where the card says so in words.
"""

import ast
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from freerecall.grading.text import stem

_LONGEST = 120
_POINTS, _ENOUGH = 60, 4
_GOLDEN = 0.618034
_CLOSE = 1e-6
_GRID = [0.01 * 1.6**i for i in range(20)]
_HALVINGS = 60
_FUNCTIONS: Mapping[str, Callable[[float], float]] = {
    "sqrt": math.sqrt, "log": math.log, "ln": math.log, "lg": math.log, "exp": math.exp,
    "sin": math.sin, "cos": math.cos, "tan": math.tan, "abs": abs,
}  # fmt: skip
_OPERATIONS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}
_SIGNS = str.maketrans(
    {"²": "^2 ", "³": "^3 ", "⁴": "^4 ", "×": "*", "·": "*", "∙": "*", "⋅": "*", "÷": "/", "∕": "/", "−": "-",
     "–": "-", "√": " sqrt ", "π": " pi ", "½": " 0.5 ", "¼": " 0.25 ", "∝": "=", "~": "=", "≈": "=",
     "±": "+ϖ*", "[": "(", "]": ")", "{": "(", "}": ")"}
)  # fmt: skip
_SPOKEN = [
    (re.compile(said), sign)
    for said, sign in (
        (r"\b(?:the )?(?:square )?root of\b|\bsqrt of\b", " sqrt "),
        (r"\b(?:is )?(?:directly )?proportional to\b|\b(?:is )?equal to\b|\bequals?\b|\bis\b", " = "),
        (r"\b(?:is )?divided by\b|\bover\b|\bper\b", " / "),
        (r"\b(?:is )?multiplied (?:by|with)\b|\btimes\b", " * "),
        (r"\bplus\b", " + "),
        (r"\bminus\b|\bless\b", " - "),
        (r"\bsquared\b|\bto the (?:power of (?:two|2)|second power)\b", "^2"),
        (r"\bcubed\b|\bto the (?:power of (?:three|3)|third power)\b", "^3"),
        (r"\bto the power of\b|\*\*", "^"),
        (r"\b(?:one half of|one half|half of|half)\b", " 0.5 * "),
        (r"\btwice\b", " 2 * "),
        (r"\bthe\b|\ban\b|\ba (?=[a-z]{2})", " "),
    )
]
_LEAD = re.compile(r"^\s*(?:(?:it|that)(?: is| ?['’]?s)|the formula is|formula:)\s+", re.IGNORECASE)
_ORDER = re.compile(r"\s*[OΘΩo]\s*\((.*)\)\s*")
_TOKEN = re.compile(r"\d+(?:\.\d+)?|[^\W\d_](?:_[^\W_]+|\d+)|[^\W\d_]+(?![\d_])|[-+*/^()=]|\s+|.")
_WRITTEN = re.compile(
    r"[=+*/^÷×²³√∝·π]| [-−–] |^\s*[OΘΩ]\s*\(|^[-−]?\s*(?:sin|cos|tan|ln|log|exp|sqrt)\b\s*[(|]?\s*[a-z]\b"
)
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")
_ABSOLUTE = re.compile(r"\|([^|]+)\|")
_GLUED = re.compile(r"[^\W\d_]{2}/[^\W\d_]|[^\W\d_]/[^\W\d_]{2}|\+\+|[^\W\d_]\+$")
_SYMBOLS = re.compile(r"[=^²³√∝π½−\d]|(?<![^\W_])[^\W\d_](?![^\W_])")
_ASKS_FOR_FORMULA = re.compile(
    r"\b(?:formulas?|formulae|equations?|ratio|rate|calculat\w+|comput\w+|express\w*|define\w*|equals?|law|identity"
    r"|margin|how (?:is|do|are)|percentage|share)\b",
    re.IGNORECASE,
)
_SPLIT = 3
"""A name of up to so many letters is a product: ma is m times a."""


@dataclass(frozen=True, slots=True)
class Formula:
    """One expression, or the two sides of an equation, and the names in it."""

    sides: tuple[ast.expr, ...]
    names: frozenset[str]


def agrees(answer: str, reference: str, question: str = "") -> bool | None:
    """Say whether `answer` is the formula `reference`; None where either is none, or speaks of other things.

    A reference of words alone ("lift / elevator") is one only where the question asks for one. Of the
    two ways to read 1/2a, the one counts that agrees.
    """
    verdicts = set()
    if _NUMBER.fullmatch(reference.strip()):
        return _calculated(answer, float(reference))
    if not _is_formula(reference, question):
        return None
    for tight in (False, True):
        wanted = _wanted(reference, tight)
        if wanted is None:
            return None
        for also_tight in (False, True):
            said = parse(answer, also_tight, wanted.names)
            with suppress(ArithmeticError, ValueError):
                verdicts.add(_is_same(said, wanted) if said else None)
    return True if True in verdicts else (False if False in verdicts else None)


def _calculated(answer: str, number: float) -> bool | None:
    """Say so where `answer` is a sum that comes to `number`: 2^3 for 8."""
    said = parse(answer) if _WRITTEN.search(answer) else None
    if said is None or said.names or len(said.sides) > 1:
        return None
    with suppress(ArithmeticError, ValueError):
        return True if _is_near(_value(said.sides[0], {}), number) else None
    return None


def _is_formula(reference: str, question: str) -> bool:
    text = _LEAD.sub("", reference.strip().rstrip("."))
    if not _WRITTEN.search(text) or ("=" not in text and _GLUED.search(text)):
        return False
    return bool(_SYMBOLS.search(text) or _ASKS_FOR_FORMULA.search(question))


@lru_cache(maxsize=2_048)
def _wanted(reference: str, tight: bool) -> Formula | None:
    found = parse(reference.strip().rstrip("."), tight)
    return found if found and found.names else None


def parse(text: str, tight: bool = False, known: frozenset[str] = frozenset()) -> Formula | None:
    """Return the formula that all of `text` is, or None.

    `tight`: a product without a sign binds before a division. Where `known` names are given, c2 is
    c squared unless it is one of them.
    """
    if len(text) > _LONGEST:
        return None
    plain = _LEAD.sub("", text.strip().rstrip(".?!")).translate(_SIGNS)
    if ordered := _ORDER.fullmatch(plain):
        plain = ordered[1]
    plain = plain.casefold()
    for said, written in _SPOKEN:
        plain = said.sub(written, plain)
    plain = _ABSOLUTE.sub(r" (\1)", plain)
    sides = []
    for side in plain.split("="):
        try:
            sides.append(ast.parse(_python(side, tight, known), mode="eval").body)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
    if not 1 <= len(sides) <= 2 or not all(map(_is_plain, sides)):
        return None
    return Formula(tuple(sides), frozenset[str]().union(*map(_names, sides)))


def _python(side: str, tight: bool, known: frozenset[str]) -> str:
    """Return `side` in Python's notation: names of several words made one, products written out."""
    written: list[str] = []
    start = 0
    for sign in _signs(side, known):
        before = written[-1] if written else ""
        starts = sign == "(" or sign[0].isalnum()
        if starts and before and (before == ")" or before[-1].isalnum()) and before not in _FUNCTIONS:
            if tight and start == 0:
                start = len(written)
                written.insert(_factor(written), "(")
            written.append("*")
        elif start and not starts and sign not in ("^", ")"):
            written.append(")")
            start = 0
        if before in _FUNCTIONS and sign != "(":
            sign = f"({sign})"
        written.append("**" if sign == "^" else sign)
    return " ".join([*written, ")"] if start else written).strip()


def _factor(written: list[str]) -> int:
    """Return where the last factor begins: before its bracket, function or power."""
    depth, at = 0, len(written)
    while at:
        at -= 1
        depth += (written[at] == ")") - (written[at] == "(")
        if (
            depth == 0
            and written[at - 1] not in ("**", *_FUNCTIONS)
            and written[at] not in ("**", *_FUNCTIONS)
        ):
            break
    return at


def _signs(side: str, known: frozenset[str]) -> Iterator[str]:
    """Yield numbers, names and signs; words in a row are one name, and other letters one each."""
    words: list[str] = []
    for sign in [*_TOKEN.findall(side), ""]:
        if sign.isspace():
            continue
        if len(sign) > _SPLIT and sign.isalpha() and sign not in _FUNCTIONS:
            words.append(stem(sign))
            continue
        if words:
            yield "_".join(words)
            words = []
        if sign in _FUNCTIONS or sign == "pi" or not sign.isalnum():
            yield from filter(None, [sign])
        elif sign.isalpha():
            yield from sign
        elif known and sign[0].isalpha() and sign not in known:
            yield from (sign[0], "^", sign[1:].lstrip("_"))
        else:
            yield sign


def _is_plain(side: ast.expr) -> bool:
    """Say whether `side` only calculates, with names, numbers and the functions known here."""
    allowed = (ast.BinOp, ast.UnaryOp, ast.USub, ast.UAdd, ast.Name, ast.Load, ast.Constant, ast.Call)
    return all(
        isinstance(node, (*allowed, *_OPERATIONS))
        and not (isinstance(node, ast.Call) and not isinstance(node.func, ast.Name))
        and not (isinstance(node, ast.Constant) and not isinstance(node.value, (int, float)))
        for node in ast.walk(side)
    )


def _value(node: ast.expr, at: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.Name(id=name):
            return math.pi if name == "pi" else at[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, at)
        case ast.UnaryOp(operand=operand):
            return _value(operand, at)
        case ast.BinOp(left=left, op=op, right=right):
            found = _OPERATIONS[type(op)](_value(left, at), _value(right, at))
            if isinstance(found, complex):
                raise ValueError("not a real number")
            return found
        case ast.Call(func=ast.Name(id=name), args=[argument]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](_value(argument, at))
    raise ValueError("not a formula")


def _is_same(said: Formula, wanted: Formula) -> bool | None:
    said = _spelled_out(said, wanted)
    if len(said.sides) == len(wanted.sides):
        return _agree_everywhere(said, wanted) if said.names == wanted.names else None
    for one, other in ((said, wanted), (wanted, said)):
        for side in other.sides if len(one.sides) == 1 else ():
            alone = Formula((side,), _names(side))
            if alone.names == one.names < other.names and not isinstance(side, ast.Name):
                return _agree_everywhere(one, alone)
    return None


def _spelled_out(said: Formula, wanted: Formula) -> Formula:
    """Return `said` with names for their first letters, where it has nothing else."""
    full = {name[0]: name for name in wanted.names}
    if not (said.names <= set(full) and len(full) == len(wanted.names)):
        return said
    sides = tuple(ast.parse(ast.unparse(side), mode="eval").body for side in said.sides)
    for side in sides:
        for node in ast.walk(side):
            if isinstance(node, ast.Name):
                node.id = full.get(node.id, node.id)
    return Formula(sides, frozenset(full[name] for name in said.names))


def _names(side: ast.expr) -> frozenset[str]:
    found = {node.id for node in ast.walk(side) if isinstance(node, ast.Name)}
    return frozenset(found - set(_FUNCTIONS) - {"pi"})


def _agree_everywhere(said: Formula, wanted: Formula) -> bool | None:
    """Say whether both have the same values, or as equations hold at the same points."""
    seen = 0
    for point in range(_POINTS):
        at = {name: 0.3 + (_GOLDEN * (7 * point + i)) % 3.7 for i, name in enumerate(sorted(wanted.names), 1)}
        try:
            agree = _agree_at(at, said, wanted)
        except (ArithmeticError, ValueError):
            continue
        if not agree:
            return agree
        if (seen := seen + 1) == _ENOUGH:
            return True
    return None


def _agree_at(at: Mapping[str, float], said: Formula, wanted: Formula) -> bool | None:
    if len(wanted.sides) == 1:
        return _is_near(_value(said.sides[0], at), _value(wanted.sides[0], at))
    if _holds(said, at):
        return None
    solved = _solved(wanted, at)
    return None if solved is None else _holds(said, solved)


def _holds(one: Formula, at: Mapping[str, float]) -> bool:
    left, right = (_value(side, at) for side in one.sides)
    return _is_near(left, right)


def _is_near(one: float, other: float) -> bool:
    return abs(one - other) <= _CLOSE * max(1.0, abs(one), abs(other))


def _solved(one: Formula, at: Mapping[str, float]) -> dict[str, float] | None:
    """Return `at` with one name changed such that the equation holds, found by bisection."""

    def off(name: str, value: float) -> float:
        left, right = (_value(side, {**at, name: value}) for side in one.sides)
        return left - right

    for name in sorted(one.names):
        with suppress(ArithmeticError, ValueError):
            low, high = next(
                (pair for pair in pairwise(_GRID) if (off(name, pair[0]) < 0) != (off(name, pair[1]) < 0)),
                (0.0, 0.0),
            )
            for _ in range(_HALVINGS if high else 0):
                middle = (low + high) / 2
                same_side = (off(name, middle) < 0) == (off(name, low) < 0)
                low, high = (middle, high) if same_side else (low, middle)
            if high and _holds(one, found := {**at, name: low}):
                return found
    return None
