"""A card made of a question and an answer in plain text, as most formats give them."""

import re

from freerecall import derive
from freerecall.cards import Card, KeyPoint, Kind
from freerecall.decks.markup import to_text
from freerecall.decks.result import MAX_POINTS, MAX_TEXT
from freerecall.decks.text import clean, clean_line

_LONGEST = 10 * MAX_TEXT
"""With its HTML: taking nested tags apart takes a time that grows with their square."""
_TAG = re.compile(
    r"</?(?:br|b|i|u|em|strong|div|p|span|ul|ol|li|img|sub|sup|font|table|tr|td|h[1-6]|a)\b[^<>]*>"
)


def make_card(
    question: str,
    answer: str,
    *,
    kind: Kind | None = None,
    points: tuple[KeyPoint, ...] = (),
    alternatives: tuple[str, ...] = (),
    footnote: str = "",
    tags: tuple[str, ...] = (),
) -> Card | str:
    """Return the card, without an id yet, or why there is none. HTML becomes text."""
    if max(map(len, (question, answer, footnote))) > _LONGEST:
        return f"a text of more than {MAX_TEXT} characters"
    question, answer, footnote = (plain(text) for text in (question, answer, footnote))
    if not question or not answer:
        missing = [name for name, text in (("question", question), ("answer", answer)) if not text]
        return f"no {' and no '.join(missing)}"
    if max(map(len, (question, answer, footnote, *alternatives, *tags))) > MAX_TEXT:
        return f"a text of more than {MAX_TEXT} characters"
    kind = kind or derive.kind_of(question, answer)
    points = points or derive.points_of(question, answer, kind)
    tags = tuple(dict.fromkeys(tag for text in tags if (tag := clean_line(text))))
    if max(len(points), len(alternatives), len(tags)) > MAX_POINTS:
        return f"more than {MAX_POINTS} key points, alternatives or tags"
    return Card("", question, answer, kind, points, alternatives, footnote, tags)


def plain(text: str) -> str:
    """Return text without HTML, where it has some; what only looks like it ("a < b") stays."""
    return to_text(text)[0] if _TAG.search(text) else clean(text)
