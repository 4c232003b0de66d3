"""Self-tests: a paper is sat, graded, reported.

A sitting keeps every pause in typing; grading goes on in the background, answer by answer, and
after a kill where it stopped.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import sqrt

from freerecall import access, grading, practice
from freerecall.access import LOCAL, Identity
from freerecall.cards import Card
from freerecall.errors import ConflictError, InputError, NotFoundError
from freerecall.grades import RATINGS, DecidedBy, Grade, GraderMode, RatedAnswer
from freerecall.llm import LLM
from freerecall.papers import Paper, Question, find_paper
from freerecall.store import Appeal, Mark, Sitting, SittingAnswer, Store

MAX_NAME = 100
GRACE = timedelta(seconds=10)
"""After the end, for what is under way when the clock runs out."""
OnGrade = Callable[[Grade], None]
"""What arrives this much after the end still counts: it was on its way."""


@dataclass(frozen=True, slots=True)
class Item:
    """One question of a report. `points` 0–1 by the rating that counts: a mark's, else the grade's."""

    number: int
    question: Question
    answer: str
    grades: tuple[Grade, ...]
    mark: Mark | None
    appeals: tuple[Appeal, ...]

    @property
    def grade(self) -> Grade | None:
        return self.grades[-1] if self.grades else None

    @property
    def rating(self) -> int | None:
        if self.mark:
            return self.mark.rating
        return self.grade.rating if self.grade else None

    @property
    def points(self) -> float:
        return ((self.rating or 1) - 1) / 4

    @property
    def variance(self) -> float:
        """Of `points`: a grade that is not sure may be one rating off; a mark is taken as it is."""
        if self.mark or self.grade is None:
            return 0.0
        return (1 - self.grade.confidence) * 0.25**2


@dataclass(frozen=True, slots=True)
class Report:
    """A sitting's outcome. `share` of the points, 0–1; `interval`, 95 %, by the graders' confidence."""

    sitting: Sitting
    paper: Paper
    items: tuple[Item, ...]

    @property
    def graded(self) -> int:
        return sum(item.grade is not None for item in self.items)

    @property
    def final(self) -> bool:
        return self.graded == len(self.items) and not any(
            item.grade and item.grade.provisional and not item.mark for item in self.items
        )

    @property
    def share(self) -> float:
        return _mean([(item.points, item.question.weight) for item in self.items])

    @property
    def interval(self) -> tuple[float, float]:
        total = sum(item.question.weight for item in self.items)
        spread = sqrt(sum(item.question.weight**2 * item.variance for item in self.items)) / total
        return max(self.share - 1.96 * spread, 0.0), min(self.share + 1.96 * spread, 1.0)

    @property
    def passed(self) -> bool:
        return self.share >= self.paper.spec.pass_mark

    def by(self, name: str) -> list[tuple[str, float, int]]:
        """Return (value, share of the points, questions) for each `kind` or `tag`."""
        groups: dict[str, list[tuple[float, float]]] = {}
        for item in self.items:
            values = [item.question.card.kind.value] if name == "kind" else list(item.question.card.tags)
            for value in values:
                groups.setdefault(value, []).append((item.points, item.question.weight))
        return [(value, _mean(rows), len(rows)) for value, rows in sorted(groups.items())]


def start(store: Store, paper_id: str, name: str, *, now: datetime, learner: str | None = None) -> Sitting:
    """Begin a sitting, a `learner`'s own where one is given; the clock runs from here.

    Raises NotFoundError, InputError.
    """
    paper = find_paper(store, paper_id)
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME:
        raise InputError(f"a name must have 1 to {MAX_NAME} characters")
    minutes = paper.spec.minutes
    ends = now + timedelta(minutes=minutes) if minutes else None
    sitting = Sitting(secrets.token_hex(18), paper.id, name, now.astimezone(UTC), ends, learner=learner)
    store.add_sitting(sitting)
    return sitting


def start_as(store: Store, paper_id: str, name: str, who: Identity | None, *, now: datetime) -> Sitting:
    """Begin a sitting, where somebody is logged in as theirs and under their account's name."""
    name = who.name or name if who else name
    return start(store, paper_id, name, now=now, learner=who.learner if who else None)


def save(
    store: Store,
    sitting_id: str,
    number: int,
    text: str,
    *,
    revision: int,
    flagged: bool = False,
    now: datetime,
) -> bool:
    """Keep what is typed by now. A lower revision than the one kept changes nothing (False).

    Raises NotFoundError, InputError, ConflictError once the sitting is closed or its time is up.
    """
    sitting = store.sitting(sitting_id)
    paper = find_paper(store, sitting.paper_id)
    if not 1 <= number <= len(paper.questions):
        raise InputError(f"there is no question {number}; the paper has {len(paper.questions)}")
    practice.check_text("answer", text, practice.MAX_ANSWER)
    if not 0 <= revision <= 2**53:
        raise InputError("the revision must be a whole number from 0 to 2^53")
    close_if_over(store, sitting, now=now)
    kept = store.save_answer(sitting_id, SittingAnswer(number, text, flagged, revision, now))
    if not kept and store.sitting(sitting_id).submitted_at is not None:
        raise ConflictError("this sitting is closed: what you typed before counts")
    return kept


def submit(store: Store, sitting_id: str, *, now: datetime) -> Sitting:
    """Close a sitting; however often it is sent, it counts once. Raises NotFoundError."""
    sitting = store.sitting(sitting_id)
    at = min(now, sitting.ends_at) if sitting.ends_at else now
    store.submit_sitting(sitting_id, at)
    return store.sitting(sitting_id)


def close_if_over(store: Store, sitting: Sitting, *, now: datetime) -> Sitting:
    """Close a sitting whose time is up, the grace included, with what was typed; return it as it then is."""
    over = sitting.ends_at is not None and now > sitting.ends_at + GRACE
    return submit(store, sitting.id, now=now) if over and sitting.submitted_at is None else sitting


def close_overdue(store: Store, *, now: datetime) -> int:
    """Close the sittings whose time is up, with what was typed; return how many."""
    return sum(
        submit(store, sitting_id, now=now).submitted_at is not None
        for sitting_id in store.overdue(now - GRACE)
    )


def _ignore(_: Grade) -> None:
    pass


def grade_at_once(
    store: Store, sitting_id: str, mode: GraderMode, *, now: datetime, on_grade: OnGrade = _ignore
) -> bool:
    """Grade what is not graded of a closed sitting by the embedded grader.

    Each grade is stored as it comes, without waiting for the disk, for it can be worked out again.
    Where `mode` wants a language model too, it is provisional. Return whether all grades are final.
    """
    sitting = store.sitting(sitting_id)
    if sitting.submitted_at is None:
        return False
    answers, grades = store.sitting_answers(sitting_id), store.sitting_grades(sitting_id)
    marked = store.marked_answers(sitting.paper_id)
    for number, question in enumerate(find_paper(store, sitting.paper_id).questions, 1):
        if number in grades:
            continue
        grade = _grade(question.card, _text(answers, number), marked.get(number, {}), sitting_id)
        if grading.wants_llm(grade, mode):
            grade = replace(grade, provisional=True)
        with store.transaction(synced=False):
            store.add_sitting_grade(sitting_id, number, grade, now)
        on_grade(grade)
        grades[number] = [grade]
    final = not any(found[-1].provisional for found in grades.values())
    if final != sitting.graded:
        store.set_graded(sitting_id, final)
    return final


async def ask_model(
    store: Store,
    sitting_id: str,
    mode: GraderMode,
    llm: LLM,
    *,
    deadline_s: float,
    now: datetime,
    on_grade: OnGrade = _ignore,
) -> bool:
    """Ask the language model about the provisional grades; return whether all are final after that."""
    sitting = store.sitting(sitting_id)
    paper = find_paper(store, sitting.paper_id)
    answers, grades = store.sitting_answers(sitting_id), store.sitting_grades(sitting_id)

    marked = store.marked_answers(sitting.paper_id)

    async def settle(number: int, question: Question) -> bool:
        if not grades[number][-1].provisional:
            return True
        text = _text(answers, number)
        rated = _others(marked.get(number, {}), sitting_id)
        verdict = await grading.grade(
            question.card,
            text,
            mode=mode,
            llm=llm,
            deadline_s=deadline_s,
            rated=rated,
            earlier=grades[number][-1],
        )
        await asyncio.to_thread(_keep, store, sitting, number, verdict, now)
        if not verdict.provisional:
            on_grade(verdict)
        return not verdict.provisional

    numbered = enumerate(paper.questions, 1)
    final = all(await asyncio.gather(*(settle(number, question) for number, question in numbered)))
    if final != sitting.graded:
        await asyncio.to_thread(store.set_graded, sitting_id, final)
    return final


def _keep(store: Store, sitting: Sitting, number: int, verdict: Grade, now: datetime) -> None:
    with store.transaction(synced=False):
        if sitting.learner:
            store.add_cost(sitting.learner, now.date().isoformat(), verdict.provenance.cost_usd)
        if not verdict.provisional:
            store.add_sitting_grade(sitting.id, number, verdict, now)


def _text(answers: dict[int, SittingAnswer], number: int) -> str:
    return answers[number].text if number in answers else ""


def regrade(store: Store, paper_id: str, *, now: datetime) -> int:
    """Grade every closed sitting of a paper anew, with this version and the marks so far.

    Both grades are kept; a language model's verdict stands while the version is the same. Return
    how many are new.
    """
    count = 0
    marked = store.marked_answers(paper_id)
    paper = find_paper(store, paper_id)
    for sitting in store.sittings(paper_id):
        if sitting.submitted_at is None:
            continue
        answers, grades = store.sitting_answers(sitting.id), store.sitting_grades(sitting.id)
        for number, question in enumerate(paper.questions, 1):
            grade = _grade(question.card, _text(answers, number), marked.get(number, {}), sitting.id)
            known = grades.get(number, [])
            if not known or _outdated(known[-1], grade):
                store.add_sitting_grade(sitting.id, number, grade, now)
                count += 1
    return count


def _grade(card: Card, text: str, marked: Mapping[str, RatedAnswer], sitting_id: str) -> Grade:
    """Grade by the embedded grader, with what was marked in other sittings."""
    return grading.grade_embedded(card, text, _others(marked, sitting_id))


def _others(marked: Mapping[str, RatedAnswer], sitting_id: str) -> tuple[RatedAnswer, ...]:
    return tuple(rated for other, rated in marked.items() if other != sitting_id)


def _outdated(known: Grade, fresh: Grade) -> bool:
    if known.provenance.calibration != fresh.provenance.calibration:
        return True
    return known.decided_by is DecidedBy.EMBEDDED and known.rating != fresh.rating


def report(store: Store, sitting_id: str) -> Report:
    """Return a sitting's outcome by now. Raises NotFoundError, ConflictError while it is open."""
    sitting = store.sitting(sitting_id)
    if sitting.submitted_at is None:
        raise ConflictError("this sitting is not submitted yet")
    paper = find_paper(store, sitting.paper_id)
    answers, grades = store.sitting_answers(sitting_id), store.sitting_grades(sitting_id)
    marks, appeals = store.marks(sitting_id), store.appeals(sitting_id)
    items = tuple(
        Item(
            number,
            question,
            _text(answers, number),
            tuple(grades.get(number, ())),
            marks.get(number),
            tuple(one for one in appeals if one.number == number),
        )
        for number, question in enumerate(paper.questions, 1)
    )
    return Report(sitting, paper, items)


def mark(
    store: Store,
    sitting_id: str,
    number: int,
    rating: int,
    reason: str = "",
    *,
    paper_id: str | None = None,
    now: datetime,
) -> None:
    """Let a teacher's rating stand.

    Raises NotFoundError, also where the sitting is not of the paper that is named; InputError;
    ConflictError while it is open.
    """
    if paper_id is not None and store.sitting(sitting_id).paper_id != paper_id:
        raise NotFoundError("this sitting is not of this paper")
    if rating not in RATINGS:
        raise InputError(f"the rating is {rating!r}; it must be a whole number from 1 to 5")
    practice.check_text("reason", reason, practice.MAX_REASON)
    _closed_question(store, sitting_id, number)
    store.add_mark(sitting_id, Mark(number, rating, reason, now))


def appeal(store: Store, sitting_id: str, number: int, text: str, *, now: datetime) -> None:
    """Ask for another look at a grade. Raises NotFoundError, InputError, ConflictError."""
    practice.check_text("appeal", text, practice.MAX_REASON)
    if not text.strip():
        raise InputError("an appeal needs a reason")
    _closed_question(store, sitting_id, number)
    if len([one for one in store.appeals(sitting_id) if one.number == number]) >= 5:
        raise ConflictError("there are five appeals about this answer already")
    store.add_appeal(sitting_id, Appeal(number, text, now))


def _closed_question(store: Store, sitting_id: str, number: int) -> None:
    sitting = store.sitting(sitting_id)
    if sitting.submitted_at is None:
        raise ConflictError("this sitting is not submitted yet")
    if not 1 <= number <= len(find_paper(store, sitting.paper_id).questions):
        raise InputError(f"there is no question {number}")


def feed_schedule(store: Store, sitting_id: str, *, now: datetime, who: Identity = LOCAL) -> int:
    """Let a sitting's answers count as the learner's reviews, once; return how many did.

    Cards that are not there any more, or not for `who` to see, do not.
    """
    found = report(store, sitting_id)
    if not store.set_in_schedule(sitting_id):
        return 0
    count = 0
    for item in found.items:
        try:
            access.check_card(store, who, item.question.card.id)
        except NotFoundError:
            continue
        count += 1
        result = practice.submit(
            store,
            learner=who.learner,
            card_id=item.question.card.id,
            answer=item.answer,
            client_answer_id=f"exam-{sitting_id}-{item.number}",
            elapsed_ms=None,
            mode=GraderMode.EMBEDDED,
            now=now,
        )
        if item.mark and item.mark.rating != result.rating:
            practice.override(store, result.answer_id, item.mark.rating, "a teacher's mark", now=now)
    return count


def _mean(rows: Sequence[tuple[float, float]]) -> float:
    total = sum(weight for _, weight in rows)
    return sum(value * weight for value, weight in rows) / total if total else 0.0
