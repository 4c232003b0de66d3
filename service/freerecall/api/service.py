"""What one running service holds: its store, its language model, and answers waiting for a verdict."""

import asyncio
import gc
import hmac
import secrets
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from anyio import to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI, Request

from freerecall import access, accounts, grading, library, llm_wire, practice
from freerecall.access import LOCAL, Identity
from freerecall.accounts import today
from freerecall.api.clock import now
from freerecall.api.metrics import Metrics
from freerecall.api.settling import Settling
from freerecall.errors import NotFoundError, TooManyError
from freerecall.grades import GraderMode
from freerecall.llm import LLM, from_settings
from freerecall.llm_breaker import Breaker
from freerecall.settings import Settings
from freerecall.store import Store
from freerecall.throttle import Backoff, Rate

_UPLOADS, _UPLOADS_EACH = 8, 2
_THREADS = 16
"""Requests worked on at once. More would wait for a processor anyway, and each thread keeps memory."""
_T = TypeVar("_T")


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
        self._loop = asyncio.get_running_loop()
        self._settling = Settling(
            self.store,
            self.llm,
            settings,
            metrics,
            asks=self.asks_model,
            told=self._tried,
        )
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
                self._settling.pending(0)  # notes the reason
                return practice.result(self.store, result.answer_id)
            if held_back := self.llm.held_back:
                self.store.note_held(result.answer_id, held_back)
                return practice.result(self.store, result.answer_id)
            self._soon(self._settling.answers_wake.set)
        return result

    async def ask(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """Await what asks the model, where it does not keep other requests waiting."""
        return await asyncio.wrap_future(self._asking.start_task_soon(ask))

    def _soon(self, wake: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # stopping: what is stored is taken up at the next start
            self._asking.start_task_soon(wake)

    def begin(self) -> None:
        """Begin to grade exams and, with a model, to settle pending answers."""
        self._asking.start_task_soon(self._settling.run)

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
        self._soon(self._settling.exams_wake.set)

    def leave(self) -> None:
        """The service is about to stop: nobody waits any longer. To be called in the requests' event loop."""
        self.leaving = True
        for answer_id in list(self._waiting):
            self._tell(answer_id)

    def _tried(self, answer_id: str) -> None:
        self._loop.call_soon_threadsafe(self._tell, answer_id)

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
    to_thread.current_default_thread_limiter().total_tokens = _THREADS
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
