"""From gold rows to a calibration: read, fit, check on held-out cards, write under a version name."""

import hashlib
import importlib.metadata
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from freerecall.errors import InputError
from freerecall.evaluation import fit, metrics
from freerecall.evaluation.rows import BadRow, Row, read_rows
from freerecall.evaluation.run import CORRECT_FROM
from freerecall.grading import calibration, combine, features

ENOUGH = 50
"""Rated answers from which a layer's cuts are fitted; with fewer they stay what they are."""


def calibrate(gold: Sequence[Path], version: str) -> dict[str, Any]:
    """Fit a calibration on the rows of `gold` (ratings, labels, or both) and write it as `version`.

    Returns what was measured on held-out cards. Needs the `fit` extra. Raises InputError where the
    rows are too few, OSError where a file cannot be read.
    """
    rows = [row for path in gold for row in read_rows(path, gold=True) if not isinstance(row, BadRow)]
    if len(rows) < 2 * fit.FOLDS:
        raise InputError(f"{len(rows)} usable rows are too few to fit a calibration")
    examples = [_example(row) for row in rows]
    readings = fit.readings_of(examples)
    described, pairs = fit.arrays_of(readings)
    correct = np.array([example.correct for example in examples], np.int_)
    ratings = np.array([example.rating or 0 for example in examples], np.int_)
    cards = [f"{row.card.question}\0{row.card.reference}" for row in rows]

    held_out = fit.out_of_fold(described, pairs, correct, cards)
    blank = np.zeros(len(combine.INPUTS))
    inputs = np.array(
        [r.inputs(odds) if r else blank for r, odds in zip(readings, held_out, strict=True)], np.float64
    )
    prose = np.array([reading is not None and reading.prose for reading in readings])
    points = np.array([reading is not None and not reading.prose for reading in readings])
    before = calibration.load().meta
    enough = int((ratings[points] > 0).sum()) >= ENOUGH
    layers = {
        "prose": fit.fit_ordinal(inputs[prose], ratings[prose], correct[prose], signs=combine.SIGNS),
        "points": (
            fit.fit_ordinal(inputs[points], ratings[points], correct[points], signs=combine.SIGNS)
            if enough
            else before["points"]
        ),
    }
    measured = _measure(rows, correct, held_out)
    everything = fit.fit_judge(described, pairs, correct, cards)
    sources = [{"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in gold]
    about = {
        "features": list(features.NAMES),
        "inputs": list(combine.INPUTS),
        "sources": sources,
        "rows": len(rows),
        "rated": int((ratings > 0).sum()),
        "kept_layers": [] if enough else ["points"],
        "held_out_cards": measured,
        "scikit-learn": importlib.metadata.version("scikit-learn"),
    }
    fit.save(version, everything, layers["prose"], layers["points"], about)
    return measured


def _example(row: Row) -> fit.Example:
    rated = row.gold if row.gold is not None else (CORRECT_FROM if row.label == "correct" else 1)
    return fit.Example(row.card, row.answer, rated >= CORRECT_FROM, row.gold, row.dataset)


def _measure(rows: Sequence[Row], correct: fit.Ints, odds: fit.Floats) -> dict[str, Any]:
    """How well the judge alone tells correct from not, on cards that it did not see."""
    out: dict[str, Any] = {}
    for name in sorted({row.dataset for row in rows}):
        member = np.array([row.dataset == name for row in rows])
        estimates = metrics.bootstrap(
            {"macro_f1": lambda one, other: metrics.f1_scores(one > 0, other > 0)[0]},
            correct[member],
            (odds[member] > 0).astype(np.int_),
            [row.card.question for row in rows if row.dataset == name],
            draws=200,
        )
        out[name or "all"] = {key: asdict(estimate) for key, estimate in estimates.items()}
    return out
