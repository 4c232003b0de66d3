"""Key points proposed by the language model, for a person to accept or not."""

import json
from typing import Any

from freerecall.cards import Card, KeyPoint
from freerecall.decks.text import clean_line
from freerecall.errors import LLMReplyError
from freerecall.grading.prompts import as_data, read_prompt
from freerecall.grading.semantics import unit, word_vectors
from freerecall.grading.text import tokenise
from freerecall.llm import LLM

PROMPT = "draft-points-v1"
_MOST_POINTS, _MOST_WORDINGS, _LONGEST = 6, 3, 300
_RELATED = 0.2
"""Cosine of a point to the reference below which the model made it up."""
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "points": {
            "type": "array",
            "minItems": 1,
            "maxItems": _MOST_POINTS,
            "items": {
                "type": "object",
                "properties": {
                    "text": {"type": "string"},
                    "accept": {"type": "array", "maxItems": _MOST_WORDINGS, "items": {"type": "string"}},
                },
                "required": ["text", "accept"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["points"],
    "additionalProperties": False,
}


async def draft_points(card: Card, llm: LLM, *, deadline_s: float = 60.0) -> tuple[KeyPoint, ...]:
    """Ask for the key points of a card, with other wordings. What has nothing to do with it is dropped.

    Raises LLMError, LLMReplyError where no usable point is proposed.
    """
    prompt = read_prompt(PROMPT)
    messages = prompt.messages(question=as_data(card.question), reference=as_data(card.reference))
    reply = await llm.complete(messages, schema=_SCHEMA, deadline_s=deadline_s, max_tokens=400)
    points = _read(reply.text, card)
    if not points:
        raise LLMReplyError("the model proposed no key point of this card")
    return points


def _read(text: str, card: Card) -> tuple[KeyPoint, ...]:
    try:
        rows = json.loads(text)["points"]
        given = [(str(row["text"]), [str(other) for other in row["accept"]]) for row in rows]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LLMReplyError(f"the model's reply is not in the form asked for: {error!r}") from error
    points: dict[str, KeyPoint] = {}
    for point, others in given[:_MOST_POINTS]:
        wording = clean_line(point)[:_LONGEST]
        if not wording or not _related(wording, card):
            continue
        accept = dict.fromkeys(clean_line(other)[:_LONGEST] for other in others[:_MOST_WORDINGS])
        accept.pop("", None)
        accept.pop(wording, None)
        points.setdefault(wording.casefold(), KeyPoint(wording, tuple(accept)))
    return tuple(points.values())


def _related(wording: str, card: Card) -> bool:
    one, other = ([token.word for token in tokenise(text)] for text in (wording, card.reference))
    if not one or not other:
        return False
    cosine = unit(word_vectors(one).sum(axis=0)) @ unit(word_vectors(other).sum(axis=0))
    return float(cosine) >= _RELATED
