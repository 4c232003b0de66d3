"""Anki's packages (.apkg, .colpkg; all layouts) and its "Notes in Plain Text".

Nothing in a file is trusted: neither declared sizes nor the database's schema nor the fields' HTML.
A note that is written has our card's id for its guid, and what Anki has no place for as JSON in a
field that no card shows.
"""

import csv
import hashlib
import html
import io
import itertools
import json
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
from typing import IO, Any

from freerecall import derive
from freerecall.cards import Card, Deck, Kind, PastReview
from freerecall.decks import page_dump, toml_format
from freerecall.decks.markup import to_text
from freerecall.decks.result import MAX_CARDS, MAX_POINTS, MAX_TEXT, ImportResult, Skipped
from freerecall.decks.text import KeyMaker, clean, clean_line, deck_id_from, key_of
from freerecall.errors import DeckError

MAX_COLLECTION = 512 * 2**20
"""Bytes of an unpacked database; beyond `_HARMLESS` also at most MAX_RATIO times what is packed."""
MAX_RATIO = 200
MAX_REVIEWS = 1_000_000
_HARMLESS = 50 * 2**20
_CHUNK = 2**20
_MAX_FIELD = 1_000_000
_MAX_STEPS = 1000
_MAX_CLOZES = 100
_COLLECTIONS = ("collection.anki21b", "collection.anki21", "collection.anki2")
_DAMAGE = (
    *(zipfile.BadZipFile, sqlite3.Error, zlib.error, struct.error, OSError, EOFError, RuntimeError),
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError),
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RATINGS = {1: 1, 2: 3, 3: 4, 4: 5}

_CLOZE = re.compile(r"\{\{c([\d,]{1,50})::((?:(?!\{\{c\d|\}\}).)*)\}\}", re.DOTALL)
_CLOZE_START = re.compile(r"\{\{c([1-9][\d,]{0,49})::")
_OWN = "freerecall"
_OWN_JSON = '{"freerecall":1,'
_OWN_GUID = re.compile(f"freerecall:({toml_format._DECK_ID.pattern}):({toml_format._CARD_KEY.pattern})")
_BACK = "{{FrontSide}}<hr id=answer>{{Back}}{{#Footnote}}<p><small>{{Footnote}}</small></p>{{/Footnote}}"
_CSS = (
    ".card { font: 20px sans-serif; text-align: center; } ul, ol { display: inline-block; text-align: left; }"
)

_COLUMNS = ("guid", "notetype", "deck", "tags")
_HEADERS = {"separator", "html", "tags", "columns", "notetype", "deck", "if matches"}
_HEADERS |= {f"{name} column" for name in _COLUMNS}
_DELIMITERS = {"tab": "\t", "pipe": "|", "semicolon": ";", "colon": ":", "comma": ",", "space": " "}
_HTML = re.compile(r"</?[a-zA-Z][^<>]*>|&(?:#\d+|[a-zA-Z]+);")


@dataclass(frozen=True, slots=True)
class _Note:
    row: int
    guid: str
    type: str
    fields: Sequence[tuple[str, str]]
    tags: str
    deck: str
    cloze: bool
    html: bool = True


def looks_like(data: bytes) -> bool:
    """Say whether `data` is a zip that holds an Anki collection."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            return not set(_COLLECTIONS).isdisjoint(package.namelist())
    except _DAMAGE:
        return False


def parse(data: bytes, *, source: str, deck_id: str, stem: str) -> ImportResult:
    """Read an .apkg or .colpkg and the reviews in it.

    Raises DeckError for a package that is damaged, encrypted, or unpacks to more than a real one.
    """
    try:
        with _collection(data, source) as database:
            result, ids = _result(_package_notes(database), "anki", source, deck_id, stem)
            return replace(result, reviews=_reviews(database, ids))
    except _DAMAGE as error:
        reason = clean_line(str(error))[:200] or type(error).__name__
        message = f"this Anki package cannot be read ({reason}); export it from Anki again"
        raise DeckError(message, source=source) from None


@contextmanager
def _collection(data: bytes, source: str) -> Iterator[sqlite3.Connection]:
    with tempfile.TemporaryDirectory(prefix="freerecall-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "collection.db"
        with path.open("wb") as file:
            file.writelines(_unpacked(data, source))
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            steps = itertools.count()
            database.set_progress_handler(lambda: next(steps) > _MAX_STEPS, 1_000_000)
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_COLLECTION // 4)
            database.create_collation("unicase", lambda one, other: (one > other) - (one < other))
            database.text_factory = partial(str, encoding="utf-8", errors="replace")
            database.execute("PRAGMA trusted_schema=OFF")
            database.execute("PRAGMA query_only=ON")
            yield database


def _unpacked(data: bytes, source: str) -> Iterator[bytes]:
    """Yield the newest collection; an older one beside it only says "please update"."""
    wrong = partial(DeckError, source=source)
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        name = next((name for name in _COLLECTIONS if name in package.NameToInfo), "")
        if not name:
            raise wrong("there is no Anki collection in it; export it from Anki as .apkg or .colpkg")
        member = package.getinfo(name)
        if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise wrong("the package is encrypted, or not packed by Anki; export it from Anki again")
        packed = min(member.compress_size, len(data))
        limit = min(MAX_COLLECTION, max(_HARMLESS, MAX_RATIO * packed))
        size = 0
        with package.open(member) as file:
            for chunk in _zstd(file) if name.endswith("b") else iter(partial(file.read, _CHUNK), b""):
                size += len(chunk)
                if max(size, member.file_size) > limit:
                    raise wrong(f"unpacks to more than {limit // 2**20} MB; export one deck of it alone")
                yield chunk


def _zstd(file: IO[bytes]) -> Iterator[bytes]:
    import zstandard

    try:
        with zstandard.ZstdDecompressor().stream_reader(file) as stream:
            yield from iter(partial(stream.read, _CHUNK), b"")
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None


def _package_notes(database: sqlite3.Connection) -> Iterator[_Note]:
    # A view or a computed column could keep us busy for ever.
    query = (
        "SELECT 1 FROM sqlite_master m, pragma_table_xinfo(m.name) c WHERE m.type = 'view' OR c.hidden > 0"
    )
    if database.execute(query).fetchone():
        raise ValueError("it holds a view or a computed column")
    types, decks = _types(database)
    homes: dict[object, str] = {}
    for row, deck in database.execute("SELECT nid, CASE WHEN odid THEN odid ELSE did END FROM cards"):
        homes.setdefault(row, decks.get(str(deck), ""))
    query = (
        "SELECT id, CAST(guid AS TEXT), CAST(tags AS TEXT), CAST(flds AS TEXT), mid FROM notes ORDER BY id"
    )
    for row, guid, tags, values, type_id in database.execute(query):
        name, labels, cloze = types.get(str(type_id), ("", (), False))
        fields = list(itertools.zip_longest(labels, (values or "").split("\x1f"), fillvalue=""))
        yield _Note(row, guid or "", name, fields, tags or "", homes.get(row, ""), cloze)


def _types(database: sqlite3.Connection) -> tuple[dict[str, tuple[str, Sequence[str], bool]], dict[str, str]]:
    """Return the note types, (name, fields, whether it is of clozes), and the names of the decks."""
    types: dict[str, tuple[str, Sequence[str], bool]] = {}
    models, decks = database.execute("SELECT models, decks FROM col").fetchone()
    if models:
        for key, model in json.loads(models).items():
            labels = [str(field["name"]) for field in model["flds"]]
            types[key] = (str(model["name"]), labels, model["type"] == 1)
        return types, {key: str(deck["name"]) for key, deck in json.loads(decks).items()}
    fields = list(database.execute("SELECT ntid, name FROM fields ORDER BY ntid, ord"))
    grouped = {
        key: [str(name) for _, name in rows] for key, rows in itertools.groupby(fields, lambda it: it[0])
    }
    for key, name, config in database.execute("SELECT id, name, config FROM notetypes"):
        # Protobuf; its first field is the kind, 1 for clozes.
        types[str(key)] = (str(name), grouped.get(key, ()), config.startswith(b"\x08\x01"))
    rows = database.execute("SELECT id, name FROM decks")
    return types, {str(key): str(name).replace("\x1f", "::") for key, name in rows}


def _reviews(database: sqlite3.Connection, ids: dict[tuple[int, int], str]) -> tuple[PastReview, ...]:
    rows = database.execute(
        "SELECT r.id, r.ease, r.time, c.nid, c.ord FROM revlog r JOIN cards c ON c.id = r.cid"
        " WHERE r.ease BETWEEN 1 AND 4 AND r.type IN (0, 1, 2) AND r.id BETWEEN 1 AND 4102444800000"
        f" ORDER BY r.id DESC LIMIT {MAX_REVIEWS}"
    )
    reviews = [
        PastReview(ids[row, ordinal], _EPOCH + timedelta(milliseconds=at), _RATINGS[ease], max(0, int(took)))
        for at, ease, took, row, ordinal in rows
        if (row, ordinal) in ids
    ]
    return tuple(reversed(reviews))


def _result(
    notes: Iterator[_Note], format: str, source: str, deck_id: str, stem: str
) -> tuple[ImportResult, dict[tuple[int, int], str]]:
    """Return the deck, and each card's id by its note's row and its ordinal there."""
    too_many = DeckError(f"a deck may have {MAX_CARDS} cards: export it in parts", source=source)
    read = list(itertools.islice(notes, MAX_CARDS + 1))
    decks = {note.deck for note in read}
    title = clean_line(min(decks, default="").split("::")[-1])[:500] if len(decks) == 1 else ""
    title = title or stem
    owners = {own[1] if (own := _OWN_GUID.fullmatch(note.guid)) else "" for note in read}
    deck_id = deck_id or (owners.pop() if len(owners) == 1 else "") or deck_id_from(title)
    media: Counter[str] = Counter()
    cards: dict[str, Card] = {}
    ids: dict[tuple[int, int], str] = {}
    skipped: list[Skipped] = []
    for number, note in enumerate(read, 1):
        for ordinal, card in _cards(note, media):
            if isinstance(card, str):
                skipped.append(Skipped(number, 0, card))
                continue
            keys = (f"{deck_id}:{key}" for key in _keys(note, ordinal, card.question))
            card_id = ids[note.row, ordinal] = next(key for key in keys if key not in cards)
            cards[card_id] = replace(card, id=card_id)
        if max(len(cards), number) > MAX_CARDS:
            raise too_many
    if not cards:
        raise DeckError("there are no notes with a question and an answer in words", source=source)
    remarks = [f"{count} {what} left out" for what, count in media.items() if count]
    deck = Deck(deck_id, title or deck_id, tuple(cards.values()))
    return ImportResult(deck, tuple(skipped), format, tuple(remarks)), ids


def _keys(note: _Note, ordinal: int, question: str) -> Iterator[str]:
    """Yield the key of a card, and others for where it is taken."""
    digest = hashlib.sha256(note.guid.encode("utf-8", "replace")).hexdigest()[:12]
    key = f"n-{digest}-c{ordinal + 1}" if note.cloze else f"n-{digest}"
    if not note.guid:
        key = key_of(question)
    elif own := _OWN_GUID.fullmatch(note.guid):
        yield own[2]
    yield key
    yield from (f"{key}-{count}" for count in itertools.count(2))


def _cards(note: _Note, media: Counter[str]) -> list[tuple[int, Card | str]]:
    """Return each card of a note with its ordinal; in place of a card, why it is none."""
    if "image occlusion" in note.type.casefold() or "::image-occlusion:" in note.fields[0][1]:
        return [(0, "an image occlusion; only words can be asked here")]
    if max(len(value) for _, value in note.fields) > _MAX_FIELD:
        return [(0, f"a field of more than {_MAX_FIELD} characters")]
    kept = None
    texts: list[str] = []
    for label, value in note.fields:
        if label == _OWN or value.startswith(_OWN_JSON):
            kept = _kept(value)
        elif label != "Add Reverse":
            text, count = to_text(value) if note.html else (clean(value), 0)
            texts.append(text)
            media["pictures and sounds were"] += count
    tags = tuple(dict.fromkeys(tag for word in note.tags.split() if (tag := clean_line(word)[:500])))
    tags = tags[:MAX_POINTS]
    if note.cloze:
        clozed = next((at for at, text in enumerate(texts) if _CLOZE_START.search(text)), 0)
        question = texts.pop(clozed)
        return _clozes(question, _footnote(texts), tags)
    question, answer, *rest = [*texts, "", ""]
    card = _merged(kept, question, answer, _footnote(rest), tags) if kept else None
    return [(0, card or _card(question, answer, _footnote(rest), tags))]


def _footnote(texts: Sequence[str]) -> str:
    return clean("\n".join(text for text in texts if text)[:MAX_TEXT])


def _card(question: str, answer: str, footnote: str, tags: tuple[str, ...]) -> Card | str:
    if not question or not answer:
        return f"no {'answer' if question else 'question'} in words"
    if max(len(question), len(answer)) > MAX_TEXT:
        return f"a text of more than {MAX_TEXT} characters"
    kind = derive.kind_of(question, answer)
    reference = page_dump._reference(answer, kind)
    points = derive.points_of(question, reference, kind)
    if len(points) > MAX_POINTS:
        return f"lists {len(points)} things; a card may have {MAX_POINTS}"
    return Card("", question, reference, kind, points, (), footnote, tags)


def _clozes(text: str, footnote: str, tags: tuple[str, ...]) -> list[tuple[int, Card | str]]:
    numbers = {int(number) for start in _CLOZE_START.findall(text) for number in start.split(",") if number}
    if not numbers or len(numbers) > _MAX_CLOZES or len(text) > MAX_TEXT:
        return [(0, f"no cloze, more than {_MAX_CLOZES}, or more than {MAX_TEXT} characters")]
    made: list[tuple[int, Card | str]] = []
    for number in sorted(numbers):
        question, answers = _blanked(text, str(number))
        found = [point for answer in answers for point in derive.points_of("", answer, Kind.CLOZE)]
        points = tuple({point.text.casefold(): point for point in found}.values())[:MAX_POINTS]
        card = Card("", question, "; ".join(answers), Kind.CLOZE, points, (), footnote, tags)
        made.append((number - 1, card if answers else f"cloze {number} hides no words"))
    return made


def _blanked(text: str, number: str) -> tuple[str, list[str]]:
    """Return the text with one cloze's deletions blanked, and what they hide."""
    answers: list[str] = []

    def fill(found: re.Match[str]) -> str:
        hidden, _, hint = found[2].partition("::")
        if number not in found[1].split(","):
            return hidden
        answers.append(clean(hidden))
        return f"___ ({hint.strip()})" if hint.strip() else "___"

    # From the inside out: a deletion may hold others.
    while (filled := _CLOZE.sub(fill, text)) != text:
        text = filled
    return clean(text), [answer for answer in answers if answer]


def _kept(field: str) -> Card | None:
    """Return the card that `write` put in a note, or None where the JSON is not as it wrote it."""
    try:
        data = json.loads(html.unescape(field))
        if not isinstance(data, dict) or set(data) != {_OWN, "card"} or data[_OWN] != 1:
            return None
        reader = toml_format._Reader("", "")
        reader.explicit_keys([data["card"]])
        return reader.one_card(data["card"], "", KeyMaker())
    except (DeckError, ValueError, RecursionError):
        return None


def _merged(kept: Card, question: str, answer: str, footnote: str, tags: tuple[str, ...]) -> Card | None:
    """Return `kept` with what has been edited in Anki since; None where that is the answer."""
    pairs = zip(_fields(kept), (question, answer, footnote), strict=True)
    same = [_letters(to_text(before)[0]) == _letters(after) for before, after in pairs]
    if not same[1] or not 0 < len(question) <= MAX_TEXT:
        return None
    question, footnote = kept.question if same[0] else question, kept.footnote if same[2] else footnote
    tags = kept.tags if set(_anki_tags(kept)) == set(tags) else tags
    return replace(kept, question=question, footnote=footnote, tags=tags)


def _letters(text: str) -> str:
    return re.sub(r"[\s•]+", "", text)


def write(deck: Deck) -> bytes:
    """Return `deck` as an .apkg; importing it again updates its notes."""
    import genanki

    model = genanki.Model(
        1_719_352_847,
        _OWN,
        fields=[{"name": name} for name in ("Front", "Back", "Footnote", _OWN)],
        templates=[{"name": "Card 1", "qfmt": "{{Front}}", "afmt": _BACK}],
        css=_CSS,
    )
    number = 2**40 + int.from_bytes(hashlib.sha256(deck.id.encode()).digest()[:4])
    written = genanki.Deck(number, _anki_deck(deck), html.escape(clean(deck.description)))
    for due, card in enumerate(deck.cards):
        table = toml_format._card_table(card, deck.id)
        del table["id"]
        kept = json.dumps({_OWN: 1, "card": table}, separators=(",", ":"))
        # Anki's editor must not take any of it for HTML.
        kept = kept.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")
        fields, guid = [*_fields(card), kept], f"{_OWN}:{card.id}"
        written.add_note(genanki.Note(model, fields, tags=_anki_tags(card), guid=guid, due=due))
    now = time.time()
    file = io.BytesIO()
    with closing(sqlite3.connect(":memory:")) as database, zipfile.ZipFile(file, "w", 8) as package:
        # Package.write_to_file would leave a temporary file behind.
        genanki.Package(written).write_to_db(database.cursor(), now, itertools.count(int(now * 1000)))
        database.commit()
        package.writestr("collection.anki2", database.serialize())
        package.writestr("media", "{}")
    return file.getvalue()


def _fields(card: Card) -> tuple[str, str, str]:
    """Return the front, the back and the footnote of a card's note as HTML."""
    intro, items = _answer(card)
    mark = "ol" if card.kind is Kind.ORDERED_LIST else "ul"
    bullets = "".join(f"<li>{_escaped(item)}</li>" for item in items)
    back = _escaped(intro) + (f"<{mark}>{bullets}</{mark}>" if items else "")
    return _escaped(card.question), back, _escaped(card.footnote)


def _escaped(text: str) -> str:
    return html.escape(clean(text), quote=False).replace("\n", "<br>")


def _answer(card: Card) -> tuple[str, tuple[str, ...]]:
    """Return a reference as (text, bullets): those of its own, else a list's key points."""
    if card.kind not in (Kind.LIST, Kind.ORDERED_LIST):
        return card.reference, ()
    intro, items = derive.split_list(card.reference)
    return (intro, items) if items else (card.reference, tuple(point.text for point in card.points))


def _anki_tags(card: Card) -> list[str]:
    return ["_".join(tag.split()) for tag in card.tags]


def _anki_deck(deck: Deck) -> str:
    return re.sub(":{2,}", ":", clean_line(deck.title)) or deck.id


def looks_like_notes(text: str) -> bool:
    """Say whether `text` begins with a header line of Anki's."""
    return bool(_header(text)[0])


def _header(text: str) -> tuple[dict[str, str], int]:
    """Return the header's values, and the number of its lines."""
    header: dict[str, str] = {}
    number = 0
    for number, line in enumerate(io.StringIO(text.removeprefix("\ufeff"))):  # noqa: B007
        if not line.startswith("#"):
            break
        name, colon, value = line[1:].partition(":")
        if colon and name.strip().casefold() in _HEADERS:
            header.setdefault(name.strip().casefold(), value.rstrip("\r\n"))
    return header, number


def parse_notes(text: str, *, source: str, deck_id: str, stem: str) -> ImportResult:
    """Read Anki's "Notes in Plain Text". Raises DeckError with the line for bad quotes."""
    header, start = _header(text)
    given = header.get("separator", "tab")
    delimiter = _DELIMITERS.get(given.strip().casefold()) or (given.strip() or given)[:1]
    if not header or delimiter not in _DELIMITERS.values():
        raise DeckError(f"the first line must be #separator: and {' or '.join(_DELIMITERS)}", source=source)
    reader = csv.reader(
        io.StringIO(text.removeprefix("\ufeff"), newline=None), delimiter=delimiter, strict=True
    )
    try:
        return _result(_text_notes(header, reader), "anki-notes", source, deck_id, stem)[0]
    except csv.Error as error:
        message = f"this row cannot be read ({error}); check its quotes"
        raise DeckError(message, source=source, line=reader.line_num) from None


def write_notes(deck: Deck) -> str:
    """Return `deck` as text that Anki imports, without the kinds and key points of its cards."""
    file = io.StringIO()
    file.write("#separator:tab\n#html:false\n#columns:Front\tBack\tFootnote\tTags\tGuid\n")
    file.write(f"#tags column:4\n#guid column:5\n#deck:{_anki_deck(deck)}\n")
    # Quoted, as a line that begins with # is a comment.
    rows = csv.writer(file, "excel-tab", lineterminator="\n", quoting=csv.QUOTE_ALL)
    for card in deck.cards:
        intro, items = _answer(card)
        back = "\n".join([*([intro] if intro else []), *(f"- {item}" for item in items)])
        cells = map(clean, (card.question, back, card.footnote, " ".join(_anki_tags(card))))
        rows.writerow([*cells, f"{_OWN}:{card.id}"])
    return file.getvalue()
