"""Per key point: is it in the answer, where, and is it turned round?"""

from dataclasses import dataclass

import numpy as np

from freerecall.grades import Evidence, FoundBy, Verdict
from freerecall.grading import semantics
from freerecall.grading.matching import Match, Prepared, turned_share

COVERED, PARTIAL = 0.72, 0.42
_MAX_QUOTE = 240


@dataclass(frozen=True, slots=True)
class PointMatch:
    """The best place for one key point: which wording, in which window, and how much of it (0–1)."""

    phrase: int
    window: int
    coverage: float
    keywords: float
    turned: float
    """Share of the matched words that stand under a negation the key point does not have, or the reverse."""
    opposed: float
    """Share of the wording's words whose opposite was said instead."""


def locate(prepared: Prepared, match: Match) -> list[PointMatch]:
    """Find every key point's best place in the answer, in the card's order."""
    blend = (
        0.35 * match.coverage_new
        + 0.25 * match.keyword_coverage
        + 0.4 * semantics.likeness(match.phrase_cosine)
    )
    strength = np.maximum(match.keyword_coverage, blend)
    # Of two equally good windows the shorter is the better quote.
    length = np.array([last - first for first, last in match.windows], np.float32)
    ranked = strength - 1e-4 * length[:, None]
    best_window = ranked.argmax(axis=0)
    best = strength[best_window, np.arange(strength.shape[1])]
    found: list[PointMatch] = []
    for rows in prepared.phrases_of:
        phrase = int(rows[best[rows].argmax()])
        window = int(best_window[phrase])
        turned, opposed = _polarity(prepared, match, phrase, window)
        found.append(
            PointMatch(
                phrase=phrase,
                window=window,
                coverage=float(min(strength[window, phrase], 1.0)),
                keywords=float(match.keyword_coverage[window, phrase]),
                turned=turned,
                opposed=opposed,
            )
        )
    return found


def _polarity(prepared: Prepared, match: Match, phrase: int, window: int) -> tuple[float, float]:
    first, last = match.windows[window]
    wording = prepared.phrases[phrase]
    negated = match.negated[first:last]
    if not (negated.any() or wording.negated.any() or match.opposite.any()):
        return 0.0, 0.0
    table, share = match.both[first:last], prepared.share_new[phrase]
    said = match.opposite[first:last][:, wording.words].any(axis=0)
    instead = said & (table[:, wording.words].max(axis=0) < 0.8)
    turned = turned_share(table, negated, wording, share)
    return turned, float(share[wording.words][instead].sum())


def judge(prepared: Prepared, match: Match, found: list[PointMatch], answer: str) -> tuple[Evidence, ...]:
    """Turn the places found into verdicts with quotes, one per key point."""
    return tuple(
        _evidence(prepared, match, point, text, float(weight), answer)
        for point, text, weight in zip(found, prepared.points, prepared.point_weights, strict=True)
    )


def _evidence(
    prepared: Prepared, match: Match, point: PointMatch, text: str, weight: float, answer: str
) -> Evidence:
    contradicted = (point.turned >= 0.6 and point.coverage >= PARTIAL) or (
        point.opposed >= 0.2 and point.coverage + point.opposed >= 0.5
    )
    if contradicted:
        verdict, coverage = Verdict.CONTRADICTED, 0.0
    else:
        coverage = point.coverage
        verdict = (
            Verdict.COVERED
            if coverage >= COVERED
            else Verdict.PARTIAL
            if coverage >= PARTIAL
            else Verdict.MISSING
        )
    if verdict is Verdict.MISSING:
        return Evidence(text, verdict, coverage=round(coverage, 3), weight=round(weight, 4))
    by = FoundBy.KEYWORDS if point.keywords >= 0.8 * point.coverage else FoundBy.SEMANTICS
    return Evidence(
        text, verdict, quote_of(prepared, match, point, answer), by, round(coverage, 3), round(weight, 4)
    )


def quote_of(prepared: Prepared, match: Match, point: PointMatch, answer: str) -> str:
    """Return the learner's own words for `point`: from the first to the last word that matched."""
    first, last = match.windows[point.window]
    table = match.both[first:last]
    words = prepared.phrases[point.phrase].words
    content = match.content[first:last]
    strength = np.maximum(
        table[:, words].max(axis=1, initial=0.0), match.opposite[first:last][:, words].any(axis=1)
    )
    hits = np.flatnonzero(strength >= 0.35)
    if not hits.size:
        hits = np.arange(len(content))
    start, end = content[hits[0]].start, content[hits[-1]].end
    negators = [t.start for t in match.tokens if t.clause == content[hits[0]].clause and t.end <= start]
    if content[hits[0]].negated and negators and start - negators[-1] < 40:
        start = negators[-1]
    return answer[start : min(end, start + _MAX_QUOTE)]
