"""How the ways in say things: hints, times."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from freerecall.cards import Card, Kind
from freerecall.derive import asks_yes_no
from freerecall.grades import Grade, Verdict

_HINTS = {
    Kind.DEFINITION: "",
    Kind.LIST: "a list, in any order",
    Kind.ORDERED_LIST: "a list, in order",
    Kind.CLOZE: "fill in the blank",
}


def form_of(card: Card) -> str:
    """Say what form of answer `card` wants; "" where its question says it all."""
    if card.kind is not Kind.TRUE_FALSE:
        return _HINTS[card.kind]
    verdict = "yes or no" if asks_yes_no(card.question) else "true or false"
    return f"{verdict}, and why" if len(card.points) > 1 else verdict


def until(due: datetime, now: datetime) -> str:
    """Say in words when `due` comes: "now", "in 10 minutes", "in 3 days"."""
    left = due - now
    if left < timedelta(seconds=30):
        return "now"
    for unit, length in (
        ("day", timedelta(days=1)),
        ("hour", timedelta(hours=1)),
        ("minute", timedelta(minutes=1)),
    ):
        if left >= length * 0.95:
            count = max(1, round(left / length))
            return f"in {count} {unit}{'' if count == 1 else 's'}"
    return "in a minute"


@dataclass(frozen=True, slots=True)
class Change:
    """What a second look made of a key point, and the learner's words that it went by."""

    point: str
    before: Verdict
    after: Verdict
    quote: str


def changes(before: Grade, after: Grade) -> list[Change]:
    """Return the key points that two grades of one answer see differently."""
    pairs = zip(before.evidence, after.evidence, strict=False)
    return [
        Change(new.point, old.verdict, new.verdict, new.quote)
        for old, new in pairs
        if old.point == new.point and old.verdict is not new.verdict
    ]
