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

from freerecall.cards import Kind
from freerecall.evaluation import fit, metrics
from freerecall.evaluation.batch import grade_rows
from freerecall.evaluation.report import render
from freerecall.evaluation.rows import BadRow, Format, Row, parse_lines, read_rows
from freerecall.evaluation.run import evaluate
from freerecall.grades import GraderMode
from freerecall.grading import calibration, combine, encoder
from freerecall.grading.features import NAMES
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
            "answer": "water falling from clouds",
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
    width = len(NAMES) + len(combine.EVIDENCE) + len(calibration.KINDS) + len(calibration.LAYERS)
    found, ratings = random.normal(size=(300, width)), random.integers(1, 6, 300)
    first = fit.fit_forest("matched", found, ratings)
    opinions = random.normal(size=(300, len(encoder.NAMES)))
    columns = zip(found, first.predict(found), opinions, strict=True)
    read = np.array([calibration.rater_inputs(*row) for row in columns])
    second = fit.fit_forest("rater", read, ratings)
    monkeypatch.setattr(calibration, "FOLDER", tmp_path)
    layer = {"weights": [1.0] * len(combine.INPUTS), "cuts": [-2.0, -1.0, 0.0, 1.0]}
    arrays = {**fit.arrays_of("matched", first), **fit.arrays_of("rater", second)}
    layers = dict.fromkeys(calibration.LAYERS, layer)
    fit.save("trial", arrays, layers, {"sources": [], "by_words": layers, "judged": {}})
    calibration.load.cache_clear()
    saved = calibration.load("trial")
    matched = [saved.matched.value_of(row.astype(np.float32)) for row in found]
    assert np.allclose(matched, first.predict(found), atol=0.01)
    expected = [saved.rater.value_of(row.astype(np.float32)) for row in read]
    assert np.allclose(expected, second.predict(read), atol=0.01)
    calibration.load.cache_clear()


def test_ordinal_cuts_are_found_again() -> None:
    random = np.random.default_rng(0)
    inputs = random.normal(size=(4000, 2))
    logits = (inputs @ [2.0, -1.0])[:, None] - np.array([-2.0, -0.5, 0.5, 2.0])
    ratings = 1 + (random.random((4000, 1)) < 1 / (1 + np.exp(-logits))).sum(axis=1)
    found = fit.fit_ordinal(inputs, ratings, (ratings >= 4).astype(int), ridge=0.0)
    assert found["weights"] == pytest.approx([2.0, -1.0], abs=0.3)
    assert found["cuts"] == sorted(found["cuts"])


def test_a_part_of_a_file_is_taken_by_name(tmp_path: Path, freerecall: Terminal) -> None:
    path, out = tmp_path / "gold.jsonl", tmp_path / "figures.json"
    rows = [
        {**GOLD[0], "id": 1, "split": "dev"},
        {**GOLD[0], "id": 2, "split": "test"},
        {**GOLD[0], "id": 3},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for names, ids in (("dev", [1, 3]), ("test,dev", [1, 2, 3]), ("", [1, 2, 3])):
        split = tuple(name for name in names.split(",") if name)
        assert [row.id for row in read_rows(path, gold=True, split=split)] == ids
        assert freerecall("eval", str(path), "--split", names, "--json", str(out)).code == 0
        assert json.loads(out.read_text())["n"] == len(ids)


def test_key_points_may_bring_other_wordings_and_questions_a_file_of_their_own(tmp_path: Path) -> None:
    points = ["it is red", {"text": "it is hot", "accept": ["it burns"]}]
    question = {
        "dataset": "d",
        "question_id": "q",
        "question": "What is fire like?",
        "references": [{"text": "Red and hot"}],
        "key_points": points,
        "kind": "list",
    }
    (tmp_path / "questions.jsonl").write_text(json.dumps(question) + "\n", encoding="utf-8")
    path = tmp_path / "gold.jsonl"
    rows = [
        {"id": 1, "dataset": "d", "question_id": "q", "answer": "it burns", "gold": 3},
        *(
            {"question": "q", "reference": "r", "key_points": [point], "answer": "a", "gold": 1}
            for point in ({"accept": []}, {"text": 5})
        ),
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    good, *bad = read_rows(path, gold=True)
    assert isinstance(good, Row)
    assert good.card.kind is Kind.LIST
    assert [(point.text, point.accept) for point in good.card.points] == [
        ("it is red", ()),
        ("it is hot", ("it burns",)),
    ]
    assert all(isinstance(one, BadRow) and '"text"' in one.error for one in bad)
