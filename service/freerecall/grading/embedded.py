"""The embedded grader: keywords and static embeddings, no network, no model call."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from freerecall.cards import Card, Kind
from freerecall.grades import DecidedBy, Evidence, FoundBy, Grade, Provenance, RatedAnswer, Verdict
from freerecall.grading import (
    calibration,
    combine,
    evidence,
    features,
    feedback,
    manipulation,
    polarity,
    rules,
)
from freerecall.grading import rated as rated_answers
from freerecall.grading.matching import Match, match
from freerecall.grading.prepared import Prepared, prepare
from freerecall.grading.text import NEGATIONS, Token, tokenise

Floats = NDArray[np.float32]

_MOST_IF_DENIED = 2
_GAP_PARTIAL, _GAP_COVERED = 0.4, 0.75
_CLOZE_CONFIDENCE = 0.9
_NO_TRACE = 0.1
"""With less than this of every key point there is no fragment to speak of."""
_UNLIKE = 0.45
_PART = re.compile(r"[^.!?;\n()\u2013\u2014]+")
_QUOTED = 20
"""Characters from which the question, word for word in an answer, is no part of it."""
_GUESSES = 3
"""Words that fit neither the gap nor the question, from which a cloze answer is guesswork."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the matchers found: input to the calibrated model, and the evidence shown."""

    evidence: tuple[Evidence, ...]
    features: Floats
    pair: Floats
    places: list[int]
    denies: bool
    prepared: Prepared
    match: Match

    @property
    def layer(self) -> str:
        """How the answer is judged: as one statement, or point by point (see calibration.LAYERS)."""
        card = self.prepared.card
        if len(self.prepared.points) == 1 or (not card.points and card.kind is Kind.DEFINITION):
            return "prose"
        return "points" if any(point.accept for point in card.points) else "bare"

    def evidence_inputs(self, log_odds: float) -> Floats:
        return combine.evidence_inputs(self.prepared, self.match, self.evidence, self.places, log_odds)

    def inputs(self, model: calibration.Calibration) -> Floats:
        """Return combine.INPUTS by the calibrated `model`."""
        read = self.evidence_inputs(model.log_odds(self.features, self.pair))
        return np.append(read, np.float32(model.expected(self.features, read, self.layer)))


def grade_embedded(card: Card, answer: str, rated: Sequence[RatedAnswer] = ()) -> Grade:
    """Grade `answer` against `card`: a pure function of its arguments and of the calibration's version.

    `rated` are answers to this card that people have rated already.
    """
    grade = feedback.in_language_of(answer, _grade_guarded(card, answer, rated))
    return feedback.with_note(answer, grade, _grade_guarded(card, answer, ()).rating) if rated else grade


def _grade_guarded(card: Card, answer: str, rated: Sequence[RatedAnswer]) -> Grade:
    said = manipulation.without(answer)
    reading = read(card, said)
    grade = _grade_text(card, said, reading, rated)
    if grade.rating == 1 or reading is None:
        return grade
    kept = _proven(reading, answer, said)
    if kept == said:
        return grade
    only = _grade_text(card, kept, read(card, kept), rated)
    return min(grade, only, key=lambda one: (one.rating, one.score))


def proven(card: Card, answer: str) -> str:
    """Return the part of `answer` that has to earn its rating alone, the rest of it blanked."""
    said = manipulation.without(answer)
    reading = read(card, said)
    return said if reading is None else _proven(reading, answer, said)


def _proven(reading: Reading, answer: str, said: str) -> str:
    asked = reading.prepared.card.question.strip().casefold()
    if len(asked) >= _QUOTED and (at := said.casefold().find(asked)) >= 0:
        said = _blank(said, [(at, at + len(asked))])
    return _related(reading, said) if manipulation.is_suspect(answer) else _without_asides(reading, said)


def _related(reading: Reading, said: str) -> str:
    """Return `said` with every word blanked that is like none of the card's.

    Beside a passage that speaks to the grader, stray words are more of the same: what is left of
    the answer has to earn its rating alone.
    """
    stray = (token for token, likeness in _likeness(reading) if likeness < _UNLIKE)
    return _blank(said, [(token.start, token.end) for token in stray])


def _without_asides(reading: Reading, said: str) -> str:
    """Return `said` with the sentences and brackets blanked that have no word like any of the card's.

    Whatever such an aside says, and in whatever language, it cannot raise what stands beside it.
    """
    parts = [part.span() for part in _PART.finditer(said)]
    if len(parts) == 1:
        return said
    words = _likeness(reading)
    asides, speaks = [], False
    for start, end in parts:
        likeness = [like for token, like in words if start <= token.start < end]
        if likeness and max(likeness) < _UNLIKE:
            asides.append((start, end))
        elif likeness:
            speaks = True
    return _blank(said, asides) if speaks else said


def _likeness(reading: Reading) -> list[tuple[Token, float]]:
    return list(zip(reading.match.content, reading.match.both.max(axis=1).tolist(), strict=True))


def _blank(text: str, spans: Iterable[tuple[int, int]]) -> str:
    for start, end in spans:
        text = text[:start] + " " * (end - start) + text[end:]
    return text


def _grade_text(card: Card, said: str, reading: Reading | None, rated: Sequence[RatedAnswer]) -> Grade:
    model = calibration.load()
    if not said.strip() or rules.is_dont_know(said):
        return _nothing(card, model.version)
    if reading is not None and card.kind is Kind.TRUE_FALSE:
        return _true_false(reading, card, said, model)
    if reading is None or _only_echoes(reading):
        return _nothing(card, model.version)
    if card.kind is Kind.CLOZE:
        return _cloze(reading, model)
    score, rating, confidence = combine.rate(
        model, reading.inputs(model), reading.layer, rated_answers.log_odds(said, rated)
    )
    if reading.layer == "prose" and reading.denies and rating > _MOST_IF_DENIED:
        score, rating, confidence = min(score, _SCORES[_MOST_IF_DENIED]), _MOST_IF_DENIED, 0.5
    if rating == 2 and max(item.coverage for item in reading.evidence) < _NO_TRACE:
        score, rating = min(score, _SCORES[1] + 0.1), 1  # a fragment must be shown
    found = _agree(reading.evidence, rating) if len(reading.evidence) == 1 else reading.evidence
    return _grade(found, score, rating, confidence, model.version)


def read(card: Card, answer: str) -> Reading | None:
    """Lay the answer against the card; None where there is no word to match."""
    prepared = prepare(card)
    matched = match(prepared, tokenise(answer))
    if matched is None:
        return None
    found = evidence.locate(prepared, matched)
    judged = evidence.judge(prepared, matched, found, answer)
    places = [
        answer.find(item.quote) if item.verdict in (Verdict.COVERED, Verdict.PARTIAL) else -1
        for item in judged
    ]
    described, pair = features.describe(prepared, matched, judged)
    return Reading(judged, described, pair, places, evidence.denies(found), prepared, matched)


def _only_echoes(reading: Reading) -> bool:
    """Say whether the answer only repeats words of the question, and does not choose or deny by them."""
    asked, matched = reading.prepared.question_stems, reading.match
    if not all(token.stem in asked or token.word in asked for token in matched.content):
        return False
    if any(token.word in NEGATIONS and token.stem not in asked for token in matched.tokens):
        return False
    chosen = {token.stem for token in matched.content}
    return "or" not in asked or len(chosen) > len(asked) / 2


def _grade(found: tuple[Evidence, ...], score: float, rating: int, confidence: float, version: str) -> Grade:
    return Grade(
        score=score,
        rating=rating,
        confidence=confidence,
        evidence=found,
        feedback=feedback.sentence(found, rating),
        decided_by=DecidedBy.EMBEDDED,
        provenance=Provenance(calibration=version),
    )


def _nothing(card: Card, version: str) -> Grade:
    prepared = prepare(card)
    missing = tuple(
        Evidence(text, Verdict.MISSING, weight=round(float(weight), 4))
        for text, weight in zip(prepared.points, prepared.point_weights, strict=True)
    )
    return Grade(
        score=0.0,
        rating=1,
        confidence=1.0,
        evidence=missing,
        feedback=feedback.NOTHING,
        decided_by=DecidedBy.RULE,
        provenance=Provenance(calibration=version),
    )


def _agree(found: tuple[Evidence, ...], rating: int) -> tuple[Evidence, ...]:
    """Bring the one key point's verdict in line with the rating that the whole answer got."""
    (item,) = found
    if item.verdict is Verdict.CONTRADICTED and rating <= 2:
        return found
    verdict = Verdict.COVERED if rating >= 4 else Verdict.PARTIAL if rating >= 2 else Verdict.MISSING
    if verdict is Verdict.MISSING or not item.quote:
        return (Evidence(item.point, verdict, weight=item.weight, coverage=item.coverage),)
    return (Evidence(item.point, verdict, item.quote, item.found_by, item.coverage, item.weight),)


def _cloze(reading: Reading, model: calibration.Calibration) -> Grade:
    """A gap is filled or it is not: spelling decides, typos pass, a string of guesses does not."""
    words = reading.match.keyword_coverage.max(axis=0)
    best = np.zeros(len(reading.prepared.points), np.float32)
    for value, point in zip(words, reading.prepared.point_of, strict=True):
        if point >= 0:
            best[point] = max(best[point], value)
    found = tuple(_gap(item, float(value)) for item, value in zip(reading.evidence, best, strict=True))
    score = combine.coverage_of(found)
    rating = 5 if score >= _GAP_COVERED else 3 if score >= 0.5 else 2 if score >= _GAP_PARTIAL else 1
    strange = [
        token
        for token, likeness in zip(reading.match.content, reading.match.both.max(axis=1), strict=True)
        if likeness < _GAP_PARTIAL and token.stem not in reading.prepared.question_stems
    ]
    offers = any(token.word == "or" for token in reading.match.tokens)
    if len(strange) >= (1 if offers else _GUESSES) and rating > _MOST_IF_DENIED:
        score, rating = _SCORES[_MOST_IF_DENIED], _MOST_IF_DENIED
    return _grade(found, round(score, 4), rating, _CLOZE_CONFIDENCE, model.version)


def _gap(item: Evidence, coverage: float) -> Evidence:
    if coverage < _GAP_PARTIAL:
        return Evidence(item.point, Verdict.MISSING, coverage=round(coverage, 3), weight=item.weight)
    verdict = Verdict.COVERED if coverage >= _GAP_COVERED else Verdict.PARTIAL
    return Evidence(item.point, verdict, item.quote, FoundBy.KEYWORDS, round(coverage, 3), item.weight)


def _true_false(reading: Reading, card: Card, answer: str, model: calibration.Calibration) -> Grade:
    """The verdict decides; reasons, where the card has them as key points, make it complete."""
    prepared = reading.prepared
    expected = polarity.verdict(tokenise(prepared.points[0]))
    if expected is None:
        expected = polarity.verdict(tokenise(card.reference))
    said = polarity.verdict(reading.match.tokens)
    others = reading.evidence[1:]
    reasons = combine.coverage_of(others)
    weight = round(float(prepared.point_weights[0]), 4)
    if said is None:
        first = Evidence(prepared.points[0], Verdict.MISSING, weight=weight)
        rating = (
            4
            if reasons >= 0.8
            else 3
            if reasons >= evidence.COVERED
            else 2
            if reasons >= evidence.PARTIAL
            else 1
        )
        confidence = 0.5
    elif said is not expected:
        first = Evidence(prepared.points[0], Verdict.CONTRADICTED, "", FoundBy.KEYWORDS, 0.0, weight)
        others = tuple(Evidence(item.point, Verdict.MISSING, weight=item.weight) for item in others)
        rating, confidence = 1, 0.95
    else:
        quote = _verdict_quote(answer)
        first = Evidence(prepared.points[0], Verdict.COVERED, quote, FoundBy.KEYWORDS, 1.0, weight)
        wrong = any(item.verdict is Verdict.CONTRADICTED for item in others)
        rating = 3 if wrong else 5 if not others or reasons >= 0.5 else 4
        confidence = 0.6 if wrong else 0.85
    return _grade((first, *others), _SCORES[rating], rating, confidence, model.version)


_SCORES = {1: 0.0, 2: 0.25, 3: 0.5, 4: 0.8, 5: 1.0}


def _verdict_quote(answer: str) -> str:
    for token in tokenise(answer):
        if polarity.verdict([token]) is not None:
            return answer[token.start : token.end]
    return ""
