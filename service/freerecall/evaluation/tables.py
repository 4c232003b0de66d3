"""Gold rows as a spreadsheet saves them: CSV or TSV with a line of column names."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from freerecall.decks.text import clean_line, decode
from freerecall.errors import InputError

COLUMNS = (
    *("id", "question", "reference", "references", "key_points", "kind", "answer"),
    *("gold", "scale", "label", "card", "question_id", "dataset", "style"),
)
_MANY = ("references", "key_points")
_NUMBERS = frozenset("12345")


def rows_of(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line, row) for each row that holds something; the row as JSON Lines would have it.

    Column names (COLUMNS) may stand in any order and case, others are left out. A cell of
    `references` or `key_points` holds one a line, or several with `|` between. Raises OSError,
    and InputError where there is no column `answer` or the quotes do not match.
    """
    text = decode(path.read_bytes(), source=path.name, utf8_only=False)
    first, _, _ = text.partition("\n")
    delimiter = max("\t;,", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] = []
    try:
        line = 1
        for cells in reader:
            start, line = line, reader.line_num + 1
            if not names:
                names = [clean_line(cell).lower().replace(" ", "_") for cell in cells]
                if "answer" not in names:
                    raise InputError(
                        f"{path.name}: the first line must name the columns, one of them `answer`; known are "
                        + ", ".join(COLUMNS)
                    )
            elif any(cell.strip() for cell in cells):
                yield start, _row(dict(zip(names, cells, strict=False)))
    except csv.Error as error:
        raise InputError(
            f"{path.name}, line {reader.line_num}: not a table ({error}); check the quotes around this place"
        ) from None


def _row(cells: dict[str, str]) -> dict[str, Any]:
    row: dict[str, Any] = {name: cell for name in COLUMNS if (cell := cells.get(name, "").strip())}
    row["answer"] = cells.get("answer", "")
    for name in _MANY:
        if name in row:
            parts = row[name].replace("\n", "|").split("|")
            row[name] = [text for part in parts if (text := part.strip())]
    if row.get("gold") in _NUMBERS:
        row["gold"] = int(row["gold"])
    return row
