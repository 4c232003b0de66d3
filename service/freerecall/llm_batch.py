"""A provider's batch endpoint (half the price, within a day): replies are fetched into the cache.

First a run that asks nobody collects what would be asked; then one batch asks it all; then the same
run finds every reply in the cache. The batch's id is kept, so that a kill neither loses nor repeats it.
"""

import asyncio
import io
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from freerecall.errors import LLMError, LLMReplyError, LLMUnavailableError
from freerecall.llm import LLM, Reply
from freerecall.llm_cache import Cache, cache_key
from freerecall.llm_wire import Request, openai_client, translate

ENDPOINT = "/v1/chat/completions"
_DISCOUNT = 0.5
"""Of the list price, at providers that offer batches."""
_OVER = {"completed", "failed", "expired", "cancelled"}


class Recorder(LLM):
    """A language model that asks nobody: it keeps what it would have asked, by the cache's key."""

    def __init__(self, llm: LLM, cache: Cache) -> None:
        super().__init__(llm.model, llm.api_base, "none", cache=cache, prompt=llm.prompt)
        self.requests: dict[str, Request] = {}
        self.concurrency = 1_000

    async def _attempts(self, request: Request, ends: float) -> Reply:  # noqa: ARG002
        key = cache_key(request=request, api_base=self.api_base, litellm=self.by_litellm)
        self.requests[key] = request
        raise LLMUnavailableError("to be asked in a batch")


async def ask_in_batch(
    llm: LLM,
    cache: Cache,
    requests: dict[str, Request],
    state: Path,
    *,
    poll_s: float = 30.0,
    on_status: Callable[[str], None] = lambda _status: None,
) -> int:
    """Have all `requests` (by the cache's key) answered in one batch; return how many were.

    `state` keeps the batch's id until its replies are in the cache. Raises LLMError where the
    endpoint has no batches, or the batch fails as a whole.
    """
    client = await openai_client(llm.api_base, llm.api_key)
    try:
        batch_id = state.read_text(encoding="utf-8").strip() if state.exists() else ""
        if not batch_id:
            if not requests:
                return 0
            lines = (
                json.dumps({"custom_id": key, "method": "POST", "url": ENDPOINT, "body": request})
                for key, request in requests.items()
            )
            content = io.BytesIO("\n".join(lines).encode())
            file = await client.files.create(file=("requests.jsonl", content), purpose="batch")
            batch = await client.batches.create(
                input_file_id=file.id, endpoint=ENDPOINT, completion_window="24h"
            )
            batch_id = batch.id
            state.write_text(batch_id, encoding="utf-8")
        while (batch := await client.batches.retrieve(batch_id)).status not in _OVER:
            on_status(batch.status)
            await asyncio.sleep(poll_s)
        on_status(batch.status)
        if not batch.output_file_id:
            state.unlink()
            raise LLMError(f"the batch {batch_id} ended as {batch.status}; run it again, or without --batch")
        replies = await client.files.content(batch.output_file_id)
        answered = await _keep(llm, cache, requests, replies.text)
        state.unlink()
        return answered
    except LLMError:
        raise
    except Exception as error:  # whatever the client raises
        raise translate(error, llm.api_base or "the provider", llm.api_key) from error
    finally:
        await client.close()


async def _keep(llm: LLM, cache: Cache, requests: dict[str, Request], lines: str) -> int:
    """Put the replies of a batch's output file into the cache; what is odd is left to be asked singly."""
    answered = 0
    for line in lines.splitlines():
        try:
            row = json.loads(line)
            key, body = row["custom_id"], row["response"]["body"]
            reply = await llm.read(body, requests[key], discount=_DISCOUNT)
        except (ValueError, KeyError, TypeError, LLMReplyError):
            continue
        await asyncio.to_thread(cache.set, key, json.dumps(asdict(reply)))
        answered += 1
    return answered
