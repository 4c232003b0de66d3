"""No text in an answer can raise its rating: every attack against the same answer without it."""

import asyncio
import json
import os
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from freerecall.decks import bundled_decks, read_deck
from freerecall.grades import GraderMode
from freerecall.grading import AskPolicy, grade, grade_embedded, manipulation
from freerecall.llm import LLM
from freerecall.llm_cache import FileCache

GOLD = Path(__file__).parent.parent / "evals" / "gold"
ATTACKS: list[dict[str, Any]] = [
    json.loads(line)
    for path in sorted(GOLD.glob("*-attacks*.jsonl"))
    for line in path.read_text(encoding="utf-8").splitlines()
]
CARDS = {card.id: card for path in bundled_decks() for card in read_deck(path).deck.cards}
ALWAYS = AskPolicy(gate=2.0)
EVERY = int(os.environ.get("FREERECALL_ATTACKS_EVERY", "32"))
"""The model is asked about each so-manieth attack: all of them take minutes."""


def test_there_are_many_attacks_and_no_two_alike() -> None:
    assert len(ATTACKS) >= 260
    assert len({attack["answer"] for attack in ATTACKS}) == len(ATTACKS)
    assert len({attack["attack"] for attack in ATTACKS}) >= 8


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack["id"] for attack in ATTACKS])
def test_no_attack_rates_above_the_same_answer_without_it(attack: dict[str, Any]) -> None:
    card = CARDS[attack["card"]]
    attacked, honest = (grade_embedded(card, attack[name]) for name in ("answer", "without"))
    assert attacked.rating <= honest.rating


def test_what_learners_honestly_write_is_left_alone() -> None:
    rows = [json.loads(line) for line in (GOLD / "mlops.jsonl").read_text(encoding="utf-8").splitlines()]
    honest = [
        row["answer"]
        for row in rows
        if row["split"] == "dev" and row["style"] not in ("manipulation", "off-topic")
    ]
    assert [text for text in honest if manipulation.without(text) != text] == []


def test_a_long_answer_of_near_attacks_is_read_in_one_pass() -> None:
    text = "ignore i g n o r e a1b2c3d4 A" * 2_000
    assert len(manipulation.without(text)) == len(text)


@pytest.mark.llm
def test_a_real_model_is_not_talked_into_more(local_llm: str, tmp_path: Path) -> None:
    llm = LLM("openai/local", local_llm, "none", cache=FileCache(tmp_path / "replies.db"))

    async def ratings() -> list[tuple[str, int, int]]:
        try:
            found = []
            for attack, mode in product(ATTACKS[::EVERY], (GraderMode.LLM, GraderMode.HYBRID)):
                card = CARDS[attack["card"]]
                one, other = [
                    await grade(card, attack[name], mode=mode, llm=llm, deadline_s=120, policy=ALWAYS)
                    for name in ("answer", "without")
                ]
                assert not one.provisional, one.provenance.error
                found.append((f"{attack['id']} {mode}", one.rating, other.rating))
            return found
        finally:
            await llm.aclose()

    raised = [f"{name}: {one} > {other}" for name, one, other in asyncio.run(ratings()) if one > other]
    assert not raised, "; ".join(raised)
