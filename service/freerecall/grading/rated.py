"""Answers to the same card that people have rated already, and what they say of the next one.

A kernel-weighted vote of their ratings (Nadaraya 1964; Watson 1964), by how alike the answers are.
It counts by how well the rated answers foretell each other: where alike answers were rated alike
it is strong evidence, where a few say everything about the card and its opposite it is none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from rapidfuzz import fuzz

from freerecall.grades import RatedAnswer
from freerecall.grading import semantics
from freerecall.grading.calibration import Floats
from freerecall.grading.text import NEGATIONS, tokenise

MOST = 200
"""Rated answers that are looked at, the first ones."""
_SHARPNESS, _PRIOR = 12.0, 0.1
_BY_SPELLING = 0.3
_TURNED = 0.1
"""Likeness lost where one of two answers has a negation more."""
_SAME = 0.97
_SHRINK = 5
_SAY = 5.65
"""Log-odds that a unanimous and trusted vote is worth; fitted on SemEval's training answers, by question."""
_CUTS = np.arange(2, 6)


@dataclass(frozen=True, slots=True)
class _Rated:
    """`vectors` [n, 256] of length 1, `texts`, `negated`, and `votes` [n, 4]: 1 where the rating is at
    least 2, 3, 4, 5, else -1; `trust`, 0–1, in a vote of them."""

    vectors: Floats
    texts: tuple[str, ...]
    negated: Floats
    votes: Floats
    trust: float


def log_odds(answer: str, rated: Sequence[RatedAnswer]) -> Floats:
    """Return what the vote adds to the log-odds of a rating of at least 2, 3, 4, 5, shape [4]."""
    if not rated:
        return np.zeros(len(_CUTS), np.float32)
    known = _prepared(tuple(rated[:MOST]))
    likeness = _likeness(known, *_read(answer))
    trust = 1.0 if likeness.max() >= _SAME else known.trust
    return np.asarray(_SAY * trust * _vote(likeness, known.votes), np.float32)


def nearest(answer: str, rated: Sequence[RatedAnswer], most: int) -> list[RatedAnswer]:
    """Return the `most` rated answers that are most like `answer`, the nearest last."""
    if not rated:
        return []
    likeness = _likeness(_prepared(tuple(rated[:MOST])), *_read(answer))
    return [rated[i] for i in np.argsort(likeness, kind="stable")[-most:]]


@lru_cache(maxsize=64)
def _prepared(rated: tuple[RatedAnswer, ...]) -> _Rated:
    read = [_read(one.text) for one in rated]
    ratings = np.array([one.rating for one in rated])
    known = _Rated(
        vectors=np.stack([vector for _, vector, _ in read]),
        texts=tuple(text for text, _, _ in read),
        negated=np.array([negated for _, _, negated in read], np.float32),
        votes=np.where(ratings[:, None] >= _CUTS, 1.0, -1.0).astype(np.float32),
        trust=0.0,
    )
    return _Rated(known.vectors, known.texts, known.negated, known.votes, _trust(known, read))


def _trust(known: _Rated, read: list[tuple[str, Floats, bool]]) -> float:
    """Return how far each rating follows from the others' vote: their correlation, shrunk for a few."""
    count = len(read)
    foretold = np.zeros(count)
    for i, one in enumerate(read):
        likeness = _likeness(known, *one)
        likeness[i] = -np.inf
        foretold[i] = _vote(likeness, known.votes).mean()
    given = known.votes.mean(axis=1)
    spread = float(foretold.std() * given.std())
    if spread < 1e-6:
        return 0.0
    correlation = float(((foretold - foretold.mean()) * (given - given.mean())).mean()) / spread
    return max(correlation, 0.0) * count / (count + _SHRINK)


def _read(answer: str) -> tuple[str, Floats, bool]:
    tokens = tokenise(answer)
    vector = semantics.word_vectors([token.word for token in tokens]).sum(axis=0)
    return answer.casefold(), semantics.unit(vector), sum(t.word in NEGATIONS for t in tokens) % 2 == 1


def _likeness(known: _Rated, text: str, vector: Floats, negated: bool) -> Floats:
    spelling = np.array([fuzz.ratio(text, other) for other in known.texts], np.float32) / 100
    meaning = known.vectors @ vector
    turned = _TURNED * (known.negated != negated)
    return np.asarray((1 - _BY_SPELLING) * meaning + _BY_SPELLING * spelling - turned, np.float32)


def _vote(likeness: Floats, votes: Floats) -> Floats:
    weight = np.exp(_SHARPNESS * (likeness - 1))
    return np.asarray(weight @ votes / (_PRIOR + weight.sum()), np.float32)
