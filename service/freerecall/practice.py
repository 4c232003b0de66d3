"""Practice: what to ask next, an answer and its grade, the language model's verdict, an override."""

import asyncio
import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from freerecall import grading, scheduling
from freerecall.cards import Card
from freerecall.errors import ConflictError, InputError, NotFoundError
from freerecall.grades import RATINGS, Grade, GraderMode, RatedAnswer
from freerecall.llm import LLM
from freerecall.scheduling import CardState, Scheme
from freerecall.store import (
    Answer,
    NextCard,
    Override,
    Review,
    Session,
    Stage,
    Store,
)

MAX_ANSWER = 10_000
BUDGET_SPENT = "today's budget of ${:.2f} for one learner is spent: the model is asked tomorrow"
MAX_CLIENT_ID = 200
MAX_REASON = 2_000
MAX_ELAPSED_MS = 10**12

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AnswerResult:
    """An answer with its grade and what follows from it.

    `card` is as it was when answered. `rating` is what counts: the learner's override, else the
    grade's. `due` is when this review has the card come again, `interval` the time from the answer
    to then. `pending`: a language model is still to be asked. `earlier` are the grades that `grade`
    took the place of, oldest first. Not `scheduled`: a repetition that left the schedule as it was.
    """

    answer_id: str
    card: Card
    answer: str
    grade: Grade
    rating: int
    overridden: bool
    due: datetime
    interval: timedelta
    pending: bool
    answered_at: datetime
    earlier: tuple[Grade, ...] = ()
    scheduled: bool = True


def next_card(
    store: Store,
    deck_id: str | None,
    *,
    now: datetime,
    learner: str = "local",
    session: Session | None = None,
) -> NextCard:
    """Return what to ask: the card due for longest, else the first new one in its deck's order.

    `deck_id` None looks at all decks; a `session` narrows the choice or draws by its seed.
    Raises NotFoundError for an unknown deck.
    """
    with store.snapshot():
        return store.next_card(deck_id, _utc(now), learner=learner, session=session)


def submit(
    store: Store,
    *,
    card_id: str,
    answer: str,
    client_answer_id: str,
    elapsed_ms: int | None,
    mode: GraderMode,
    now: datetime,
    learner: str = "local",
    scheduled: bool = True,
    session: str = "",
    hints: int = 0,
) -> AnswerResult:
    """Store an answer, then grade it with the embedded grader and schedule its card.

    Not `scheduled`, it is graded only: a repetition right after a review. Where `mode` wants a
    language model's verdict as well, the grade is provisional and `settle` is to follow. The same
    `client_answer_id` again gives the same answer's result and writes nothing.

    Raises NotFoundError for an unknown card or learner, ConflictError where the
    `client_answer_id` came with another card or text before, InputError for a value out of range.
    """
    _check(answer, client_answer_id, elapsed_ms)
    check_text("session", session, MAX_CLIENT_ID)
    card, version = store.card_with_version(card_id)
    row = Answer(
        id=uuid.uuid4().hex,
        learner=learner,
        client_answer_id=client_answer_id,
        card_id=card_id,
        card_version=version,
        text=answer,
        mode=mode,
        at=_utc(now),
        elapsed_ms=elapsed_ms,
        scheduled=scheduled,
        session=session,
        hints=hints,
    )
    if store.add_answer(row):
        return _grade(store, row, card, row.at)
    row = store.answer_of_client(learner, client_answer_id)
    if (row.card_id, row.text) != (card_id, answer):
        raise ConflictError(
            f"client_answer_id {client_answer_id!r} was used for another answer; give each answer a new one"
        )
    return _graded(store, row, now)


async def settle(
    store: Store, answer_id: str, llm: LLM | None, mode: GraderMode, *, deadline_s: float, now: datetime
) -> AnswerResult:
    """Ask the language model about a pending answer, and reschedule its card by the verdict.

    The new grade is stored beside the old one. An override keeps its say over the schedule. Where
    the model fails, the answer stays pending and its grade provisional, with the reason in
    `provenance.error`. An answer that is not pending is left as it is.

    Raises NotFoundError for an unknown answer.
    """
    row, before, rated = await asyncio.to_thread(_before_settling, store, answer_id, now)
    if llm is None or not before.pending:
        return before
    verdict = await grading.grade(
        before.card,
        row.text,
        mode=mode,
        llm=llm,
        deadline_s=deadline_s,
        rated=rated,
        earlier=before.grade,
    )
    return await asyncio.to_thread(_settle, store, row, verdict, _utc(now))


def _before_settling(
    store: Store, answer_id: str, now: datetime
) -> tuple[Answer, AnswerResult, tuple[RatedAnswer, ...]]:
    row = store.answer(answer_id)
    return row, _graded(store, row, now), store.rated_answers(row)


def pending(
    store: Store, limit: int = 100, *, tried: bool = True, day: str = "", budget_usd: float | None = None
) -> list[str]:
    """Return the ids of at most `limit` answers to `settle`, the least often tried first.

    Not `tried`, only those that no model was asked about yet.

    Where a learner has spent `budget_usd` on a `day` (ISO date in UTC), theirs wait, and their
    grades say why.
    """
    if budget_usd is None:
        return store.pending(limit, tried=tried)
    store.note_spent(day, budget_usd, BUDGET_SPENT.format(budget_usd))
    return store.pending(limit, tried=tried, day=day, budget_usd=budget_usd)


def recover(store: Store, now: datetime, *, enough: Callable[[], bool] = lambda: False) -> int:
    """Grade the answers that were stored just before a crash; return how many. Run it when starting.

    It ends early when there is `enough`; the rest waits for the next start.
    """
    recovered = 0
    for answer_id in store.ungraded():
        if enough():
            break
        try:
            _graded(store, store.answer(answer_id), now)
        except Exception:  # one answer that cannot be graded must not keep the service from starting
            _log.exception("answer %s cannot be graded", answer_id)
        else:
            recovered += 1
    return recovered


def result(store: Store, answer_id: str) -> AnswerResult:
    """Return a graded answer. Raises NotFoundError."""
    with store.snapshot():
        row = store.answer(answer_id)
        return _stored(store, row)


def last_result(store: Store, learner: str = "local") -> AnswerResult | None:
    """Return the learner's newest answer that was not taken back, if there is one."""
    answer_id = store.last_answer(learner)
    return result(store, answer_id) if answer_id else None


def undo(store: Store, answer_id: str) -> Card:
    """Take the learner's newest answer back, with what it did to the schedule; return its card.

    Once more changes nothing. Raises NotFoundError, ConflictError where a later answer stands.
    """
    row = store.answer(answer_id)
    if not row.undone:
        with store.transaction():
            if store.last_answer(row.learner) != row.id:
                raise ConflictError(
                    "only the newest answer can be taken back; override this one's rating instead"
                )
            if row.scheduled and row.stage is not Stage.UNGRADED:
                _take_back(store, row)
            else:
                store.drop_review(row)
    return store.card(row.card_id)


def _take_back(store: Store, row: Answer) -> None:
    prior = store.review(row.id).prior
    store.drop_review(row)
    if prior["last_review"] is None:
        store.drop_card_state(row.learner, row.card_id)
    else:
        store.put_card_state(row.learner, row.card_id, prior)


def override(store: Store, answer_id: str, rating: int, reason: str = "", *, now: datetime) -> AnswerResult:
    """Let the learner's own rating (1–5) stand, and reschedule as if the answer had got it at once.

    The override is logged. The same one again changes nothing.

    Raises NotFoundError for an unknown answer, InputError for another rating or a reason of more
    than 2,000 characters.
    """
    if type(rating) is not int or rating not in RATINGS:
        raise InputError(f"the rating is {rating!r}; it must be a whole number from 1 to 5")
    check_text("reason", reason, MAX_REASON)
    row = store.answer(answer_id)
    _graded(store, row, now)
    if row.undone:
        raise ConflictError("this answer was taken back; answer the card again to rate it")
    with store.transaction():
        log = store.overrides(row.id)
        if not log or (log[-1].rating, log[-1].reason) != (rating, reason):
            before = store.review(row.id).rating if row.scheduled else _rating(store, row)
            store.add_override(Override(row.id, _utc(now), rating, before, reason))
            if row.scheduled:
                store.rate_review(row.id, rating, overridden=True)
                _replay(store, row)
    return result(store, row.id)


def _rating(store: Store, row: Answer) -> int:
    log = store.overrides(row.id)
    return log[-1].rating if log else store.grades(row.id)[-1].rating


def _graded(store: Store, row: Answer, now: datetime) -> AnswerResult:
    """Return an answer's result; grade it first if it was stored just before a crash."""
    if row.stage is not Stage.UNGRADED:
        return result(store, row.id)
    return _grade(store, row, store.card_version(row.card_version), _utc(now))


def _grade(store: Store, row: Answer, card: Card, now: datetime) -> AnswerResult:
    """Grade and schedule an ungraded answer, in one commit.

    Only the answer's own commit waits for the disk. Should a power cut undo this one, the answer
    is ungraded again, and `recover` comes to the same grade and schedule.
    """
    grade = grading.grade_embedded(card, row.text, store.rated_answers(row))
    stage = Stage.SETTLED
    if grading.wants_llm(grade, row.mode):
        grade, stage = replace(grade, provisional=True), Stage.PENDING
    with store.transaction(synced=False):
        first = store.move(row.id, Stage.UNGRADED, stage)
        if first:
            store.add_grade(row.id, grade, now)
            review = _review(store, row, grade.rating) if row.scheduled else None
    if not first or review is None:  # sent twice at once, and the other was faster; or not scheduled
        return result(store, row.id)
    return _result(replace(row, stage=stage), card, [grade], review)


def _scheme(store: Store, row: Answer) -> Scheme:
    settings = store.settings_of_card(row.learner, row.card_id)
    return Scheme(settings.retention or scheduling.RETENTION, settings.parameters)


def _review(store: Store, row: Answer, rating: int) -> Review:
    """Add the answer's review to its card's log, and the state that results."""
    stored = store.card_state(row.learner, row.card_id)
    prior = CardState.from_dict(stored) if stored else scheduling.new_state(row.card_id)
    late = prior.last_review is not None and prior.last_review > row.at
    if late:
        earlier = [review for review in store.reviews(row.learner, row.card_id) if review.at <= row.at]
        past = store.past_reviews(row.learner, row.card_id)
        prior = CardState.from_dict(earlier[-1].result) if earlier else scheduling.replay(row.card_id, past)
    state = scheduling.review(prior, rating, row.at, _scheme(store, row)).to_dict()
    review = store.add_review(row, rating, prior.to_dict(), state)
    if late:
        _replay(store, row)
    else:
        store.put_card_state(row.learner, row.card_id, state)
    return review


def _replay(store: Store, row: Answer) -> None:
    """Recompute a card's states from one answer's review on, all from the state before it."""
    first = store.review(row.id)
    state, scheme = CardState.from_dict(first.prior), _scheme(store, row)
    for review in store.reviews(row.learner, row.card_id, first):
        prior, state = state, scheduling.review(state, review.rating, review.at, scheme)
        store.move_review(review, prior.to_dict(), state.to_dict())
    store.put_card_state(row.learner, row.card_id, state.to_dict())


def _settle(store: Store, row: Answer, verdict: Grade, now: datetime) -> AnswerResult:
    """Store what came of asking the language model, unless another call was faster.

    The disk is not waited for: should a power cut undo it, the answer waits again, and is asked about.
    """
    with store.transaction(synced=False):
        store.add_cost(row.learner, now.date().isoformat(), verdict.provenance.cost_usd)
        if verdict.provisional:
            if store.answer(row.id).stage is Stage.PENDING:
                store.add_failure(row.id, verdict.provenance)
        elif store.move(row.id, Stage.PENDING, Stage.SETTLED):
            store.add_grade(row.id, verdict, now)
            if row.scheduled and not store.review(row.id).overridden:
                store.rate_review(row.id, verdict.rating, overridden=False)
                _replay(store, row)
    return result(store, row.id)


def _stored(store: Store, row: Answer) -> AnswerResult:
    card, grades = store.card_version(row.card_version), store.grades(row.id)
    if row.scheduled and not row.undone:
        return _result(row, card, grades, store.review(row.id))
    if not grades:
        raise NotFoundError(f"the answer {row.id!r} is not graded")
    log, state = store.overrides(row.id), store.card_state(row.learner, row.card_id)
    due = datetime.fromisoformat(state["due"]) if state else row.at
    return AnswerResult(
        answer_id=row.id,
        card=card,
        answer=row.text,
        grade=grades[-1],
        rating=log[-1].rating if log else grades[-1].rating,
        overridden=bool(log),
        due=due,
        interval=max(due - row.at, timedelta()),
        pending=row.stage is Stage.PENDING,
        answered_at=row.at,
        earlier=tuple(grades[:-1]),
        scheduled=False,
    )


def _result(row: Answer, card: Card, grades: Sequence[Grade], review: Review) -> AnswerResult:
    due = datetime.fromisoformat(review.result["due"])
    return AnswerResult(
        answer_id=row.id,
        card=card,
        answer=row.text,
        grade=grades[-1],
        rating=review.rating,
        overridden=review.overridden,
        due=due,
        interval=due - row.at,
        pending=row.stage is Stage.PENDING,
        answered_at=row.at,
        earlier=tuple(grades[:-1]),
    )


def _check(answer: str, client_answer_id: str, elapsed_ms: int | None) -> None:
    check_text("answer", answer, MAX_ANSWER)
    check_text("client_answer_id", client_answer_id, MAX_CLIENT_ID)
    if not client_answer_id:
        raise InputError("client_answer_id is empty; give each answer an id of its own, such as a UUID")
    if elapsed_ms is not None and not 0 <= elapsed_ms <= MAX_ELAPSED_MS:
        raise InputError(f"elapsed_ms is {elapsed_ms}; it must be from 0 to {MAX_ELAPSED_MS}")


def check_text(name: str, text: str, longest: int) -> None:
    """Raise InputError for a text that is too long or cannot be stored."""
    if len(text) > longest:
        raise InputError(f"{name} has {len(text)} characters; the most is {longest}")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{name} has half a surrogate pair at character {error.start + 1}") from error


def _utc(now: datetime) -> datetime:
    if now.tzinfo is None:
        raise InputError(f"the time {now.isoformat()} has no time zone; give one in UTC")
    return now.astimezone(UTC)
