"""Anki's files, made and read back by the real anki package."""

import csv
import io
import json
import sqlite3
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from freerecall import library
from freerecall.cards import Card, Deck, KeyPoint, Kind
from freerecall.decks import anki as anki_format
from freerecall.decks import bundled_decks, read_deck, result
from freerecall.decks.result import ImportResult
from freerecall.errors import DeckError
from freerecall.store import Store
from fuzzing import examples

pytest.importorskip("anki")

from anki.collection import (
    Collection,
    DeckIdLimit,
    ExportAnkiPackageOptions,
    ImportAnkiPackageOptions,
    ImportAnkiPackageRequest,
    ImportCsvRequest,
)
from anki.decks import DeckId
from anki.notes import Note
from anki.scheduler.v3 import CardAnswer, Scheduler

LAYOUTS = ("new.apkg", "legacy.apkg", "new.colpkg", "legacy.colpkg")

LIST = "<div>It has:</div><ul><li>Flour</li><li>Water &amp; salt</li><li><b>Yeast</b></li></ul>"
CLOZE = (
    'Water is {{c1::H<sub>2</sub>O::formula}}, {{c2::wet}} and {{c1::clear}}.<br><img src="a.png">'
    "&lt;b&gt; {{c3::outer {{c4::inner}} end}}"
)


@dataclass(frozen=True)
class Made:
    """What the real anki wrote: each package, each text, and the answers that were given."""

    packages: dict[str, bytes]
    texts: dict[str, str]
    reviews: list[tuple[str, int, int]]
    """(start of the question, ordinal, Anki's button), in the order of time."""


def add(col: Collection, deck: DeckId, note_type: str, fields: list[str], tags: str = "") -> Note:
    model = col.models.by_name(note_type)
    assert model is not None
    note = col.new_note(model)
    note.fields = fields + [""] * (len(note.fields) - len(fields))
    note.tags = tags.split()
    col.add_note(note, deck)
    return note


def press(col: Collection, note: Note, ordinal: int, button: int) -> None:
    assert isinstance(col.sched, Scheduler)
    card = note.cards()[ordinal]
    card.start_timer()
    states = col._backend.get_scheduling_states(card.id)
    rating = (CardAnswer.AGAIN, CardAnswer.HARD, CardAnswer.GOOD, CardAnswer.EASY)[button - 1]
    col.sched.answer_card(col.sched.build_answer(card=card, states=states, rating=rating))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("anki")
    col = Collection(str(folder / "collection.anki2"))
    deck = col.decks.id("School::Kitchen Chemistry")
    assert deck is not None
    (folder / "collection.media").mkdir(exist_ok=True)
    (folder / "collection.media" / "a.png").write_bytes(b"not really a picture")
    water = add(
        col, deck, "Basic", ["What is <i>water</i>?", "H<sub>2</sub>O &lt;liquid&gt;"], "basics wet::very"
    )
    both = add(col, deck, "Basic (and reversed card)", ["Salt, in symbols?", "NaCl"])
    add(col, deck, "Basic (optional reversed card)", ["Sugar tastes how?", "Sweet", "y"])
    dough = add(col, deck, "Basic", ["What does a dough have?", LIST])
    cloze = add(col, deck, "Cloze", [CLOZE, "More &amp; more.[sound:b.mp3]"], "cloze")
    add(col, deck, "Basic", ['<img src="a.png">', "only a picture"])
    add(col, deck, "Basic", ["No answer here?", "[sound:b.mp3]<script>alert(1)</script>"])
    add(col, deck, "Image Occlusion", ["{{c1::image-occlusion:rect:left=.1:top=.1}}", '<img src="a.png">'])
    add(col, deck, "Basic", ["Quotes?", 'A "quoted"\ttab'])
    pressed = [
        (water, 0, 1),
        (both, 1, 4),
        (both, 0, 2),
        (cloze, 0, 3),
        (cloze, 1, 4),
        (dough, 0, 3),
        (water, 0, 3),
    ]
    for note, ordinal, button in pressed:
        press(col, note, ordinal, button)
    col.sched.set_due_date([dough.cards()[0].id], "3")
    assert col.db is not None
    cram = (1_600_000_000_000, dough.cards()[0].id, -1, 3, 1, 1, 0, 900, 3)
    col.db.execute("INSERT INTO revlog VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", *cram)
    texts = {}
    for html in (True, False):
        path = folder / "notes.txt"
        extras = dict.fromkeys(("with_tags", "with_deck", "with_notetype", "with_guid"), html)
        col.export_note_csv(out_path=str(path), limit=None, with_html=html, **extras)
        texts["html" if html else "plain"] = path.read_text("utf-8")
    packages = {}
    for name in LAYOUTS:
        path = folder / name
        if name.endswith(".apkg"):
            options = ExportAnkiPackageOptions(
                with_scheduling=True, with_deck_configs=True, with_media=True, legacy="legacy" in name
            )
            col.export_anki_package(out_path=str(path), options=options, limit=DeckIdLimit(deck))
        else:
            col.export_collection_package(str(path), include_media=True, legacy="legacy" in name)
            col.reopen()
        packages[name] = path.read_bytes()
    reviews = [(note.fields[0][:5], ordinal, button) for note, ordinal, button in pressed]
    col.close()
    return Made(packages, texts, reviews)


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[Collection]:
    col = Collection(str(tmp_path / "collection.anki2"))
    yield col
    col.close()


def parse(data: bytes, *, deck_id: str = "", stem: str = "export") -> ImportResult:
    return anki_format.parse(data, source=f"{stem}.apkg", deck_id=deck_id, stem=stem)


def parse_notes(text: str, *, stem: str = "notes") -> ImportResult:
    return anki_format.parse_notes(text, source=f"{stem}.txt", deck_id="", stem=stem)


def points(card: Card) -> list[str]:
    return [point.text for point in card.points]


def by_start(found: ImportResult, start: str) -> list[Card]:
    return [card for card in found.deck.cards if card.question.startswith(start)]


def import_package(col: Collection, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "written.apkg"
    path.write_bytes(data)
    request = ImportAnkiPackageRequest(package_path=str(path), options=ImportAnkiPackageOptions())
    col.import_anki_package(request)


def export(col: Collection, tmp_path: Path, *, legacy: bool = False) -> bytes:
    path = tmp_path / "exported.apkg"
    options = ExportAnkiPackageOptions(with_scheduling=True, legacy=legacy)
    col.export_anki_package(out_path=str(path), options=options, limit=None)
    return path.read_bytes()


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_the_same_deck(made: Made, name: str) -> None:
    assert anki_format.looks_like(made.packages[name])
    found = parse(made.packages[name])
    assert found == parse(made.packages["new.apkg"])
    assert (found.deck.id, found.deck.title, found.format) == (
        "kitchen-chemistry",
        "Kitchen Chemistry",
        "anki",
    )
    assert [card.question for card in found.deck.cards] == [
        "What is water?",
        "Salt, in symbols?",
        "Sugar tastes how?",
        "What does a dough have?",
        "Water is ___ (formula), wet and ___.\n<b> outer inner end",
        "Water is H2O, ___ and clear.\n<b> outer inner end",
        "Water is H2O, wet and clear.\n<b> ___",
        "Water is H2O, wet and clear.\n<b> outer ___ end",
        "Quotes?",
    ]


def test_the_cards_of_each_note_type(made: Made) -> None:
    water, salt, sugar, dough, first, second, outer, inner, quotes = parse(
        made.packages["new.apkg"]
    ).deck.cards
    assert (water.reference, water.tags, water.kind) == (
        "H2O <liquid>",
        ("basics", "wet::very"),
        Kind.DEFINITION,
    )
    assert (salt.reference, salt.footnote) == ("NaCl", "")
    assert (sugar.reference, sugar.footnote) == ("Sweet", "")
    assert dough.kind is Kind.LIST
    assert dough.reference == "It has:\n- Flour\n- Water & salt\n- Yeast"
    assert points(dough) == ["Flour", "Water & salt", "Yeast"]
    assert (first.reference, points(first), first.kind) == ("H2O; clear", ["H2O", "clear"], Kind.CLOZE)
    assert (second.reference, outer.reference, inner.reference) == ("wet", "outer inner end", "inner")
    assert {card.footnote for card in (first, second, outer, inner)} == {"More & more."}
    assert first.tags == ("cloze",)
    assert quotes.reference == 'A "quoted" tab'


def test_what_is_left_out_is_told(made: Made) -> None:
    found = parse(made.packages["new.apkg"])
    assert [(one.number, one.line) for one in found.skipped] == [(6, 0), (7, 0), (8, 0)]
    no_question, no_answer, occlusion = (one.reason for one in found.skipped)
    assert "question" in no_question
    assert "answer" in no_answer
    assert "occlusion" in occlusion
    assert found.notes == ("pictures and sounds left out: 4",)
    assert "alert" not in repr(found)


def test_ids_come_from_the_guids(made: Made) -> None:
    found = parse(made.packages["new.apkg"])
    ids = [card.id for card in found.deck.cards]
    assert len(set(ids)) == len(ids)
    assert all(one.startswith("kitchen-chemistry:n-") for one in ids)
    keys = [card.id.split(":")[1] for card in by_start(found, "Water is")]
    assert {key[:14] for key in keys} == {keys[0][:14]}
    assert [key[14:] for key in keys] == ["-c1", "-c2", "-c3", "-c4"]
    assert [card.id for card in parse(made.packages["legacy.colpkg"], deck_id="mine").deck.cards] == [
        one.replace("kitchen-chemistry:", "mine:") for one in ids
    ]
    assert [card.id for card in parse_notes(made.texts["html"]).deck.cards] == ids


@pytest.mark.parametrize("name", LAYOUTS)
def test_reviews_are_those_of_the_cards_that_are_kept(made: Made, name: str) -> None:
    found = parse(made.packages[name])
    questions = {card.id: card for card in found.deck.cards}
    ratings = {1: 1, 2: 3, 3: 4, 4: 5}
    kept = [
        (start, ordinal, button)
        for start, ordinal, button in made.reviews
        if ordinal == 0 or start == "Water"
    ]
    assert [review.rating for review in found.reviews] == [ratings[button] for _, _, button in kept]
    for review, (start, ordinal, _) in zip(found.reviews, kept, strict=True):
        card = questions[review.card_id]
        assert card.question.startswith("What is" if start == "What " and "water" in card.question else start)
        assert not card.id[-3:].startswith("-c") or card.id.endswith(f"-c{ordinal + 1}")
        assert review.elapsed_ms is not None
        assert review.at.tzinfo is UTC
        assert abs((datetime.now(UTC) - review.at).total_seconds()) < 600
    assert [review.at for review in found.reviews] == sorted(review.at for review in found.reviews)


def test_notes_in_several_decks(collection: Collection, tmp_path: Path) -> None:
    for name in ("Top::One", "Top::Two"):
        deck = collection.decks.id(name)
        assert deck is not None
        add(collection, deck, "Basic", [f"What is {name}?", "a deck"])
    found = parse(export(collection, tmp_path), stem="My Export")
    assert (found.deck.id, found.deck.title) == ("my-export", "My Export")
    assert found.reviews == ()


STEPS = (KeyPoint("boil"), KeyPoint("pour"))
ROUND = Deck(
    "odd-deck",
    "Odd & <b>bold</b>",
    (
        Card(
            "odd-deck:first.One",
            "Is 1 < 2 & 3 > 2?\n\nSay   why: {{c1::no}}",
            "Yes, <script>alert('1 < 2')</script> &amp; so on.",
            Kind.TRUE_FALSE,
            (KeyPoint("Yes", ("True", 'a "quote"'), 2.5), KeyPoint("so on")),
            ("Certainly.", "It is; é ∑ 漢字"),
            "Line one.\n\n  - Line <two>",
            ("two words", "basics"),
        ),
        Card("odd-deck:steps", "Which steps?", "First boil, then pour.", Kind.ORDERED_LIST, STEPS),
        Card("odd-deck:list", "Name two.", "Of many:\n- one\n- two (2)", Kind.LIST, (KeyPoint("1"),)),
        Card("odd-deck:bare", "Nothing more?", "No.", Kind.DEFINITION),
    ),
    "About <odd> things.",
)  # fmt: skip


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    found = parse(anki_format.write(ROUND))
    assert found.deck.cards == ROUND.cards
    assert (found.deck.id, found.deck.title) == (ROUND.id, ROUND.title)
    assert (found.skipped, found.notes, found.reviews) == ((), (), ())
    assert parse(anki_format.write(ROUND), deck_id="other").deck.cards[0].id == "other:first.One"
    assert parse(anki_format.write(replace(ROUND, title="A::B"))).deck.title == "A: B"


@pytest.mark.parametrize("path", bundled_decks(), ids=lambda path: path.stem)
def test_the_bundled_decks_survive_anki_itself(path: Path, collection: Collection, tmp_path: Path) -> None:
    deck = read_deck(path).deck
    written = anki_format.write(deck)
    assert parse(written).deck.cards == deck.cards
    for _ in range(2):
        import_package(collection, written, tmp_path)
        assert collection.note_count() == collection.card_count() == len(deck.cards)
    for legacy in (True, False):
        found = parse(export(collection, tmp_path, legacy=legacy))
        assert found.deck.cards == deck.cards
        assert (found.deck.id, found.deck.title) == (deck.id, deck.title)


def test_how_a_card_looks_in_anki(collection: Collection, tmp_path: Path) -> None:
    import_package(collection, anki_format.write(ROUND), tmp_path)
    shown = {}
    for card_id in collection.find_cards(""):
        card = collection.get_card(card_id)
        shown[card.note()["Front"]] = (card.question(), card.answer(), card.note().tags)
    question, answer, tags = shown[next(front for front in shown if front.startswith("Is 1"))]
    assert "Is 1 &lt; 2 &amp; 3 &gt; 2?<br>" in question
    assert "&lt;script&gt;alert" in answer
    assert "Line one." in answer
    assert "freerecall" not in answer.replace("{{", "")
    assert sorted(tags) == ["basics", "two_words"]
    assert "First boil, then pour.<ol><li>boil</li><li>pour</li></ol>" in shown["Which steps?"][1]
    assert "Of many:<ul><li>one</li><li>two (2)</li></ul>" in shown["Name two."][1]


def test_an_update_reaches_anki(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_package(collection, anki_format.write(ROUND), tmp_path)
    changed = replace(ROUND, cards=(replace(ROUND.cards[3], reference="Not at all."), *ROUND.cards[:3]))
    data = rewritten(
        anki_format.write(changed), lambda database: database.execute("UPDATE notes SET mod = mod + 60")
    )
    import_package(collection, data, tmp_path)
    assert collection.note_count() == len(ROUND.cards)
    found = parse(export(collection, tmp_path))
    assert [card.reference for card in by_start(found, "Nothing more")] == ["Not at all."]


def test_an_edit_in_anki_wins(collection: Collection, tmp_path: Path) -> None:
    import_package(collection, anki_format.write(ROUND), tmp_path)
    edits = {"Which steps?": ("Front", "Which steps, again?"), "Nothing more?": ("Back", "<b>Yes, more</b>")}
    for note_id in collection.find_notes(""):
        note = collection.get_note(note_id)
        if note["Front"] in edits:
            field, value = edits[note["Front"]]
            note[field] = value
        elif note["Front"].startswith("Is 1"):
            note["Footnote"] = "Shorter."
            note.tags = ["mine"]
        collection.update_note(note)
    odd, steps, plain, bare = parse(export(collection, tmp_path)).deck.cards
    assert odd == replace(ROUND.cards[0], footnote="Shorter.", tags=("mine",))
    assert steps == replace(ROUND.cards[1], question="Which steps, again?")
    assert plain == ROUND.cards[2]
    assert (bare.id, bare.reference, points(bare)) == (ROUND.cards[3].id, "Yes, more", ["Yes, more"])


def rewritten(package: bytes, change: Callable[[sqlite3.Connection], object], *, zipped: int = 8) -> bytes:
    """Return a package with its database changed, in the layout it had."""
    with zipfile.ZipFile(io.BytesIO(package)) as old:
        name = next(
            one
            for one in ("collection.anki21b", "collection.anki21", "collection.anki2")
            if one in old.namelist()
        )
        data = old.read(name)
    if name.endswith("b"):
        data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    data = data[:18] + b"\x01\x01" + data[20:]  # Not in WAL mode, so that it can be opened in memory.
    database = sqlite3.connect(":memory:")
    database.deserialize(data)
    database.create_collation("unicase", lambda one, other: (one > other) - (one < other))
    change(database)
    database.commit()
    data = database.serialize()
    database.close()
    return packed(data, name, zipped=zipped)


def packed(database: bytes, name: str = "collection.anki2", *, zipped: int = 8) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipped) as package:
        package.writestr(name, zstandard.compress(database) if name.endswith("b") else database)
    return file.getvalue()


def with_own(text: str) -> bytes:
    """Return a written package whose hidden fields hold `text`."""

    def change(database: sqlite3.Connection) -> None:
        for row, fields in database.execute("SELECT id, flds FROM notes").fetchall():
            front, back, footnote, _ = fields.split("\x1f")
            values = ("\x1f".join((front, back, footnote, text)), row)
            database.execute("UPDATE notes SET flds = ? WHERE id = ?", values)

    return rewritten(anki_format.write(replace(ROUND, cards=ROUND.cards[3:])), change)


CARD = {"question": "Nothing more?", "reference": "No.", "points": ["kept"]}


def test_a_sound_hidden_field_is_used() -> None:
    (card,) = parse(with_own(json.dumps({"freerecall": 1, "card": CARD}))).deck.cards
    assert points(card) == ["kept"]


@pytest.mark.parametrize(
    "own",
    [
        "",
        "no JSON",
        "[]",
        "1" * 5000,
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"freerecall":1}',
        *(
            json.dumps({"freerecall": 1, "card": CARD | change})
            for change in (
                {"question": None},
                {"question": ""},
                {"question": "x" * 10_001},
                {"reference": ["No."]},
                {"kind": "riddle"},
                {"points": "kept"},
                {"points": [{"text": "kept", "weight": float("nan")}]},
                {"points": [{"text": "kept", "weight": -1}]},
                {"points": [{"text": "kept", "weight": True}]},
                {"points": [{"text": "kept", "weight": 10**400}]},
                {"points": ["kept"] * 101},
                {"points": [{"text": "kept", "more": 1}]},
                {"alternatives": [1]},
                {"tags": {"a": "b"}},
                {"id": "../../x"},
                {"unknown": 1},
            )
        ),
    ],
    ids=range(23),
)
def test_an_odd_hidden_field_is_passed_over(own: str) -> None:
    found = parse(with_own(own))
    (card,) = found.deck.cards
    assert (card.id, card.question, card.reference) == ("odd-deck:bare", "Nothing more?", "No.")
    assert points(card) == ["No"] or "kept" not in repr(card)
    assert card.footnote == ""
    assert found.skipped == ()


def test_own_text_is_cleaned() -> None:
    own = json.dumps({"freerecall": 1, "card": CARD | {"alternatives": ["a\x1b[31m\ud800b"]}})
    (card,) = parse(with_own(own)).deck.cards
    assert card.alternatives == ("a[31m\ufffdb",)


def sql(*statements: str) -> Callable[[sqlite3.Connection], object]:
    return lambda database: [database.execute(statement) for statement in statements]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (sql("DROP TABLE notes"), "no such table"),
        (sql("DROP TABLE revlog"), "no such table"),
        (sql("DELETE FROM col"), "no sound"),
        (sql("DELETE FROM notes"), "no notes"),
        (sql("UPDATE col SET models = '{'"), "no sound"),
        (sql("UPDATE col SET models = '[1]'"), "no sound"),
        (sql(f"UPDATE col SET models = '{'[' * 100_000}'"), "no sound"),
        (sql("UPDATE col SET decks = '{\"1\": 2}'"), "no sound"),
        (sql("UPDATE col SET models = ''"), "no such table"),
        (sql("ALTER TABLE notes RENAME TO others", "CREATE VIEW notes AS SELECT * FROM others"), "view"),
        (sql("ALTER TABLE notes ADD COLUMN more AS (hex(zeroblob(100000000)))"), "computed"),
        (sql("UPDATE notes SET flds = zeroblob(4e7) WHERE id IN (SELECT min(id) FROM notes)"), "too big"),
    ],
)  # fmt: skip
def test_a_damaged_collection_is_refused(change: Callable[[sqlite3.Connection], object], words: str) -> None:
    with pytest.raises(DeckError, match=words) as caught:
        parse(rewritten(anki_format.write(ROUND), change))
    assert str(caught.value).startswith("export.apkg: ")


def test_strange_values_do_no_harm(made: Made) -> None:
    for name in ("new.apkg", "legacy.apkg"):
        found = parse(
            rewritten(
                made.packages[name],
                sql(
                    "UPDATE notes SET guid = x'ff00', tags = 7",
                    "UPDATE revlog SET id = 9223372036854775807 WHERE id = (SELECT max(id) FROM revlog)",
                    "UPDATE revlog SET time = -5",
                    "UPDATE cards SET did = 'nowhere'",
                    "UPDATE notes SET mid = 0 WHERE flds LIKE 'Salt%'",
                ),
            )
        )
        ids = [card.id for card in found.deck.cards]
        assert len(set(ids)) == len(ids) == 9
        assert (found.deck.title, found.deck.cards[0].tags) == ("export", ("7",))
        assert all(review.elapsed_ms == 0 for review in found.reviews)
        assert max(review.at for review in found.reviews).year < 2100


def test_fields_without_end_are_skipped() -> None:
    cards = tuple(replace(ROUND.cards[3], id=f"odd-deck:{n}") for n in range(5))
    texts = [
        "<div>" * 400_000,
        "x" * 10_001,
        "".join(f"<li>{n}</li>" for n in range(101)),
        "{{c1::" * 900,
        "fine",
    ]

    def change(database: sqlite3.Connection) -> None:
        for row, text in zip(database.execute("SELECT id FROM notes").fetchall(), texts, strict=True):
            values = (f"Which one?\x1f{text}\x1f{'long ' * 3000}\x1f", *row)
            database.execute("UPDATE notes SET flds = ? WHERE id = ?", values)

    found = parse(rewritten(anki_format.write(replace(ROUND, cards=cards)), change))
    assert [one.number for one in found.skipped] == [1, 2, 3]
    assert [card.reference for card in found.deck.cards] == ["{{c1::" * 900, "fine"]
    assert 9_990 < len(found.deck.cards[0].footnote) <= 10_000


def cloze_cards(text: str) -> ImportResult:
    return parse_notes(f"#html:false\n{text}\tBack\n{'What?'}\tThat\n")


@pytest.mark.parametrize(
    ("text", "cards"),
    [
        ("a {{c1,2::b}} {{c2::c}}", [("a ___ c", "b"), ("a ___ ___", "b; c")]),
        ("a {{c2::b}} c", [("a ___ c", "b")]),
        ("{{c1::b::h::i}} {{c1::  }}", [("___ (h::i) ___", "b")]),
        ("a {{c1::b}} {{c2::c", [("a ___ {{c2::c", "b")]),
        ("a }} {{c1::b}} }}", [("a }} ___ }}", "b")]),
        ("{{c1::{{c1::b}} c}}", [("___", "b; c")]),
        ("{{c12::b}} {{c1::c}}", [("b ___", "c"), ("___ c", "b")]),
        ("{{c1::" * 1000 + "}}" * 1000, []),
        ("".join(f"{{{{c{n}::x}}}}" for n in range(1, 102)), []),
        ("{{c0::b}} {{c1::}}", []),
    ],
)
def test_clozes(text: str, cards: list[tuple[str, str]]) -> None:
    found = cloze_cards(text)
    made = [(card.question, card.reference) for card in found.deck.cards[:-1]]
    assert made == cards
    assert found.skipped or cards


def test_more_cards_than_a_deck_may_have(monkeypatch: pytest.MonkeyPatch, made: Made) -> None:
    monkeypatch.setattr(anki_format, "MAX_CARDS", 12)
    assert len(parse(made.packages["new.apkg"]).deck.cards) == 9
    for limit in (11, 5, 3):
        monkeypatch.setattr(anki_format, "MAX_CARDS", limit)
        with pytest.raises(DeckError, match=f"{limit} cards"):
            parse(made.packages["new.apkg"])
    assert result.MAX_CARDS == 100_000


def bomb(name: str, size: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package, package.open(name, "w") as member:
        compressor = zstandard.ZstdCompressor().compressobj() if name.endswith("b") else None
        zeros = bytes(2**20)
        for _ in range(size // 2**20):
            member.write(compressor.compress(zeros) if compressor else zeros)
        if compressor:
            member.write(compressor.flush())
    return file.getvalue()


@pytest.mark.parametrize("name", ["collection.anki21b", "collection.anki2"])
def test_a_bomb_is_refused(name: str) -> None:
    with pytest.raises(DeckError, match="unpacks to more than 50 MB"):
        parse(bomb(name, 60 * 2**20))
    with pytest.raises(DeckError, match="no sound"):
        parse(bomb(name, 2**20))


def test_a_lie_about_the_size_is_found_out() -> None:
    data = bomb("collection.anki2", 60 * 2**20)
    directory = data.rindex(b"PK\x01\x02")
    small = struct.pack("<L", 4096)
    lied = data[: directory + 24] + small + data[directory + 28 :]
    with pytest.raises(DeckError):
        parse(lied)
    huge = struct.pack("<L", 600 * 2**20)
    sound = anki_format.write(ROUND)
    directory = sound.index(b"PK\x01\x02")
    with pytest.raises(DeckError, match="unpacks to more"):
        parse(sound[: directory + 24] + huge + sound[directory + 28 :])


def test_a_large_collection_is_refused(monkeypatch: pytest.MonkeyPatch, made: Made) -> None:
    monkeypatch.setattr(anki_format, "MAX_COLLECTION", 10_000)
    for name in LAYOUTS:
        with pytest.raises(DeckError, match="unpacks to more"):
            parse(made.packages[name])


def test_nothing_is_extracted_to_a_path_from_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    monkeypatch.setattr("tempfile.tempdir", str(inside))
    file = io.BytesIO(anki_format.write(ROUND))
    with zipfile.ZipFile(file, "a") as package:
        package.writestr("../../x", "evil")
        package.writestr("/tmp/x-from-a-package", "evil")
        package.writestr("../../collection.anki21b", "evil")
    assert parse(file.getvalue()).deck.cards == ROUND.cards
    anki_format.write(ROUND)
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "b"]
    assert not Path("/tmp/x-from-a-package").exists()


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as package:
        for name, data in members.items():
            package.writestr(name.replace("_", "."), data)
    return file.getvalue()


def flagged(data: bytes, flag: int, method: int | None = None) -> bytes:
    at = data.rindex(b"PK\x01\x02")
    changed = data[: at + 8] + struct.pack("<H", flag) + data[at + 10 :]
    return changed if method is None else changed[: at + 10] + struct.pack("<H", method) + changed[at + 12 :]


SOUND = packed(b"SQLite format 3\x00" + bytes(1000))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "zip"),
        (b"PK\x03\x04 and no more", "zip"),
        (zipped(), "no Anki collection"),
        (zipped(word_xml=b"<w>"), "no Anki collection"),
        (zipped(collection_anki2=b""), "no sound"),
        (zipped(collection_anki2=b"this is no database" * 100), "not a database"),
        (zipped(collection_anki2=b"SQLite format 3\x00" + b"\x17" * 9000), "no sound"),
        (zipped(collection_anki21b=b"this is no zstd"), "no sound"),
        (zipped(collection_anki21b=zstandard.compress(b"x" * 9000)[:-9]), "no sound"),
        (flagged(SOUND, 1), "encrypted"),
        (flagged(SOUND, 0x41), "encrypted"),
        (flagged(SOUND, 0, 99), "not packed by Anki"),
        (flagged(SOUND, 0, zipfile.ZIP_LZMA), "not packed by Anki"),
    ],
)  # fmt: skip
def test_what_is_no_package_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(DeckError, match=words) as caught:
        parse(data)
    assert "Anki" in str(caught.value)


def test_a_truncated_package_is_refused(made: Made) -> None:
    data = made.packages["new.apkg"]
    for end in (10, len(data) // 2, len(data) - 10):
        assert not anki_format.looks_like(data[:end])
        with pytest.raises(DeckError):
            parse(data[:end])


def test_what_looks_like_a_package(made: Made) -> None:
    assert all(anki_format.looks_like(made.packages[name]) for name in LAYOUTS)
    assert not anki_format.looks_like(zipped(word_xml=b""))
    assert not anki_format.looks_like(b"#separator:tab\n")


SANE = (
    zipfile.BadZipFile,
    sqlite3.Error,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    NotImplementedError,
)


def never_anything_else(data: bytes) -> None:
    anki_format.looks_like(data)
    try:
        parse(data)
    except DeckError as error:
        assert "\x1b" not in str(error)
        # The reader catches everything; a mistake of its own must not hide behind that.
        cause = error.__context__
        assert (
            cause is None or isinstance(cause, SANE) or type(cause).__module__ in ("zlib", "struct", "zstd")
        ), repr(cause)


@settings(max_examples=examples(60), deadline=None)
@given(st.binary(max_size=400))
@example(b"PK\x05\x06" + bytes(18))
def test_no_bytes_raise_anything_but_a_deck_error(data: bytes) -> None:
    never_anything_else(data)
    never_anything_else(packed(data))
    never_anything_else(packed(b"SQLite format 3\x00" + data, "collection.anki21b"))


@pytest.fixture(scope="module")
def small(made: Made) -> dict[str, bytes]:
    """Packages and databases to do damage to."""
    found = {name: made.packages[name] for name in ("new.apkg", "legacy.apkg")}
    found["written"] = anki_format.write(ROUND)
    for name in list(found):
        kept: list[bytes] = []
        rewritten(found[name], lambda database, kept=kept: kept.append(database.serialize()))  # type: ignore[misc]
        found[f"{name} database"] = kept[0]
    return found


@settings(max_examples=examples(250), deadline=None)
@given(data=st.data())
def test_no_damage_raises_anything_but_a_deck_error(small: dict[str, bytes], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(small)))
    damaged = bytearray(small[name])
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        new = data.draw(st.binary(min_size=1, max_size=8))
        damaged[at : at + len(new)] = new
    end = data.draw(st.one_of(st.none(), st.integers(0, len(damaged))))
    changed = bytes(damaged[:end])
    never_anything_else(packed(changed, zipped=0) if name.endswith("database") else changed)


def test_the_text_that_anki_writes(made: Made) -> None:
    text = made.texts["html"]
    assert anki_format.looks_like_notes(text)
    found = parse_notes(text)
    same = parse(made.packages["new.apkg"])
    # The text does not name the fields, so what is for Anki alone ("y") is a footnote.
    sugar = by_start(found, "Sugar")[0]
    assert sugar.footnote == "y"
    cards = tuple(replace(card, footnote="") if card == sugar else card for card in found.deck.cards)
    assert replace(found.deck, cards=cards) == same.deck
    assert (found.skipped, found.notes, found.format) == (same.skipped, same.notes, "anki-notes")


def test_the_text_that_anki_writes_without_html(made: Made) -> None:
    text = made.texts["plain"]
    assert anki_format.looks_like_notes(text)
    found = parse_notes(text)
    assert (found.deck.id, found.deck.title, found.notes) == ("notes", "notes", ())
    water, salt, *_ = found.deck.cards
    assert (water.question, water.reference, water.tags) == ("What is water?", "H2O <liquid>", ())
    assert water.id.startswith("notes:what-is-water-")
    assert salt.reference == "NaCl"
    assert len(by_start(found, "Water is")) == 4


def test_what_is_written_as_text_is_read_back(collection: Collection, tmp_path: Path) -> None:
    text = anki_format.write_notes(ROUND)
    assert text.startswith("#separator:tab\n#html:false\n#columns:")
    found = parse_notes(text)
    assert (found.deck.id, found.deck.title) == (ROUND.id, ROUND.title)
    for card, old in zip(found.deck.cards, ROUND.cards, strict=True):
        assert (card.id, card.question, card.footnote) == (old.id, old.question, old.footnote)
        assert card.reference.startswith(old.reference)
    assert found.deck.cards[0].tags == ("two_words", "basics")
    assert points(found.deck.cards[1]) == ["boil", "pour"]
    bundled = read_deck(bundled_decks()[0]).deck
    again = parse_notes(anki_format.write_notes(bundled)).deck
    assert [(card.id, card.question) for card in again.cards] == [
        (card.id, card.question) for card in bundled.cards
    ]


def test_anki_reads_the_text(collection: Collection, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    deck = replace(
        ROUND, title="Odd", cards=(replace(ROUND.cards[3], question="# is a hash?"), *ROUND.cards[:3])
    )
    path.write_text(anki_format.write_notes(deck), "utf-8")
    for _ in range(2):
        metadata = collection.get_csv_metadata(str(path), None)
        collection.import_csv(ImportCsvRequest(path=str(path), metadata=metadata))
        assert collection.note_count() == len(deck.cards)
    notes = [collection.get_note(note_id) for note_id in collection.find_notes("")]
    assert notes[0]["Front"] == "# is a hash?"
    assert notes[0]["Back"] == "No."
    assert sorted(notes[1].tags) == ["basics", "two_words"]


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("#separator:Semicolon\nWhat?;That;More\n", ("What?", "That", "More")),
        ('#separator:,\n#html:false\n"Why, <you>?","So.\n\nIt is."\n', ("Why, <you>?", "So.\n\nIt is.", "")),
        ("\ufeff#separator:tab\r\n#html:true\r\nWhat?\t<b>That</b>\r\n", ("What?", "That", "")),
        ("#separator:\t\nWhat?\tx &lt; y\n", ("What?", "x < y", "")),
        ("#deck:A::B\n# a remark\n#unknown:1\n\nWhat?\t1 < 2\t\t\n\n", ("What?", "1 < 2", "")),
        ("#columns:a|b\n#separator:pipe\n#guid column:2\nWhat?|guid|That\n", ("What?", "That", "")),
        ("#tags column:9\n#deck column:x\n#notetype column:0\nWhat?\tThat\n", ("What?", "That", "")),
    ],
)  # fmt: skip
def test_texts_by_other_hands(text: str, fields: tuple[str, str, str]) -> None:
    assert anki_format.looks_like_notes(text)
    (card,) = parse_notes(text).deck.cards
    assert (card.question, card.reference, card.footnote) == fields


def test_tags_and_deck_for_the_whole_text() -> None:
    found = parse_notes("#tags:all of\n#deck:A::B c\n#tags column:3\nWhat?\tThat\tone all\nWhy?\tSo\t\n")
    assert (found.deck.id, found.deck.title) == ("b-c", "B c")
    assert [card.tags for card in found.deck.cards] == [("one", "all", "of"), ("all", "of")]


def test_the_same_guid_or_question_twice() -> None:
    found = parse_notes("#guid column:1\ng\tWhat?\tThat\ng\tWhy?\tSo\n\tWho?\tHe\n\tWho?\tShe\n\tWho?\tIt\n")
    first, second, he, she, it = (card.id for card in found.deck.cards)
    assert second == f"{first}-2"
    assert (she, it) == (f"{he}-2", f"{he}-3")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "What?\tThat",
        "# Title: x\ntext",
        "#hashtag\n",
        "a\n#separator:tab\n",
        "[[cards]]\n#html:true",
        "#guid:x\n",
    ],
)
def test_what_is_no_text_of_anki(text: str) -> None:
    assert not anki_format.looks_like_notes(text)
    with pytest.raises(DeckError, match="first line"):
        parse_notes(text)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("#separator:tab\n", 0, "no notes"),
        ("#separator:tab\nalone\n", 0, "no notes"),
        ("#separator:bang\nWhat?!That\n", 0, "separator"),
        ('#html:true\nWhat?\tThat\nWhy?\t"So"x\n', 3, "quotes"),
        ('#html:true\nWhat?\tThat\nWhy?\t"So\n', 3, "quotes"),
        (f"#html:true\nWhat?\t{'x' * 140_000}\n", 2, "quotes"),
    ],
)
def test_a_text_that_cannot_be_read(text: str, line: int, words: str) -> None:
    with pytest.raises(DeckError, match=words) as caught:
        parse_notes(text)
    assert caught.value.line == line


@settings(max_examples=examples(150), deadline=None)
@given(
    st.text(max_size=200),
    st.sampled_from(["#separator:tab\n", "#html:true\n#guid column:1\n", "#separator: \n"]),
)
@example("#deck:\x00", "#html:false\n")
@example("{{c1::" * 20, "#html:true\n")
@example("{{c99999::x}}\t", "#html:true\n")
def test_no_text_raises_anything_but_a_deck_error(text: str, header: str) -> None:
    anki_format.looks_like_notes(text)
    for one in (text, header + text, header + text.replace(" ", "\t")):
        try:
            cards = parse_notes(one).deck.cards
        except DeckError:
            continue
        assert all(card.question and card.reference for card in cards)
        assert len({card.id for card in cards}) == len(cards)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.text(max_size=80), st.text(max_size=80), st.sampled_from(list(Kind))),
        min_size=1,
        max_size=4,
    )
)
@example([("#a", '"b"', Kind.LIST), ("=1+1", "• x\n• y", Kind.LIST)])
@example([('{"freerecall":1,', '{"freerecall":1,', Kind.DEFINITION)])
def test_any_clean_deck_is_read_back(texts: list[tuple[str, str, Kind]]) -> None:
    from freerecall.decks.text import clean

    cards = tuple(
        Card(
            f"any:{n}",
            clean(question),
            clean(answer),
            kind,
            (KeyPoint("a point"),),
            (),
            clean(answer[::-1]),
            ("a b",),
        )
        for n, (question, answer, kind) in enumerate(texts)
        if clean(question) and clean(answer)
    )
    if cards:
        assert parse(anki_format.write(Deck("any", "Any", cards))).deck.cards == cards
        again = parse_notes(anki_format.write_notes(Deck("any", "Any", cards))).deck.cards
        assert [(card.id, card.question) for card in again] == [(card.id, card.question) for card in cards]


def test_the_text_is_plain_csv() -> None:
    rows = list(csv.reader(io.StringIO(anki_format.write_notes(ROUND)), delimiter="\t"))
    assert rows[6][0] == ROUND.cards[0].question
    assert {len(row) for row in rows[6:]} == {5}


def test_history_from_anki_places_the_cards_in_the_schedule(made: Made, tmp_path: Path) -> None:
    found = parse(made.packages["new.apkg"])
    reviewed = {review.card_id for review in found.reviews}
    with Store.open(tmp_path / "f.db") as store:
        library.put_import(store, found)
        assert reviewed
        assert {card for card in reviewed if store.card_state("local", card)} == reviewed
        assert len(store.history("local", found.deck.id)) == len(found.reviews)
        assert library.put_import(store, found).unchanged == len(found.deck.cards)
