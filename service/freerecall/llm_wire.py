"""How a chat completion travels: the `openai` client or LiteLLM, and what their errors mean."""

import asyncio
import email.utils
import importlib
import json
import math
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from freerecall.errors import LLMError, LLMReplyError, LLMUnavailableError

Request = dict[str, Any]
Call = Callable[[Request, float], Awaitable[object]]
"""Sends a request with a timeout in seconds; returns the decoded JSON of the reply."""

MAX_BODY_BYTES = 2_000_000

_PROVIDERS = """
ai21 aiml anthropic azure azure_ai baseten bedrock cerebras cloudflare cohere cohere_chat dashscope databricks
deepinfra deepseek featherless_ai fireworks_ai friendliai gemini github github_copilot groq hosted_vllm
huggingface hyperbolic litellm_proxy llamafile lm_studio meta_llama mistral moonshot nebius novita nscale
nvidia_nim oci ollama ollama_chat openrouter perplexity predibase replicate sagemaker sagemaker_chat sambanova
snowflake together_ai vercel_ai_gateway vertex_ai vertex_ai_beta volcengine watsonx xai xinference zai
"""
PROVIDERS = frozenset(_PROVIDERS.split())
"""Prefixes that mean LiteLLM even where `api_base` is set; `litellm/` does so for any other."""

_OPTIONAL = ("temperature", "seed", "logprobs")


def route(model: str, api_base: str) -> tuple[bool, str]:
    """Return whether `model` goes through LiteLLM, and the name under which it is asked there."""
    prefix, slash, _ = model.partition("/")
    litellm = bool(slash) and (
        prefix in PROVIDERS or prefix == "litellm" or (prefix != "openai" and not api_base)
    )
    return litellm, model.removeprefix("litellm/" if litellm else "openai/")


async def openai_client(api_base: str, api_key: str) -> Any:
    """Return an AsyncOpenAI for the running event loop. Raises LLMError where a key is missing."""
    openai = await asyncio.to_thread(_import_openai)
    try:
        return openai.AsyncOpenAI(
            # A key that is meant for OpenAI is not sent to any other server.
            api_key=api_key or ("none" if api_base else None),
            base_url=api_base or None,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(event_hooks={"response": [_bound]}),
            default_headers={"Accept-Encoding": "identity"},
        )
    except openai.OpenAIError:
        raise LLMError("OpenAI needs a key: set FREERECALL_API_KEY") from None


def openai_call(client: Any) -> Call:
    """Return the call that goes through `client`."""

    async def call(request: Request, timeout: float) -> object:
        import httpx

        # Not `chat.completions.create`: that goes through every part of the request by its type, which
        # takes longer than all the rest.
        reply = await client.post(
            "/chat/completions", body=request, cast_to=httpx.Response, options={"timeout": timeout}
        )
        try:
            return json.loads(reply.text)
        except (ValueError, RecursionError):
            kind = reply.headers.get("content-type", "no content type")
            raise LLMReplyError(f"the model's server sent no JSON ({excerpt(kind)})") from None

    return call


async def litellm_call(api_base: str, api_key: str) -> Call:
    """Return the call that goes through LiteLLM, which finds a missing key in its provider's own variable."""
    litellm = await asyncio.to_thread(_import_litellm)
    where = {name: value for name, value in (("api_base", api_base), ("api_key", api_key)) if value}

    async def call(request: Request, timeout: float) -> object:
        reply = await litellm.acompletion(
            **request, **where, timeout=timeout, max_retries=0, num_retries=0, drop_params=True
        )
        data: object = reply.model_dump()
        return data

    return call


def warm(by_litellm: bool) -> None:
    """Import the client, about a second of work, so that the first question does not wait for it."""
    _import_litellm() if by_litellm else _import_openai()


def _import_openai() -> Any:
    importlib.import_module("openai.resources.chat.completions")  # or the client loads it in the event loop
    return importlib.import_module("openai")


def _import_litellm() -> Any:
    # Without the first, importing LiteLLM fetches a price list; without the second, it reads .env files.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    litellm: Any = importlib.import_module("litellm")
    litellm.suppress_debug_info = True
    return litellm


async def _bound(response: Any) -> None:
    """Make reading `response` fail beyond MAX_BODY_BYTES; what is packed could unpack to anything."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise LLMReplyError("the model's server sent a compressed reply, which was not asked for")

    # Of httpx or of httpx2, whichever the client is made with.
    stream_type = next(one for one in type(response.stream).__mro__ if one.__name__ == "AsyncByteStream")

    class Bounded(stream_type):  # type: ignore[misc,valid-type]
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        async def __aiter__(self) -> Any:
            size = 0
            async for chunk in self._stream:
                size += len(chunk)
                if size > MAX_BODY_BYTES:
                    raise LLMReplyError(f"the model's server sent more than {MAX_BODY_BYTES:,} bytes")
                yield chunk

        async def aclose(self) -> None:
            await self._stream.aclose()

    response.stream = Bounded(response.stream)


def without(request: Request, refused: frozenset[str]) -> Request:
    """Return `request` without what the server `refused` (names that `refusal` returned)."""
    kept = {name: value for name, value in request.items() if name not in refused}
    if "logprobs" in refused:
        kept.pop("top_logprobs", None)
    if "max_tokens" in refused:
        kept["max_completion_tokens"] = request["max_tokens"]
    if "json_schema" in refused and "response_format" in kept:
        kept["response_format"] = {"type": "json_object"}
    return kept


def refusal(error: Exception, sent: Request) -> str | None:
    """Return what of the request `sent` a 400 or 422 refuses, as far as it can be left out."""
    if getattr(error, "status_code", None) not in (400, 422):
        return None
    said = str(getattr(error, "message", error)).lower()
    for name in ("max_tokens", *_OPTIONAL):
        if name in said and name in sent:
            return name
    form = sent.get("response_format")
    if form is None or "context" in said:
        return None
    return "json_schema" if form["type"] == "json_schema" else "response_format"


def retry_after(error: BaseException | None) -> float | None:
    """Return the seconds that the server behind `error` asks to wait, or None."""
    headers = getattr(error, "litellm_response_headers", None)
    headers = headers or getattr(getattr(error, "response", None), "headers", None)
    value = str(headers.get("retry-after") or "") if isinstance(headers, Mapping) else ""
    try:
        seconds = float(value)
        return max(seconds, 0.0) if math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        return max(email.utils.parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return None


def translate(error: Exception, where: str, api_key: str) -> LLMError:
    """Say in one line, fit to be shown, what an error of the model at `where` means."""
    if isinstance(error, LLMError):
        return error
    if isinstance(error.__cause__, LLMError):
        return error.__cause__
    import openai

    status = getattr(error, "status_code", None)
    if isinstance(error, (openai.APITimeoutError, TimeoutError)):
        return LLMUnavailableError(f"{where} did not reply in time")
    if isinstance(error, openai.APIConnectionError):
        return LLMUnavailableError(f"{where} cannot be reached")
    if status in (401, 403):
        return LLMError(f"{where} refused the key ({status}): check FREERECALL_API_KEY")
    if status == 404:
        return LLMError(f"{where} is not there (404): check FREERECALL_MODEL and FREERECALL_API_BASE")
    if status == 429:
        return LLMUnavailableError(f"{where} is overloaded or over its quota (429)")
    if isinstance(status, int) and (status in (408, 409, 425) or status >= 500):
        return LLMUnavailableError(f"{where} failed ({status})")
    said = excerpt(str(getattr(error, "message", error)), api_key)
    return LLMError(f"{where} refused the request ({status or type(error).__name__}): {said}")


def excerpt(text: str, secret: str = "") -> str:
    """Return at most 200 characters of `text` on one line, without `secret`."""
    line = " ".join((text.replace(secret, "***") if secret else text).split())
    return line if len(line) <= 200 else line[:199] + "…"


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token of the reply, its natural log-probability, and the likeliest tokens in its place."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


def at(data: object, *path: str | int) -> Any:
    """Return what lies at `path` in decoded JSON, or None."""
    for step in path:
        if isinstance(data, dict) and isinstance(step, str):
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and len(data) > step:
            data = data[step]
        else:
            return None
    return data


def read_logprobs(rows: object) -> tuple[TokenLogprob, ...] | None:
    """Return a choice's log-probabilities; None where they are not what they should be."""
    if not isinstance(rows, list) or not rows:
        return None

    def pair(row: object) -> tuple[str, float]:
        token, logprob = at(row, "token"), at(row, "logprob")
        if not isinstance(token, str) or not isinstance(logprob, int | float):
            raise TypeError
        return token, float(logprob)

    try:
        return tuple(
            TokenLogprob(*pair(row), tuple(pair(other) for other in at(row, "top_logprobs") or ()))
            for row in rows
        )
    except TypeError:
        return None
