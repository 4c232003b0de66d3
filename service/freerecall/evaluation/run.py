"""Run a grader over gold rows and report how far it agrees with them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from freerecall.errors import InputError
from freerecall.evaluation import metrics
from freerecall.evaluation.batch import Progress, count_rows, grade_rows
from freerecall.evaluation.metrics import Estimate
from freerecall.evaluation.rows import BadRow, Row, read_rows
from freerecall.grades import Grade, GraderMode
from freerecall.llm import LLM

CORRECT_FROM = 4
"""A rating from which an answer counts as correct where people gave only correct or not."""


@dataclass(frozen=True, slots=True)
class Report:
    """What `freerecall eval` prints. `ratings` and `labels` are empty where the gold has none."""

    grader: str
    model: str
    n: int
    bad: list[dict[str, Any]]
    ratings: dict[str, Estimate] = field(default_factory=dict)
    confusion: list[list[int]] = field(default_factory=list)
    labels: dict[str, dict[str, Estimate | int]] = field(default_factory=dict)
    llm: dict[str, float] = field(default_factory=dict)
    latency_ms: dict[str, float] = field(default_factory=dict)
    decided_by: dict[str, int] = field(default_factory=dict)
    provisional: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values; the rating statistics stand at the top level too."""
        out = asdict(self)
        intervals = {name: [e.low, e.high] for name, e in self.ratings.items()}
        values = {name: e.value for name, e in self.ratings.items()}
        return {**out, **values, "intervals": intervals}


def evaluate(gold: Path, *, mode: GraderMode, llm: LLM | None, on_progress: Progress) -> Report:
    """Grade every row of `gold` and compare. Raises InputError where no row can be used, or OSError."""
    total = count_rows(gold)
    graded: list[tuple[Row, Grade]] = []
    bad: list[BadRow] = []
    for done, result in enumerate(grade_rows(read_rows(gold, gold=True), mode=mode, llm=llm), 1):
        bad.append(result) if isinstance(result, BadRow) else graded.append(result)
        on_progress(done, total)
    if not graded:
        why = f" ({bad[0].error})" if bad else ""
        raise InputError(f"{gold}: no row with an answer, a reference and a gold rating{why}")
    return report(graded, bad, mode, llm.model if llm else "")


def report(
    graded: Sequence[tuple[Row, Grade]], bad: Sequence[BadRow], mode: GraderMode, model: str
) -> Report:
    """Compare grades with gold."""
    rated = [(row, grade) for row, grade in graded if row.gold is not None]
    labelled = [(row, grade) for row, grade in graded if row.label is not None]
    provenance = [grade.provenance for _, grade in graded]
    latency = np.array([p.latency_ms for p in provenance])
    decided = [grade.decided_by.value for _, grade in graded]
    called = [p for p in provenance if p.model and not p.cached]
    return Report(
        grader=mode.value,
        model=model,
        n=len(graded),
        bad=[{"line": b.line, **b.to_dict()} for b in bad],
        ratings=_ratings(rated) if rated else {},
        confusion=_confusion(rated) if rated else [],
        labels=_labels(labelled),
        llm={
            "calls": len(called),
            "tokens_in": sum(p.tokens_in for p in called),
            "tokens_out": sum(p.tokens_out for p in called),
            "cost_usd": round(sum(p.cost_usd for p in called), 6),
        },
        latency_ms={f"p{q}": round(float(np.percentile(latency, q)), 3) for q in (50, 95)},
        decided_by={name: decided.count(name) for name in sorted(set(decided))},
        provisional=sum(grade.provisional for _, grade in graded),
    )


def _group(row: Row) -> str:
    return f"{row.card.question}\0{row.card.reference}"


def _pairs(rated: Sequence[tuple[Row, Grade]]) -> tuple[metrics.Ints, metrics.Ints]:
    return np.array([row.gold for row, _ in rated]), np.array([grade.rating for _, grade in rated])


def _ratings(rated: Sequence[tuple[Row, Grade]]) -> dict[str, Estimate]:
    gold, given = _pairs(rated)
    return metrics.bootstrap(metrics.RATING_STATISTICS, gold, given, [_group(row) for row, _ in rated])


def _confusion(rated: Sequence[tuple[Row, Grade]]) -> list[list[int]]:
    table: list[list[int]] = metrics.confusion(*_pairs(rated)).tolist()
    return table


def _labels(labelled: Sequence[tuple[Row, Grade]]) -> dict[str, dict[str, Estimate | int]]:
    """Two-way agreement per data set: `correct` against the rest."""
    out: dict[str, dict[str, Estimate | int]] = {}
    for name in sorted({row.dataset for row, _ in labelled}):
        rows = [(row, grade) for row, grade in labelled if row.dataset == name]
        gold = np.array([row.label == "correct" for row, _ in rows], np.int_)
        given = np.array([grade.rating >= CORRECT_FROM for _, grade in rows], np.int_)
        estimates = metrics.bootstrap(
            {
                "macro_f1": lambda one, other: metrics.f1_scores(one > 0, other > 0)[0],
                "weighted_f1": lambda one, other: metrics.f1_scores(one > 0, other > 0)[1],
                "accuracy": metrics.exact,
            },
            gold,
            given,
            [_group(row) for row, _ in rows],
        )
        out[name or "all"] = {"n": len(rows), **estimates}
    return out


def render(report: Report) -> str:
    """Return the report as plain text for a terminal."""
    lines = [
        f"grader {report.grader}" + (f" with {report.model}" if report.model else "") + f", n {report.n}"
    ]
    lines += (
        [f"passed over, {len(report.bad)} bad rows; the first: {report.bad[0]['error']}"]
        if report.bad
        else []
    )
    lines += [f"  {name:<12} {_shown(value)}" for name, value in report.ratings.items()]
    if report.confusion:
        lines.append("  gold \\ given " + "".join(f"{rating:>6}" for rating in range(1, 6)))
        lines += [
            f"  {rating:>12} " + "".join(f"{count:>6}" for count in row)
            for rating, row in enumerate(report.confusion, 1)
        ]
    for name, values in report.labels.items():
        lines.append(
            f"{name}: correct against the rest, rating >= {CORRECT_FROM} as correct, n {values['n']}"
        )
        lines += [f"  {key:<12} {_shown(v)}" for key, v in values.items() if isinstance(v, Estimate)]
    calls, took = report.llm, report.latency_ms
    lines.append(
        f"LLM calls {calls['calls']:.0f}, tokens {calls['tokens_in']:.0f} in {calls['tokens_out']:.0f} out, "
        f"cost ${calls['cost_usd']:.4f}; latency p50 {took['p50']:.1f} ms, p95 {took['p95']:.1f} ms"
    )
    decided = ", ".join(f"{name} {count}" for name, count in report.decided_by.items())
    lines.append(
        f"decided by: {decided}" + (f"; provisional {report.provisional}" if report.provisional else "")
    )
    return "\n".join(lines)


def _shown(estimate: Estimate | int) -> str:
    if isinstance(estimate, int):
        return str(estimate)
    return f"{estimate.value:6.3f}   95% interval {estimate.low:.3f} to {estimate.high:.3f}"
