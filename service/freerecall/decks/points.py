"""Key points as lines of text, as a person edits them: `point | another wording | another (x2)`.

A `|` that belongs to a wording is written as `\\|`.
"""

import re

from freerecall.cards import KeyPoint
from freerecall.decks.result import MAX_POINTS, MAX_TEXT, MAX_WEIGHT
from freerecall.decks.text import clean_line
from freerecall.errors import DeckError

_WEIGHT = re.compile(r"\s*\(x\s*(\d{1,3}(?:\.\d{1,3})?)\)\s*$")
_BAR = re.compile(r"(?<!\\)\|")


def dump_points(points: tuple[KeyPoint, ...]) -> str:
    """Return one line a point: its text, its accepted wordings, its weight where that is not 1."""
    return "\n".join(_dump_point(point) for point in points)


def _dump_point(point: KeyPoint) -> str:
    line = " | ".join(wording.replace("|", "\\|") for wording in (point.text, *point.accept))
    return f"{line} (x{point.weight:g})" if point.weight != 1 or _WEIGHT.search(line) else line


def load_points(text: str) -> tuple[KeyPoint, ...]:
    """Read what `dump_points` wrote. Raises DeckError for too many, too long, or a weight of nothing."""
    points = []
    for number, line in enumerate(text.splitlines(), 1):
        weight = 1.0
        if found := _WEIGHT.search(line):
            weight, line = float(found[1]), line[: found.start()]
        wordings = [wording for part in _BAR.split(line) if (wording := clean_line(part.replace("\\|", "|")))]
        if not wordings:
            continue
        if not 0 < weight <= MAX_WEIGHT or max(map(len, wordings)) > MAX_TEXT or len(wordings) > MAX_POINTS:
            raise DeckError(
                f"a key point needs a weight above 0 and at most {MAX_WEIGHT:g},"
                f" at most {MAX_POINTS} wordings and {MAX_TEXT} characters",
                line=number,
            )
        points.append(KeyPoint(wordings[0], tuple(wordings[1:]), weight))
    if len(points) > MAX_POINTS:
        raise DeckError(f"there are {len(points)} key points; the most is {MAX_POINTS}")
    return tuple(points)
