"""Decks of every format, damaged: read all the same, or refused as no deck; never anything else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freerecall.decks import FORMATS, WRITTEN, ImportResult, bundled_decks, parse_deck, read_deck, write_deck
from freerecall.errors import DeckError
from fuzzing import examples
from test_decks_page_dump import DUMP

DECKS = [read_deck(path).deck for path in bundled_decks()]
WHOLE = {
    "page-dump": DUMP,
    **{name: write_deck(DECKS[0], name).decode()[:6_000] for name in WRITTEN if name != "anki"},
}
ODD = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["\n", "\n\n", "\t", '"', '"""', "{", "[[", "]", "::", "#", "-", "\x00", "\ud800", "💥"]),
)
CUT = st.tuples(st.floats(0, 1), st.integers(0, 60), ODD)
LINES = st.lists(st.tuples(st.floats(0, 1), st.sampled_from(["drop", "twice", "first"])), max_size=4)


def damaged(text: str, cuts: list[tuple[float, int, str]], lines: list[tuple[float, str]]) -> str:
    for where, length, new in cuts:
        at = int(where * len(text))
        text = text[:at] + new + text[at + length :]
    rows = text.splitlines(keepends=True)
    for where, what in lines:
        if rows:
            row = rows.pop(min(int(where * len(rows)), len(rows) - 1))
            rows = rows if what == "drop" else [row, *rows] if what == "first" else [*rows, row, row]
    return "".join(rows)


@pytest.mark.parametrize("name", WHOLE)
@settings(max_examples=examples(40), deadline=None)
@given(
    st.lists(CUT, max_size=5),
    LINES,
    st.booleans(),
    st.none() | st.sampled_from([one for one in FORMATS if one != "anki"]),
)
def test_a_damaged_deck_is_read_or_refused(
    name: str,
    cuts: list[tuple[float, int, str]],
    lines: list[tuple[float, str]],
    as_bytes: bool,
    format: str | None,
) -> None:
    text = damaged(WHOLE[name], cuts, lines)
    content = text.encode("utf-8", "surrogatepass") if as_bytes else text
    try:
        found = parse_deck(content, source=f"any.{WRITTEN.get(name, 'txt')}", format=format)
    except DeckError as error:
        assert str(error)
        return
    assert isinstance(found, ImportResult)
    assert found.deck.cards
    ids = [card.id for card in found.deck.cards]
    assert len(set(ids)) == len(ids)
    for card in found.deck.cards:
        assert card.question.strip()
        assert card.reference.strip()
        card.reference.encode()  # what is read can be stored
        card.question.encode()
