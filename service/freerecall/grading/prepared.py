"""A card made ready for matching: the work that is done per card, not per answer.

Its words with their vectors and weights, and its *phrases*: every wording of every key point, and
every full reference. Shapes: c = words of the card, p = phrases.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from freerecall.cards import Card, Kind
from freerecall.derive import points_of
from freerecall.grading import polarity, semantics
from freerecall.grading.text import Token, tokenise

Floats = NDArray[np.float32]

LONGEST_ACRONYM = 6
_ECHO_WEIGHT = 0.25
"""A word that the question already gives is worth this share of one that it does not."""
_FACT = 3
"""Words that carry content up to which a full answer is one short fact."""
_SLIPS_FROM = (5, 8, 12)
"""Lengths of a word from which 1, 2, 3 slips are forgiven."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """One wording of key point `point`, or with `point` -1 a whole reference.

    `text` is as written, `plain` its words; `words` are columns of the card's table; `negated`
    marks those under a negation.
    """

    point: int
    text: str
    plain: str
    words: NDArray[np.intp]
    negated: NDArray[np.bool_]
    numbers: frozenset[str]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A card made ready for matching.

    `share` [p, c] holds each phrase's word weights, rows sum to 1; in `share_new` words weigh less
    that the question has, or that several key points share. `column` finds a stem's column,
    `expansions` an acronym's. Where the key points are two sides of a contrast, `subjects` maps what
    is contrasted (stems) to the key point about it, `sole_point` the columns that only one side has.
    `is_asked_for` where a full answer has only words of the question: "put these in order: …";
    `is_fact` where every full answer is one short thing.
    """

    card: Card
    points: tuple[str, ...]
    point_weights: Floats
    phrases: tuple[Phrase, ...]
    phrases_of: tuple[NDArray[np.intp], ...]
    references: NDArray[np.intp]
    stems: tuple[str, ...]
    words: tuple[str, ...]
    raw: Floats
    vectors: Floats
    share: Floats
    share_new: Floats
    phrase_vectors: Floats
    point_of: NDArray[np.intp]
    in_question: NDArray[np.bool_]
    is_asked_for: bool
    is_fact: bool
    question_stems: frozenset[str]
    question_vector: Floats
    numbers: frozenset[str]
    column: dict[str, int]
    subjects: dict[str, int]
    sole_point: dict[int, int]
    expansions: dict[str, list[int]]
    short_words: frozenset[str]
    opposite_columns: dict[str, list[int]]
    exact_only: NDArray[np.bool_]
    word_slips: NDArray[np.intp]
    stem_slips: NDArray[np.intp]
    numeric: NDArray[np.bool_]


@lru_cache(maxsize=2_048)
def prepare(card: Card) -> Prepared:
    """Make `card` ready: the work per card, kept so that it is not done per answer."""
    points = card.points or points_of(card.question, card.reference, card.kind)
    references = (card.reference, *card.alternatives)
    wordings = [(i, text) for i, point in enumerate(points) for text in (point.text, *point.accept)]
    if len(points) == 1:
        # One key point is the whole answer: its wordings and the references say the same.
        wordings += [(0, text) for text in references]
        references = (*references, points[0].text, *points[0].accept)
    wordings += [(-1, text) for text in dict.fromkeys(references)]
    question = tokenise(card.question)
    question_stems = frozenset(token.stem for token in question)

    column: dict[str, int] = {}
    words: list[str] = []
    phrases: list[Phrase] = []
    expansions: dict[str, list[int]] = {}
    short: set[str] = set()
    for point, text in wordings:
        spoken = tokenise(text)
        tokens = content_tokens(spoken)
        unique = {token.stem: token for token in reversed(tokens)}
        for key, token in unique.items():
            if key not in column:
                column[key] = len(words)
                words.append(token.word)
        short |= {t.word for t in tokens if sum(map(str.isupper, text[t.start : t.end])) >= 2}
        for letters, run in acronyms(spoken):
            expansions.setdefault(letters, [column[t.stem] for t in run if t.stem in column])
        phrases.append(
            Phrase(
                point,
                text,
                " ".join(token.word for token in spoken),
                np.array([column[key] for key in unique], np.intp),
                np.array([token.negated for token in unique.values()], bool),
                frozenset(token.word for token in tokens if polarity.is_number(token.word)),
            )
        )
    raw = semantics.word_vectors(words)
    weights = semantics.weights(raw)
    stems = tuple(column)
    in_question = np.array([key in question_stems for key in stems], bool)
    newness = np.where(in_question, _ECHO_WEIGHT, 1.0).astype(np.float32)
    share = np.zeros((len(phrases), len(words)), np.float32)
    share_new = np.zeros_like(share)
    phrase_vectors = np.zeros((len(phrases), semantics.DIMENSIONS), np.float32)
    holders = _holders(phrases, len(words))
    for row, phrase in enumerate(phrases):
        if phrase.words.size:
            plain = weights[phrase.words]
            share[row, phrase.words] = plain / plain.sum()
            new = plain * newness[phrase.words]
            if phrase.point >= 0:
                new = new / holders[phrase.words]
            share_new[row, phrase.words] = new / new.sum()
            phrase_vectors[row] = raw[phrase.words].sum(axis=0)
    contrasts = card.kind is Kind.DEFINITION and len(points) == 2
    subjects, sole_point = _sides(phrases, stems, question_stems) if contrasts else ({}, {})
    opposite_columns: dict[str, list[int]] = {}
    for at, key in enumerate(stems):
        for other in polarity.opposites(key):
            opposite_columns.setdefault(other, []).append(at)
    point_weights = np.array([max(point.weight, 1e-6) for point in points], np.float32)
    point_of = np.array([phrase.point for phrase in phrases], np.intp)
    question_content = [token.word for token in content_tokens(question)]
    return Prepared(
        card=card,
        points=tuple(point.text for point in points),
        point_weights=point_weights / max(float(point_weights.sum()), 1e-6),
        phrases=tuple(phrases),
        phrases_of=tuple(np.flatnonzero(point_of == point) for point in range(len(points))),
        references=np.flatnonzero(point_of == -1),
        stems=stems,
        words=tuple(words),
        raw=raw,
        vectors=semantics.unit(raw),
        share=share,
        share_new=share_new,
        phrase_vectors=semantics.unit(phrase_vectors),
        point_of=point_of,
        in_question=in_question,
        is_asked_for=any(in_question[one.words].all() for one in phrases if one.point < 0),
        is_fact=len(points) == 1 and all(one.words.size <= _FACT for one in phrases if one.point < 0),
        question_stems=question_stems,
        question_vector=semantics.unit(semantics.word_vectors(question_content).sum(axis=0)),
        numbers=frozenset(number for phrase in phrases for number in phrase.numbers),
        column=column,
        subjects=subjects,
        sole_point=sole_point,
        expansions=expansions,
        short_words=frozenset(key for key in short if key in column and len(key) <= LONGEST_ACRONYM),
        opposite_columns=opposite_columns,
        exact_only=np.array([is_exact_only(word) for word in words], bool),
        word_slips=_slips_allowed(words),
        stem_slips=_slips_allowed(stems),
        numeric=np.array([polarity.is_number(word) for word in words], bool),
    )


def content_tokens(tokens: list[Token]) -> list[Token]:
    """Return the tokens that carry content; all where none does."""
    return [token for token in tokens if token.is_content] or tokens


def _owners(phrases: list[Phrase]) -> dict[int, set[int]]:
    """Return for each column the key points that have its word in any wording."""
    owners: dict[int, set[int]] = {}
    for phrase in phrases:
        if phrase.point >= 0:
            for at in phrase.words:
                owners.setdefault(int(at), set()).add(phrase.point)
    return owners


def _holders(phrases: list[Phrase], size: int) -> Floats:
    """Return how many key points share each word: "engineer" in three tells them apart but little."""
    holders = np.ones(size, np.float32)
    for at, points in _owners(phrases).items():
        holders[at] = len(points)
    return holders


def _sides(
    phrases: list[Phrase], stems: tuple[str, ...], asked: frozenset[str]
) -> tuple[dict[str, int], dict[int, int]]:
    """Return (subjects, sole_point) where two key points are about two things that the question names."""
    owners = _owners(phrases)
    sole = {at: min(sides) for at, sides in owners.items() if len(sides) == 1}
    firsts = {phrase.point: phrase for phrase in reversed(phrases)}
    subjects = {
        stems[at]: point
        for at, point in sole.items()
        if stems[at] in asked and int(at) in firsts[point].words
    }
    if set(subjects.values()) != {0, 1}:
        return {}, {}
    return subjects, {at: point for at, point in sole.items() if stems[at] not in asked}


def acronyms(tokens: list[Token]) -> Iterator[tuple[str, list[Token]]]:
    """Yield every run of 2–6 neighbouring words of a clause with its initials: "ml", [machine, learning]."""
    initials = "".join(token.word[0] for token in tokens)
    for start in range(len(tokens)):
        for end in range(start + 2, min(start + LONGEST_ACRONYM, len(tokens)) + 1):
            if tokens[end - 1].clause != tokens[start].clause:
                break
            yield initials[start:end], tokens[start:end]


def is_exact_only(word: str) -> bool:
    """Short words and numbers have no typos: 3 is not 8, and "a" is not "b"."""
    return len(word) < 4 or polarity.is_number(word)


def _slips_allowed(words: Iterable[str]) -> NDArray[np.intp]:
    return np.searchsorted(_SLIPS_FROM, [len(word) for word in words], side="right")
