"""Answer + card → grade. A function of the card, the answer and the grader's version: no clock, no store."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from freerecall.cards import Card, KeyPoint, Kind
from freerecall.derive import kind_of
from freerecall.errors import InputError, LLMError
from freerecall.grades import DecidedBy, Grade, GraderMode, RatedAnswer
from freerecall.grading import calibration, encoder, semantics, words
from freerecall.grading.calibration import CURRENT as CALIBRATION
from freerecall.grading.embedded import grade_embedded
from freerecall.grading.rules import is_dont_know
from freerecall.llm import LLM

__all__ = [
    "CALIBRATION",
    "DEFAULT_POLICY",
    "AskPolicy",
    "ad_hoc_card",
    "grade",
    "grade_embedded",
    "is_dont_know",
    "policy_of",
    "wants_llm",
    "warm",
]


@dataclass(frozen=True, slots=True)
class AskPolicy:
    """How a language model is used: with which prompt, and when.

    `gate` is the confidence, 0–1, from which an embedded grade stands in hybrid mode without
    asking (None: the calibration's); above 1 the model is always asked. `prompt` goes before the
    model's own (see fuse).
    """

    prompt: str = ""
    gate: float | None = None


DEFAULT_POLICY = AskPolicy()


def policy_of(prompt: str | None = None, gate: float | None = None) -> AskPolicy:
    """Return the default policy but for what is given."""
    return AskPolicy(
        DEFAULT_POLICY.prompt if prompt is None else prompt, DEFAULT_POLICY.gate if gate is None else gate
    )


def warm() -> None:
    """Load all that an answer is read with, so that the first one does not wait for it."""
    semantics.load()
    encoder.load()
    calibration.load()
    semantics.word_vector("warm")
    words.load()


def wants_llm(grade: Grade, mode: GraderMode, policy: AskPolicy = DEFAULT_POLICY) -> bool:
    """Say whether the language model should be asked, given the embedded grade."""
    if mode is GraderMode.EMBEDDED or grade.decided_by is DecidedBy.RULE:
        return False
    gate = calibration.load().gate if policy.gate is None else policy.gate
    return mode is GraderMode.LLM or grade.confidence < gate


async def grade(
    card: Card,
    answer: str,
    *,
    mode: GraderMode,
    llm: LLM | None,
    deadline_s: float = 20.0,
    policy: AskPolicy = DEFAULT_POLICY,
    rated: Sequence[RatedAnswer] = (),
    earlier: Grade | None = None,
) -> Grade:
    """Grade with the grader that `mode` names; `rated` are answers to this card that people have rated.

    `earlier` is the answer's grade so far: an embedded one by this calibration is not made anew.

    Never raises for trouble with the model: the embedded grade is then returned, marked
    provisional, with the reason in `provenance.error`.
    """
    embedded = _as_first(earlier) or grade_embedded(card, answer, rated)
    if not wants_llm(embedded, mode, policy):
        return embedded
    if llm is None:
        return provisional(embedded, "no language model is configured (FREERECALL_MODEL)")
    from freerecall.grading import fuse

    try:
        asking = fuse.Asking(llm, mode, deadline_s, policy.prompt or llm.prompt, rated)
        return await fuse.grade_with_llm(card, answer, embedded, asking)
    except LLMError as error:
        return provisional(embedded, str(error))


def _as_first(earlier: Grade | None) -> Grade | None:
    """Return an embedded grade as it was before a verdict was waited for; None if it is not of use."""
    if earlier is None or earlier.decided_by is not DecidedBy.EMBEDDED:
        return None
    if earlier.provenance.calibration != CALIBRATION:
        return None
    return replace(earlier, provisional=False, provenance=replace(earlier.provenance, error=""))


def provisional(embedded: Grade, why: str) -> Grade:
    """Return the embedded grade marked as standing in for one by the language model."""
    return replace(embedded, provisional=True, provenance=replace(embedded.provenance, error=why))


def ad_hoc_card(
    question: str,
    reference: str,
    *,
    references: tuple[str, ...] = (),
    key_points: tuple[str | KeyPoint, ...] = (),
    kind: str | None = None,
) -> Card:
    """Make a card from the parts of a request; key points and kind are derived where not given.

    Raises InputError for a missing reference or an unknown kind.
    """
    points = [point if isinstance(point, KeyPoint) else KeyPoint(point) for point in key_points]
    texts = [text.strip() for text in (reference, *references) if text.strip()]
    if not texts and points:
        texts = ["; ".join(point.text for point in points)]
    if not texts:
        raise InputError("there is no reference answer: give `reference`, `references` or `key_points`")
    try:
        asked = Kind(kind) if kind else kind_of(question, texts[0])
    except ValueError:
        raise InputError(f"kind is {kind!r}; it must be one of {', '.join(Kind)}") from None
    return Card(
        id="",
        question=question.strip(),
        reference=texts[0],
        kind=asked,
        points=tuple(replace(point, text=point.text.strip()) for point in points if point.text.strip()),
        alternatives=tuple(dict.fromkeys(texts[1:])),
    )
