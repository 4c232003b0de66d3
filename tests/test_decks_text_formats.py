"""Tables, Markdown and JSON: as other programs write them, as ours writes them, and as nobody should."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freerecall.cards import Card, Deck, KeyPoint, Kind, PastReview
from freerecall.decks import WRITTEN, ImportResult, bundled_decks, parse_deck, read_deck, write_deck
from freerecall.decks.text import clean_line
from freerecall.errors import DeckError
from fuzzing import examples

BUNDLED = [read_deck(path).deck for path in bundled_decks()]
QUIZLET = "mitochondria\tthe powerhouse of the cell\nribosome\tmakes proteins\nnucleus\tholds the DNA\n"
SHEETS = (
    'Term,Definition,Notes,Tags\n"Name three\nprimary colours","red, green,\nblue",see optics,light basic\n'
    '"What is a <b>cell</b>?","The <i>unit</i> of life<br>and more",,\n,no term,,\nonly a term\n'
)
BRAINSCAPE = 'Question,Answer\n"What, briefly, is osmosis?","Water moving through a membrane."\n'


def cards(text: str | bytes, name: str) -> list[tuple[str, str]]:
    return [(card.question, card.reference) for card in parse_deck(text, source=name).deck.cards]


def test_quizlet_terms_by_tabs() -> None:
    found = parse_deck(QUIZLET, source="Biology 101.txt")
    assert (found.format, found.deck.title, len(found.deck.cards)) == ("csv", "Biology 101", 3)
    assert found.deck.cards[0].reference == "the powerhouse of the cell"


def test_a_spreadsheet_with_a_mark_and_semicolons() -> None:
    text = 'Front;Back\r\n"Was ist 1 < 2?";"wahr; denn 1 ist kleiner"\r\n"Haupt""stadt?";Berlin\r\n'
    assert cards(("\ufeff" + text).encode(), "Karten.csv") == [
        ("Was ist 1 < 2?", "wahr; denn 1 ist kleiner"),
        ('Haupt"stadt?', "Berlin"),
    ]
    assert cards(text.encode("cp1252"), "Karten.csv")[1] == ('Haupt"stadt?', "Berlin")


def test_a_header_names_the_columns_and_bad_rows_are_reported() -> None:
    found = parse_deck(SHEETS, source="sheet.csv")
    first, second = found.deck.cards
    assert first.question == "Name three\nprimary colours"
    assert (first.footnote, first.tags) == ("see optics", ("light", "basic"))
    assert (second.question, second.reference) == ("What is a cell?", "The unit of life\nand more")
    assert [(skip.number, skip.line, skip.reason) for skip in found.skipped] == [
        (3, 6, "no question"),
        (4, 7, "no answer"),
    ]


def test_one_row_with_a_header_is_a_table() -> None:
    assert cards(BRAINSCAPE, "any") == [("What, briefly, is osmosis?", "Water moving through a membrane.")]


def test_importing_a_table_again_keeps_each_cards_identity() -> None:
    one, two = (
        parse_deck(text, source="b.txt").deck.cards for text in (QUIZLET, QUIZLET.replace("makes", "builds"))
    )
    assert [card.id for card in one] == [card.id for card in two]


@pytest.mark.parametrize(
    "bad", ['Question,Answer\n"open, quote\n', "Question,Answer\n,\n", "Question,Answer\n"]
)
def test_a_bad_table_says_what_is_wrong(bad: str) -> None:
    with pytest.raises(DeckError, match=r"quotes|no row"):
        parse_deck(bad, source="bad.csv")


HEADINGS = """---
title: "Biology"
---
# Cells
## What is *osmosis*?
Water moving through a `membrane`.

> From the **1830s**.

## Name two organelles
- nucleus
- ribosome
# Genes
## What is DNA?
1. sugar
2. base
## Left open
"""
LABELLED = """Q: What is osmosis?
A: Water moving
through a membrane.

**Q:** Name two organelles
**A:**
- nucleus
- ribosome

Q: Forgotten?
"""


def test_headings_ask_and_the_text_below_answers() -> None:
    found = parse_deck(HEADINGS, source="bio.md")
    assert found.deck.title == "Biology"
    osmosis, organelles, dna = found.deck.cards
    assert (osmosis.question, osmosis.reference) == ("What is osmosis?", "Water moving through a membrane.")
    assert (osmosis.footnote, osmosis.tags) == ("From the 1830s.", ("cells",))
    assert [point.text for point in organelles.points] == ["nucleus", "ribosome"]
    assert (dna.tags, len(dna.points)) == (("genes",), 2)


def test_labelled_lines_and_their_lists() -> None:
    found = parse_deck(LABELLED, source="notes.txt")
    assert found.format == "markdown"
    assert [card.question for card in found.deck.cards] == ["What is osmosis?", "Name two organelles"]
    assert found.deck.cards[0].reference == "Water moving\nthrough a membrane."
    assert [(skip.number, skip.line) for skip in found.skipped] == [(3, 10)]


def test_pairs_by_double_colons() -> None:
    assert cards("- capital of France :: Paris\n- *H2O* :: water\n", "x.md") == [
        ("capital of France", "Paris"),
        ("H2O", "water"),
    ]


def test_double_colons_in_an_answer_are_words() -> None:
    found = cards(
        "# A\n## What does a::b mean?\nIt is written\na :: b in C++.\n## And c?\nNothing.\n", "x.md"
    )
    assert [question for question, _ in found] == ["What does a::b mean?", "And c?"]


def test_quotes_in_quizlets_rows_are_as_they_are() -> None:
    assert cards('"Yes" in French\toui\nthe 5" disk\ta "floppy"\n', "q.txt") == [
        ('"Yes" in French', "oui"),
        ('the 5" disk', 'a "floppy"'),
    ]


def test_markdown_without_a_question_is_told() -> None:
    with pytest.raises(DeckError, match="no question with an answer"):
        parse_deck("# Only a heading\n", source="x.md")


def test_scripts_in_markdown_stay_words() -> None:
    ((_, answer),) = cards("# Q\n## a\n<script>alert(1)</script> text\n", "x.md")
    assert "script" not in answer or "<script>alert" in answer


@pytest.mark.parametrize("format", ["json", "csv", "tsv", "toml", "anki"])
@pytest.mark.parametrize("deck", BUNDLED, ids=[deck.id for deck in BUNDLED])
def test_a_deck_written_is_read_back_the_same(deck: Deck, format: str) -> None:
    back = parse_deck(write_deck(deck, format), source=f"{deck.id}.{WRITTEN[format]}").deck
    assert back.cards == deck.cards


@pytest.mark.parametrize("deck", BUNDLED, ids=[deck.id for deck in BUNDLED])
def test_markdown_keeps_questions_footnotes_and_answers(deck: Deck) -> None:
    back = parse_deck(write_deck(deck, "markdown"), source="x.md").deck
    assert back.title == deck.title
    assert [card.question for card in back.cards] == [" ".join(card.question.split()) for card in deck.cards]
    assert [card.footnote for card in back.cards] == [card.footnote for card in deck.cards]
    prose = [(a, b) for a, b in zip(back.cards, deck.cards, strict=True) if b.kind is Kind.DEFINITION]
    assert [a.reference for a, _ in prose] == [b.reference for _, b in prose]


TEXT = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=30
).map(lambda text: clean_line(f"x{text}x"))
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@st.composite
def decks(draw: st.DrawFn) -> tuple[Deck, tuple[PastReview, ...]]:
    points = st.builds(
        KeyPoint, TEXT, st.lists(TEXT, max_size=2).map(tuple), st.sampled_from([0.5, 1.0, 2.0])
    )
    made = draw(
        st.lists(
            st.builds(
                Card,
                st.just(""),
                TEXT,
                TEXT,
                st.sampled_from(Kind),
                st.lists(points, min_size=1, max_size=3).map(tuple),
                st.lists(TEXT, max_size=2).map(tuple),
                st.one_of(st.just(""), TEXT),
                st.lists(st.from_regex(r"[a-z]{1,5}", fullmatch=True), max_size=2, unique=True).map(tuple),
            ),
            min_size=1,
            max_size=4,
        )
    )
    rows = [
        Card(f"d:{i}", c.question, c.reference, c.kind, c.points, c.alternatives, c.footnote, c.tags)
        for i, c in enumerate(made)
    ]
    reviews = draw(
        st.lists(
            st.builds(
                PastReview,
                st.sampled_from([card.id for card in rows]),
                TIMES,
                st.integers(1, 5),
                st.one_of(st.none(), st.integers(0, 10**6)),
            ),
            max_size=4,
        )
    )
    return Deck("d", "Deck", tuple(rows)), tuple(sorted(reviews, key=lambda review: review.at))


@settings(deadline=None, max_examples=60)
@given(decks())
def test_json_keeps_everything(written: tuple[Deck, tuple[PastReview, ...]]) -> None:
    deck, reviews = written
    back = parse_deck(write_deck(deck, "json", reviews), source="any.json")
    assert (back.deck, back.reviews) == (deck, reviews)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5, unique=True), st.sampled_from(",;\t|"))
def test_what_a_csv_writer_writes_is_read(rows: list[tuple[str, str]], delimiter: str) -> None:
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter).writerows([("question", "answer"), *rows])
    found = parse_deck(file.getvalue(), source="t.csv")
    assert len(found.deck.cards) + len(found.skipped) == len(rows)


@settings(deadline=None, max_examples=examples(150))
@given(
    st.one_of(st.text(max_size=200), st.binary(max_size=200)),
    st.sampled_from(["a.csv", "a.md", "a.json", "a.txt", "a.toml", "a.apkg"]),
)
def test_no_file_makes_it_crash(content: str | bytes, name: str) -> None:
    try:
        found = parse_deck(content, source=name)
    except DeckError:
        return
    assert isinstance(found, ImportResult)
    assert found.deck.cards


def test_a_table_of_many_cards_and_of_one_long_cell() -> None:
    rows = "".join(f"question {i}\tanswer {i}\n" for i in range(20_000))
    assert len(parse_deck(rows, source="many.tsv").deck.cards) == 20_000
    with pytest.raises(DeckError):
        parse_deck(f"q\t{'x' * 2_000_000}\n", source="long.tsv")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": "other"}, "not one of ours"),
        ({"version": 9}, "version is 9"),
        ({"cards": []}, "no cards"),
        ({"cards": [{"question": "a", "reference": "b", "colour": 1}]}, "no key 'colour'"),
        ({"reviews": [{"card": "z", "at": "2026-01-01T00:00:00Z", "rating": 3}]}, r"reviews\[0\].card"),
        ({"reviews": [{"card": "a", "at": "2026-01-01", "rating": 3}]}, "with its zone"),
        ({"reviews": [{"card": "a", "at": "2026-01-01T00:00:00Z", "rating": 3.5}]}, "rating"),
    ],
)
def test_wrong_json_names_the_place(change: dict[str, object], told: str) -> None:
    data: dict[str, object] = {
        "format": "freerecall",
        "version": 1,
        "id": "d",
        "title": "D",
        "cards": [{"id": "a", "question": "Q?", "reference": "A"}],
    }
    assert parse_deck(json.dumps(data), source="d.json").deck.id == "d"
    with pytest.raises(DeckError, match=told):
        parse_deck(json.dumps(data | change), source="d.json")
    with pytest.raises(DeckError, match=r"deeply|not valid JSON"):
        parse_deck('{"format": "freerecall", "a": ' + "[" * 100_000, source="d.json")


def test_a_zip_that_is_no_package(tmp_path: Path) -> None:
    with pytest.raises(DeckError, match="without an Anki collection"):
        parse_deck(b"PK\x03\x04" + b"\0" * 100, source="x.zip")
    with pytest.raises(DeckError, match="a file, not text"):
        parse_deck("text", source="x", format="anki")


def test_reviews_are_as_old_as_they_were() -> None:
    past = PastReview("d:a", datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=3), 4, 1200)
    deck = Deck("d", "D", (Card("d:a", "Q?", "A"),))
    assert b"2026-01-01T03:00:00" in write_deck(deck, "json", (past,))
