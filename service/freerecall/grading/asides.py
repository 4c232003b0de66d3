"""Parts of an answer that say nothing of the card: whatever they say, they raise no rating."""

import re
from collections.abc import Iterable, Iterator

from freerecall.grading import encoder
from freerecall.grading.feedback import language_of
from freerecall.grading.reading import Reading
from freerecall.grading.text import normalise

Span = tuple[int, int]

UNLIKE = 0.45
"""Likeness to the card's words below which a word is none of them."""
_PART = re.compile(r"[^.!?;\n()\u2013\u2014]+")
_START = re.compile(r"(?<=\S)\s+(?=[A-Z][^\W\d_A-Z]+,?\s+[^\W\d_A-Z]+,?\s+[^\W\d_A-Z])")
"""Where a sentence begins after one that lacks its stop."""
_WORD = re.compile(r"[^\W\d_]+")
_ENGLISH = frozenset(
    """the and are that it with not what when which you they from this these have its their because into
    can than then there each both how who""".split()
)
"""Words that other languages hardly have."""
_LEAST_RUN = 3
"""Words of another language in a row that are taken for a part of their own."""
_BETWEEN = 2
"""Words that English has too, after more of which such a row ends."""
_STRANGE = (0.75, 0.45)
"""Share of the row's words that English does not have, at least: in plain letters (typos?), in others."""
_ODD = 0.34
"""Share up to which the rest is English: names, typos."""


def without_asides(reading: Reading, said: str) -> str:
    """Return `said` with the parts blanked that have no word like any of the card's.

    Where no part has one, only those go that are in another language than the rest.
    """
    foreign = _foreign(reading, said)
    cuts = {at for span in foreign for at in span}
    if language_of(said) == "en":  # others write nouns with capitals
        cuts |= {start.end() for start in _START.finditer(said)}
    words = reading.likeness()
    asides: list[Span] = []
    speaks = False
    for start, end in _parts(said, cuts):
        likeness = [like for token, like in words if start <= token.start < end]
        if likeness and max(likeness) < UNLIKE:
            asides.append((start, end))
        elif likeness:
            speaks = True
    return blank(said, asides if speaks else foreign)


def blank(text: str, spans: Iterable[Span]) -> str:
    """Return `text` with the spans blanked, so that places in the rest stay what they were."""
    for start, end in spans:
        text = text[:start] + " " * (end - start) + text[end:]
    return text


def _parts(said: str, cuts: Iterable[int]) -> Iterator[Span]:
    """Return where sentences and brackets stand, cut further at `cuts`."""
    for sentence in _PART.finditer(said):
        start, end = sentence.span()
        for at in sorted({*(at for at in cuts if start < at < end), end}):
            yield start, at
            start = at


def _foreign(reading: Reading, said: str) -> list[Span]:
    """Return where words stand in a row that English does not have, beside a rest that is English."""
    words = list(_WORD.finditer(said))
    plain = [normalise(word.group()) for word in words]
    like = {token.start for token, likeness in reading.likeness() if likeness >= UNLIKE}
    strange = [at for at, word in enumerate(words) if word.start() not in like and _is_strange(plain[at])]
    runs: list[list[int]] = []
    for at in strange:
        between = plain[runs[-1][-1] + 1 : at] if runs else []
        if runs and len(between) <= _BETWEEN and _ENGLISH.isdisjoint(between):
            runs[-1].append(at)
        else:
            runs.append([at])
    rows = [range(run[0], run[-1] + 1) for run in runs if _is_foreign(run, plain)]
    if not rows:
        return []
    inside = {at for row in rows for at in row}
    rest = [at for at in range(len(words)) if at not in inside]
    odd = len(set(strange) - inside)
    known = sum(words[at].start() in like for at in rest)
    has_words = any(plain[at] in _ENGLISH for at in rest)
    is_english = has_words or (known > 1 and language_of(" ".join(plain)) == "en")
    if odd > _ODD * len(rest) or not is_english or language_of(" ".join(plain[at] for at in rest)) != "en":
        return []
    return [(words[row[0]].start(), words[row[-1]].end()) for row in rows]


def _is_foreign(run: list[int], plain: list[str]) -> bool:
    length = run[-1] + 1 - run[0]
    least = _STRANGE[any(not plain[at].isascii() for at in run)]
    return length >= _LEAST_RUN and len(run) >= least * length


def _is_strange(word: str) -> bool:
    return len(word) > 1 and not (word.isascii() and encoder.knows(word))
