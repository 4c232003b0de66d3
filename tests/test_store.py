"""The database file: made, opened, opened by many, refused."""

import json
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlite_utils import Database

from freerecall import scheduling
from freerecall.cards import Card, Deck
from freerecall.errors import SettingsError
from freerecall.store import Store
from freerecall.store.check import check
from freerecall.store.migrations import migrations
from freerecall.store.rows import dump_card

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DECK = Deck("d", "Deck", (Card("d:a", "What is a?", "The first letter"),))

OPENS = """
import sys
from pathlib import Path
from freerecall.cards import Card, Deck
from freerecall.store import Store
print("ready", flush=True)
for name in sys.stdin:
    with Store.open(Path(sys.argv[1], name.strip())) as store:
        change = store.put_deck(Deck("d", "Deck", (Card("d:a", "What is a?", "The first letter"),)))
    print(change.added, flush=True)
"""


def test_the_file_and_its_folder_are_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "freerecall.db"
    with Store.open(path) as store:
        assert store.decks(NOW) == []
    assert path.is_file()


def test_the_modes_that_keep_answers_safe(tmp_path: Path) -> None:
    with Store.open(tmp_path / "f.db") as store:
        modes = {
            name: store.db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
        assert modes == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}
        others = ("_", "sqlite_", "card_texts")
        ours = [table for table in store.db.tables if not table.name.startswith(others)]
        assert len(ours) == 26
        assert all(table.strict for table in ours)


def test_every_foreign_key_is_backed_by_an_index_where_rows_are_looked_up_by_it(tmp_path: Path) -> None:
    with Store.open(tmp_path / "f.db") as store:
        assert store.db.execute("PRAGMA foreign_key_check").fetchall() == []
        for table, column in (
            ("cards", "deck_id"),
            ("grades", "answer_id"),
            ("reviews", "answer_id"),
            ("overrides", "answer_id"),
        ):
            assert any(index.columns[0] == column for index in store.db[table].indexes), (table, column)


def test_reopening_finds_everything(tmp_path: Path) -> None:
    with Store.open(tmp_path / "f.db") as store:
        store.put_deck(DECK)
    with Store.open(tmp_path / "f.db") as store:
        assert store.deck("d") == DECK


def test_reopening_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    Store.open(path).close()
    before = path.read_bytes()
    with Store.open(path) as store:
        assert store.db.conn.total_changes == 0
    assert path.read_bytes() == before


def test_a_file_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    with Store.open(path) as store:
        store.db["_sqlite_migrations"].insert(
            {"migration_set": "freerecall", "name": "m999_future", "applied_at": "2030-01-01"}
        )
    before = path.read_bytes()
    with pytest.raises(SettingsError, match="newer freerecall"):
        Store.open(path)
    assert path.read_bytes() == before


def test_a_migration_that_fails_leaves_an_empty_database(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    with sqlite3.connect(path) as conn:
        conn.execute("CREATE TABLE grades (in_the_way)")
    conn.close()
    with pytest.raises(SettingsError, match="grades"):
        Store.open(path)
    conn = sqlite3.connect(path)
    assert [name for (name,) in conn.execute("SELECT name FROM sqlite_master")] == ["grades"]
    conn.close()


def test_something_else_than_a_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    path.write_text("Dear diary, " * 100)
    with pytest.raises(SettingsError, match="not a database"):
        Store.open(path)
    assert path.read_text() == "Dear diary, " * 100


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="FREERECALL_DATA"):
        Store.open(tmp_path / "file" / "f.db")
    with pytest.raises(SettingsError, match="FREERECALL_DATA"):
        Store.open(tmp_path)


def test_processes_that_start_at_once_share_a_new_file(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPENS, str(tmp_path)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(8)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for name in range(40):
        for process in processes:
            process.stdin.write(f"{name}.db\n")
            process.stdin.flush()
        assert sorted(process.stdout.readline() for process in processes) == ["0\n"] * 7 + ["1\n"]
    for process in processes:
        process.communicate(timeout=60)


def test_threads_share_one_store(tmp_path: Path) -> None:
    with Store.open(tmp_path / "f.db") as store, ThreadPoolExecutor(8) as pool:
        decks = [Deck(f"d{n}", "Deck", (Card(f"d{n}:a", "?", "!"),)) for n in range(24)]
        changes = list(pool.map(store.put_deck, decks))
        assert [change.added for change in changes] == [1] * 24
        assert list(pool.map(lambda deck: store.deck(deck.id), decks)) == decks


@pytest.mark.parametrize("synced", [True, False])
def test_a_failed_transaction_leaves_nothing_and_the_next_one_works(tmp_path: Path, synced: bool) -> None:
    with Store.open(tmp_path / "f.db") as store:
        with pytest.raises(ZeroDivisionError), store.transaction(synced=synced):
            store.add_learner("eve")
            raise ZeroDivisionError
        assert store.db.execute("PRAGMA synchronous").fetchone() == (2,)
        store.put_deck(DECK)
        assert store.db["learners"].count == 1


def test_a_snapshot_does_not_see_what_another_process_writes_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    with Store.open(path) as reader, Store.open(path) as writer:
        writer.put_deck(DECK)
        with reader.snapshot():
            assert reader.card("d:a") == DECK.cards[0]
            writer.put_deck(Deck("d", "Deck", (Card("d:a", "What is a?", "A letter"),)))
            assert reader.card("d:a") == DECK.cards[0]
        assert reader.card("d:a").reference == "A letter"


ANSWERED = datetime(2026, 1, 1, tzinfo=UTC)
RELEASED = [migration.name for migration in migrations.pending(Database(memory=True))]
ROWS = """
INSERT INTO decks (id, title, description, bundled) VALUES ('d', 'Deck', '', 0);
INSERT INTO card_versions VALUES ('h', '{card}');
INSERT INTO cards (id, deck_id, position, version, retired) VALUES ('d:a', 'd', 0, 'h', 0);
INSERT INTO answers (id, learner, client_answer_id, card_id, card_version, text, mode, answered_at, stage)
    VALUES ('a', 'local', '1', 'd:a', 'h', 'water', 'embedded', '2026-01-01T00:00:00.000000Z', 'settled');
INSERT INTO grades (answer_id, graded_at, rating, score, confidence, decided_by, provisional, evidence,
    feedback, calibration, prompt, model, latency_ms, tokens_in, tokens_out, cost_usd, cached, error)
    VALUES ('a', '2026-01-01', 4, 0.8, 0.7, 'embedded', 0, '[]', 'Good.', 'e', '', '', 1, 0, 0, 0, 0, '');
INSERT INTO reviews (answer_id, learner, card_id, at, rating, source, prior, result)
    VALUES ('a', 'local', 'd:a', '2026-01-01T00:00:00.000000Z', 5, 'override', '{prior}', '{after}');
INSERT INTO overrides (answer_id, at, rating, replaced, reason)
    VALUES ('a', '2026-01-01T00:00:00.000000Z', 5, 4, 'I knew it');
INSERT INTO card_states VALUES ('local', 'd:a', 'd', '2026-01-02T00:00:00.000000Z', '{after}');
"""


@pytest.mark.parametrize("step", range(1, len(RELEASED) + 1))
def test_every_released_schema_is_brought_up_to_date(tmp_path: Path, step: int) -> None:
    path = tmp_path / "f.db"
    old = Database(path)
    migrations.apply(old, **({"stop_before": RELEASED[step]} if step < len(RELEASED) else {}))
    card = Card("d:a", "What is rain?", "Water from clouds")
    new = scheduling.new_state("d:a")
    prior, after = (state.to_dict() for state in (new, scheduling.review(new, 5, ANSWERED)))
    filled = {"card": dump_card(card)[1], "prior": json.dumps(prior), "after": json.dumps(after)}
    old.conn.executescript(ROWS.format(**filled))
    old.close()
    with Store.open(path) as store:
        assert check(store) == []
        assert store.card("d:a") == card
        assert store.grades("a")[0].rating == 4
        assert store.overrides("a")[0].reason == "I knew it"
        assert store.statistics(None, ANSWERED).raised == (1 if step < len(RELEASED) else 0)
