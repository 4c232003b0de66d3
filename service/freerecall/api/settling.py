"""What goes on in the background: sittings are graded, and a model is asked for its verdicts.

All of it in an event loop of its own, so that no request waits behind it. A model that is down is
left alone (see llm_breaker); an answer that it could not settle waits ever longer for its next turn.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from freerecall import exams, practice
from freerecall.accounts import today
from freerecall.api.clock import now
from freerecall.api.metrics import Metrics
from freerecall.errors import FreerecallError
from freerecall.grades import Grade, GraderMode
from freerecall.llm import LLM, turn
from freerecall.settings import Settings
from freerecall.store import Store
from freerecall.throttle import Backoff

RETRY_FIRST_S, RETRY_MOST_S = 15.0, 600.0
EXAM_EVERY_S = 5.0
AT_ONCE = 4
"""Answers that are asked about together: as many as the model is sent at a time."""
STEP_S, LONGEST_STEP_S = 0.005, 0.1
"""Work in the background begins no sooner than this after the one before, and waits for requests
under way at most so long: there is one interpreter for both."""
_LISTED = 1_000
_FAILED_IN_A_ROW = 3
_log = logging.getLogger(__name__)


def _pauses() -> Backoff:
    return Backoff(free=1, most_s=RETRY_MOST_S, forget_s=math.inf, first_s=RETRY_FIRST_S)


@dataclass
class Brake:
    """Holds back what failed before while nothing succeeds, longer each time."""

    clock: Callable[[], float] = time.monotonic
    failures: int = 0
    wait_s: float = 0.0
    ends: float = -math.inf

    @property
    def on(self) -> bool:
        return self.clock() < self.ends

    def note(self, well: bool) -> None:
        if well:
            self.failures, self.wait_s, self.ends = 0, 0.0, -math.inf
            return
        self.failures += 1
        if self.failures >= _FAILED_IN_A_ROW:
            self.wait_s = min(2 * self.wait_s or RETRY_FIRST_S, RETRY_MOST_S)
            self.ends = self.clock() + self.wait_s


@dataclass
class Settling:
    """`asks` says whether a model is asked for a learner; `told` hears of each answer that was tried.

    What wakes it is to be set in its own event loop.
    """

    store: Store
    llm: LLM | None
    settings: Settings
    metrics: Metrics
    asks: Callable[[str], bool]
    told: Callable[[str], None]
    answers_wake: asyncio.Event = field(default_factory=asyncio.Event)
    exams_wake: asyncio.Event = field(default_factory=asyncio.Event)
    _ask_wake: asyncio.Event = field(default_factory=asyncio.Event)
    _turns: asyncio.Lock = field(default_factory=asyncio.Lock)
    _brakes: tuple[Brake, Brake] = field(default_factory=lambda: (Brake(), Brake()))
    _pauses: tuple[Backoff, Backoff] = field(default_factory=lambda: (_pauses(), _pauses()))

    async def run(self) -> None:
        """Grade, and with a model ask, for ever."""
        turn.set(self._turn)
        work: list[Awaitable[None]] = [self._grade_sittings()]
        if self.llm is not None:
            work += [self._settle_answers(self.llm), self._ask_about_sittings(self.llm)]
        await asyncio.gather(*work)

    def pending(self, limit: int, *, tried: bool = True) -> list[str]:
        """Return answers to ask about; where a learner's budget is spent, their grades say so."""
        budget = self.settings.learner_budget_usd
        return practice.pending(self.store, limit, tried=tried, day=today(now()), budget_usd=budget)

    async def _settle_answers(self, llm: LLM) -> None:
        brake, pauses = self._brakes[0], self._pauses[0]
        while True:
            await _woken(self.answers_wake, RETRY_FIRST_S)
            try:
                while ids := await asyncio.to_thread(self._due, llm, brake, pauses):
                    results = await asyncio.gather(*(self._settle(llm, answer_id) for answer_id in ids))
                    for answer_id, well in zip(ids, results, strict=True):
                        pauses.forgive(answer_id) if well else pauses.fail(answer_id)
                    brake.note(any(results))
            except Exception:  # a full disk, say, must not end the asking
                _log.exception("pending answers cannot be read")

    def _due(self, llm: LLM, brake: Brake, pauses: Backoff) -> list[str]:
        """Return what to ask about next: new answers at once, others in their turn; a probe is one."""
        if llm.held_s:
            return []
        ids = [one for one in self.pending(_LISTED, tried=not brake.on) if not pauses.left(one)]
        return ids[: AT_ONCE if llm.up else 1]

    async def _turn(self) -> None:
        """Wait for a moment when no request is under way, though not for long; one after the other."""
        async with self._turns:
            ends = time.monotonic() + LONGEST_STEP_S
            await asyncio.sleep(STEP_S)
            while self.metrics.under_way and time.monotonic() < ends:
                await asyncio.sleep(STEP_S)

    async def _settle(self, llm: LLM, answer_id: str) -> bool:
        await self._turn()
        deadline_s = 2 * self.settings.deadline_s
        try:
            result = await practice.settle(
                self.store, answer_id, llm, self.settings.grader, deadline_s=deadline_s, now=now()
            )
        except FreerecallError:
            _log.exception("answer %s cannot be settled", answer_id)
            return False
        finally:
            self.told(answer_id)
        if not result.pending:
            self.metrics.graded(result.grade, "verdict")
        return not result.pending

    async def _grade_sittings(self) -> None:
        """Close sittings whose time is up, and grade those that are closed, for ever."""
        mode = self.settings.grader if self.llm is not None else GraderMode.EMBEDDED
        begun = True  # a kill may have left some half graded
        while True:
            try:
                await asyncio.to_thread(exams.close_overdue, self.store, now=now())
                for sitting_id in await asyncio.to_thread(self._ungraded, begun):
                    await self._turn()
                    await asyncio.to_thread(self._grade_at_once, sitting_id, mode)
                begun = False
            except Exception:  # one sitting that cannot be graded must not end the grading of others
                _log.exception("a sitting cannot be graded")
                begun = True
            self._ask_wake.set()
            await _woken(self.exams_wake, EXAM_EVERY_S)

    def _ungraded(self, begun: bool = True) -> list[str]:
        return self.store.ungraded_sittings(_LISTED, begun=begun)

    def _grade_at_once(self, sitting_id: str, mode: GraderMode) -> bool:
        return exams.grade_at_once(self.store, sitting_id, mode, now=now(), on_grade=self._graded("exam"))

    def _graded(self, way: str) -> Callable[[Grade], None]:
        return lambda grade: self.metrics.graded(grade, way)

    async def _ask_about_sittings(self, llm: LLM) -> None:
        brake, pauses = self._brakes[1], self._pauses[1]
        while True:
            await _woken(self._ask_wake, RETRY_FIRST_S)
            try:
                for sitting_id in await asyncio.to_thread(self._ungraded):
                    if llm.held_s or brake.on:
                        break
                    if pauses.left(sitting_id):
                        continue
                    pauses.fail(sitting_id)
                    if await self._ask_about(llm, sitting_id, brake):
                        pauses.forgive(sitting_id)
            except Exception:
                _log.exception("a sitting cannot be asked about")

    async def _ask_about(self, llm: LLM, sitting_id: str, brake: Brake) -> bool:
        """Ask about one sitting; return whether it is graded throughout."""
        await self._turn()
        mode = self.settings.grader
        learner = (await asyncio.to_thread(self.store.sitting, sitting_id)).learner
        if learner and not await asyncio.to_thread(self.asks, learner):
            spent = practice.BUDGET_SPENT.format(self.settings.learner_budget_usd or 0)
            await asyncio.to_thread(self.store.note_sitting, sitting_id, spent)
            return False
        if await asyncio.to_thread(self._grade_at_once, sitting_id, mode):
            return True
        verdicts: list[Grade] = []
        final = await exams.ask_model(
            self.store,
            sitting_id,
            mode,
            llm,
            deadline_s=2 * self.settings.deadline_s,
            now=now(),
            on_grade=verdicts.append,
        )
        for verdict in verdicts:
            self.metrics.graded(verdict, "verdict")
        brake.note(final or bool(verdicts))
        return final


async def _woken(wake: asyncio.Event, timeout_s: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(wake.wait(), timeout_s)
    wake.clear()
