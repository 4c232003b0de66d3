"""Numbers that describe how an answer stands to a card: what the calibrated model reads."""

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz
from rapidfuzz.distance import LCSseq

from freerecall.grades import Evidence, Verdict
from freerecall.grading import semantics
from freerecall.grading.matching import Match, turned_share
from freerecall.grading.prepared import Prepared

Floats = NDArray[np.float32]

NAMES = (
    "reference_keywords",
    "reference_coverage",
    "reference_coverage_new",
    "reference_cosine",
    "window_coverage_new",
    "window_cosine",
    "second_coverage",
    "answer_found",
    "answer_found_new",
    "answer_found_reference",
    "answer_found_spread",
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
    "turned",
    "opposites",
    "numbers_missing",
    "numbers_extra",
    "gap",
    "second_gap",
    "new_cosine",
    "reference_words",
    "spelling",
    "points_coverage",
    "points_lowest",
    "points_contradicted",
)


def references_by_fit(prepared: Prepared, match: Match) -> NDArray[np.intp]:
    """Return the rows of the full references among the phrases, the one that fits best first."""
    whole, refs = len(match.windows) - 1, prepared.references
    fit = match.coverage_new[whole, refs] + match.phrase_cosine[whole, refs]
    return np.asarray(refs[np.argsort(-fit, kind="stable")], np.intp)


def describe(
    prepared: Prepared, match: Match, evidence: tuple[Evidence, ...], ranked: NDArray[np.intp]
) -> Floats:
    """Return the features named in NAMES, shape [len(NAMES)]; `ranked` are references_by_fit.

    "Reference" features are of the reference that fits best; "new" words are those that the
    question does not give away.
    """
    whole, refs = len(match.windows) - 1, prepared.references
    best = int(ranked[0])
    phrase, share = prepared.phrases[best], prepared.share_new[best]
    weight = semantics.weights(match.raw)
    echoed = np.array([token.stem in prepared.question_stems for token in match.content])
    strength = match.both.max(axis=0)
    gaps = np.sort(share * (1 - strength))
    texts = [prepared.phrases[ref].plain for ref in ranked[:2]]
    typed = " ".join(token.word for token in match.tokens)
    stems = [token.stem for token in match.content]
    ref_stems = [prepared.stems[column] for column in phrase.words]
    own = semantics.unit(match.raw.sum(axis=0))
    denied = float(match.negated.any())

    values = [
        match.keyword_coverage[whole, refs].max(),
        match.coverage[whole, refs].max(),
        match.coverage_new[whole, refs].max(),
        match.phrase_cosine[whole, refs].max(),
        match.coverage_new[:, refs].max(),
        match.phrase_cosine[:, refs].max(),
        match.coverage_new[whole, ranked[1]] if len(ranked) > 1 else -1.0,
        *_answer_found(match, phrase.words, weight, echoed),
        max(fuzz.token_set_ratio(typed, text) for text in texts) / 100,
        max(fuzz.token_sort_ratio(typed, text) for text in texts) / 100,
        max(fuzz.partial_ratio(typed, text) for text in texts) / 100,
        LCSseq.normalized_similarity(stems, ref_stems),
        own @ prepared.question_vector,
        (weight * echoed).sum() / max(weight.sum(), 1e-6),
        np.log1p((~echoed).sum()),
        np.log((len(stems) + 1) / (len(ref_stems) + 1)),
        denied,
        denied - float(phrase.negated.any()),
        turned_share(match.both, match.negated, phrase, share),
        (share * (match.opposite.any(axis=0) & (strength < 0.8))).sum(),
        *_numbers(prepared, match, phrase.numbers),
        gaps[-1],
        gaps[-2] if len(gaps) > 1 else 0.0,
        _new_cosine(prepared, match, phrase.words, echoed),
        np.log1p(len(ref_stems)),
        max(fuzz.ratio(typed, text) for text in texts) / 100,
        *_points(evidence),
    ]
    return np.array(values, np.float32)


def _answer_found(
    match: Match, reference: NDArray[np.intp], weight: Floats, echoed: NDArray[np.bool_]
) -> tuple[float, float, float, float]:
    """How much of the answer is on the card: all of it, its new words, in the reference; and the spread."""
    found = match.both.max(axis=1)
    in_reference = match.both[:, reference].max(axis=1, initial=0.0)
    new = weight * ~echoed
    return (
        float((weight * found).sum() / max(weight.sum(), 1e-6)),
        float((new * found).sum() / new.sum()) if new.any() else 0.0,
        float((weight * in_reference).sum() / max(weight.sum(), 1e-6)),
        float(np.sqrt(np.square(found - found.sum() / len(found)).sum() / len(found))),
    )


def _numbers(prepared: Prepared, match: Match, wanted: frozenset[str]) -> tuple[float, float]:
    """The share of the reference's numbers that are missing, and the count of numbers from nowhere."""
    said = {token.word for token in match.tokens if token.word[:1].isdigit()}
    return (
        len(wanted - said) / max(len(wanted), 1),
        float(len(said - prepared.numbers - prepared.question_stems)),
    )


def _new_cosine(
    prepared: Prepared, match: Match, reference: NDArray[np.intp], echoed: NDArray[np.bool_]
) -> float:
    """Cosine of what answer and reference say beyond the question."""
    fresh = reference[~prepared.in_question[reference]]
    one = semantics.unit(match.raw[~echoed].sum(axis=0))
    return float(one @ semantics.unit(prepared.raw[fresh].sum(axis=0)))


def _points(evidence: tuple[Evidence, ...]) -> tuple[float, float, float]:
    """Weighted coverage of the key points, the lowest of them, and the contradicted share."""
    total = sum(item.weight for item in evidence) or 1.0
    return (
        sum(item.weight * item.coverage for item in evidence) / total,
        min((item.coverage for item in evidence), default=0.0),
        sum(item.weight for item in evidence if item.verdict is Verdict.CONTRADICTED) / total,
    )
