"""Anki's files: packages (.apkg, .colpkg) of every layout, and its "Notes in Plain Text".

A package is a zip around an SQLite database. Nothing in it is trusted: not the declared sizes, not
the database's schema, not the HTML in the fields.

What Anki has no place for travels in a field `freerecall` of our own note type, as JSON that no
card shows. A note's guid is our card's id, so both sides know the card again after an edit.
"""

import csv
import hashlib
import html
import io
import itertools
import json
import os.path
import re
import sqlite3
import struct
import tempfile
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO

from freerecall import derive
from freerecall.cards import Card, Deck, Kind, PastReview
from freerecall.decks import page_dump, toml_format
from freerecall.decks.markup import to_text
from freerecall.decks.result import MAX_CARDS, MAX_POINTS, MAX_TEXT, ImportResult, Skipped
from freerecall.decks.text import KeyMaker, clean, clean_line, deck_id_from, key_of
from freerecall.errors import DeckError

MAX_COLLECTION = 512 * 2**20
"""Bytes of the unpacked database."""
MAX_RATIO = 200
MAX_REVIEWS = 1_000_000
_HARMLESS = 50 * 2**20
_CHUNK = 2**20
_MAX_FIELD = 1_000_000
_MAX_CELL = 100_000_000
_MAX_STEPS = 1000
_MAX_CLOZES = 100
_MAX_NESTED = 8

_COLLECTIONS = ("collection.anki21b", "collection.anki21", "collection.anki2")
_TABLES = {"col", "notes", "cards", "revlog"}
_PRAGMAS = ("trusted_schema=OFF", "query_only=ON", "cell_size_check=ON")
_DAMAGE = (
    *(zipfile.BadZipFile, sqlite3.Error, zlib.error, struct.error, OSError, EOFError, RuntimeError),
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError),
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RATINGS = {1: 1, 2: 3, 3: 4, 4: 5}

_NOTE_TYPE = "freerecall"
_NOTE_TYPE_ID = 1_719_352_847
_OWN_FIELD = "freerecall"
_OWN_MARK = '{"freerecall":1,'
_IDENTITY = re.compile(f"freerecall:({toml_format._DECK_ID.pattern}):({toml_format._CARD_KEY.pattern})")
_FRONT = "{{Front}}"
_BACK = "{{FrontSide}}<hr id=answer>{{Back}}{{#Footnote}}<div class=footnote>{{Footnote}}</div>{{/Footnote}}"
_CSS = (
    ".card { font-family: sans-serif; font-size: 20px; text-align: center; }\n"
    "ul, ol { display: inline-block; text-align: left; }\n"
    ".footnote { margin-top: 1em; font-size: 16px; opacity: 0.7; }"
)
_CLOZE = re.compile(r"\{\{c(\d{1,4}(?:,\d{1,4})*)::|\}\}")

_COLUMNS = ("guid", "notetype", "deck", "tags")
_HEADERS = {"separator", "html", "tags", "columns", "notetype", "deck", "if matches"}
_HEADERS |= {f"{name} column" for name in _COLUMNS}
_DELIMITERS = {"tab": "\t", "pipe": "|", "semicolon": ";", "colon": ":", "comma": ",", "space": " "}
_HTML = re.compile(r"</?[a-zA-Z][^<>]*>|&(?:#\d+|[a-zA-Z]+);")


@dataclass(frozen=True, slots=True)
class _Note:
    number: int
    line: int
    guid: str
    note_type: str
    names: Sequence[str]
    values: Sequence[str]
    tags: Sequence[str]
    deck: str
    cloze: bool
    html: bool
    row: int = 0


def looks_like(data: bytes) -> bool:
    """Say whether `data` is a zip that holds an Anki collection."""
    if not data.startswith(b"PK"):
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            return not set(_COLLECTIONS).isdisjoint(package.namelist())
    except _DAMAGE:
        return False


def parse(data: bytes, *, source: str, deck_id: str, stem: str) -> ImportResult:
    """Read an .apkg or .colpkg, with its reviews. Notes without words to ask or answer are skipped.

    Raises DeckError for a damaged, encrypted or suspiciously large package.
    """
    try:
        with _collection(data, source) as database:
            notes = _package_notes(database, source)
            result, ids = _result(notes, "anki", source=source, deck_id=deck_id, stem=stem)
            reviews = tuple(_reviews(database, ids))
    except _DAMAGE as error:
        reason = clean_line(str(error))[:200] or type(error).__name__
        raise DeckError(
            f"this Anki package cannot be read ({reason}); export it from Anki again", source=source
        ) from None
    if len(reviews) == MAX_REVIEWS:
        result = replace(result, notes=(*result.notes, f"only the latest {MAX_REVIEWS} reviews were read"))
    return replace(result, reviews=reviews)


@contextmanager
def _collection(data: bytes, source: str) -> Iterator[sqlite3.Connection]:
    with tempfile.TemporaryDirectory(prefix="freerecall-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "collection.db"
        with path.open("wb") as file:
            file.writelines(_unpacked(data, source))
        address = f"{path.as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(address, uri=True)) as database:
            steps = itertools.count()
            database.set_progress_handler(lambda: next(steps) > _MAX_STEPS, 1_000_000)
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_CELL)
            database.create_collation("unicase", _unicase)
            database.text_factory = lambda raw: raw.decode("utf-8", "replace")
            for pragma in _PRAGMAS:
                database.execute(f"PRAGMA {pragma}")
            yield database


def _unpacked(data: bytes, source: str) -> Iterator[bytes]:
    """Yield the newest collection in the package; an older one beside it only says "please update"."""
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        name = next((name for name in _COLLECTIONS if name in package.NameToInfo), "")
        if not name:
            raise DeckError(
                "there is no Anki collection in this file; export it from Anki as .apkg or .colpkg",
                source=source,
            )
        member = package.getinfo(name)
        if member.flag_bits & 0x1:
            raise DeckError("the package is encrypted; export it from Anki without a password", source=source)
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DeckError("packed in a way that Anki does not use; export it from Anki", source=source)
        packed = min(member.compress_size, len(data))
        size = member.file_size
        with package.open(member) as file:
            chunks = _zstd(file) if name.endswith("b") else iter(partial(file.read, _CHUNK), b"")
            unpacked = 0
            for chunk in itertools.chain((b"",), chunks):
                unpacked += len(chunk)
                if max(size, unpacked) > MAX_COLLECTION:
                    raise DeckError(
                        f"the collection is larger than {MAX_COLLECTION // 2**20} MB; export one deck of it",
                        source=source,
                    )
                if unpacked > _HARMLESS and unpacked > MAX_RATIO * packed:
                    raise DeckError(
                        f"unpacks to more than {MAX_RATIO} times its size, as no real collection does;"
                        " export it from Anki again",
                        source=source,
                    )
                yield chunk


def _zstd(file: IO[bytes]) -> Iterator[bytes]:
    import zstandard

    try:
        with zstandard.ZstdDecompressor().stream_reader(file) as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None


def _unicase(one: str, other: str) -> int:
    one, other = one.casefold(), other.casefold()
    return (one > other) - (one < other)


def _package_notes(database: sqlite3.Connection, source: str) -> list[_Note]:
    tables = {
        name
        for (name,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0 AND sql LIKE 'CREATE TABLE%'"
        )
    }
    if not tables >= _TABLES:
        raise ValueError("tables are missing")
    # A view or a computed column could run for ever.
    for name in tables:
        if database.execute("SELECT 1 FROM pragma_table_xinfo(?) WHERE hidden > 0", (name,)).fetchone():
            raise ValueError("a column is computed")
    types, decks = _new_types(database) if "notetypes" in tables else _old_types(database)
    homes: dict[object, str] = {}
    for row, deck in database.execute("SELECT nid, CASE WHEN odid THEN odid ELSE did END FROM cards"):
        homes.setdefault(row, decks.get(str(deck), ""))
    columns = ", ".join(f"CAST({name} AS TEXT)" for name in ("guid", "mid", "tags", "flds"))
    rows = database.execute(f"SELECT id, {columns} FROM notes ORDER BY id LIMIT ?", (MAX_CARDS + 1,))  # noqa: S608
    notes: list[_Note] = []
    for number, (row, guid, type_id, tags, fields) in enumerate(rows, 1):
        note_type, names, cloze = types.get(type_id, ("", (), False))
        values, words, home = (fields or "").split("\x1f"), (tags or "").split(), homes.get(row, "")
        notes.append(_Note(number, 0, guid or "", note_type, names, values, words, home, cloze, True, row))
    return notes


_Types = dict[str, tuple[str, Sequence[str], bool]]


def _new_types(database: sqlite3.Connection) -> tuple[_Types, dict[str, str]]:
    names: dict[object, list[str]] = {}
    for type_id, name in database.execute("SELECT ntid, name FROM fields ORDER BY ntid, ord"):
        names.setdefault(type_id, []).append(str(name))
    # A cloze type's protobuf begins with field 1 (its kind), 1.
    types = {
        str(type_id): (str(name), names.get(type_id, ()), bytes(config[:2]) == b"\x08\x01")
        for type_id, name, config in database.execute("SELECT id, name, config FROM notetypes")
    }
    decks = database.execute("SELECT id, name FROM decks")
    return types, {str(deck): str(name).replace("\x1f", "::") for deck, name in decks}


def _old_types(database: sqlite3.Connection) -> tuple[_Types, dict[str, str]]:
    models, decks = map(json.loads, database.execute("SELECT models, decks FROM col").fetchone())
    types = {
        type_id: (str(model["name"]), [str(field["name"]) for field in model["flds"]], model["type"] == 1)
        for type_id, model in models.items()
    }
    return types, {deck_id: str(deck["name"]) for deck_id, deck in decks.items()}


def _reviews(database: sqlite3.Connection, ids: dict[tuple[int, int], str]) -> list[PastReview]:
    rows = database.execute(
        "SELECT r.id, r.ease, r.time, c.nid, c.ord FROM revlog r JOIN cards c ON c.id = r.cid"
        " WHERE r.ease BETWEEN 1 AND 4 AND r.type IN (0, 1, 2) AND r.id BETWEEN 1 AND 4102444800000"
        " ORDER BY r.id DESC LIMIT ?",
        (MAX_REVIEWS,),
    )
    found = [
        PastReview(
            card_id,
            _EPOCH + timedelta(milliseconds=at),
            _RATINGS[ease],
            took if isinstance(took, int) and took >= 0 else None,
        )
        for at, ease, took, row, ordinal in rows
        if (card_id := ids.get((row, ordinal)))
    ]
    return found[::-1]


def _result(
    notes: list[_Note], format: str, *, source: str, deck_id: str, stem: str
) -> tuple[ImportResult, dict[tuple[int, int], str]]:
    """Return the deck, and the id of each card by its note's row and its template or cloze (from 0)."""
    decks = {note.deck for note in notes}
    title = clean_line(next(iter(decks)).split("::")[-1])[:500] if len(decks) == 1 else ""
    title = title or stem
    own = {found[1] if (found := _IDENTITY.fullmatch(note.guid)) else "" for note in notes}
    deck_id = deck_id or (own.pop() if len(own) == 1 else "") or deck_id_from(title)
    shared = len(os.path.commonprefix([deck.split("::") for deck in decks]))
    tally: Counter[str] = Counter()
    cards: list[Card] = []
    skipped: list[Skipped] = []
    ids: dict[tuple[int, int], str] = {}
    keys: set[str] = set()
    for note in notes:
        subdeck = clean_line("::".join(note.deck.split("::")[shared:]))[:500]
        for ordinal, card in _cards(note, tally):
            if isinstance(card, str):
                skipped.append(Skipped(note.number, note.line, card))
                continue
            key = _key(note, ordinal, card.question, keys)
            tags = dict.fromkeys([*card.tags, *([subdeck] if subdeck else [])])
            ids[note.row, ordinal] = f"{deck_id}:{key}"
            cards.append(replace(card, id=f"{deck_id}:{key}", tags=tuple(tags)[:MAX_POINTS]))
        if len(cards) > MAX_CARDS or note.number > MAX_CARDS:
            raise DeckError(
                f"more than {MAX_CARDS} cards; a deck may have {MAX_CARDS}: export it in parts",
                source=source,
            )
    if not cards:
        raise DeckError("there are no notes with a question and an answer in words", source=source)
    remarks: list[str] = []
    if media := tally["media"]:
        remarks.append(f"{media} pictures and sounds were left out")
    if cut := tally["cut"]:
        remarks.append(f"{cut} footnotes were cut at {MAX_TEXT} characters")
    deck = Deck(deck_id, title or deck_id, tuple(cards))
    return ImportResult(deck, tuple(skipped), format, tuple(remarks)), ids


def _key(note: _Note, ordinal: int, question: str, taken: set[str]) -> str:
    if (own := _IDENTITY.fullmatch(note.guid)) and not note.cloze:
        plain: str = own[2]
    elif note.guid:
        plain = f"n-{hashlib.sha256(note.guid.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"
        plain += f"-c{ordinal + 1}" if note.cloze else ""
    else:
        plain = key_of(question)
    counted = (f"{plain[:90]}-{number}" for number in itertools.count(2))
    key = next(key for key in itertools.chain((plain,), counted) if key not in taken)
    taken.add(key)
    return key


def _cards(note: _Note, tally: Counter[str]) -> list[tuple[int, Card | str]]:
    """Return each card of a note with its ordinal; in place of a card, why it is none."""
    if "image occlusion" in note.note_type.casefold() or "::image-occlusion:" in note.values[0]:
        return [(0, "an image occlusion; only words can be asked here")]
    if max(map(len, note.values)) > _MAX_FIELD:
        return [(0, f"a field of more than {_MAX_FIELD} characters")]
    own, fields = "", []
    for name, value in itertools.zip_longest(note.names, note.values, fillvalue=""):
        if name == _OWN_FIELD or value.startswith(_OWN_MARK):
            own = value
        elif name.casefold() != "add reverse":
            text, media = to_text(value) if note.html else (clean(value), 0)
            tally["media"] += media
            fields.append(text)
    tags = tuple(dict.fromkeys(tag for word in note.tags if (tag := clean_line(word)[:500])))[:MAX_POINTS]
    if note.cloze:
        asked = next((at for at, text in enumerate(fields) if _CLOZE.search(text)), 0)
        text = fields.pop(asked) if fields else ""
        return _clozes(text, _footnote(fields, tally), tags)
    question, answer, *rest = [*fields, "", ""]
    footnote = _footnote(rest, tally)
    kept = _own_card(own) if own else None
    if not kept:
        return [(0, _card(question, answer, footnote, tags))]
    return [(0, _merged(kept, question, answer, footnote, tags))]


def _footnote(texts: list[str], tally: Counter[str]) -> str:
    footnote = "\n".join(text for text in texts if text)
    tally["cut"] += len(footnote) > MAX_TEXT
    return clean(footnote[:MAX_TEXT])


def _card(question: str, answer: str, footnote: str, tags: tuple[str, ...]) -> Card | str:
    if not question or not answer:
        missing = "answer" if question else "question"
        return f"there is no {missing} in words"
    if max(len(question), len(answer)) > MAX_TEXT:
        return f"a text of more than {MAX_TEXT} characters"
    kind = derive.kind_of(question, answer)
    reference = page_dump._reference(answer, kind)
    points = derive.points_of(question, reference, kind)
    if len(points) > MAX_POINTS:
        return f"lists {len(points)} things; a card may have {MAX_POINTS}"
    return Card("", question, reference, kind, points, footnote=footnote, tags=tags)


def _clozes(text: str, footnote: str, tags: tuple[str, ...]) -> list[tuple[int, Card | str]]:
    if len(text) > MAX_TEXT:
        return [(0, f"a text of more than {MAX_TEXT} characters")]
    marks = (mark[1].split(",") for mark in _CLOZE.finditer(text) if mark[1])
    numbers = sorted({int(number) for mark in marks for number in mark} - {0})
    if not numbers or len(numbers) > _MAX_CLOZES:
        return [(0, f"{len(numbers)} different clozes; a note may have 1 to {_MAX_CLOZES}")]
    made: list[tuple[int, Card | str]] = []
    for number in numbers:
        question, answers = _blanked(text, number)
        points = {
            point.text.casefold(): point
            for answer in answers
            for point in derive.points_of("", answer, Kind.CLOZE)
        }
        reference = "; ".join(answers)
        card: Card | str = f"cloze {number} hides no words"
        if len(points) > MAX_POINTS or len(reference) > MAX_TEXT:
            card = f"cloze {number} hides too much"
        elif reference:
            point_list = tuple(points.values())
            card = Card("", question, reference, Kind.CLOZE, point_list, footnote=footnote, tags=tags)
        made.append((number - 1, card))
    return made


def _blanked(text: str, number: int) -> tuple[str, list[str]]:
    """Return the text with the deletions of one cloze blanked, and what they hide."""
    answers: list[str] = []
    # Open deletions, innermost last: its mark, whether it is hidden itself or by another, its text.
    stack: list[tuple[str, bool, bool, list[str]]] = [("", False, False, [])]
    at = 0
    for mark in _CLOZE.finditer(text):
        stack[-1][3].append(text[at : mark.start()])
        at = mark.end()
        if mark[1] and len(stack) <= _MAX_NESTED:
            within = stack[-1][2]
            hides = not within and number in map(int, mark[1].split(","))
            stack.append((mark[0], hides, hides or within, []))
        elif len(stack) > 1 and not mark[1]:
            _, hides, _, parts = stack.pop()
            body, _, hint = "".join(parts).partition("::")
            if hides:
                answers += [answer] if (answer := clean(body)) else []
                body = f"___ ({hint.strip()})" if hint.strip() else "___"
            stack[-1][3].append(body)
        else:
            stack[-1][3].append(mark[0])
    stack[-1][3].append(text[at:])
    while len(stack) > 1:
        unclosed, _, _, parts = stack.pop()
        stack[-1][3].append(unclosed + "".join(parts))
    return clean("".join(stack[0][3])), answers


def _own_card(raw: str) -> Card | None:
    """Return the card that `write` kept in a note, or None where it has been tampered with."""
    try:
        data = json.loads(html.unescape(raw))
        if not isinstance(data, dict) or set(data) != {"freerecall", "card"} or data["freerecall"] != 1:
            return None
        reader = toml_format._Reader("", "")
        reader.explicit_keys([data["card"]])
        return reader.one_card(data["card"], "", KeyMaker())
    except (DeckError, ValueError, RecursionError):
        return None


def _merged(kept: Card, question: str, answer: str, footnote: str, tags: tuple[str, ...]) -> Card | str:
    """Return the card as it was written; what has been edited in Anki since is as Anki has it."""
    shown = [to_text(field)[0] for field in _shown(kept)]
    pairs = zip(shown, (question, answer, footnote), strict=True)
    same = [_letters(before) == _letters(after) for before, after in pairs]
    plain = kept if all(same[:2]) else _card(question, answer, footnote, tags)
    if isinstance(plain, str):
        return plain
    return replace(
        kept if same[1] else plain,
        question=(kept if same[0] else plain).question,
        footnote=kept.footnote if same[2] else footnote,
        tags=kept.tags if set(_anki_tags(kept)) == set(tags) else tags,
    )


def _letters(text: str) -> str:
    return re.sub(r"[\s•]+", "", text)


def write(deck: Deck) -> bytes:
    """Return `deck` as an .apkg. Imported again, it updates its notes in place of adding them twice."""
    import genanki

    model = genanki.Model(
        _NOTE_TYPE_ID,
        _NOTE_TYPE,
        fields=[{"name": name} for name in ("Front", "Back", "Footnote", _OWN_FIELD)],
        templates=[{"name": "Card 1", "qfmt": _FRONT, "afmt": _BACK}],
        css=_CSS,
    )
    digest = hashlib.sha256(deck.id.encode()).digest()
    name = re.sub(":{2,}", ":", clean_line(deck.title)) or deck.id
    anki_deck = genanki.Deck(2**40 + int.from_bytes(digest[:4]), name, html.escape(clean(deck.description)))
    for number, card in enumerate(deck.cards):
        fields = [*_shown(card), _own_json(card, deck.id)]
        guid = f"freerecall:{card.id}"
        anki_deck.add_note(genanki.Note(model, fields, tags=_anki_tags(card), guid=guid, due=number))
    now = time.time()
    with closing(sqlite3.connect(":memory:")) as database:
        package = genanki.Package(anki_deck)
        package.write_to_db(database.cursor(), now, itertools.count(int(now * 1000)))
        database.commit()
        collection = database.serialize()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("collection.anki2", collection)
        archive.writestr("media", "{}")
    return file.getvalue()


def _own_json(card: Card, deck_id: str) -> str:
    table = toml_format._card_table(card, deck_id)
    del table["id"]
    text = json.dumps({"freerecall": 1, "card": table}, separators=(",", ":"))
    # Nothing that Anki's editor would take for HTML.
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _shown(card: Card) -> tuple[str, str, str]:
    """Return the fields of a card's note as HTML: front, back, footnote."""
    intro, items = _answer(card)
    back = _escaped(intro)
    if items:
        mark = "ol" if card.kind is Kind.ORDERED_LIST else "ul"
        back += f"<{mark}>{''.join(f'<li>{_escaped(item)}</li>' for item in items)}</{mark}>"
    return _escaped(card.question), back, _escaped(card.footnote)


def _answer(card: Card) -> tuple[str, tuple[str, ...]]:
    """Return a reference as (text, bullets): its own list, else beside it the key points of a list."""
    if card.kind not in (Kind.LIST, Kind.ORDERED_LIST):
        return card.reference, ()
    intro, items = derive.split_list(card.reference)
    return (intro, items) if items else (card.reference, tuple(point.text for point in card.points))


def _escaped(text: str) -> str:
    return html.escape(clean(text), quote=False).replace("\n", "<br>")


def _anki_tags(card: Card) -> list[str]:
    return ["_".join(tag.split()) for tag in card.tags]


def looks_like_notes(text: str) -> bool:
    """Say whether `text` begins with a header line of Anki's own."""
    return bool(_header(text)[0])


def _header(text: str) -> tuple[dict[str, str], int]:
    """Return the header by its keys, and the number of its lines."""
    header: dict[str, str] = {}
    for number, line in enumerate(io.StringIO(text.removeprefix("\ufeff"), newline=None)):
        if not line.startswith("#"):
            return header, number
        key, colon, value = line[1:].rstrip("\n").partition(":")
        if colon and key.strip().casefold() in _HEADERS:
            header.setdefault(key.strip().casefold(), value)
    return header, text.count("\n") + 1


def parse_notes(text: str, *, source: str, deck_id: str, stem: str) -> ImportResult:
    """Read Anki's "Notes in Plain Text". Raises DeckError with the line for a row that is no row."""
    header, start = _header(text)
    if not header:
        raise DeckError("this is no notes export of Anki: its #separator line is missing", source=source)
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    first = next((line for line in lines[start:] if line and not line.startswith("#")), "")
    delimiter = _delimiter(header.get("separator"), first, source)
    columns = {
        int(found[1]) - 1: name
        for name in _COLUMNS
        if (found := re.match(r"\s*([1-9]\d{0,2})\b", header.get(f"{name} column", "")))
    }
    labels = header.get("columns", "").split(delimiter)
    is_html = (
        header["html"].strip()[:4].casefold() == "true" if "html" in header else bool(_HTML.search(text))
    )
    notes: list[_Note] = []
    for number, (line, row) in enumerate(_rows(lines, start, delimiter, source), 1):
        special = {columns[at]: cell for at, cell in enumerate(row) if at in columns}
        values = [cell for at, cell in enumerate(row) if at not in columns] or [""]
        names = [label.strip() for at, label in enumerate(labels) if at not in columns]
        tags = f"{special.get('tags', '')} {header.get('tags', '')}".split()
        note_type = special.get("notetype") or header.get("notetype", "")
        deck = special.get("deck") or header.get("deck", "").strip()
        cloze = any(mark[1] for mark in _CLOZE.finditer(values[0]))
        guid = special.get("guid", "").strip()
        notes.append(_Note(number, line, guid, note_type, names, values, tags, deck, cloze, is_html, number))
        if number > MAX_CARDS:
            break
    return _result(notes, "anki-notes", source=source, deck_id=deck_id, stem=stem)[0]


def _delimiter(given: str | None, first: str, source: str) -> str:
    if given is None:
        return next((mark for mark in _DELIMITERS.values() if mark in first), "\t")
    mark = _DELIMITERS.get(given.strip().casefold()) or (given.strip() or given)[:1]
    if mark not in _DELIMITERS.values():
        raise DeckError(f"the #separator must be one of {', '.join(_DELIMITERS)}", source=source)
    return mark


def _rows(lines: list[str], start: int, delimiter: str, source: str) -> Iterator[tuple[int, list[str]]]:
    at, begun, within = start, start, False

    def feed() -> Iterator[str]:
        nonlocal at, begun, within
        for at, line in enumerate(lines[start:], start + 1):
            if within or not line.startswith("#"):
                begun, within = begun if within else at, True
                yield f"{line}\n"

    reader = csv.reader(feed(), delimiter=delimiter, strict=True)
    while True:
        within = False
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise DeckError(
                f"this row cannot be read ({error}); check its quotes", source=source, line=begun
            ) from None
        if row is None:
            return
        if any(row):
            yield begun, row


def write_notes(deck: Deck) -> str:
    """Return `deck` as text that Anki imports, and that spreadsheets open."""
    labels = ("Front", "Back", "Footnote", "Tags", "Guid")
    text = io.StringIO()
    text.write("#separator:tab\n#html:false\n#tags column:4\n#guid column:5\n")
    text.write(f"#deck:{clean_line(deck.title)}\n#columns:{chr(9).join(labels)}\n")
    # All quoted: a line that begins with # would be a comment.
    rows = csv.writer(text, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_ALL)
    for card in deck.cards:
        intro, items = _answer(card)
        answer = "\n".join([*([intro] if intro else []), *(f"- {item}" for item in items)])
        cells = (card.question, answer, card.footnote, " ".join(_anki_tags(card)))
        rows.writerow([*map(clean, cells), f"freerecall:{card.id}"])
    return text.getvalue()
