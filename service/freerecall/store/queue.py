"""What is to be asked next, and what the learner holds back or limits."""

import hashlib
import json
from datetime import datetime
from typing import Any

from freerecall.errors import NotFoundError
from freerecall.store.decks import DeckTables
from freerecall.store.rows import DeckSettings, DeckSummary, NextCard, Only, Session, time_text

MOST_COUNTED, MOST_LISTED = 300, 1000
"""Counts of due and new cards stop here, per question and in the list of decks: counting on takes time."""
_SHUFFLED = 200
"""With a seed, the next card is drawn from this many."""

_IN_TAG = " AND EXISTS (SELECT 1 FROM card_tags t WHERE t.card_id = c.id AND t.tag = :tag)"
_NOT_HELD = """ AND NOT EXISTS (SELECT 1 FROM card_flags f WHERE f.learner = :learner AND f.card_id = c.id
    AND (f.suspended = 1 OR f.buried_until > :now))"""
# CROSS JOIN keeps SQLite from reading `cards` first: the states come in order of `due`.
_SCHEDULED = """
    FROM card_states s CROSS JOIN cards c ON c.id = s.card_id
    WHERE s.learner = :learner AND s.deck_id = :deck AND c.retired = 0"""
_UNSEEN = """
    FROM cards c WHERE c.deck_id = :deck AND c.retired = 0 AND c.position >= :fresh_from AND NOT EXISTS
        (SELECT 1 FROM card_states s WHERE s.learner = :learner AND s.card_id = c.id)"""


class QueueTables(DeckTables):
    """The part of the store that says what comes next for a learner."""

    def next_card(
        self, deck_id: str | None, now: datetime, *, learner: str = "local", session: Session | None = None
    ) -> NextCard:
        """Return what to ask: the card due for longest, else the first new one in its deck's order.

        `deck_id` None looks at all decks. A `session` narrows the choice, or draws by its seed.
        Raises NotFoundError for an unknown deck.
        """
        session = session or Session()
        decks = self._decks_of(deck_id, learner)
        if session.only is Only.CRAM:
            return self._cram(decks, now, learner, session)
        each = [self._values(deck, now, learner, session) for deck in decks]
        due = [] if session.only is Only.NEW else [self._due(values, session) for values in each]
        new = [] if session.only is Only.DUE else [self._new(values, session) for values in each]
        due_count, new_count = (min(sum(map(len, rows)), MOST_COUNTED) for rows in (due, new))
        waiting = [rows for rows in (due if due_count else new) if rows]
        if waiting:
            if session.seed is not None:
                rows = [row for of_deck in waiting for row in of_deck]
                chosen = _drawn(rows[:_SHUFFLED] if due_count else rows, session.seed)
            else:
                chosen = min(rows[0] for rows in waiting) if due_count else waiting[0][0]
            return NextCard(self.card(chosen[1]), due_count, new_count, None)
        return NextCard(None, 0, 0, self._next_due(decks, now, learner))

    def decks(self, now: datetime, *, learner: str = "local") -> list[DeckSummary]:
        """Return the shared decks and the learner's own by title.

        With what is due and new at `now`, counted up to 1,000.
        """
        heads = self._all(
            "SELECT d.id, d.title, d.description, (SELECT count(*) FROM cards c WHERE c.deck_id = d.id"
            " AND c.retired = 0) FROM decks d WHERE d.owner IS NULL OR d.owner = ? ORDER BY d.title, d.id",
            (learner,),
        )
        return [self._summary(head, now, learner) for head in heads]

    def deck_summary(self, deck_id: str, now: datetime, *, learner: str = "local") -> DeckSummary:
        """Return one deck as `decks` does, whoever its owner is. Raises NotFoundError."""
        head = self._one(
            "SELECT d.id, d.title, d.description, (SELECT count(*) FROM cards c WHERE c.deck_id = d.id"
            " AND c.retired = 0) FROM decks d WHERE d.id = ?",
            (deck_id,),
        )
        if head is None:
            raise NotFoundError(f"there is no deck {deck_id!r}")
        return self._summary(head, now, learner)

    def _summary(self, head: tuple[str, str, str, int], now: datetime, learner: str) -> DeckSummary:
        values = self._values(head[0], now, learner, Session())
        due, new = (len(rows(values, Session(), MOST_LISTED)) for rows in (self._due, self._new))
        return DeckSummary(*head, due, new)

    def _decks_of(self, deck_id: str | None, learner: str) -> list[str]:
        if deck_id is None:
            rows = self._all("SELECT id FROM decks WHERE owner IS NULL OR owner = ?", (learner,))
            return sorted(id for (id,) in rows)
        if not self._one("SELECT 1 FROM decks WHERE id = ?", (deck_id,)):
            raise NotFoundError(f"there is no deck {deck_id!r}")
        return [deck_id]

    def _values(self, deck: str, now: datetime, learner: str, session: Session) -> dict[str, Any]:
        row = self._one(
            "SELECT fresh_from, new_per_day, reviews_per_day FROM deck_settings"
            " WHERE learner = ? AND deck_id = ?",
            (learner, deck),
        ) or (0, None, None)
        return {
            "learner": learner,
            "deck": deck,
            "now": time_text(now),
            "day": now.astimezone().date().isoformat(),
            "tag": session.tag,
            "fresh_from": row[0],
            "new_per_day": row[1],
            "reviews_per_day": row[2],
        }

    def _due(
        self, values: dict[str, Any], session: Session, most: int = MOST_COUNTED
    ) -> list[tuple[str, str]]:
        """Return (due, card id) of what is due in one deck, the longest due first."""
        most = self._left("reviews_per_day", "phase = 'review'", values, most)
        tag = _IN_TAG if session.tag else ""
        sql = f"SELECT s.due, s.card_id {_SCHEDULED} AND s.due <= :now{tag}{_NOT_HELD}"
        order = "ORDER BY s.due, s.card_id LIMIT :most"
        rows: list[tuple[str, str]] = self._all(f"{sql} {order}", {**values, "most": most})
        return rows

    def _new(
        self, values: dict[str, Any], session: Session, most: int = MOST_COUNTED
    ) -> list[tuple[str, str]]:
        """Return ("", card id) of what is new in one deck, in its order."""
        most = self._left("new_per_day", "phase = 'new'", values, most)
        tag = _IN_TAG if session.tag else ""
        sql = f"SELECT '', c.id {_UNSEEN}{tag}{_NOT_HELD} ORDER BY c.position"
        rows: list[tuple[str, str]] = self._all(f"{sql} LIMIT :most", {**values, "most": most})
        return rows

    def _left(self, limit: str, kind: str, values: dict[str, Any], most: int) -> int:
        """Return how many more of a kind may be asked on this day, at most `most`."""
        if values[limit] is None:
            return most
        (done,) = self._one(
            "SELECT coalesce(sum(n), 0) FROM review_days WHERE learner = :learner AND deck_id = :deck"
            f" AND day = :day AND {kind}",
            values,
        )
        left: int = max(min(values[limit] - done, most), 0)
        return left

    def _cram(self, decks: list[str], now: datetime, learner: str, session: Session) -> NextCard:
        """Any card that was not answered in this session yet, whatever its schedule says."""
        tag = _IN_TAG if session.tag else ""
        ids: list[str] = []
        for deck in decks:
            values = {**self._values(deck, now, learner, session), "session": session.id}
            rows = self._all(
                "SELECT c.id FROM cards c WHERE c.deck_id = :deck AND c.retired = 0"
                f"{tag} AND NOT EXISTS (SELECT 1 FROM card_flags f WHERE f.learner = :learner"
                " AND f.card_id = c.id AND f.suspended = 1) AND NOT EXISTS (SELECT 1 FROM answers a"
                " WHERE a.session = :session AND a.session <> '' AND a.card_id = c.id"
                " AND a.learner = :learner)",
                values,
            )
            ids += [id for (id,) in rows]
        if not ids:
            return NextCard(None, 0, 0, None)
        chosen = min(ids, key=lambda id: _hash(session.seed or 0, id))
        return NextCard(self.card(chosen), len(ids), 0, None)

    def _next_due(self, decks: list[str], now: datetime, learner: str) -> datetime | None:
        found = []
        for deck in decks:
            values = {"learner": learner, "deck": deck, "now": time_text(now)}
            row = self._one(f"SELECT s.due {_SCHEDULED} AND s.due > :now ORDER BY s.due LIMIT 1", values)
            found += [datetime.fromisoformat(row[0])] if row else []
        return min(found, default=None)

    def hold(
        self, learner: str, card_id: str, *, suspended: bool = False, until: datetime | None = None
    ) -> None:
        """Keep a card from being asked: until a time, or (suspended) until it is released.

        Neither releases it. Raises NotFoundError for an unknown card.
        """
        self.card(card_id)
        self._write(
            "INSERT INTO card_flags (learner, card_id, suspended, buried_until) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (learner, card_id) DO UPDATE SET suspended = excluded.suspended,"
            " buried_until = excluded.buried_until",
            (learner, card_id, int(suspended), time_text(until) if until else ""),
        )

    def deck_settings(self, learner: str, deck_id: str) -> DeckSettings:
        """Return a deck's limits and schedule for a learner; the defaults where none were set."""
        row = self._one(
            "SELECT new_per_day, reviews_per_day, retention, parameters FROM deck_settings"
            " WHERE learner = ? AND deck_id = ?",
            (learner, deck_id),
        )
        return _settings(row)

    def settings_of_card(self, learner: str, card_id: str) -> DeckSettings:
        """Return the settings of a card's deck."""
        row = self._one(
            "SELECT d.new_per_day, d.reviews_per_day, d.retention, d.parameters FROM cards c"
            " JOIN deck_settings d ON d.learner = ? AND d.deck_id = c.deck_id WHERE c.id = ?",
            (learner, card_id),
        )
        return _settings(row)

    def put_deck_settings(self, learner: str, deck_id: str, settings: DeckSettings) -> None:
        """Store a deck's limits and schedule. Raises NotFoundError for an unknown deck."""
        self._decks_of(deck_id, learner)
        self._write(
            "INSERT INTO deck_settings (learner, deck_id, new_per_day, reviews_per_day, retention,"
            " parameters) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (learner, deck_id) DO UPDATE SET"
            " new_per_day = excluded.new_per_day, reviews_per_day = excluded.reviews_per_day,"
            " retention = excluded.retention, parameters = excluded.parameters",
            (
                learner,
                deck_id,
                settings.new_per_day,
                settings.reviews_per_day,
                settings.retention,
                json.dumps(settings.parameters) if settings.parameters else "",
            ),
        )

    def _seen_up_to(self, learner: str, card_id: str) -> None:
        """Move the position before which all is seen past the cards that now are."""
        self._write(
            "INSERT INTO deck_settings (learner, deck_id) SELECT ?, deck_id FROM cards WHERE id = ?"
            " ON CONFLICT DO NOTHING",
            (learner, card_id),
        )
        deck, position, fresh_from = self._one(
            "SELECT c.deck_id, c.position, d.fresh_from FROM cards c"
            " JOIN deck_settings d ON d.learner = ? AND d.deck_id = c.deck_id WHERE c.id = ?",
            (learner, card_id),
        )
        if position < fresh_from:
            return
        values = {"learner": learner, "deck": deck, "fresh_from": fresh_from}
        first = self._one(f"SELECT c.position {_UNSEEN} ORDER BY c.position LIMIT 1", values)
        values["fresh_from"] = first[0] if first else position + 1
        self._write(
            "UPDATE deck_settings SET fresh_from = :fresh_from WHERE learner = :learner AND deck_id = :deck",
            values,
        )


def _settings(row: Any) -> DeckSettings:
    if row is None:
        return DeckSettings()
    return DeckSettings(row[0], row[1], row[2], tuple(json.loads(row[3])) if row[3] else ())


def _drawn(rows: list[tuple[str, str]], seed: int) -> tuple[str, str]:
    return min(rows, key=lambda row: _hash(seed, row[1]))


def _hash(seed: int, card_id: str) -> bytes:
    return hashlib.sha256(f"{seed}:{card_id}".encode()).digest()
