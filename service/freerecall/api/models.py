"""The shapes that /api/v1 takes and gives."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat

from freerecall.cards import Card, KeyPoint, Kind
from freerecall.decks.result import MAX_POINTS, MAX_TEXT, MAX_WEIGHT
from freerecall.grades import DecidedBy, FoundBy, Grade, GraderMode, Verdict
from freerecall.practice import MAX_ANSWER, MAX_CLIENT_ID, MAX_ELAPSED_MS, MAX_REASON, AnswerResult
from freerecall.store import DeckChange, DeckSettings, DeckSummary, NextCard, Statistics
from freerecall.wording import changes

Text = Annotated[str, Field(max_length=MAX_ANSWER)]


class In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class GradeIn(In):
    """An answer with its question, stateless."""

    question: Text
    answer: Text
    reference: Text = ""
    references: Annotated[list[Text], Field(max_length=100)] = []
    key_points: Annotated[list[Text], Field(max_length=100)] = []
    kind: Kind | None = None
    grader: GraderMode | None = None


class EvidenceOut(Out):
    point: str
    verdict: Verdict
    quote: str
    found_by: FoundBy | None
    coverage: float
    weight: float


class ProvenanceOut(Out):
    calibration: str
    prompt: str
    model: str
    latency_ms: float
    tokens_in: int
    tokens_out: int
    cost_usd: float
    cached: bool
    error: str


class GradeOut(Out):
    """`score` and `confidence` 0–1, `rating` 1–5."""

    rating: int
    score: float
    confidence: float
    decided_by: DecidedBy
    provisional: bool
    evidence: list[EvidenceOut]
    feedback: str
    provenance: ProvenanceOut

    @classmethod
    def of(cls, grade: Grade) -> Self:
        return cls.model_validate(grade)


class KeyPointOut(Out):
    text: str
    accept: list[str]
    weight: float


class QuestionOut(Out):
    """A card as it is asked: nothing that gives the answer away."""

    id: str
    question: str
    kind: Kind
    tags: list[str]


class CardOut(QuestionOut):
    reference: str
    alternatives: list[str]
    points: list[KeyPointOut]
    footnote: str


class DeckOut(Out):
    """`due` and `new` count cards that are to be answered now."""

    id: str
    title: str
    description: str
    cards: int
    due: int
    new: int

    @classmethod
    def of(cls, deck: DeckSummary) -> Self:
        return cls.model_validate(deck)


class SkippedOut(Out):
    number: int | None
    line: int
    reason: str


class ImportOut(Out):
    """What an upload did to a deck."""

    deck: str
    title: str
    cards: int
    added: int
    changed: int
    unchanged: int
    removed: int
    skipped: list[SkippedOut]

    @classmethod
    def of(cls, deck: str, title: str, cards: int, change: DeckChange, skipped: list[SkippedOut]) -> Self:
        return cls(
            deck=deck,
            title=title,
            cards=cards,
            added=change.added,
            changed=change.changed,
            unchanged=change.unchanged,
            removed=change.removed,
            skipped=skipped,
        )


class NextOut(Out):
    """`card` is null when nothing is due; `next_due` then says when."""

    card: QuestionOut | None
    due: int
    new: int
    next_due: datetime | None

    @classmethod
    def of(cls, following: NextCard) -> Self:
        return cls.model_validate(following)


class AnswerIn(In):
    """An answer to a card. `client_answer_id` makes sending it twice harmless."""

    card_id: str
    answer: Text
    client_answer_id: Annotated[str, Field(min_length=1, max_length=MAX_CLIENT_ID)]
    elapsed_ms: Annotated[int, Field(ge=0, le=MAX_ELAPSED_MS, strict=True)] | None = None
    scheduled: StrictBool = True
    """False: a repetition that is graded but leaves the schedule as it is."""
    session: Annotated[str, Field(max_length=MAX_CLIENT_ID)] = ""
    hints: Annotated[int, Field(ge=0, le=2, strict=True)] = 0


class ChangeOut(Out):
    point: str
    before: Verdict
    after: Verdict
    quote: str


class AnswerOut(GradeOut):
    """A graded answer. `rating` is what counts: the learner's override, else the grade's.

    `pending`: a language model's verdict is still to come; `earlier_ratings` are those it replaced,
    `changes` what it saw differently. Not `scheduled`: the schedule was left as it was.
    """

    answer_id: str
    answer: str
    card: CardOut
    grade_rating: int
    overridden: bool
    due: datetime
    interval_s: int
    pending: bool
    earlier_ratings: list[int]
    changes: list[ChangeOut]
    scheduled: bool

    @classmethod
    def of_result(cls, result: AnswerResult) -> Self:
        grade = GradeOut.of(result.grade)
        return cls(
            **{**dict(grade), "rating": result.rating},
            answer_id=result.answer_id,
            answer=result.answer,
            card=card_out(result.card),
            grade_rating=result.grade.rating,
            overridden=result.overridden,
            due=result.due,
            interval_s=int(result.interval.total_seconds()),
            pending=result.pending,
            earlier_ratings=[grade.rating for grade in result.earlier],
            changes=[
                ChangeOut.model_validate(change)
                for change in (changes(result.earlier[-1], result.grade) if result.earlier else ())
            ],
            scheduled=result.scheduled,
        )


def card_out(card: Card) -> CardOut:
    return CardOut.model_validate(card)


class OverrideIn(In):
    rating: Annotated[int, Field(ge=1, le=5, strict=True)]
    reason: Annotated[str, Field(max_length=MAX_REASON)] = ""


class HealthOut(Out):
    status: str
    version: str


class HoldIn(In):
    """`skip` for ten minutes, `bury` until tomorrow, `suspend` until `release`."""

    how: Literal["skip", "bury", "suspend", "release"]


class HintOut(Out):
    """One line for each key point: at level 1 only that it is there, at level 2 its first letters."""

    points: list[str]


class UndoOut(Out):
    """The card whose newest answer was taken back."""

    card: QuestionOut


class KeyPointIn(In):
    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
    accept: Annotated[list[Text], Field(max_length=MAX_POINTS)] = []
    weight: Annotated[float, Field(gt=0, le=MAX_WEIGHT, strict=True)] = 1.0


class CardIn(In):
    """A card as edited; `points` and `alternatives` as in CardOut."""

    question: Text
    reference: Text
    kind: Kind
    points: Annotated[list[KeyPointIn], Field(max_length=MAX_POINTS)] = []
    alternatives: Annotated[list[Text], Field(max_length=100)] = []
    footnote: Text = ""
    tags: Annotated[list[Text], Field(max_length=100)] = []

    def card(self, card_id: str) -> Card:
        """Return it as the card of that id."""
        return Card(
            id=card_id,
            question=self.question,
            reference=self.reference,
            kind=self.kind,
            points=tuple(KeyPoint(one.text, tuple(one.accept), one.weight) for one in self.points),
            alternatives=tuple(self.alternatives),
            footnote=self.footnote,
            tags=tuple(self.tags),
        )


class DeckSettingsIO(Out):
    """Daily limits (null: none), the share to be remembered when due (0.7–0.99), FSRS parameters."""

    new_per_day: Annotated[int, Field(ge=0, le=9_999, strict=True)] | None = None
    reviews_per_day: Annotated[int, Field(ge=0, le=9_999, strict=True)] | None = None
    retention: Annotated[float, Field(ge=0.7, le=0.99, strict=True)] | None = None
    parameters: Annotated[list[StrictFloat], Field(max_length=30)] = []

    def settings(self) -> DeckSettings:
        return DeckSettings(self.new_per_day, self.reviews_per_day, self.retention, tuple(self.parameters))


class TroubleOut(Out):
    card: QuestionOut
    reviews: int
    low: int


class StatisticsOut(Out):
    """See the statistics page: reviews and cards due by day, retention by week, what goes badly."""

    days: list[tuple[str, int]]
    ratings: list[int]
    retention: list[tuple[str, int, int]]
    forecast: list[tuple[str, int]]
    hardest: list[TroubleOut]
    missed: list[tuple[str, str, int]]
    raised: int
    lowered: int

    @classmethod
    def of(cls, statistics: Statistics) -> Self:
        return cls.model_validate(statistics)
