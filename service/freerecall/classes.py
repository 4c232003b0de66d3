"""A class's sittings of one paper: figures by question, a review queue, agreement, exports."""

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from statistics import correlation

from rapidfuzz import fuzz

from freerecall import exams
from freerecall.exams import Item, Report
from freerecall.papers import find_paper
from freerecall.store import Sitting, Store

_ALIKE = 70
"""RapidFuzz token_set_ratio from which two wrong answers say the same."""
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class QuestionFigures:
    """One question over all sittings.

    `difficulty`: mean points, 0–1 (low is hard). `discrimination`: correlation of its points with
    those of the rest of the paper, None where either does not vary. `missed`: key points with how
    many missed them. `wrong`: low answers that say the same, grouped, with their number.
    """

    number: int
    question: str
    answers: int
    difficulty: float
    discrimination: float | None
    missed: tuple[tuple[str, int], ...]
    wrong: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class QueueItem:
    """An answer for the teacher to look at, with why it comes so early."""

    sitting: Sitting
    item: Item
    why: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of the grader with the marks so far: share within one rating, with its 95 % Wilson interval.

    `more`: further marks after which the interval is expected to be ± 5 points.
    """

    marks: int
    exact: float
    within_one: float
    low: float
    high: float
    more: int


def reports(store: Store, paper_id: str) -> list[Report]:
    """Return the reports of all closed sittings. Raises NotFoundError for an unknown paper."""
    find_paper(store, paper_id)
    return [
        exams.report(store, sitting.id)
        for sitting in store.sittings(paper_id)
        if sitting.submitted_at is not None
    ]


def question_figures(found: Sequence[Report]) -> list[QuestionFigures]:
    """Return the figures of every question."""
    if not found:
        return []
    figures = []
    for at in range(len(found[0].items)):
        items = [report.items[at] for report in found]
        points = [item.points for item in items]
        others = [sum(other.points for other in report.items) - report.items[at].points for report in found]
        missed = Counter(
            evidence.point
            for item in items
            if item.grade
            for evidence in item.grade.evidence
            if evidence.verdict in ("missing", "contradicted")
        )
        low = [item.answer for item in items if (item.rating or 5) <= 2 and item.answer.strip()]
        figures.append(
            QuestionFigures(
                number=at + 1,
                question=items[0].question.card.question,
                answers=sum(bool(item.answer.strip()) for item in items),
                difficulty=sum(points) / len(points),
                discrimination=_correlation(points, others),
                missed=tuple(missed.most_common(_SHOWN)),
                wrong=tuple(_grouped(low)[:_SHOWN]),
            )
        )
    return figures


def _correlation(one: list[float], other: list[float]) -> float | None:
    if len(set(one)) < 2 or len(set(other)) < 2:
        return None
    return correlation(one, other)


def _grouped(texts: Sequence[str]) -> list[tuple[str, int]]:
    groups: list[list[str]] = []
    for text in texts:
        near = next((group for group in groups if fuzz.token_set_ratio(group[0], text) >= _ALIKE), None)
        if near is None:
            groups.append([text])
        else:
            near.append(text)
    groups.sort(key=len, reverse=True)
    return [(group[0], len(group)) for group in groups]


def review_queue(found: Sequence[Report], limit: int = 50) -> list[QueueItem]:
    """Return the answers without a mark that a teacher should see first.

    Appeals lead, then graders that disagree, then the least sure.
    """
    rows = []
    for report in found:
        for item in report.items:
            if item.grade is None or (item.mark and not _newer_appeal(item)):
                continue
            apart = max(grade.rating for grade in item.grades) - min(grade.rating for grade in item.grades)
            appealed = _newer_appeal(item)
            why = "appeal" if appealed else f"graders differ by {apart}" if apart else "not sure"
            rows.append((not appealed, -apart, item.grade.confidence, QueueItem(report.sitting, item, why)))
    rows.sort(key=lambda row: row[:3])
    return [row[3] for row in rows[:limit]]


def _newer_appeal(item: Item) -> bool:
    return bool(item.appeals) and (item.mark is None or item.appeals[-1].at > item.mark.at)


def agreement(found: Sequence[Report], half_width: float = 0.05) -> Agreement | None:
    """Return how far the grader's last grade agrees with the marks; None without marks."""
    pairs = [
        (item.grade.rating, item.mark.rating)
        for report in found
        for item in report.items
        if item.mark and item.grade
    ]
    if not pairs:
        return None
    n = len(pairs)
    exact = sum(one == other for one, other in pairs) / n
    within = sum(abs(one - other) <= 1 for one, other in pairs) / n
    low, high = _wilson(within, n)
    spread = max(within * (1 - within), 0.05 * 0.95)
    return Agreement(n, exact, within, low, high, max(ceil(1.96**2 * spread / half_width**2) - n, 0))


def _wilson(share: float, n: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    z = 1.96
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5 / (1 + z**2 / n)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def gold_rows(found: Sequence[Report]) -> str:
    """Return the marked answers as JSON Lines that `freerecall eval` and `calibrate` read."""
    lines = []
    for report in found:
        for item in report.items:
            if item.mark is None:
                continue
            card = item.question.card
            row = {
                "id": f"{report.sitting.id[:8]}-{item.number}",
                "question": card.question,
                "reference": card.reference,
                "key_points": [point.text for point in card.points],
                "kind": card.kind.value,
                "answer": item.answer,
                "gold": item.mark.rating,
            }
            lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    return "".join(lines)


def gradebook(found: Sequence[Report]) -> str:
    """Return names and scores as the CSV that learning platforms import; scores out of 100."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(["Student", "Score", "Points possible", "Submitted", "Passed", "Final"])
    for report in found:
        writer.writerow(
            [
                plain_cell(report.sitting.name),
                f"{100 * report.share:.1f}",
                "100",
                report.sitting.submitted_at.isoformat() if report.sitting.submitted_at else "",
                "yes" if report.passed else "no",
                "yes" if report.final else "no",
            ]
        )
    return file.getvalue()


def plain_cell(text: str) -> str:
    """Return a cell's text with an apostrophe in front where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text
