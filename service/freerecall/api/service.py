"""What one running service holds: its store, its language model, and answers waiting for a verdict."""

import asyncio
import logging
import secrets
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

from fastapi import FastAPI, Request

from freerecall import exams, grading, library, practice
from freerecall.errors import FreerecallError, NotFoundError
from freerecall.grades import GraderMode
from freerecall.llm import LLM, from_settings
from freerecall.settings import Settings
from freerecall.store import Store

SETTLE_DEADLINE_S = 60.0
RETRY_FIRST_S, RETRY_MOST_S = 15.0, 600.0
EXAM_EVERY_S = 5.0
_AT_ONCE, _UPLOADS = 8, 4
_log = logging.getLogger(__name__)


def now() -> datetime:
    """Return the time in UTC: the clock is read here and nowhere below."""
    return datetime.now(UTC)


class Service:
    """Made when the service starts. `learner` is the only one there is on loopback."""

    learner = "local"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store.open(settings.database)
        self.llm: LLM | None = from_settings(settings)
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._exam_wake = asyncio.Event()
        self.ready = threading.Event()
        self._waiting: dict[str, list[asyncio.Event]] = {}
        self._uploads: dict[str, tuple[str, bytes]] = {}

    @property
    def mode(self) -> GraderMode:
        return self.settings.grader

    def submit(
        self,
        card_id: str,
        answer: str,
        client_answer_id: str,
        elapsed_ms: int | None,
        *,
        scheduled: bool = True,
        session: str = "",
        hints: int = 0,
    ) -> practice.AnswerResult:
        """Store and grade an answer; a verdict that is still to come is asked for in the background."""
        result = practice.submit(
            self.store,
            card_id=card_id,
            answer=answer,
            client_answer_id=client_answer_id,
            elapsed_ms=elapsed_ms,
            mode=self.mode,
            now=now(),
            learner=self.learner,
            scheduled=scheduled,
            session=session,
            hints=hints,
        )
        if result.pending and self.llm is not None:
            self._loop.call_soon_threadsafe(self._wake.set)
        return result

    async def settle_pending(self) -> None:
        """Ask the model about pending answers for ever; after a failure, wait longer each time."""
        wait = RETRY_FIRST_S
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait)
            self._wake.clear()
            ids = await asyncio.to_thread(practice.pending, self.store, _AT_ONCE)
            results = await asyncio.gather(*(self._settle(answer_id) for answer_id in ids))
            if all(results):
                wait = RETRY_FIRST_S
                if len(ids) == _AT_ONCE:
                    self._wake.set()
            else:
                wait = min(wait * 2, RETRY_MOST_S)

    async def _settle(self, answer_id: str) -> bool:
        try:
            result = await practice.settle(
                self.store, answer_id, self.llm, self.mode, deadline_s=SETTLE_DEADLINE_S, now=now()
            )
        except FreerecallError:
            _log.exception("answer %s cannot be settled", answer_id)
            return False
        finally:
            for waiting in self._waiting.pop(answer_id, ()):
                waiting.set()
        return not result.pending

    def exam_submitted(self) -> None:
        """Have a submitted sitting graded soon; callable from any thread."""
        self._loop.call_soon_threadsafe(self._exam_wake.set)

    async def grade_exams(self) -> None:
        """Close sittings whose time is up, and grade those that are closed, for ever."""
        mode = self.mode if self.llm is not None else GraderMode.EMBEDDED
        stuck: set[str] = set()
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._exam_wake.wait(), EXAM_EVERY_S)
            self._exam_wake.clear()
            try:
                await asyncio.to_thread(exams.close_overdue, self.store, now=now())
                ids = await asyncio.to_thread(self.store.ungraded_sittings, 1_000)
                for sitting_id in ids:
                    if sitting_id in stuck:
                        continue
                    final = await asyncio.to_thread(
                        exams.grade_at_once, self.store, sitting_id, mode, now=now()
                    )
                    if final or self.llm is None:
                        continue
                    if not await exams.ask_model(
                        self.store, sitting_id, mode, self.llm, deadline_s=SETTLE_DEADLINE_S, now=now()
                    ):
                        stuck.add(sitting_id)  # asked again after the pause
                if not ids or stuck.issuperset(ids):
                    stuck.clear()
            except Exception:  # one sitting that cannot be graded must not end the grading of others
                _log.exception("a sitting cannot be graded")

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

    def keep_upload(self, name: str, content: bytes) -> str:
        """Keep an upload in memory until it is confirmed; the oldest give way. Return its name to ask by."""
        key = secrets.token_urlsafe(16)
        self._uploads[key] = (name, content)
        while len(self._uploads) > _UPLOADS:
            del self._uploads[next(iter(self._uploads))]
        return key

    def take_upload(self, key: str) -> tuple[str, bytes]:
        """Return an upload and forget it. Raises NotFoundError where it is gone."""
        if key not in self._uploads:
            raise NotFoundError("this upload is not here any more; choose the file again")
        return self._uploads.pop(key)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the store with the bundled decks, then warm up in the background; close in order."""
    service = Service(app.state.settings)
    app.state.service = service
    library.load_bundled(service.store)
    warming = threading.Thread(target=_warm, args=(service,), name="warm", daemon=True)
    warming.start()
    tasks = [asyncio.create_task(service.grade_exams())]
    if service.llm:
        tasks.append(asyncio.create_task(service.settle_pending()))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await asyncio.to_thread(warming.join)
        service.store.close()


def _warm(service: Service) -> None:
    grading.warm()
    practice.recover(service.store, now())
    service.ready.set()


def service_of(request: Request) -> Service:
    """The dependency that gives a route its service."""
    service: Service = request.app.state.service
    return service
