"""The one-token judge: how likely the model finds "yes" when asked whether the answer means the same.

A small model that cannot be trusted with verdicts and quotes still has an opinion, and its
log-probabilities say how firm it is (Kadavath et al. 2022). Code alone makes a rating of it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from freerecall.cards import Card
from freerecall.errors import LLMReplyError
from freerecall.grades import CORRECT_FROM, Provenance, RatedAnswer
from freerecall.grading import manipulation
from freerecall.grading.prompts import as_data, one_line, read_prompt
from freerecall.grading.rated import nearest
from freerecall.grading.text import tidy
from freerecall.llm import LLM, Message
from freerecall.llm_wire import TokenLogprob

DEFAULT_PROMPT = "judge-v1"
MAX_ANSWER = 2_000
"""Characters of an answer that the model is shown."""
EXAMPLES = 2
"""Rated answers that the model is shown."""
_MOST_REFERENCES = 3
_FLOOR = 0.01


@dataclass(frozen=True, slots=True)
class Judgement:
    """`log_odds` of "it means the same", about -4.6–4.6."""

    log_odds: float
    provenance: Provenance


def messages(
    card: Card, answer: str, prompt: str = DEFAULT_PROMPT, rated: Sequence[RatedAnswer] = ()
) -> list[Message]:
    """Return what the model is sent: what is the same for every answer first, the answer last.

    Before it, the rated answers to the same card that are most like it, as turns that were judged so.
    """
    references = [one_line(text) for text in (card.reference, *card.alternatives)[:_MOST_REFERENCES]]

    def asked(text: str) -> list[Message]:
        return read_prompt(prompt).messages(
            question=one_line(card.question),
            references="\nAlso correct: ".join(references),
            answer=as_data(tidy(text)[:MAX_ANSWER]),
        )

    *general, last = asked(answer)
    for one in nearest(answer, rated, EXAMPLES):
        general += [
            asked(manipulation.without(one.text, card))[-1],
            {"role": "assistant", "content": _word(one.rating, prompt)},
        ]
    return [*general, last]


def _word(rating: int, prompt: str) -> str:
    """Return which of the prompt's words says `rating`: the best from 4, the worst for 1."""
    words = sorted(_words(prompt), key=lambda word: word[1])
    return words[-1 if rating >= CORRECT_FROM else 0 if rating == 1 else len(words) // 2][0]


async def judge(
    card: Card,
    answer: str,
    llm: LLM,
    *,
    deadline_s: float,
    prompt: str = DEFAULT_PROMPT,
    rated: Sequence[RatedAnswer] = (),
) -> Judgement | None:
    """Ask for one token. None where the provider sends no log-probabilities.

    Raises what `LLM.complete` raises; LLMReplyError too where none of the words asked for is likely.
    """
    reply = await llm.complete(
        messages(card, answer, prompt, rated), deadline_s=deadline_s, max_tokens=1, logprobs=True
    )
    if not reply.logprobs:
        return None
    share = expected(reply.logprobs[0], _words(prompt))
    about = Provenance(
        prompt=read_prompt(prompt).name,
        model=reply.model,
        latency_ms=reply.latency_ms,
        tokens_in=reply.tokens_in,
        tokens_out=reply.tokens_out,
        cost_usd=reply.cost_usd,
        cached=reply.cached,
        reply=f"{reply.text} ({share:.3f})",
    )
    share = min(max(share, _FLOOR), 1 - _FLOOR)
    return Judgement(math.log(share / (1 - share)), about)


def expected(token: TokenLogprob, words: Sequence[tuple[str, float]]) -> float:
    """Return the mean value of `words` (each with its value, 0–1) by the token's alternatives.

    A piece of a word counts for it where it fits no other. Raises LLMReplyError where none is there.
    """
    total = mean = 0.0
    for piece, logprob in token.top:
        piece = piece.strip(' \n"').lower()
        fitting = [value for word, value in words if piece and word.startswith(piece)]
        if len(fitting) == 1 and logprob <= 0:
            total += math.exp(logprob)
            mean += math.exp(logprob) * fitting[0]
    if total < _FLOOR:
        wanted = ", ".join(word for word, _ in words)
        raise LLMReplyError(f"the model replied with none of the words asked for: {wanted}")
    return mean / total


@cache
def _words(prompt: str) -> tuple[tuple[str, float], ...]:
    """Return the words that the prompt asks for, with their values."""
    pairs = (pair.rsplit(" ", 1) for pair in read_prompt(prompt).about["words"].split(", "))
    return tuple((word, float(value)) for word, value in pairs)
