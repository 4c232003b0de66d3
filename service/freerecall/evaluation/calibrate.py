"""From gold rows to a calibration: read, fit, check on held-out cards, write under a version name."""

import hashlib
import importlib.metadata
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from freerecall.cards import Kind
from freerecall.errors import InputError
from freerecall.evaluation import fit, judging, metrics
from freerecall.evaluation.rows import BadRow, Row, read_rows
from freerecall.evaluation.scales import Scale
from freerecall.grades import CORRECT_FROM
from freerecall.grading import ad_hoc_card, calibration, combine, embedded, features
from freerecall.llm import LLM

_LISTS = (Kind.LIST, Kind.ORDERED_LIST)
_CHATTER = (
    "hope this is what you wanted",
    "I revised this with my flatmate last night until two in the morning",
    "it was on one of the slides, the one with the big arrow, somewhere near the end",
    "lol no clue whether anybody ever needs that",
    "sorry for the typos, I am on the train and my phone is nearly dead",
    "my brother works with this stuff and he always says so at dinner",
    "Good luck to everyone who has to read all of these",
    "could somebody open a window in here, it is terribly hot",
    "that is everything that comes to mind, next one",
    "we had a long talk about it in the seminar and then went for lunch",
    "if I get this one wrong again I will scream",
    "Das war letzte Woche dran, glaube ich jedenfalls",
    "je crois que c'est ça, on verra bien",
    "creo que sí, pero no estoy del todo seguro",
    "and everything else that goes along with it, you know what I mean",
    "well, what can one say, it is a long story",
    "as far as I remember anyway, it has been a while since I looked at it",
    "I would have written more but there is hardly any time left",
    "ok so first of all hello and have a nice day",
    "whatever, I'd rather be at the beach with an ice cream",
    "that counts, doesn't it, come on",
    "nobody has ever shown me how one does such things properly",
    "thanks a lot for your patience with me this year",
    "and two more that I had on the tip of my tongue a minute ago",
)
"""Neither right nor wrong on any card."""
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
    """Gold rows in every form they are judged in, with what the matchers read and the held-out log-odds."""

    rows: list[Row]
    readings: list[embedded.Reading | None]
    described: fit.Floats
    pairs: fit.Floats
    correct: fit.Ints
    ratings: fit.Ints
    cards: list[str]
    held_out: fit.Floats
    layer: NDArray[np.str_]

    def evidence(self) -> fit.Floats:
        blank = np.array(combine.NOTHING[:-1])
        read = zip(self.readings, self.held_out, strict=True)
        return np.array([r.evidence_inputs(odds) if r else blank for r, odds in read], np.float64)


def calibrate(
    gold: Sequence[Path],
    version: str,
    *,
    llm: LLM | None = None,
    force: bool = False,
    scale: Scale | None = None,
) -> Fitted:
    """Fit a calibration on the rows of `gold` (ratings, labels, or both) and write it as `version`.

    `scale` is what rows are rated on that do not say. With `llm` (one that gives log-probabilities)
    the layers that read its judgement are fitted too; else they stay what they are. A calibration
    that does not beat the one of that name on held-out cards is not written, unless `force`d. Needs
    the `fit` extra. Raises InputError where the rows are too few or the model gives no
    log-probabilities, OSError where a file cannot be read.
    """
    data = _read(gold, scale)
    before = calibration.load().meta
    rater_reads = fit.rater_inputs(data.described, data.evidence(), data.layer)
    enough = (data.ratings > 0).sum() >= ENOUGH
    if enough:
        expected = fit.expected_out_of_fold(rater_reads, data.ratings, data.cards)
    else:
        rater = calibration.load().rater
        expected = np.array([rater.value_of(row.astype(np.float32)) for row in rater_reads])
    inputs = np.column_stack([data.evidence(), expected])
    layers, kept = _fit_layers(data, inputs, before["layers"])
    measured = {
        "labels": _measure(data.rows, data.correct, data.held_out),
        "ratings": _measure_ratings(data, inputs, layers),
    }
    judged, gate = before.get("judged", {}), before.get("gate", {})
    if llm is not None:
        judged, measured["judged"], gate = judging.fit_judged(
            data.rows, data.layer, inputs, data.ratings, data.correct, data.cards, llm
        )
    why = _no_better(version, measured)
    if why and not force:
        return Fitted(version, False, why, measured)
    about = {
        "features": list(features.NAMES),
        "inputs": list(combine.INPUTS),
        "sources": [
            {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in gold
        ],
        "model": llm.model if llm else before.get("model", ""),
        "rows": len(data.rows),
        "rated": int((data.ratings > 0).sum()),
        "kept_layers": kept,
        "held_out_cards": measured,
        "scikit-learn": importlib.metadata.version("scikit-learn"),
    }
    arrays = fit.arrays_of_judge(fit.fit_judge(data.described, data.pairs, data.correct, data.cards))
    if enough:
        rated = data.ratings > 0
        arrays |= fit.arrays_of_rater(fit.fit_rater(rater_reads[rated], data.ratings[rated]))
    else:
        arrays |= calibration.load_arrays(prefix="rater_")
    fit.save(version, arrays, layers, {"judged": judged, "gate": gate, **about})
    return Fitted(version, True, "", measured)


def _read(gold: Sequence[Path], scale: Scale | None = None) -> _Data:
    given = [
        row for path in gold for row in read_rows(path, gold=True, scale=scale) if not isinstance(row, BadRow)
    ]
    rows = [form for row in (*given, *_anchors(given), *_padded(given)) for form in _forms(row)]
    cards = [f"{row.card.question}\0{row.card.reference}" for row in rows]
    if len(rows) < 2 * fit.FOLDS or len(set(cards)) < fit.FOLDS:
        raise InputError(
            f"{len(rows)} usable rows on {len(set(cards))} cards are too few: give at least {2 * fit.FOLDS} "
            f"rows on {fit.FOLDS} cards"
        )
    examples = [_example(row) for row in rows]
    readings = fit.readings_of(examples)
    described, pairs = fit.arrays_of(readings)
    correct = np.array([example.correct for example in examples], np.int_)
    return _Data(
        rows=rows,
        readings=readings,
        described=described,
        pairs=pairs,
        correct=correct,
        ratings=np.array([example.rating or 0 for example in examples], np.int_),
        cards=cards,
        held_out=fit.out_of_fold(described, pairs, correct, cards),
        layer=np.array([reading.layer if reading else "" for reading in readings]),
    )


def _fit_layers(data: _Data, inputs: fit.Floats, before: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Fit each layer that has enough ratings; return the layers, and the names of those kept as they were."""
    layers, kept = {}, []
    for name in calibration.LAYERS:
        here = data.layer == name
        if (data.ratings[here] > 0).sum() >= ENOUGH or (name == "prose" and here.any()):
            layers[name] = fit.fit_ordinal(
                inputs[here], data.ratings[here], data.correct[here], signs=combine.SIGNS
            )
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


def _padded(rows: Sequence[Row]) -> list[Row]:
    """Examples of what idle talk is worth: nothing. Rated answers with some of it keep their rating."""
    rated = [row for row in rows if row.gold is not None and row.answer.strip()]
    return [
        replace(row, id=f"{row.id}#padded", answer=_pad(row.answer, _CHATTER[i % len(_CHATTER)], i))
        for i, row in enumerate(rated)
    ]


def _pad(answer: str, talk: str, i: int) -> str:
    before, between = i % 3 == 0, (". ", " ", ", ", " - ", "\n")[i % 5]
    return f"{talk}{between}{answer}" if before else f"{answer}{between}{talk}"


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
            {"macro_f1": metrics.f1_statistics(2)["macro_f1"]},
            correct[member],
            (odds[member] > 0).astype(np.int_),
            [row.card.question for row in rows if row.dataset == name],
            draws=200,
        )
        out[name or "all"] = {key: asdict(estimate) for key, estimate in estimates.items()}
    return out


def _measure_ratings(data: _Data, inputs: fit.Floats, layers: dict[str, Any]) -> dict[str, Any]:
    """Agreement with the rated answers: trees that did not see the card, cuts that did."""
    out: dict[str, Any] = {}
    for name in calibration.LAYERS:
        rated = np.flatnonzero((data.layer == name) & (data.ratings > 0))
        if rated.size:
            given = fit.rate(layers[name], inputs[rated])
            out[name] = fit.agreement(data.ratings[rated], given, [data.rows[i].card.question for i in rated])
    return out
