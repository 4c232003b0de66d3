"""Embedded evidence and what a language model says, made into one grade."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from freerecall.cards import Card, Kind
from freerecall.grades import (
    DecidedBy,
    Evidence,
    FoundBy,
    Grade,
    GraderMode,
    Provenance,
    RatedAnswer,
    Verdict,
)
from freerecall.grading import calibration, combine, feedback, manipulation, rated, rubric
from freerecall.grading.embedded import DOUBT, bounded, proven
from freerecall.grading.evidence import agree
from freerecall.grading.judge import DEFAULT_PROMPT as JUDGE_PROMPT
from freerecall.grading.judge import Judgement, judge
from freerecall.grading.reading import Reading, read
from freerecall.grading.rubric import RubricResult, grade_rubric
from freerecall.grading.text import tidy
from freerecall.llm import LLM
from freerecall.settings import AUTO

LLM_CUTS = (0.15, 0.40, 0.70, 0.90)
"""Share of the key points (by weight) from which the model's verdicts make a 2, 3, 4, 5."""
LLM_SHARE = 0.35
"""The model's say in a hybrid score, where it gave verdicts."""
_END = re.compile(r"[^\w%)\]]+$")
_UNFIT_TO_JUDGE = (Kind.CLOZE,)
_BY_RULE = (Kind.CLOZE, Kind.TRUE_FALSE)
"""What the embedded grader finds by rules of its own."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How an answer's model is asked, and what stands beside its opinion.

    `prompt` names a file of `prompts/`: a judge's (one token and its log-probabilities) or a
    rubric's (a verdict and a quote for each key point). AUTO asks a model of one's own (one with
    an `api_base`) for the token, and every other, or one without log-probabilities, for verdicts.
    `rated` are answers to the same card that people have rated. `doubt` is taken from the log-odds
    of every rating that a judge's token makes.
    """

    llm: LLM
    mode: GraderMode
    deadline_s: float
    prompt: str = AUTO
    rated: Sequence[RatedAnswer] = ()
    doubt: float = 0.0


async def grade_with_llm(card: Card, answer: str, embedded: Grade, asking: Asking) -> Grade:
    """Ask the model and make a grade of it. Raises LLMError where there is no usable reply.

    What may not belong to the answer is asked about with and without, and the lowest counts; where
    nothing is left without it, there is nothing to ask about, and the embedded grade stands.
    """
    llm = asking.llm
    own = bool(llm.api_base) and llm.offers_logprobs and card.kind not in _UNFIT_TO_JUDGE
    by_judge = own if asking.prompt == AUTO else asking.prompt.startswith("judge")
    ask = _by_judge if by_judge else _by_rubric
    texts = proven(card, answer)
    if not all(text.strip() for text in texts):
        return embedded
    if manipulation.is_suspect(answer, card):
        asking = replace(asking, doubt=DOUBT)
    elif not by_judge:
        texts = texts[:1]  # verdicts with quotes are dear, and count no aside
    if by_judge:
        texts += [_other_end(text) for text in texts if text != answer]
        texts = list({tidy(text): text for text in texts}.values())
    grades = [ask(card, text, embedded, asking) for text in texts]
    lowest = min(await asyncio.gather(*grades), key=lambda grade: (grade.rating, grade.score))
    return feedback.in_language_of(answer, lowest)


def _other_end(text: str) -> str:
    """Return `text` with its full stop taken away, or with one: either may tip a small model."""
    bare = _END.sub("", text)
    return bare if tidy(text).endswith(".") else f"{bare}."


async def _by_judge(card: Card, said: str, embedded: Grade, asking: Asking) -> Grade:
    name = JUDGE_PROMPT if asking.prompt == AUTO else asking.prompt
    judged = await judge(
        card, said, asking.llm, deadline_s=asking.deadline_s, prompt=name, rated=asking.rated
    )
    if judged is None:
        return await _by_rubric(card, said, embedded, asking)
    return _from_judgement(card, said, embedded, judged, asking)


async def _by_rubric(card: Card, said: str, embedded: Grade, asking: Asking) -> Grade:
    name = asking.prompt if asking.prompt.startswith("rubric") else rubric.DEFAULT_PROMPT
    verdicts = await grade_rubric(card, said, asking.llm, deadline_s=asking.deadline_s, prompt=name)
    llm_grade = from_rubric(embedded, verdicts)
    return llm_grade if asking.mode is GraderMode.LLM else fuse(embedded, llm_grade)


def _from_judgement(card: Card, answer: str, embedded: Grade, judged: Judgement, asking: Asking) -> Grade:
    """The grade that the calibrated layer of this kind of card makes of the judgement."""
    mode = asking.mode
    model = calibration.load()
    reading = read(card, answer)
    layer = model.judged[mode.value, reading.layer if reading else "plain"]
    pull = 0.0 if mode is GraderMode.LLM else rated.log_odds(answer, asking.rated)
    inputs = judge_inputs(reading, judged.log_odds, mode, model)
    score, rating, confidence = combine.from_cumulative(layer.at_least(inputs, pull - asking.doubt))
    if mode is GraderMode.HYBRID and reading is not None:
        score, rating, confidence = bounded(reading, score, rating, confidence)
    known = embedded.evidence if reading is None or card.kind in _BY_RULE else reading.evidence
    found = agree(known, rating, answer, FoundBy.LLM)
    grade = Grade(
        score=score,
        rating=rating,
        confidence=confidence,
        evidence=found,
        feedback=feedback.sentence(found, rating),
        decided_by=DecidedBy.LLM if mode is GraderMode.LLM else DecidedBy.HYBRID,
        provenance=_together(embedded.provenance, judged.provenance),
    )
    _, without, _ = combine.from_cumulative(layer.at_least(inputs, -asking.doubt))
    return feedback.with_note(answer, feedback.in_language_of(answer, grade), without)


def judge_inputs(
    reading: Reading | None, log_odds: float, mode: GraderMode, model: calibration.Calibration
) -> combine.Floats:
    """Return what a judged layer reads: the judgement alone, or after the embedded grader's own inputs."""
    if mode is GraderMode.LLM:
        return np.array([log_odds], np.float32)
    if reading is None:
        return np.array([*combine.NOTHING, log_odds], np.float32)
    return np.append(reading.inputs(model), np.float32(log_odds))


def from_rubric(embedded: Grade, verdicts: RubricResult) -> Grade:
    """The grade by the model's verdicts alone."""
    rating = 1 + sum(verdicts.score >= cut for cut in LLM_CUTS)
    margin = min((abs(verdicts.score - cut) for cut in LLM_CUTS), default=0.0)
    return Grade(
        score=round(verdicts.score, 4),
        rating=rating,
        confidence=round(min(0.5 + 2 * margin, 0.95), 4),
        evidence=verdicts.evidence,
        feedback=verdicts.feedback or feedback.sentence(verdicts.evidence, rating),
        decided_by=DecidedBy.LLM,
        provenance=replace(verdicts.provenance, calibration=embedded.provenance.calibration),
    )


def fuse(embedded: Grade, llm: Grade) -> Grade:
    """The hybrid grade: both scores on the rating scale, weighted; per key point the better proof."""
    llm_on_scale = (llm.rating - 1) / 4
    score = (1 - LLM_SHARE) * embedded.score + LLM_SHARE * (llm_on_scale + llm.score) / 2
    agree = 1.0 - abs(embedded.rating - llm.rating) / 4
    found = tuple(_better(one, other) for one, other in zip(embedded.evidence, llm.evidence, strict=True))
    rating = 1 + sum(score >= cut for cut in (0.125, 0.375, 0.625, 0.875))
    return Grade(
        score=round(score, 4),
        rating=rating,
        confidence=round(agree * max(embedded.confidence, llm.confidence), 4),
        evidence=found,
        feedback=feedback.sentence(found, rating),
        decided_by=DecidedBy.HYBRID,
        provenance=_together(embedded.provenance, llm.provenance),
    )


def _better(one: Evidence, other: Evidence) -> Evidence:
    """Words found by spelling are proof; else the model, which reads better, has the say."""
    if (
        one.verdict is Verdict.COVERED
        and one.found_by is FoundBy.KEYWORDS
        and other.verdict is not Verdict.CONTRADICTED
    ):
        return one
    return replace(other, point=one.point, weight=one.weight)


def _together(embedded: Provenance, llm: Provenance) -> Provenance:
    return replace(llm, calibration=embedded.calibration, latency_ms=embedded.latency_ms + llm.latency_ms)
