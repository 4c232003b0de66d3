"""What one running service holds: its store, its language model, and answers waiting for a verdict."""

import asyncio
import gc
import hmac
import logging
import secrets
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI, Request

from freerecall import access, accounts, exams, grading, library, llm_wire, practice
from freerecall.access import LOCAL, Identity
from freerecall.accounts import today
from freerecall.api.metrics import Metrics
from freerecall.errors import FreerecallError, NotFoundError, TooManyError
from freerecall.grades import GraderMode
from freerecall.llm import LLM, from_settings
from freerecall.llm_breaker import Breaker
from freerecall.settings import Settings
from freerecall.store import Store
from freerecall.throttle import Backoff, Rate

RETRY_FIRST_S, RETRY_MOST_S = 15.0, 600.0
EXAM_EVERY_S = 5.0
_AT_ONCE = 8
_UPLOADS, _UPLOADS_EACH = 8, 2
_log = logging.getLogger(__name__)
_T = TypeVar("_T")


def now() -> datetime:
    """Return the time in UTC: the clock is read here and nowhere below."""
    return datetime.now(UTC)


class Service:
    """Made when the service starts. Who asks comes with each request."""

    def __init__(self, settings: Settings, metrics: Metrics, asking: BlockingPortal) -> None:
        self.settings = settings
        self._asking = asking
        """An event loop of its own for all that asks the model: no request waits behind a verdict."""
        self.store = Store.open(settings.database)
        self.door = Store.open(settings.database)
        """For the guard and the rules, which only read: they never wait for a write."""
        self.llm: LLM | None = from_settings(settings, Breaker())
        self.metrics = metrics
        metrics.watch(self.store, self.llm)
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._exam_wake = asyncio.Event()
        self.ready = threading.Event()
        self._waiting: dict[str, list[asyncio.Event]] = {}
        self.leaving = False
        self._uploads: dict[str, tuple[str, str, bytes]] = {}
        self._uploading = threading.Lock()
        # A school may share one address, so these are ten times as generous as those of one learner.
        self.changes, self.arrivals = Rate(settings.rate), Rate(10 * settings.rate)
        self.logins = (Backoff(free=5), Backoff(free=100))

    @property
    def mode(self) -> GraderMode:
        return self.settings.grader

    def submit(
        self,
        who: Identity,
        card_id: str,
        answer: str,
        client_answer_id: str,
        elapsed_ms: int | None,
        *,
        scheduled: bool = True,
        session: str = "",
        hints: int = 0,
    ) -> practice.AnswerResult:
        """Store and grade an answer; a verdict that is still to come is asked for in the background.

        Raises NotFoundError, also for a card that is not for `who` to see.
        """
        access.check_card(self.store, who, card_id)
        result = practice.submit(
            self.store,
            card_id=card_id,
            answer=answer,
            client_answer_id=client_answer_id,
            elapsed_ms=elapsed_ms,
            mode=self.mode,
            now=now(),
            learner=who.learner,
            scheduled=scheduled,
            session=session,
            hints=hints,
        )
        self.metrics.graded(result.grade, "practice")
        if result.pending and self.llm is not None:
            if not self.asks_model(who.learner):
                self._pending(0)  # notes the reason
                return practice.result(self.store, result.answer_id)
            self._soon(self._wake.set)
        return result

    async def ask(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """Await what asks the model, where it does not keep other requests waiting."""
        return await asyncio.wrap_future(self._asking.start_task_soon(ask))

    def _soon(self, wake: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # stopping: what is stored is taken up at the next start
            self._asking.start_task_soon(wake)

    def begin(self) -> None:
        """Begin to grade exams and, with a model, to settle pending answers."""
        self._asking.start_task_soon(self.grade_exams)
        if self.llm is not None:
            self._asking.start_task_soon(self.settle_pending)

    def _pending(self, limit: int) -> list[str]:
        budget = self.settings.learner_budget_usd
        return practice.pending(self.store, limit, day=today(now()), budget_usd=budget)

    async def settle_pending(self) -> None:
        """Ask the model about pending answers for ever; after a failure, wait longer each time."""
        wait = RETRY_FIRST_S
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait)
            self._wake.clear()
            try:
                ids = await asyncio.to_thread(self._pending, _AT_ONCE)
                results = await asyncio.gather(*(self._settle(answer_id) for answer_id in ids))
            except Exception:  # a full disk, say, must not end the asking
                _log.exception("pending answers cannot be read")
                ids, results = [], [False]
            if all(results):
                wait = RETRY_FIRST_S
                if len(ids) == _AT_ONCE:
                    self._wake.set()
            else:
                wait = min(wait * 2, RETRY_MOST_S)

    async def _settle(self, answer_id: str) -> bool:
        try:
            result = await practice.settle(
                self.store, answer_id, self.llm, self.mode, deadline_s=2 * self.settings.deadline_s, now=now()
            )
        except FreerecallError:
            _log.exception("answer %s cannot be settled", answer_id)
            return False
        finally:
            self._loop.call_soon_threadsafe(self._tell, answer_id)
        if not result.pending:
            self.metrics.graded(result.grade, "verdict")
        return not result.pending

    def asks_model(self, learner: str) -> bool:
        """Say whether a model is asked for a learner: there is one, and today's budget is not spent."""
        limit = self.settings.learner_budget_usd
        if self.llm is None or limit is None:
            return self.llm is not None
        return self.store.spent(learner, today(now())) < limit

    @property
    def budget_spent(self) -> str:
        """What a grade says where the model was not asked for want of budget."""
        return practice.BUDGET_SPENT.format(self.settings.learner_budget_usd or 0)

    def count_cost(self, learner: str, usd: float) -> None:
        """Add what the model cost for a learner to today's spending."""
        self.store.add_cost(learner, today(now()), usd)

    def exam_submitted(self) -> None:
        """Have a submitted sitting graded soon; callable from any thread."""
        self._soon(self._exam_wake.set)

    async def grade_exams(self) -> None:
        """Close sittings whose time is up, and grade those that are closed, for ever.

        What waits for a model is asked about again after a while, longer after each failure.
        """
        wait, ask_from = RETRY_FIRST_S, 0.0
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._exam_wake.wait(), EXAM_EVERY_S)
            self._exam_wake.clear()
            try:
                await asyncio.to_thread(exams.close_overdue, self.store, now=now())
                asking = time.monotonic() >= ask_from
                if not await self._grade_sittings(asking):
                    ask_from = time.monotonic() + wait
                    wait = min(2 * wait, RETRY_MOST_S)
                elif asking:
                    wait = RETRY_FIRST_S
            except Exception:  # one sitting that cannot be graded must not end the grading of others
                _log.exception("a sitting cannot be graded")

    async def _grade_sittings(self, asking: bool) -> bool:
        """Grade what is closed, `asking` the model too; return False where it failed."""
        mode = self.mode if self.llm is not None else GraderMode.EMBEDDED
        well = True
        for sitting_id in await asyncio.to_thread(self.store.ungraded_sittings, 1_000):
            final = await asyncio.to_thread(
                exams.grade_at_once,
                self.store,
                sitting_id,
                mode,
                now=now(),
                on_grade=lambda grade: self.metrics.graded(grade, "exam"),
            )
            if final or self.llm is None or not (asking and well):
                continue
            learner = (await asyncio.to_thread(self.store.sitting, sitting_id)).learner
            if learner and not await asyncio.to_thread(self.asks_model, learner):
                await asyncio.to_thread(self.store.note_sitting, sitting_id, self.budget_spent)
                continue
            well = await exams.ask_model(
                self.store,
                sitting_id,
                mode,
                self.llm,
                deadline_s=2 * self.settings.deadline_s,
                now=now(),
                on_grade=lambda grade: self.metrics.graded(grade, "verdict"),
            )
        return well

    def leave(self) -> None:
        """The service is about to stop: nobody waits any longer. To be called in the requests' event loop."""
        self.leaving = True
        for answer_id in list(self._waiting):
            self._tell(answer_id)

    def _tell(self, answer_id: str) -> None:
        for event in self._waiting.pop(answer_id, ()):
            event.set()

    async def tried(self, answer_id: str, timeout_s: float) -> bool:
        """Wait until the model was asked about an answer; False where that took too long."""
        event = asyncio.Event()
        self._waiting.setdefault(answer_id, []).append(event)
        try:
            await asyncio.wait_for(event.wait(), timeout_s)
        except TimeoutError:
            return False
        finally:
            if event in (others := self._waiting.get(answer_id, [])):
                others.remove(event)
                if not others:
                    del self._waiting[answer_id]
        return True

    def keep_upload(self, who: Identity, name: str, content: bytes) -> str:
        """Keep an upload in memory until it is confirmed; older ones give way, the learner's own first.

        Return the key to ask for it by.
        """
        key = secrets.token_urlsafe(16)
        with self._uploading:
            own = [other for other, (learner, *_) in self._uploads.items() if learner == who.learner]
            for other in own[: len(own) - _UPLOADS_EACH + 1] if len(own) >= _UPLOADS_EACH else ():
                del self._uploads[other]
            self._uploads[key] = (who.learner, name, content)
            while len(self._uploads) > _UPLOADS:
                del self._uploads[next(iter(self._uploads))]
        return key

    def take_upload(self, who: Identity, key: str) -> tuple[str, bytes]:
        """Return an own upload and forget it. Raises NotFoundError where it is gone, or another's."""
        with self._uploading:
            if key not in self._uploads or self._uploads[key][0] != who.learner:
                raise NotFoundError("this upload is not here any more; choose the file again")
            _, name, content = self._uploads.pop(key)
        return name, content

    def drop_uploads(self, who: Identity) -> None:
        """Forget an erased learner's uploads."""
        with self._uploading:
            self._uploads = {key: row for key, row in self._uploads.items() if row[0] != who.learner}

    def login(self, name: str, password: str, address: str, agent: str) -> str | None:
        """Return a new session's id, None for a wrong name or password (or token, while no account is there).

        Raises TooManyError after many failures with this name or from this address.
        """
        by_name, by_address = self.logins
        key = accounts.folded(name)[: accounts.MAX_ACCOUNT_NAME]
        wait = max(by_name.left(key) if key else 0.0, by_address.left(address))
        if wait:
            raise TooManyError("Too many failed logins: wait a little.", wait)
        by_address.fail(address)
        if key:
            by_name.fail(key)
        learner, token = "", ""
        if self.store.has_accounts():
            try:
                account = accounts.verify(self.store, name, password)
            except TooManyError:  # nothing was tried
                by_name.take_back(key)
                by_address.take_back(address)
                raise
            learner = account.learner if account else ""
        elif (expected := self.settings.token) and hmac.compare_digest(password.encode(), expected.encode()):
            learner, token = LOCAL.learner, expected
        if not learner:
            return None
        by_name.forgive(key)
        by_address.take_back(address)
        return accounts.begin_session(self.store, learner, now=now(), agent=agent, token=token)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the store with the bundled decks, then warm up in the background; close in order."""
    with start_blocking_portal(name="asking") as asking:
        service = Service(app.state.settings, app.state.metrics, asking)
        app.state.service = service
        library.load_bundled(service.store)
        warming = threading.Thread(target=_warm, args=(service,), name="warm", daemon=True)
        warming.start()
        service.begin()
        try:
            yield
        finally:
            service.leave()
            await asyncio.to_thread(asking.call, asking.stop, True)
            await asyncio.to_thread(warming.join)
    service.store.close()
    service.door.close()


def _warm(service: Service) -> None:
    grading.warm()
    if service.llm is not None:
        llm_wire.warm(service.llm.by_litellm)
    gc.collect()
    gc.freeze()  # modules and vectors stay: to look through them again costs every request 0.1 s
    practice.recover(service.store, now(), enough=lambda: service.leaving)
    service.ready.set()


async def service_of(request: Request) -> Service:
    """The dependency that gives a route its service; async, for a thread would cost more than it does."""
    service: Service = request.app.state.service
    return service
