"""Decks and cards in the database: stored, found, listed."""

import re
from collections.abc import Callable

from freerecall.cards import Card, Deck
from freerecall.errors import ConflictError, NotFoundError
from freerecall.store.connection import Connection
from freerecall.store.rows import DeckChange, dump_card, load_card

_WORD = re.compile(r"\w+")


class DeckTables(Connection):
    """The part of the store that holds what is asked."""

    def put_deck(
        self,
        deck: Deck,
        *,
        bundled_file: tuple[str, str] | None = None,
        owner: str | None = None,
        on_progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> DeckChange:
        """Store `deck` in place of the one with its id; all of it or nothing.

        A card keeps its history as long as it keeps its id. Cards that are gone are not asked
        any more; they come back with their history when a later import has them again.
        `owner` is whose a new deck is (None: shared with all); a known one stays whose it is.
        `bundled_file` is the name and the hash of the bundled file that the deck comes from.

        Raises ConflictError where a card's id is taken by another deck, or twice in this one.
        """
        with self.transaction():
            if bundled_file:
                self._write("INSERT OR REPLACE INTO bundled_files (name, hash) VALUES (?, ?)", bundled_file)
            change = self._put_cards(deck, owner, on_progress)
            head = self._one("SELECT title, description, bundled FROM decks WHERE id = ?", (deck.id,))
            same = change == DeckChange(unchanged=change.unchanged) and head[:2] == (
                deck.title,
                deck.description,
            )
            if not same or (bundled_file and not head[2]):
                self._write(
                    "UPDATE decks SET title = ?, description = ?, bundled = ? WHERE id = ?",
                    (deck.title, deck.description, int(bundled_file is not None), deck.id),
                )
        return change

    def _put_cards(
        self, deck: Deck, owner: str | None, on_progress: Callable[[int, int], None]
    ) -> DeckChange:
        self._write(
            "INSERT INTO decks (id, title, description, bundled, owner) VALUES (?, ?, ?, 0, ?)"
            " ON CONFLICT DO NOTHING",
            (deck.id, deck.title, deck.description, owner),
        )
        rows = self._all("SELECT id, position, version, retired FROM cards WHERE deck_id = ?", (deck.id,))
        stored = {id: (position, version, retired) for id, position, version, retired in rows}
        seen: set[str] = set()
        added = changed = unchanged = 0
        moved = False
        for position, card in enumerate(deck.cards):
            if position % 1_000 == 0:
                on_progress(position, len(deck.cards))
            if card.id in seen:
                raise ConflictError(f"deck {deck.id!r} has two cards with the id {card.id!r}; rename one")
            seen.add(card.id)
            version, content = dump_card(card)
            before = stored.get(card.id)
            added += before is None or bool(before[2])
            changed += before is not None and not before[2] and before[1] != version
            unchanged += before is not None and not before[2] and before[1] == version
            if before != (position, version, 0):
                moved = True
                self._put_card(deck.id, card.id, position, version, content)
            if before is None or before[1] != version:
                self._index(deck.id, card)
        gone = [(id,) for id, (_, _, retired) in stored.items() if id not in seen and not retired]
        for key in gone:
            self._write("UPDATE cards SET retired = 1 WHERE id = ?", key)
        if moved:  # a card may be new in front of what was seen
            self._write("UPDATE deck_settings SET fresh_from = 0 WHERE deck_id = ?", (deck.id,))
        return DeckChange(added, changed, unchanged, len(gone))

    def _put_card(self, deck_id: str, card_id: str, position: int, version: str, content: str) -> None:
        self._write(
            "INSERT INTO card_versions (hash, content) VALUES (?, ?) ON CONFLICT DO NOTHING",
            (version, content),
        )
        stored = self._write(
            "INSERT INTO cards (id, deck_id, position, version, retired) VALUES (?, ?, ?, ?, 0)"
            " ON CONFLICT (id) DO UPDATE SET position = excluded.position, version = excluded.version,"
            " retired = 0 WHERE deck_id = excluded.deck_id",
            (card_id, deck_id, position, version),
        )
        if not stored:
            raise ConflictError(
                f"the card id {card_id!r} of deck {deck_id!r} is taken by another deck; rename one"
            )

    def _index(self, deck_id: str, card: Card) -> None:
        """Bring a card's tags and its full text up to date."""
        self._write("DELETE FROM card_tags WHERE card_id = ?", (card.id,))
        for tag in sorted(set(card.tags)):
            self._write(
                "INSERT INTO card_tags (deck_id, tag, card_id) VALUES (?, ?, ?)", (deck_id, tag, card.id)
            )
        self._write("INSERT INTO card_rows (card_id) VALUES (?) ON CONFLICT DO NOTHING", (card.id,))
        (row,) = self._one("SELECT id FROM card_rows WHERE card_id = ?", (card.id,))
        self._write("DELETE FROM card_texts WHERE rowid = ?", (row,))
        self._write(
            "INSERT INTO card_texts (rowid, question, reference, tags) VALUES (?, ?, ?, ?)",
            (row, card.question, card.reference, " ".join(card.tags)),
        )

    def put_card(self, deck_id: str, card: Card) -> bool:
        """Store one card in place of the one with its id. Return False if it is the same.

        The deck becomes the user's own. Raises NotFoundError where the deck has no such card.
        """
        with self.transaction():
            row = self._one(
                "SELECT position, version FROM cards WHERE id = ? AND deck_id = ? AND retired = 0",
                (card.id, deck_id),
            )
            if row is None:
                raise NotFoundError(f"deck {deck_id!r} has no card {card.id!r}")
            version, content = dump_card(card)
            if version == row[1]:
                return False
            self._put_card(deck_id, card.id, row[0], version, content)
            self._index(deck_id, card)
            self._write("UPDATE decks SET bundled = 0 WHERE id = ?", (deck_id,))
        return True

    def find_cards(
        self, deck_id: str, text: str = "", tag: str = "", *, limit: int = 50, offset: int = 0
    ) -> tuple[list[Card], int]:
        """Return the deck's cards that hold every word of `text` (by prefix) and the tag, and their number.

        In the deck's order. The number is counted up to 1,000 beyond the offset.
        """
        words = " ".join(f'"{word}"*' for word in _WORD.findall(text))
        if text.strip() and not words:
            return [], 0
        sql = "FROM cards c WHERE c.deck_id = :deck AND c.retired = 0"
        if words:
            sql += (
                " AND c.id IN (SELECT r.card_id FROM card_texts x JOIN card_rows r ON r.id = x.rowid"
                " WHERE card_texts MATCH :words)"
            )
        if tag:
            sql += " AND EXISTS (SELECT 1 FROM card_tags t WHERE t.card_id = c.id AND t.tag = :tag)"
        values = {"deck": deck_id, "words": words, "tag": tag, "limit": limit, "offset": offset}
        (count,) = self._one(f"SELECT count(*) FROM (SELECT 1 {sql} LIMIT :offset + 1000)", values)
        rows = self._all(
            "SELECT v.content FROM card_versions v JOIN"
            f" (SELECT c.version, c.position {sql} ORDER BY c.position LIMIT :limit OFFSET :offset) p"
            " ON p.version = v.hash ORDER BY p.position",
            values,
        )
        return [load_card(content) for (content,) in rows], count

    def tags(self, deck_id: str) -> list[tuple[str, int]]:
        """Return the deck's tags, the commonest first, each with its number of cards; at most 200."""
        rows: list[tuple[str, int]] = self._all(
            "SELECT t.tag, count(*) AS n FROM card_tags t JOIN cards c ON c.id = t.card_id AND c.retired = 0"
            " WHERE t.deck_id = ? GROUP BY t.tag ORDER BY n DESC, t.tag LIMIT 200",
            (deck_id,),
        )
        return rows

    def has_deck(self, deck_id: str) -> bool:
        """Say whether there is such a deck."""
        return self._one("SELECT 1 FROM decks WHERE id = ?", (deck_id,)) is not None

    def deck_of(self, card_id: str) -> str:
        """Return the id of a card's deck. Raises NotFoundError."""
        row = self._one("SELECT deck_id FROM cards WHERE id = ?", (card_id,))
        if row is None:
            raise NotFoundError(f"there is no card {card_id!r}")
        deck: str = row[0]
        return deck

    def owner_of_deck(self, deck_id: str) -> str | None:
        """Return whose a deck is; None where it is shared with all. Raises NotFoundError."""
        row = self._one("SELECT owner FROM decks WHERE id = ?", (deck_id,))
        if row is None:
            raise NotFoundError(f"there is no deck {deck_id!r}")
        owner: str | None = row[0]
        return owner

    def owner_of_card(self, card_id: str) -> str | None:
        """Return whose a card's deck is, as `owner_of_deck`. Raises NotFoundError."""
        return self.owner_of_deck(self.deck_of(card_id))

    def bundled_files(self) -> dict[str, str]:
        """Return the names of the bundled deck files that were read, each with its hash."""
        return dict(self._all("SELECT name, hash FROM bundled_files"))

    def is_own(self, deck_id: str) -> bool:
        """Whether there is such a deck and it was put there by the user, not from a bundled file."""
        row = self._one("SELECT bundled FROM decks WHERE id = ?", (deck_id,))
        return row is not None and not row[0]

    def skip_bundled_file(self, name: str, hash: str) -> None:
        """Note a bundled file as read, its deck left as it is."""
        self._write("INSERT OR REPLACE INTO bundled_files (name, hash) VALUES (?, ?)", (name, hash))

    def deck(self, deck_id: str) -> Deck:
        """Return a deck with its cards in order. Raises NotFoundError."""
        with self.snapshot():
            row = self._one("SELECT title, description FROM decks WHERE id = ?", (deck_id,))
            if row is None:
                raise NotFoundError(
                    f"there is no deck {deck_id!r}; the decks are listed by `freerecall decks`"
                )
            rows = self._all(
                "SELECT v.content FROM cards c JOIN card_versions v ON v.hash = c.version"
                " WHERE c.deck_id = ? AND c.retired = 0 ORDER BY c.position",
                (deck_id,),
            )
        title, description = row
        return Deck(deck_id, title, tuple(load_card(content) for (content,) in rows), description)

    def cards(self, deck_id: str) -> list[Card]:
        """Return a deck's cards in order. Raises NotFoundError."""
        return list(self.deck(deck_id).cards)

    def card(self, card_id: str) -> Card:
        """Return a card as it is now, even if its deck has it no more. Raises NotFoundError."""
        return self.card_with_version(card_id)[0]

    def card_with_version(self, card_id: str) -> tuple[Card, str]:
        """Return a card and the hash of its content. Raises NotFoundError."""
        row = self._one(
            "SELECT v.content, v.hash FROM cards c JOIN card_versions v ON v.hash = c.version WHERE c.id = ?",
            (card_id,),
        )
        if row is None:
            raise NotFoundError(f"there is no card {card_id!r}")
        return load_card(row[0]), row[1]

    def card_version(self, version: str) -> Card:
        """Return a card as it was, by the hash of its content. Raises NotFoundError."""
        row = self._one("SELECT content FROM card_versions WHERE hash = ?", (version,))
        if row is None:
            raise NotFoundError(f"there is no card version {version!r}")
        return load_card(row[0])
