"""What a run's samples come to: agreement with gold, where it is weak, and what it cost."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from freerecall.evaluation import metrics
from freerecall.evaluation.metrics import Bin, Estimate
from freerecall.evaluation.rows import LABELS, BadRow
from freerecall.evaluation.samples import Sample
from freerecall.grades import CORRECT_FROM, RATINGS

_LENGTHS = (5, 12, 25)
"""Words up to which an answer counts as of the first, second, third length; longer ones are the fourth."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Answers that have something in common. `bias` is the mean of given minus gold, in rating steps."""

    by: str
    name: str
    n: int
    qwk: float
    exact: float
    within_one: float
    bias: float


@dataclass(frozen=True, slots=True)
class Report:
    """What `freerecall eval` prints. `ratings` and `labels` are empty where the gold has none.

    `recalls` has, per gold rating, the share that was given just that rating; `length_bias` is
    the rank correlation of given minus gold with the answer's length in words.
    """

    grader: str
    model: str
    n: int
    bad: list[dict[str, Any]]
    ratings: dict[str, Estimate] = field(default_factory=dict)
    confusion: list[list[int]] = field(default_factory=list)
    recalls: list[float | None] = field(default_factory=list)
    reliability: list[Bin] = field(default_factory=list)
    ece: float | None = None
    length_bias: float | None = None
    slices: list[Slice] = field(default_factory=list)
    labels: dict[str, dict[str, Estimate | int]] = field(default_factory=dict)
    labels_3way: dict[str, dict[str, Estimate | int]] = field(default_factory=dict)
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


def report(samples: Sequence[Sample], bad: Sequence[BadRow], grader: str, model: str) -> Report:
    """Compare grades with gold."""
    rated = [sample for sample in samples if sample.gold is not None]
    labelled = [sample for sample in samples if sample.label is not None]
    latency = np.array([sample.provenance["latency_ms"] for sample in samples])
    decided = [sample.decided_by for sample in samples]
    called = [s.provenance for s in samples if s.provenance["model"] and not s.provenance["cached"]]
    return Report(
        grader=grader,
        model=model,
        n=len(samples),
        bad=[{"line": b.line, **b.to_dict()} for b in bad],
        **(_ratings(rated) if rated else {}),
        labels=_labels(labelled, lambda label: int(label == "correct"), 2),
        labels_3way=_labels(labelled, LABELS.index, 3),
        llm={
            "calls": len(called),
            "tokens_in": sum(p["tokens_in"] for p in called),
            "tokens_out": sum(p["tokens_out"] for p in called),
            "cost_usd": round(sum(p["cost_usd"] for p in called), 6),
        },
        latency_ms={f"p{q}": round(float(np.percentile(latency, q)), 3) for q in (50, 95)},
        decided_by={name: decided.count(name) for name in sorted(set(decided))},
        provisional=sum(sample.provisional for sample in samples),
    )


def columns(rated: Sequence[Sample]) -> tuple[metrics.Ints, metrics.Ints]:
    """Return the gold and the given ratings of samples that have a gold rating."""
    return np.array([sample.gold for sample in rated]), np.array([sample.rating for sample in rated])


def _ratings(rated: Sequence[Sample]) -> dict[str, Any]:
    gold, given = columns(rated)
    table = metrics.confusion(gold, given)
    curve = metrics.reliability(np.array([sample.confidence for sample in rated]), gold == given)
    words = np.array([len(sample.answer.split()) for sample in rated])
    return {
        "ratings": metrics.bootstrap(metrics.RATING_STATISTICS, gold, given, [s.card for s in rated]),
        "confusion": table.tolist(),
        "recalls": metrics.recalls(table),
        "reliability": curve,
        "ece": metrics.expected_calibration_error(curve),
        "length_bias": metrics.spearman(words, given - gold),
        "slices": _slices(rated),
    }


def _slices(rated: Sequence[Sample]) -> list[Slice]:
    ways: dict[str, Callable[[Sample], str]] = {
        "kind of card": lambda sample: sample.kind,
        "style of answer": lambda sample: sample.style,
        "length of answer": lambda sample: _length(len(sample.answer.split())),
        "data set": lambda sample: sample.dataset,
    }
    return [
        _slice(by, name, [sample for sample in rated if key(sample) == name])
        for by, key in ways.items()
        for name in sorted({key(sample) for sample in rated} - {""})
    ]


def _slice(by: str, name: str, samples: Sequence[Sample]) -> Slice:
    gold, given = columns(samples)
    return Slice(
        by,
        name,
        len(samples),
        metrics.qwk(gold, given),
        metrics.exact(gold, given),
        metrics.within_one(gold, given),
        float((given - gold).mean()),
    )


def _length(words: int) -> str:
    low = 0
    for high in _LENGTHS:
        if words <= high:
            return f"{low:>2}–{high} words"
        low = high + 1
    return f"{low}+ words"


def _labels(
    labelled: Sequence[Sample], to_class: Callable[[str], int], classes: int
) -> dict[str, dict[str, Estimate | int]]:
    """Agreement per data set over classes 0..classes-1, which `to_class` makes of labels."""
    out: dict[str, dict[str, Estimate | int]] = {}
    for name in sorted({sample.dataset for sample in labelled}):
        rows = [sample for sample in labelled if sample.dataset == name]
        gold = np.array([to_class(sample.label or "") for sample in rows])
        given = np.array([to_class(sample.given_label) for sample in rows])
        estimates = metrics.bootstrap(metrics.f1_statistics(classes), gold, given, [s.card for s in rows])
        out[name or "all"] = {"n": len(rows), **estimates}
    return out


def render(report: Report) -> str:
    """Return the report as plain text for a terminal."""
    lines = [
        f"grader {report.grader}" + (f" with {report.model}" if report.model else "") + f", n {report.n}"
    ]
    if report.bad:
        lines.append(f"passed over, {len(report.bad)} bad rows; the first: {report.bad[0]['error']}")
    lines += [f"  {name:<12} {_shown(value)}" for name, value in report.ratings.items()]
    if report.confusion:
        lines += _confusion(report)
        lines.append(
            f"  confidence: calibration error {report.ece:.3f}; "
            f"length of the answer against given minus gold: {report.length_bias:+.2f}"
        )
    if report.slices:
        lines.append(f"  {'':<34}{'n':>5}{'QWK':>8}{'exact':>8}{'±1':>8}{'bias':>8}")
        lines += [
            f"  {one.by:<17} {one.name:<16}{one.n:>5}{one.qwk:>8.2f}{one.exact:>8.2f}"
            f"{one.within_one:>8.2f}{one.bias:>+8.2f}"
            for one in report.slices
        ]
    for name, values in report.labels.items():
        lines.append(
            f"{name}: correct against the rest, rating >= {CORRECT_FROM} as correct, n {values['n']}"
        )
        lines += [f"  {key:<12} {_shown(v)}" for key, v in values.items() if isinstance(v, Estimate)]
        lines.append(f"  {'3-way':<12} {_shown(report.labels_3way[name]['macro_f1'])} macro-F1")
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


def _confusion(report: Report) -> list[str]:
    lines = ["  gold \\ given " + "".join(f"{rating:>6}" for rating in RATINGS) + "   recall"]
    for rating, row, recall in zip(RATINGS, report.confusion, report.recalls, strict=True):
        share = "" if recall is None else f"{recall:>9.2f}"
        lines.append(f"  {rating:>12} " + "".join(f"{count:>6}" for count in row) + share)
    return lines


def _shown(estimate: Estimate | int) -> str:
    if isinstance(estimate, int):
        return str(estimate)
    return f"{estimate.value:6.3f}   95% interval {estimate.low:.3f} to {estimate.high:.3f}"
