"""What is read at all: files, formats, encodings, sizes; and that nothing else than DeckError is raised."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from freerecall.decks import FORMATS, parse_deck, read_deck, write_deck
from freerecall.decks.result import MAX_BYTES
from freerecall.errors import DeckError

PLAIN = "1\nWhat is up?\nThe sky\n2\nWhat is down?\nEarth\n"
TOML = '[[cards]]\nquestion = "What is up?"\nreference = "The sky"\n'


@pytest.mark.parametrize(("text", "name"), [(PLAIN, "page-dump"), (TOML, "toml"), ("\n\n" + TOML, "toml")])
def test_the_format_is_told_from_the_content(text: str, name: str) -> None:
    assert parse_deck(text, source="upload").format == name
    assert parse_deck(text, source="upload", format=name).deck == parse_deck(text, source="upload").deck


def test_a_name_ending_in_toml_is_toml() -> None:
    with pytest.raises(DeckError, match=r"deck\.toml:1: not valid TOML"):
        parse_deck(PLAIN, source="deck.toml")


@pytest.mark.parametrize("text", ["Dear diary,\ntoday nothing.", '{"cards": []}', "12\n"])
def test_an_unknown_file_names_the_formats_tried(text: str) -> None:
    with pytest.raises(DeckError, match="tried toml, page-dump, json"):
        parse_deck(text, source="notes.txt")


def test_a_format_or_id_that_cannot_be() -> None:
    with pytest.raises(DeckError, match="no deck format 'xls'"):
        parse_deck(PLAIN, source="x", format="xls")
    with pytest.raises(DeckError, match="deck id 'No Slug'"):
        parse_deck(PLAIN, source="x", deck_id="No Slug")
    with pytest.raises(DeckError, match="cannot be written as 'page-dump'"):
        write_deck(parse_deck(PLAIN, source="x").deck, "page-dump")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DeckError, match="no such file"):
        read_deck(tmp_path / "nothing.toml")
    with pytest.raises(DeckError, match="cannot be read"):
        read_deck(tmp_path)
    with pytest.raises(DeckError, match="cannot be read"):
        read_deck(Path("a\0b"))


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("empty.txt", b"", "empty"),
        ("blank.toml", b" \n\n", "empty"),
        ("picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "binary"),
        ("odd.txt", b"1\nQ\x81\n", "not text"),
        ("latin.toml", b'title = "x"\ntitle = "caf\xe9"\n', "not text in UTF-8"),
        ("broken.txt", b"\xff\xfe1\x00\n", "not text"),
        ("large.txt", b"1\n" * (MAX_BYTES // 2 + 1), "larger than 20 MB"),
    ],
)
def test_bytes_that_are_no_deck(name: str, data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DeckError, match=words) as caught:
        read_deck(path)
    assert caught.value.source == str(path)
    assert caught.value.line == (2 if name in ("odd.txt", "latin.toml") else caught.value.line)


def test_text_that_is_too_large() -> None:
    with pytest.raises(DeckError, match="larger than 20 MB"):
        parse_deck("x" * (MAX_BYTES + 1), source="upload")


MARKS = ["", "1", "2", "3", "4", "5", "Q", "A", "Not at all", "Perfectly", "How well did you know this?"]
TEXTS = ["What is up?", "The sky", "* a * b", "• c", "## Footnote d", "FALSE", "To do:", "a ____", "**b**"]
PIECES = st.sampled_from([*MARKS, *TEXTS])
DUMP_LIKE = st.lists(PIECES | st.text(max_size=12), max_size=40).map("\n".join)
TOML_LIKE = st.lists(
    st.sampled_from(
        ["[[cards]]", 'question = "q"', 'reference = "r"', "points = ['a', {text='b'}]", "[cards]"]
    )
    | st.sampled_from(
        ["points = 1", "tags = [[]]", 'id = "x"', "kind = 'list'", '"""', "weight = inf", "a.b = 1"]
    )
    | st.text(max_size=12),
    max_size=12,
).map("\n".join)


@given(DUMP_LIKE | TOML_LIKE | st.text(max_size=200), st.sampled_from([None, *FORMATS]))
@example('a = "\\ud800"', "toml")
def test_any_text_is_a_deck_or_a_deck_error(text: str, format: str | None) -> None:
    try:
        result = parse_deck(text, source="any", format=format)
    except DeckError as error:
        assert str(error)
        return
    assert result.deck.cards
    assert len({card.id for card in result.deck.cards}) == len(result.deck.cards)
    assert all(card.question and card.reference for card in result.deck.cards)
    assert not any("Not at all\n2" in card.reference for card in result.deck.cards)
    assert parse_deck(write_deck(result.deck, "toml"), source="any.toml").deck == result.deck


@given(st.binary(max_size=200), st.sampled_from([None, *FORMATS]))
def test_any_bytes_are_a_deck_or_a_deck_error(data: bytes, format: str | None) -> None:
    try:
        parse_deck(data, source="any", format=format)
    except DeckError as error:
        assert str(error)
