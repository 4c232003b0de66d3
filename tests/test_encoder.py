"""The encoder: what it reads, that it is the same for everybody, and that it tells right from wrong."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz import fuzz, process

from freerecall.evaluation.rows import Row, read_rows
from freerecall.grading import encoder

GOLD = Path(__file__).parent.parent / "evals" / "gold"
QUESTION = "Why does a metal spoon feel colder than a wooden one?"
REFERENCE = "Metal conducts heat away from the hand faster than wood does."


def rated(answer: str) -> float:
    return float(encoder.expected(encoder.opinion(QUESTION, REFERENCE, answer)))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=400), st.text(max_size=400), st.text(max_size=2_000))
def test_any_text_has_an_opinion(question: str, reference: str, answer: str) -> None:
    opinion = encoder.opinion(question, reference, answer)
    assert opinion.shape == (len(encoder.NAMES),)
    assert np.isfinite(opinion).all()
    assert 1 <= encoder.expected(opinion) <= 5


@given(st.text(max_size=300))
def test_what_is_read_is_plain_and_stays_so(answer: str) -> None:
    once = encoder.plain(answer)
    assert encoder.plain(once) == once
    assert once == once.strip()


@pytest.mark.parametrize(
    ("answer", "same"),
    [
        ("It takes your warmth away quickly.", "it takes your warmth away quickly"),
        ("metal -> heat leaves,    fast", "metal, heat leaves, fast"),
        ("metal takes the heat. . , ", "metal takes the heat"),
    ],
)
def test_marks_and_blanks_do_not_tell(answer: str, same: str) -> None:
    assert encoder.plain(answer) == encoder.plain(same)


def test_right_in_other_words_is_above_wrong_in_nearly_the_same() -> None:
    right = rated("it drains the warmth from your fingers quicker")
    assert right > rated("because metal is by nature a colder thing than wood and the hand is warm")
    assert rated(REFERENCE) > 4 > 2 > rated("a fork is not a spoon")


def test_a_crowd_gets_what_each_would_get_alone() -> None:
    answers = [f"metal carries off the heat {n} times faster" for n in range(40)]
    alone = [rated(answer) for answer in answers]
    encoder.opinion.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(rated, answers)) == alone


def test_no_test_card_has_a_twin_that_may_be_learned_from() -> None:
    cards = {
        split: {
            row.card.question: row.card.reference
            for name in ("mlops.jsonl", "mixed.jsonl")
            for row in read_rows(GOLD / name, gold=True, split=(split,))
            if isinstance(row, Row)
        }
        for split in ("train", "dev", "test")
    }
    test, others = cards["test"], cards["train"] | cards["dev"]
    alike = process.cdist(list(test), list(others), scorer=fuzz.token_set_ratio)
    alike += process.cdist(list(test.values()), list(others.values()), scorer=fuzz.token_set_ratio)
    assert alike.max() < 155


def test_it_knows_what_it_was_trained_on() -> None:
    asked = {
        row["question_id"]: row["question"]
        for row in map(json.loads, (GOLD / "questions.jsonl").read_text(encoding="utf-8").splitlines())
    }
    rows = [json.loads(line) for line in (GOLD / "mixed.jsonl").read_text(encoding="utf-8").splitlines()]
    for split, never_seen in (("train", False), ("dev", True), ("test", True)):
        questions = {asked[row["question_id"]] for row in rows if row["split"] == split}
        assert all(encoder.unseen(questions)) is never_seen


def test_it_is_loaded_when_an_answer_needs_it_and_not_before() -> None:
    code = "import sys, freerecall.api.app, freerecall.grading; print('onnxruntime' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
