"""Numbers that describe how an answer stands to a card: what the calibrated model reads."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz
from rapidfuzz.distance import LCSseq

from freerecall.grading import semantics
from freerecall.grading.matching import Match, Prepared
from freerecall.grading.text import normalise

Floats = NDArray[np.float32]

NAMES = (
    "reference_keywords",
    "reference_coverage",
    "reference_coverage_new",
    "reference_cosine",
    "window_coverage_new",
    "window_cosine",
    "precision",
    "precision_new",
    "precision_reference",
    "token_set_ratio",
    "token_sort_ratio",
    "partial_ratio",
    "order",
    "question_cosine",
    "question_share",
    "new_words",
    "length_ratio",
    "negations",
    "negation_difference",
    "negated_match",
    "opposites",
    "numbers_missing",
    "numbers_extra",
    "points_coverage",
    "points_lowest",
    "points_keywords",
    "gap_words",
    "second_coverage",
    "new_cosine",
    "answer_spread",
)


def _best(values: Floats) -> float:
    return float(values.max()) if values.size else 0.0


def describe(prepared: Prepared, match: Match, answer: str) -> Floats:
    """Return the features named in NAMES, shape [len(NAMES)]."""
    whole = match.windows.index((0, len(match.content)))
    refs = np.flatnonzero(prepared.point_of == -1)
    cover = match.coverage_new[whole, refs] + match.phrase_cosine[whole, refs]
    order = np.argsort(-cover)
    ref = refs[order[0]]
    phrase = prepared.phrases[ref]
    share = prepared.share_new[ref]

    both = np.maximum(match.lexical, 0.9 * match.semantic)
    weight = semantics.weights(semantics.word_vectors([t.word for t in match.content]))
    total = max(float(weight.sum()), 1e-6)
    in_question = np.array([token.stem in prepared.question_stems for token in match.content])
    found = both.max(axis=1)
    found_ref = both[:, phrase.words].max(axis=1) if phrase.words.size else np.zeros(len(weight))
    new = weight * ~in_question
    new_total = float(new.sum())

    # polarity of what was matched in the best reference
    rows = both.argmax(axis=0)
    strength = both.max(axis=0)
    answer_negated = np.array([token.negated for token in match.content])
    differs = np.array(
        [answer_negated[rows[c]] != n for c, n in zip(phrase.words, phrase.negated, strict=True)], bool
    )
    negated_match = float((share[phrase.words] * strength[phrase.words] * differs).sum())
    opposed = (match.opposite.any(axis=0) & (strength < 0.8)).astype(np.float32)
    n_neg_answer = sum(t.negated for t in match.content) > 0
    numbers = {token.word for token in match.tokens if token.word[:1].isdigit()}

    typed = normalise(answer)
    texts = [normalise(prepared.phrases[r].text) for r in refs]
    stems = [token.stem for token in match.content]
    ref_stems = [prepared.stems[c] for c in phrase.words]

    points = point_coverage(prepared, match)
    new_vec = semantics.unit(
        (semantics.word_vectors([t.word for t in match.content]) * (~in_question)[:, None]).sum(axis=0)
    )
    ref_new = semantics.unit(
        (
            prepared.vectors[phrase.words]
            * (
                semantics.weights(semantics.word_vectors([prepared.words[c] for c in phrase.words]))
                * ~prepared.in_question[phrase.words]
            )[:, None]
        ).sum(axis=0)
    )
    return np.array(
        [
            _best(match.keyword_coverage[whole, refs]),
            _best(match.coverage[whole, refs]),
            _best(match.coverage_new[whole, refs]),
            _best(match.phrase_cosine[whole, refs]),
            _best(match.coverage_new[:, refs]),
            _best(match.phrase_cosine[:, refs]),
            float((weight * found).sum()) / total,
            float((new * found).sum()) / new_total if new_total else 0.0,
            float((weight * found_ref).sum()) / total,
            max(fuzz.token_set_ratio(typed, text) for text in texts) / 100,
            max(fuzz.token_sort_ratio(typed, text) for text in texts) / 100,
            max(fuzz.partial_ratio(typed, text) for text in texts) / 100,
            LCSseq.normalized_similarity(stems, ref_stems),
            float(
                semantics.unit(semantics.word_vectors([t.word for t in match.content]).sum(axis=0))
                @ prepared.question_vector
            ),
            float((weight * in_question).sum()) / total,
            float(np.log1p((~in_question).sum())),
            float(np.log((len(stems) + 1) / (len(ref_stems) + 1))),
            float(n_neg_answer),
            float(n_neg_answer) - float(phrase.negated.any()),
            negated_match,
            float((share * opposed).sum()),
            len(phrase.numbers - numbers) / max(len(phrase.numbers), 1),
            float(len(numbers - prepared.numbers - {s for s in prepared.question_stems if s[:1].isdigit()})),
            float((points * prepared.point_weights).sum()),
            float(points.min(initial=1.0)),
            float((point_keywords(prepared, match) * prepared.point_weights).sum()),
            float((share * (1 - strength)).max(initial=0.0)),
            float(match.coverage_new[whole, refs[order[1]]]) if len(refs) > 1 else -1.0,
            float(new_vec @ ref_new),
            float(found.std()),
        ],
        np.float32,
    )


def point_coverage(prepared: Prepared, match: Match) -> Floats:
    """Return how much of each key point the answer holds at its best place, 0–1, shape [points]."""
    best = np.maximum(
        match.coverage_new, 0.5 * match.coverage_new + 0.5 * semantics.likeness(match.phrase_cosine)
    ).max(axis=0)
    return _by_point(prepared, best)


def point_keywords(prepared: Prepared, match: Match) -> Floats:
    """Return each key point's keyword coverage, 0–1, shape [points]."""
    return _by_point(prepared, match.keyword_coverage.max(axis=0))


def _by_point(prepared: Prepared, values: Floats) -> Floats:
    out = np.zeros(len(prepared.points), np.float32)
    for value, point in zip(values, prepared.point_of, strict=True):
        if point >= 0:
            out[point] = max(out[point], value)
    return out
