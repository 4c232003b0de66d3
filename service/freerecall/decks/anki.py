"""Anki's packages (.apkg, .colpkg; all layouts) and its "Notes in Plain Text". Nothing in them is trusted.

A note written here has its card's id for a guid, and JSON of what Anki has no place for in a hidden field.
"""

import csv
import hashlib
import html
import io
import itertools
import json
import re
import sqlite3
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from freerecall import derive
from freerecall.cards import Card, Deck, Kind, PastReview
from freerecall.decks import page_dump, toml_format
from freerecall.decks.markup import to_text
from freerecall.decks.result import MAX_CARDS, MAX_POINTS, MAX_TEXT, ImportResult, Skipped
from freerecall.decks.text import KeyMaker, clean, clean_line, deck_id_from, key_of
from freerecall.errors import DeckError

MAX_COLLECTION = 512 * 2**20  # Bytes unpacked; beyond 50 MB, also at most 200 times what is packed.
_MAX_FIELD = 100_000  # Characters; the parser's time for HTML grows with the square of its depth.
_COLLECTIONS = ("collection.anki21b", "collection.anki21", "collection.anki2")
_REVLOG = """
    SELECT r.id, ease + (ease > 1), max(time, 0), nid, ord FROM revlog r JOIN cards c ON c.id = cid
    WHERE ease IN (1, 2, 3, 4) AND r.type IN (0, 1, 2) AND r.id BETWEEN 1 AND 4102444800000
    ORDER BY r.id DESC LIMIT 1000000"""
_CLOZE = re.compile(r"\{\{c([\d,]{1,50})::((?:(?!\{\{c\d|\}\}).)*)\}\}", re.DOTALL)
_CLOZE_START = re.compile(r"\{\{c([1-9][\d,]{0,49})::")
_BULLETS = re.compile(r"[\s•]+")
_OWN = "freerecall"
_OWN_GUID = re.compile(f"freerecall:({toml_format.DECK_ID.pattern}):({toml_format.CARD_KEY.pattern})")
_BACK = "{{FrontSide}}<hr id=answer>{{Back}}{{#Footnote}}<p><small>{{Footnote}}</small></p>{{/Footnote}}"
_CSS = ".card { font-size: 20px; text-align: center } ol, ul { display: inline-block; text-align: left }"
_COLUMNS = ("guid", "notetype", "deck", "tags")
_HEADERS = {"separator", "html", "columns", "if matches", *_COLUMNS[1:], *(f"{it} column" for it in _COLUMNS)}
_DELIMITERS = {"tab": "\t", "pipe": "|", "semicolon": ";", "colon": ":", "comma": ",", "space": " "}
_HTML = re.compile(r"</?[a-zA-Z][^<>]*>|&(?:#\d+|[a-zA-Z]+);")
_Result = tuple[ImportResult, dict[tuple[int, ...], str]]


class _Note(NamedTuple):
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
        return not zipfile.ZipFile(io.BytesIO(data)).NameToInfo.keys().isdisjoint(_COLLECTIONS)
    except Exception:
        return False


def parse(data: bytes, *, source: str, deck_id: str, stem: str) -> ImportResult:
    """Read an .apkg or .colpkg. Raises DeckError where it is damaged, encrypted, or too large unpacked."""
    try:
        with _collection(data, source) as database:
            result, ids = _result(_package_notes(database), "anki", source, deck_id, stem)
            reviews = [
                PastReview(ids[card], datetime.fromtimestamp(at / 1000, UTC), int(rating), int(took))
                for at, rating, took, *place in database.execute(_REVLOG)
                if (card := tuple(place)) in ids
            ]
            return replace(result, reviews=tuple(reversed(reviews)))
    except DeckError:
        raise
    except Exception as error:  # Whatever bytes from strangers make four libraries raise.
        message = f"this is no sound Anki package ({clean_line(str(error))[:200]}); export it from Anki again"
        raise DeckError(message, source=source) from None


@contextmanager
def _collection(data: bytes, source: str) -> Iterator[sqlite3.Connection]:
    with tempfile.TemporaryDirectory(prefix="freerecall-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "collection.db"
        with path.open("wb") as file:
            file.writelines(_unpacked(data, source))
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            database.set_progress_handler(partial(next, iter([0] * 1000), 1), 1_000_000)
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 32 * 2**20)
            database.text_factory = partial(str, encoding="utf-8", errors="replace")
            database.executescript("PRAGMA trusted_schema=OFF; PRAGMA query_only=ON")
            yield database


def _unpacked(data: bytes, source: str) -> Iterator[bytes]:
    """Yield the newest collection; an older one beside it only says "please update"."""
    import zstandard

    wrong = partial(DeckError, source=source)
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        name = next((name for name in _COLLECTIONS if name in package.NameToInfo), "")
        if not name:
            raise wrong("there is no Anki collection in it; export it from Anki as .apkg or .colpkg")
        member = package.getinfo(name)
        if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise wrong("the package is encrypted, or not packed by Anki; export it from Anki again")
        limit = min(MAX_COLLECTION, max(50 * 2**20, 200 * min(member.compress_size, len(data))))
        size = 0
        with package.open(member) as file:
            stream = zstandard.ZstdDecompressor().stream_reader(file) if name.endswith("b") else file
            for chunk in iter(partial(stream.read, 2**20), b""):
                size += len(chunk)
                if max(size, member.file_size) > limit:
                    raise wrong(f"unpacks to more than {limit // 2**20} MB; export one deck of it alone")
                yield chunk


def _package_notes(database: sqlite3.Connection) -> Iterator[_Note]:
    # A view or a computed column could keep us busy for ever.
    query = "SELECT 1 FROM sqlite_master m, pragma_table_xinfo(m.name) c WHERE m.type = 'view' OR c.hidden"
    if database.execute(query).fetchone():
        raise ValueError("it holds a view or a computed column")
    types: dict[str, tuple[str, Sequence[str], bool]] = {}
    models, decks = database.execute("SELECT models, decks FROM col").fetchone()
    if models:
        for key, model in json.loads(models).items():
            types[key] = (str(model["name"]), [str(it["name"]) for it in model["flds"]], model["type"] == 1)
        names = {key: str(deck["name"]) for key, deck in json.loads(decks).items()}
    else:
        labels: dict[object, list[str]] = {}
        for key, label in database.execute("SELECT ntid, name FROM fields ORDER BY ntid, ord"):
            labels.setdefault(key, []).append(str(label))
        for key, name, config in database.execute("SELECT id, name, config FROM notetypes"):
            # Protobuf, which begins with the kind: 1 for clozes.
            types[str(key)] = (str(name), labels.get(key, ()), config.startswith(b"\x08\x01"))
        rows = database.execute("SELECT id, replace(name, char(31), '::') FROM decks")
        names = {str(key): str(name) for key, name in rows}
    rows = database.execute("SELECT nid, iif(odid, odid, did) FROM cards ORDER BY ord DESC")
    homes = {row: names.get(str(deck), "") for row, deck in rows}
    for row, *texts, key in database.execute("SELECT id, guid, tags, flds, mid FROM notes ORDER BY id"):
        guid, tags, values = (str(text or "") for text in texts)
        name, labels_of, cloze = types.get(str(key), ("", (), False))
        fields = list(itertools.zip_longest(labels_of, values.split("\x1f"), fillvalue=""))
        yield _Note(row, guid, name, fields, tags, homes.get(row, ""), cloze)


def _result(notes: Iterable[_Note], format: str, source: str, deck_id: str, stem: str) -> _Result:
    """Return the deck, and each card's id by its note's row and its ordinal there."""
    read = list(itertools.islice(notes, MAX_CARDS + 1))
    names = {note.deck for note in read}
    title = (clean_line(names.pop().split("::")[-1])[:500] if len(names) == 1 else "") or stem or "Anki"
    owners = {own[1] if (own := _OWN_GUID.fullmatch(note.guid)) else "" for note in read}
    deck_id = deck_id or (owners.pop() if len(owners) == 1 else "") or deck_id_from(title)
    media: list[int] = []
    cards: dict[str, Card] = {}
    ids: dict[tuple[int, ...], str] = {}
    skipped: list[Skipped] = []
    keys: Counter[str] = Counter()
    for number, note in enumerate(read, 1):
        for ordinal, card in _cards(note, media):
            if isinstance(card, str):
                skipped.append(Skipped(number, 0, card))
                continue
            card_id = ids[note.row, ordinal] = f"{deck_id}:{_key(note, ordinal, card.question, keys)}"
            cards[card_id] = replace(card, id=card_id)
        if len(cards) + len(skipped) > MAX_CARDS:
            raise DeckError(f"a deck may have {MAX_CARDS} cards: export it in parts", source=source)
    if not cards:
        raise DeckError("there are no notes with a question and an answer in words", source=source)
    remarks = (f"pictures and sounds left out: {sum(media)}",) if any(media) else ()
    return ImportResult(Deck(deck_id, title, tuple(cards.values())), tuple(skipped), format, remarks), ids


def _key(note: _Note, ordinal: int, question: str, taken: Counter[str]) -> str:
    digest = hashlib.sha256(note.guid.encode("utf-8", "replace")).hexdigest()[:12]
    plain = f"n-{digest}{f'-c{ordinal + 1}' if note.cloze else ''}" if note.guid else key_of(question)
    own = _OWN_GUID.fullmatch(note.guid)
    key = plain = own[2] if own and own[2] not in taken else plain
    while key in taken:
        taken[plain] += 1
        key = f"{plain}-{taken[plain]}"
    taken[key] = 1
    return key


def _cards(note: _Note, media: list[int]) -> list[tuple[int, Card | str]]:
    """Return each card of a note with its ordinal; in place of a card, why it is none."""
    if "image occlusion" in note.type.casefold() or "::image-occlusion:" in note.fields[0][1]:
        return [(0, "an image occlusion; only words can be asked here")]
    if any(len(value) > _MAX_FIELD for label, value in note.fields if label != _OWN):
        return [(0, f"a field of more than {_MAX_FIELD} characters")]
    own, texts = "", []
    for at, (label, value) in enumerate(note.fields):
        if label == _OWN or (not label and at >= 3 and value.startswith('{"freerecall":1,')):
            own = value
        elif label != "Add Reverse":
            text, count = to_text(value) if note.html else (clean(value), 0)
            texts.append(text)
            media.append(count)
    tags = tuple(dict.fromkeys(filter(None, map(clean_line, note.tags[:MAX_TEXT].split()))))[:MAX_POINTS]
    asked = next((at for at, text in enumerate(texts) if note.cloze and _CLOZE_START.search(text)), 0)
    question = texts.pop(asked) if texts else ""
    answer = texts.pop(0) if texts and not note.cloze else ""
    footnote = clean("\n".join(filter(None, texts))[:MAX_TEXT])
    if note.cloze:
        return _clozes(question, footnote, tags)
    card = _kept(own, question, answer, footnote, tags) if own else None
    return [(0, card or _card(question, answer, footnote, tags))]


def _card(question: str, answer: str, footnote: str, tags: tuple[str, ...]) -> Card | str:
    if not question or not answer:
        return f"no {'answer' if question else 'question'} in words"
    if max(len(question), len(answer)) > MAX_TEXT:
        return f"a text of more than {MAX_TEXT} characters"
    kind = derive.kind_of(question, answer)
    reference = page_dump.as_reference(answer, kind)
    points = derive.points_of(question, reference, kind)
    if len(points) > MAX_POINTS:
        return f"lists {len(points)} things; a card may have {MAX_POINTS}"
    return Card("", question, reference, kind, points, (), footnote, tags)


def _clozes(text: str, footnote: str, tags: tuple[str, ...]) -> list[tuple[int, Card | str]]:
    numbers = {int(one) for mark in _CLOZE_START.findall(text) for one in re.findall(r"[1-9][0-9]*", mark)}
    if not 0 < len(numbers) <= MAX_POINTS or len(text) > MAX_TEXT:
        return [(0, f"no cloze, or more than {MAX_POINTS}, or more than {MAX_TEXT} characters")]
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
        answers.append(clean(hidden.replace("___", "")))
        return f"___ ({hint.strip()})" if hint.strip() else "___"

    for _ in range(8):  # From the inside out, as a deletion may hold others.
        text = _CLOZE.sub(fill, text)
    return clean(text), list(filter(None, answers))


def _kept(own: str, question: str, answer: str, footnote: str, tags: tuple[str, ...]) -> Card | None:
    """Return the card that `write` kept, as edited since; None if odd, or if its answer was edited."""
    try:
        data = json.loads(html.unescape(own))
        reader = toml_format.TableReader("", "")
        reader.explicit_keys([data["card"]])
        card = reader.one_card(data["card"], "", KeyMaker())
    except (DeckError, ValueError, LookupError, TypeError, RecursionError):
        return None
    pairs = zip(_fields(card), (question, answer, footnote), strict=True)
    same = [_BULLETS.sub("", to_text(before)[0]) == _BULLETS.sub("", after) for before, after in pairs]
    if not same[1] or not 0 < len(question) <= MAX_TEXT:
        return None
    question, footnote = card.question if same[0] else question, card.footnote if same[2] else footnote
    tags = card.tags if set(_anki_tags(card)) == set(tags) else tags
    return replace(card, question=question, footnote=footnote, tags=tags)


def write(deck: Deck) -> bytes:
    """Return `deck` as an .apkg; importing it again updates its notes."""
    import genanki

    names = [{"name": name} for name in ("Front", "Back", "Footnote", _OWN)]
    templates = [{"name": "Card 1", "qfmt": "{{Front}}", "afmt": _BACK}]
    model = genanki.Model(1_719_352_847, _OWN, names, templates, _CSS)
    number = 2**40 + int.from_bytes(hashlib.sha256(deck.id.encode()).digest()[:4])
    written = genanki.Deck(number, deck.title.replace("::", ": "), html.escape(clean(deck.description)))
    for due, card in enumerate(deck.cards):
        table = toml_format.card_table(card, deck.id)
        kept = html.escape(json.dumps({_OWN: 1, "card": table}, separators=(",", ":")), False)
        fields, guid = [*_fields(card), kept], f"{_OWN}:{card.id}"
        written.add_note(genanki.Note(model, fields, tags=_anki_tags(card), guid=guid, due=due))
    file, numbers = io.BytesIO(), itertools.count(time.time_ns() // 1_000_000)
    with closing(sqlite3.connect(":memory:")) as database, zipfile.ZipFile(file, "w", 8) as package:
        # Package.write_to_file would leave a temporary file behind.
        genanki.Package(written).write_to_db(database.cursor(), time.time(), numbers)
        database.commit()
        package.writestr("collection.anki2", database.serialize())
        package.writestr("media", "{}")
    return file.getvalue()


def _fields(card: Card) -> tuple[str, str, str]:
    """Return the front, the back and the footnote of a card's note as HTML."""
    intro, items = _answer(card)
    plain = (card.question, intro, card.footnote, *items)
    front, back, footnote, *items_html = (html.escape(clean(it), False).replace("\n", "<br>") for it in plain)
    mark = "ol" if card.kind is Kind.ORDERED_LIST else "ul"
    bullets = "".join(f"<li>{item}</li>" for item in items_html)
    return front, f"{back}<{mark}>{bullets}</{mark}>" if items else back, footnote


def _answer(card: Card) -> tuple[str, tuple[str, ...]]:
    """Return a reference as (text, bullets): those of its own, else a list's key points."""
    if card.kind not in (Kind.LIST, Kind.ORDERED_LIST):
        return card.reference, ()
    intro, items = derive.split_list(card.reference)
    return (intro, items) if items else (card.reference, tuple(point.text for point in card.points))


def _anki_tags(card: Card) -> list[str]:
    return ["_".join(tag.split()) for tag in card.tags]


def looks_like_notes(text: str) -> bool:
    """Say whether `text` begins with a header line of Anki's."""
    return bool(_header(text)[0])


def _header(text: str) -> tuple[dict[str, str], list[str], int]:
    """Return the header's values, all lines, and the number of those of the header."""
    lines = io.StringIO(text.removeprefix("\ufeff"), newline=None).readlines()
    size = next((at for at, line in enumerate(lines) if not line.startswith("#")), len(lines))
    pairs = (line[1:].rstrip("\n").partition(":")[::2] for line in lines[:size])
    header = {key: it.strip() or it for name, it in pairs if it and (key := name.casefold()) in _HEADERS}
    return header, lines, size


def parse_notes(text: str, *, source: str, deck_id: str, stem: str) -> ImportResult:
    """Read Anki's "Notes in Plain Text". Raises DeckError with the line for bad quotes."""
    header, lines, size = _header(text)
    given = header.get("separator", "tab")
    delimiter = _DELIMITERS.get(given.casefold(), given)
    if not header or delimiter not in _DELIMITERS.values():
        raise DeckError(f"the first line must be #separator: and {' or '.join(_DELIMITERS)}", source=source)
    columns = {header.get(f"{name} column"): name for name in _COLUMNS}
    is_html = header["html"].casefold() == "true" if "html" in header else bool(_HTML.search(text))
    notes: list[_Note] = []
    reader = csv.reader(lines[size:], delimiter=delimiter, strict=True)
    try:
        for row, cells in enumerate(filter(any, reader)):
            places = {columns.get(str(at), at): cell for at, cell in enumerate(cells, 1)}
            fields = [("", cell) for at, cell in places.items() if isinstance(at, int)] or [("", "")]
            guid, note_type, deck, tags = (places.get(name) or header.get(name, "") for name in _COLUMNS)
            tags = f"{tags} {header.get('tags', '')}"
            cloze = bool(_CLOZE.search(fields[0][1])) and not _OWN_GUID.fullmatch(guid)
            notes.append(_Note(row, guid, note_type, fields, tags, deck, cloze, is_html))
    except csv.Error as error:
        line = size + reader.line_num
        raise DeckError(f"no row of notes ({error}); check its quotes", source=source, line=line) from None
    return _result(notes, "anki-notes", source, deck_id, stem)[0]


def write_notes(deck: Deck) -> str:
    """Return `deck` as text that Anki imports, without the kinds and key points of its cards."""
    file = io.StringIO()
    file.write("#separator:tab\n#html:false\n#columns:Front\tBack\tFootnote\tTags\tGuid\n")
    file.write(f"#tags column:4\n#guid column:5\n#deck:{clean_line(deck.title).replace('::', ': ')}\n")
    # Quoted, as a line that begins with # is a comment.
    rows = csv.writer(file, "excel-tab", lineterminator="\n", quoting=csv.QUOTE_ALL)
    for card in deck.cards:
        intro, items = _answer(card)
        back = "\n".join([*([intro] if intro else []), *(f"- {item}" for item in items)])
        cells = map(clean, (card.question, back, card.footnote, " ".join(_anki_tags(card))))
        rows.writerow([*cells, f"{_OWN}:{card.id}"])
    return file.getvalue()
