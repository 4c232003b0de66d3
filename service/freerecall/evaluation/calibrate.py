"""From gold rows to a calibration: read, fit, check on held-out cards, write under a version name."""

import hashlib
import importlib.metadata
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from freerecall.cards import Kind
from freerecall.errors import InputError
from freerecall.evaluation import fit, metrics
from freerecall.evaluation.rows import BadRow, Row, read_rows
from freerecall.evaluation.run import CORRECT_FROM
from freerecall.grading import ad_hoc_card, calibration, combine, features

_LISTS = (Kind.LIST, Kind.ORDERED_LIST)
ENOUGH = 50
"""Rated answers from which a layer's cuts are fitted; with fewer they stay what they are."""


def calibrate(gold: Sequence[Path], version: str) -> dict[str, Any]:
    """Fit a calibration on the rows of `gold` (ratings, labels, or both) and write it as `version`.

    Returns what was measured on held-out cards. Needs the `fit` extra. Raises InputError where the
    rows are too few, OSError where a file cannot be read.
    """
    given = [row for path in gold for row in read_rows(path, gold=True) if not isinstance(row, BadRow)]
    rows = [form for row in (*given, *_anchors(given)) for form in _forms(row)]
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
    member = np.array([reading.layer if reading else "" for reading in readings])
    before = calibration.load().meta["layers"]
    layers, kept = {}, []
    for name in calibration.LAYERS:
        here = member == name
        if (ratings[here] > 0).sum() >= ENOUGH or (name == "prose" and here.any()):
            layers[name] = fit.fit_ordinal(inputs[here], ratings[here], correct[here], signs=combine.SIGNS)
        else:
            layers[name] = before[name]
            kept.append(name)
    measured = {
        "labels": _measure(rows, correct, held_out),
        "ratings": _measure_ratings(rows, inputs, member, layers),
    }
    everything = fit.fit_judge(described, pairs, correct, cards)
    sources = [{"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in gold]
    about = {
        "features": list(features.NAMES),
        "inputs": list(combine.INPUTS),
        "sources": sources,
        "rows": len(rows),
        "rated": int((ratings > 0).sum()),
        "kept_layers": kept,
        "held_out_cards": measured,
        "scikit-learn": importlib.metadata.version("scikit-learn"),
    }
    fit.save(version, everything, layers, about)
    return measured


def _anchors(rows: Sequence[Row]) -> list[Row]:
    """What the rating guide says of lists, as examples: the first 1, 2, … of a card's key points.

    For the cards of decks that are among the rows, so that others stay unseen.
    """
    cards = {row.card.id: row.card for row in rows if row.card.id and row.card.kind in _LISTS}
    return [
        Row(
            id=f"{card.id}#{count}",
            card=card,
            answer=", ".join(point.text for point in card.points[:count]),
            gold=_by_share(count / len(card.points)),
        )
        for card in cards.values()
        for count in range(1, len(card.points) + 1)
    ]


def _by_share(share: float) -> int:
    """Return the rating that the guide gives to this share of a list, 2–5."""
    return 2 + sum(share >= bound for bound in (0.4, 0.75, 1.0))


def _forms(row: Row) -> list[Row]:
    """A card of a deck is also seen as a stranger's row has it: without wordings, without key points."""
    card = row.card
    if not card.id:
        return [row]
    texts = tuple(point.text for point in card.points)
    others = card.alternatives
    return [
        row,
        replace(
            row,
            card=ad_hoc_card(
                card.question, card.reference, key_points=texts, kind=card.kind, references=others
            ),
        ),
        replace(row, card=ad_hoc_card(card.question, card.reference, references=others)),
    ]


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


def _measure_ratings(
    rows: Sequence[Row], inputs: fit.Floats, member: NDArray[np.str_], layers: dict[str, Any]
) -> dict[str, Any]:
    """Agreement with the rated answers: trees that did not see the card, cuts that did."""
    out: dict[str, Any] = {}
    for name in calibration.LAYERS:
        layer = calibration.Ordinal(*(np.array(layers[name][key], np.float32) for key in ("weights", "cuts")))
        rated = [i for i, row in enumerate(rows) if member[i] == name and row.gold is not None]
        if rated:
            given = [combine.from_cumulative(layer.at_least(inputs[i].astype(np.float32)))[1] for i in rated]
            estimates = metrics.bootstrap(
                metrics.RATING_STATISTICS,
                np.array([rows[i].gold for i in rated]),
                np.array(given),
                [rows[i].card.question for i in rated],
                draws=200,
            )
            out[name] = {"n": len(rated), **{key: asdict(value) for key, value in estimates.items()}}
    return out
