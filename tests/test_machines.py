"""Whatever is done in whatever order: an exam and a learner's practice stay consistent (state machines)."""

import contextlib
import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from freerecall import exams, library, papers, practice
from freerecall.cards import Card, Deck, KeyPoint, Kind
from freerecall.errors import ConflictError
from freerecall.grades import GraderMode
from freerecall.papers import Paper, Spec
from freerecall.store import DeckSettings, Only, Session, Store
from freerecall.store.check import check

EXAMPLES = int(os.environ.get("FREERECALL_FUZZ", "25"))
START = datetime(2026, 4, 1, 9, tzinfo=UTC)
CARDS = tuple(
    Card(
        f"d:{n}",
        f"Name the two halves of {word}.",
        f"{word} day and {word} night",
        Kind.LIST,
        (KeyPoint(f"{word} day"), KeyPoint(f"{word} night")),
        tags=("odd" if n % 2 else "even",),
    )
    for n, word in enumerate(["june", "july", "may", "march"])
)
DECK = Deck("d", "Halves", CARDS)
TEXTS = st.sampled_from(
    ["june day and june night", "july day", "may night, may day", "a balloon", "", "NUL \0 ?"]
)
NUMBERS = st.integers(1, 3)
LEARNERS = st.sampled_from(["local", "other"])


class Machine(RuleBasedStateMachine):
    """A store, and a clock that mostly goes forward."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store.open(Path(self.folder.name) / "f.db")
        self.store.put_deck(DECK)
        self.store.add_learner("other")
        self.now = START

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @rule(minutes=st.sampled_from([-2, 0, 1, 7, 60, 60 * 24, 60 * 24 * 30]))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @invariant()
    def the_store_is_sound(self) -> None:
        assert check(self.store) == []


class ExamMachine(Machine):
    """`typed` is what was acknowledged; `closed` what a sitting held when it was closed."""

    sittings = Bundle("sittings")

    def __init__(self) -> None:
        super().__init__()
        self.paper: Paper = papers.compose(self.store, Spec(decks=("d",), count=3, minutes=5), now=START)
        self.typed: dict[tuple[str, int], tuple[str, int]] = {}
        self.marks: dict[tuple[str, int], int] = {}
        self.grades: dict[tuple[str, int], int] = {}

    def closed(self, sitting: str) -> bool:
        return self.store.sitting(sitting).submitted_at is not None

    @rule(target=sittings)
    def start(self) -> str:
        return exams.start(self.store, self.paper.id, "Ada", now=self.now).id

    @rule(sitting=sittings, number=NUMBERS, text=TEXTS, revision=st.integers(0, 4))
    def save(self, sitting: str, number: int, text: str, revision: int) -> None:
        was_closed = self.closed(sitting)
        try:
            kept = exams.save(self.store, sitting, number, text, revision=revision, now=self.now)
        except ConflictError:
            assert self.closed(sitting)
            return
        assert not was_closed
        before = self.typed.get((sitting, number))
        assert kept == (before is None or revision > before[1])
        if kept:
            self.typed[sitting, number] = text, revision

    @rule(sitting=sittings)
    def submit(self, sitting: str) -> None:
        first = exams.submit(self.store, sitting, now=self.now)
        assert exams.submit(self.store, sitting, now=self.now + timedelta(hours=1)) == first

    @rule()
    def close_overdue(self) -> None:
        exams.close_overdue(self.store, now=self.now)

    @rule(sitting=sittings, wants_model=st.booleans())
    def grade(self, sitting: str, wants_model: bool) -> None:
        mode = GraderMode.LLM if wants_model else GraderMode.EMBEDDED
        final = exams.grade_at_once(self.store, sitting, mode, now=self.now)
        assert not (final and not self.closed(sitting))

    @rule(sitting=sittings, number=NUMBERS, rating=st.integers(1, 5))
    def mark(self, sitting: str, number: int, rating: int) -> None:
        try:
            exams.mark(self.store, sitting, number, rating, now=self.now)
        except ConflictError:
            assert not self.closed(sitting)
        else:
            self.marks[sitting, number] = rating

    @rule(sitting=sittings, number=NUMBERS)
    def appeal(self, sitting: str, number: int) -> None:
        with contextlib.suppress(ConflictError):
            exams.appeal(self.store, sitting, number, "look again", now=self.now)

    @rule()
    def regrade(self) -> None:
        exams.regrade(self.store, self.paper.id, now=self.now)
        assert exams.regrade(self.store, self.paper.id, now=self.now) == 0

    @rule(sitting=sittings)
    def read(self, sitting: str) -> None:
        try:
            found = exams.report(self.store, sitting)
        except ConflictError:
            assert not self.closed(sitting)
            return
        assert sum(item.points for item in found.items) / len(found.items) == found.share
        low, high = found.interval
        assert 0 <= low <= found.share <= high <= 1
        for item in found.items:
            assert len(item.grades) >= self.grades.get((sitting, item.number), 0), "no grade goes away"
            self.grades[sitting, item.number] = len(item.grades)
            given = self.marks.get((sitting, item.number))
            assert item.mark is None if given is None else item.rating == given

    @invariant()
    def what_was_acknowledged_is_there(self) -> None:
        for (sitting, number), (text, revision) in self.typed.items():
            kept = self.store.sitting_answers(sitting)[number]
            assert (kept.text, kept.revision) == (text, revision)


class PracticeMachine(Machine):
    """Two learners with one deck; `given` is what was acknowledged to each."""

    answers = Bundle("answers")

    def __init__(self) -> None:
        super().__init__()
        self.given: dict[str, tuple[str, str]] = {}
        self.count = 0

    @rule(
        target=answers,
        learner=LEARNERS,
        card=st.sampled_from(CARDS),
        text=TEXTS,
        scheduled=st.booleans(),
        wants_model=st.booleans(),
    )
    def answer(self, learner: str, card: Card, text: str, scheduled: bool, wants_model: bool) -> str:
        self.count += 1
        mode = GraderMode.LLM if wants_model else GraderMode.EMBEDDED
        results = [
            practice.submit(
                self.store,
                card_id=card.id,
                answer=text,
                client_answer_id=str(self.count),
                elapsed_ms=1,
                mode=mode,
                now=self.now,
                learner=learner,
                scheduled=scheduled,
            )
            for _ in range(2)
        ]
        assert results[0] == results[1], "sent twice, it counts once"
        self.given[results[0].answer_id] = learner, text
        return results[0].answer_id

    @rule(answer=answers, rating=st.integers(1, 5))
    def override(self, answer: str, rating: int) -> None:
        other = next(name for name in ("local", "other") if name != self.given[answer][0])
        before = [self.store.card_state(other, card.id) for card in CARDS]
        try:
            assert practice.override(self.store, answer, rating, now=self.now).rating == rating
        except ConflictError:
            assert self.store.answer(answer).undone
        assert [self.store.card_state(other, card.id) for card in CARDS] == before, "not the other's affair"

    @rule(target=answers, answer=consumes(answers))
    def undo(self, answer: str) -> object:
        try:
            practice.undo(self.store, answer)
        except ConflictError:
            return answer
        return multiple()

    @rule(learner=LEARNERS, card=st.sampled_from(CARDS), how=st.sampled_from(library.HOLDS))
    def hold(self, learner: str, card: Card, how: str) -> None:
        library.hold(self.store, card.id, how, now=self.now, learner=learner)

    @rule(learner=LEARNERS, new=st.none() | st.integers(0, 3), reviews=st.none() | st.integers(0, 3))
    def limit(self, learner: str, new: int | None, reviews: int | None) -> None:
        library.configure(self.store, "d", DeckSettings(new, reviews), learner)

    @rule(cards=st.lists(st.sampled_from(CARDS), min_size=1, unique=True))
    def bring_again(self, cards: list[Card]) -> None:
        self.store.put_deck(Deck("d", "Halves", tuple(cards)))

    @rule(
        learner=LEARNERS,
        only=st.sampled_from(Only),
        tag=st.sampled_from(["", "odd"]),
        seed=st.none() | st.just(3),
    )
    def next_card(self, learner: str, only: Only, tag: str, seed: int | None) -> None:
        found = practice.next_card(
            self.store, "d", now=self.now, learner=learner, session=Session(only, tag, seed, "s")
        )
        if found.card is not None:
            assert found.card.id in {card.id for card in self.store.cards("d")}
            assert not tag or tag in found.card.tags

    @invariant()
    def what_was_acknowledged_is_there(self) -> None:
        for answer, (learner, text) in self.given.items():
            row = self.store.answer(answer)
            assert (row.learner, row.text) == (learner, text)
            if not row.undone:
                assert practice.result(self.store, answer).rating in range(1, 6)


TestExams = ExamMachine.TestCase
TestExams.settings = settings(max_examples=EXAMPLES, stateful_step_count=25, deadline=None, derandomize=True)
TestPractice = PracticeMachine.TestCase
TestPractice.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=25, deadline=None, derandomize=True
)
