"""Words that say nothing of any card, as many as are wanted: what the encoder learns to read past."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from freerecall.evaluation.rows import Row
from freerecall.evaluation.taught import CHATTER
from freerecall.grading import manipulation

_ENGLISH, _FOREIGN, _MADE_UP = 0.4, 0.25, 0.2
"""Shares of the kinds; the rest are attacks. Made-up words have a language's letters in its order."""
_BETWEEN = (" ", " ", " ", ". ", ". ", ", ", " - ", "\n", "; ", " (")
_BEFORE, _GUARDED, _TWICE, _SHORTENED = 0.25, 0.5, 0.15, 0.3


class Talk:
    """Sentences of gold/talk.txt, by language, and others that are made from them."""

    def __init__(self, path: Path, attacks: Sequence[str]) -> None:
        self._english, self._foreign, self._attacks = [*CHATTER], list[list[str]](), attacks
        lines = self._english
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("# "):
                lines = self._english if line.startswith("# English") else list[str]()
                if lines is not self._english:
                    self._foreign.append(lines)
            else:
                lines.append(line)

    @cached_property
    def _next(self) -> list[dict[str, str]]:
        """Per language, the letters that follow two others."""
        found = []
        for lines in self._foreign:
            after: dict[str, str] = defaultdict(str)
            for word in " ".join(lines).lower().split():
                for at in range(len(word) + 1):
                    after[f"  {word}"[at : at + 2]] += f"{word} "[at]
            found.append(dict(after))
        return found

    def one(self, chance: random.Random) -> str:
        """Return one or two sentences that say nothing."""
        said = self._one(chance)
        if chance.random() < _TWICE:
            said = f"{said}{chance.choice(_BETWEEN[:6])}{self._one(chance)}"
        return said.lower() if chance.random() < _SHORTENED else said

    def _one(self, chance: random.Random) -> str:
        draw = chance.random()
        if draw < _ENGLISH:
            words = chance.choice(self._english).split()
            if len(words) > 3 and chance.random() < _SHORTENED:
                words.pop(chance.randrange(len(words)))
            return " ".join(words)
        if draw < _ENGLISH + _FOREIGN:
            return chance.choice(chance.choice(self._foreign))
        if draw < _ENGLISH + _FOREIGN + _MADE_UP:
            after = chance.choice(self._next)
            return " ".join(_word(after, chance) for _ in range(chance.randint(2, 8))).capitalize() + "."
        return chance.choice(self._attacks)

    def around(self, row: Row, chance: random.Random) -> Row:
        """Return `row` with talk before or after its answer, which changes nothing of its rating.

        Half of the time as the encoder gets to see it: less what the guard knows.
        """
        talk, between = self.one(chance), chance.choice(_BETWEEN)
        end = ")" if between == " (" else ""
        answer = row.answer.rstrip(". ") if between == ". " else row.answer
        said = f"{answer}{between}{talk}{end}"
        if chance.random() < _BEFORE:
            said = f"{talk}{between.rstrip('(')}{row.answer}"
        return replace(
            row, answer=manipulation.without(said, row.card) if chance.random() < _GUARDED else said
        )


def _word(after: dict[str, str], chance: random.Random) -> str:
    word = "  "
    while len(word) < 16 and (letter := chance.choice(after.get(word[-2:], " "))) != " ":
        word += letter
    return word.strip()
