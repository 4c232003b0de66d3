"""What of a card is found in an answer: one similarity table, read by every matcher.

Shapes: a = words of the answer that carry content, c = words of the card, p = phrases, w = windows
of the answer (runs of neighbouring clauses).
"""

import re
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import OSA

from freerecall.grading import encoder, semantics
from freerecall.grading.prepared import (
    LONGEST_ACRONYM,
    Phrase,
    Prepared,
    acronyms,
    content_tokens,
    is_exact_only,
)
from freerecall.grading.text import Token, stem
from freerecall.grading.words import is_word

Floats = NDArray[np.float32]

_SLIP = (1.0, 0.92, 0.85, 0.8)
"""What a word with 0, 1, 2, 3 slips counts for."""
_LONGEST_CUT, _CUT_SHORT = 5, 0.85
"""A word cut short ("algo", "perf") has at most so many letters, and counts for this."""
_NAMED = 3
"""Content words up to which an answer is a term or a name, and another word another one."""
_SPELLINGS = [
    (re.compile(british), american)
    for british, american in (
        ("our", "or"),
        ("re$", "er"),
        ("is(?=e|ing|ation)", "iz"),
        ("ys(?=e|ing)", "yz"),
        ("[ao]e", "e"),
        ("ence$", "ense"),
        ("ll", "l"),
        ("grey", "gray"),
        ("gramme$", "gram"),
    )
]
_WINDOW = 3


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


def _match_acronyms(table: Floats, tokens: list[Token], content: list[Token], prepared: Prepared) -> None:
    """Let an acronym stand for its words, and the words for it, on either side."""
    for row, token in enumerate(content):
        if 2 <= len(token.word) <= LONGEST_ACRONYM and token.stem not in prepared.question_stems:
            table[row, prepared.expansions.get(token.word, [])] = 1.0
    if prepared.short_words:
        row_of = {token.start: row for row, token in enumerate(content)}
        for letters, run in acronyms(tokens):
            if letters in prepared.short_words:
                rows = [row_of[token.start] for token in run if token.start in row_of]
                table[rows, prepared.column[letters]] = 1.0


def _lexical(content: list[Token], prepared: Prepared) -> Floats:
    """Equal stems are 1; near spellings (typos, compounds written apart) less."""
    table = np.zeros((len(content), len(prepared.words)), np.float32)
    strange = []
    for row, token in enumerate(content):
        at = prepared.column.get(token.stem)
        if at is not None:
            table[row, at] = 1.0
        elif not is_exact_only(token.word):
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
        for row, column in zip(*np.nonzero(near[: len(strange)]), strict=True):
            if len(content) <= _NAMED and _is_another_word(typed[row], prepared.words[column]):
                near[row, column] = 0.0
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


def _is_another_word(typed: str, word: str) -> bool:
    """Say whether `typed` is a word of its own, not `word` in another spelling: then it is no slip of it."""
    is_own = is_word(typed) or (encoder.knows(typed) and encoder.knows(word))
    return is_own and _american(typed) != _american(word)


def _american(word: str) -> str:
    for british, american in _SPELLINGS:
        word = british.sub(american, word)
    return word


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


def turned_share(table: Floats, negated: NDArray[np.bool_], phrase: Phrase, share: Floats) -> float:
    """Return the share of `phrase`'s matched words that the answer has only with the other polarity, 0–1.

    `table` [a, c] and `negated` [a] are the part of the answer that is looked at; `share` [c].
    """
    if not phrase.words.size or not (negated.any() or phrase.negated.any()):
        return 0.0
    part = table[:, phrase.words]
    strength = part.max(axis=0)
    agrees = np.where(negated[:, None] == phrase.negated[None, :], part, 0.0).max(axis=0)
    matched = share[phrase.words] * strength
    return float(matched[agrees < strength - 0.05].sum()) / max(float(matched.sum()), 1e-6)
