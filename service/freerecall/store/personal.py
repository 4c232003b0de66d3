"""All that is kept of one learner: written out, or erased."""

import json
from typing import Any

from freerecall.store.sqlite import Store

_DECKS = "SELECT id FROM decks WHERE owner = :learner"
_CARDS = f"SELECT id FROM cards WHERE deck_id IN ({_DECKS})"
_ANSWERS = "SELECT id FROM answers WHERE learner = :learner"
_SITTINGS = "SELECT id FROM sittings WHERE learner = :learner"

_KEPT = {
    "sessions": "SELECT created_at, used_at, agent FROM sessions WHERE learner = :learner",
    "decks": "SELECT * FROM decks WHERE owner = :learner",
    "cards": "SELECT c.id, c.deck_id, c.retired, v.content FROM cards c JOIN card_versions v"
    f" ON v.hash = c.version WHERE c.deck_id IN ({_DECKS})",
    "deck_settings": "SELECT * FROM deck_settings WHERE learner = :learner",
    "answers": "SELECT a.*, json_extract(v.content, '$.question') AS question FROM answers a"
    " JOIN card_versions v ON v.hash = a.card_version WHERE a.learner = :learner ORDER BY a.answered_at",
    "grades": f"SELECT * FROM grades WHERE answer_id IN ({_ANSWERS}) ORDER BY id",
    "overrides": f"SELECT * FROM overrides WHERE answer_id IN ({_ANSWERS}) ORDER BY id",
    "reviews": "SELECT * FROM reviews WHERE learner = :learner ORDER BY at, id",
    "past_reviews": "SELECT * FROM past_reviews WHERE learner = :learner ORDER BY card_id, at",
    "card_states": "SELECT * FROM card_states WHERE learner = :learner",
    "card_flags": "SELECT * FROM card_flags WHERE learner = :learner",
    "papers": "SELECT * FROM papers WHERE owner = :learner ORDER BY created_at",
    "sittings": "SELECT * FROM sittings WHERE learner = :learner ORDER BY started_at",
    "sitting_answers": f"SELECT * FROM sitting_answers WHERE sitting_id IN ({_SITTINGS})",
    "sitting_grades": f"SELECT * FROM sitting_grades WHERE sitting_id IN ({_SITTINGS}) ORDER BY id",
    "marks": f"SELECT * FROM marks WHERE sitting_id IN ({_SITTINGS}) ORDER BY id",
    "appeals": f"SELECT * FROM appeals WHERE sitting_id IN ({_SITTINGS}) ORDER BY id",
    "spending": "SELECT day, usd FROM spending WHERE learner = :learner ORDER BY day",
}
_JSON = {"content", "evidence", "prior", "result", "state", "parameters"}

# An own paper goes unless others sat it; then it stays without an owner.
_PAPERS = (
    "SELECT p.id FROM papers p WHERE p.owner = :learner AND NOT EXISTS"
    " (SELECT 1 FROM sittings s WHERE s.paper_id = p.id AND s.learner IS NOT :learner)"
)
_GONE_ANSWERS = f"{_ANSWERS} UNION SELECT id FROM answers WHERE card_id IN ({_CARDS})"
_GONE = (
    *(
        f"DELETE FROM {table} WHERE sitting_id IN ({_SITTINGS})"
        for table in ("sitting_answers", "sitting_grades", "marks", "appeals")
    ),
    f"DELETE FROM papers WHERE id IN ({_PAPERS})",
    "UPDATE papers SET owner = NULL WHERE owner = :learner",
    "DELETE FROM sittings WHERE learner = :learner",
    f"DELETE FROM grades WHERE answer_id IN ({_GONE_ANSWERS})",
    f"DELETE FROM overrides WHERE answer_id IN ({_GONE_ANSWERS})",
    f"DELETE FROM reviews WHERE answer_id IN ({_GONE_ANSWERS})",
    f"DELETE FROM answers WHERE id IN ({_GONE_ANSWERS})",
    *(
        f"DELETE FROM {table} WHERE learner = :learner OR card_id IN ({_CARDS})"
        for table in ("card_states", "card_flags", "past_reviews", "card_counts")
    ),
    *(
        f"DELETE FROM {table} WHERE learner = :learner OR deck_id IN ({_DECKS})"
        for table in ("deck_settings", "review_days")
    ),
    f"DELETE FROM card_texts WHERE rowid IN (SELECT id FROM card_rows WHERE card_id IN ({_CARDS}))",
    f"DELETE FROM card_rows WHERE card_id IN ({_CARDS})",
    f"DELETE FROM card_tags WHERE deck_id IN ({_DECKS})",
    f"DELETE FROM card_versions WHERE json_extract(content, '$.id') IN ({_CARDS})",
    f"DELETE FROM cards WHERE deck_id IN ({_DECKS})",
    "DELETE FROM decks WHERE owner = :learner",
    "DELETE FROM sessions WHERE learner = :learner",
    "DELETE FROM spending WHERE learner = :learner",
    "DELETE FROM accounts WHERE learner = :learner",
    "DELETE FROM learners WHERE id = :learner AND id <> 'local'",
)


def export(store: Store, learner: str) -> dict[str, object]:
    """Return the rows of every table that belong to a learner, by table. What is JSON there is JSON here."""
    found: dict[str, object] = {}
    with store.snapshot() as db:
        for table, sql in _KEPT.items():
            cursor = db.execute(sql, {"learner": learner})
            names = [column[0] for column in cursor.description]
            found[table] = [_row(names, row) for row in cursor.fetchall()]
    return found


def _row(names: list[str], row: tuple[Any, ...]) -> dict[str, Any]:
    return {
        name: json.loads(value) if name in _JSON and value else value
        for name, value in zip(names, row, strict=True)
    }


def erase(store: Store, learner: str) -> None:
    """Erase all that belongs to a learner, and overwrite where it lay in the file.

    Of their decks those go that nobody else sees, with whatever anybody did with them; shared
    decks stay, and so do papers that others sat.
    """
    with store.erasing():
        for sql in _GONE:
            store.db.execute(sql, {"learner": learner})
        # Full-text search keeps the words of deleted rows until its parts are merged.
        store.db.execute("INSERT INTO card_texts (card_texts) VALUES ('optimize')")
