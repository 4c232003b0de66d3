"""How far a grader agrees with people."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int_]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Statistic = Callable[[Ints, Ints], float]

SCALE = 5


def confusion(gold: Ints, given: Ints, size: int = SCALE) -> Ints:
    """Return counts [gold, given] for values 1..size."""
    table = np.zeros((size, size), np.int_)
    np.add.at(table, (gold - 1, given - 1), 1)
    return table


def qwk(gold: Ints, given: Ints) -> float:
    """Quadratic weighted kappa (Cohen 1968), -1–1; 1 where both are constant and equal, else 0."""
    table = confusion(gold, given).astype(float)
    distance = np.subtract.outer(np.arange(SCALE), np.arange(SCALE)) ** 2
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / max(table.sum(), 1)
    disagreement = float((distance * expected).sum())
    if disagreement == 0:
        return 1.0 if (gold == given).all() else 0.0
    return 1.0 - float((distance * table).sum()) / disagreement


def exact(gold: Ints, given: Ints) -> float:
    """Share of equal ratings, 0–1."""
    return float((gold == given).mean())


def within_one(gold: Ints, given: Ints) -> float:
    """Share of ratings at most one apart, 0–1."""
    return float((abs(gold - given) <= 1).mean())


def mae(gold: Ints, given: Ints) -> float:
    """Mean absolute error in rating steps."""
    return float(abs(gold - given).mean())


def spearman(gold: Ints, given: Ints) -> float:
    """Rank correlation with ties averaged, -1–1; 0 where either is constant."""
    one, other = _ranks(gold), _ranks(given)
    if one.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _ranks(values: Ints) -> NDArray[np.float64]:
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    middle: NDArray[np.float64] = (last - counts + 1 + last) / 2
    return middle[where]


def f1_scores(gold: Ints, given: Ints, classes: int = 2) -> tuple[float, float]:
    """Return (macro, weighted) F1 over the classes 0..classes-1; one that nobody names counts as 0."""
    scores, sizes = [], []
    for one in range(classes):
        hits = float(((gold == one) & (given == one)).sum())
        total = float((gold == one).sum() + (given == one).sum())
        scores.append(2 * hits / total if total else 0.0)
        sizes.append(float((gold == one).sum()))
    return sum(scores) / classes, float(np.average(scores, weights=sizes)) if sum(sizes) else 0.0


def f1_statistics(classes: int) -> dict[str, Statistic]:
    """Return macro-F1, weighted F1 and accuracy for values 0..classes-1."""
    return {
        "macro_f1": lambda gold, given: f1_scores(gold, given, classes)[0],
        "weighted_f1": lambda gold, given: f1_scores(gold, given, classes)[1],
        "accuracy": exact,
    }


def recalls(table: Ints) -> list[float | None]:
    """Return, per gold rating, the share that was given just that rating; None where no answer has it."""
    sizes = table.sum(axis=1)
    return [
        float(row[i] / size) if size else None for i, (row, size) in enumerate(zip(table, sizes, strict=True))
    ]


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers whose confidence lies between `low` and `high`: their number, mean confidence, share right."""

    low: float
    high: float
    n: int
    confidence: float
    right: float


def reliability(confidence: Floats, right: Bools, bins: int = 10) -> list[Bin]:
    """Return the bins of equal width that hold an answer (DeGroot and Fienberg 1983)."""
    member = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        Bin(
            float(i / bins),
            float((i + 1) / bins),
            int((member == i).sum()),
            float(confidence[member == i].mean()),
            float(right[member == i].mean()),
        )
        for i in range(bins)
        if (member == i).any()
    ]


def expected_calibration_error(curve: Sequence[Bin]) -> float:
    """Return the mean gap between confidence and share right, weighted, 0–1 (Naeini et al. 2015)."""
    total = sum(one.n for one in curve)
    return sum(one.n * abs(one.confidence - one.right) for one in curve) / total if total else 0.0


RATING_STATISTICS: dict[str, Statistic] = {
    "qwk": qwk,
    "exact": exact,
    "within_one": within_one,
    "mae": mae,
    "spearman": spearman,
}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A statistic with its bootstrap interval."""

    value: float
    low: float
    high: float


def draws_of(groups: Sequence[str], draws: int, seed: int = 0) -> Iterator[Ints]:
    """Yield `draws` samples of row numbers, each made of whole groups (cards) drawn with replacement."""
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    rows = [np.flatnonzero(member == group) for group in range(member.max() + 1)]
    random = np.random.default_rng(seed)
    for _ in range(draws):
        yield np.concatenate([rows[i] for i in random.integers(len(rows), size=len(rows))])


def interval(value: float, drawn: Sequence[float], level: float = 0.95) -> Estimate:
    """Return `value` with the percentile interval of its draws."""
    tail = (1 - level) / 2
    return Estimate(value, float(np.quantile(drawn, tail)), float(np.quantile(drawn, 1 - tail)))


def bootstrap(
    statistics: dict[str, Statistic],
    gold: Ints,
    given: Ints,
    groups: Sequence[str],
    *,
    draws: int = 1_000,
) -> dict[str, Estimate]:
    """Estimate each statistic with a 95 % percentile interval from resampling whole groups (cards)."""
    picks = list(draws_of(groups, draws))
    return {
        name: interval(statistic(gold, given), [statistic(gold[pick], given[pick]) for pick in picks])
        for name, statistic in statistics.items()
    }


def paired_bootstrap(
    statistics: dict[str, Statistic],
    gold: Ints,
    one: Ints,
    other: Ints,
    groups: Sequence[str],
    *,
    draws: int = 1_000,
) -> dict[str, Estimate]:
    """Estimate how much higher each statistic is with `other` than with `one` on the same answers."""
    picks = list(draws_of(groups, draws))
    return {
        name: interval(
            statistic(gold, other) - statistic(gold, one),
            [statistic(gold[pick], other[pick]) - statistic(gold[pick], one[pick]) for pick in picks],
        )
        for name, statistic in statistics.items()
    }
