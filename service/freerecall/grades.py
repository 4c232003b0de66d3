"""What a grader says of an answer: verdicts with evidence, and a 1–5 rating."""

from dataclasses import dataclass, field
from enum import StrEnum

RATINGS = (1, 2, 3, 4, 5)
CORRECT_FROM = 4
"""A rating from which an answer counts as correct where people gave only correct or not."""
RATING_NAMES = {1: "not at all", 2: "a fragment", 3: "about half", 4: "nearly all", 5: "perfectly"}


class Verdict(StrEnum):
    """What an answer does with one key point."""

    COVERED = "covered"
    PARTIAL = "partial"
    MISSING = "missing"
    CONTRADICTED = "contradicted"


class FoundBy(StrEnum):
    """Which matcher found the evidence."""

    KEYWORDS = "keywords"
    SEMANTICS = "semantics"
    LLM = "llm"


class DecidedBy(StrEnum):
    """What a grade rests on. `RULE`: blank, "I don't know", or nothing but the question."""

    RULE = "rule"
    EMBEDDED = "embedded"
    LLM = "llm"
    HYBRID = "hybrid"


class GraderMode(StrEnum):
    """Which grader a caller asks for."""

    EMBEDDED = "embedded"
    LLM = "llm"
    HYBRID = "hybrid"


@dataclass(frozen=True, slots=True)
class Evidence:
    """The verdict on one key point.

    `quote` is a substring of the answer as typed ("" where nothing supports the
    verdict); `coverage` in 0–1 is how much of the point is there.
    """

    point: str
    verdict: Verdict
    quote: str = ""
    found_by: FoundBy | None = None
    coverage: float = 0.0
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class RatedAnswer:
    """An answer to a card with the rating, 1–5, that a person gave it."""

    text: str
    rating: int


@dataclass(frozen=True, slots=True)
class Provenance:
    """What is needed to replay a grade, and what it cost (ms, tokens, US dollars).

    `reply` is the model's own text, kept by an evaluation and nowhere else.
    """

    calibration: str = ""
    prompt: str = ""
    model: str = ""
    latency_ms: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0
    cached: bool = False
    error: str = ""
    reply: str = ""


@dataclass(frozen=True, slots=True)
class Grade:
    """`score` and `confidence` in 0–1; `rating` in 1–5.

    `provisional` means that a language model was wanted and could not be had
    (yet); `provenance.error` then says why.
    """

    score: float
    rating: int
    confidence: float
    evidence: tuple[Evidence, ...]
    feedback: str
    decided_by: DecidedBy
    provisional: bool = False
    provenance: Provenance = field(default_factory=Provenance)
