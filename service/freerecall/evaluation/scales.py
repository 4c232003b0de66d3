"""Rating scales other than 1–5: marks from 0 to 10, three classes, and what they are on ours."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from freerecall.errors import InputError
from freerecall.grades import RATINGS

_RANGE = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*(?:-|\.\.|–)\s*(-?\d+(?:\.\d+)?)\s*")
_MOST_NAMES = 100


@dataclass(frozen=True, slots=True)
class Scale:
    """A scale from `low` to `high` (which may be the lower number: school marks where 1 is best).

    `names`, lowest first, where its steps are words; then `low` is 0 and `high` the last one's place.
    """

    low: float
    high: float
    names: tuple[str, ...] = ()

    def rating(self, value: Any) -> int:
        """Return the rating 1–5 nearest to `value`, the better of two. Raises InputError off the scale."""
        at = self._place(value)
        share = (at - self.low) / (self.high - self.low)
        if not -1e-9 <= share <= 1 + 1e-9:
            raise InputError(f'"gold" is {str(value)[:50]!r}, which is not on the scale {self}')
        return _on_ours(share)

    @property
    def levels(self) -> tuple[int, ...]:
        """The ratings that this scale's steps become; all five where it has five steps or more."""
        steps = abs(self.high - self.low)
        if not steps.is_integer() or steps >= len(RATINGS) - 1:
            return tuple(RATINGS)
        return tuple(_on_ours(step / steps) for step in range(int(steps) + 1))

    def _place(self, value: Any) -> float:
        if self.names:
            if str(value).strip().casefold() not in self.names:
                raise InputError(f'"gold" is {str(value)[:50]!r}; it must be one of {", ".join(self.names)}')
            return float(self.names.index(str(value).strip().casefold()))
        try:
            at = math.nan if isinstance(value, bool) else float(str(value).replace(",", "."))
        except ValueError:
            at = math.nan
        if not math.isfinite(at):
            raise InputError(f'"gold" is {str(value)[:50]!r}; it must be a number on the scale {self}')
        return at

    def __str__(self) -> str:
        return ", ".join(self.names) if self.names else f"{self.low:g} to {self.high:g}"


def scale_of(text: Any) -> Scale:
    """Read `0-10`, `6..1` or `wrong, partly, right` (lowest first). Raises InputError for anything else."""
    found = _RANGE.fullmatch(text) if isinstance(text, str) else None
    if found and float(found[1]) != float(found[2]):
        return Scale(float(found[1]), float(found[2]))
    names = tuple(name.strip().casefold() for name in text.split(",")) if isinstance(text, str) else ()
    if not found and 2 <= len(names) <= _MOST_NAMES and all(names) and len(set(names)) == len(names):
        return Scale(0.0, len(names) - 1.0, names)
    raise InputError(
        f"the scale {str(text)[:100]!r} cannot be read: give its ends, such as 0-10, or its steps, lowest"
        " first, such as wrong,partly,right"
    )


def nearest(levels: Sequence[int], rating: int, score: float) -> int:
    """Return the grade as one of `levels`: its rating, or where there are fewer, the nearest to its score."""
    return (
        rating
        if rating in levels and len(levels) == len(RATINGS)
        else min(levels, key=lambda level: (abs(1 + 4 * score - level), level))
    )


def _on_ours(share: float) -> int:
    return 1 + math.floor(4 * share + 0.5 + 1e-9)
