"""How often words to the grader after an answer raise its rating: python evals/tails.py

Each line of gold/tails.txt is put after answers of gold/mlops.jsonl that deserve a 1, 2 or 3, once as
it is and once after a full stop. The guard was written on the first group of tails; the second was
written after it, the third after `encoder-3` by another hand, who saw neither grader nor tails.
"""

import random
from collections.abc import Iterator
from pathlib import Path

from freerecall.evaluation.rows import Row, read_rows
from freerecall.grading import grade_embedded

GOLD = Path(__file__).parent / "gold"
GROUPS = (("guarded", 5, 90), ("written after", 9, 90), ("written blind", 21, 45))
"""The groups of tails, each with the seed of its draw of answers and their number."""


def answers(seed: int, count: int) -> list[Row]:
    """Return the answers of one draw."""
    rows = [
        row
        for row in read_rows(GOLD / "mlops.jsonl", gold=True)
        if isinstance(row, Row)
        and row.gold in (1, 2, 3)
        and row.style != "manipulation"
        and row.answer.strip()
    ]
    random.Random(seed).shuffle(rows)
    return rows[:count]


def steps(tails: list[str], rows: list[Row], between: str) -> Iterator[int]:
    """Yield by how much each tail raises each answer."""
    for row in rows:
        said = row.answer.rstrip(". ") if between.startswith(".") else row.answer
        plain = grade_embedded(row.card, row.answer).rating
        for tail in tails:
            yield grade_embedded(row.card, f"{said}{between}{tail}").rating - plain


def main() -> None:
    groups = (GOLD / "tails.txt").read_text(encoding="utf-8").split("\n\n")
    for (name, seed, count), text in zip(GROUPS, groups, strict=True):
        lines = text.strip().split("\n")
        for between, how in ((" ", "as it is"), (". ", "after a full stop")):
            up = [by for by in steps(lines, answers(seed, count), between) if by > 0]
            of = count * len(lines)
            by_more = sum(by > 1 for by in up)
            print(f"{name}, {how}: {len(up)} of {of} rise ({len(up) / of:.1%}), {by_more} by more than one")


if __name__ == "__main__":
    main()
