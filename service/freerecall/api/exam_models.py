"""The shapes of self-tests under /api/v1."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from freerecall.api.models import EvidenceOut, In, KeyPointOut, Out, Text
from freerecall.cards import Kind
from freerecall.classes import Agreement, QuestionFigures, QueueItem
from freerecall.exams import MAX_NAME, Item, Report
from freerecall.papers import MAX_MINUTES, MAX_QUESTIONS, MAX_TITLE, Paper, Spec
from freerecall.practice import MAX_REASON

Names = Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=100)]


class PaperIn(In):
    """What a paper is made of; the same `seed` and decks give the same questions."""

    title: Annotated[str, Field(min_length=1, max_length=MAX_TITLE)] = "Self-test"
    decks: Names = []
    tags: Names = []
    kinds: Annotated[list[Kind], Field(max_length=5)] = []
    count: Annotated[int, Field(ge=1, le=MAX_QUESTIONS, strict=True)] = 10
    weights: dict[Kind, Annotated[float, Field(gt=0, le=100, strict=True)]] = {}
    minutes: Annotated[int, Field(ge=0, le=MAX_MINUTES, strict=True)] = 0
    pass_mark: Annotated[float, Field(ge=0, le=1, strict=True)] = 0.6
    seed: Annotated[int, Field(ge=0, le=2**53, strict=True)] = 0

    def spec(self) -> Spec:
        return Spec(
            decks=tuple(self.decks),
            tags=tuple(self.tags),
            kinds=tuple(kind.value for kind in self.kinds),
            count=self.count,
            weights={kind.value: weight for kind, weight in self.weights.items()},
            minutes=self.minutes,
            pass_mark=self.pass_mark,
            seed=self.seed,
            title=self.title,
        )


class ExamQuestionOut(Out):
    number: int
    question: str
    kind: Kind
    weight: float


class PaperOut(Out):
    """A paper without its answers. `code`: how a class finds it, once it is published."""

    id: str
    title: str
    minutes: int
    pass_mark: float
    code: str | None
    questions: list[ExamQuestionOut]

    @classmethod
    def of_paper(cls, paper: Paper) -> "PaperOut":
        return cls(
            id=paper.id,
            title=paper.spec.title,
            minutes=paper.spec.minutes,
            pass_mark=paper.spec.pass_mark,
            code=paper.code,
            questions=[
                ExamQuestionOut(number=n, question=q.card.question, kind=q.card.kind, weight=q.weight)
                for n, q in enumerate(paper.questions, 1)
            ],
        )


class PaperRowOut(Out):
    id: str
    title: str
    code: str | None
    sittings: int


class SittingIn(In):
    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]


class TypedOut(Out):
    number: int
    text: str
    flagged: bool
    revision: int


class SittingOut(Out):
    """A sitting: its paper, what was typed by now, and the seconds left (null: no limit)."""

    id: str
    name: str
    paper: PaperOut
    started_at: datetime
    ends_at: datetime | None
    remaining_s: float | None
    submitted_at: datetime | None
    answers: list[TypedOut]


class SaveIn(In):
    """What is typed by now; a `revision` lower than the one kept changes nothing."""

    text: Text
    revision: Annotated[int, Field(ge=0, le=2**53, strict=True)]
    flagged: bool = False


class SavedOut(Out):
    kept: bool


class ExamItemOut(Out):
    """One question of a report. `rating` is what counts: a teacher's mark, else the grade's."""

    number: int
    question: str
    reference: str
    points: list[KeyPointOut]
    weight: float
    answer: str
    rating: int | None
    confidence: float | None
    provisional: bool
    marked: bool
    feedback: str
    evidence: list[EvidenceOut]
    versions: list[str]

    @classmethod
    def of_item(cls, item: Item) -> "ExamItemOut":
        grade = item.grade
        return cls(
            number=item.number,
            question=item.question.card.question,
            reference=item.question.card.reference,
            points=[KeyPointOut.model_validate(point) for point in item.question.card.points],
            weight=item.question.weight,
            answer=item.answer,
            rating=item.rating,
            confidence=grade.confidence if grade else None,
            provisional=bool(grade and grade.provisional),
            marked=item.mark is not None,
            feedback=grade.feedback if grade else "",
            evidence=[EvidenceOut.model_validate(one) for one in grade.evidence] if grade else [],
            versions=[f"{one.provenance.calibration} {one.provenance.model}".strip() for one in item.grades],
        )


class ReportOut(Out):
    """A sitting's outcome: `share` of the points, 0–1, within `low` to `high` by the graders' confidence."""

    sitting_id: str
    name: str
    title: str
    share: float
    low: float
    high: float
    passed: bool
    final: bool
    graded: int
    items: list[ExamItemOut]
    by_kind: list[tuple[str, float, int]]
    by_tag: list[tuple[str, float, int]]

    @classmethod
    def of_report(cls, found: Report) -> "ReportOut":
        low, high = found.interval
        return cls(
            sitting_id=found.sitting.id,
            name=found.sitting.name,
            title=found.paper.spec.title,
            share=round(found.share, 4),
            low=round(low, 4),
            high=round(high, 4),
            passed=found.passed,
            final=found.final,
            graded=found.graded,
            items=[ExamItemOut.of_item(item) for item in found.items],
            by_kind=found.by("kind"),
            by_tag=found.by("tag"),
        )


class MarkIn(In):
    """A teacher's rating of one answer, which stands."""

    sitting_id: Annotated[str, Field(max_length=100)]
    number: Annotated[int, Field(ge=1, le=MAX_QUESTIONS, strict=True)]
    rating: Annotated[int, Field(ge=1, le=5, strict=True)]
    reason: Annotated[str, Field(max_length=MAX_REASON)] = ""


class AppealIn(In):
    text: Annotated[str, Field(min_length=1, max_length=MAX_REASON)]


class FiguresOut(Out):
    number: int
    question: str
    answers: int
    difficulty: float
    discrimination: float | None
    missed: list[tuple[str, int]]
    wrong: list[tuple[str, int]]


class AgreementOut(Out):
    marks: int
    exact: float
    within_one: float
    low: float
    high: float
    more: int


class QueueOut(Out):
    sitting_id: str
    name: str
    number: int
    question: str
    answer: str
    rating: int | None
    confidence: float | None
    why: str


class ClassOut(Out):
    """A class's sittings of a paper: figures by question, what to look at first, agreement so far."""

    sittings: list[tuple[str, str, float, bool]]
    figures: list[FiguresOut]
    queue: list[QueueOut]
    agreement: AgreementOut | None

    @classmethod
    def of(
        cls,
        found: list[Report],
        figures: list[QuestionFigures],
        queue: list[QueueItem],
        agreed: Agreement | None,
    ) -> "ClassOut":
        return cls(
            sittings=[(one.sitting.id, one.sitting.name, round(one.share, 4), one.final) for one in found],
            figures=[FiguresOut.model_validate(row) for row in figures],
            queue=[
                QueueOut(
                    sitting_id=row.sitting.id,
                    name=row.sitting.name,
                    number=row.item.number,
                    question=row.item.question.card.question,
                    answer=row.item.answer,
                    rating=row.item.rating,
                    confidence=row.item.grade.confidence if row.item.grade else None,
                    why=row.why,
                )
                for row in queue
            ],
            agreement=AgreementOut.model_validate(agreed) if agreed else None,
        )


class RegradedOut(Out):
    """How many answers got a grade of another version beside the one they had."""

    grades: int
