"""Column charts as places in an SVG picture; the table beside each says the same in words."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, FOOT = 640, 150, 18


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its label and value, and its rectangle in the picture."""

    label: str
    value: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture of columns; `top` is the value at its upper edge. `unit` and `what` name the axes."""

    title: str
    about: str
    what: str
    unit: str
    top: int
    columns: tuple[Column, ...]

    @property
    def empty(self) -> bool:
        return not any(column.value for column in self.columns)


def columns(
    title: str, about: str, rows: Sequence[tuple[str, int]], what: str, unit: str, most: int | None = None
) -> Chart:
    """Lay out one column for each (label, value >= 0); `most` fixes the scale."""
    top = most or max((value for _, value in rows), default=0) or 1
    step = WIDTH / max(len(rows), 1)
    gap = min(step * 0.2, 8)
    laid = tuple(
        Column(
            label,
            value,
            x=round(index * step + gap / 2, 2),
            y=round(HEIGHT - HEIGHT * min(value / top, 1), 2),
            width=round(min(step - gap, 60), 2),
            height=round(HEIGHT * min(value / top, 1), 2),
        )
        for index, (label, value) in enumerate(rows)
    )
    return Chart(title, about, what, unit, top, laid)
