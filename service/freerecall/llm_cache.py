"""Replies already paid for, in memory or in an SQLite file. A cache that fails is a miss, never an error."""

import hashlib
import json
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol


class Cache(Protocol):
    """Text by key. Both methods may be called from any thread and raise nothing."""

    def get(self, key: str) -> str | None:
        """Return the text under `key`, or None."""

    def set(self, key: str, value: str) -> None:
        """Keep `value` under `key`, for as long as there is room."""


def cache_key(**parts: object) -> str:
    """Return a SHA-256 in hex of everything that determines a reply."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


class MemoryCache:
    """The `max_rows` texts used last."""

    def __init__(self, max_rows: int = 1_000) -> None:
        self._rows: OrderedDict[str, str] = OrderedDict()
        self._max_rows = max_rows
        self._lock = threading.Lock()

    def get(self, key: str) -> str | None:
        with self._lock:
            if key in self._rows:
                self._rows.move_to_end(key)
            return self._rows.get(key)

    def set(self, key: str, value: str) -> None:
        with self._lock:
            self._rows[key] = value
            self._rows.move_to_end(key)
            while len(self._rows) > self._max_rows:
                self._rows.popitem(last=False)


class FileCache:
    """At most `max_rows` texts in the SQLite file `path`, made at first use; the oldest go first.

    A file that is locked, broken or not writable makes every lookup a miss. It stays open after the
    first use: to open and close it takes longer than all the rest.
    """

    def __init__(self, path: Path, max_rows: int = 50_000) -> None:
        self._path = path
        self._max_rows = max_rows
        self._db: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._db is not None:
                self._db.close()
            self._db = None

    def get(self, key: str) -> str | None:
        try:
            with self._used() as db:
                row = db.execute("SELECT value FROM replies WHERE key = ?", (key,)).fetchone()
        except (sqlite3.Error, OSError):
            return None
        return row[0] if row and isinstance(row[0], str) else None

    def set(self, key: str, value: str) -> None:
        try:
            with self._used() as db, db:
                db.execute("INSERT OR REPLACE INTO replies (key, value) VALUES (?, ?)", (key, value))
                db.execute(
                    "DELETE FROM replies WHERE id <= (SELECT max(id) FROM replies) - ?", (self._max_rows,)
                )
        except (sqlite3.Error, OSError):
            return

    @contextmanager
    def _used(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db = self._db or self._open()
            yield self._db

    def clear(self) -> None:
        """Forget every text, for good. Raises sqlite3.Error where the file cannot be written."""
        if not self._path.exists():
            return
        with closing(self._open()) as db:
            db.execute("PRAGMA busy_timeout = 10000")
            db.execute("PRAGMA secure_delete = ON")
            with db:
                db.execute("DELETE FROM replies")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._path, timeout=0.1, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA cache_size = -500")
            db.execute(
                "CREATE TABLE IF NOT EXISTS replies "
                "(id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT UNIQUE NOT NULL, value TEXT NOT NULL)"
            )
        except sqlite3.Error:
            db.close()
            raise
        return db
