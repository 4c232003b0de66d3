"""The fitted model as a versioned artefact: trees that judge the whole answer, and ordinal cut points.

A learned metric says how alike the vectors of answer and reference are. A boosted forest reads
that and the features of an answer, and gives the log-odds that people would call it correct. A
second forest expects a rating. A proportional-odds model (McCullagh 1980) then reads both beside
the key-point evidence and gives the probability of each rating. `evaluation/fit.py` makes the files.
"""

import json
from collections.abc import Mapping
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
_ONE_OF = {name: np.eye(len(LAYERS), dtype=np.float32)[i] for i, name in enumerate(LAYERS)}
_GATE = 0.75
_MOST_LEAVES_BY = 9
FOLDER = Path(__file__).parent / "calibrations"


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees as flat arrays over all nodes. `roots` [trees] says where each begins.

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

    def value_of(self, features: Floats) -> float:
        """Return the sum over the trees for one row of features."""
        node = self.roots
        for level in range(self.depth):
            seen = features.take(self.feature.take(node, mode="clip"), mode="clip")
            low = seen <= self.threshold.take(node, mode="clip")
            before, node = node, self.children.take(2 * node + low, mode="clip")
            if level > _MOST_LEAVES_BY and (before == node).all():
                break
        return self.baseline + float(self.value.take(node).sum())


@dataclass(frozen=True, slots=True)
class Ordinal:
    """P(rating >= k) = sigmoid(weights · inputs - cut[k - 2]) for k in 2..5."""

    weights: Floats
    cuts: Floats

    def at_least(self, inputs: Floats, pull: Floats | float = 0.0) -> Floats:
        """Return P(rating >= 2), ..., P(rating >= 5), shape [4]; `pull` [4] is added to their log-odds."""
        return np.asarray(1.0 / (1.0 + np.exp(self.cuts - float(self.weights @ inputs) - pull)), np.float32)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Everything that was learned, under one version name; `layers` by what is judged (LAYERS).

    `judged`, by grader ("hybrid", "llm") and layer, also read a language model's judgement; `gate`
    is the confidence from which an embedded grade stands without it.
    """

    version: str
    metric: Floats
    forest: Forest
    rater: Forest
    layers: dict[str, Ordinal]
    judged: dict[tuple[str, str], Ordinal]
    gate: float
    meta: dict[str, Any]

    def log_odds(self, features: Floats, pair: Floats) -> float:
        """Return the log-odds of "correct" from an answer's features and its pair of vectors."""
        return self.forest.value_of(np.append(features, self.metric @ pair))

    def expected(self, features: Floats, evidence: Floats, layer: str) -> float:
        """Return the rating, 1–5, that the second forest expects; `evidence` are combine.EVIDENCE."""
        return self.rater.value_of(np.concatenate([features, evidence, _ONE_OF[layer]]))


@lru_cache(maxsize=4)
def load(version: str = CURRENT) -> Calibration:
    """Read a calibration by name. Raises FileNotFoundError where there is none of that name."""
    meta = json.loads((FOLDER / f"{version}.json").read_text(encoding="utf-8"))
    with np.load(FOLDER / f"{version}.npz", allow_pickle=False) as arrays:
        forest, rater = _forest(arrays, ""), _forest(arrays, "rater_")
        metric = arrays["metric"].astype(np.float32)
    layers = {name: ordinal(meta["layers"][name]) for name in LAYERS}
    judged = {
        (grader, name): ordinal(fitted)
        for grader, by_layer in meta["judged"].items()
        for name, fitted in by_layer.items()
    }
    return Calibration(
        version, metric, forest, rater, layers, judged, meta.get("gate", {}).get("confidence", _GATE), meta
    )


def load_arrays(version: str = CURRENT, *, prefix: str = "") -> dict[str, NDArray[Any]]:
    """Return a calibration's arrays whose names begin with `prefix`."""
    with np.load(FOLDER / f"{version}.npz", allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files if name.startswith(prefix)}


def _forest(arrays: Mapping[str, Any], prefix: str) -> Forest:
    return Forest(
        roots=arrays[prefix + "roots"].astype(np.intp),
        feature=arrays[prefix + "feature"].astype(np.intp),
        threshold=arrays[prefix + "threshold"].astype(np.float32),
        children=arrays[prefix + "children"].astype(np.intp).ravel(),
        value=arrays[prefix + "value"].astype(np.float32),
        baseline=float(arrays[prefix + "baseline"]),
        depth=int(arrays[prefix + "depth"]),
    )


def ordinal(fitted: dict[str, Any]) -> Ordinal:
    """Return a layer from its fitted weights and cuts."""
    return Ordinal(np.array(fitted["weights"], np.float32), np.array(fitted["cuts"], np.float32))
