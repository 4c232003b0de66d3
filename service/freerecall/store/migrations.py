"""The database's schema, as steps that are each applied once, in order. Never edit a step; add one."""

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

migrations = Migrations("freerecall")


@migrations()
def m001_initial(db: Database) -> None:
    """Decks and their cards, answers, grades, overrides, reviews, and what is due.

    Times are ISO 8601 text in UTC with microseconds, so that they sort as text.
    """
    strict = "STRICT" if db.supports_strict else ""
    for statement in _M001.format(strict=strict).split(";"):
        db.execute(statement)
    db.execute("INSERT INTO learners (id) VALUES ('local')")


_M001 = """
CREATE TABLE learners (
    id TEXT PRIMARY KEY
) {strict};

CREATE TABLE decks (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    bundled INTEGER NOT NULL CHECK (bundled IN (0, 1))
) {strict};

CREATE TABLE bundled_files (
    name TEXT PRIMARY KEY,
    hash TEXT NOT NULL
) {strict};

CREATE TABLE card_versions (
    hash TEXT PRIMARY KEY,
    content TEXT NOT NULL
) {strict};

CREATE TABLE cards (
    id TEXT PRIMARY KEY,
    deck_id TEXT NOT NULL REFERENCES decks,
    position INTEGER NOT NULL,
    version TEXT NOT NULL REFERENCES card_versions,
    retired INTEGER NOT NULL DEFAULT 0 CHECK (retired IN (0, 1))
) {strict};
CREATE INDEX cards_in_order ON cards (deck_id, position) WHERE retired = 0;
CREATE INDEX cards_by_deck ON cards (deck_id);

CREATE TABLE answers (
    id TEXT PRIMARY KEY,
    learner TEXT NOT NULL REFERENCES learners,
    client_answer_id TEXT NOT NULL,
    card_id TEXT NOT NULL REFERENCES cards,
    card_version TEXT NOT NULL REFERENCES card_versions,
    text TEXT NOT NULL,
    mode TEXT NOT NULL,
    answered_at TEXT NOT NULL,
    elapsed_ms INTEGER,
    stage TEXT NOT NULL DEFAULT 'ungraded' CHECK (stage IN ('ungraded', 'pending', 'settled')),
    attempts INTEGER NOT NULL DEFAULT 0,
    UNIQUE (learner, client_answer_id)
) {strict};
CREATE INDEX answers_ungraded ON answers (answered_at) WHERE stage = 'ungraded';
CREATE INDEX answers_pending ON answers (attempts, answered_at) WHERE stage = 'pending';

CREATE TABLE grades (
    id INTEGER PRIMARY KEY,
    answer_id TEXT NOT NULL REFERENCES answers,
    graded_at TEXT NOT NULL,
    rating INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 5),
    score REAL NOT NULL,
    confidence REAL NOT NULL,
    decided_by TEXT NOT NULL,
    provisional INTEGER NOT NULL CHECK (provisional IN (0, 1)),
    evidence TEXT NOT NULL,
    feedback TEXT NOT NULL,
    calibration TEXT NOT NULL,
    prompt TEXT NOT NULL,
    model TEXT NOT NULL,
    latency_ms REAL NOT NULL,
    tokens_in INTEGER NOT NULL,
    tokens_out INTEGER NOT NULL,
    cost_usd REAL NOT NULL,
    cached INTEGER NOT NULL CHECK (cached IN (0, 1)),
    error TEXT NOT NULL
) {strict};
CREATE INDEX grades_by_answer ON grades (answer_id);

CREATE TABLE overrides (
    id INTEGER PRIMARY KEY,
    answer_id TEXT NOT NULL REFERENCES answers,
    at TEXT NOT NULL,
    rating INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 5),
    replaced INTEGER NOT NULL CHECK (replaced BETWEEN 1 AND 5),
    reason TEXT NOT NULL
) {strict};
CREATE INDEX overrides_by_answer ON overrides (answer_id);

CREATE TABLE reviews (
    id INTEGER PRIMARY KEY,
    answer_id TEXT NOT NULL UNIQUE REFERENCES answers,
    learner TEXT NOT NULL REFERENCES learners,
    card_id TEXT NOT NULL REFERENCES cards,
    at TEXT NOT NULL,
    rating INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 5),
    source TEXT NOT NULL CHECK (source IN ('grade', 'override')),
    prior TEXT NOT NULL,
    result TEXT NOT NULL
) {strict};
CREATE INDEX reviews_by_card ON reviews (learner, card_id, at);

CREATE TABLE card_states (
    learner TEXT NOT NULL REFERENCES learners,
    card_id TEXT NOT NULL REFERENCES cards,
    deck_id TEXT NOT NULL REFERENCES decks,
    due TEXT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (learner, card_id)
) {strict};
CREATE INDEX card_states_due_in_deck ON card_states (learner, deck_id, due, card_id);
CREATE INDEX card_states_due ON card_states (learner, due, card_id)
"""
