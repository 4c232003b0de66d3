"""The LLM rubric grader: the model gives a verdict and a quote per key point, code makes the score.

No text in an answer can earn anything by itself: a verdict counts only with a quote that is in the
answer, that says more than the question, and that does not speak to the grader.
"""

import asyncio
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from freerecall.cards import Card, KeyPoint
from freerecall.derive import points_of
from freerecall.errors import LLMReplyError
from freerecall.grades import Evidence, FoundBy, Provenance, Verdict
from freerecall.grading.manipulation import Span, speaks_of_grading
from freerecall.grading.prompts import as_data, one_line, read_prompt
from freerecall.grading.quotes import Answer
from freerecall.llm import LLM, Message, Reply
from freerecall.llm_wire import TokenLogprob
from freerecall.resources import folder

DEFAULT_PROMPT = "rubric-v1"

MAX_ANSWER = 6_000
"""Characters of an answer that the model is shown."""
MAX_FEEDBACK = 300
_MAX_ACCEPT = 5

_VALUE = {Verdict.COVERED: 1.0, Verdict.PARTIAL: 0.5, Verdict.MISSING: 0.0, Verdict.CONTRADICTED: -0.5}
_WRONG_CLAIM = 0.1
_MAX_WRONG_CLAIMS = 2

_RATING = re.compile(
    r"\b(?:rat(?:e[ds]?|ings?)|scor(?:e[ds]?|ing)|grad(?:e[ds]?|ing)|marks?|stars?|perfect(?:ly)?)\b"
    r"|\d\s*(?:/|%|out of)\s*\d*|\b\d\s+points?\b",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"https?:|www\.|[<>{}\[\]`*_#|\\]|\b\w+\.(?:com|org|net|io|ru|cn)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RubricResult:
    """What a model's verdicts come to.

    One piece of evidence for each key point, in their order; `score` in 0–1; `wrong_claims` are
    false statements in the answer's own words; `feedback` is one plain line.
    """

    evidence: tuple[Evidence, ...]
    score: float
    feedback: str
    provenance: Provenance = field(default_factory=Provenance)
    wrong_claims: tuple[str, ...] = ()


@cache
def _schema(prompt: str) -> dict[str, Any]:
    path = folder("prompts") / read_prompt(prompt).about["schema"]
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


def key_points(card: Card) -> tuple[KeyPoint, ...]:
    """Return the card's key points, or those derived from its reference; never none."""
    points = card.points or points_of(card.question, card.reference, card.kind)
    return tuple(points) or (KeyPoint(card.reference),)


def messages(card: Card, answer: str, prompt: str = DEFAULT_PROMPT) -> list[Message]:
    """Return what the model is sent: what is the same for every answer first, the answer last."""
    points = "\n".join(f"p{i}: {_point_line(point)}" for i, point in enumerate(key_points(card), start=1))
    return read_prompt(prompt).messages(
        question=one_line(card.question),
        reference=one_line(card.reference),
        points=points,
        answer=as_data(answer[:MAX_ANSWER]),
    )


def reply_schema(count: int, prompt: str = DEFAULT_PROMPT) -> dict[str, Any]:
    """Return the JSON Schema of a reply about `count` key points: p1 … p<count>, all of them required."""
    schema = _schema(prompt)
    names = [f"p{i}" for i in range(1, count + 1)]
    rest = {name: spec for name, spec in schema["properties"].items() if name != "point"}
    return {
        "type": "object",
        "properties": {**dict.fromkeys(names, schema["properties"]["point"]), **rest},
        "required": [*names, *rest],
        "additionalProperties": False,
    }


async def grade_rubric(
    card: Card, answer: str, llm: LLM, *, deadline_s: float, prompt: str = DEFAULT_PROMPT
) -> RubricResult:
    """Ask `llm` for its verdicts on `answer`; a reply of the wrong form is sent back once to be mended.

    `deadline_s` covers both calls. Raises what `LLM.complete` raises; LLMReplyError too where the
    second reply is no better.
    """
    ends = asyncio.get_running_loop().time() + deadline_s
    conversation = messages(card, answer, prompt)
    count = len(key_points(card))

    def usable(text: str) -> bool:
        try:
            parse_reply(text, card, answer)
        except LLMReplyError:
            return False
        return True

    async def ask() -> Reply:
        return await llm.complete(
            conversation,
            schema=reply_schema(count, prompt),
            deadline_s=max(ends - asyncio.get_running_loop().time(), 0.0),
            max_tokens=min(80 + 50 * count, 2_000),
            logprobs=True,
            usable=usable,
        )

    replies = [await ask()]
    try:
        result = parse_reply(replies[0].text, card, answer, replies[0].logprobs)
    except LLMReplyError as error:
        conversation += [
            {"role": "assistant", "content": replies[0].text[:1_000]},
            {
                "role": "user",
                "content": f"That is not the JSON asked for: {error}. Send it again, whole.",
            },
        ]
        replies.append(await ask())
        result = parse_reply(replies[1].text, card, answer, replies[1].logprobs)
    return replace(
        result,
        provenance=Provenance(
            prompt=read_prompt(prompt).name,
            model=replies[-1].model,
            latency_ms=sum(reply.latency_ms for reply in replies),
            tokens_in=sum(reply.tokens_in for reply in replies),
            tokens_out=sum(reply.tokens_out for reply in replies),
            cost_usd=sum(reply.cost_usd for reply in replies),
            cached=all(reply.cached for reply in replies),
            reply=replies[-1].text,
        ),
    )


def parse_reply(
    text: str, card: Card, answer: str, logprobs: Sequence[TokenLogprob] | None = None
) -> RubricResult:
    """Turn a model's reply about `answer` into evidence and a score.

    With `logprobs` (the reply's tokens) a verdict is weighed by how sure the model was of it.
    Raises LLMReplyError unless the reply holds a JSON object with a verdict for each key point.
    """
    points = key_points(card)
    reply = _json_object(text)
    names = [f"p{i}" for i in range(1, len(points) + 1)]
    if any(re.fullmatch(r"p\d+", name) and name not in names for name in reply):
        raise LLMReplyError(f"it names key points beyond p{len(points)}")
    read = Answer.read(answer, card)
    verdicts = [_verdict(reply, name) for name in names]
    evidence: list[Evidence] = []
    spans: list[Span] = []
    voided = False
    for name, point, verdict, worth in zip(names, points, verdicts, _worth(verdicts, logprobs), strict=True):
        span = _place(read, _text(reply[name].get("quote")), point)
        if verdict is not Verdict.MISSING:
            if span is None or not read.supports(span, point, card):
                verdict, voided = Verdict.MISSING, True
            elif verdict is not Verdict.CONTRADICTED:
                verdict = _nearest(worth)
        if verdict is Verdict.MISSING or span is None:
            evidence.append(Evidence(point.text, Verdict.MISSING, weight=point.weight))
            continue
        quote = answer[slice(*span)]
        evidence.append(Evidence(point.text, verdict, quote, FoundBy.LLM, worth, point.weight))
        spans.append(span)
    wrong = _wrong_claims(reply.get("wrong"), read, spans)
    feedback = _feedback(_text(reply.get("feedback")), evidence, wrong, trust=not voided and not read.orders)
    return RubricResult(tuple(evidence), score(evidence, len(wrong)), feedback, wrong_claims=wrong)


def score(evidence: Sequence[Evidence], wrong_claims: int = 0) -> float:
    """Return the weighted share of what is covered, 0–1.

    A contradicted point costs half of its weight; each of the first two wrong claims costs 0.1.
    """
    weight = sum(one.weight for one in evidence)
    got = sum(
        one.weight * (_VALUE[one.verdict] if one.verdict is Verdict.CONTRADICTED else one.coverage)
        for one in evidence
    )
    penalty = _WRONG_CLAIM * min(wrong_claims, _MAX_WRONG_CLAIMS)
    return min(max(got / weight - penalty, 0.0), 1.0) if weight > 0 else 0.0


def _point_line(point: KeyPoint) -> str:
    accept = "; ".join(one_line(text) for text in point.accept[:_MAX_ACCEPT])
    return f"{one_line(point.text)} (or: {accept})" if accept else one_line(point.text)


def _place(read: Answer, quote: str, point: KeyPoint) -> Span | None:
    """Return where the quote stands in the answer, or another wording of the point it repeats, or None."""
    wordings = (point.text, *point.accept)
    span = read.find(quote)
    if span is None and any(quote.casefold() == wording.casefold() for wording in wordings):
        span = next((found for found in map(read.find, wordings) if found), None)
    return span


def _json_object(text: str) -> dict[str, Any]:
    """Return the first JSON object in `text` that has a p1; code fences and prose around it do not matter."""
    text = text.rpartition("</think>")[2]
    decoder = json.JSONDecoder()
    for brace in list(re.finditer(r"\{", text))[:20]:
        try:
            found, _ = decoder.raw_decode(text, brace.start())
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict) and "p1" in found:
            return found
    raise LLMReplyError("it holds no complete JSON object with a verdict for p1")


def _verdict(reply: dict[str, Any], name: str) -> Verdict:
    row = reply.get(name)
    said = row.get("verdict") if isinstance(row, dict) else None
    try:
        return Verdict(_text(said).strip().lower())
    except ValueError:
        allowed = ", ".join(Verdict)
        raise LLMReplyError(f"{name} needs a verdict that is one of {allowed}") from None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _nearest(worth: float) -> Verdict:
    """Return the verdict whose value is nearest to `worth`: not every "covered" is meant so."""
    return Verdict.COVERED if worth >= 0.75 else Verdict.PARTIAL if worth >= 0.25 else Verdict.MISSING


def _worth(verdicts: Sequence[Verdict], logprobs: Sequence[TokenLogprob] | None) -> list[float]:
    """Return for each verdict the coverage it stands for, 0–1: the mean over what the model weighed.

    The alternatives are those at the verdict's first token. Without log-probabilities, or where
    the tokens do not tell, it is the verdict's own value. A contradiction covers nothing.
    """
    plain = [max(_VALUE[verdict], 0.0) for verdict in verdicts]
    if not logprobs:
        return plain
    text = "".join(token.token for token in logprobs)
    starts = [match.end() for match in re.finditer(r'"verdict"\s*:\s*"', text)]
    if len(starts) != len(verdicts):
        return plain
    ends: list[int] = []
    for token in logprobs:
        ends.append((ends[-1] if ends else 0) + len(token.token))
    values = []
    for start, verdict, value in zip(starts, verdicts, plain, strict=True):
        token = next(token for token, end in zip(logprobs, ends, strict=True) if end > start)
        shares: dict[Verdict, float] = {}
        for piece, logprob in token.top:
            piece = piece.strip(' \n"').lower()
            fitting = [one for one in Verdict if piece and one.startswith(piece)]
            if len(fitting) == 1 and logprob <= 0:
                shares[fitting[0]] = shares.get(fitting[0], 0.0) + math.exp(logprob)
        total = sum(shares.values())
        mean = sum(share * max(_VALUE[meant], 0.0) for meant, share in shares.items())
        values.append(mean / total if total and verdict is not Verdict.CONTRADICTED else value)
    return values


def _wrong_claims(claims: object, read: Answer, taken: Sequence[Span]) -> tuple[str, ...]:
    """Return the claims that are the learner's words and support no verdict, each once."""
    found: dict[Span, str] = {}
    for claim in claims[:10] if isinstance(claims, list) else ():
        span = read.find(_text(claim))
        if span is None or any(start < span[1] and span[0] < end for start, end in (*taken, *found)):
            continue
        found[span] = read.text[slice(*span)]
    return tuple(found.values())


def _feedback(said: str, evidence: Sequence[Evidence], wrong: Sequence[str], *, trust: bool) -> str:
    """Return the model's sentence if it is plain and speaks of the subject only, else one made here.

    Where nothing is amiss there is nothing for the model to add.
    """
    complete = not wrong and all(one.verdict is Verdict.COVERED for one in evidence)
    line = " ".join("".join(c if c.isprintable() else " " for c in said).split())
    plain = not _RATING.search(line) and not _MARKUP.search(line) and not speaks_of_grading(line)
    if trust and not complete and line and plain and len(line) <= MAX_FEEDBACK:
        return line
    parts = []
    for verdict, label in (
        (Verdict.CONTRADICTED, "Not so"),
        (Verdict.MISSING, "Missing"),
        (Verdict.PARTIAL, "Only partly said"),
    ):
        points = [one.point.rstrip(" .") for one in evidence if one.verdict is verdict]
        if points:
            parts.append(f"{label}: {'; '.join(' '.join(point.split()) for point in points)}.")
    if wrong:
        parts.append(f"Wrong: {' '.join(wrong[0].split())}.")
    line = " ".join(parts) or "Every key point is there."
    return line if len(line) <= MAX_FEEDBACK else line[: MAX_FEEDBACK - 1].rstrip() + "…"
