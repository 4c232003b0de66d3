"""Accounts, their sessions, and what learners have spent, in the database."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from freerecall.errors import ConflictError, NotFoundError
from freerecall.store.exams import ExamTables
from freerecall.store.rows import time_text


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account. `password` is argon2's encoded hash, never the password."""

    learner: str
    name: str
    role: str
    password: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session in a browser. `hash` is of its id; `proof` of the token it was begun with, "" by password."""

    hash: str
    learner: str
    proof: str
    created_at: datetime
    used_at: datetime
    agent: str


_ACCOUNT = "learner, name, role, password, created_at"
_SESSION = "hash, learner, proof, created_at, used_at, agent"


class AccountTables(ExamTables):
    """The part of the store that knows who is who."""

    def has_accounts(self) -> bool:
        """Say whether there is any account."""
        return self._one("SELECT 1 FROM accounts LIMIT 1") is not None

    def add_account(self, account: AccountRow) -> None:
        """Store an account, and its learner. Raises ConflictError where the name is taken."""
        try:
            with self.transaction():
                self._write("INSERT INTO learners (id) VALUES (?) ON CONFLICT DO NOTHING", (account.learner,))
                self._write(
                    f"INSERT INTO accounts ({_ACCOUNT}) VALUES (?, ?, ?, ?, ?)",
                    (
                        account.learner,
                        account.name,
                        account.role,
                        account.password,
                        time_text(account.created_at),
                    ),
                )
        except sqlite3.IntegrityError as error:
            raise ConflictError(f"there is an account {account.name!r} already") from error

    def account(self, name: str) -> AccountRow | None:
        """Return the account of a name."""
        row = self._one(f"SELECT {_ACCOUNT} FROM accounts WHERE name = ?", (name,))
        return _account(row) if row else None

    def account_of(self, learner: str) -> AccountRow | None:
        """Return the account of a learner."""
        row = self._one(f"SELECT {_ACCOUNT} FROM accounts WHERE learner = ?", (learner,))
        return _account(row) if row else None

    def accounts(self) -> list[AccountRow]:
        """Return all accounts by name."""
        return [_account(row) for row in self._all(f"SELECT {_ACCOUNT} FROM accounts ORDER BY name")]

    def set_role(self, learner: str, role: str) -> None:
        """Change an account's role."""
        self._write("UPDATE accounts SET role = ? WHERE learner = ?", (role, learner))

    def set_password(self, learner: str, password: str) -> None:
        """Change the hash of an account's password."""
        self._write("UPDATE accounts SET password = ? WHERE learner = ?", (password, learner))

    def add_session(self, session: SessionRow, most: int) -> None:
        """Begin a session; of one learner's, the `most` used last stay."""
        with self.transaction():
            self._write(
                f"INSERT INTO sessions ({_SESSION}) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    session.hash,
                    session.learner,
                    session.proof,
                    time_text(session.created_at),
                    time_text(session.used_at),
                    session.agent,
                ),
            )
            self._write(
                "DELETE FROM sessions WHERE learner = :learner AND hash NOT IN (SELECT hash FROM sessions"
                " WHERE learner = :learner ORDER BY used_at DESC, rowid DESC LIMIT :most)",
                {"learner": session.learner, "most": most},
            )

    def session(self, hash: str) -> SessionRow | None:
        """Return a session."""
        row = self._one(f"SELECT {_SESSION} FROM sessions WHERE hash = ?", (hash,))
        return _session(row) if row else None

    def sessions(self, learner: str) -> list[SessionRow]:
        """Return a learner's sessions, the one used last first."""
        rows = self._all(
            f"SELECT {_SESSION} FROM sessions WHERE learner = ? ORDER BY used_at DESC, hash", (learner,)
        )
        return [_session(row) for row in rows]

    def use_session(self, hash: str, at: datetime) -> None:
        """Note that a session is in use."""
        with self.transaction(synced=False):
            self._write("UPDATE sessions SET used_at = ? WHERE hash = ?", (time_text(at), hash))

    def end_session(self, learner: str, hash: str) -> None:
        """End one of a learner's sessions. Raises NotFoundError."""
        if not self._write("DELETE FROM sessions WHERE learner = ? AND hash = ?", (learner, hash)):
            raise NotFoundError("there is no such session")

    def end_sessions(self, learner: str, *, but: str = "") -> int:
        """End a learner's sessions, all `but` one; return how many."""
        return self._write("DELETE FROM sessions WHERE learner = ? AND hash <> ?", (learner, but))

    def end_old_sessions(self, created: datetime, used: datetime) -> None:
        """End the sessions begun before `created`, or not used since `used`."""
        self._write(
            "DELETE FROM sessions WHERE created_at < ? OR used_at < ?", (time_text(created), time_text(used))
        )

    def add_cost(self, learner: str, day: str, usd: float) -> None:
        """Add what a language model cost for a learner on a day (ISO date in UTC)."""
        if usd > 0:
            self._write(
                "INSERT INTO spending (learner, day, usd) VALUES (?, ?, ?)"
                " ON CONFLICT (learner, day) DO UPDATE SET usd = usd + excluded.usd",
                (learner, day, usd),
            )

    def spent(self, learner: str, day: str) -> float:
        """Return what was spent for a learner on a day, in US dollars."""
        row = self._one("SELECT usd FROM spending WHERE learner = ? AND day = ?", (learner, day))
        return row[0] if row else 0.0

    def note_spent(self, day: str, limit: float, error: str) -> None:
        """Say on the pending grades of learners who spent `limit` on a day why no model is asked."""
        self._write(
            "UPDATE grades SET error = :error WHERE error <> :error AND id IN (SELECT"
            " (SELECT max(g.id) FROM grades g WHERE g.answer_id = a.id) FROM answers a"
            " WHERE a.stage = 'pending' AND a.learner IN"
            " (SELECT learner FROM spending WHERE day = :day AND usd >= :limit))",
            {"day": day, "limit": limit, "error": error},
        )

    def note_sitting(self, sitting_id: str, error: str) -> None:
        """Say on a sitting's provisional grades why no model is asked."""
        self._write(
            "UPDATE sitting_grades SET error = :error"
            " WHERE sitting_id = :sitting AND provisional = 1 AND error <> :error",
            {"sitting": sitting_id, "error": error},
        )


def _account(row: tuple[str, str, str, str, str]) -> AccountRow:
    learner, name, role, password, at = row
    return AccountRow(learner, name, role, password, datetime.fromisoformat(at))


def _session(row: tuple[str, str, str, str, str, str]) -> SessionRow:
    hash, learner, proof, created, used, agent = row
    return SessionRow(
        hash, learner, proof, datetime.fromisoformat(created), datetime.fromisoformat(used), agent
    )
