"""How far a grader agrees with people."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int_]
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


def f1_scores(gold: NDArray[np.bool_], given: NDArray[np.bool_]) -> tuple[float, float]:
    """Return (macro, weighted) F1 over the two classes."""
    scores, sizes = [], []
    for positive in (True, False):
        hits = float(((gold == positive) & (given == positive)).sum())
        total = float((gold == positive).sum() + (given == positive).sum())
        scores.append(2 * hits / total if total else 0.0)
        sizes.append(float((gold == positive).sum()))
    return sum(scores) / 2, float(np.average(scores, weights=sizes)) if sum(sizes) else 0.0


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


def bootstrap(
    statistics: dict[str, Statistic],
    gold: Ints,
    given: Ints,
    groups: Sequence[str],
    *,
    draws: int = 1_000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Estimate each statistic with a percentile interval from resampling whole groups (cards)."""
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    rows = [np.flatnonzero(member == group) for group in range(member.max() + 1)]
    random = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {name: [] for name in statistics}
    for _ in range(draws):
        picked = np.concatenate([rows[i] for i in random.integers(len(rows), size=len(rows))])
        for name, statistic in statistics.items():
            drawn[name].append(statistic(gold[picked], given[picked]))
    tail = (1 - level) / 2
    return {
        name: Estimate(
            statistic(gold, given),
            float(np.quantile(drawn[name], tail)),
            float(np.quantile(drawn[name], 1 - tail)),
        )
        for name, statistic in statistics.items()
    }
