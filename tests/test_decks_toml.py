"""freerecall's own deck format."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freerecall.cards import Card, Deck, KeyPoint, Kind
from freerecall.decks import bundled_decks, parse_deck, read_deck, write_deck
from freerecall.decks.text import clean, clean_line
from freerecall.errors import DeckError

DECK = '''title = "Knots"
description = "What holds."

[[cards]]
id = "bowline"
kind = "definition"
question = "What is a bowline for?"
reference = """
A fixed loop
that does not slip
"""
points = ["a fixed loop", { text = "does not slip", accept = ["holds"], weight = 2 }]
alternatives = ["A loop that holds"]
footnote = "King of knots."
tags = ["loops"]

# [[cards]] in a comment is no card, nor is one in a text
[[cards]]
question = "True or false: [[cards]] hold"
reference = "True"
'''


def parse(text: str) -> Deck:
    return parse_deck(text, source="knots.toml").deck


def test_reads_every_key() -> None:
    deck = parse(DECK)
    bowline, second = deck.cards
    assert (deck.id, deck.title, deck.description) == ("knots", "Knots", "What holds.")
    assert bowline == Card(
        id="knots:bowline",
        question="What is a bowline for?",
        reference="A fixed loop\nthat does not slip",
        kind=Kind.DEFINITION,
        points=(KeyPoint("a fixed loop"), KeyPoint("does not slip", ("holds",), 2.0)),
        alternatives=("A loop that holds",),
        footnote="King of knots.",
        tags=("loops",),
    )
    assert second.kind is Kind.TRUE_FALSE
    assert second.points[0].text == "True"
    assert second.id.startswith("knots:true-or-false-cards-hold-")


def test_the_id_comes_from_the_call_or_the_file_or_its_name() -> None:
    with_id = 'id = "own"\n' + DECK
    assert parse_deck(with_id, source="x.toml", deck_id="mine").deck.id == "mine"
    assert parse_deck(with_id, source="x.toml").deck.id == "own"
    assert parse_deck(DECK, source="/decks/My Knots.toml").deck.id == "my-knots"
    assert parse_deck(DECK, source="узлы.toml").deck.id.startswith("deck-")


def test_points_may_be_left_out_or_left_empty() -> None:
    card = '[[cards]]\nquestion = "Name two knots"\nreference = "- reef\\n- bowline"\n'
    assert [point.text for point in parse(card).cards[0].points] == ["reef", "bowline"]
    assert parse(card + "points = []\n").cards[0].points == ()


def test_an_id_that_a_derived_key_would_take_stays_its_own() -> None:
    question = 'question = "Why?"\nreference = "So"\n'
    key = parse(f"[[cards]]\n{question}").cards[0].id.removeprefix("knots:")
    first, second = parse(f'[[cards]]\n{question}[[cards]]\nid = "{key}"\n{question}').cards
    assert second.id == f"knots:{key}"
    assert first.id == f"knots:{key}-2"


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ('title = "Knots"', 'title = "Knots', 1, "not valid TOML"),
        ('title = "Knots"', "title = 3", 1, "title must be a text in quotes, not a number"),
        ('title = "Knots"', 'titel = "Knots"', 1, "did you mean 'title'"),
        ('title = "Knots"', 'id = "Not A Slug"', 1, "lower-case"),
        ('id = "bowline"', 'id = "a b"', 5, "card 1: the card's id"),
        ('kind = "definition"', 'kind = "poem"', 6, "must be one of definition, list"),
        ('kind = "definition"', "kind = true", 6, "not true or false"),
        ('kind = "definition"', 'sort = "list"', 6, "no key 'sort'"),
        ('question = "What is a bowline for?"', 'question = " "', 7, "card 1: the card has no question"),
        ('question = "What is a bowline for?"', "", 4, "no question"),
        ('question = "What is a bowline for?"', "question = 2020-01-01", 7, "not a date"),
        ('reference = "True"', "", 18, "card 2: the card has no reference"),
        ('reference = "True"', f'reference = "{"x" * 10_001}"', 20, "10001 characters"),
        ('["a fixed loop", ', "[7, ", 12, "a point must be a text or"),
        ('"a fixed loop"', '""', 12, "no text"),
        ("weight = 2", "weight = 0", 12, "weight is 0"),
        ("weight = 2", "weight = nan", 12, "weight is nan"),
        ("weight = 2", "weight = true", 12, "weight must be a number"),
        ("weight = 2", "wait = 2", 12, "did you mean 'weight'"),
        ('accept = ["holds"]', 'accept = "holds"', 12, "accept must be a list"),
        ('alternatives = ["A loop that holds"]', "alternatives = [1]", 13, "list of texts"),
        ('tags = ["loops"]', 'tags = [" "]', 15, "a blank one"),
        ('tags = ["loops"]', f"tags = {['t'] * 101}", 15, "101 entries"),
        ("# [[cards]] in", 'x\n# "', 17, "not valid TOML"),
        ('question = "True', 'id = "bowline"\nquestion = "True', 19, "used twice .first on line 5"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(old: str, new: str, line: int, words: str) -> None:
    assert old in DECK
    with pytest.raises(DeckError, match=words) as caught:
        parse(DECK.replace(old, new, 1))
    assert caught.value.line == line
    assert str(caught.value).startswith(f"knots.toml:{line}: ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('title = "x"', "no cards"),
        ("cards = []", "no cards"),
        ("cards = [1]", "not a number"),
        ("cards = 'x'", "no cards"),
        ("x = " + "[" * 5000, "nested too deeply"),
        ("x = " + "1" * 5000, "not valid TOML"),
        ("x" + ".x" * 50_000 + " = 1", "too many dots"),
        ("x" + '."x"' * 50_000 + " = 1", "too many dots"),
    ],
)
def test_what_is_no_deck_is_refused(text: str, words: str) -> None:
    with pytest.raises(DeckError, match=words):
        parse(text)


def test_cards_in_one_array_are_read_too() -> None:
    deck = parse('cards = [{ question = "Why?", reference = "So" }]')
    assert deck.cards[0].reference == "So"
    with pytest.raises(DeckError, match="card 1"):
        parse('cards = [{ question = "Why?" }]')


def test_dots_in_texts_are_only_dots() -> None:
    deck = parse(f"[[cards]]\nquestion = 'Why?' # {'.' * 99}\nreference = '{'. ' * 99}'\n")
    assert deck.cards[0].reference == (". " * 99).strip()


def test_a_card_of_another_deck_is_not_written() -> None:
    with pytest.raises(DeckError, match="not of deck"):
        write_deck(Deck("a", "A", (Card("b:1", "Q?", "A"),)), "toml")


def test_an_export_is_for_reading() -> None:
    text = write_deck(parse(DECK), "toml").decode()
    assert 'reference = """\nA fixed loop\nthat does not slip"""' in text
    assert 'id = "bowline"' in text
    assert "alternatives = []" not in text


ANY_TEXT = st.text(st.characters(), max_size=60)
TEXTS = ANY_TEXT.map(clean).filter(bool)
LINES = ANY_TEXT.map(clean_line).filter(bool)
POINTS = st.builds(
    KeyPoint,
    LINES,
    st.lists(LINES, max_size=3).map(tuple),
    st.floats(0, 100, exclude_min=True) | st.integers(1, 100).map(float),
)
CARDS = st.builds(
    Card,
    id=st.just(""),
    question=TEXTS,
    reference=TEXTS,
    kind=st.sampled_from(Kind),
    points=st.lists(POINTS, max_size=4).map(tuple),
    alternatives=st.lists(TEXTS, max_size=2).map(tuple),
    footnote=ANY_TEXT.map(clean),
    tags=st.lists(LINES, max_size=2).map(tuple),
)
KEYS = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,20}[A-Za-z0-9])?", fullmatch=True)


@st.composite
def decks(draw: st.DrawFn) -> Deck:
    keys = draw(st.lists(KEYS, min_size=1, max_size=4, unique=True))
    cards = []
    for key in keys:
        card = draw(CARDS)
        cards.append(
            Card(
                f"d:{key}",
                card.question,
                card.reference,
                card.kind,
                card.points,
                card.alternatives,
                card.footnote,
                card.tags,
            )
        )
    return Deck("d", draw(LINES), tuple(cards), draw(ANY_TEXT.map(clean)))


@given(decks())
def test_what_is_written_is_read_back(deck: Deck) -> None:
    assert parse(write_deck(deck, "toml")) == deck


@given(ANY_TEXT)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert clean(clean(text)) == clean(text)
    assert "\x1b" not in clean(text)
    assert clean(clean_line(text)) == clean_line(text)


def test_every_bundled_deck_reads() -> None:
    for path in bundled_decks():
        result = read_deck(path)
        assert result.deck.id == path.stem
        assert result.deck.title
        assert all(card.points for card in result.deck.cards)
        assert result.skipped == ()


def test_the_mlops_deck_has_69_cards() -> None:
    found = {path.stem: path for path in bundled_decks()}
    if "mlops" not in found:
        pytest.skip("deck/mlops.toml is not there yet")
    assert len(read_deck(found["mlops"]).deck.cards) == 69
