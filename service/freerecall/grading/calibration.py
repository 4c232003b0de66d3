"""The fitted model as a versioned artefact: trees that judge the whole answer, and ordinal cut points.

A learned metric says how alike the vectors of answer and reference are. A boosted forest reads
that and the features of an answer, and gives the log-odds that people would call it correct. A
proportional-odds model (McCullagh 1980) then reads those log-odds beside the key-point evidence
and gives the probability of each rating. `evaluation/fit.py` makes the files.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

CURRENT = "embedded-1"
LAYERS = ("prose", "points", "bare")
"""One statement; key points with accepted wordings; key points with only their own."""
FOLDER = Path(__file__).parent / "calibrations"


@dataclass(frozen=True, slots=True)
class Forest:
    """Boosted trees as flat arrays over all nodes. `roots` [trees] says where each begins.

    `children` [nodes, 2]: where to go when the feature is above the threshold (0) or not (1);
    a leaf leads to itself and holds its `value`.
    """

    roots: NDArray[np.intp]
    feature: NDArray[np.intp]
    threshold: Floats
    children: NDArray[np.intp]
    value: Floats
    baseline: float
    depth: int

    def log_odds(self, features: Floats) -> float:
        """Return the summed log-odds for one row of features."""
        node = self.roots
        for _ in range(self.depth):
            seen = features.take(self.feature.take(node, mode="clip"), mode="clip")
            low = seen <= self.threshold.take(node, mode="clip")
            node = self.children.take(2 * node + low, mode="clip")
        return self.baseline + float(self.value.take(node).sum())


@dataclass(frozen=True, slots=True)
class Ordinal:
    """P(rating >= k) = sigmoid(weights · inputs - cut[k - 2]) for k in 2..5."""

    weights: Floats
    cuts: Floats

    def at_least(self, inputs: Floats) -> Floats:
        """Return P(rating >= 2), ..., P(rating >= 5), shape [4]."""
        return np.asarray(1.0 / (1.0 + np.exp(self.cuts - float(self.weights @ inputs))), np.float32)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Everything that was learned, under one version name; `layers` by what is judged (LAYERS)."""

    version: str
    metric: Floats
    forest: Forest
    layers: dict[str, Ordinal]
    meta: dict[str, Any]

    def log_odds(self, features: Floats, pair: Floats) -> float:
        """Return the log-odds of "correct" from an answer's features and its pair of vectors."""
        return self.forest.log_odds(np.append(features, self.metric @ pair))


@lru_cache(maxsize=4)
def load(version: str = CURRENT) -> Calibration:
    """Read a calibration by name. Raises FileNotFoundError where there is none of that name."""
    meta = json.loads((FOLDER / f"{version}.json").read_text(encoding="utf-8"))
    with np.load(FOLDER / f"{version}.npz", allow_pickle=False) as arrays:
        forest = Forest(
            roots=arrays["roots"].astype(np.intp),
            feature=arrays["feature"].astype(np.intp),
            threshold=arrays["threshold"].astype(np.float32),
            children=arrays["children"].astype(np.intp).ravel(),
            value=arrays["value"].astype(np.float32),
            baseline=float(arrays["baseline"]),
            depth=int(arrays["depth"]),
        )
        metric = arrays["metric"].astype(np.float32)
    return Calibration(
        version, metric, forest, {name: _ordinal(meta["layers"][name]) for name in LAYERS}, meta
    )


def _ordinal(fitted: dict[str, Any]) -> Ordinal:
    return Ordinal(np.array(fitted["weights"], np.float32), np.array(fitted["cuts"], np.float32))
