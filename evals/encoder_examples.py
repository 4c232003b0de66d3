"""What the encoder learns from: rated and labelled answers, and what each card teaches by itself."""

import hashlib
import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rapidfuzz import fuzz, process
from talk import Talk
from tokenizers import Tokenizer

from freerecall.cards import Kind
from freerecall.evaluation.rows import Row, read_rows
from freerecall.grades import CORRECT_FROM
from freerecall.grading import polarity
from freerecall.grading.encoder import RATED, plain

GOLD = Path(__file__).parent / "gold"
RATED_SETS = ("mixed", "short")
_CLS, _SEP = 101, 102
_TALKED = {True: 0.2, False: 0.5}
"""Share of the answers, of those that are right and those that are not, that are shown with talk around."""
_LIKE = 5
"""A card is shown an answer to one of so many whose questions are most like its own, as a 1."""
_NUMBER = re.compile(r"(?<![\w.,])\d+(?![\w.,]*\d)")
_AMBIGUOUS = frozenset(
    "in out on off all none one several some every first last light dark human like create plus minus".split()
)
"""Words whose listed opposite is often none."""
_OPPOSITE = {
    one: other
    for pair in reversed(polarity.PAIRS)
    for one, other in (pair, pair[::-1])
    if one not in _AMBIGUOUS
}
_IS = re.compile(r"\b(is|are|was|were|does|do|can|will|must|should)\b")


@dataclass(frozen=True, slots=True)
class Example:
    """An answer as token ids with segments (0 question, 1 reference, 2 answer), and what was said of it."""

    ids: list[int]
    types: list[int]
    target: tuple[float, ...]
    weight: tuple[float, ...]


def is_held_out(row: Row) -> bool:
    """Say whether nothing may be learned from the row: dev cards, a tenth of the labelled questions."""
    return row.split == "dev" if row.gold is not None else _chance_of(row.card.question) % 10 == 0


def _chance_of(question: str) -> int:
    return int(hashlib.sha256(question.encode()).hexdigest(), 16)


def rows_of(semeval: Path) -> list[Row]:
    """Return the rated and the labelled rows that may be learned from or held out."""
    rated = (read_rows(GOLD / f"{name}.jsonl", gold=True, split=("train", "dev")) for name in RATED_SETS)
    labelled = read_rows(semeval / "answers-train.jsonl", gold=True)
    return [row for rows in (*rated, labelled) for row in rows if isinstance(row, Row)]


def with_talk(rows: Sequence[Row], talk: Talk, chance: random.Random) -> list[Row]:
    """Return `rows`, some with idle talk or words to the grader around the answer, which change nothing."""
    return [talk.around(row, chance) if chance.random() < _TALKED[_is_right(row)] else row for row in rows]


def _is_right(row: Row) -> bool:
    return row.label == "correct" if row.gold is None else row.gold >= CORRECT_FROM


def augmented(rows: Sequence[Row], talk: Talk, chance: random.Random) -> list[Row]:
    """Return what every card should teach beside its answers.

    The reference is a 5; the question's own words, another card's answer, talk alone and keys hit
    at random are a 1, and so is the reference with its one opposite, verb or number turned round;
    a list's items count by their share.
    """
    by_card: dict[str, list[Row]] = {}
    for row in rows:
        by_card.setdefault(f"{row.card.question}\0{row.card.reference}", []).append(row)
    more = []
    questions = [of_card[0].card.question for of_card in by_card.values()]
    every = list(by_card.values())
    for at, of_card in enumerate(every):
        row, card = replace(of_card[0], label=None), of_card[0].card
        taught = [(text, 5) for text in (card.reference, *card.alternatives)[:2]]
        taught += [(card.question, 1), (talk.one(chance), 1)]
        likeness = process.cdist([card.question], questions, scorer=fuzz.token_set_ratio)[0]
        alike = [i for i in np.argsort(-likeness) if i != at and likeness[i] < 90][:_LIKE]
        taught += [
            (chance.choice(every[i]).answer, 1) for i in (chance.choice(alike), chance.randrange(len(every)))
        ]
        if chance.random() < 0.5:
            taught.append((_keys(chance), 1))
        if (turned := _turned(card.reference, chance)) and card.kind is Kind.DEFINITION:
            taught.append((turned, 1 if len(card.points) < 3 else 2))
        points = [point.text for point in card.points]
        if card.kind in (Kind.LIST, Kind.ORDERED_LIST) and len(points) > 1:
            taught.append((chance.choice([", ", " and ", "; "]).join(points), 5))
            if card.kind is Kind.LIST:
                chance.shuffle(points)
            for count in range(1, len(points)):
                share = count / len(points)
                taught.append((", ".join(points[:count]), 2 + (share >= 0.4) + (share >= 0.75)))
        for text, rating in taught:
            typed = text if chance.random() < 0.5 else text.lower().rstrip(".?")
            more.append(replace(row, answer=typed, gold=rating))
    return more


def _keys(chance: random.Random) -> str:
    """Return keys hit at random."""
    rows = ("asdfghjkl", "qwertyuiop", "zxcvbnm", "jkl;", "0123456789", "bdgklmprstvz")
    row = chance.choice(rows)
    words = ("".join(chance.choices(row, k=chance.randint(3, 9))) for _ in range(chance.randint(1, 5)))
    return " ".join(words)


def _turned(text: str, chance: random.Random) -> str:
    """Return `text` with its one opposite, verb or number turned round; "" where none stands alone in it.

    Where two do, both sides may have been turned, which leaves what is said as it was.
    """
    words = [
        (match, other) for match in re.finditer(r"[a-z]+", text) if (other := _OPPOSITE.get(match.group()))
    ]
    verbs, numbers = list(_IS.finditer(text)), list(_NUMBER.finditer(text))
    ways = []
    if len(words) == 1:
        ways.append((words[0][0].span(), words[0][1]))
    if len(verbs) == 1:
        ways.append((verbs[0].span(), verbs[0].group() + " not"))
    if len(numbers) == 1:
        ways.append((numbers[0].span(), str(chance.randint(2, 9) + 2 * int(numbers[0].group()))))
    if not ways:
        return ""
    (start, end), new = chance.choice(ways)
    return text[:start] + new + text[end:]


def examples_of(rows: Sequence[Row], tokenizer: Tokenizer, most: tuple[int, int, int]) -> list[Example]:
    def ids(text: str, limit: int) -> list[int]:
        found: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return found[:limit]

    examples = []
    for row in rows:
        answer = plain(row.answer)
        references = (row.card.reference, *row.card.alternatives)
        reference = max(references, key=lambda text: fuzz.token_set_ratio(text.lower(), answer))
        parts = [
            ids(text, limit) for text, limit in zip((row.card.question, reference, answer), most, strict=True)
        ]
        asked, wanted, said = parts
        token_ids = [_CLS, *asked, _SEP, *wanted, _SEP, *said, _SEP]
        types = [0] * (len(asked) + 2) + [1] * (len(wanted) + 1) + [2] * (len(said) + 1)
        examples.append(Example(token_ids, types, *_target(row)))
    return examples


def _target(row: Row) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if row.gold is not None:
        reached = [float(row.gold >= rating) for rating in (2, 3, 4, 5)]
        return (*reached, 0.0, 0.0), (1.0,) * RATED + (0.0, 0.0)
    right, against = float(row.label == "correct"), float(row.label == "contradictory")
    return (0.0, 0.0, right, 0.0, right, against), (0.0, 0.0, 0.5, 0.0, 1.0, 0.5)


def attack_texts() -> Iterator[str]:
    """Yield what the first file of attacks adds to honest answers."""
    for line in (GOLD / "mlops-attacks.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["without"] and row["without"] in row["answer"]:
            yield row["answer"].replace(row["without"], "").strip()
