"""The only door to a language model.

Which client speaks to it follows from the model's name:

- `name` or `openai/name`: the `openai` client, at `api_base` (any OpenAI-compatible server) or at OpenAI;
- `provider/name` (`anthropic/…`, `ollama/…`): LiteLLM, at `api_base` if given;
- `litellm/provider/name`: LiteLLM, whatever the provider;
- any other name with a slash, with `api_base`: the `openai` client, under that whole name.

Both are imported at the first call, never before.
"""

import asyncio
import json
import logging
import random
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

from freerecall.errors import (
    BudgetExceededError,
    HeldBackError,
    LLMError,
    LLMReplyError,
    LLMUnavailableError,
)
from freerecall.llm_breaker import FAILURES, Breaker
from freerecall.llm_cache import Cache, FileCache, cache_key
from freerecall.llm_prices import Price, is_local, price_of
from freerecall.llm_wire import (
    Call,
    Request,
    TokenLogprob,
    at,
    excerpt,
    litellm_call,
    openai_call,
    openai_client,
    read_logprobs,
    refusal,
    retry_after,
    route,
    translate,
    without,
)
from freerecall.settings import AUTO, Settings, api_host

log = logging.getLogger(__name__)

Message = Mapping[str, str]

MAX_TEXT = 50_000
"""Characters of a reply's text; a longer one is refused."""

Turn = Callable[[], Awaitable[None]]


async def _at_once() -> None:
    pass


turn: ContextVar[Turn] = ContextVar("turn", default=_at_once)
"""Awaited after a reply, before anything is made of it: work in the background gives way to requests."""

_TOP_LOGPROBS = 10


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model said, and what that took (US dollars, ms).

    A cached reply costs nothing and counts no tokens. With `price_known` False the model is on no
    price list, and `cost_usd` is 0 for want of better.
    """

    text: str
    model: str
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0
    latency_ms: float = 0.0
    cached: bool = False
    price_known: bool = True
    logprobs: tuple[TokenLogprob, ...] | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used. `unpriced` counts the calls whose cost is unknown, `failures` those that
    brought no reply, retries included in one, `unusable` the replies that could not be read."""

    calls: int = 0
    cache_hits: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0
    failures: int = 0
    unusable: int = 0


@dataclass
class _Connection:
    """What belongs to one event loop."""

    slots: asyncio.Semaphore
    opening: asyncio.Lock
    call: Call | None = None
    client: Any = None


class LLM:
    """A language model behind a deadline, retries, a concurrency limit, a budget and a cache.

    `budget_usd` caps `spent_usd` (already spent) plus what this process spends: no call starts once
    it is reached, calls under way are finished. `price` overrides the price list. `retries` is the
    number of further attempts, `retry_delay_s` the pause before the first; it doubles each time.
    `prompt` is how it is asked (see grading.fuse); `offers_logprobs` holds until a reply lacks them.
    With a `breaker`, calls fail at once while the provider is down.
    May be used from several threads and event loops.
    """

    def __init__(
        self,
        model: str,
        api_base: str = "",
        api_key: str = "",
        *,
        budget_usd: float | None = None,
        spent_usd: float = 0.0,
        price: Price | None = None,
        concurrency: int = 4,
        cache: Cache | None = None,
        retries: int = 2,
        retry_delay_s: float = 0.25,
        temperature: float = 0.0,
        seed: int = 0,
        prompt: str = AUTO,
        breaker: Breaker | None = None,
    ) -> None:
        self.model = model
        self.api_base = api_base
        self.prompt = prompt
        self.offers_logprobs = True
        self.api_key = api_key
        self._budget_usd = budget_usd
        self._price = price
        self._list_price: Price | None = None
        self._looked_up = False
        self.concurrency = concurrency
        self.cache = cache
        self._retries = retries
        self._retry_delay_s = retry_delay_s
        self._sampling = {"temperature": temperature, "seed": seed}
        self.by_litellm, self._name = route(model, api_base)
        self._where = _where(model, api_base)
        self._breaker = breaker
        self._lock = threading.Lock()
        self._usage = Usage(cost_usd=spent_usd)
        self._connections: WeakKeyDictionary[asyncio.AbstractEventLoop, _Connection] = WeakKeyDictionary()
        self._refused: frozenset[str] = frozenset()

    @property
    def usage(self) -> Usage:
        """What was used so far, `spent_usd` included."""
        return self._usage

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        schema: Mapping[str, Any] | None = None,
        deadline_s: float = 20.0,
        max_tokens: int = 400,
        logprobs: bool = False,
        usable: Callable[[str], bool] | None = None,
    ) -> Reply:
        """Return the model's reply to `messages` within `deadline_s` seconds, retries included.

        `schema` is the JSON Schema the text must follow; a server that cannot enforce it is asked for
        JSON, then for plain text. A reply that is not `usable` is returned but not cached.
        Raises LLMUnavailableError, LLMReplyError, BudgetExceededError, or LLMError for anything that
        only another setting can mend.
        """
        started = time.perf_counter()
        request: Request = {
            "model": self._name,
            "messages": [dict(message) for message in messages],
            "max_tokens": max_tokens,
            **self._sampling,
        }
        if schema is not None:
            spec = {"name": "reply", "strict": True, "schema": schema}
            request["response_format"] = {"type": "json_schema", "json_schema": spec}
        if logprobs:
            request |= {"logprobs": True, "top_logprobs": _TOP_LOGPROBS}
        key = cache_key(request=request, api_base=self.api_base, litellm=self.by_litellm)
        try:
            async with asyncio.timeout(deadline_s):
                if (hit := await self._from_cache(key)) and (usable is None or usable(hit.text)):
                    self._count(cache_hits=1)
                    return replace(hit, latency_ms=_since(started))
                self._check_breaker()
                reply = await self._attempts(request, time.monotonic() + deadline_s)
        except TimeoutError:
            self._failed()
            raise LLMUnavailableError(f"{self._where} did not reply within {deadline_s:g} s") from None
        except (HeldBackError, BudgetExceededError):
            raise
        except LLMReplyError:
            self._count(unusable=1)
            self._answered()
            raise
        except LLMError:
            self._failed()
            raise
        self._answered()
        await turn.get()()
        if logprobs and reply.logprobs is None:
            self.offers_logprobs = False
        reply = replace(reply, latency_ms=_since(started))
        if self.cache is not None and (usable is None or usable(reply.text)):
            await asyncio.to_thread(self.cache.set, key, json.dumps(asdict(reply)))
        return reply

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        connection = self._connections.pop(asyncio.get_running_loop(), None)
        if connection is not None and connection.client is not None:
            await connection.client.close()

    async def _attempts(self, request: Request, ends: float) -> Reply:
        """Ask until there is a reply, the attempts are used up, or a pause would outlast the deadline."""
        failures = 0
        while True:
            self._check_budget()
            try:
                return await self._ask(request, ends)
            except LLMUnavailableError as error:
                failures += 1
                pause = retry_after(error.__cause__)
                if pause is None:
                    pause = self._retry_delay_s * 2 ** (failures - 1) * random.uniform(0.75, 1.25)  # noqa: S311
                if failures > self._retries or time.monotonic() + pause >= ends:
                    raise
            await asyncio.sleep(pause)

    async def _ask(self, request: Request, ends: float) -> Reply:
        """Ask once; what the server refuses of the request is left out and not sent again."""
        connection = self._connection()
        async with connection.opening:
            call = connection.call = connection.call or await self._open(connection)
        refused = self._refused
        while True:
            sent = without(request, refused)
            try:
                async with connection.slots:
                    data = await call(sent, max(ends - time.monotonic(), 0.001))
            except Exception as error:
                if (more := refusal(error, sent)) is None:
                    raise translate(error, self._where, self.api_key) from error
                refused |= {more}
            else:
                self._refused |= refused
                return await self.read(data, request)

    def _connection(self) -> _Connection:
        loop = asyncio.get_running_loop()
        with self._lock:
            if loop not in self._connections:
                self._connections[loop] = _Connection(asyncio.Semaphore(self.concurrency), asyncio.Lock())
            return self._connections[loop]

    async def _open(self, connection: _Connection) -> Call:
        if self.by_litellm:
            return await litellm_call(self.api_base, self.api_key)
        connection.client = await openai_client(self.api_base, self.api_key)
        return openai_call(connection.client)

    async def read(self, data: object, request: Request, *, discount: float = 1.0) -> Reply:
        """Turn a chat completion, of which nothing is sure, into a Reply, and count it.

        It cost `discount` times the list price. Raises LLMReplyError where there is no text in it.
        """
        text = at(data, "choices", 0, "message", "content")
        tokens = [at(data, "usage", name) for name in ("prompt_tokens", "completion_tokens")]
        guesses = [len(str(request["messages"])) // 4, len(text) // 4 if isinstance(text, str) else 0]
        tokens_in, tokens_out = (
            said if isinstance(said, int) and said >= 0 else guess
            for said, guess in zip(tokens, guesses, strict=True)
        )
        price = self._price or await self._listed()
        cost = discount * price.cost(tokens_in, tokens_out) if price else 0.0
        if price is None and self._budget_usd is not None and not self._usage.unpriced:
            log.warning("%s is on no price list: its calls do not count towards the budget", self.model)
        unpriced = price is None
        self._count(calls=1, tokens_in=tokens_in, tokens_out=tokens_out, cost_usd=cost, unpriced=unpriced)
        if not isinstance(text, str) or not text.strip():
            why = at(data, "choices", 0, "finish_reason") or "no text"
            raise LLMReplyError(f"{self._where} sent an empty reply ({excerpt(str(why))})")
        if len(text) > MAX_TEXT:
            raise LLMReplyError(f"{self._where} sent {len(text)} characters; at most {MAX_TEXT} are read")
        return Reply(
            text=text,
            model=self.model,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            cost_usd=cost,
            price_known=price is not None,
            logprobs=read_logprobs(at(data, "choices", 0, "logprobs", "content")),
        )

    async def _listed(self) -> Price | None:
        if not self._looked_up:
            self._list_price = await asyncio.to_thread(price_of, self.model, self.api_base)
            self._looked_up = True
        return self._list_price

    async def _from_cache(self, key: str) -> Reply | None:
        if self.cache is None:
            return None
        kept = self.cache.get(key)
        try:
            row = json.loads(kept or "")
            logprobs = row.pop("logprobs")
            if logprobs is not None:
                logprobs = tuple(
                    TokenLogprob(one["token"], one["logprob"], tuple((t, p) for t, p in one["top"]))
                    for one in logprobs
                )
            free = {"tokens_in": 0, "tokens_out": 0, "cost_usd": 0.0, "cached": True}
            return Reply(**{**row, **free}, logprobs=logprobs)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    def _check_budget(self) -> None:
        if self._budget_usd is None or self._usage.cost_usd < self._budget_usd:
            return
        if self._price is None and is_local(self.api_base) and not self._usage.cost_usd:
            return
        raise BudgetExceededError(
            f"the budget of ${self._budget_usd:.2f} is spent: raise FREERECALL_BUDGET_USD to ask again"
        )

    def _check_breaker(self) -> None:
        if self._breaker is not None and (left := self._breaker.enter()):
            raise HeldBackError(self._held_back(left))

    def _held_back(self, left_s: float) -> str:
        return f"{self._where} failed {FAILURES} times in a row; it is asked again in {left_s:.0f} s"

    def _answered(self) -> None:
        if self._breaker is not None:
            self._breaker.succeeded()

    def _failed(self) -> None:
        self._count(failures=1)
        if self._breaker is not None:
            self._breaker.failed()

    @property
    def up(self) -> bool:
        """False while calls are held back after failures in a row."""
        return self._breaker is None or self._breaker.closed

    @property
    def held_s(self) -> float:
        """The seconds for which every call would be held back."""
        return self._breaker.left_s if self._breaker else 0.0

    @property
    def held_back(self) -> str:
        """Why a call would be held back now; empty where it would not."""
        left = self.held_s
        return self._held_back(left) if left else ""

    def _count(self, **more: float) -> None:
        with self._lock:
            now = asdict(self._usage)
            self._usage = Usage(**{name: value + more.get(name, 0) for name, value in now.items()})


def from_settings(settings: Settings, breaker: Breaker | None = None) -> LLM | None:
    """Return the model that `settings` name, its replies cached beside the database; None without a model."""
    if not settings.model:
        return None
    return LLM(
        settings.model,
        settings.api_base,
        settings.api_key,
        budget_usd=settings.budget_usd,
        cache=FileCache(settings.cache),
        prompt=settings.prompt,
        breaker=breaker,
    )


def _where(model: str, api_base: str) -> str:
    """Name the model and its server, without any credentials in the address."""
    if not api_base:
        return model
    return f"{model} at {api_host(api_base)}"


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
