"""A provider's batch endpoint: a scripted server with files and batches, and a kill while it works."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import scripted_llm as scripted
from freerecall.errors import LLMError
from freerecall.evaluation.batch import grade_batch, prefetch
from freerecall.grades import GraderMode
from freerecall.llm import LLM
from freerecall.llm_cache import MemoryCache

ROWS = [
    {
        "id": n,
        "question": "What do plants make?",
        "reference": "sugar and oxygen",
        "answer": f"sugar, number {n}",
    }
    for n in range(4)
]


class Provider:
    """Files and batches of OpenAI's protocol; a batch is done when asked about for the `polls`-th time."""

    def __init__(self, polls: int = 2, status: str = "completed") -> None:
        self.polls, self.status = polls, status
        self.asked: list[dict[str, Any]] = []
        self.batches = self.chats = 0
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path.endswith("/files"):
                    lines = [line for line in body.splitlines() if line.startswith(b'{"custom_id"')]
                    provider.asked = [json.loads(line) for line in lines]
                    self.reply({"id": "file-1", "object": "file"})
                elif self.path.endswith("/batches"):
                    provider.batches += 1
                    self.reply({"id": "batch-1", "object": "batch", "status": "validating"})
                else:
                    provider.chats += 1
                    self.send_error(500)

            def do_GET(self) -> None:
                if self.path.endswith("/content"):
                    self.reply("\n".join(provider.output()))
                    return
                provider.polls -= 1
                done = provider.polls <= 0
                output = "file-2" if done and provider.status == "completed" else None
                status = provider.status if done else "in_progress"
                self.reply({"id": "batch-1", "object": "batch", "status": status, "output_file_id": output})

            def reply(self, body: object) -> None:
                content = (body if isinstance(body, str) else json.dumps(body)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def output(self) -> Iterator[str]:
        for row in self.asked:
            request = scripted.Request("/v1/chat/completions", {}, row["body"])
            body = json.loads(scripted.covered()(request).body)
            yield json.dumps({"custom_id": row["custom_id"], "response": {"status_code": 200, "body": body}})
        yield "not a line of JSON"
        yield json.dumps({"custom_id": "unknown", "response": {"body": {}}})


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return source, tmp_path / "out.jsonl"


def model(provider: Provider, cache: MemoryCache) -> LLM:
    return LLM("openai/scripted", provider.url, "k", cache=cache, prompt="rubric-v1", retries=0)


def run(llm: LLM, files: tuple[Path, Path]) -> list[dict[str, Any]]:
    grade_batch(*files, mode=GraderMode.LLM, llm=llm, on_progress=lambda _done, _total: None)
    return [json.loads(line) for line in files[1].read_text(encoding="utf-8").splitlines()]


def test_all_is_asked_in_one_batch_and_then_found_in_the_cache(files: tuple[Path, Path]) -> None:
    provider, told = Provider(), []  # type: ignore[var-annotated]
    llm = model(provider, MemoryCache())
    assert prefetch(*files, mode=GraderMode.LLM, llm=llm, poll_s=0, on_status=told.append) == len(ROWS)
    rows = run(llm, files)
    assert [row["decided_by"] for row in rows] == ["llm"] * len(ROWS)
    assert not any(row["provisional"] for row in rows)
    assert (provider.batches, provider.chats, len(provider.asked)) == (1, 0, len(ROWS))
    assert told == ["in_progress", "completed"]
    assert sorted(path.name for path in files[0].parent.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_after_a_kill_the_same_batch_is_waited_for(files: tuple[Path, Path]) -> None:
    provider, cache = Provider(polls=3), MemoryCache()

    def killed(_status: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prefetch(*files, mode=GraderMode.LLM, llm=model(provider, cache), poll_s=0, on_status=killed)
    llm = model(provider, cache)
    assert prefetch(*files, mode=GraderMode.LLM, llm=llm, poll_s=0) == len(ROWS)
    assert provider.batches == 1
    assert prefetch(*files, mode=GraderMode.LLM, llm=llm, poll_s=0) == 0
    assert provider.batches == 1


def test_a_batch_that_fails_is_told_and_can_be_asked_again(files: tuple[Path, Path]) -> None:
    provider = Provider(status="expired")
    with pytest.raises(LLMError, match="ended as expired"):
        prefetch(*files, mode=GraderMode.LLM, llm=model(provider, MemoryCache()), poll_s=0)
    provider.status, provider.polls = "completed", 1
    assert prefetch(*files, mode=GraderMode.LLM, llm=model(provider, MemoryCache()), poll_s=0) == len(ROWS)


def test_a_server_without_batches_is_told(files: tuple[Path, Path]) -> None:
    with scripted.ScriptedLLM(scripted.status(404)) as server:
        llm = LLM("openai/scripted", server.api_base, "k", cache=MemoryCache(), prompt="rubric-v1")
        with pytest.raises(LLMError):
            prefetch(*files, mode=GraderMode.LLM, llm=llm, poll_s=0)
    litellm = LLM("anthropic/claude", cache=MemoryCache())
    with pytest.raises(LLMError, match="OpenAI-compatible"):
        prefetch(*files, mode=GraderMode.LLM, llm=litellm, poll_s=0)
