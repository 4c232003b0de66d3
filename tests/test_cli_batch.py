"""`grade-batch` and `eval` as commands."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import scripted_llm as llm
from polling import until
from service_process import environment
from terminal import Terminal

ROW = {
    "question": "Why do plants need light?",
    "reference": "Light drives photosynthesis, which makes sugar.",
    "answer": "it drives photosynthesis, making sugar",
}
FIELDS = {"id", "rating", "score", "confidence", "decided_by", "provisional", "evidence", "feedback"}
UNREACHABLE = ("--model", "openai/none", "--api-base", "http://127.0.0.1:9/v1")


def write(path: Path, rows: list[Any]) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_one_row_out_for_each_row_in(freerecall: Terminal, tmp_path: Path) -> None:
    answers = ["it drives photosynthesis, making sugar", "", "no idea", "the cat sat on the mat"]
    source = write(tmp_path / "in.jsonl", [{**ROW, "id": n, "answer": a} for n, a in enumerate(answers)])

    done = freerecall("grade-batch", source, "--out", tmp_path / "out.jsonl")
    rows = read(tmp_path / "out.jsonl")

    assert (done.code, done.out) == (0, "")
    assert "4 of 4 rows" in done.err
    assert [row["id"] for row in rows] == [0, 1, 2, 3]
    assert [row for row in rows if not row.keys() >= FIELDS] == []
    assert rows[0]["rating"] >= 4
    assert [row["rating"] for row in rows[1:]] == [1, 1, 1]


def test_bad_rows_are_reported_and_passed_over(freerecall: Terminal, tmp_path: Path) -> None:
    without_answer = {"id": "b", "question": "?", "reference": "r"}
    rows = [{**ROW, "id": "a"}, without_answer, "{ no json", "[1, 2]", {**ROW, "id": "e"}]
    source = write(tmp_path / "in.jsonl", rows)

    done = freerecall("grade-batch", source, "--out", tmp_path / "out.jsonl")
    graded = read(tmp_path / "out.jsonl")

    assert done.code == 0
    assert "2 of 5 rows" in done.err
    assert "3 rows could not be graded" in done.err
    assert [row["id"] for row in (graded[0], graded[1], graded[4])] == ["a", "b", "e"]
    assert [row.keys() for row in graded[1:4]] == [{"id", "error"}] * 3


def test_many_rows_keep_their_order(freerecall: Terminal, tmp_path: Path) -> None:
    rows = [{**ROW, "id": n, "answer": f"photosynthesis {n}"} for n in range(3000)]
    source = write(tmp_path / "in.jsonl", rows)

    done = freerecall("grade-batch", source, "--out", tmp_path / "out.jsonl")
    graded = read(tmp_path / "out.jsonl")

    assert done.code == 0
    assert [row["id"] for row in graded] == list(range(3000))


def test_a_failed_run_leaves_the_old_output(freerecall: Terminal, tmp_path: Path) -> None:
    out = write(tmp_path / "out.jsonl", ["kept"])

    done = freerecall("grade-batch", tmp_path / "missing.jsonl", "--out", out)

    assert done.code == 2
    assert out.read_text() == "kept\n"
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def test_an_unwritable_output_is_told(freerecall: Terminal, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", [{**ROW, "id": 1}])

    done = freerecall("grade-batch", source, "--out", tmp_path / "no" / "such" / "out.jsonl")

    assert done.code == 2
    assert done.err.count("\n") == 1
    assert str(tmp_path / "no" / "such") in done.err


def test_a_model_that_cannot_be_reached_leaves_provisional_grades(
    freerecall: Terminal, tmp_path: Path
) -> None:
    source = write(tmp_path / "in.jsonl", [{**ROW, "id": 1}])

    done = freerecall("grade-batch", source, "--out", tmp_path / "out.jsonl", "--grader", "llm", *UNREACHABLE)
    (row,) = read(tmp_path / "out.jsonl")

    assert done.code == 0
    assert row["provisional"] is True
    assert row["rating"] in range(1, 6)


def test_hybrid_without_a_model_says_so_and_grades(freerecall: Terminal, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", [{**ROW, "id": 1}])

    done = freerecall("grade-batch", source, "--out", tmp_path / "out.jsonl", "--grader", "hybrid")

    assert done.code == 0
    assert "no model is set" in done.err
    assert read(tmp_path / "out.jsonl")[0]["rating"] in range(1, 6)


def test_eval_prints_and_writes_the_figures(freerecall: Terminal, tmp_path: Path) -> None:
    graded = [("it drives photosynthesis, making sugar", 5), ("photosynthesis", 3), ("no idea", 1), ("", 1)]
    gold = write(
        tmp_path / "gold.jsonl",
        [{**ROW, "id": n, "answer": answer, "gold": rating} for n, (answer, rating) in enumerate(graded)],
    )

    done = freerecall("eval", gold, "--json", tmp_path / "figures.json")
    figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))

    assert done.code == 0
    assert "qwk" in done.out.lower()
    assert figures["n"] == 4
    assert figures.keys() >= {
        "qwk",
        "exact",
        "within_one",
        "mae",
        "spearman",
        "confusion",
        "intervals",
        "llm",
    }
    assert figures["latency_ms"].keys() == {"p50", "p95"}


@pytest.mark.parametrize("on_terminal", [True, False])
def test_the_progress_bar_is_for_terminals_only(tmp_path: Path, on_terminal: bool) -> None:
    source = write(tmp_path / "in.jsonl", [{**ROW, "id": n} for n in range(50)])
    ours, theirs = pty.openpty() if on_terminal else os.pipe()
    command = [sys.executable, "-m", "freerecall", "grade-batch", str(source), "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, env=environment(tmp_path, TERM="xterm"), stderr=theirs) as process:
        os.close(theirs)
        told = b""
        with contextlib.suppress(OSError):  # a terminal's other end is gone
            while chunk := os.read(ours, 4096):
                told += chunk
        os.close(ours)

    assert process.returncode == 0
    assert (b"Grading" in told) is on_terminal
    assert (b"\x1b[" in told) is on_terminal
    assert b"50 of 50 rows" in told


def test_ctrl_c_stops_all_processes_and_the_same_again_goes_on(tmp_path: Path, freerecall: Terminal) -> None:
    source = write(tmp_path / "in.jsonl", [{**ROW, "id": n} for n in range(20_000)])
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "freerecall", "grade-batch", str(source), "--out", str(tmp_path / "out")]
    with subprocess.Popen(
        command, env=environment(tmp_path, TERM="xterm"), stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        told = b""
        while b"Grading" not in told:
            told += os.read(ours, 4096)
        partial = tmp_path / ".out.partial"
        until(lambda: partial.exists() and partial.stat().st_size > 100_000)
        os.killpg(process.pid, signal.SIGINT)
        with contextlib.suppress(OSError):
            while chunk := os.read(ours, 4096):
                told += chunk
        process.wait(timeout=60)
        os.close(ours)

    assert process.returncode == 130
    assert b"Traceback" not in told
    assert not (tmp_path / "out").exists()
    before = partial.read_bytes()
    assert freerecall("grade-batch", source, "--out", tmp_path / "out").code == 0
    assert [row["id"] for row in read(tmp_path / "out")] == list(range(20_000))
    kept = before[: before.rfind(b"\n") + 1].partition(b"\n")[2]
    assert (tmp_path / "out").read_bytes().startswith(kept)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out"]


def test_no_answer_is_paid_for_twice_after_a_kill(tmp_path: Path, freerecall: Terminal) -> None:
    """The model hangs at the third answer, the process is killed there, and the same again goes on."""
    rows = [{**ROW, "id": n, "answer": f"an answer of its own, number {n}"} for n in range(5)]
    source, out = write(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl"
    with llm.ScriptedLLM(llm.covered(), llm.covered(), llm.hang()) as model:
        command = [sys.executable, "-m", "freerecall", "grade-batch", str(source), "--out", str(out)]
        command += ["--grader", "llm", "--model", "openai/scripted", "--api-base", model.api_base]
        env = environment(tmp_path / "data", FREERECALL_PROMPT="rubric-v1")
        process = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)
        for _ in range(3):
            assert model.arrived.acquire(timeout=60)
        process.kill()
        process.wait()
        asked = len(model.requests)
        model.release()
        model.script(llm.covered())
        subprocess.run(command, env=env, check=True, stderr=subprocess.DEVNULL, timeout=120)
        answers = [request.answer for request in model.requests]
    assert [row["id"] for row in read(out)] == [0, 1, 2, 3, 4]
    assert asked < len(answers)
    assert max(answers.count(f"an answer of its own, number {n}") for n in (0, 1)) <= 2
    assert len(answers) <= 5 + asked
