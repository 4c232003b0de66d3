"""The fitted model as a versioned artefact: trees that expect a rating, and ordinal cut points.

One forest reads what the matchers found (features and key-point evidence); a second reads that
beside the first's word and the encoder's opinion. Both expect a rating. A proportional-odds model
(McCullagh 1980) then reads the second's beside the opinion and the evidence, and gives the
probability of each rating. `evaluation/fit.py` makes the files.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from freerecall.cards import Kind
from freerecall.grading import encoder

Floats = NDArray[np.float32]

CURRENT = "embedded-5"
LAYERS = ("fact", "plain", "prose", "points", "bare")
"""What is judged: one short fact; a reference alone; one key point; key points with accepted wordings, or
with only their own."""
SINGLE = ("fact", "plain", "prose")
"""Layers of cards with one thing to say."""
KINDS = tuple(Kind)
_FORMS = {
    (kind, layer): np.array([one == kind for one in KINDS] + [one == layer for one in LAYERS], np.float32)
    for kind in KINDS
    for layer in LAYERS
}
_NEVER = 2.0
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

    `by_words` are layers that know nothing of the encoder (see combine.BY_WORDS).
    `judged`, by grader ("hybrid", "llm") and layer, also read a language model's judgement; `gate`
    is the confidence from which an embedded grade stands without it, `sure` that from which a grade by
    words stands without the encoder.
    """

    version: str
    matched: Forest
    rater: Forest
    layers: dict[str, Ordinal]
    by_words: dict[str, Ordinal]
    judged: dict[tuple[str, str], Ordinal]
    sure: float
    gate: float
    meta: dict[str, Any]

    def expected(self, found: Floats, opinion: Floats) -> float:
        """Return the rating, 1–5, that the second forest expects; `found` as `matched_inputs` makes it."""
        return self.rater.value_of(rater_inputs(found, self.matched.value_of(found), opinion))


def matched_inputs(features: Floats, evidence: Floats, kind: Kind, layer: str) -> Floats:
    """Return what the first forest reads; `evidence` are combine.EVIDENCE."""
    return np.concatenate([features, evidence, _FORMS[kind, layer]])


def rater_inputs(found: Floats, matched: float, opinion: Floats) -> Floats:
    """Return what the second forest reads: the first's inputs and word, and the encoder's `opinion`."""
    judged = np.array([matched, float(encoder.expected(opinion))], np.float32)
    return np.concatenate([found, judged, opinion], dtype=np.float32)


@lru_cache(maxsize=4)
def load(version: str = CURRENT) -> Calibration:
    """Read a calibration by name. Raises FileNotFoundError where there is none of that name."""
    meta = json.loads((FOLDER / f"{version}.json").read_text(encoding="utf-8"))
    with np.load(FOLDER / f"{version}.npz", allow_pickle=False) as arrays:
        matched, rater = _forest(arrays, "matched_"), _forest(arrays, "rater_")
    layers = {name: ordinal(meta["layers"][name]) for name in LAYERS}
    by_words = {name: ordinal(meta["by_words"][name]) for name in LAYERS}
    judged = {
        (grader, name): ordinal(fitted)
        for grader, by_layer in meta["judged"].items()
        for name, fitted in by_layer.items()
    }
    sure, gate = (meta.get(name, {}).get("confidence", _NEVER) for name in ("sure", "gate"))
    return Calibration(version, matched, rater, layers, by_words, judged, sure, gate, meta)


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
