"""Tables as Quizlet, Brainscape, Excel, LibreOffice and Google Sheets write them: CSV and TSV.

Cells are read and written as they are. One that begins with `=`, `+`, `-`, `@` or a tab is only text
here, but a spreadsheet that opens a written file may run it as a formula.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from freerecall import derive
from freerecall.cards import Card, Deck, KeyPoint, Kind
from freerecall.decks import markdown, toml_format
from freerecall.decks.markup import to_text
from freerecall.decks.result import MAX_BYTES, MAX_CARDS, MAX_POINTS, MAX_TEXT, ImportResult, Skipped
from freerecall.decks.text import KeyMaker, clean, clean_line, deck_id_from
from freerecall.errors import DeckError

COLUMNS = ("question", "answer", "kind", "key points", "alternatives", "footnote", "tags", "id")
_NAMES = {
    "question": "question front term prompt word",
    "answer": "answer back definition reference response",
    "kind": "kind type",
    "key points": "keypoints points",
    "alternatives": "alternatives accepted",
    "footnote": "footnote note notes hint",
    "tags": "tags tag category",
    "id": "id key",
}
_COLUMN_OF = {name: column for column, names in _NAMES.items() for name in names.split()}
# In the order of trust: a text holds commas far more often than any of the others.
_DELIMITERS = "\t;|,"
_SAMPLE = 200
_AGREEING = 0.8
_LONGEST_HTML = 4 * MAX_TEXT
_TAG = re.compile(
    r"</?(?:br|b|i|u|em|strong|div|p|span|ul|ol|li|img|sub|sup|font|table|tr|td|th|h[1-6]|hr|a(?=\s|>))"
    r"(?:\s+[\w-]+=[^<>]*)?\s*/?>",
    re.IGNORECASE,
)
_TAGS_CELL = re.compile(r"#?[\w:./+-]+(?:\s*[,;]\s*#?[\w:./+-]+)*")
_WEIGHT = re.compile(r"\s\(x(\d{1,3}(?:\.\d{1,20})?(?:e-\d{1,3})?)\)$")


@dataclass(frozen=True, slots=True)
class _Layout:
    delimiter: str
    quoting: int
    share: float
    sample: list[list[str]]


def looks_like(text: str) -> bool:
    """Say whether `text` is a table: a known header, or rows that agree on two columns or more."""
    layout = _layout(text)
    if layout is None or toml_format.looks_like(text) or text.lstrip("\ufeff \t\r\n")[:1] in ("{", "["):
        return False
    if _header(layout.sample[0]):
        return True
    enough = len(layout.sample) >= 2 or layout.delimiter == "\t"
    return enough and layout.share >= _AGREEING and not markdown.looks_like(text)


def parse(text: str, *, source: str, deck_id: str, stem: str) -> ImportResult:
    """Read a table, its columns named by a header or else question, answer, and tags or a footnote.

    Rows without a question or an answer are skipped and reported. Cells with HTML tags become plain
    text, unless the header is the one that `write` gives. Raises DeckError with the line for bad
    quotes and for texts and lists beyond the limits, and where no row has two columns.
    """
    text = text.removeprefix("\ufeff")
    layout = _layout(text)
    if layout is None:
        raise DeckError("no row has two columns; put a tab or a comma after each question", source=source)
    rows = list(islice(_rows(text, layout.delimiter, layout.quoting, source), MAX_CARDS + 2))
    places = _header(rows[0][1])
    own = [_name(cell) for cell in rows[0][1]] == [_name(name) for name in COLUMNS]
    header = rows.pop(0)[1] if places else []
    if len(rows) > MAX_CARDS:
        raise DeckError(
            f"more than {MAX_CARDS} rows; a deck may have {MAX_CARDS} cards: split the file", source=source
        )
    places = places or {"question": 0, "answer": 1, _third_column(rows): 2}
    deck_id = deck_id or deck_id_from(stem)
    at_id = places.get("id", MAX_BYTES)
    given = Counter(cells[at_id].strip() for _, cells in rows if at_id < len(cells))
    keys = KeyMaker(given)
    cards: list[Card] = []
    skipped: list[Skipped] = []
    for number, (line, cells) in enumerate(rows, 1):
        named = {name: cells[at] for name, at in places.items() if at < len(cells)}
        key = named.pop("id", "").strip()
        if not toml_format.CARD_KEY.fullmatch(key) or given[key] > 1:
            key = ""
        card = _card(named, deck_id, key, keys, own, source, line) if len(cells) > 1 else "only one column"
        if isinstance(card, Card):
            cards.append(card)
        else:
            skipped.append(Skipped(number, line, card))
    if not cards:
        raise DeckError("no row has both a question and an answer", source=source)
    notes = tuple(_notes(header, rows, places, layout.delimiter))
    return ImportResult(Deck(deck_id, stem or deck_id, tuple(cards)), tuple(skipped), "csv", notes)


def write(deck: Deck, delimiter: str = ",") -> str:
    """Return `deck` as a table of COLUMNS that `parse` reads back as the same cards.

    Key points of a card that has none are derived on reading. Raises DeckError for a card whose id
    does not start with the deck's.
    """
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    writer.writerow(COLUMNS)
    for card in deck.cards:
        texts = toml_format.card_table(card, deck.id)
        alternatives = (clean(text).replace("\n", "\n  ") for text in card.alternatives)
        row = {
            **texts,
            "answer": texts["reference"],
            "key points": _dump_list([_dump_point(point) for point in card.points], ";"),
            "alternatives": _dump_list(list(alternatives), ";"),
            "tags": _dump_list([clean_line(tag) for tag in card.tags], ";,"),
        }
        writer.writerow([row.get(name, "") for name in COLUMNS])
    return file.getvalue()


def _layout(text: str) -> _Layout | None:
    """Return how the columns are told apart: as most rows agree on how many there are."""
    best: tuple[float, _Layout] | None = None
    for delimiter in _DELIMITERS:
        quoting = csv.QUOTE_MINIMAL
        if delimiter == "\t" and not _is_well_quoted(text, delimiter):
            quoting = csv.QUOTE_NONE  # Quizlet's export quotes nothing.
        sample: list[list[str]] = []
        try:
            sample.extend(cells for _, cells in islice(_rows(text, delimiter, quoting), _SAMPLE))
        except DeckError:
            if not sample:
                sample.extend(csv.reader(text.split("\n", 1)[:1], delimiter=delimiter))
        widths = Counter(len(cells) for cells in sample if len(cells) > 1)
        if not widths:
            continue
        width = widths.most_common(1)[0][0]
        split_in_quotes = quoting == csv.QUOTE_MINIMAL
        agreeing = sum(
            len(cells) == width and not (split_in_quotes and any(cell.count('"') % 2 for cell in cells))
            for cells in sample
        )
        share = agreeing / len(sample)
        score = share + bool(_header(sample[0]))
        if best is None or score > best[0]:
            best = score, _Layout(delimiter, quoting, share, sample)
    return best[1] if best else None


def _rows(text: str, delimiter: str, quoting: int, source: str = "") -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the line that it starts on."""
    csv.field_size_limit(max(csv.field_size_limit(), MAX_BYTES))
    file = io.StringIO(text, newline="")
    # mypy knows quoting only as one of four literals.
    reader = csv.reader(file, delimiter=delimiter, quoting=quoting, strict=True)  # type: ignore[arg-type]
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        message = f"the row that starts here is not a row of a table ({error}); check its quotes"
        raise DeckError(message, source=source, line=line) from None


def _is_well_quoted(text: str, delimiter: str) -> bool:
    try:
        for _ in _rows(text, delimiter, csv.QUOTE_MINIMAL):
            pass
    except DeckError:
        return False
    return True


def _name(cell: str) -> str:
    return "".join(char for char in cell.casefold() if char.isalnum())


def _header(cells: list[str]) -> dict[str, int]:
    """Return where the known columns stand; none unless there is a question and an answer."""
    found: dict[str, int] = {}
    for at, cell in enumerate(cells[:100]):
        if column := _COLUMN_OF.get(_name(cell[:100])):
            found.setdefault(column, at)
    return found if {"question", "answer"} <= found.keys() else {}


def _third_column(rows: list[tuple[int, list[str]]]) -> str:
    cells = [cell for _, row in rows if (cell := "".join(row[2:3]).strip())]
    tags = all(
        len(cell) <= 200 and _TAGS_CELL.fullmatch(cell) and re.search(r"[^\W\d_]", cell) for cell in cells
    )
    return "tags" if cells and tags else "footnote"


def _notes(
    header: list[str], rows: list[tuple[int, list[str]]], places: dict[str, int], delimiter: str
) -> Iterator[str]:
    unread = [
        clean_line(cell)[:40] for at, cell in enumerate(header) if cell.strip() and at not in places.values()
    ]
    if unread:
        yield f"columns that were not read: {', '.join(unread[:10])}"
    width = len(header) or 3
    if wide := [line for line, cells in rows if any(cell.strip() for cell in cells[width:])]:
        mark = "a tab" if delimiter == "\t" else f"{delimiter!r}"
        yield f"{len(wide)} rows have too many columns, first on line {wide[0]}: is {mark} part of a text?"


def _card(
    cells: dict[str, str], deck_id: str, key: str, keys: KeyMaker, own: bool, source: str, line: int
) -> Card | str:
    """Return the card, or why its row is skipped."""

    def checked(name: str, texts: list[str]) -> tuple[str, ...]:
        if (longest := max(map(len, texts), default=0)) > MAX_TEXT:
            raise wrong(f"{name} is {longest} characters long; at most {MAX_TEXT} are allowed")
        if len(texts) > MAX_POINTS:
            raise wrong(f"{name} has {len(texts)} entries; at most {MAX_POINTS} are allowed")
        return tuple(texts)

    def wrong(message: str) -> DeckError:
        return DeckError(message, source=source, line=line)

    for name, cell in cells.items():
        if not own and _TAG.search(cell):
            if len(cell) > _LONGEST_HTML:
                raise wrong(f"{name} is {len(cell)} characters long with its HTML; shorten it")
            cells[name] = to_text(re.sub(r"\r\n?|\n", "<br>", cell))[0]
    question, answer, footnote = (clean(cells.get(name, "")) for name in ("question", "answer", "footnote"))
    if not question or not answer:
        return " and ".join(f"no {name}" for name in ("question", "answer") if not clean(cells.get(name, "")))
    for name, one in (("question", question), ("answer", answer), ("footnote", footnote)):
        checked(name, [one])
    kind_name = "-".join(re.findall(r"[a-z]+", cells.get("kind", "")[:100].lower()))
    kind = Kind(kind_name) if kind_name in set(Kind) else derive.kind_of(question, answer)
    points: list[KeyPoint] = []
    for text in _items(cells.get("key points", ""), ";", own):
        weight = float(found[1]) if (found := _WEIGHT.search(text)) else 1.0
        if not 0 < weight <= toml_format.MAX_WEIGHT:
            raise wrong(f"a key point's weight must be above 0 and at most {toml_format.MAX_WEIGHT:g}")
        parts = re.split(r"(?<!\\)\|", text[: found.start()] if found else text)
        wordings = checked("key points", [w for part in parts if (w := clean_line(part.replace(r"\|", "|")))])
        points += [KeyPoint(wordings[0], wordings[1:], weight)] if wordings else []
    checked("key points", [point.text for point in points or derive.points_of(question, answer, kind)])
    return Card(
        id=f"{deck_id}:{key or keys.key_for(question)}",
        question=question,
        reference=answer,
        kind=kind,
        points=tuple(points) or derive.points_of(question, answer, kind),
        alternatives=checked("alternatives", _items(cells.get("alternatives", ""), ";", own)),
        footnote=footnote,
        tags=tuple(map(clean_line, checked("tags", _items(cells.get("tags", ""), ";,", own)))),
    )


def _items(cell: str, marks: str, own: bool) -> list[str]:
    """Split a list at its line breaks, or at one of `marks` where it has none."""
    lines = re.split(r"\r\n?|\n", cell)
    parts: list[str] = []
    for line in lines if len(lines) > 1 else re.split(f"[{marks}]", cell):
        if own and parts and line.startswith("  "):
            parts[-1] += "\n" + line[2:]
        else:
            parts.append(line if own else re.sub(r"^\s*[•*-]\s+", "", line))
    return [text for part in parts if (text := clean(part))]


def _dump_list(items: list[str], marks: str) -> str:
    # A line break at the end tells one item with a mark in it from several.
    whole = len(items) == 1 and any(mark in items[0] for mark in marks)
    return "\n".join(items) + "\n" * whole


def _dump_point(point: KeyPoint) -> str:
    text = " | ".join(clean_line(wording).replace("|", r"\|") for wording in (point.text, *point.accept))
    if point.weight == 1 and not _WEIGHT.search(text):
        return text
    short = f"{point.weight:g}"
    return f"{text} (x{short if float(short) == point.weight else repr(point.weight)})"
