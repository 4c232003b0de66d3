"""Fit the layers that read a language model's one-token judgement beside the embedded evidence."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from freerecall.errors import InputError, LLMReplyError
from freerecall.evaluation import fit, metrics, taught
from freerecall.evaluation.rows import Row
from freerecall.grades import GraderMode
from freerecall.grading import calibration, combine, manipulation
from freerecall.grading.judge import judge
from freerecall.llm import LLM

SAMPLE_RATED, SAMPLE_LABELLED = 120, 60
"""Answers of each data set that are asked about; of the bundled decks' rated answers, all."""
DEADLINE_S = 120.0
LOSS = 0.01
"""Agreement (QWK) that the gate may cost."""
_FOLDS = 10
_ENOUGH_TO_TELL = 100
"""Answers from which a layer's own loss counts."""

GateOutcome = tuple[fit.Ints, fit.Ints, fit.Floats, fit.Ints]
"""Gold, the cheaper grader's ratings, their confidence, the dearer one's ratings; on held-out cards."""


def fit_judged(
    rows: Sequence[Row],
    layer: NDArray[np.str_],
    inputs: fit.Floats,
    ratings: fit.Ints,
    correct: fit.Ints,
    cards: Sequence[str],
    llm: LLM,
    before: Mapping[str, Mapping[str, dict[str, Any]]],
) -> tuple[dict[str, dict[str, Any]], dict[str, Any], dict[str, float]]:
    """Return the fitted layers by grader and layer, their agreement on held-out cards, and the gate.

    `inputs` are the embedded grader's, from trees that did not see the card. A layer without a rated
    answer stays what it was `before`. Raises InputError where it was nothing.
    """
    asked = _chosen(rows, layer, ratings)
    odds = asyncio.run(_judgements([rows[i] for i in asked], llm))
    told = ~np.isnan(odds)
    asked, odds = asked[told], odds[told]
    fitted: dict[str, dict[str, Any]] = {}
    measured: dict[str, Any] = {}
    outcomes: list[GateOutcome] = []
    for grader, signs in ((GraderMode.HYBRID, (*combine.SIGNS, 1)), (GraderMode.LLM, (1,))):
        fitted[grader.value] = {}
        for name in calibration.LAYERS:
            here = layer[asked] == name
            which, seen = asked[here], odds[here][:, None]
            if not (ratings[which] > 0).any():
                if name in before.get(grader.value, {}):
                    fitted[grader.value][name] = before[grader.value][name]
                    continue
                raise InputError(f"no rated answer is judged as {name}: give rows with gold ratings on cards")
            read = np.hstack([inputs[which], seen]) if grader is GraderMode.HYBRID else seen
            fitted[grader.value][name] = fit.fit_ordinal(read, ratings[which], correct[which], signs=signs)
            groups = [cards[i].partition("\0")[0] for i in which]
            given, _ = _held_out(read, ratings[which], correct[which], groups, signs)
            rated = np.flatnonzero(ratings[which] > 0)
            measured[f"{grader.value} {name}"] = fit.agreement(
                ratings[which][rated], given[rated], [groups[i] for i in rated]
            )
            if grader is GraderMode.HYBRID:
                alone, sure = _held_out(inputs[which], ratings[which], correct[which], groups, combine.SIGNS)
                outcomes.append((ratings[which][rated], alone[rated], sure[rated], given[rated]))
    return fitted, measured, gate(outcomes, LOSS)


def _chosen(rows: Sequence[Row], layer: NDArray[np.str_], ratings: fit.Ints) -> NDArray[np.intp]:
    random = np.random.default_rng(0)
    real = np.array(
        [
            bool(row.answer.strip()) and not taught.is_taught(row) and row.style != "manipulation"
            for row in rows
        ]
    ) & (layer != "")
    own = np.array([not row.dataset for row in rows]) & (ratings > 0)
    chosen = [np.flatnonzero(real & own)]
    for name in sorted({row.dataset for row in rows}):
        others = np.flatnonzero(real & ~own & np.array([row.dataset == name for row in rows]))
        most = SAMPLE_RATED if (ratings[others] > 0).any() else SAMPLE_LABELLED
        chosen.append(random.permutation(others)[:most])
    return np.concatenate(chosen)


async def _judgements(rows: Sequence[Row], llm: LLM) -> fit.Floats:
    """Return the log-odds for each row; NaN where the model said none of the words asked for."""
    slots = asyncio.Semaphore(llm.concurrency)

    async def one(row: Row) -> float:
        async with slots:
            said = manipulation.without(row.answer, row.card)
            try:
                found = await judge(row.card, said, llm, deadline_s=DEADLINE_S)
            except LLMReplyError:
                return float("nan")
        if found is None:
            raise InputError(
                f"{llm.model} gives no log-probabilities: the judged layers cannot be fitted on it"
            )
        return found.log_odds

    try:
        return np.array(await asyncio.gather(*map(one, rows)))
    finally:
        await llm.aclose()


def gate(outcomes: Sequence[GateOutcome], loss: float) -> dict[str, float]:
    """Return the confidence from which the cheaper grade may stand, on held-out cards.

    Of all that lose at most `loss` in QWK against always asking, and twice that in any layer with
    answers enough to tell, the one that asks the least.
    """
    gold, alone, sure, asked = (np.concatenate(columns) for columns in zip(*outcomes, strict=True))
    always = metrics.qwk(gold, asked)
    large = [one for one in outcomes if len(one[0]) >= _ENOUGH_TO_TELL]
    best = {"confidence": 2.0, "asked": 1.0, "qwk": always, "qwk_asking_always": always}
    for confidence in sorted({round(float(one), 3) for one in sure}):
        stands = sure >= confidence
        agreement = metrics.qwk(gold, np.where(stands, alone, asked))
        share = float(1 - stands.mean())
        if agreement < always - loss or share >= best["asked"]:
            continue
        if all(_lost(one, confidence) <= 2 * loss for one in large):
            best |= {"confidence": confidence, "asked": share, "qwk": agreement}
    return best


def _lost(outcome: GateOutcome, confidence: float) -> float:
    """Return the QWK that is lost where a grade stands from `confidence` on."""
    gold, alone, sure, asked = outcome
    return metrics.qwk(gold, asked) - metrics.qwk(gold, np.where(sure >= confidence, alone, asked))


def _held_out(
    read: fit.Floats, ratings: fit.Ints, correct: fit.Ints, groups: Sequence[str], signs: Sequence[int]
) -> tuple[fit.Ints, fit.Floats]:
    """Return the ratings and confidences of layers that did not see the card."""
    from sklearn.model_selection import GroupKFold

    given, sure = np.zeros(len(ratings), np.int_), np.zeros(len(ratings))
    folds = min(_FOLDS, len(set(groups)))
    for train, test in GroupKFold(folds).split(read, ratings, groups):
        fitted = fit.fit_ordinal(read[train], ratings[train], correct[train], signs=signs)
        layer = calibration.ordinal(fitted)
        graded = [combine.from_cumulative(layer.at_least(row.astype(np.float32))) for row in read[test]]
        given[test] = [rating for _, rating, _ in graded]
        sure[test] = [confidence for _, _, confidence in graded]
    return given, sure
