"""The text of a flashcard page, both layouts; all of it in words of our own but for the seed."""

from pathlib import Path

import pytest

from freerecall.cards import Card, Kind
from freerecall.decks import ImportResult, parse_deck, read_deck, write_deck
from freerecall.errors import DeckError

SEED = Path(__file__).parents[2] / "shared" / "seeds" / "mlops-flashcards.txt"

SCALE = "How well did you know this?\n1\nNot at all\n2\n3\n4\n5\nPerfectly\n"

DUMP = f"""Kitchen Chemistry

(7 cards)

1
Q
A
{SCALE}2
Q

What does boiling do to **water**?

A

Turn it into steam

It happens sooner on a mountain.

{SCALE}3
Q

What does a baker weigh?

A
  • Flour
  • Water
  • Salt (fine, coarse)

Scales beat cups.

{SCALE}4
Q

Why salt pasta water?

A

To change:
* Taste
* Texture

A spoonful will do.

{SCALE}5
List the **steps** of making tea.
* Boil water * Add leaves * Steep (3 minutes) * Pour ## Footnote Milk is a matter of taste.
6
True or false: Oil dissolves in water.
FALSE ## Footnote It floats.
7
Fill in the blank: Yeast makes bread ________.
rise
"""


def parse(text: str) -> ImportResult:
    return parse_deck(text, source="kitchen.txt")


def cards_of(text: str) -> list[Card]:
    return list(parse(text).deck.cards)


def points(card: Card) -> list[str]:
    return [point.text for point in card.points]


def test_both_layouts_in_one_file() -> None:
    result = parse(DUMP)
    water, baker, pasta, tea, oil, yeast = result.deck.cards

    assert (result.deck.id, result.deck.title, result.format) == ("kitchen", "Kitchen Chemistry", "page-dump")
    assert [(one.number, one.line) for one in result.skipped] == [(1, 5)]
    assert "blank" in result.skipped[0].reason
    assert result.notes == ()
    assert (water.question, water.reference) == ("What does boiling do to water?", "Turn it into steam")
    assert water.footnote == "It happens sooner on a mountain."
    assert (baker.kind, points(baker)) == (Kind.LIST, ["Flour", "Water", "Salt (fine, coarse)"])
    assert baker.points[2].accept == ("Salt",)
    assert baker.footnote == "Scales beat cups."
    assert pasta.reference == "To change:\n- Taste\n- Texture"
    assert points(pasta) == ["Taste", "Texture"]
    assert pasta.footnote == "A spoonful will do."
    assert (tea.kind, tea.question) == (Kind.ORDERED_LIST, "List the steps of making tea.")
    assert points(tea) == ["Boil water", "Add leaves", "Steep (3 minutes)", "Pour"]
    assert tea.footnote == "Milk is a matter of taste."
    assert (oil.kind, oil.reference, oil.footnote) == (Kind.TRUE_FALSE, "False", "It floats.")
    assert (yeast.kind, points(yeast)) == (Kind.CLOZE, ["rise"])
    assert "________" in yeast.question


def test_the_scale_is_in_no_card() -> None:
    assert "Perfectly" not in repr(parse(DUMP).deck)
    assert "How well" not in repr(parse(DUMP).deck)


@pytest.mark.parametrize(
    "changed",
    [
        DUMP.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + DUMP.encode(),
        DUMP.replace("•", "\u00a0•\u00a0").encode(),
        DUMP.encode("cp1252"),
        DUMP.encode("utf-16"),
        DUMP.replace("\n", "  \t\n").encode(),
        (DUMP + "\n \n\n").encode(),
    ],
    ids=["crlf", "bom", "nbsp", "cp1252", "utf-16", "trailing-blanks", "blank-end"],
)
def test_the_same_deck_however_it_was_saved(changed: bytes, tmp_path: Path) -> None:
    path = tmp_path / "kitchen.txt"
    path.write_bytes(changed)
    assert read_deck(path) == parse(DUMP)


def test_a_scale_on_one_line_or_cut_short_stays_out() -> None:
    one_line = "1\nQ\nWhat is up?\nA\nThe sky\nHow well did you know this? 1 Not at all 2 3 4 5 Perfectly\n"
    unnamed = "1\nQ\nWhat is up?\nA\nThe sky\n1 Not at all 2 3 4 5 Perfectly\n"
    cut = "1\nQ\nWhat is up?\nA\nThe sky\nHow well did you know this?\n2\nQ\nWhat is down?\nA\nEarth\n"
    trailing = "1\nWhat is up?\nThe sky ## Footnote Blue. How well did you know this? 1 Not at all 2 3\n"
    headless = "1\nQ\nWhat is up?\nA\nThe sky\n\nBlue.\n\n1\nNot at all\n2\n3\n4\n5\nPerfectly\n"
    beheaded = headless.replace("\n1\nNot", "\nNot")
    for text in (one_line, unnamed, cut, trailing, headless, beheaded):
        card = cards_of(text)[0]
        assert (card.question, card.reference) == ("What is up?", "The sky")
        assert card.footnote in ("", "Blue.")
    assert len(cards_of(cut)) == 2


def test_a_lost_line_never_lets_the_scale_in_nor_loses_a_card_in_silence() -> None:
    lines = DUMP.split("\n")
    for lost in range(len(lines)):
        try:
            result = parse("\n".join(lines[:lost] + lines[lost + 1 :]))
        except DeckError:
            continue
        assert len(result.deck.cards) == 6 or result.notes, lines[lost]
        assert not any(word in repr(result.deck) for word in ("How well", "Not at all", "Perfectly")), lines[
            lost
        ]


def test_numbers_can_be_answers() -> None:
    marked = cards_of(
        f"3\nQ\nHow many sides?\nA\n\n4\n\nA square has.\n\n{SCALE}4\nQ\nAnd a triangle?\nA\n3\n{SCALE}"
    )
    plain = cards_of(
        "3\nHow many sides?\n4\n4\nAnd a triangle?\n3\n5\nAnd a pentagon?\n5 ## Footnote Five.\n"
    )
    assert [card.reference for card in marked] == ["4", "3"]
    assert [card.reference for card in plain] == ["4", "3", "5"]


def test_marked_cards_without_a_scale() -> None:
    cards = cards_of(
        "1\nQ\nWhat is up?\nA\nThe sky\n2\nQ\nWhat is down?\nA\nEarth\n3\nWhat is left?\nA side\n"
    )
    assert [card.reference for card in cards] == ["The sky", "Earth", "A side"]


def test_a_blank_card_in_the_plain_layout_is_skipped() -> None:
    result = parse("1\nWhat is up?\nThe sky\n2\n3\nWhat is down?\nEarth\n4\n")
    assert [(one.number, one.line) for one in result.skipped] == [(2, 4), (4, 8)]
    assert len(result.deck.cards) == 2


def test_a_footnote_of_several_paragraphs() -> None:
    card = cards_of(f"1\nQ\nWhat is up?\nA\n\nThe sky\n\nBlue by day.\n\nBlack by night.\n\n{SCALE}2\n")[0]
    assert (card.reference, card.footnote) == ("The sky", "Blue by day.\nBlack by night.")


def test_a_count_that_does_not_fit_is_told() -> None:
    (note,) = parse(DUMP.replace("(7 cards)", "(9 cards)")).notes
    assert "9" in note
    assert "7" in note


def test_the_key_depends_on_the_question_alone() -> None:
    before = cards_of(DUMP)
    after = cards_of(DUMP.replace("Turn it into steam", "Make it a gas").replace("\n3\nQ", "\n03\nQ"))
    assert [card.id for card in before] == [card.id for card in after]
    assert len({card.id for card in before}) == len(before)
    assert all(card.id.startswith("kitchen:") for card in before)


def test_the_same_question_twice_gets_a_counted_key() -> None:
    first, second, third = cards_of("1\nWhat is up?\nSky\n2\nWhat is up?\nStars\n3\nWhat is up?\nClouds\n")
    assert second.id == f"{first.id}-2"
    assert third.id == f"{first.id}-3"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (DUMP.replace("Turn it into steam\n\nIt happens sooner on a mountain.", ""), 16, "no answer"),
        (DUMP.replace("What does boiling do to **water**?", ""), 16, "no question"),
        (DUMP.replace("FALSE ## Footnote It floats.\n", ""), 79, "no answer"),
        (DUMP.replace("FALSE ## Footnote It floats.", "## Footnote It floats."), 79, "no answer"),
        (DUMP.replace("\n7\nFill", "\n6\nFill"), 82, "6 comes after 6"),
        (DUMP.replace("\n7\nFill", "\n2\nFill"), 82, "2 comes after 6"),
        (DUMP.replace("Perfectly\n2\nQ", "Perfectly\nhello\n2\nQ"), 16, "expected the number"),
        (DUMP.replace("\nA\n\nTurn", "\nTurn"), 16, 'no line "A"'),
        (DUMP.replace("rise", "rise " * 3000), 82, "10000 characters"),
        (DUMP.replace("* Pour", "".join(f"* Step {n} " for n in range(101))), 76, "104 things"),
        (DUMP.replace("\n6\nTrue", "\nTrue"), 76, "number of the card after it missing"),
        (f"Nothing\n(1 cards)\n1\nQ\nA\n{SCALE}", 0, "no cards"),
    ],
)
def test_what_is_malformed_is_named_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(DeckError, match=words) as caught:
        parse(text)
    assert caught.value.line == line
    assert str(caught.value).startswith("kitchen.txt:")


@pytest.fixture(scope="module")
def seed() -> ImportResult:
    if not SEED.exists():
        pytest.skip(f"the seed deck is not beside this checkout ({SEED.name})")
    return read_deck(SEED)


def seed_card(seed: ImportResult, words: str) -> Card:
    (card,) = [card for card in seed.deck.cards if words in card.question]
    return card


def test_the_seed_has_69_cards(seed: ImportResult) -> None:
    cards = seed.deck.cards
    assert len(cards) == 69
    assert [one.number for one in seed.skipped] == [1]
    assert seed.notes == ()
    assert len({card.id for card in cards}) == 69
    assert all(card.question and card.reference and card.footnote and card.points for card in cards)
    assert not any("**" in text or "##" in text for card in cards for text in (card.question, card.reference))
    assert not any(word in repr(seed.deck) for word in ("How well did you know", "Not at all", "Perfectly"))
    assert [card.kind for card in cards].count(Kind.TRUE_FALSE) == 4
    assert [card.kind for card in cards].count(Kind.CLOZE) == 1


def test_every_list_item_of_the_seed_is_a_key_point(seed: ImportResult) -> None:
    lists = [card for card in seed.deck.cards if card.kind in (Kind.LIST, Kind.ORDERED_LIST)]
    assert len(lists) == 32
    for card in lists:
        items = [line.removeprefix("- ") for line in card.reference.splitlines() if line.startswith("- ")]
        assert points(card) == items
    assert len(points(seed_card(seed, "real ML life cycle"))) == 8


def test_the_seed_asks_for_order_where_it_asks_for_steps(seed: ImportResult) -> None:
    ordered = [card.question for card in seed.deck.cards if card.kind is Kind.ORDERED_LIST]
    for words in ("life cycle", "first two steps", "four main steps", "six steps", "key components"):
        assert any(words in question for question in ordered), words
    assert len(ordered) == 5


def test_particulars_of_the_seed(seed: ImportResult) -> None:
    cloud = seed_card(seed, "three service types").points
    assert cloud[0].text == "IaaS – Infrastructure"
    assert {"IaaS", "Infrastructure", "Infrastructure as a service"} <= set(cloud[0].accept)
    assert seed_card(seed, "cloud platforms mentioned").points[1].accept == ("Amazon Web Services", "AWS")
    assert points(seed_card(seed, "Jupyter")) == [
        "A Jupyter notebook = experiment",
        "An ML pipeline = production system",
    ]
    assert points(seed_card(seed, "changes occur"))[1] == "Manual releases → CI/CD"
    assert seed_card(seed, "Why do we need MLOps").reference.startswith("To manage:\n- Lots of data")
    assert points(seed_card(seed, "always ask")) == ["What MLOps level is this project actually at?"]
    assert seed_card(seed, "You deploy a model").footnote.startswith("You deploy a pipeline")


def test_the_seed_survives_export(seed: ImportResult) -> None:
    assert parse_deck(write_deck(seed.deck, "toml"), source="seed.toml").deck == seed.deck
