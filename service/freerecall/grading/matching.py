"""What of a card is found in an answer: one similarity table, read by every matcher.

A card is prepared once (`prepare`): its words, their vectors and weights, and
its *phrases*: every wording of every key point, and every full reference. An
answer is laid against it once (`match`). Shapes: a = words of the answer that
carry content, c = words of the card, p = phrases, w = windows of the answer
(runs of neighbouring clauses).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import OSA

from freerecall.cards import Card, Kind
from freerecall.derive import points_of
from freerecall.grading import polarity, semantics
from freerecall.grading.text import Token, stem, tokenise

Floats = NDArray[np.float32]

_ECHO_WEIGHT = 0.25
"""A word that the question already gives is worth this share of one that it does not."""
_SLIP = (1.0, 0.92, 0.85, 0.8)
"""What a word with 0, 1, 2, 3 slips counts for."""
_SLIPS_FROM = (5, 8, 12)
"""Lengths of a word from which 1, 2, 3 slips are forgiven."""
_LONGEST_CUT, _CUT_SHORT = 5, 0.85
"""A word cut short ("algo", "perf") has at most so many letters, and counts for this."""
_WINDOW = 3
_LONGEST_ACRONYM = 6


@dataclass(frozen=True, slots=True)
class Phrase:
    """One wording of key point `point`, or with `point` -1 a whole reference.

    `plain` are its words; `words` are columns of the card's table; `negated` marks those under a negation.
    """

    point: int
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


@dataclass(frozen=True, slots=True)
class Match:
    """An answer laid against a card.

    `raw` [a, 256]: the answer's word vectors. `lexical`, `semantic`, `both` [a, c]: how far each
    answer word is each card word, 0–1, by spelling, by meaning, by the better of the two.
    `keyword_coverage`, `coverage`, `coverage_new`, `phrase_cosine` [w, p]: per window and phrase.
    `windows` are (first, last + 1) rows of `content`; the last is the whole answer.
    """

    tokens: list[Token]
    content: list[Token]
    raw: Floats
    lexical: Floats
    semantic: Floats
    both: Floats
    opposite: NDArray[np.bool_]
    negated: NDArray[np.bool_]
    windows: list[tuple[int, int]]
    keyword_coverage: Floats
    coverage: Floats
    coverage_new: Floats
    phrase_cosine: Floats


def content_tokens(tokens: list[Token]) -> list[Token]:
    """Return the tokens that carry content; all where none does."""
    return [token for token in tokens if token.is_content] or tokens


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
        for letters, run in _acronyms(spoken):
            expansions.setdefault(letters, [column[t.stem] for t in run if t.stem in column])
        phrases.append(
            Phrase(
                point,
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
        question_stems=question_stems,
        question_vector=semantics.unit(semantics.word_vectors(question_content).sum(axis=0)),
        numbers=frozenset(number for phrase in phrases for number in phrase.numbers),
        column=column,
        subjects=subjects,
        sole_point=sole_point,
        expansions=expansions,
        short_words=frozenset(key for key in short if key in column and len(key) <= _LONGEST_ACRONYM),
        opposite_columns=opposite_columns,
        exact_only=np.array([_exact_only(word) for word in words], bool),
        word_slips=_slips_allowed(words),
        stem_slips=_slips_allowed(stems),
        numeric=np.array([polarity.is_number(word) for word in words], bool),
    )


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


def _acronyms(tokens: list[Token]) -> Iterator[tuple[str, list[Token]]]:
    """Yield every run of 2–6 neighbouring words of a clause with its initials: "ml", [machine, learning]."""
    initials = "".join(token.word[0] for token in tokens)
    for start in range(len(tokens)):
        for end in range(start + 2, min(start + _LONGEST_ACRONYM, len(tokens)) + 1):
            if tokens[end - 1].clause != tokens[start].clause:
                break
            yield initials[start:end], tokens[start:end]


def _match_acronyms(table: Floats, tokens: list[Token], content: list[Token], prepared: Prepared) -> None:
    """Let an acronym stand for its words, and the words for it, on either side."""
    for row, token in enumerate(content):
        if 2 <= len(token.word) <= _LONGEST_ACRONYM and token.stem not in prepared.question_stems:
            table[row, prepared.expansions.get(token.word, [])] = 1.0
    if prepared.short_words:
        row_of = {token.start: row for row, token in enumerate(content)}
        for letters, run in _acronyms(tokens):
            if letters in prepared.short_words:
                rows = [row_of[token.start] for token in run if token.start in row_of]
                table[rows, prepared.column[letters]] = 1.0


def _exact_only(word: str) -> bool:
    """Short words and numbers have no typos: 3 is not 8, and "a" is not "b"."""
    return len(word) < 4 or polarity.is_number(word)


def _lexical(content: list[Token], prepared: Prepared) -> Floats:
    """Equal stems are 1; near spellings (typos, compounds written apart) less."""
    table = np.zeros((len(content), len(prepared.words)), np.float32)
    strange = []
    for row, token in enumerate(content):
        at = prepared.column.get(token.stem)
        if at is not None:
            table[row, at] = 1.0
        elif not _exact_only(token.word):
            strange.append(row)
    pairs = [
        row
        for row, (one, other) in enumerate(pairwise(content))
        if other.start - one.end <= 1 and not (one.stem in prepared.column and other.stem in prepared.column)
    ]
    typed = [content[row].word for row in strange]
    typed += [content[row].word + content[row + 1].word for row in pairs]
    if typed:
        near = np.maximum(
            _near(typed, prepared.words, prepared.word_slips),
            _near([stem(word) for word in typed], prepared.stems, prepared.stem_slips),
        )
        near[:, prepared.exact_only] = 0.0
        table[strange] = near[: len(strange)]
        for row, found in zip(pairs, near[len(strange) :], strict=True):
            table[row : row + 2] = np.maximum(table[row : row + 2], found)
    for row, token in enumerate(content):
        if 3 <= len(token.word) <= _LONGEST_CUT and token.stem not in prepared.column:
            for at, word in enumerate(prepared.words):
                if len(word) >= len(token.word) + 3 and word.startswith(token.word):
                    table[row, at] = max(table[row, at], _CUT_SHORT)
    return table


def _near(typed: list[str], words: tuple[str, ...], allowed: NDArray[np.intp]) -> Floats:
    """Return how likely each typed word is a slip for each card word, 0–1: few edits, the same initial."""
    edits = process.cdist(typed, words, scorer=OSA.distance, score_cutoff=len(_SLIP) - 1, dtype=np.uint8)
    near = np.zeros(edits.shape, np.float32)
    for row, column in zip(*np.nonzero(edits <= allowed), strict=True):
        if typed[row][0] == words[column][0]:
            near[row, column] = _SLIP[edits[row, column]]
    return near


def _slips_allowed(words: Iterable[str]) -> NDArray[np.intp]:
    return np.searchsorted(_SLIPS_FROM, [len(word) for word in words], side="right")


def _clause_starts(content: list[Token]) -> list[int]:
    return [i for i, token in enumerate(content) if i == 0 or token.clause != content[i - 1].clause]


def _over_windows(tables: Floats, starts: list[int]) -> Floats:
    """Return the maxima of `tables` [..., a, c] over every window, shape [..., w, c]."""
    clauses = np.maximum.reduceat(tables, starts, axis=-2)
    runs = [clauses]
    for _ in range(min(_WINDOW, len(starts)) - 1):
        runs.append(np.maximum(runs[-1][..., :-1, :], clauses[..., len(runs) :, :]))
    if len(starts) > _WINDOW:
        runs.append(clauses.max(axis=-2, keepdims=True))
    return np.concatenate(runs, axis=-2)


def _windows(starts: list[int], size: int) -> list[tuple[int, int]]:
    """Runs of one to three neighbouring clauses as row ranges; the last is the whole answer."""
    ends = [*starts[1:], size]
    count = len(starts)
    windows = [(starts[i], ends[i + run]) for run in range(min(_WINDOW, count)) for i in range(count - run)]
    return windows if count <= _WINDOW else [*windows, (0, size)]


def match(prepared: Prepared, tokens: list[Token]) -> Match | None:
    """Lay an answer's tokens against the card; None where there are none."""
    content = content_tokens(tokens)
    if not content or not prepared.words:
        return None
    raw = semantics.word_vectors([token.word for token in content])
    vectors = semantics.unit(raw)
    lexical = _lexical(content, prepared)
    _match_acronyms(lexical, tokens, content, prepared)
    opposite = np.zeros(lexical.shape, bool)
    for row, token in enumerate(content):
        for at in prepared.opposite_columns.get(token.stem, ()):
            opposite[row, at] = True
    semantic = semantics.likeness(vectors @ prepared.vectors.T)
    semantic[:, prepared.numeric] = 0.0
    semantic[opposite] = 0.0
    lexical[opposite] = 0.0
    both = np.maximum(lexical, 0.9 * semantic)

    starts = _clause_starts(content)
    windows = _windows(starts, len(content))
    keyword_best, best = _over_windows(np.stack([lexical, both]), starts)
    sums = np.vstack([np.zeros((1, raw.shape[1]), np.float32), raw.cumsum(axis=0)])
    firsts, lasts = np.array(windows).T
    window_vectors = semantics.unit(sums[lasts] - sums[firsts])
    return Match(
        tokens=tokens,
        content=content,
        raw=raw,
        lexical=lexical,
        semantic=semantic,
        both=both,
        opposite=opposite,
        negated=np.array([token.negated for token in content], bool),
        windows=windows,
        keyword_coverage=keyword_best @ prepared.share_new.T,
        coverage=best @ prepared.share.T,
        coverage_new=best @ prepared.share_new.T,
        phrase_cosine=window_vectors @ prepared.phrase_vectors.T,
    )


def turned_share(table: Floats, negated: NDArray[np.bool_], phrase: Phrase, share: Floats) -> float:
    """Return the share of `phrase`'s matched words that the answer has only with the other polarity, 0–1.

    `table` [a, c] and `negated` [a] are the part of the answer that is looked at; `share` [c].
    """
    if not phrase.words.size:
        return 0.0
    part = table[:, phrase.words]
    strength = part.max(axis=0)
    agrees = np.where(negated[:, None] == phrase.negated[None, :], part, 0.0).max(axis=0)
    matched = share[phrase.words] * strength
    return float(matched[agrees < strength - 0.05].sum()) / max(float(matched.sum()), 1e-6)
