"""Runs that are kept: taken up again, compared, gated, looked at."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freerecall.errors import InputError
from freerecall.evaluation import compare, metrics
from freerecall.evaluation.run import evaluate
from freerecall.evaluation.samples import Sample, read_run
from freerecall.grades import GraderMode
from terminal import Terminal

GOLD = Path(__file__).parent.parent / "evals" / "gold" / "mlops.jsonl"
ROWS = GOLD.read_text(encoding="utf-8").splitlines(keepends=True)[:40]


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    path = tmp_path / "gold.jsonl"
    path.write_text("".join(ROWS), encoding="utf-8")
    return path


def run(gold: Path, out: Path) -> list[Sample]:
    def ignore(done: int, total: int) -> None:
        pass

    return evaluate(gold, mode=GraderMode.EMBEDDED, llm=None, on_progress=ignore, out=out)[1]


def without_times(samples: list[Sample]) -> list[Sample]:
    return [replace(one, provenance={**one.provenance, "latency_ms": 0}) for one in samples]


def test_a_run_that_was_killed_goes_on_where_it_stopped(gold: Path, tmp_path: Path) -> None:
    whole = run(gold, tmp_path / "whole")
    folder = tmp_path / "killed"
    run(gold, folder)
    lines = (folder / "samples.jsonl").read_bytes().splitlines(keepends=True)
    marked = lines[0].replace(b'"feedback": "', b'"feedback": "kept: ')
    (folder / "samples.jsonl").write_bytes(marked + b"".join(lines[1:25]) + lines[25][:40])

    again = run(gold, folder)

    assert again[0].feedback.startswith("kept: ")
    assert without_times(again)[1:] == without_times(whole)[1:]
    assert [sample.number for sample in read_run(folder)[1]] == list(range(1, 41))


def test_a_folder_holds_one_run_only(gold: Path, tmp_path: Path) -> None:
    run(gold, tmp_path / "run")
    gold.write_text("".join(ROWS[:20]), encoding="utf-8")
    with pytest.raises(InputError, match="another run"):
        run(gold, tmp_path / "run")
    with pytest.raises(InputError, match="holds no run"):
        read_run(tmp_path / "nothing")


def test_the_page_needs_nothing_else_and_hides_nothing(
    gold: Path, tmp_path: Path, freerecall: Terminal
) -> None:
    hostile = {**json.loads(ROWS[0]), "id": "x", "answer": "<script>alert(1)</script> scales & is stable"}
    gold.write_text("".join(ROWS) + json.dumps(hostile) + "\n", encoding="utf-8")
    done = freerecall("eval", gold, "--grader", "embedded", "--out", tmp_path / "run")
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "report.html" in done.out
    assert page.count("<svg") == 4
    assert page.count('<details class="sample"') == 41
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
    loads = re.findall(r"""(?:src|href)=["']?(?!#|data:)[^"'>]+|@import|url\((?!#)""", page)
    assert loads == []


def test_eval_without_run_and_with_it_are_the_same(gold: Path, freerecall: Terminal, tmp_path: Path) -> None:
    one = freerecall("eval", gold, "--grader", "embedded", "--json", tmp_path / "1.json")
    other = freerecall("eval", "run", "--grader", "embedded", gold, "--json", tmp_path / "2.json")
    third = freerecall("eval", "--grader", "embedded", gold)
    assert (one.code, other.code, third.code) == (0, 0, 0)
    reports: list[dict[str, Any]] = [json.loads((tmp_path / f"{n}.json").read_text()) for n in (1, 2)]
    assert reports[0]["qwk"] == reports[1]["qwk"]
    assert len(reports[0]["recalls"]) == 5
    assert 0 <= reports[0]["ece"] <= 1
    assert {one["by"] for one in reports[0]["slices"]} >= {"kind of card", "style of answer"}


def test_a_run_against_itself_gains_nothing(gold: Path, tmp_path: Path, freerecall: Terminal) -> None:
    run(gold, tmp_path / "a")
    done = freerecall("eval", "compare", tmp_path / "a", tmp_path / "a", "--json", tmp_path / "c.json")
    found = json.loads((tmp_path / "c.json").read_text())
    assert done.code == 0
    assert (found["n"], found["wins"], found["losses"], found["differing"]) == (40, 0, 0, [])
    assert all(gain == {"value": 0, "low": 0, "high": 0} for gain in found["gains"].values())


def test_the_better_run_wins_with_an_interval_above_zero(gold: Path, tmp_path: Path) -> None:
    samples = run(gold, tmp_path / "a")
    perfect = [replace(one, rating=one.gold or 0) for one in samples]
    found = compare.compare(samples, perfect)
    assert found.gains["qwk"].low > 0
    assert (found.wins, found.losses) == (len(found.differing), 0)
    apart = [abs(a.rating - b.rating) for a, b in found.differing]
    assert apart == sorted(apart, reverse=True)
    backwards = compare.compare(perfect, samples)
    assert backwards.gains["qwk"].value == -found.gains["qwk"].value


def test_unlike_runs_are_not_compared(gold: Path, tmp_path: Path) -> None:
    samples = run(gold, tmp_path / "a")
    with pytest.raises(InputError, match="no answer in common"):
        compare.compare(samples, [replace(one, answer="x") for one in samples])
    with pytest.raises(InputError, match="unlike gold"):
        compare.compare(samples, [replace(one, gold=6 - (one.gold or 0)) for one in samples])


def test_the_gate_asks_as_little_as_the_loss_allows(gold: Path, tmp_path: Path, freerecall: Terminal) -> None:
    samples = run(gold, tmp_path / "a")
    perfect = [replace(one, rating=one.gold or 0) for one in samples]
    curve = compare.gate(samples, perfect, loss=0.05)
    assert (curve.points[0].asked, curve.points[-1].agreement) == (0.0, 1.0)
    assert curve.best.agreement >= 0.95
    assert [
        point for point in curve.points if point.asked < curve.best.asked and point.agreement >= 0.95
    ] == []
    shares = [point.asked for point in curve.points]
    assert shares == sorted(shares)
    done = freerecall("eval", "gate", tmp_path / "a", tmp_path / "a")
    assert "100% decided without the model" in done.out


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50))
def test_reliability_counts_every_answer_once(pairs: list[tuple[float, bool]]) -> None:
    sure, right = np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])
    curve = metrics.reliability(sure, right)
    assert sum(one.n for one in curve) == len(pairs)
    assert sum(one.n * one.right for one in curve) == pytest.approx(right.sum())
    error = metrics.expected_calibration_error(curve)
    assert abs(sure.mean() - right.mean()) - 1e-9 <= error <= 1
