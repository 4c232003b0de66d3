"""Fit the embedded grader's calibration; needs the `fit` extra (scikit-learn).

Stage 1: boosted trees on answers labelled correct or not. Stage 2: a proportional-odds model on
answers rated 1–5, over the trees' out-of-fold log-odds and the key-point evidence.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from freerecall.cards import Card
from freerecall.grading import calibration, embedded

Floats = NDArray[np.float64]

FOLDS = 5
_TREES = {"learning_rate": 0.08, "max_iter": 300, "max_leaf_nodes": 48, "min_samples_leaf": 6,
          "l2_regularization": 3.0, "max_features": 0.25, "random_state": 0}  # fmt: skip


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


def features_of(examples: Sequence[Example]) -> tuple[list[embedded.Reading | None], Floats]:
    """Read every answer; a row of -1 where there is no word."""
    from freerecall.grading.features import NAMES
    from freerecall.grading.rules import without_manipulation

    readings = [embedded.read(e.card, without_manipulation(e.answer)) for e in examples]
    empty = np.full(len(NAMES), -1.0)
    return readings, np.array([r.features if r else empty for r in readings])


def out_of_fold(features: Floats, correct: NDArray[np.int_], groups: Sequence[str]) -> Floats:
    """Return log-odds for every row from trees that saw no row of its card."""
    from sklearn.model_selection import GroupKFold

    odds = np.zeros(len(correct))
    for train, test in GroupKFold(FOLDS).split(features, correct, groups):
        odds[test] = new_forest().fit(features[train], correct[train]).decision_function(features[test])
    return odds


def fit_ordinal(
    inputs: Floats, ratings: NDArray[np.int_], *, penalty: float = 0.02
) -> dict[str, list[float]]:
    """Fit P(rating >= k) = sigmoid(w·x - c_k) by maximum likelihood with a ridge; rising cuts."""
    from scipy.optimize import minimize

    width = inputs.shape[1]
    scale = np.maximum(inputs.std(axis=0), 1e-3)

    def unpack(values: Floats) -> tuple[Floats, Floats]:
        cuts = values[width] + np.concatenate(([0.0], np.cumsum(np.exp(values[width + 1 :]))))
        return values[:width], cuts

    def loss(values: Floats) -> float:
        weights, cuts = unpack(values)
        at_least = 1 / (1 + np.exp(np.clip(cuts[None, :] - (inputs / scale @ weights)[:, None], -30, 30)))
        padded = np.hstack([np.ones((len(inputs), 1)), at_least, np.zeros((len(inputs), 1))])
        probability = padded[np.arange(len(inputs)), ratings - 1] - padded[np.arange(len(inputs)), ratings]
        return float(-np.log(np.maximum(probability, 1e-9)).mean() + penalty * (weights**2).mean())

    start = np.concatenate([np.full(width, 0.5), [-1.5], np.zeros(3)])
    best = minimize(loss, start, method="L-BFGS-B")
    weights, cuts = unpack(best.x)
    return {
        "weights": [round(float(v), 5) for v in weights / scale],
        "cuts": [round(float(v), 5) for v in cuts],
    }


def save_forest(model: Any, path: Path) -> None:
    """Write the trees of a scikit-learn HistGradientBoostingClassifier as plain arrays."""
    trees = [predictors[0].nodes for predictors in model._predictors]
    width = max(len(nodes) for nodes in trees)
    shape = (len(trees), width)
    feature, left, right = (np.zeros(shape, np.int16) for _ in range(3))
    threshold, value = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    depth = 0
    for row, nodes in enumerate(trees):
        index = np.arange(len(nodes))
        leaf = nodes["is_leaf"].astype(bool)
        feature[row, index] = np.where(leaf, 0, nodes["feature_idx"])
        threshold[row, index] = np.where(leaf, 0.0, nodes["num_threshold"])
        left[row, index] = np.where(leaf, index, nodes["left"])
        right[row, index] = np.where(leaf, index, nodes["right"])
        value[row, index] = nodes["value"]
        depth = max(depth, int(nodes["depth"].max()))
    np.savez_compressed(
        path,
        feature=feature,
        threshold=threshold,
        left=left,
        right=right,
        value=value.astype(np.float16),
        baseline=np.float32(np.ravel(model._baseline_prediction)[0]),
        depth=np.int16(depth),
    )


def save(
    version: str, forest: Any, prose: dict[str, Any], points: dict[str, Any], meta: dict[str, Any]
) -> None:
    """Write a calibration under its version name."""
    folder = calibration.FOLDER
    folder.mkdir(exist_ok=True)
    save_forest(forest, folder / f"{version}.npz")
    text = json.dumps({"version": version, "prose": prose, "points": points, **meta}, indent=1)
    (folder / f"{version}.json").write_text(text + "\n", encoding="utf-8")
