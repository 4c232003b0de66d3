"""SemEval-2013 Task 7 (Dzikovska et al. 2013, S13-2045) as gold rows.

The files are read where they lie (`FREERECALL_GOLD`, or the folder given) and never copied.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from freerecall.cards import Card
from freerecall.errors import InputError
from freerecall.grading import ad_hoc_card


@dataclass(frozen=True, slots=True)
class LabelledAnswer:
    """One answer with its 3-way label: correct, contradictory or incorrect."""

    id: str
    dataset: str
    card: Card
    answer: str
    label: str


def folder(path: Path | None = None) -> Path | None:
    """Return the corpus's folder, or None where it is not to be had."""
    root = path or Path(os.environ.get("FREERECALL_GOLD", "../shared/gold"))
    for candidate in (root, root / "semeval2013-task7"):
        if (candidate / "questions.jsonl").is_file():
            return candidate
    return None


def load(path: Path, split: str) -> list[LabelledAnswer]:
    """Read one split ("train", "unseen-answers", …). Raises InputError where the file is missing."""
    answers = path / f"answers-{split}.jsonl"
    if not answers.is_file():
        raise InputError(f"{answers} is missing: name a folder with SemEval-2013 Task 7's files")
    cards: dict[tuple[str, str], Card] = {}
    for line in (path / "questions.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        texts = tuple(reference["text"] for reference in row["references"])
        cards[row["dataset"], row["question_id"]] = ad_hoc_card(
            row["question"], texts[0], references=texts[1:]
        )
    rows = [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]
    return [
        LabelledAnswer(r["id"], r["dataset"], cards[r["dataset"], r["question_id"]], r["answer"], r["label"])
        for r in rows
    ]
