"""Evidence and features to a score, a rating and a confidence, by the calibrated model."""

import numpy as np
from numpy.typing import NDArray

from freerecall.cards import Kind
from freerecall.grades import Evidence, Verdict
from freerecall.grading import encoder
from freerecall.grading.calibration import Calibration
from freerecall.grading.features import NAMES
from freerecall.grading.matching import Match
from freerecall.grading.prepared import Prepared

Floats = NDArray[np.float32]

EVIDENCE = ("coverage", "lowest", "contradicted", "extra", "disorder")
INPUTS = ("opinion", "correct", *EVIDENCE, "expected")
"""What the ordinal model reads, in this order: the encoder's word, the key points', the forest's."""
BY_WORDS = (*EVIDENCE, "matched")
"""The same without the encoder; the last is the first forest's."""
SIGNS = (1, 1, 1, 1, -1, -1, -1, 1)
"""Which way each may move a rating: no fit may reward a contradiction."""

_MOST_ODDS = 5.0
NOTHING = (-_MOST_ODDS, -_MOST_ODDS, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
"""The INPUTS of an answer without a word that could be matched."""

_TRACE = 0.4
"""What is left of the coverage of a key point that counts as missing."""
_RATINGS = np.arange(1, 6)
_EXTRA_BELOW = 0.3
"""A clause with less of every key point than this belongs to none."""


def coverage_of(evidence: tuple[Evidence, ...]) -> float:
    """Return the weighted share of the key points that the answer holds, 0–1."""
    total = sum(item.weight for item in evidence)
    found = sum(
        item.weight * item.coverage * (_TRACE if item.verdict is Verdict.MISSING else 1.0)
        for item in evidence
    )
    return found / total if total else 0.0


def evidence_inputs(
    prepared: Prepared, match: Match, evidence: tuple[Evidence, ...], places: list[int]
) -> Floats:
    """Return what EVIDENCE names. `places` are the key points' places in the answer (-1: missing)."""
    total = sum(item.weight for item in evidence) or 1.0
    contradicted = sum(item.weight for item in evidence if item.verdict is Verdict.CONTRADICTED) / total
    ordered = prepared.card.kind is Kind.ORDERED_LIST
    return np.array(
        [
            coverage_of(evidence),
            min((item.coverage for item in evidence), default=0.0),
            contradicted,
            extra_items(prepared, match) if prepared.card.kind in (Kind.LIST, Kind.ORDERED_LIST) else 0.0,
            disorder(places) if ordered else 0.0,
        ],
        np.float32,
    )


def inputs(found: Floats, opinion: Floats, expected: float) -> Floats:
    """Return what INPUTS names; `found` as calibration.matched_inputs makes it."""
    odds = np.clip([encoder.mean(opinion), opinion[encoder.CORRECT]], -_MOST_ODDS, _MOST_ODDS)
    return np.concatenate([odds, _shown(found), [expected]], dtype=np.float32)


def inputs_by_words(found: Floats, matched: float) -> Floats:
    """Return what BY_WORDS names, as `inputs` does INPUTS."""
    return np.concatenate([_shown(found), [matched]], dtype=np.float32)


def _shown(found: Floats) -> Floats:
    return found[len(NAMES) : len(NAMES) + len(EVIDENCE)]


def disorder(places: list[int]) -> float:
    """Return the share of pairs of found key points that stand in the wrong order, 0–1 (Kendall)."""
    found = [place for place in places if place >= 0]
    pairs = [(a, b) for i, a in enumerate(found) for b in found[i + 1 :]]
    return sum(a > b for a, b in pairs) / len(pairs) if pairs else 0.0


def extra_items(prepared: Prepared, match: Match) -> float:
    """Return how many clauses of a list answer belong to no key point, as a share of the key points, 0–1."""
    extra = 0
    best = match.coverage_new[:, prepared.point_of >= 0].max(axis=1, initial=0.0)
    for (first, last), found in zip(match.windows, best, strict=True):
        alone = match.content[first].clause == match.content[last - 1].clause
        echoes = all(token.stem in prepared.question_stems for token in match.content[first:last])
        extra += alone and found < _EXTRA_BELOW and not echoes
    return min(extra / max(len(prepared.points), 1), 1.0)


def rate(
    calibration: Calibration, inputs: Floats, layer: str, pull: Floats | float = 0.0
) -> tuple[float, int, float]:
    """Return (score 0–1, rating 1–5, confidence 0–1); `pull` [4] is added to the log-odds (see rated).

    The score is the expected rating on a 0–1 scale; the rating the one whose neighbourhood holds
    it; the confidence the model's probability that people would give just this rating.
    """
    of = calibration.by_words if len(inputs) == len(BY_WORDS) else calibration.layers
    return from_cumulative(of[layer].at_least(inputs, pull))


def from_cumulative(at_least: Floats) -> tuple[float, int, float]:
    """Turn P(rating >= 2..5) into (score, rating, confidence)."""
    rating = 1 + int((at_least >= 0.5).sum())
    probability = -np.diff(np.concatenate(([1.0], at_least, [0.0])))
    expected = float((probability * _RATINGS).sum())
    return round((expected - 1) / 4, 4), rating, round(float(probability[rating - 1]), 4)
