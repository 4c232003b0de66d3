"""The embedded grader, in this process and through `grade-batch`."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median

from rapidfuzz import fuzz

from bench.answers import answered, typed
from bench.measure import Row, alternate, percentile
from freerecall.cards import Card
from freerecall.grading import grade_embedded, warm

GRADES = 3000
BATCH_ROWS = 10_000


def one_grade() -> list[Row]:
    """Time one embedded grade against one token_set_ratio, on answers as typed and on easy ones.

    Of the easy ones (references whole, halved, shuffled, misspelt) words alone decide most.
    """
    return [*_one_grade("typed", typed()), *_one_grade("easy", answered())]


def _one_grade(kind: str, answers: Iterator[tuple[Card, str]]) -> list[Row]:
    warm()
    pairs = list(islice(answers, GRADES))
    for card, answer in pairs[:100]:
        grade_embedded(card, answer)
    ours, baseline = alternate(
        lambda number: grade_embedded(*pairs[number]),
        lambda number: fuzz.token_set_ratio(pairs[number][0].reference, pairs[number][1]),
        GRADES,
    )
    at_median, at_95 = median(ours) * 1e6, percentile(ours, 95) * 1e6
    plain_median, plain_95 = median(baseline) * 1e6, percentile(baseline, 95) * 1e6
    return [
        Row(
            f"one embedded grade, {kind} answers, median (baseline: token_set_ratio)",
            f"{at_median:.0f} µs",
            f"{plain_median:.1f} µs",
            at_median / plain_median,
            "≤ 1000 µs",
            at_median <= 1000,
        ),
        Row(
            f"one embedded grade, {kind} answers, 95th percentile",
            f"{at_95:.0f} µs",
            f"{plain_95:.1f} µs",
            at_95 / plain_95,
            "",
            True,
        ),
    ]


def batch(folder: Path) -> list[Row]:
    """Time grade-batch as a command, its start included, against a plain loop over the same rows."""
    source, out = folder / "rows.jsonl", folder / "graded.jsonl"
    with source.open("w", encoding="utf-8") as lines:
        for number, (card, answer) in enumerate(islice(answered(), BATCH_ROWS)):
            row = {"id": number, "question": card.question, "reference": card.reference, "answer": answer}
            lines.write(json.dumps(row) + "\n")

    started = time.perf_counter()
    command = ["grade-batch", str(source), "--out", str(out), "--grader", "embedded"]
    subprocess.run([sys.executable, "-m", "freerecall", *command], check=True, stderr=subprocess.DEVNULL)  # noqa: S603
    ours = BATCH_ROWS / (time.perf_counter() - started)

    started = time.perf_counter()
    with (
        source.open(encoding="utf-8") as lines,
        (folder / "plain.jsonl").open("w", encoding="utf-8") as written,
    ):
        for line in lines:
            row = json.loads(line)
            score = fuzz.token_set_ratio(row["reference"], row["answer"])
            written.write(json.dumps({"id": row["id"], "score": score}) + "\n")
    plain = BATCH_ROWS / (time.perf_counter() - started)

    with out.open(encoding="utf-8") as lines:
        complete = sum("rating" in json.loads(line) for line in lines) == BATCH_ROWS
    return [
        Row(
            f"grade-batch, {BATCH_ROWS} rows (baseline: a token_set_ratio loop)",
            f"{ours:.0f} rows/s",
            f"{plain:.0f} rows/s",
            ours / plain,
            "≥ 1000 rows/s",
            ours >= 1000 and complete,
        )
    ]
