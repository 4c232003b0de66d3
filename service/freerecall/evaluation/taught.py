"""Rows that need no rater: what the rating guide, and each card by itself, say of an answer."""

from collections.abc import Sequence
from dataclasses import replace

from freerecall.cards import Kind
from freerecall.evaluation.rows import Row
from freerecall.grading import ad_hoc_card

_LISTS = (Kind.LIST, Kind.ORDERED_LIST)
CHATTER = (
    "hope this is what you wanted",
    "I revised this with my flatmate last night until two in the morning",
    "it was on one of the slides, the one with the big arrow, somewhere near the end",
    "lol no clue whether anybody ever needs that",
    "sorry for the typos, I am on the train and my phone is nearly dead",
    "my brother works with this stuff and he always says so at dinner",
    "Good luck to everyone who has to read all of these",
    "could somebody open a window in here, it is terribly hot",
    "that is everything that comes to mind, next one",
    "we had a long talk about it in the seminar and then went for lunch",
    "if I get this one wrong again I will scream",
    "Das war letzte Woche dran, glaube ich jedenfalls",
    "je crois que c'est ça, on verra bien",
    "creo que sí, pero no estoy del todo seguro",
    "and everything else that goes along with it, you know what I mean",
    "well, what can one say, it is a long story",
    "as far as I remember anyway, it has been a while since I looked at it",
    "I would have written more but there is hardly any time left",
    "ok so first of all hello and have a nice day",
    "whatever, I'd rather be at the beach with an ice cream",
    "that counts, doesn't it, come on",
    "nobody has ever shown me how one does such things properly",
    "thanks a lot for your patience with me this year",
    "and two more that I had on the tip of my tongue a minute ago",
)
"""Neither right nor wrong on any card."""
_OFF_TOPIC = "#off-topic"
_LONG = 7
"""Letters from which a word is still plain with one of them missing."""


def is_taught(row: Row) -> bool:
    """Say whether a row was made here."""
    return "#" in str(row.id)


def is_off_topic(row: Row) -> bool:
    """Say whether a row was made by `off_topic`."""
    return str(row.id).endswith(_OFF_TOPIC)


def anchors(rows: Sequence[Row]) -> list[Row]:
    """What the rating guide says of lists, as examples: the first 1, 2, … of a card's key points.

    For the cards of decks that are among the rows, so that others stay unseen.
    """
    cards = {row.card.id: row.card for row in rows if row.card.id and row.card.kind in _LISTS}
    return [
        Row(
            id=f"{card.id}#{count}",
            card=card,
            answer=", ".join(point.text for point in card.points[:count]),
            gold=_by_share(count / len(card.points)),
        )
        for card in cards.values()
        for count in range(1, len(card.points) + 1)
    ]


def references(rows: Sequence[Row]) -> list[Row]:
    """What needs no rating: a card's full answers are a 5, also with a typo, and so are all its key points.

    Among the rated answers, one in nearly the reference's words is as often one with a side turned.
    """
    out = []
    for i, row in enumerate(_one_of_each_card(rows)):
        card = row.card
        points = [("; ", ", ", ". ")[i % 3].join(point.text for point in card.points)] if card.points else []
        full = (card.reference, *card.alternatives)
        said = [answer for text in full for answer in (text, _mistyped(text, i))] + points
        out += [replace(row, id=f"{row.id}#reference", answer=answer, gold=5) for answer in said]
    return out


def off_topic(rows: Sequence[Row]) -> list[Row]:
    """What needs no rating either: for each rated card, idle talk and another card's reference are a 1."""
    cards = _one_of_each_card(rows)
    others = cards[len(cards) // 2 :] + cards[: len(cards) // 2]
    return [
        replace(row, id=f"{row.id}{_OFF_TOPIC}", answer=answer, gold=1, label=None)
        for i, (row, other) in enumerate(zip(cards, others, strict=True))
        for answer in (other.card.reference, CHATTER[i % len(CHATTER)])
    ]


def _one_of_each_card(rows: Sequence[Row]) -> list[Row]:
    rated = (row for row in rows if row.gold is not None)
    return list({f"{row.card.question}\0{row.card.reference}": row for row in rated}.values())


def _mistyped(text: str, i: int) -> str:
    """Return `text` in lower case, with a letter missing in one of its longer words."""
    words = text.lower().rstrip(".").split()
    if long := [at for at, word in enumerate(words) if len(word) >= _LONG]:
        at = long[i % len(long)]
        words[at] = words[at][: _LONG // 2] + words[at][_LONG // 2 + 1 :]
    return " ".join(words)


def padded(rows: Sequence[Row]) -> list[Row]:
    """Examples of what idle talk is worth: nothing. Rated answers with some of it keep their rating."""
    rated = [row for row in rows if row.gold is not None and row.answer.strip()]
    return [
        replace(row, id=f"{row.id}#padded", answer=_pad(row.answer, CHATTER[i % len(CHATTER)], i))
        for i, row in enumerate(rated)
    ]


def _pad(answer: str, talk: str, i: int) -> str:
    before, between = i % 3 == 0, (". ", " ", ", ", " - ", "\n")[i % 5]
    return f"{talk}{between}{answer}" if before else f"{answer}{between}{talk}"


def _by_share(share: float) -> int:
    """Return the rating that the guide gives to this share of a list, 2–5."""
    return 2 + sum(share >= bound for bound in (0.4, 0.75, 1.0))


def forms_of(row: Row) -> list[Row]:
    """A card with accepted wordings is also seen without them, and without its key points."""
    card = row.card
    if not card.id and not any(point.accept for point in card.points):
        return [row]
    texts = tuple(point.text for point in card.points)
    others = card.alternatives
    return [
        row,
        replace(
            row,
            card=ad_hoc_card(
                card.question, card.reference, key_points=texts, kind=card.kind, references=others
            ),
        ),
        replace(row, card=ad_hoc_card(card.question, card.reference, references=others)),
    ]
