"""What the store holds, and how it is written as columns and JSON."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from freerecall.cards import Card, KeyPoint, Kind
from freerecall.grades import DecidedBy, Evidence, FoundBy, Grade, GraderMode, Provenance, Verdict


class Only(StrEnum):
    """What a session asks: what is due and then what is new, only one of these, or anything at all."""

    ALL = "all"
    DUE = "due"
    NEW = "new"
    CRAM = "cram"


@dataclass(frozen=True, slots=True)
class Session:
    """A choice of cards. With a `seed` the order is drawn by it; the same seed draws the same order.

    `id` marks the session's answers, so that cramming asks no card twice.
    """

    only: Only = Only.ALL
    tag: str = ""
    seed: int | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class DeckSettings:
    """One learner's limits and schedule for a deck; None: no limit, the default retention.

    `retention` is the share to be remembered when due, 0.7–0.99. `parameters` are FSRS's, fitted to
    the learner; empty means its defaults.
    """

    new_per_day: int | None = None
    reviews_per_day: int | None = None
    retention: float | None = None
    parameters: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class DeckSummary:
    """A deck and its numbers of cards: in all, due now, and never reviewed (each of these up to 1,000)."""

    id: str
    title: str
    description: str
    cards: int
    due: int
    new: int


@dataclass(frozen=True, slots=True)
class DeckChange:
    """How many cards a deck gained, changed, kept and lost. Cards that came back count as added."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0


class Stage(StrEnum):
    """How far an answer has come. `PENDING`: graded, but a language model is still to be asked."""

    UNGRADED = "ungraded"
    PENDING = "pending"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a learner typed for a card. `card_version` names the card's content at that time.

    Not `scheduled`: a repetition that does not count as a review. `hints` is how far the learner
    asked for help. `undone`: taken back, with its review.
    """

    id: str
    learner: str
    client_answer_id: str
    card_id: str
    card_version: str
    text: str
    mode: GraderMode
    at: datetime
    elapsed_ms: int | None
    stage: Stage = Stage.UNGRADED
    scheduled: bool = True
    session: str = ""
    hints: int = 0
    undone: bool = False


@dataclass(frozen=True, slots=True)
class Review:
    """The one step that an answer makes in its card's schedule, from state `prior` to `result`."""

    id: int
    answer_id: str
    at: datetime
    rating: int
    overridden: bool
    prior: dict[str, Any]
    result: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Override:
    """A learner's rating in place of the one that stood (`replaced`)."""

    answer_id: str
    at: datetime
    rating: int
    replaced: int
    reason: str


@dataclass(frozen=True, slots=True)
class NextCard:
    """The card to ask next, the numbers of due and new cards (up to 300 a deck), and the next time due.

    `next_due` is None while a card is there to be asked.
    """

    card: Card | None
    due: int
    new: int
    next_due: datetime | None


@dataclass(frozen=True, slots=True)
class CardTrouble:
    """A card, how often it was reviewed, and how often that went badly (1 or 2)."""

    card: Card
    reviews: int
    low: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """Figures of practice. Days are ISO dates; weeks the date of their Monday.

    `days`: reviews by day; `ratings`: how often each of 1–5; `retention`: by week, how many of the
    reviews of cards in review were passed (3 or more), and of how many; `forecast`: cards due by
    day; `missed`: (card id, key point, times); `raised` and `lowered`: overrides up and down.
    """

    days: list[tuple[str, int]]
    ratings: list[int]
    retention: list[tuple[str, int, int]]
    forecast: list[tuple[str, int]]
    hardest: list[CardTrouble]
    missed: list[tuple[str, str, int]]
    raised: int
    lowered: int


@dataclass(frozen=True, slots=True)
class Sitting:
    """One learner's attempt at a paper. `ends_at` None: no limit. `graded`: every grade is final.

    `learner` None: begun by the paper's code, without an account.
    """

    id: str
    paper_id: str
    name: str
    started_at: datetime
    ends_at: datetime | None = None
    submitted_at: datetime | None = None
    graded: bool = False
    in_schedule: bool = False
    learner: str | None = None


@dataclass(frozen=True, slots=True)
class SittingAnswer:
    """What was typed for question `number` (from 1); a higher `revision` is later typed."""

    number: int
    text: str
    flagged: bool
    revision: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Mark:
    """A teacher's rating of an answer, which stands in place of the grader's."""

    number: int
    rating: int
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Appeal:
    """A learner's objection to the grade of an answer."""

    number: int
    text: str
    at: datetime


def time_text(at: datetime) -> str:
    """Return `at` in UTC as text that sorts by time."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def clean(text: str) -> str:
    """Return `text` without lone surrogates, which a model's reply may hold and SQLite refuses."""
    return text.encode("utf-8", "replace").decode("utf-8")


def dump_json(value: object) -> str:
    """Return `value` as compact JSON in ASCII."""
    return json.dumps(value, separators=(",", ":"))


def dump_card(card: Card) -> tuple[str, str]:
    """Return the hash of a card's content, and that content as JSON."""
    content = dump_json(
        {
            "id": card.id,
            "question": card.question,
            "reference": card.reference,
            "kind": card.kind,
            "points": [[point.text, point.accept, point.weight] for point in card.points],
            "alternatives": card.alternatives,
            "footnote": card.footnote,
            "tags": card.tags,
        }
    )
    return hashlib.sha256(content.encode()).hexdigest(), content


@lru_cache(maxsize=1024)
def load_card(content: str) -> Card:
    """Read the JSON of `dump_card`."""
    row = json.loads(content)
    return Card(
        id=row["id"],
        question=row["question"],
        reference=row["reference"],
        kind=Kind(row["kind"]),
        points=tuple(KeyPoint(text, tuple(accept), weight) for text, accept, weight in row["points"]),
        alternatives=tuple(row["alternatives"]),
        footnote=row["footnote"],
        tags=tuple(row["tags"]),
    )


GRADE_COLUMNS = (
    "rating, score, confidence, decided_by, provisional, evidence, feedback,"
    " calibration, prompt, model, latency_ms, tokens_in, tokens_out, cost_usd, cached, error"
)


def dump_grade(grade: Grade) -> tuple[Any, ...]:
    """Return the values of GRADE_COLUMNS."""
    evidence = [
        [row.point, row.verdict, row.quote, row.found_by, row.coverage, row.weight] for row in grade.evidence
    ]
    about = grade.provenance
    return (
        grade.rating,
        grade.score,
        grade.confidence,
        grade.decided_by.value,
        int(grade.provisional),
        dump_json(evidence),
        clean(grade.feedback),
        about.calibration,
        about.prompt,
        clean(about.model),
        about.latency_ms,
        about.tokens_in,
        about.tokens_out,
        about.cost_usd,
        int(about.cached),
        clean(about.error),
    )


def load_grade(row: Sequence[Any]) -> Grade:
    """Read GRADE_COLUMNS."""
    rating, score, confidence, decided_by, provisional, evidence, feedback, *about = row
    calibration, prompt, model, latency_ms, tokens_in, tokens_out, cost_usd, cached, error = about
    return Grade(
        score=score,
        rating=rating,
        confidence=confidence,
        evidence=tuple(
            Evidence(point, Verdict(verdict), quote, FoundBy(found) if found else None, coverage, weight)
            for point, verdict, quote, found, coverage, weight in json.loads(evidence)
        ),
        feedback=feedback,
        decided_by=DecidedBy(decided_by),
        provisional=bool(provisional),
        provenance=Provenance(
            calibration=calibration,
            prompt=prompt,
            model=model,
            latency_ms=latency_ms,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            cost_usd=cost_usd,
            cached=bool(cached),
            error=error,
        ),
    )


def load_answer(row: Sequence[Any]) -> Answer:
    """Read the columns in the order of Answer's fields."""
    id, learner, client_answer_id, card_id, version, text, mode, at, elapsed_ms, stage, *rest = row
    scheduled, session, hints, undone = rest
    return Answer(
        id=id,
        learner=learner,
        client_answer_id=client_answer_id,
        card_id=card_id,
        card_version=version,
        text=text,
        mode=GraderMode(mode),
        at=datetime.fromisoformat(at),
        elapsed_ms=elapsed_ms,
        stage=Stage(stage),
        scheduled=bool(scheduled),
        session=session,
        hints=hints,
        undone=bool(undone),
    )


def load_review(row: Sequence[Any]) -> Review:
    """Read the columns in the order of Review's fields."""
    id, answer_id, at, rating, source, prior, result = row
    return Review(
        id=id,
        answer_id=answer_id,
        at=datetime.fromisoformat(at),
        rating=rating,
        overridden=source == "override",
        prior=json.loads(prior),
        result=json.loads(result),
    )
