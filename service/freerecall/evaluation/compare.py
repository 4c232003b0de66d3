"""Two runs over the same answers: which grader agrees better with people, and when asking a model pays."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from freerecall.errors import InputError
from freerecall.evaluation import metrics
from freerecall.evaluation.metrics import Estimate
from freerecall.evaluation.report import columns
from freerecall.evaluation.samples import Sample
from freerecall.grades import DecidedBy

Pair = tuple[Sample, Sample]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How run B does against run A. `gains` are B minus A, with intervals from whole cards drawn at random.

    A win is an answer whose gold B is nearer to than A; `differing` are the answers with unlike
    ratings (unlike classes, where the gold is a label), the widest apart first.
    """

    n: int
    gains: dict[str, Estimate]
    wins: int
    losses: int
    differing: list[Pair]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "n": self.n,
            "gains": {name: asdict(gain) for name, gain in self.gains.items()},
            "wins": self.wins,
            "losses": self.losses,
            "differing": [{"a": asdict(a), "b": asdict(b)} for a, b in self.differing],
        }


@dataclass(frozen=True, slots=True)
class GatePoint:
    """With embedded grades of at least `confidence` left to stand, `asked` is the share sent to the model."""

    confidence: float
    asked: float
    agreement: float


@dataclass(frozen=True, slots=True)
class GateCurve:
    """Agreement (`measure`) against the share asked, from none to all; `best` loses at most `loss`."""

    measure: str
    loss: float
    points: list[GatePoint]
    best: GatePoint

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return asdict(self)


def pair_up(one: Sequence[Sample], other: Sequence[Sample]) -> list[Pair]:
    """Return the answers that both runs graded. Raises InputError where none are, or their gold differs."""
    theirs = {(sample.number, sample.answer): sample for sample in other}
    pairs = [
        (sample, theirs[sample.number, sample.answer])
        for sample in one
        if (sample.number, sample.answer) in theirs
    ]
    if not pairs:
        raise InputError("the two runs have no answer in common: run both on the same gold file")
    if any((a.gold, a.label) != (b.gold, b.label) for a, b in pairs):
        raise InputError("the two runs have unlike gold for the same answers: run both on the same gold file")
    return pairs


def compare(one: Sequence[Sample], other: Sequence[Sample]) -> Comparison:
    """Compare run `other` (B) with run `one` (A). Raises InputError where they cannot be paired."""
    pairs = pair_up(one, other)
    rated = [pair for pair in pairs if pair[0].gold is not None]
    labelled = [pair for pair in pairs if pair[0].label is not None]
    gains: dict[str, Estimate] = {}
    if rated:
        gold, given = columns([a for a, _ in rated])
        _, theirs = columns([b for _, b in rated])
        cards = [a.card for a, _ in rated]
        gains |= metrics.paired_bootstrap(metrics.RATING_STATISTICS, gold, given, theirs, cards)
    for dataset in sorted({a.dataset for a, _ in labelled}):
        here = [pair for pair in labelled if pair[0].dataset == dataset]
        gold, given, theirs = (
            np.array(values)
            for values in zip(
                *(
                    (a.label == "correct", a.given_label == "correct", b.given_label == "correct")
                    for a, b in here
                ),
                strict=True,
            )
        )
        found = metrics.paired_bootstrap(
            metrics.f1_statistics(2),
            gold.astype(np.int_),
            given.astype(np.int_),
            theirs.astype(np.int_),
            [a.card for a, _ in here],
        )
        gains |= {f"{dataset}: {name}" if dataset else name: gain for name, gain in found.items()}
    misses = [(_miss(a), _miss(b)) for a, b in pairs]
    differing = [pair for pair in pairs if _unlike(*pair)]
    return Comparison(
        n=len(pairs),
        gains=gains,
        wins=sum(b < a for a, b in misses),
        losses=sum(b > a for a, b in misses),
        differing=sorted(differing, key=lambda pair: -abs(pair[0].rating - pair[1].rating)),
    )


def _miss(sample: Sample) -> int:
    if sample.gold is not None:
        return abs(sample.rating - sample.gold)
    return int((sample.label == "correct") != (sample.given_label == "correct"))


def _unlike(a: Sample, b: Sample) -> bool:
    if a.gold is not None:
        return a.rating != b.rating
    return (a.given_label == "correct") != (b.given_label == "correct")


def gate(embedded: Sequence[Sample], asked: Sequence[Sample], *, loss: float = 0.01) -> GateCurve:
    """Say what each confidence gate would have cost and saved: a risk–coverage curve (El-Yaniv, Wiener 2010).

    `embedded` is a run without a model, `asked` one with it, always asked. `best` asks the least
    among the gates that agree with gold by at most `loss` less than always asking.
    Agreement is QWK for ratings, macro-F1 of correct against the rest for labels.
    """
    pairs = pair_up(embedded, asked)
    measure, value = _agreement(pairs)
    sure = np.array([2.0 if a.decided_by == DecidedBy.RULE else a.confidence for a, _ in pairs])
    points = []
    for confidence in [0.0, *sorted({float(one) for one in sure if one <= 1}), 1.0001]:
        stands = sure >= confidence
        points.append(GatePoint(round(confidence, 4), float(1 - stands.mean()), value(stands)))
    good = [point for point in points if point.agreement >= points[-1].agreement - loss]
    return GateCurve(measure, loss, points, min(good, key=lambda point: (point.asked, point.confidence)))


def _agreement(pairs: Sequence[Pair]) -> tuple[str, Callable[[metrics.Bools], float]]:
    if all(a.gold is not None for a, _ in pairs):
        gold, ours = columns([a for a, _ in pairs])
        _, theirs = columns([b for _, b in pairs])
        return "QWK", lambda stands: metrics.qwk(gold, np.where(stands, ours, theirs))
    classes = np.array(
        [
            (a.label == "correct", a.given_label == "correct", b.given_label == "correct")
            for a, b in pairs
            if a.label is not None
        ],
        np.int_,
    )
    if len(classes) != len(pairs):
        raise InputError("the runs mix ratings and labels: run the gate on a gold file that has one of them")
    return "macro-F1", lambda stands: metrics.f1_scores(
        classes[:, 0], np.where(stands, classes[:, 1], classes[:, 2])
    )[0]


def render(found: Comparison, names: tuple[str, str], *, most: int = 20) -> str:
    """Return a comparison as plain text for a terminal, with the first `most` answers that differ."""
    lines = [
        f"A {names[0]}, B {names[1]}, n {found.n}: B nearer to gold {found.wins}, A nearer {found.losses}"
    ]
    for name, gain in found.gains.items():
        sure = "" if gain.low <= 0 <= gain.high else "  *"
        lines.append(
            f"  B - A {name:<24} {gain.value:+.3f}   95% interval {gain.low:+.3f} to {gain.high:+.3f}{sure}"
        )
    for a, b in found.differing[:most]:
        gold = a.gold if a.gold is not None else a.label
        lines += [
            f"gold {gold}, A {a.rating}, B {b.rating}: {a.question}",
            f"    {' '.join(a.answer.split())}",
        ]
    if len(found.differing) > most:
        lines.append(f"… and {len(found.differing) - most} more answers that differ (--top, --json)")
    return "\n".join(lines)


def render_gate(curve: GateCurve) -> str:
    """Return a gate curve as plain text, a line for each tenth of the answers asked about."""
    lines = [f"{'asked':>7} {curve.measure:>9} {'gate at':>9}"]
    for share in np.arange(0, 11) / 10:
        point = min(curve.points, key=lambda one: (abs(one.asked - share), one.confidence))
        lines.append(f"{point.asked:>7.2f} {point.agreement:>9.3f} {point.confidence:>9.3f}")
    best = curve.best
    lines.append(
        f"losing at most {curve.loss:g}: gate at {best.confidence:.3f}, {1 - best.asked:.0%} decided without "
        f"the model, {curve.measure} {best.agreement:.3f}"
    )
    return "\n".join(lines)
