"""A process's connections to the database: one that writes, a few that read; and transactions."""

import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, LifoQueue
from typing import Any, Self

from sqlite_utils import Database

from freerecall.errors import SettingsError
from freerecall.store.migrations import migrations

Parameters = Sequence[Any] | Mapping[str, Any]

BUSY_TIMEOUT_S = 10.0
"""How long to wait for another process that is writing."""
_READERS = 4
_PAGES_KB = 500
"""Of the file that each reader keeps in memory: the system keeps them all the same, once for all readers."""


class Connection:
    """A database that any thread may use.

    A lock lets one in at a time to write: SQLite has one writer anyway, and a lock hands over at
    once where SQLite would poll. Reading waits for nobody: it has connections of its own, but for
    what a transaction reads, or does not outlive.
    """

    def __init__(self, db: Database, path: Path) -> None:
        self.db = db
        self._conn = db.conn
        self._path = path
        self._lock = threading.RLock()
        self._readers: list[sqlite3.Connection] = []
        self._free: LifoQueue[sqlite3.Connection] = LifoQueue()
        self._opening = threading.Lock()
        self._bound = threading.local()
        """`conn`: what this thread reads by until its transaction or snapshot ends."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the file, creating it and its folder where missing, and bring its schema up to date.

        Raises SettingsError where it cannot be opened, is no database, or is a newer version's.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Transactions are begun explicitly (isolation_level None).
            conn = sqlite3.connect(
                path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise SettingsError(
                f"cannot open {path} ({error}); set FREERECALL_DATA to a folder that can be written"
            ) from error
        try:
            connection = cls(Database(conn), path)
            connection._prepare(path)
        except sqlite3.Error as error:
            conn.close()
            raise SettingsError(
                f"cannot use {path} as a database ({error}); move it away, or set FREERECALL_DATA"
                " to another folder"
            ) from error
        except BaseException:
            conn.close()
            raise
        return connection

    def _prepare(self, path: Path) -> None:
        """Set the connection's modes and apply missing migrations."""
        self._enable_wal()
        # FULL: an acknowledged answer survives a power cut.
        self._conn.execute("PRAGMA synchronous = FULL")
        self._conn.execute("PRAGMA foreign_keys = ON")
        known = {migration.name for migration in migrations.pending(Database(memory=True))}
        applied = {migration.name for migration in migrations.applied(self.db)}
        if applied - known:
            raise SettingsError(
                f"{path} was written by a newer freerecall; upgrade, or set FREERECALL_DATA to another folder"
            )
        if known - applied:
            # A second process that starts at the same time waits here, and then finds all done.
            with self.transaction():
                migrations.apply(self.db)

    def _enable_wal(self) -> None:
        """Switch the file to a write-ahead log, whoever else is about to.

        Where two switch a new file at once SQLite does not wait but fails, lest each waits for the
        other; waiting for the lock of a transaction instead, it does.
        """
        deadline = time.monotonic() + BUSY_TIMEOUT_S
        while True:
            try:
                return self.db.enable_wal()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            with self.transaction():
                pass

    def close(self) -> None:
        """Close the file. All that was acknowledged is in it."""
        with self._lock, self._opening:
            for conn in self.connections:
                conn.close()

    @property
    def connections(self) -> list[sqlite3.Connection]:
        """All that are open by now, the one that writes last."""
        return [*self._readers, self._conn]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self, *, synced: bool = True) -> Iterator[None]:
        """Write all or nothing, with no other writer in between. Within another it is a part of that one.

        With `synced` False the disk is not waited for: a power cut, though no crash, may undo what
        was written since the last commit that did wait. For what can be worked out again.
        """
        with self._lock:
            if self._conn.in_transaction:
                yield
                return
            if not synced:
                self._conn.execute("PRAGMA synchronous = NORMAL")
            try:
                self._conn.execute("BEGIN IMMEDIATE")
                self._bound.conn = self._conn
                yield
                self._conn.execute("COMMIT")
            finally:
                self._bound.conn = None
                if self._conn.in_transaction:
                    self._conn.execute("ROLLBACK")
                if not synced:
                    self._conn.execute("PRAGMA synchronous = FULL")

    @contextmanager
    def erasing(self) -> Iterator[None]:
        """A transaction whose deleted rows are overwritten, in the file and in the log beside it.

        References are not checked row by row, which without an index on each would take hours: the
        caller deletes all that refers to what it deletes. Not to be nested.
        """
        with self._lock:
            self._conn.execute("PRAGMA foreign_keys = OFF")
            self._conn.execute("PRAGMA secure_delete = ON")
            try:
                with self.transaction():
                    yield
                self._conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                self._conn.execute("PRAGMA secure_delete = OFF")
                self._conn.execute("PRAGMA foreign_keys = ON")

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Read several rows as of one moment, whoever writes meanwhile. Not to be nested."""
        with self._reading() as conn:
            conn.execute("BEGIN")
            self._bound.conn = conn
            try:
                yield conn
            finally:
                self._bound.conn = None
                conn.execute("COMMIT")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        if (bound := getattr(self._bound, "conn", None)) is not None:
            yield bound
            return
        conn = self._reader()
        try:
            yield conn
        finally:
            self._free.put(conn)

    def _reader(self) -> sqlite3.Connection:
        """Return a reader that is free, the one used last; open one where there are few."""
        with suppress(Empty):
            return self._free.get_nowait()
        with self._opening:
            if len(self._readers) < _READERS:
                conn = sqlite3.connect(
                    self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
                )
                conn.execute("PRAGMA query_only = ON")
                conn.execute(f"PRAGMA cache_size = -{_PAGES_KB}")
                self._readers.append(conn)
                return conn
        return self._free.get()

    def can_write(self) -> bool:
        """Say whether the file takes writes: not where the disk is full or read-only, or another holds it."""
        try:
            with self.transaction(synced=False):
                self._conn.execute("UPDATE learners SET id = id WHERE id = 'local'")
        except sqlite3.Error:
            return False
        return True

    def _write(self, sql: str, parameters: Parameters = ()) -> int:
        """Run one statement, in a commit of its own outside a transaction; return the rows it changed."""
        with self._lock:
            return self._conn.execute(sql, parameters).rowcount

    def _all(self, sql: str, parameters: Parameters = ()) -> list[Any]:
        with self._reading() as conn:
            return conn.execute(sql, parameters).fetchall()

    def _one(self, sql: str, parameters: Parameters = ()) -> Any:
        """Return the only row, or None."""
        rows = self._all(sql, parameters)
        return rows[0] if rows else None
