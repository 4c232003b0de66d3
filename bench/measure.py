"""Repeat two things in turn, so that what else the machine does weighs on both; tell the outcome."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the report. `ratio` is ours over the baseline's (None: there is nothing to compare)."""

    name: str
    value: str
    baseline: str
    ratio: float | None
    target: str
    met: bool


def alternate(
    ours: Callable[[int], object], baseline: Callable[[int], object], times: int
) -> tuple[list[float], list[float]]:
    """Call each `times` times, in turn, with the number of the call; return the seconds of each call."""
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(times):
        for seconds, call in zip(taken, (ours, baseline), strict=True):
            started = time.perf_counter()
            call(number)
            seconds.append(time.perf_counter() - started)
    return taken


def percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def show(rows: list[Row]) -> None:
    titles = ("", "ours", "baseline", "ratio", "target", "")
    cells = [titles] + [
        (
            row.name,
            row.value,
            row.baseline,
            "" if row.ratio is None else f"{row.ratio:.2f}",
            row.target,
            "ok" if row.met else "MISSED",
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(titles))]
    for line in cells:
        print(
            "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip(),
            flush=True,
        )
