"""The door to a model, against a real HTTP server that fails on order."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import scripted_llm as scripted
from freerecall.errors import (
    BudgetExceededError,
    LLMError,
    LLMReplyError,
    LLMUnavailableError,
    SettingsError,
)
from freerecall.llm import LLM, Reply, from_settings
from freerecall.llm_cache import MemoryCache
from freerecall.llm_prices import Price
from freerecall.llm_wire import retry_after
from freerecall.settings import load
from scripted_llm import ScriptedLLM

HELLO = [{"role": "user", "content": "Say hello"}]
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
KEY = "sk-very-secret-0123456789"


def model(server: ScriptedLLM, name: str = "openai/scripted", **options: Any) -> LLM:
    return LLM(name, server.api_base, **{"api_key": KEY, "retry_delay_s": 0, **options})


def ask(llm: LLM, deadline_s: float = 60.0, **options: Any) -> Reply:
    async def once() -> Reply:
        try:
            return await llm.complete(HELLO, deadline_s=deadline_s, **options)
        finally:
            await llm.aclose()

    return asyncio.run(once())


def test_a_reply_with_its_tokens_and_what_was_sent() -> None:
    with ScriptedLLM(scripted.text("hello")) as server:
        reply = ask(model(server), schema=SCHEMA, max_tokens=9)
    assert (reply.text, reply.model, reply.tokens_in, reply.tokens_out) == (
        "hello",
        "openai/scripted",
        100,
        20,
    )
    assert reply.latency_ms > 0
    assert not reply.cached
    (request,) = server.requests
    assert request.path == "/v1/chat/completions"
    sent = {name.lower(): value for name, value in request.headers.items()}
    assert sent["authorization"] == f"Bearer {KEY}"
    assert request.body == {
        "model": "scripted",
        "messages": HELLO,
        "max_tokens": 9,
        "temperature": 0.0,
        "seed": 0,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "reply", "strict": True, "schema": SCHEMA},
        },
    }


@pytest.mark.parametrize(
    ("name", "sent"),
    [("scripted", "scripted"), ("openai/scripted", "scripted"), ("meta-llama/Llama-3", "meta-llama/Llama-3")],
)
def test_an_openai_compatible_server_is_asked_under_this_name(name: str, sent: str) -> None:
    with ScriptedLLM(scripted.text("hello")) as server:
        ask(model(server, name))
    assert server.requests[0].body["model"] == sent


@pytest.mark.parametrize("name", ["hosted_vllm/scripted", "litellm/hosted_vllm/scripted"])
def test_another_provider_goes_through_litellm(name: str) -> None:
    with ScriptedLLM(scripted.status(503), scripted.text("hello")) as server:
        llm = model(server, name)
        assert ask(llm, schema=SCHEMA, max_tokens=9).text == "hello"
        assert ask(llm, schema=SCHEMA, max_tokens=9).text == "hello", "in a second event loop"
    assert len(server.requests) == 3
    body = server.requests[1].body
    assert body["model"] == "scripted"
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA


def test_litellm_speaks_a_provider_s_own_protocol_and_its_failures_are_ours() -> None:
    with (
        ScriptedLLM(scripted.status(401, message=f"bad key {KEY}")) as server,
        pytest.raises(LLMError, match="FREERECALL_API_KEY") as caught,
    ):
        ask(LLM("anthropic/claude-test", server.api_base.removesuffix("/v1"), KEY, retry_delay_s=0))
    assert server.requests[0].path == "/v1/messages"
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("name", ["openai/scripted", "hosted_vllm/scripted"])
def test_a_refused_connection(name: str) -> None:
    with scripted.refused() as api_base, pytest.raises(LLMUnavailableError) as caught:
        ask(LLM(name, api_base, retry_delay_s=0))
    assert caught.value.retryable


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503])
def test_a_passing_failure_is_tried_again(code: int) -> None:
    with ScriptedLLM(scripted.status(code), scripted.text("hello")) as server:
        assert ask(model(server)).text == "hello"
    assert len(server.requests) == 2


def test_attempts_are_bounded() -> None:
    with ScriptedLLM(scripted.status(500)) as server, pytest.raises(LLMUnavailableError, match="500"):
        ask(model(server, retries=3))
    assert len(server.requests) == 4


def test_retry_after_is_waited_for() -> None:
    with ScriptedLLM(scripted.status(429, retry_after=0), scripted.text("hello")) as server:
        llm = model(server, retry_delay_s=1000)
        assert ask(llm, deadline_s=60).text == "hello", "the server's own pause, not ours"


@pytest.mark.parametrize("name", ["openai/scripted", "hosted_vllm/scripted"])
def test_a_retry_after_beyond_the_deadline_is_not_waited_for(name: str) -> None:
    with (
        ScriptedLLM(scripted.status(429, retry_after=86_400)) as server,
        pytest.raises(LLMUnavailableError, match="429"),
    ):
        ask(model(server, name), deadline_s=3600)
    assert len(server.requests) == 1


def test_retry_after_may_be_a_date_or_nonsense() -> None:
    import httpx
    import openai

    def error(value: str) -> Exception:
        response = httpx.Response(
            429, headers={"retry-after": value}, request=httpx.Request("POST", "http://x.invalid")
        )
        return openai.RateLimitError("slow down", response=response, body=None)

    assert retry_after(error("Wed, 21 Oct 2015 07:28:00 GMT")) == 0.0
    assert (retry_after(error("Fri, 31 Dec 9999 23:59:59 GMT")) or 0) > 1e6
    assert retry_after(error("soon")) is None
    assert retry_after(error("-3")) == 0.0
    assert retry_after(error("nan")) is None
    assert retry_after(None) is None


def test_a_server_that_hangs_is_left_at_the_deadline() -> None:
    import openai  # noqa: F401  (importing it is not what the deadline shall cut short)

    with ScriptedLLM(scripted.hang()) as server, pytest.raises(LLMUnavailableError, match="did not reply"):
        ask(model(server), deadline_s=0.3)


def test_the_deadline_covers_waiting_for_a_slot() -> None:
    async def two(llm: LLM) -> list[BaseException | Reply]:
        first = asyncio.create_task(llm.complete(HELLO, deadline_s=60))
        await asyncio.to_thread(server.arrived.acquire)
        second = await asyncio.gather(llm.complete(HELLO, deadline_s=0.05), return_exceptions=True)
        server.release()
        return [*second, *await asyncio.gather(first, return_exceptions=True)]

    with ScriptedLLM(scripted.hang()) as server:
        outcomes = asyncio.run(two(model(server, concurrency=1, retries=0)))
    assert all(isinstance(one, LLMUnavailableError) for one in outcomes)
    assert len(server.requests) == 1


def test_no_more_calls_at_once_than_allowed() -> None:
    async def many(llm: LLM) -> int:
        calls = [asyncio.create_task(llm.complete(HELLO, deadline_s=60)) for _ in range(6)]
        for _ in range(2):
            await asyncio.to_thread(server.arrived.acquire)
        started = len(server.requests)
        server.release()
        await asyncio.gather(*calls, return_exceptions=True)
        return started

    with ScriptedLLM(scripted.hang()) as server:
        assert asyncio.run(many(model(server, concurrency=2, retries=0))) == 2


@pytest.mark.parametrize("code", [401, 403])
def test_a_refused_key_names_the_setting_and_not_the_key(code: int) -> None:
    with (
        ScriptedLLM(scripted.status(code, message=f"Incorrect API key provided: {KEY}")) as server,
        pytest.raises(LLMError, match="FREERECALL_API_KEY") as caught,
    ):
        ask(model(server))
    assert not caught.value.retryable
    assert KEY not in str(caught.value)
    assert len(server.requests) == 1


def test_other_refusals_are_quoted_briefly_and_without_the_key() -> None:
    with (
        ScriptedLLM(scripted.status(418, message=f"no tea for {KEY}\n" + "blah " * 500)) as server,
        pytest.raises(LLMError, match="no tea") as caught,
    ):
        ask(model(server))
    assert KEY not in str(caught.value)
    assert len(str(caught.value)) < 350
    assert "\n" not in str(caught.value)


def test_an_unknown_model_names_the_settings() -> None:
    with ScriptedLLM(scripted.status(404)) as server, pytest.raises(LLMError, match="FREERECALL_MODEL"):
        ask(model(server))


def test_a_missing_key_names_the_setting() -> None:
    with pytest.raises(LLMError, match="FREERECALL_API_KEY"):
        ask(LLM("gpt-4o-mini"))


def test_openai_s_own_key_is_not_sent_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ScriptedLLM(scripted.text("hello")) as server:
        ask(LLM("scripted", server.api_base))
    assert KEY not in json.dumps(server.requests[0].headers)


@pytest.mark.parametrize(
    "step",
    [
        scripted.malformed_body(),
        scripted.wrong_content_type(),
        scripted.empty_choices(),
        scripted.text(None),
        scripted.text("  "),
        scripted.text("x" * 60_000),
        scripted.text("hello", choices="none"),
        scripted.text("hello", choices=[{"message": ["no"]}]),
    ],
)
def test_a_malformed_reply(step: scripted.Step) -> None:
    with ScriptedLLM(step) as server, pytest.raises(LLMReplyError) as caught:
        ask(model(server))
    assert len(str(caught.value)) < 350


def test_a_body_without_end_is_not_read_to_its_end() -> None:
    with ScriptedLLM(scripted.too_long()) as server, pytest.raises(LLMReplyError, match="more than"):
        ask(model(server))


def test_a_body_cut_short_is_tried_again() -> None:
    with ScriptedLLM(scripted.truncated_body(), scripted.text("hello")) as server:
        assert ask(model(server)).text == "hello"


def test_usage_that_is_missing_or_mad_is_guessed() -> None:
    with ScriptedLLM(
        scripted.text("hello " * 8, usage=None), scripted.text("hello", usage={"prompt_tokens": -5})
    ) as server:
        llm = model(server)
        assert ask(llm).tokens_out == 12
        assert ask(llm).tokens_in > 0


def test_what_the_server_refuses_is_left_out_and_not_sent_again() -> None:
    with ScriptedLLM(
        scripted.status(400, message="Unsupported parameter: 'max_tokens'"),
        scripted.status(400, message="logprobs are not supported"),
        scripted.status(400, message="json_schema is not supported"),
        scripted.status(422, message="response format unavailable"),
        scripted.text("hello"),
    ) as server:
        llm = model(server)
        assert ask(llm, schema=SCHEMA, max_tokens=7, logprobs=True).text == "hello"
        assert ask(llm, schema=SCHEMA, max_tokens=7, logprobs=True).text == "hello"
    assert len(server.requests) == 6
    formats = [request.body.get("response_format", {}).get("type") for request in server.requests]
    assert formats == ["json_schema", "json_schema", "json_schema", "json_object", None, None]
    last = server.requests[-1].body
    assert last["max_completion_tokens"] == 7
    assert not {"max_tokens", "logprobs", "top_logprobs"} & set(last)


def test_a_request_that_is_too_long_costs_the_schema_nothing() -> None:
    too_long = "This model's maximum context length is 4096 tokens"
    with ScriptedLLM(scripted.status(400, message=too_long), scripted.text("hello")) as server:
        llm = model(server)
        with pytest.raises(LLMError, match="context"):
            ask(llm, schema=SCHEMA)
        ask(llm, schema=SCHEMA)
    assert server.requests[1].body["response_format"]["type"] == "json_schema"


def test_log_probabilities() -> None:
    tokens = [{"token": "hi", "logprob": -0.5, "top_logprobs": [{"token": "ho", "logprob": -1}]}]
    choice = {"message": {"content": "hi"}, "logprobs": {"content": tokens}}
    with ScriptedLLM(scripted.text("", choices=[choice])) as server:
        reply = ask(model(server), logprobs=True)
    assert reply.logprobs is not None
    assert (reply.logprobs[0].token, reply.logprobs[0].logprob) == ("hi", -0.5)
    assert reply.logprobs[0].top == (("ho", -1.0),)
    assert server.requests[0].body["logprobs"] is True


@pytest.mark.parametrize("rows", [[], "no", [{"token": 1}], [{"token": "a", "logprob": None}]])
def test_log_probabilities_that_make_no_sense_are_none(rows: object) -> None:
    choice = {"message": {"content": "hi"}, "logprobs": {"content": rows}}
    with ScriptedLLM(scripted.text("", choices=[choice])) as server:
        assert ask(model(server), logprobs=True).logprobs is None


def test_the_same_question_is_asked_once() -> None:
    tokens = [{"token": "hi", "logprob": -0.5, "top_logprobs": [{"token": "ho", "logprob": -1}]}]
    choice = {"message": {"content": "hi"}, "logprobs": {"content": tokens}}
    with ScriptedLLM(scripted.text("", choices=[choice])) as server:
        llm = model(server, cache=MemoryCache(), price=Price(1e-6, 1e-6))
        first, second = ask(llm), ask(llm)
        assert (second.text, second.logprobs) == (first.text, first.logprobs)
        assert second.cached
        assert (second.cost_usd, second.tokens_in, second.tokens_out) == (0.0, 0, 0)
        assert (llm.usage.calls, llm.usage.cache_hits) == (1, 1)
        for other in ({"max_tokens": 5}, {"schema": SCHEMA}, {"logprobs": True}):
            assert not ask(llm, **other).cached
    assert len(server.requests) == 4


def test_the_cache_tells_models_and_servers_apart() -> None:
    cache = MemoryCache()
    with ScriptedLLM(scripted.text("hello")) as one, ScriptedLLM(scripted.text("hello")) as other:
        for server, name in ((one, "a"), (other, "a"), (one, "b")):
            assert not ask(model(server, name, cache=cache)).cached
        assert not ask(model(one, "a", cache=cache, temperature=1.0)).cached
        assert ask(model(one, "a", cache=cache)).cached


def test_a_reply_of_no_use_is_not_cached() -> None:
    with ScriptedLLM(scripted.text("rubbish"), scripted.text("hello")) as server:
        llm = model(server, cache=MemoryCache())
        replies = [ask(llm, usable=lambda text: text == "hello") for _ in range(3)]
    assert [(reply.text, reply.cached) for reply in replies] == [
        ("rubbish", False),
        ("hello", False),
        ("hello", True),
    ]


def test_a_spoilt_cache_is_a_miss() -> None:
    class Spoilt(MemoryCache):
        def get(self, key: str) -> str | None:
            return '{"text": 3}' if super().get(key) else None

    with ScriptedLLM(scripted.text("hello")) as server:
        llm = model(server, cache=Spoilt())
        assert [ask(llm).cached for _ in range(2)] == [False, False]


def test_the_budget_ends_the_calls() -> None:
    with ScriptedLLM(scripted.text("hello")) as server:
        llm = model(server, price=Price(0.01, 0.05), budget_usd=3.0)
        assert ask(llm).cost_usd == pytest.approx(2.0)
        ask(llm)
        with pytest.raises(BudgetExceededError, match="FREERECALL_BUDGET_USD"):
            ask(llm)
        assert llm.usage.cost_usd == pytest.approx(4.0)
    assert len(server.requests) == 2


def test_what_was_spent_before_counts() -> None:
    with ScriptedLLM() as server, pytest.raises(BudgetExceededError):
        ask(model(server, price=Price(0.01, 0.05), budget_usd=3.0, spent_usd=3.0))
    assert not server.requests


def test_a_local_model_costs_nothing_and_a_cloud_model_its_list_price() -> None:
    with ScriptedLLM(scripted.text("hello")) as server:
        local = ask(model(server, "my-own-model", budget_usd=0.0))
        assert (local.cost_usd, local.price_known) == (0.0, True)
        listed = ask(model(server, "gpt-4o-mini"))
        assert listed.price_known
        assert 0 < listed.cost_usd < 0.01


@pytest.mark.parametrize("address", ["127.0.0.1:8088/v1", "ftp://x/v1", "http://", "http://x:99999/v1"])
def test_an_unusable_address_names_the_setting(address: str) -> None:
    with pytest.raises(SettingsError, match="FREERECALL_API_BASE"):
        LLM("x", address)


def test_credentials_in_the_address_are_not_shown() -> None:
    with scripted.refused() as api_base, pytest.raises(LLMUnavailableError) as caught:
        ask(LLM("x", api_base.replace("//", "//user:hunter2@"), retry_delay_s=0))
    assert "hunter2" not in str(caught.value)


def test_settings_make_a_model_or_none(tmp_path: Path) -> None:
    assert from_settings(load({"FREERECALL_DATA": str(tmp_path)})) is None
    with ScriptedLLM(scripted.text("hello")) as server:
        environ = {
            "FREERECALL_DATA": str(tmp_path / "new"),
            "FREERECALL_MODEL": "scripted",
            "FREERECALL_API_BASE": server.api_base,
        }
        for cached in (False, True):
            llm = from_settings(load(environ))
            assert llm is not None
            assert ask(llm).cached is cached, "kept in a file, for the next process"


def test_nothing_heavy_is_imported_and_nothing_called_before_use() -> None:
    program = """
import socket, sys
def refuse(*args, **kwargs):
    raise AssertionError("a connection at import")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
import freerecall.llm, freerecall.grading.rubric
llm = freerecall.llm.LLM("anthropic/claude-test", api_key="none")
print(sorted({"openai", "litellm", "httpx"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_litellm_calls_nobody() -> None:
    program = """
import asyncio, socket, sys
def refuse(*args, **kwargs):
    print("CALLED", args[-1], flush=True)
    raise OSError("no network here")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
from freerecall.llm_wire import litellm_call
asyncio.run(litellm_call("", ""))
print("litellm" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
