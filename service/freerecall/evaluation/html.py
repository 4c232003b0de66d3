"""A run as one HTML file that needs nothing else: figures, plots, slices, and every answer with its evidence.

Needs the `eval` extra (matplotlib).
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np

from freerecall.errors import InputError
from freerecall.evaluation.metrics import Estimate
from freerecall.evaluation.report import Report
from freerecall.evaluation.samples import Sample
from freerecall.grades import RATINGS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK, _SOFT = "#2457a6", "#c9d7ee"
_NAMES = {
    "qwk": "QWK",
    "exact": "exact",
    "within_one": "within one",
    "mae": "mean error",
    "spearman": "Spearman",
}


@dataclass(frozen=True, slots=True)
class Plot:
    """An SVG drawing and what it shows, in words."""

    svg: str
    text: str


def render_html(report: Report, samples: Sequence[Sample], about: dict[str, str]) -> str:
    """Return the page. Raises InputError where matplotlib is not installed."""
    figures = [(_NAMES[name], one) for name, one in report.ratings.items()]
    for name, values in report.labels.items():
        figures += [(f"{name}: {key}", one) for key, one in values.items() if isinstance(one, Estimate)]
    rows = [{**asdict(sample), "miss": _miss(sample)} for sample in samples]
    loader = jinja2.PackageLoader("freerecall.evaluation", "templates")
    page = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    return page.get_template("report.html").render(
        title=f"{about.get('gold', 'gold')}: {report.grader}"
        + (f" with {report.model}" if report.model else ""),
        report=report,
        about=about,
        figures=figures,
        plots=_plots(report, samples) if report.confusion else [],
        samples=sorted(rows, key=lambda row: -row["miss"]),
    )


def _miss(sample: Sample) -> int:
    if sample.gold is None:
        return 2 * int((sample.label == "correct") != (sample.given_label == "correct"))
    return abs(sample.gold - sample.rating)


def _plots(report: Report, samples: Sequence[Sample]) -> list[Plot]:
    rated = [sample for sample in samples if sample.gold is not None]
    recalls = ", ".join("–" if one is None else f"{one:.2f}" for one in report.recalls)
    return [
        _draw(
            lambda axes: _confusion(axes, report),
            "Gold rating (rows) against the one given (columns): answers in each cell.",
        ),
        _draw(
            lambda axes: _recall(axes, report),
            f"Share of each gold rating, 1 to 5, that was given just that rating: {recalls}.",
        ),
        _draw(
            lambda axes: _reliability(axes, report),
            f"How often a rating is right, by how sure the grader was; calibration error {report.ece:.3f}.",
        ),
        _draw(
            lambda axes: _length(axes, rated),
            f"Given minus gold by the answer's length; rank correlation {report.length_bias:+.2f}.",
        ),
    ]


def _draw(paint: Callable[["Axes"], None], text: str) -> Plot:
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("the plots need matplotlib: pip install 'freerecall[eval]'") from None
    out = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": text, "font.family": "sans-serif"}):
        figure = Figure(figsize=(4.6, 3.6), layout="constrained")
        paint(figure.add_subplot())
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    svg = out.getvalue()
    return Plot(svg[svg.index("<svg") :], text)


def _confusion(axes: "Axes", report: Report) -> None:
    table = np.array(report.confusion)
    axes.imshow(table / np.maximum(table.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1.2)
    for (row, column), count in np.ndenumerate(table):
        axes.text(column, row, str(count), ha="center", va="center")
    axes.set_xticks(range(5), [str(rating) for rating in RATINGS])
    axes.set_yticks(range(5), [str(rating) for rating in RATINGS])
    axes.set_xlabel("given")
    axes.set_ylabel("gold")


def _recall(axes: "Axes", report: Report) -> None:
    axes.bar(RATINGS, [one or 0.0 for one in report.recalls], color=_INK)
    axes.set_ylim(0, 1)
    axes.set_xlabel("gold rating")
    axes.set_ylabel("given just that")


def _reliability(axes: "Axes", report: Report) -> None:
    axes.plot([0, 1], [0, 1], color="#999", linewidth=1, linestyle="--")
    curve = report.reliability
    most = max(one.n for one in curve)
    sizes: list[Any] = [20 + 180 * one.n / most for one in curve]
    axes.plot([one.confidence for one in curve], [one.right for one in curve], color=_SOFT)
    axes.scatter([one.confidence for one in curve], [one.right for one in curve], s=sizes, color=_INK)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("confidence")
    axes.set_ylabel("share right")


def _length(axes: "Axes", rated: Sequence[Sample]) -> None:
    words = np.array([len(sample.answer.split()) for sample in rated])
    apart = np.array([sample.rating - (sample.gold or 0) for sample in rated])
    edges = np.unique(np.quantile(words, np.linspace(0, 1, 7)))
    member = np.clip(np.searchsorted(edges, words, side="right") - 1, 0, max(len(edges) - 2, 0))
    groups = [apart[member == i] for i in range(max(len(edges) - 1, 1))]
    names = [
        f"{words[member == i].min()}–{words[member == i].max()}" for i in range(len(groups)) if len(groups[i])
    ]
    means = [float(group.mean()) for group in groups if len(group)]
    axes.bar(range(len(means)), means, color=_INK)
    axes.set_xticks(range(len(means)), names)
    axes.axhline(0, color="#999", linewidth=1)
    axes.set_xlabel("words")
    axes.set_ylabel("given minus gold")
