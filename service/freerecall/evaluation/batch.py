"""Grade many rows: in order, one result for each, on all processors or with many calls under way."""

import asyncio
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

from freerecall import __version__, grading
from freerecall.errors import LLMError
from freerecall.evaluation.rows import BadRow, Format, Row, grade_dict, parse_lines, read_rows
from freerecall.grades import Grade, GraderMode
from freerecall.grading import AskPolicy, calibration
from freerecall.llm import LLM

CHUNK = 200
POOL_FROM = 2_000
"""Rows from which starting more processes pays."""
DEADLINE_S = 120.0
"""Seconds that one answer may take in a batch, retries and waiting for its turn included."""

T = TypeVar("T")
Progress = Callable[[int, int], None]
Result = tuple[Row, Grade] | BadRow


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """How many rows were read, and how many of them were bad."""

    rows: int
    bad: int


def grade_batch(
    source: Path, out: Path, *, mode: GraderMode, llm: LLM | None, on_progress: Progress
) -> BatchSummary:
    """Grade the rows of `source` into `out`, which appears whole or not at all.

    What is graded is kept beside `out` as it comes; after a kill the same call goes on from there,
    and grades no row twice. Raises OSError where a file cannot be read or written.
    """
    total = count_rows(source)
    partial = out.with_name(f".{out.name}.partial")
    head = _fingerprint(source, mode, llm)
    rows, bad, size = _done(partial, head)
    with partial.open("r+b" if size else "wb") as file:
        if size:
            file.truncate(size)
            file.seek(size)
        else:
            file.write(head)
        on_progress(rows, total)
        for line, is_bad in _graded_lines(source, total, mode, llm, skip=rows):
            file.write(line.encode("utf-8", "replace") + b"\n")
            if mode is not GraderMode.EMBEDDED:
                file.flush()  # what was paid for
            rows += 1
            bad += is_bad
            on_progress(rows, total)
    with tempfile.NamedTemporaryFile(dir=out.parent, prefix=f".{out.name}.", delete=False) as whole:
        try:
            with partial.open("rb") as file:
                file.seek(len(head))
                shutil.copyfileobj(file, whole)
            whole.close()
            Path(whole.name).chmod(0o666 & ~_umask())
            Path(whole.name).replace(out)
        except BaseException:
            whole.close()
            Path(whole.name).unlink(missing_ok=True)
            raise
    partial.unlink()
    return BatchSummary(rows, bad)


def prefetch(
    source: Path,
    out: Path,
    *,
    mode: GraderMode,
    llm: LLM,
    poll_s: float = 30.0,
    on_status: Callable[[str], None] = lambda _status: None,
) -> int:
    """Have a provider's batch endpoint answer all that `grade_batch` would ask; return how many it did.

    After a kill the same call waits for the same batch. Raises LLMError where there is no such endpoint.
    """
    from freerecall.llm_batch import Recorder, ask_in_batch

    if llm.by_litellm or llm.cache is None:
        raise LLMError("batches need an OpenAI-compatible endpoint; leave out --batch")
    recorder = Recorder(llm, llm.cache)
    for _ in grade_rows(read_rows(source), mode=mode, llm=recorder):
        pass
    state = out.with_name(f".{out.name}.batch")
    asking = ask_in_batch(llm, llm.cache, recorder.requests, state, poll_s=poll_s, on_status=on_status)
    return asyncio.run(asking)


def _fingerprint(source: Path, mode: GraderMode, llm: LLM | None) -> bytes:
    """Return the first line of a partial output: what has to be the same for going on with it."""
    digest = hashlib.sha256()
    with source.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    about = {
        "rows": digest.hexdigest(),
        "grader": mode.value,
        "model": llm.model if llm else "",
        "calibration": calibration.CURRENT,
        "freerecall": __version__,
    }
    return json.dumps(about).encode() + b"\n"


def _done(partial: Path, head: bytes) -> tuple[int, int, int]:
    """Return the rows of a partial output, the bad ones of them, and its bytes up to the last whole line."""
    rows = bad = 0
    try:
        with partial.open("rb") as file:
            if file.readline() != head:
                return 0, 0, 0
            size = len(head)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                rows, size = rows + 1, size + len(line)
                bad += b'"error": ' in line and b'"rating": ' not in line
    except FileNotFoundError:
        return 0, 0, 0
    return rows, bad, size


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def count_rows(path: Path) -> int:
    """Return the number of non-blank lines. Raises OSError where the file cannot be read."""
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip())


def _graded_lines(
    source: Path, total: int, mode: GraderMode, llm: LLM | None, *, skip: int
) -> Iterator[tuple[str, bool]]:
    if mode is GraderMode.EMBEDDED and total >= POOL_FROM and (os.cpu_count() or 1) > 1:
        yield from _in_processes(source, skip)
        return
    for result in grade_rows(islice(read_rows(source), skip, None), mode=mode, llm=llm):
        yield _line(result), isinstance(result, BadRow)


def _in_processes(source: Path, skip: int) -> Iterator[tuple[str, bool]]:
    """Parsing, grading and writing JSON all happen in the workers; only lines travel, a few chunks ahead."""
    context = multiprocessing.get_context("spawn")
    ahead = 2 * (os.cpu_count() or 1)
    with source.open("rb") as file, ProcessPoolExecutor(mp_context=context, initializer=grading.warm) as pool:
        numbered = ((number, line) for number, line in enumerate(file, 1) if line.strip())
        running: deque[Future[list[tuple[str, bool]]]] = deque()
        for chunk in _chunks(islice(numbered, skip, None)):
            with _uninterrupted():
                running.append(pool.submit(_grade_lines, chunk))
            if len(running) > ahead:
                yield from running.popleft().result()
        while running:
            yield from running.popleft().result()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Processes started within never see Ctrl-C: one that died of it would leave the pool waiting."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _grade_lines(numbered: list[tuple[int, bytes]]) -> list[tuple[str, bool]]:
    out = []
    for number, line in numbered:
        (row,) = parse_lines([line], Format())
        if isinstance(row, BadRow):
            row = replace(row, line=number, error=row.error.replace("line 1:", f"line {number}:", 1))
            row = replace(row, id=number) if row.id == 1 and b'"id"' not in line else row
        result: Result = row if isinstance(row, BadRow) else (row, _grade_embedded(row))
        out.append((_line(result), isinstance(result, BadRow)))
    return out


def _line(result: Result) -> str:
    if isinstance(result, BadRow):
        return json.dumps(result.to_dict(), ensure_ascii=False)
    row, grade = result
    return json.dumps({"id": row.id, **grade_dict(grade)}, ensure_ascii=False)


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def grade_rows(
    rows: Iterable[Row | BadRow],
    *,
    mode: GraderMode,
    llm: LLM | None,
    policy: AskPolicy = grading.DEFAULT_POLICY,
) -> Iterator[Result]:
    """Yield a result for each row, in order. `grade.provenance.latency_ms` is what each took."""
    if mode is GraderMode.EMBEDDED:
        for row in rows:
            yield row if isinstance(row, BadRow) else (row, _grade_embedded(row))
        return
    at_once = llm.concurrency if llm else 1
    with asyncio.Runner() as runner:
        waiting: deque[asyncio.Task[Result]] = deque()
        upcoming = iter(rows)

        async def start() -> None:
            """Fill up what is under way: an answer's deadline runs only from when it is asked about."""
            for row in islice(upcoming, at_once - len(waiting)):
                waiting.append(asyncio.create_task(_grade_one(row, mode, llm, policy)))

        async def first() -> Result:
            return await waiting.popleft()

        runner.run(start())
        while waiting:
            yield runner.run(first())
            runner.run(start())


async def _grade_one(row: Row | BadRow, mode: GraderMode, llm: LLM | None, policy: AskPolicy) -> Result:
    if isinstance(row, BadRow):
        return row
    return row, await grading.grade(
        row.card, row.answer, mode=mode, llm=llm, deadline_s=DEADLINE_S, policy=policy, rated=row.rated
    )


def _grade_embedded(row: Row) -> Grade:
    started = time.perf_counter()
    grade = grading.grade_embedded(row.card, row.answer, row.rated)
    took = (time.perf_counter() - started) * 1000
    return replace(grade, provenance=replace(grade.provenance, latency_ms=round(took, 3)))
