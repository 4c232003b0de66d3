"""CSV and TSV as spreadsheets, Quizlet and Brainscape write them.

Cells are text as they are; a program that reads a written file as a spreadsheet may take one that
begins with `=` for a formula.
"""

import csv
import io
import re
from collections import Counter
from dataclasses import replace

from freerecall.cards import Card, Deck, Kind
from freerecall.decks.making import make_card
from freerecall.decks.points import dump_points, load_points
from freerecall.decks.result import MAX_CARDS, ImportResult, Skipped
from freerecall.decks.text import KeyMaker, clean, clean_line, deck_id_from
from freerecall.errors import DeckError

COLUMNS = ("question", "answer", "kind", "points", "alternatives", "footnote", "tags", "id")
_NAMES = {
    "question": "question front term prompt word card q side1",
    "answer": "answer back definition reference response meaning a side2",
    "kind": "kind type",
    "points": "points keypoints",
    "alternatives": "alternatives accepted synonyms",
    "footnote": "footnote note notes hint comment extra",
    "tags": "tags tag category topic",
    "id": "id key",
}
_COLUMN_OF = {name: column for column, names in _NAMES.items() for name in names.split()}
_DELIMITERS = "\t;,|"
_SNIFFED = 200
_KEY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")


def looks_like(text: str) -> bool:
    """Say whether `text` is a table of two columns or more: a known header, or rows that agree."""
    delimiter, rows, agree = _sniff(text)
    if not rows:
        return False
    return bool(_header(rows[0])) or (agree >= 0.8 and (len(rows) > 1 or delimiter == "\t"))


def parse(text: str, *, source: str, deck_id: str, stem: str) -> ImportResult:
    """Read a table. Rows without a question or an answer are skipped and reported.

    With a header (see COLUMNS; Term, Front, Definition, Back and the like are known) columns may
    stand in any order; without one they are question, answer, and footnote. Raises DeckError for
    bad quotes, and where no row has two columns.
    """
    delimiter, first, _ = _sniff(text)
    columns = _header(first[0]) if first else {}
    places = columns or {"question": 0, "answer": 1, "footnote": 2}
    deck_id = deck_id or deck_id_from(stem)
    cards: dict[str, Card] = {}
    skipped: list[Skipped] = []
    keys = KeyMaker()
    lines = io.StringIO(text, newline="")
    if delimiter == "\t" and not _well_quoted(text):
        reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        line = 1
        for number, cells in enumerate(reader):
            start, line = line, reader.line_num + 1
            if not any(cell.strip() for cell in cells) or (columns and number == 0):
                continue
            found = _card({name: cells[at] for name, at in places.items() if at < len(cells)})
            if isinstance(found, str):
                skipped.append(Skipped(number + (not columns), start, found))
                continue
            key = (
                found.id
                if found.id and f"{deck_id}:{found.id}" not in cards
                else keys.key_for(found.question)
            )
            cards[f"{deck_id}:{key}"] = replace(found, id=f"{deck_id}:{key}")
            if len(cards) > MAX_CARDS:
                raise DeckError(
                    f"a deck may have {MAX_CARDS} cards; split it into several", source=source, line=start
                )
    except csv.Error as error:
        raise DeckError(
            f"not a table ({error}); check the quotes around this place", source=source, line=reader.line_num
        ) from None
    if not cards:
        raise DeckError(
            "no row has a question and an answer; is it separated by tabs or commas?", source=source
        )
    return ImportResult(Deck(deck_id, stem or deck_id, tuple(cards.values())), tuple(skipped), "csv")


def write(deck: Deck, delimiter: str = ",") -> str:
    """Return `deck` as a table that `parse` reads back as the same cards."""
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    writer.writerow(COLUMNS)
    for card in deck.cards:
        row = {
            "question": card.question,
            "answer": card.reference,
            "kind": card.kind.value,
            "points": dump_points(card.points),
            "alternatives": "\n".join(clean_line(text) for text in card.alternatives),
            "footnote": card.footnote,
            "tags": "\n".join(card.tags),
            "id": card.id.removeprefix(f"{deck.id}:"),
        }
        writer.writerow([row[name] for name in COLUMNS])
    return file.getvalue()


def _well_quoted(text: str) -> bool:
    """Say whether quotes in a tab-separated text enclose cells: Quizlet writes them as they are."""
    try:
        return all(True for _ in csv.reader(io.StringIO(text, newline=""), delimiter="\t", strict=True))
    except csv.Error:
        return False


def _card(cells: dict[str, str]) -> Card | str:
    kind = clean_line(cells.get("kind", "")).lower().replace(" ", "-").replace("_", "-")
    tags = cells.get("tags", "")
    try:
        points = load_points(cells.get("points", ""))
    except DeckError as error:
        return str(error)
    made = make_card(
        cells.get("question", ""),
        cells.get("answer", ""),
        kind=Kind(kind) if kind in set(Kind) else None,
        points=points,
        alternatives=tuple(
            text for line in cells.get("alternatives", "").split("\n") if (text := clean(line))
        ),
        footnote=cells.get("footnote", ""),
        tags=tuple(tags.split("\n") if "\n" in tags else re.split(r"[,;\s]+", tags)),
    )
    key = cells.get("id", "").strip()
    return made if isinstance(made, str) else replace(made, id=key if _KEY.fullmatch(key) else "")


def _header(cells: list[str]) -> dict[str, int]:
    """Return where the known columns stand; none unless there is a question and an answer."""
    names = [re.sub(r"[^a-z0-9]", "", cell.lower()) for cell in cells]
    found: dict[str, int] = {}
    for at, name in enumerate(names):
        if name in _COLUMN_OF:
            found.setdefault(_COLUMN_OF[name], at)
    return found if {"question", "answer"} <= found.keys() else {}


def _sniff(text: str) -> tuple[str, list[list[str]], float]:
    """Return the delimiter by which most rows have the same number (≥ 2) of cells, rows, and their share."""
    best: tuple[float, str, list[list[str]]] = (0.0, "\t", [])
    for delimiter in _DELIMITERS:
        rows: list[list[str]] = []
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    rows.append(cells)
                if len(rows) == _SNIFFED:
                    break
        except csv.Error:
            continue
        if not rows:
            continue
        width, agree = Counter(len(cells) for cells in rows).most_common(1)[0]
        if _header(rows[0]):
            agree += len(rows)
        if width >= 2 and agree / len(rows) > best[0]:
            best = (agree / len(rows), delimiter, rows)
    return best[1], best[2], best[0]
