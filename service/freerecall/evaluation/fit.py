"""Fit the embedded grader's calibration; needs the `fit` extra (scikit-learn).

Two forests that expect a rating, the second on top of the first and of the encoder's opinion, then
proportional-odds models over what they expect of cards that they did not see.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from freerecall.evaluation import metrics
from freerecall.grading import calibration

Floats = NDArray[np.float64]
Ints = NDArray[np.int_]

FOLDS = 5
_GAPS = (0.8, 0.7, 1.0)
"""Log-odds between the cuts of neighbouring ratings, before any rating is seen."""
_TREES = {"n_estimators": 100, "max_features": 0.4, "max_depth": 14, "random_state": 0}
_LEAF = {"matched": 12, "rater": 4}
"""The least rows in a leaf: the first forest learns from ten times as many as the second."""


def fit_forest(name: str, read: Floats, ratings: Floats | Ints) -> Any:
    """Fit a forest (extremely randomised trees, Geurts et al. 2006) that expects a rating."""
    from sklearn.ensemble import ExtraTreesRegressor

    return ExtraTreesRegressor(min_samples_leaf=_LEAF[name], n_jobs=-1, **_TREES).fit(read, ratings)


def out_of_fold(name: str, read: Floats, ratings: Floats | Ints, groups: Sequence[str]) -> Floats:
    """Return the expected rating of every row, by a forest that saw no rating of its card.

    Rows without a rating (0) get theirs from one that saw all of them.
    """
    from sklearn.model_selection import GroupKFold

    rated = np.flatnonzero(ratings > 0)
    out: Floats = fit_forest(name, read[rated], ratings[rated]).predict(read)
    cards = np.asarray(groups)[rated]
    for train, test in GroupKFold(2 * FOLDS).split(rated, groups=cards):
        forest = fit_forest(name, read[rated[train]], ratings[rated[train]])
        out[rated[test]] = forest.predict(read[rated[test]])
    return out


def fit_ordinal(
    inputs: Floats,
    ratings: Ints,
    correct: Ints,
    *,
    signs: Sequence[int] | None = None,
    ridge: float = 0.02,
) -> dict[str, list[float]]:
    """Fit P(rating >= k) = sigmoid(w·x - c_k), k in 2..5, with rising cuts, by penalised likelihood.

    `ratings` are 1–5, or 0 where an answer was only labelled: `correct` (0, 1) then tells on which
    side of 4 it lies, both sides weighing alike. Where no rating says how far cuts are apart, they
    are _GAPS apart. `signs` (1, -1) bound the weights; an input that never varies gets none.
    """
    from scipy.optimize import minimize

    width = inputs.shape[1]
    scale = np.maximum(inputs.std(axis=0), 1e-3)
    scaled = inputs / scale
    rated = ratings > 0
    rows, given = np.flatnonzero(rated), ratings[rated]
    share = correct[~rated].mean() if not rated.all() else 0.5
    even = 0.5 / np.where(correct[~rated] == 1, share, 1 - share)

    def unpack(values: Floats) -> tuple[Floats, Floats]:
        gaps = np.exp(values[width + 1 :])
        return values[:width], values[width] + np.concatenate(([0.0], np.cumsum(gaps)))

    def loss(values: Floats) -> float:
        weights, cuts = unpack(values)
        logits = np.clip((scaled @ weights)[:, None] - cuts[None, :], -30, 30)
        at_least = 1 / (1 + np.exp(-logits))
        padded = np.column_stack([np.ones(len(inputs)), at_least, np.zeros(len(inputs))])
        exact = padded[rows, given - 1] - padded[rows, given]
        side = np.where(correct == 1, at_least[:, 2], 1 - at_least[:, 2])[~rated]
        likelihood = np.log(np.maximum(exact, 1e-9)).sum() + even @ np.log(np.maximum(side, 1e-9))
        prior = ridge * len(inputs) * (weights**2).mean() + ((values[width + 1 :] - np.log(_GAPS)) ** 2).sum()
        return float(prior - likelihood) / len(inputs)

    start = np.concatenate([np.full(width, 0.3), [-1.5], np.log(_GAPS)])
    varies = inputs.std(axis=0) > 0
    bounds: list[tuple[float | None, float | None]] = [
        (0.0 if sign > 0 or not moves else None, 0.0 if sign < 0 or not moves else None)
        for sign, moves in zip(signs or [0] * width, varies, strict=True)
    ]
    start[:width] *= varies * np.array(signs or [1] * width)
    best = minimize(loss, start, method="L-BFGS-B", bounds=bounds + [(None, None)] * 4)
    weights, cuts = unpack(best.x)
    return {
        "weights": [round(float(value), 5) for value in weights / scale],
        "cuts": [round(float(value), 5) for value in cuts],
    }


def rate(fitted: dict[str, list[float]], inputs: Floats) -> Ints:
    """Return the ratings 1–5 that a fitted ordinal model gives to rows of inputs."""
    logits = inputs @ np.array(fitted["weights"])
    ratings: Ints = 1 + (logits[:, None] >= np.array(fitted["cuts"])[None, :]).sum(axis=1)
    return ratings


def agreement(gold: Ints, given: Ints, groups: Sequence[str]) -> dict[str, Any]:
    """Return the rating statistics with intervals over cards, JSON-ready."""
    estimates = metrics.bootstrap(metrics.RATING_STATISTICS, gold, given, groups, draws=200)
    return {"n": len(gold), **{name: asdict(value) for name, value in estimates.items()}}


def arrays_of(name: str, forest: Any) -> dict[str, NDArray[Any]]:
    """Return a forest as the arrays of calibration.Forest, each named after it."""
    trees = [one.tree_ for one in forest.estimators_]
    sizes = [tree.node_count for tree in trees]
    roots = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    start = np.repeat(roots, sizes)
    left, right = (
        np.concatenate([getattr(tree, side) for tree in trees])
        for side in ("children_left", "children_right")
    )
    leaf, here = left < 0, np.arange(len(left))
    children = np.column_stack([np.where(leaf, here, start + right), np.where(leaf, here, start + left)])
    value = np.concatenate([tree.value[:, 0, 0] for tree in trees]) / len(trees)
    arrays: dict[str, NDArray[Any]] = {
        "roots": roots.astype(np.int32),
        "feature": np.where(leaf, 0, np.concatenate([t.feature for t in trees])).astype(np.uint8),
        "threshold": np.where(leaf, 0.0, np.concatenate([t.threshold for t in trees])).astype(np.float32),
        "children": children.astype(np.int32),
        "value": value.astype(np.float32),
        "baseline": np.array(0.0, np.float32),
        "depth": np.array(max(tree.max_depth for tree in trees), np.int16),
    }
    return {f"{name}_{key}": array for key, array in arrays.items()}


def save(version: str, arrays: dict[str, NDArray[Any]], layers: dict[str, Any], meta: dict[str, Any]) -> None:
    """Write a calibration under its version name."""
    folder = calibration.FOLDER
    folder.mkdir(exist_ok=True)
    np.savez_compressed(folder / f"{version}.npz", **arrays)  # type: ignore[arg-type]
    text = json.dumps({"version": version, "layers": layers, **meta}, indent=1)
    (folder / f"{version}.json").write_text(text + "\n", encoding="utf-8")
