"""From gold rows to a calibration: read, fit, check on held-out cards, write under a version name."""

import hashlib
import importlib.metadata
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from freerecall.errors import InputError
from freerecall.evaluation import fit, judging, metrics, taught
from freerecall.evaluation.rows import BadRow, Row, read_rows
from freerecall.evaluation.scales import Scale
from freerecall.grades import CORRECT_FROM
from freerecall.grading import calibration, combine, encoder, features, manipulation
from freerecall.grading.reading import read
from freerecall.llm import LLM

_LIKE_LABEL = (4.5, 2.0)
"""Ratings that stand for "correct" and for the rest, where an answer is only labelled."""
LOSS = 0.002
"""Agreement (QWK) that it may cost not to ask the encoder."""
ENOUGH = 50
"""Rated answers from which a layer's cuts are fitted; with fewer they stay what they are."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What `calibrate` `measured` on held-out cards, and whether it was `written` (else `why` not)."""

    version: str
    written: bool
    why: str
    measured: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Data:
    """Gold rows in every form they are judged in, with what the matchers found in each (`found`).

    `matched` is what a first forest that did not see the card expects. `fresh` are the rows whose
    question the encoder was not trained on, `opinions` the encoder's of them.
    """

    rows: list[Row]
    found: fit.Floats
    matched: fit.Floats
    correct: fit.Ints
    ratings: fit.Ints
    cards: list[str]
    layer: NDArray[np.str_]
    fresh: NDArray[np.intp]
    opinions: fit.Floats

    def read(self) -> fit.Floats:
        """Return what the second forest reads of the fresh rows."""
        columns = zip(self.found[self.fresh], self.matched[self.fresh], self.opinions, strict=True)
        return np.array([calibration.rater_inputs(*row) for row in columns], np.float64)

    def targets(self) -> fit.Floats:
        """Return what the second forest is to expect: the rating, or what is like the label."""
        labelled = np.where(self.correct == 1, *_LIKE_LABEL)
        return np.where(self.ratings > 0, self.ratings, labelled).astype(np.float64)

    def typed(self) -> NDArray[np.bool_]:
        """Say of each row whether somebody typed it: what cards teach by themselves is no measure."""
        return np.array([not taught.is_taught(row) for row in self.rows])

    def off_topic(self) -> NDArray[np.bool_]:
        """Say of each row whether it is off the topic: only the second forest, which knows why, learns it.

        The first one sees no more than a paraphrase without a shared word, which may be a 5.
        """
        return np.array([taught.is_off_topic(row) for row in self.rows])

    def of_fresh(self) -> "_Data":
        """Return the data of the fresh rows alone."""
        at = self.fresh
        return replace(
            self,
            rows=[self.rows[i] for i in at],
            found=self.found[at],
            matched=self.matched[at],
            correct=self.correct[at],
            ratings=self.ratings[at],
            cards=[self.cards[i] for i in at],
            layer=self.layer[at],
            fresh=np.arange(len(at)),
        )


def calibrate(
    gold: Sequence[Path],
    version: str,
    *,
    llm: LLM | None = None,
    force: bool = False,
    scale: Scale | None = None,
    split: Sequence[str] = (),
) -> Fitted:
    """Fit a calibration on the rows of `gold` (ratings, labels, or both) and write it as `version`.

    `scale` is what rows are rated on that do not say; `split` takes these parts of the files only.
    Answers that the encoder was trained on teach the first forest, and nothing after it. With `llm`
    (one that gives log-probabilities) the layers that read its judgement are fitted too; else they
    stay what they are. A calibration that does not beat the one of that name on held-out cards is
    not written, unless `force`d. Needs the `fit` extra. Raises InputError where the rows are too few
    or the model gives no log-probabilities, OSError where a file cannot be read.
    """
    every = _read(gold, scale, split)
    data = every.of_fresh()
    rater_reads = data.read()
    before = calibration.load().meta if (calibration.FOLDER / f"{calibration.CURRENT}.json").exists() else {}
    enough = (data.ratings > 0).sum() >= ENOUGH
    if enough:
        expected = fit.out_of_fold("rater", rater_reads, data.targets(), data.cards)
    else:
        rater = calibration.load().rater
        expected = np.array([rater.value_of(row.astype(np.float32)) for row in rater_reads])
    inputs = np.array(
        [combine.inputs(*row) for row in zip(data.found, data.opinions, expected, strict=True)], np.float64
    )
    layers, kept = _fit_layers(data, inputs, before.get("layers", {}), combine.SIGNS)
    words = np.array(
        [combine.inputs_by_words(*row) for row in zip(every.found, every.matched, strict=True)], np.float64
    )
    by_words, _ = _fit_layers(every, words, before.get("by_words", {}), combine.SIGNS[2:])
    given = _given(data, inputs, layers)
    sure = _sure(data, words[every.fresh], by_words, given)
    measured = {
        "labels": _measure(data.rows, data.correct, given),
        "ratings": _measure_ratings(data, given),
    }
    judged, gate = before.get("judged", {}), before.get("gate", {})
    if llm is not None:
        judged, measured["judged"], gate = judging.fit_judged(
            data.rows, data.layer, inputs, data.ratings, data.correct, data.cards, llm, judged
        )
    why = _no_better(version, measured)
    if why and not force:
        return Fitted(version, False, why, measured)
    about = {
        "encoder": encoder.CURRENT,
        "features": list(features.NAMES),
        "inputs": list(combine.INPUTS),
        "sources": [
            {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in gold
        ],
        "split": list(split),
        "model": llm.model if llm else before.get("model", ""),
        "rows": len(every.rows),
        "rated": int((every.ratings > 0).sum()),
        "unseen_by_encoder": len(data.rows),
        "kept_layers": kept,
        "held_out_cards": measured,
        "scikit-learn": importlib.metadata.version("scikit-learn"),
    }
    arrays = calibration.load_arrays() if not enough else _forests(every, data)
    learned = {"by_words": by_words, "sure": sure, "judged": judged, "gate": gate}
    fit.save(version, arrays, layers, learned | about)
    return Fitted(version, True, "", measured)


def _forests(every: _Data, fresh: _Data) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    rated = (every.ratings > 0) & ~every.off_topic()
    arrays |= fit.arrays_of("matched", fit.fit_forest("matched", every.found[rated], every.ratings[rated]))
    return arrays | fit.arrays_of("rater", fit.fit_forest("rater", fresh.read(), fresh.targets()))


def _read(gold: Sequence[Path], scale: Scale | None, split: Sequence[str]) -> _Data:
    given = [
        row
        for path in gold
        for row in read_rows(path, gold=True, scale=scale, split=split)
        if not isinstance(row, BadRow)
    ]
    new = encoder.unseen(row.card.question for row in given)
    given = [row for row, fresh in zip(given, new, strict=True) if fresh or row.gold is not None]
    by_card = (*taught.anchors(given), *taught.references(given), *taught.off_topic(given))
    every = (*given, *by_card, *taught.padded(given))
    forms = [form for row in every for form in taught.forms_of(row)]
    laid = [(row, read(row.card, manipulation.without(row.answer, row.card))) for row in forms]
    # A row without a word to match is decided by rule.
    pairs = [(row, reading) for row, reading in laid if reading is not None]
    rows, readings = [row for row, _ in pairs], [reading for _, reading in pairs]
    cards = [f"{row.card.question}\0{row.card.reference}" for row in rows]
    if len(rows) < 2 * fit.FOLDS or len(set(cards)) < fit.FOLDS:
        raise InputError(
            f"{len(rows)} usable rows on {len(set(cards))} cards are too few: give at least {2 * fit.FOLDS} "
            f"rows on {fit.FOLDS} cards"
        )
    found = np.array([reading.found() for reading in readings], np.float64)
    ratings = np.array([row.gold or 0 for row in rows], np.int_)
    fresh = np.flatnonzero(encoder.unseen(row.card.question for row in rows))
    opinions = np.array([readings[i].opinion for i in fresh], np.float64)
    if (ratings > 0).sum() >= ENOUGH:
        off_topic = np.array([taught.is_off_topic(row) for row in rows])
        matched = fit.out_of_fold("matched", found, np.where(off_topic, 0, ratings), cards)
    else:
        before = calibration.load().matched
        matched = np.array([before.value_of(row.astype(np.float32)) for row in found])
    return _Data(
        rows=rows,
        found=found,
        matched=matched,
        correct=np.array([_is_correct(row) for row in rows], np.int_),
        ratings=ratings,
        cards=cards,
        layer=np.array([reading.layer for reading in readings]),
        fresh=fresh,
        opinions=opinions,
    )


def _fit_layers(
    data: _Data, inputs: fit.Floats, before: dict[str, Any], signs: Sequence[int]
) -> tuple[dict[str, Any], list[str]]:
    """Fit each layer that has enough ratings; return the layers, and the names of those kept as they were."""
    layers, kept = {}, []
    for name in calibration.LAYERS:
        here = (data.layer == name) & ~data.off_topic()
        if (data.ratings[here] > 0).sum() >= ENOUGH or (name == "plain" and here.any()):
            layers[name] = fit.fit_ordinal(inputs[here], data.ratings[here], data.correct[here], signs=signs)
        else:
            layers[name] = before[name]
            kept.append(name)
    return layers, kept


def _no_better(version: str, measured: dict[str, Any]) -> str:
    """Say why a calibration does not beat the one of that name; "" where it does, or there is none.

    Both were measured on held-out cards of their own gold; at least as good over all, and the
    better by any one measure, is what counts.
    """
    if not (calibration.FOLDER / f"{version}.json").exists():
        return ""
    before = calibration.load(version).meta["held_out_cards"]
    then, now = _figures(before), _figures(measured)
    shared = sorted(then.keys() & now.keys())
    worse = [f"{name} {now[name]:.3f} after {then[name]:.3f}" for name in shared if now[name] < then[name]]
    mean = float(np.mean([now[name] - then[name] for name in shared])) if shared else 0.0
    if mean > 0:
        return ""
    return f"{version} is no better than what it would replace: " + (
        ", ".join(worse) or "the figures are equal"
    )


def _figures(measured: dict[str, Any]) -> dict[str, float]:
    out = {f"{name} macro-F1": one["macro_f1"]["value"] for name, one in measured["labels"].items()}
    out |= {f"{name} QWK": one["qwk"]["value"] for name, one in measured["ratings"].items()}
    return out | {
        f"judged {name} QWK": one["qwk"]["value"] for name, one in measured.get("judged", {}).items()
    }


def _is_correct(row: Row) -> bool:
    return row.gold >= CORRECT_FROM if row.gold is not None else row.label == "correct"


def _given(data: _Data, inputs: fit.Floats, layers: dict[str, Any]) -> fit.Ints:
    """Return the ratings of all rows: forests and encoder that did not see the card, cuts that did."""
    given = np.zeros(len(data.rows), np.int_)
    for name in calibration.LAYERS:
        here = data.layer == name
        given[here] = fit.rate(layers[name], inputs[here])
    return given


def _sure(data: _Data, words: fit.Floats, by_words: dict[str, Any], given: fit.Ints) -> dict[str, float]:
    """Return the confidence from which the encoder need not be asked, on cards that no forest saw."""
    layers = {name: calibration.ordinal(fitted) for name, fitted in by_words.items()}
    at = np.flatnonzero((data.ratings > 0) & data.typed())
    quick = [
        combine.from_cumulative(layers[str(data.layer[i])].at_least(words[i].astype(np.float32))) for i in at
    ]
    alone, confidence = np.array([one[1] for one in quick]), np.array([one[2] for one in quick])
    return judging.gate([(data.ratings[at], alone, confidence, given[at])], LOSS)


def _measure(rows: Sequence[Row], correct: fit.Ints, given: fit.Ints) -> dict[str, Any]:
    """How well correct is told from not."""
    out: dict[str, Any] = {}
    for name in sorted({row.dataset for row in rows}):
        member = np.array([row.dataset == name for row in rows])
        estimates = metrics.bootstrap(
            {"macro_f1": metrics.f1_statistics(2)["macro_f1"]},
            correct[member],
            (given[member] >= CORRECT_FROM).astype(np.int_),
            [row.card.question for row in rows if row.dataset == name],
            draws=200,
        )
        out[name or "all"] = {key: asdict(estimate) for key, estimate in estimates.items()}
    return out


def _measure_ratings(data: _Data, given: fit.Ints) -> dict[str, Any]:
    """Agreement with the rated answers."""
    out: dict[str, Any] = {}
    for name in calibration.LAYERS:
        rated = np.flatnonzero((data.layer == name) & (data.ratings > 0) & data.typed())
        if rated.size:
            groups = [data.rows[i].card.question for i in rated]
            out[name] = fit.agreement(data.ratings[rated], given[rated], groups)
    return out
