"""The fitted model as a versioned artefact: trees that judge the whole answer, and ordinal cut points.

Two stages. A boosted forest reads the features of an answer and gives the log-odds that people would call
it correct. A proportional-odds model (McCullagh 1980) then reads those log-odds beside the key-point
evidence and gives the probability of each rating. `evaluation/fit.py` makes the files.
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
FOLDER = Path(__file__).parent / "calibrations"


@dataclass(frozen=True, slots=True)
class Forest:
    """Boosted trees as arrays [trees, nodes]; a leaf points at itself and holds its value."""

    feature: NDArray[np.int16]
    threshold: Floats
    left: NDArray[np.int16]
    right: NDArray[np.int16]
    value: Floats
    baseline: float
    depth: int

    def log_odds(self, features: Floats) -> float:
        """Return the summed log-odds for one row of features."""
        rows = np.arange(self.feature.shape[0])
        node = np.zeros(len(rows), np.int16)
        for _ in range(self.depth):
            low = features[self.feature[rows, node]] <= self.threshold[rows, node]
            node = np.where(low, self.left[rows, node], self.right[rows, node])
        return self.baseline + float(self.value[rows, node].sum())


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
    """Everything that was learned, under one version name."""

    version: str
    forest: Forest
    prose: Ordinal
    points: Ordinal
    meta: dict[str, Any]


@lru_cache(maxsize=4)
def load(version: str = CURRENT) -> Calibration:
    """Read a calibration by name. Raises FileNotFoundError where there is none of that name."""
    meta = json.loads((FOLDER / f"{version}.json").read_text(encoding="utf-8"))
    with np.load(FOLDER / f"{version}.npz", allow_pickle=False) as arrays:
        forest = Forest(
            feature=arrays["feature"],
            threshold=arrays["threshold"],
            left=arrays["left"],
            right=arrays["right"],
            value=arrays["value"].astype(np.float32),
            baseline=float(arrays["baseline"]),
            depth=int(arrays["depth"]),
        )
    return Calibration(version, forest, _ordinal(meta["prose"]), _ordinal(meta["points"]), meta)


def _ordinal(fitted: dict[str, Any]) -> Ordinal:
    return Ordinal(np.array(fitted["weights"], np.float32), np.array(fitted["cuts"], np.float32))
