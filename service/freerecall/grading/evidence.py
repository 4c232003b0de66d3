"""Per key point: is it in the answer, where, and is it turned round?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from freerecall.cards import Kind
from freerecall.grades import Evidence, FoundBy, Verdict
from freerecall.grading import semantics
from freerecall.grading.matching import Match, turned_share
from freerecall.grading.prepared import Prepared

COVERED, PARTIAL = 0.72, 0.42
TURNED = 0.5
"""Share of a wording's matched words under the wrong polarity from which it counts as turned round."""
_MAX_QUOTE = 240
_QUOTED = 0.35
_GAP = 4
"""Matched words further apart than this are not quoted together."""
_PER_WORD = 0.006
"""What a further word costs a window: of two that are about as good, the shorter is the better quote."""
_ACROSS = (1.0, 0.9, 0.8)
"""What a list item counts for whose words are strewn over one, two, three clauses."""
_SAID_TOO = 0.4
"""An opposite does not count where the word itself, or one near it, is in the answer as well."""
_OWN_WORD = 0.8
FLAT_OUT = 0.6
"""Coverage from which words under the wrong polarity say the opposite of the key point."""


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
    misplaced: float
    """Share of its words that were said of another key point's subject."""


def locate(prepared: Prepared, match: Match) -> list[PointMatch]:
    """Find every key point's best place in the answer, in the card's order."""
    blend = (
        0.35 * match.coverage_new
        + 0.25 * match.keyword_coverage
        + 0.4 * semantics.likeness(match.phrase_cosine)
    )
    strength = np.maximum(match.keyword_coverage, blend)
    if prepared.card.kind in (Kind.LIST, Kind.ORDERED_LIST):
        spans = [
            match.content[last - 1].clause - match.content[first].clause for first, last in match.windows
        ]
        strength = strength * np.array([_ACROSS[min(span, 2)] for span in spans], np.float32)[:, None]
    length = np.array([last - first for first, last in match.windows], np.float32)
    ranked = strength - _PER_WORD * length[:, None]
    best_window = ranked.argmax(axis=0)
    best = strength.max(axis=0)
    misplaced = _misplaced(prepared, match)
    opposite, plain = bool(match.opposite.any()), not match.negated.any()
    found: list[PointMatch] = []
    for rows in prepared.phrases_of:
        phrase = int(rows[best[rows].argmax()])
        window = int(best_window[phrase])
        turned = opposed = 0.0
        if opposite or not plain or prepared.phrases[phrase].negated.any():
            turned, opposed = _polarity(prepared, match, phrase, window)
        if turned >= TURNED:  # another wording may say the same with the answer's polarity
            for other in (int(row) for row in rows if best[row] >= 0.75 * best[phrase]):
                agrees = _polarity(prepared, match, other, int(best_window[other]))
                if agrees[0] < TURNED:
                    phrase, window, (turned, opposed) = other, int(best_window[other]), agrees
                    break
        if opposite:  # what goes against one wording goes against the point
            alike = (int(row) for row in rows if best[row] >= 0.85 * best[phrase])
            opposed = max(_polarity(prepared, match, row, int(best_window[row]))[1] for row in alike)
        found.append(
            PointMatch(
                phrase=phrase,
                window=window,
                coverage=float(min(best[phrase], 1.0)),
                keywords=float(match.keyword_coverage[:, phrase].max()),
                turned=turned,
                opposed=opposed,
                misplaced=misplaced.get(len(found), 0.0),
            )
        )
    return found


def _polarity(prepared: Prepared, match: Match, phrase: int, window: int) -> tuple[float, float]:
    first, last = match.windows[window]
    wording = prepared.phrases[phrase]
    negated = match.negated[first:last]
    if not (len(wording.words) and (negated.any() or wording.negated.any() or match.opposite.any())):
        return 0.0, 0.0
    table, share = match.both[first:last], prepared.share_new[phrase]
    # "Not automated" is no opposite of "manual", nor is a word that the wording has itself.
    stands = ~negated & (table[:, wording.words].max(axis=1) < _OWN_WORD)
    said = (match.opposite[first:last][:, wording.words] & stands[:, None]).any(axis=0)
    instead = said & (table[:, wording.words].max(axis=0) < _SAID_TOO)
    turned = turned_share(table, negated, wording, share)
    return turned, float(share[wording.words][instead].sum())


def denies(found: list[PointMatch]) -> bool:
    """Say whether the answer says the opposite of a key point, nearly in its own words."""
    return any(point.turned >= TURNED and point.coverage >= FLAT_OUT for point in found)


def _misplaced(prepared: Prepared, match: Match) -> dict[int, float]:
    """For a contrast, say what share was told of the wrong side, per key point, 0–1.

    What an answer says belongs to the subject that it named last ("DevOps is …").
    """
    if not prepared.subjects or any(token.word == "respectively" for token in match.tokens):
        return {}
    said: dict[int, float] = {}
    wrong: dict[int, float] = {}
    subject = None
    for row, token in enumerate(match.content):
        column = int(match.both[row].argmax())
        near = prepared.stems[column] if match.both[row, column] >= _OWN_WORD else token.stem
        subject = prepared.subjects.get(token.stem, prepared.subjects.get(near, subject))
        about = prepared.sole_point.get(column)
        if about is None or subject is None or match.both[row, column] < 0.5:
            continue
        said[about] = said.get(about, 0.0) + 1.0
        wrong[about] = wrong.get(about, 0.0) + (subject != about)
    return {point: wrong[point] / count for point, count in said.items()}


def judge(prepared: Prepared, match: Match, found: list[PointMatch], answer: str) -> tuple[Evidence, ...]:
    """Turn the places found into verdicts with quotes, one per key point."""
    return tuple(
        _evidence(prepared, match, point, text, float(weight), answer)
        for point, text, weight in zip(found, prepared.points, prepared.point_weights, strict=True)
    )


def _evidence(
    prepared: Prepared, match: Match, point: PointMatch, text: str, weight: float, answer: str
) -> Evidence:
    contradicted = (
        (point.turned >= TURNED and point.coverage >= PARTIAL)
        or (point.opposed >= 0.2 and point.coverage + point.opposed >= 0.5)
        or (point.misplaced > 0.5 and point.coverage >= PARTIAL)
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
    ).tolist()
    runs: list[list[int]] = []
    for row in (row for row, found in enumerate(strength) if found >= _QUOTED):
        if runs and row - runs[-1][-1] <= _GAP:
            runs[-1].append(row)
        else:
            runs.append([row])
    hits = max(runs or [list(range(len(content)))], key=lambda run: sum(strength[row] for row in run))
    start, end = content[hits[0]].start, content[hits[-1]].end
    negators = [t.start for t in match.tokens if t.clause == content[hits[0]].clause and t.end <= start]
    if content[hits[0]].negated and negators and start - negators[-1] < 40:
        start = negators[-1]
    return answer[start : min(end, start + _MAX_QUOTE)]


def whole(answer: str) -> str:
    """Return the answer as a quote: for a point that all of it makes."""
    return answer.strip()[:_MAX_QUOTE]


def agree(found: Sequence[Evidence], rating: int, answer: str, by: FoundBy) -> tuple[Evidence, ...]:
    """Bring the key points' verdicts in line with the whole answer's rating, found `by` whom that was.

    The only point is what is rated. Of several a 4 may lack one, and says which; where little was
    found, the rating knows better.
    """
    if len(found) == 1:
        return (_agree_alone(found[0], rating, answer, by),)
    there = sum(item.weight for item in found if item.verdict in (Verdict.COVERED, Verdict.PARTIAL))
    may_lack = there >= sum(item.weight for item in found) / 2
    return tuple(_agree(item, rating, answer, by, may_lack=may_lack) for item in found)


def _agree_alone(item: Evidence, rating: int, answer: str, by: FoundBy) -> Evidence:
    if item.verdict is Verdict.CONTRADICTED and rating <= 2:
        return item
    if rating == 1:
        return _missing(item)
    verdict = Verdict.COVERED if rating >= 4 else Verdict.PARTIAL
    if item.quote:
        return replace(item, verdict=verdict)
    return replace(item, verdict=verdict, quote=whole(answer), found_by=by)


def _agree(item: Evidence, rating: int, answer: str, by: FoundBy, *, may_lack: bool) -> Evidence:
    if item.verdict is Verdict.CONTRADICTED and rating <= 3:
        return item
    quote = item.quote or whole(answer)
    if rating == 5 and item.verdict is not Verdict.COVERED:
        return replace(item, verdict=Verdict.COVERED, quote=quote, found_by=by)
    lifted = (Verdict.CONTRADICTED,) if may_lack else (Verdict.CONTRADICTED, Verdict.MISSING)
    if rating == 4 and item.verdict in lifted:
        return replace(item, verdict=Verdict.PARTIAL, quote=quote, found_by=by)
    if rating == 1 and item.verdict in (Verdict.COVERED, Verdict.PARTIAL):
        return _missing(item)
    return item


def _missing(item: Evidence) -> Evidence:
    return replace(item, verdict=Verdict.MISSING, quote="", found_by=None)
