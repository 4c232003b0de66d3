"""Fit the embedded grader's calibration; needs the `fit` extra (scikit-learn).

Stage 1: boosted trees on answers labelled correct or not. Stage 2: a proportional-odds model on
answers rated 1–5, over the trees' out-of-fold log-odds and the key-point evidence.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from freerecall.cards import Card
from freerecall.evaluation import metrics
from freerecall.grading import calibration, embedded, manipulation
from freerecall.grading.features import NAMES
from freerecall.grading.semantics import DIMENSIONS

Floats = NDArray[np.float64]
Ints = NDArray[np.int_]

FOLDS = 5
_GAPS = (0.8, 0.7, 1.0)
"""Log-odds between the cuts of neighbouring ratings, before any rating is seen."""
_TREES = {
    "learning_rate": 0.04,
    "max_iter": 600,
    "max_leaf_nodes": 64,
    "min_samples_leaf": 4,
    "max_depth": 14,
    "l2_regularization": 3.0,
    "max_features": 0.25,
    "random_state": 0,
}


@dataclass(frozen=True, slots=True)
class Example:
    """An answer with what people said of it: `correct`, and where rated on the scale, `rating` 1–5."""

    card: Card
    answer: str
    correct: bool
    rating: int | None = None
    source: str = ""


def new_forest() -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(**_TREES)


def readings_of(examples: Sequence[Example]) -> list[embedded.Reading | None]:
    """Lay every answer against its card, as the grader does; None where it holds no word."""
    return [embedded.read(e.card, manipulation.without(e.answer)) for e in examples]


def arrays_of(readings: Sequence[embedded.Reading | None]) -> tuple[Floats, Floats]:
    """Return the features [n, features] and the pairs of vectors [n, 512]; where there is no word, blanks."""
    none = np.full(len(NAMES), -1.0), np.zeros(2 * DIMENSIONS)
    rows = [(r.features, r.pair) if r else none for r in readings]
    return np.array([row[0] for row in rows]), np.array([row[1] for row in rows])


@dataclass(frozen=True, slots=True)
class Judge:
    """The fitted metric and trees: features and pairs to log-odds of "correct"."""

    metric: Floats
    trees: Any

    def log_odds(self, features: Floats, pairs: Floats) -> Floats:
        odds: Floats = self.trees.decision_function(np.column_stack([features, pairs @ self.metric]))
        return odds


def fit_judge(features: Floats, pairs: Floats, correct: Ints, groups: Sequence[str]) -> Judge:
    """Fit the metric, then the trees on top of the metric's out-of-fold values."""
    from sklearn.model_selection import GroupKFold

    held_out = np.zeros(len(correct))
    for train, test in GroupKFold(FOLDS).split(pairs, correct, groups):
        held_out[test] = pairs[test] @ _fit_metric(pairs[train], correct[train])
    trees = new_forest().fit(np.column_stack([features, held_out]), correct)
    return Judge(_fit_metric(pairs, correct), trees)


def _fit_metric(pairs: Floats, correct: Ints) -> Floats:
    from sklearn.linear_model import LogisticRegression

    scale = np.maximum(pairs.std(axis=0), 1e-6)
    model = LogisticRegression(C=0.002, max_iter=300).fit(pairs / scale, correct)
    metric: Floats = model.coef_[0] / scale
    return metric


def out_of_fold(features: Floats, pairs: Floats, correct: Ints, groups: Sequence[str]) -> Floats:
    """Return log-odds for every row from a judge that saw no row of its card."""
    from sklearn.model_selection import GroupKFold

    odds = np.zeros(len(correct))
    for train, test in GroupKFold(FOLDS).split(features, correct, groups):
        judge = fit_judge(features[train], pairs[train], correct[train], [groups[i] for i in train])
        odds[test] = judge.log_odds(features[test], pairs[test])
    return odds


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


def rater_inputs(features: Floats, evidence: Floats, layer: NDArray[np.str_]) -> Floats:
    """Return what the second forest reads, as Calibration.expected does for one answer."""
    return np.column_stack([features, evidence, layer[:, None] == np.array(calibration.LAYERS)[None, :]])


def fit_rater(read: Floats, ratings: Ints) -> Any:
    """Fit the second forest (extremely randomised trees, Geurts et al. 2006) on rated answers."""
    from sklearn.ensemble import ExtraTreesRegressor

    return ExtraTreesRegressor(200, min_samples_leaf=4, max_features=0.4, random_state=0).fit(read, ratings)


def expected_out_of_fold(read: Floats, ratings: Ints, groups: Sequence[str]) -> Floats:
    """Return the expected rating of every row, by a forest that saw no rating of its card."""
    from sklearn.model_selection import GroupKFold

    rated = np.flatnonzero(ratings > 0)
    out: Floats = fit_rater(read[rated], ratings[rated]).predict(read)
    cards = np.asarray(groups)[rated]
    for train, test in GroupKFold(2 * FOLDS).split(rated, groups=cards):
        forest = fit_rater(read[rated[train]], ratings[rated[train]])
        out[rated[test]] = forest.predict(read[rated[test]])
    return out


def arrays_of_rater(forest: Any) -> dict[str, NDArray[Any]]:
    """Return the second forest as the arrays of calibration.Forest, names prefixed "rater_"."""
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
    return {
        "rater_roots": roots.astype(np.int32),
        "rater_feature": np.where(leaf, 0, np.concatenate([t.feature for t in trees])).astype(np.uint8),
        "rater_threshold": np.where(leaf, 0.0, np.concatenate([t.threshold for t in trees])).astype(
            np.float32
        ),
        "rater_children": children.astype(np.int32),
        "rater_value": value.astype(np.float32),
        "rater_baseline": np.array(0.0, np.float32),
        "rater_depth": np.array(max(tree.max_depth for tree in trees), np.int16),
    }


def arrays_of_judge(judge: Judge) -> dict[str, NDArray[Any]]:
    """Return the metric and the trees (scikit-learn's HistGradientBoostingClassifier) as plain arrays."""
    trees = [predictors[0].nodes for predictors in judge.trees._predictors]
    sizes = [len(nodes) for nodes in trees]
    roots = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    nodes = np.concatenate(trees)
    start = np.repeat(roots, sizes)
    leaf = nodes["is_leaf"].astype(bool)
    here = np.arange(len(nodes))
    children = np.column_stack(
        [np.where(leaf, here, start + nodes["right"]), np.where(leaf, here, start + nodes["left"])]
    )
    return {
        "metric": judge.metric.astype(np.float32),
        "roots": roots.astype(np.int32),
        "feature": np.where(leaf, 0, nodes["feature_idx"]).astype(np.uint8),
        "threshold": np.where(leaf, 0.0, nodes["num_threshold"]).astype(np.float32),
        "children": children.astype(np.int32),
        "value": nodes["value"].astype(np.float16),
        "baseline": np.array(np.ravel(judge.trees._baseline_prediction)[0], np.float32),
        "depth": np.array(max(int(nodes["depth"].max()) for nodes in trees), np.int16),
    }


def save(version: str, arrays: dict[str, NDArray[Any]], layers: dict[str, Any], meta: dict[str, Any]) -> None:
    """Write a calibration under its version name."""
    folder = calibration.FOLDER
    folder.mkdir(exist_ok=True)
    np.savez_compressed(folder / f"{version}.npz", **arrays)  # type: ignore[arg-type]
    text = json.dumps({"version": version, "layers": layers, **meta}, indent=1)
    (folder / f"{version}.json").write_text(text + "\n", encoding="utf-8")
