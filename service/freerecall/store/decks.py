"""Decks and cards in the database, and what is to be asked next."""

from datetime import datetime

from freerecall.cards import Card, Deck
from freerecall.errors import ConflictError, NotFoundError
from freerecall.store.connection import Connection
from freerecall.store.rows import DeckChange, DeckSummary, NextCard, dump_card, load_card, time_text

_SUMMARIES = """
    SELECT d.id, d.title, d.description,
        (SELECT count(*) FROM cards c WHERE c.deck_id = d.id AND c.retired = 0),
        (SELECT count(*) FROM card_states s CROSS JOIN cards c ON c.id = s.card_id
            WHERE s.learner = :learner AND s.deck_id = d.id AND s.due <= :now AND c.retired = 0),
        (SELECT count(*) FROM cards c WHERE c.deck_id = d.id AND c.retired = 0 AND NOT EXISTS
            (SELECT 1 FROM card_states s WHERE s.learner = :learner AND s.card_id = c.id))
    FROM decks d ORDER BY d.title, d.id"""

# CROSS JOIN keeps SQLite from reading `cards` first: the states come in order of `due`.
_SCHEDULED = """
    FROM card_states s CROSS JOIN cards c ON c.id = s.card_id
    WHERE s.learner = :learner AND c.retired = 0 {in_deck} AND s.due {when} :now"""
_NEW = """
    FROM cards c WHERE c.retired = 0 {in_deck} AND NOT EXISTS
        (SELECT 1 FROM card_states s WHERE s.learner = :learner AND s.card_id = c.id)"""


class DeckTables(Connection):
    """The part of the store that holds what is asked."""

    def put_deck(self, deck: Deck, *, bundled_file: tuple[str, str] | None = None) -> DeckChange:
        """Store `deck` in place of the one with its id; all of it or nothing.

        A card keeps its history as long as it keeps its id. Cards that are gone are not asked
        any more; they come back with their history when a later import has them again.
        `bundled_file` is the name and the hash of the bundled file that the deck comes from.

        Raises ConflictError where a card's id is taken by another deck, or twice in this one.
        """
        with self.transaction():
            if bundled_file:
                self._write("INSERT OR REPLACE INTO bundled_files (name, hash) VALUES (?, ?)", bundled_file)
            change = self._put_cards(deck)
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

    def _put_cards(self, deck: Deck) -> DeckChange:
        self._write(
            "INSERT INTO decks (id, title, description, bundled) VALUES (?, ?, ?, 0) ON CONFLICT DO NOTHING",
            (deck.id, deck.title, deck.description),
        )
        rows = self._all("SELECT id, position, version, retired FROM cards WHERE deck_id = ?", (deck.id,))
        stored = {id: (position, version, retired) for id, position, version, retired in rows}
        seen: set[str] = set()
        added = changed = unchanged = 0
        for position, card in enumerate(deck.cards):
            if card.id in seen:
                raise ConflictError(f"deck {deck.id!r} has two cards with the id {card.id!r}; rename one")
            seen.add(card.id)
            version, content = dump_card(card)
            before = stored.get(card.id)
            added += before is None or bool(before[2])
            changed += before is not None and not before[2] and before[1] != version
            unchanged += before is not None and not before[2] and before[1] == version
            if before != (position, version, 0):
                self._put_card(deck.id, card.id, position, version, content)
        gone = [(id,) for id, (_, _, retired) in stored.items() if id not in seen and not retired]
        for key in gone:
            self._write("UPDATE cards SET retired = 1 WHERE id = ?", key)
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

    def decks(self, now: datetime, *, learner: str = "local") -> list[DeckSummary]:
        """Return all decks by title, with what is due at `now`."""
        rows = self._all(_SUMMARIES, {"learner": learner, "now": time_text(now)})
        return [DeckSummary(*row) for row in rows]

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

    def next_card(self, deck_id: str | None, now: datetime, *, learner: str = "local") -> NextCard:
        """Return what to ask: the card due for longest, else the first new one in its deck's order.

        `deck_id` None looks at all decks. Raises NotFoundError for an unknown deck.
        """
        if deck_id is not None and not self._one("SELECT 1 FROM decks WHERE id = ?", (deck_id,)):
            raise NotFoundError(f"there is no deck {deck_id!r}")
        values = {"learner": learner, "deck": deck_id, "now": time_text(now)}
        due_now = _SCHEDULED.format(in_deck="AND s.deck_id = :deck" if deck_id is not None else "", when="<=")
        later = _SCHEDULED.format(in_deck="AND s.deck_id = :deck" if deck_id is not None else "", when=">")
        new = _NEW.format(in_deck="AND c.deck_id = :deck" if deck_id is not None else "")
        due_count = self._one("SELECT count(*)" + due_now, values)[0]
        new_count = self._one("SELECT count(*)" + new, values)[0]
        found = None
        if due_count:
            found = self._one("SELECT s.card_id" + due_now + " ORDER BY s.due, s.card_id LIMIT 1", values)
        elif new_count:
            found = self._one("SELECT c.id" + new + " ORDER BY c.deck_id, c.position LIMIT 1", values)
        if found:
            return NextCard(self.card(found[0]), due_count, new_count, None)
        row = self._one("SELECT s.due" + later + " ORDER BY s.due LIMIT 1", values)
        return NextCard(None, 0, 0, datetime.fromisoformat(row[0]) if row else None)
