"""Embedded evidence and the language model's verdicts, made into one grade."""

from dataclasses import replace

from freerecall.cards import Card
from freerecall.grades import DecidedBy, Evidence, FoundBy, Grade, GraderMode, Provenance, Verdict
from freerecall.grading import feedback, manipulation
from freerecall.grading.rubric import RubricResult, grade_rubric
from freerecall.llm import LLM

LLM_CUTS = (0.15, 0.40, 0.70, 0.90)
"""Share of the key points (by weight) from which the model's verdicts make a 2, 3, 4, 5."""
LLM_SHARE = 0.35
"""The model's say in a hybrid score."""


async def grade_with_llm(
    card: Card, answer: str, embedded: Grade, *, mode: GraderMode, llm: LLM, deadline_s: float
) -> Grade:
    """Ask the model for verdicts and make a grade of them. Raises LLMError where there is no usable reply."""
    rubric = await grade_rubric(card, manipulation.without(answer), llm, deadline_s=deadline_s)
    llm_grade = from_rubric(embedded, rubric)
    return llm_grade if mode is GraderMode.LLM else fuse(embedded, llm_grade)


def from_rubric(embedded: Grade, rubric: RubricResult) -> Grade:
    """The grade by the model's verdicts alone."""
    rating = 1 + sum(rubric.score >= cut for cut in LLM_CUTS)
    margin = min((abs(rubric.score - cut) for cut in LLM_CUTS), default=0.0)
    return Grade(
        score=round(rubric.score, 4),
        rating=rating,
        confidence=round(min(0.5 + 2 * margin, 0.95), 4),
        evidence=rubric.evidence,
        feedback=rubric.feedback or feedback.sentence(rubric.evidence, rating),
        decided_by=DecidedBy.LLM,
        provenance=replace(rubric.provenance, calibration=embedded.provenance.calibration),
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
