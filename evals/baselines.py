"""What the embedded grader is measured against, on the same test rows: fuzzy matching, and its own parts.

    python evals/baselines.py

`token_set_ratio` gets the four cuts that agree best on the dev rows; "matchers" is the embedded
grader without its encoder, "encoder" the encoder's expected rating alone.
"""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rapidfuzz import fuzz

from freerecall.evaluation import metrics
from freerecall.evaluation.rows import Row, read_rows
from freerecall.grading import calibration, combine, encoder, manipulation
from freerecall.grading.reading import read

GOLD = Path(__file__).parent / "gold"
FILES = ("mlops.jsonl", "mixed.jsonl", "short.jsonl")
CUTS = range(20, 101, 5)


def rows_of(name: str, split: str) -> list[Row]:
    found = read_rows(GOLD / name, gold=True, split=(split,))
    return [row for row in found if isinstance(row, Row) and row.gold is not None]


def ratio(row: Row) -> float:
    references = (row.card.reference, *row.card.alternatives)
    return max(fuzz.token_set_ratio(row.answer.lower(), text.lower()) for text in references)


def best_cuts(rows: list[Row]) -> tuple[int, ...]:
    gold, values = np.array([row.gold for row in rows]), np.array([ratio(row) for row in rows])
    tried = itertools.combinations(CUTS, 4)
    return max(tried, key=lambda cuts: metrics.qwk(gold, 1 + np.searchsorted(cuts, values, side="right")))


def by_matchers(row: Row) -> int:
    if (reading := read(row.card, manipulation.without(row.answer, row.card))) is None:
        return 1
    model = calibration.load()
    return combine.rate(model, reading.inputs_by_words(model), reading.layer)[1]


def by_encoder(row: Row) -> int:
    if (reading := read(row.card, manipulation.without(row.answer, row.card))) is None:
        return 1
    return int(np.clip(np.rint(encoder.expected(reading.opinion)), 1, 5))


def show(name: str, grader: str, rows: list[Row], rate: Callable[[Row], int]) -> None:
    gold, given = np.array([row.gold for row in rows]), np.array([rate(row) for row in rows])
    found = metrics.bootstrap(metrics.RATING_STATISTICS, gold, given, [row.card.question for row in rows])
    told = ", ".join(
        f"{key} {found[key].value:.2f} ({found[key].low:.2f}–{found[key].high:.2f})"
        for key in ("qwk", "exact", "within_one")
    )
    print(f"{name} test, {grader}: n {len(rows)}, {told}", flush=True)


def main() -> None:
    for name in FILES:
        test = rows_of(name, "test")
        cuts = best_cuts(rows_of(name, "dev"))
        show(
            name,
            f"token_set_ratio cut at {cuts}",
            test,
            lambda row, at=cuts: 1 + int(np.searchsorted(at, ratio(row), side="right")),
        )
        show(name, "matchers", test, by_matchers)
        show(name, "encoder", test, by_encoder)


if __name__ == "__main__":
    main()
