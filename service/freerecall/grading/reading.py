"""An answer laid against its card: what the matchers found, and what the encoder is to read."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from freerecall.cards import Card, Kind
from freerecall.grades import Evidence, Verdict
from freerecall.grading import calibration, combine, encoder, evidence, features
from freerecall.grading.matching import Match, match
from freerecall.grading.prepared import Prepared, prepare
from freerecall.grading.text import Token, tokenise

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the matchers found: input to the calibrated model, and the evidence shown."""

    evidence: tuple[Evidence, ...]
    features: Floats
    places: list[int]
    denies: bool
    reference: str
    """The full reference that fits best, and the answer: what the encoder reads."""
    answer: str
    prepared: Prepared
    match: Match

    @property
    def layer(self) -> str:
        """How the answer is judged: as one statement, or point by point (see calibration.LAYERS)."""
        card = self.prepared.card
        if self.prepared.is_fact:
            return "fact"
        if not card.points and card.kind is Kind.DEFINITION:
            return "plain"
        if len(self.prepared.points) == 1:
            return "prose"
        return "points" if any(point.accept for point in card.points) else "bare"

    @property
    def opinion(self) -> Floats:
        """The encoder's opinion, shape [6]: a few milliseconds the first time."""
        return encoder.opinion(self.prepared.card.question, self.reference, self.answer)

    def found(self) -> Floats:
        """Return what the matchers found as one row (see calibration.matched_inputs)."""
        shown = combine.evidence_inputs(self.prepared, self.match, self.evidence, self.places)
        return calibration.matched_inputs(self.features, shown, self.prepared.card.kind, self.layer)

    def inputs(self, model: calibration.Calibration) -> Floats:
        """Return combine.INPUTS by the calibrated `model`."""
        found, opinion = self.found(), self.opinion
        return combine.inputs(found, opinion, model.expected(found, opinion))

    def inputs_by_words(self, model: calibration.Calibration) -> Floats:
        """Return combine.BY_WORDS: what is known of the answer without the encoder."""
        found = self.found()
        return combine.inputs_by_words(found, model.matched.value_of(found))

    def likeness(self) -> list[tuple[Token, float]]:
        """Return the answer's content words, each with how like the card's words it is, 0–1."""
        return list(zip(self.match.content, self.match.both.max(axis=1).tolist(), strict=True))


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
    ranked = features.references_by_fit(prepared, matched)
    return Reading(
        evidence=judged,
        features=features.describe(prepared, matched, judged, ranked),
        places=places,
        denies=evidence.denies(found),
        reference=prepared.phrases[int(ranked[0])].text,
        answer=answer,
        prepared=prepared,
        match=matched,
    )
