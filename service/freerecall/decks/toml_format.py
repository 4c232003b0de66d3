"""freerecall's own deck format: a TOML file with one [[cards]] table a card."""

import math
import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, NoReturn

import tomli_w

from freerecall import derive
from freerecall.cards import Card, Deck, KeyPoint, Kind
from freerecall.decks.result import MAX_CARDS, MAX_POINTS, MAX_TEXT, MAX_WEIGHT, ImportResult
from freerecall.decks.text import KeyMaker, clean, clean_line, deck_id_from
from freerecall.errors import DeckError

_DECK_KEYS = ("id", "title", "description", "cards")
_CARD_KEYS = ("id", "kind", "question", "reference", "points", "alternatives", "footnote", "tags")
_POINT_KEYS = ("text", "accept", "weight")

DECK_ID = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,98}[a-z0-9])?")
CARD_KEY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_CARD_HEADER = re.compile(r"^[ \t]*\[\[[ \t]*[\"']?cards[\"']?[ \t]*\]\]", re.MULTILINE)
_DEEP_KEY = re.compile(r"(?:\.[\w \t-]*+){50}")
_LINE_IN_MESSAGE = re.compile(r"\(at line (\d+), column \d+\)")
_STRING_OR_COMMENT = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|' r"'''.*?'{3,5}|" r'"(?:\\.|[^"\\\n])*"|' r"'[^'\n]*'|#[^\n]*", re.DOTALL
)


def looks_like(text: str) -> bool:
    """Say whether `text` is meant to be a TOML deck."""
    return bool(_CARD_HEADER.search(text) or re.search(r"^[ \t]*cards[ \t]*=[ \t]*\[", text, re.MULTILINE))


def parse(text: str, *, source: str, deck_id: str, stem: str) -> ImportResult:
    """Read a TOML deck. `deck_id` overrides the file's own `id`; `stem` stands in where it has none.

    Raises DeckError with the line for bad TOML, wrong types, unknown keys, duplicate ids and
    values out of range.
    """
    # tomllib's time and memory grow with the square of a dotted key's length.
    if deep := _DEEP_KEY.search(bare := _without_strings(text)):
        line = bare.count("\n", 0, deep.start()) + 1
        raise DeckError(
            "a key has too many dots; write each card as a [[cards]] table", source=source, line=line
        )
    try:
        data = tomllib.loads(text.replace("\r\n", "\n"))
    except RecursionError:
        raise DeckError(
            "values are nested too deeply; a card holds only texts and lists", source=source
        ) from None
    except ValueError as error:
        found = _LINE_IN_MESSAGE.search(str(error))
        message = _LINE_IN_MESSAGE.sub("", str(error)).strip() or "cannot be read"
        line = int(found[1]) if found else 0
        raise DeckError(f"not valid TOML: {message}; correct this line", source=source, line=line) from None
    return ImportResult(TableReader(text, source).deck(data, deck_id, stem), format="toml")


class TableReader:
    """Turns parsed TOML into a deck; knows where each card stands so as to name its line."""

    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source
        self.card = -1
        self.key = ""

    def deck(self, data: Mapping[str, Any], deck_id: str, stem: str) -> Deck:
        self.known(data, _DECK_KEYS, "a deck")
        given = self.string(data, "id", 100)
        if given and not DECK_ID.fullmatch(given):
            self.fail(
                "id", f'the deck\'s id {given!r} must be lower-case letters, digits and -, such as "mlops"'
            )
        deck_id = deck_id or given or deck_id_from(stem)
        tables = data.get("cards")
        if not isinstance(tables, list) or not tables:
            self.fail("cards", "there are no cards; write each card as a [[cards]] table")
        if len(tables) > MAX_CARDS:
            self.fail(
                "cards", f"{len(tables)} cards; a deck may have {MAX_CARDS}: split it into several decks"
            )
        keys = KeyMaker(self.explicit_keys(tables))
        cards = []
        for self.card, table in enumerate(tables):
            cards.append(self.one_card(table, deck_id, keys))
        self.card = -1
        title = clean_line(self.string(data, "title", 500)) or stem
        return Deck(deck_id, title, tuple(cards), clean(self.string(data, "description", MAX_TEXT)))

    def explicit_keys(self, tables: list[Any]) -> dict[str, int]:
        seen: dict[str, int] = {}
        for self.card, table in enumerate(tables):
            if not isinstance(table, dict):
                self.fail("", f"a card must be a [[cards]] table, not {_type_name(table)}")
            key = self.string(table, "id", 100)
            if not key:
                continue
            if not CARD_KEY.fullmatch(key):
                self.fail("id", f"the card's id {key!r} must be letters, digits, '.', '_' and '-'")
            if key in seen:
                first = self.line(seen[key], "id")
                where = f" (first on line {first})" if first else ""
                self.fail("id", f"the id {key!r} is used twice{where}; give each card its own")
            seen[key] = self.card
        self.card = -1
        return seen

    def one_card(self, table: Mapping[str, Any], deck_id: str, keys: KeyMaker) -> Card:
        self.known(table, _CARD_KEYS, "a card")
        question = clean(self.string(table, "question", MAX_TEXT))
        reference = clean(self.string(table, "reference", MAX_TEXT))
        for name, value in (("question", question), ("reference", reference)):
            if not value:
                self.fail(name, f"the card has no {name}; add one or remove the card")
        key = self.string(table, "id", 100) or keys.key_for(question)
        kind = self.kind(table) or derive.kind_of(question, reference)
        return Card(
            id=f"{deck_id}:{key}",
            question=question,
            reference=reference,
            kind=kind,
            points=self.points(table, question, reference, kind),
            alternatives=self.strings(table, "alternatives"),
            footnote=clean(self.string(table, "footnote", MAX_TEXT)),
            tags=tuple(clean_line(tag) for tag in self.strings(table, "tags")),
        )

    def kind(self, table: Mapping[str, Any]) -> Kind | None:
        value = self.string(table, "kind", 100)
        if not value:
            return None
        try:
            return Kind(value)
        except ValueError:
            self.fail("kind", f"{value!r} is no kind of card; it must be one of {', '.join(Kind)}")

    def points(
        self, table: Mapping[str, Any], question: str, reference: str, kind: Kind
    ) -> tuple[KeyPoint, ...]:
        if "points" not in table:
            points = derive.points_of(question, reference, kind)
            if len(points) > MAX_POINTS:
                self.fail("reference", f"the answer lists {len(points)} things; a card may have {MAX_POINTS}")
            return points
        values = self.sequence(table, "points")
        return tuple(self.point(value) for value in values)

    def point(self, value: Any) -> KeyPoint:
        self.key = "points"
        if isinstance(value, str):
            value = {"text": value}
        if not isinstance(value, dict):
            self.fail(
                "points", f"a point must be a text or {{ text = …, accept = […] }}, not {_type_name(value)}"
            )
        self.known(value, _POINT_KEYS, "a point", at="points")
        text = clean_line(self.string(value, "text", MAX_TEXT, at="points"))
        if not text:
            self.fail("points", "a point has no text; write what an answer must say, or remove it")
        accept = tuple(clean_line(one) for one in self.strings(value, "accept", at="points"))
        weight = value.get("weight", 1.0)
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            self.fail("points", f"a point's weight must be a number, not {_type_name(weight)}")
        if not 0 < weight <= MAX_WEIGHT or math.isnan(weight):
            self.fail(
                "points", f"a point's weight is {weight}; it must be above 0 and at most {MAX_WEIGHT:g}"
            )
        return KeyPoint(text, accept, float(weight))

    def known(self, table: Mapping[str, Any], allowed: tuple[str, ...], what: str, at: str = "") -> None:
        for key in table:
            if key not in allowed:
                near = get_close_matches(key[:100], allowed, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"{what} has {', '.join(allowed)}"
                self.fail(at or key, f"{what} has no key {key[:100]!r}; {hint}")

    def string(self, table: Mapping[str, Any], key: str, limit: int, at: str = "") -> str:
        value = table.get(key, "")
        if not isinstance(value, str):
            self.fail(at or key, f"{key} must be a text in quotes, not {_type_name(value)}")
        if len(value) > limit:
            self.fail(at or key, f"{key} is {len(value)} characters long; at most {limit} are allowed")
        return value

    def sequence(self, table: Mapping[str, Any], key: str, at: str = "") -> list[Any]:
        value = table.get(key, [])
        if not isinstance(value, list):
            self.fail(at or key, f"{key} must be a list in [ ], not {_type_name(value)}")
        if len(value) > MAX_POINTS:
            self.fail(at or key, f"{key} has {len(value)} entries; at most {MAX_POINTS} are allowed")
        return value

    def strings(self, table: Mapping[str, Any], key: str, at: str = "") -> tuple[str, ...]:
        values = self.sequence(table, key, at)
        for value in values:
            if not isinstance(value, str) or not clean(value):
                found = "a blank one" if isinstance(value, str) else _type_name(value)
                self.fail(at or key, f"{key} must be a list of texts, but holds {found}")
            if len(value) > MAX_TEXT:
                self.fail(at or key, f"{key} holds {len(value)} characters; at most {MAX_TEXT} are allowed")
        return tuple(clean(value) for value in values)

    def fail(self, key: str, message: str) -> NoReturn:
        card = f"card {self.card + 1}: " if self.card >= 0 else ""
        raise DeckError(card + message, source=self.source, line=self.line(self.card, key))

    def line(self, card: int, key: str) -> int:
        """Return the line of `key` in the card with this index (-1: the deck), or of the card itself."""
        bare = _without_strings(self.text)
        headers = [header.start() for header in _CARD_HEADER.finditer(bare)]
        if card >= len(headers):
            return 0
        start = headers[card] if card >= 0 else 0
        end = headers[card + 1] if card + 1 < len(headers) else len(bare)
        found = (
            re.compile(rf"^[ \t]*{re.escape(key)}[ \t]*=", re.MULTILINE).search(bare, start, end)
            if key
            else None
        )
        if card < 0 and found is None:
            return 0
        return bare.count("\n", 0, found.start() if found else start) + 1


def write(deck: Deck) -> str:
    """Return `deck` as TOML that `parse` reads back as the same deck.

    Raises DeckError where a card's id does not start with the deck's.
    """
    return tomli_w.dumps(tables(deck), multiline_strings=True)


def tables(deck: Deck) -> dict[str, Any]:
    """Return `deck` as the tables of its file, for any format that can hold them.

    Raises DeckError where a card's id does not start with the deck's.
    """
    data: dict[str, Any] = {"id": deck.id, "title": clean_line(deck.title)}
    if deck.description.strip():
        data["description"] = clean(deck.description)
    data["cards"] = [card_table(card, deck.id) for card in deck.cards]
    return data


def read_tables(data: Mapping[str, Any], *, source: str, deck_id: str, stem: str) -> Deck:
    """Read what `tables` returned. Raises DeckError as `parse` does, without lines."""
    reader = TableReader("", source)
    reader.known(data, _DECK_KEYS, "a deck")
    return reader.deck(data, deck_id, stem)


def card_table(card: Card, deck_id: str) -> dict[str, Any]:
    """Return a card as its table. Raises DeckError where its id does not start with the deck's."""
    key = card.id.removeprefix(f"{deck_id}:")
    if key == card.id:
        raise DeckError(f"card {card.id!r} is not of deck {deck_id!r}; its id must be {deck_id}:<key>")
    table: dict[str, Any] = {
        "id": key,
        "kind": str(card.kind),
        "question": clean(card.question),
        "reference": clean(card.reference),
        "points": [_point_value(point) for point in card.points],
        "alternatives": [clean(text) for text in card.alternatives],
        "footnote": clean(card.footnote),
        "tags": [clean_line(tag) for tag in card.tags],
    }
    return {name: value for name, value in table.items() if value or name == "points"}


def _point_value(point: KeyPoint) -> str | dict[str, Any]:
    text = clean_line(point.text)
    if not point.accept and point.weight == 1:
        return text
    value: dict[str, Any] = {"text": text}
    if point.accept:
        value["accept"] = [clean_line(one) for one in point.accept]
    if point.weight != 1:
        value["weight"] = int(point.weight) if float(point.weight).is_integer() else point.weight
    return value


def _without_strings(text: str) -> str:
    """Return TOML without its strings and comments, line for line."""
    return _STRING_OR_COMMENT.sub(lambda found: "\n" * found[0].count("\n"), text)


def _type_name(value: object) -> str:
    names = {str: "a text", bool: "true or false", int: "a number", float: "a number", list: "a list"}
    return names.get(type(value), "a table" if isinstance(value, dict) else "a date or time")
