"""Whether a store is sound: the file, its references, the schedule against the log, the running counts."""

import json
import sqlite3
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from freerecall.errors import InputError
from freerecall.store.sqlite import Store


def check(store: Store) -> list[str]:
    """Return what is wrong, in words; nothing where all is sound. Reads everything once."""
    with store.snapshot() as db:
        found = [row[0] for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
        found += [f"a row of {row[0]} refers to nothing" for row in db.execute("PRAGMA foreign_key_check")]
        found += _schedule(db)
        found += _answers(db)
        found += _counts(db)
    return found


def _schedule(db: sqlite3.Connection) -> list[str]:
    """Every review begins where the one before it ended, and the schedule is where the last one ended."""
    wrong = []
    states = {
        (learner, card): json.loads(state)
        for learner, card, state in db.execute("SELECT learner, card_id, state FROM card_states")
    }
    log: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for learner, card, at, prior, result in db.execute(
        "SELECT learner, card_id, at, prior, result FROM reviews ORDER BY at, id"
    ):
        log.setdefault((learner, card), []).append((prior, result))
        if _time(json.loads(result)["last_review"]) != _time(at):
            wrong.append(f"card {card}: a review leads to a state of another time")
    for key, steps in log.items():
        if any(json.loads(before[1]) != json.loads(after[0]) for before, after in pairwise(steps)):
            wrong.append(f"card {key[1]}: the log of its reviews has a gap")
        if states.get(key) != json.loads(steps[-1][1]):
            wrong.append(f"card {key[1]}: its schedule is not where its log ends")
    known = set(
        db.execute(
            "SELECT DISTINCT learner, card_id FROM past_reviews UNION SELECT learner, card_id FROM reviews"
        )
    )
    wrong += [
        f"card {card}: it has a schedule and no review"
        for learner, card in states
        if (learner, card) not in known
    ]
    return wrong


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _answers(db: sqlite3.Connection) -> list[str]:
    """Every graded answer that counts has one review, by the rating that counts, and no other has any."""
    return [
        f"answer {id}: {told}"
        for told, sql in (
            (
                "graded, and has no review",
                "SELECT a.id FROM answers a LEFT JOIN reviews r ON r.answer_id = a.id"
                " WHERE a.stage <> 'ungraded' AND a.scheduled = 1 AND a.undone = 0 AND r.id IS NULL",
            ),
            (
                "has a review that it should not have",
                "SELECT a.id FROM answers a JOIN reviews r ON r.answer_id = a.id"
                " WHERE a.stage = 'ungraded' OR a.scheduled = 0 OR a.undone = 1",
            ),
            (
                "past its grading, and has no grade",
                "SELECT a.id FROM answers a WHERE a.stage <> 'ungraded' AND a.undone = 0"
                " AND NOT EXISTS (SELECT 1 FROM grades g WHERE g.answer_id = a.id)",
            ),
            (
                "its review has another rating than its grade, or than the learner's own",
                "SELECT answer_id FROM reviews r WHERE rating IS NOT coalesce("
                " (SELECT rating FROM overrides o WHERE o.answer_id = r.answer_id ORDER BY id DESC LIMIT 1),"
                " (SELECT rating FROM grades g WHERE g.answer_id = r.answer_id ORDER BY id DESC LIMIT 1))",
            ),
        )
        for (id,) in db.execute(sql)
    ]


def _counts(db: sqlite3.Connection) -> list[str]:
    differ = db.execute(
        "SELECT card_id FROM (SELECT learner, card_id, count(*) AS n, sum(rating <= 2) AS low FROM reviews"
        " GROUP BY 1, 2 EXCEPT SELECT learner, card_id, n, low FROM card_counts)"
    ).fetchall()
    return [f"card {card}: its running counts differ from its log" for (card,) in differ]


def backup(store: Store, target: Path) -> None:
    """Write a copy of the store as of one moment, whoever writes meanwhile.

    Raises InputError where `target` is there already, OSError where it cannot be written.
    """
    if target.exists():
        raise InputError(f"{target} is there already; name another file")
    partial = target.with_name(f".{target.name}.partial")
    partial.unlink(missing_ok=True)
    copy = sqlite3.connect(partial)
    try:
        store.db.conn.backup(copy, pages=1_000)
    finally:
        copy.close()
    partial.replace(target)
