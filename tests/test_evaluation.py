"""Evaluation: agreement statistics, gold rows, reports, and the calibration that is fitted from them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score, f1_score

from freerecall.evaluation import fit, metrics
from freerecall.evaluation.batch import grade_rows
from freerecall.evaluation.report import render
from freerecall.evaluation.rows import BadRow, Format, Row, parse_lines, read_rows
from freerecall.evaluation.run import evaluate
from freerecall.grades import GraderMode
from freerecall.grading import calibration
from terminal import Terminal

RATINGS = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=2, max_size=60)
GOLD = [
    {"id": 1, "question": "Name two fruits.", "key_points": ["apple", "pear"], "reference": "apple, pear",
     "answer": "apple and pear", "gold": 5},
    {"id": 2, "question": "Name two fruits.", "key_points": ["apple", "pear"], "reference": "apple, pear",
     "answer": "bread", "gold": 1},
    {"id": 3, "question": "What is rain?", "reference": "Water that falls from clouds",
     "answer": "water falling from the clouds", "gold": 5},
]  # fmt: skip


def columns(pairs: list[tuple[int, int]]) -> tuple[metrics.Ints, metrics.Ints]:
    return np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])


@given(RATINGS)
def test_statistics_agree_with_established_ones(pairs: list[tuple[int, int]]) -> None:
    gold, given_ = columns(pairs)
    constant = len(set(gold)) == 1 or len(set(given_)) == 1
    if not constant:
        kappa = cohen_kappa_score(gold, given_, weights="quadratic", labels=[1, 2, 3, 4, 5])
        assert metrics.qwk(gold, given_) == pytest.approx(kappa)
        assert metrics.spearman(gold, given_) == pytest.approx(spearmanr(gold, given_).statistic)
    macro, weighted = metrics.f1_scores((gold >= 4).astype(int), (given_ >= 4).astype(int))
    for average, ours in (("macro", macro), ("weighted", weighted)):
        theirs = f1_score(gold >= 4, given_ >= 4, average=average, labels=[True, False], zero_division=0)
        assert ours == pytest.approx(theirs)


def test_the_interval_holds_the_value_and_narrows_with_more_cards() -> None:
    random = np.random.default_rng(1)
    gold = random.integers(1, 6, 400)
    given_ = np.clip(gold + random.integers(-1, 2, 400), 1, 5)

    def width(cards: int) -> float:
        groups = [str(i % cards) for i in range(400)]
        estimate = metrics.bootstrap({"qwk": metrics.qwk}, gold, given_, groups, draws=200)["qwk"]
        assert estimate.low <= estimate.value <= estimate.high
        return estimate.high - estimate.low

    assert width(5) < 0.5
    assert width(400) < 0.1


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_report_has_what_the_contract_says(tmp_path: Path, freerecall: Terminal) -> None:
    gold = write(tmp_path / "gold.jsonl", [*GOLD, {"id": 4}, {**GOLD[0], "gold": 6}])
    out = tmp_path / "report.json"
    done = freerecall("eval", gold, "--json", out)
    report = json.loads(out.read_text())
    assert report["n"] == 3
    assert len(report["bad"]) == 2
    for name in ("qwk", "exact", "within_one", "mae", "spearman"):
        low, high = report["intervals"][name]
        assert low <= report[name] <= high
    assert np.array(report["confusion"]).shape == (5, 5)
    assert np.array(report["confusion"]).sum() == 3
    assert report["llm"] == {"calls": 0, "tokens_in": 0, "tokens_out": 0, "cost_usd": 0}
    assert set(report["latency_ms"]) == {"p50", "p95"}
    assert "qwk" in done.out
    assert "2 bad rows" in done.out


def test_labels_stand_beside_ratings_and_questions_in_their_own_file(tmp_path: Path) -> None:
    question = {"dataset": "d", "question_id": "q1", "question": "What is rain?",
                "references": [{"category": None, "text": "Water that falls from clouds"}]}  # fmt: skip
    write(tmp_path / "questions.jsonl", [question])
    answers = [
        {
            "id": "a",
            "dataset": "d",
            "question_id": "q1",
            "answer": "water from clouds that falls",
            "label": "correct",
        },
        {"id": "b", "dataset": "d", "question_id": "q1", "answer": "a kind of bread", "label": "incorrect"},
    ]
    path = write(tmp_path / "answers.jsonl", answers)
    report, _ = evaluate(path, mode=GraderMode.EMBEDDED, llm=None, on_progress=lambda *_: None)
    estimate = report.labels["d"]["macro_f1"]
    assert isinstance(estimate, metrics.Estimate)
    assert estimate.value == 1.0
    assert "correct against the rest" in render(report)


@settings(max_examples=100)
@given(st.binary(max_size=300))
def test_any_bytes_are_rows_or_bad_rows(content: bytes) -> None:
    lines = content.splitlines()
    found = list(parse_lines(lines, Format()))
    assert len(found) == sum(1 for line in lines if line.strip())
    assert all(isinstance(item, Row | BadRow) for item in found)


def test_bad_rows_are_passed_over_in_order(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(json.dumps(GOLD[0]).encode() + b"\n\nnot json\n" + json.dumps(GOLD[1]).encode() + b"\n")
    results = list(grade_rows(read_rows(path), mode=GraderMode.EMBEDDED, llm=None))
    kinds = [isinstance(result, BadRow) for result in results]
    assert kinds == [False, True, False]
    assert "line 3" in results[1].error  # type: ignore[union-attr]


def test_saved_trees_say_what_the_fitted_ones_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    width = len(__import__("freerecall.grading.features", fromlist=["NAMES"]).NAMES)
    described, pairs = random.normal(size=(300, width)), random.normal(size=(300, 512))
    correct = (described[:, 0] + described[:, 3] > 0).astype(int)
    judge = fit.fit_judge(described, pairs, correct, [str(i % 20) for i in range(300)])
    monkeypatch.setattr(calibration, "FOLDER", tmp_path)
    layer = {"weights": [1.0] * 7, "cuts": [-2.0, -1.0, 0.0, 1.0]}
    ratings = random.integers(1, 6, 300)
    reads = np.hstack([described, random.normal(size=(300, 9))])
    forest = fit.fit_rater(reads, ratings)
    arrays = {**fit.arrays_of_judge(judge), **fit.arrays_of_rater(forest)}
    fit.save("trial", arrays, dict.fromkeys(calibration.LAYERS, layer), {"sources": [], "judged": {}})
    calibration.load.cache_clear()
    saved = calibration.load("trial")
    ours = [
        saved.log_odds(d.astype(np.float32), p.astype(np.float32))
        for d, p in zip(described, pairs, strict=True)
    ]
    expected = [saved.rater.value_of(row.astype(np.float32)) for row in reads]
    assert np.allclose(expected, forest.predict(reads), atol=0.01)
    assert np.allclose(ours, judge.log_odds(described, pairs), atol=0.05)
    calibration.load.cache_clear()


def test_ordinal_cuts_are_found_again() -> None:
    random = np.random.default_rng(0)
    inputs = random.normal(size=(4000, 2))
    logits = (inputs @ [2.0, -1.0])[:, None] - np.array([-2.0, -0.5, 0.5, 2.0])
    ratings = 1 + (random.random((4000, 1)) < 1 / (1 + np.exp(-logits))).sum(axis=1)
    found = fit.fit_ordinal(inputs, ratings, (ratings >= 4).astype(int), ridge=0.0)
    assert found["weights"] == pytest.approx([2.0, -1.0], abs=0.3)
    assert found["cuts"] == sorted(found["cuts"])
