"""The database's schema, as steps that are each applied once, in order. Never edit a step; add one."""

import json

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


@migrations()
def m002_sessions(db: Database) -> None:
    """Sessions, cards held back, limits, tags, full-text search, imported history, and running counts.

    `review_days` and `card_counts` are kept by triggers, so that no page counts a million reviews.
    `deck_settings.fresh_from` is a position before which the learner has seen every card.
    """
    strict = "STRICT" if db.supports_strict else ""
    for statement in _M002:
        db.execute(statement.format(strict=strict))
    for deck_id, card_id, content in db.execute(
        "SELECT c.deck_id, c.id, v.content FROM cards c JOIN card_versions v ON v.hash = c.version"
    ).fetchall():
        card = json.loads(content)
        db.execute("INSERT INTO card_rows (card_id) VALUES (?)", (card_id,))
        db.execute(
            "INSERT INTO card_texts (rowid, question, reference, tags)"
            " SELECT id, ?, ?, ? FROM card_rows WHERE card_id = ?",
            (card["question"], card["reference"], " ".join(card["tags"]), card_id),
        )
        for tag in set(card["tags"]):
            db.execute(
                "INSERT INTO card_tags (deck_id, tag, card_id) VALUES (?, ?, ?)", (deck_id, tag, card_id)
            )


_COUNT_REVIEW = """
    INSERT INTO review_days (learner, deck_id, day, rating, phase, n)
        SELECT {row}.learner, deck_id, {row}.day, {row}.rating, {row}.phase, {n} FROM cards
        WHERE id = {row}.card_id
        ON CONFLICT (learner, deck_id, day, rating, phase) DO UPDATE SET n = n + {n};
    INSERT INTO card_counts (learner, card_id, n, low)
        VALUES ({row}.learner, {row}.card_id, {n}, {n} * ({row}.rating <= 2))
        ON CONFLICT (learner, card_id) DO UPDATE SET n = n + excluded.n, low = low + excluded.low;
"""
_COUNT_IN, _COUNT_OUT = _COUNT_REVIEW.format(row="new", n=1), _COUNT_REVIEW.format(row="old", n=-1)

_M002 = (
    "ALTER TABLE answers ADD COLUMN scheduled INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE answers ADD COLUMN session TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE answers ADD COLUMN hints INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE answers ADD COLUMN undone INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX answers_by_time ON answers (learner, answered_at)",
    "CREATE INDEX answers_by_card ON answers (card_id, answered_at)",
    "CREATE INDEX answers_of_session ON answers (session, card_id) WHERE session <> ''",
    "ALTER TABLE reviews ADD COLUMN day TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE reviews ADD COLUMN phase TEXT NOT NULL DEFAULT ''",
    """UPDATE reviews SET day = substr(at, 1, 10), phase = CASE
        WHEN json_extract(prior, '$.last_review') IS NULL THEN 'new'
        ELSE json_extract(prior, '$.state') END""",
    """CREATE TABLE card_flags (
        learner TEXT NOT NULL REFERENCES learners,
        card_id TEXT NOT NULL REFERENCES cards,
        suspended INTEGER NOT NULL DEFAULT 0 CHECK (suspended IN (0, 1)),
        buried_until TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (learner, card_id)
    ) {strict}""",
    """CREATE TABLE deck_settings (
        learner TEXT NOT NULL REFERENCES learners,
        deck_id TEXT NOT NULL REFERENCES decks,
        new_per_day INTEGER,
        reviews_per_day INTEGER,
        retention REAL,
        parameters TEXT NOT NULL DEFAULT '',
        fresh_from INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (learner, deck_id)
    ) {strict}""",
    """CREATE TABLE card_tags (
        deck_id TEXT NOT NULL REFERENCES decks,
        tag TEXT NOT NULL,
        card_id TEXT NOT NULL REFERENCES cards,
        PRIMARY KEY (deck_id, tag, card_id)
    ) {strict}""",
    "CREATE INDEX card_tags_by_card ON card_tags (card_id)",
    """CREATE TABLE card_rows (
        id INTEGER PRIMARY KEY,
        card_id TEXT NOT NULL UNIQUE REFERENCES cards
    ) {strict}""",
    "CREATE VIRTUAL TABLE card_texts USING fts5"
    " (question, reference, tags, tokenize = 'unicode61 remove_diacritics 2')",
    """CREATE TABLE past_reviews (
        learner TEXT NOT NULL REFERENCES learners,
        card_id TEXT NOT NULL REFERENCES cards,
        at TEXT NOT NULL,
        rating INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 5),
        elapsed_ms INTEGER,
        PRIMARY KEY (learner, card_id, at)
    ) {strict}""",
    """CREATE TABLE review_days (
        learner TEXT NOT NULL REFERENCES learners,
        deck_id TEXT NOT NULL REFERENCES decks,
        day TEXT NOT NULL,
        rating INTEGER NOT NULL,
        phase TEXT NOT NULL,
        n INTEGER NOT NULL,
        PRIMARY KEY (learner, deck_id, day, rating, phase)
    ) {strict}""",
    """CREATE TABLE card_counts (
        learner TEXT NOT NULL REFERENCES learners,
        card_id TEXT NOT NULL REFERENCES cards,
        n INTEGER NOT NULL,
        low INTEGER NOT NULL,
        PRIMARY KEY (learner, card_id)
    ) {strict}""",
    "CREATE INDEX card_counts_by_low ON card_counts (learner, low)",
    "CREATE INDEX overrides_by_time ON overrides (at)",
    """INSERT INTO review_days (learner, deck_id, day, rating, phase, n)
        SELECT r.learner, c.deck_id, r.day, r.rating, r.phase, count(*)
        FROM reviews r JOIN cards c ON c.id = r.card_id GROUP BY 1, 2, 3, 4, 5""",
    """INSERT INTO card_counts (learner, card_id, n, low)
        SELECT learner, card_id, count(*), sum(rating <= 2) FROM reviews GROUP BY 1, 2""",
    f"CREATE TRIGGER reviews_counted AFTER INSERT ON reviews BEGIN {_COUNT_IN} END",
    f"CREATE TRIGGER reviews_uncounted AFTER DELETE ON reviews BEGIN {_COUNT_OUT} END",
    "CREATE TRIGGER reviews_recounted AFTER UPDATE OF rating, phase, day ON reviews"
    " WHEN old.rating <> new.rating OR old.phase <> new.phase OR old.day <> new.day"
    f" BEGIN {_COUNT_OUT} {_COUNT_IN} END",
)


@migrations()
def m003_exams(db: Database) -> None:
    """Papers, their sittings, what was typed, its grades, a teacher's marks, learners' appeals.

    A sitting's id is its key: whoever knows it may write into it. Grades are kept beside each
    other; the last one counts, unless a mark stands.
    """
    strict = "STRICT" if db.supports_strict else ""
    for statement in _M003:
        db.execute(statement.format(strict=strict))


_M003 = (
    """CREATE TABLE papers (
        id TEXT PRIMARY KEY,
        title TEXT NOT NULL,
        content TEXT NOT NULL,
        code TEXT UNIQUE,
        created_at TEXT NOT NULL
    ) {strict}""",
    """CREATE TABLE sittings (
        id TEXT PRIMARY KEY,
        paper_id TEXT NOT NULL REFERENCES papers,
        name TEXT NOT NULL,
        started_at TEXT NOT NULL,
        ends_at TEXT,
        submitted_at TEXT,
        graded INTEGER NOT NULL DEFAULT 0 CHECK (graded IN (0, 1)),
        in_schedule INTEGER NOT NULL DEFAULT 0 CHECK (in_schedule IN (0, 1))
    ) {strict}""",
    "CREATE INDEX sittings_by_paper ON sittings (paper_id, started_at)",
    "CREATE INDEX sittings_open ON sittings (ends_at) WHERE submitted_at IS NULL",
    "CREATE INDEX sittings_to_grade ON sittings (submitted_at) WHERE graded = 0 AND submitted_at IS NOT NULL",
    """CREATE TABLE sitting_answers (
        sitting_id TEXT NOT NULL REFERENCES sittings,
        number INTEGER NOT NULL,
        text TEXT NOT NULL,
        flagged INTEGER NOT NULL CHECK (flagged IN (0, 1)),
        revision INTEGER NOT NULL,
        saved_at TEXT NOT NULL,
        PRIMARY KEY (sitting_id, number)
    ) {strict}""",
    """CREATE TABLE sitting_grades (
        id INTEGER PRIMARY KEY,
        sitting_id TEXT NOT NULL REFERENCES sittings,
        number INTEGER NOT NULL,
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
    ) {strict}""",
    "CREATE INDEX sitting_grades_of ON sitting_grades (sitting_id, number, id)",
    """CREATE TABLE marks (
        id INTEGER PRIMARY KEY,
        sitting_id TEXT NOT NULL REFERENCES sittings,
        number INTEGER NOT NULL,
        at TEXT NOT NULL,
        rating INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 5),
        reason TEXT NOT NULL
    ) {strict}""",
    "CREATE INDEX marks_of ON marks (sitting_id, number, id)",
    """CREATE TABLE appeals (
        id INTEGER PRIMARY KEY,
        sitting_id TEXT NOT NULL REFERENCES sittings,
        number INTEGER NOT NULL,
        at TEXT NOT NULL,
        text TEXT NOT NULL
    ) {strict}""",
    "CREATE INDEX appeals_of ON appeals (sitting_id, number)",
)


@migrations()
def m004_accounts(db: Database) -> None:
    """Accounts and their sessions; owners of decks and papers; whose sitting it is; spending by day.

    A deck without an owner is shared with all. A paper without one is the admins'. Papers from
    before are the learner's who was alone then. A sitting without a learner was begun by its
    paper's code.
    """
    strict = "STRICT" if db.supports_strict else ""
    for statement in _M004:
        db.execute(statement.format(strict=strict))


_M004 = (
    """CREATE TABLE accounts (
        learner TEXT PRIMARY KEY REFERENCES learners,
        name TEXT NOT NULL UNIQUE,
        role TEXT NOT NULL CHECK (role IN ('learner', 'teacher', 'admin')),
        password TEXT NOT NULL,
        created_at TEXT NOT NULL
    ) {strict}""",
    """CREATE TABLE sessions (
        hash TEXT PRIMARY KEY,
        learner TEXT NOT NULL REFERENCES learners,
        proof TEXT NOT NULL,
        created_at TEXT NOT NULL,
        used_at TEXT NOT NULL,
        agent TEXT NOT NULL
    ) {strict}""",
    "CREATE INDEX sessions_by_learner ON sessions (learner, used_at)",
    "CREATE INDEX sessions_by_age ON sessions (created_at)",
    "CREATE INDEX sessions_by_use ON sessions (used_at)",
    """CREATE TABLE spending (
        learner TEXT NOT NULL REFERENCES learners,
        day TEXT NOT NULL,
        usd REAL NOT NULL,
        PRIMARY KEY (learner, day)
    ) {strict}""",
    "CREATE INDEX spending_by_day ON spending (day, usd)",
    "ALTER TABLE decks ADD COLUMN owner TEXT REFERENCES learners",
    "CREATE INDEX decks_by_owner ON decks (owner)",
    "ALTER TABLE papers ADD COLUMN owner TEXT REFERENCES learners",
    "UPDATE papers SET owner = 'local'",
    "CREATE INDEX papers_by_owner ON papers (owner, created_at)",
    "ALTER TABLE sittings ADD COLUMN learner TEXT REFERENCES learners",
    "CREATE INDEX sittings_by_learner ON sittings (learner)",
)


@migrations()
def m005_by_learner(db: Database) -> None:
    """What a page shows of one learner is found without looking through everybody's."""
    db.execute("ALTER TABLE overrides ADD COLUMN learner TEXT REFERENCES learners")
    db.execute("UPDATE overrides SET learner = (SELECT learner FROM answers WHERE id = overrides.answer_id)")
    db.execute("CREATE INDEX overrides_of_learner ON overrides (learner, at)")
    db.execute("DROP INDEX overrides_by_time")
    db.execute("DROP INDEX answers_by_card")
    db.execute("CREATE INDEX answers_by_card ON answers (card_id, learner, answered_at)")
