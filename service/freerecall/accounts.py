"""Accounts: who may come in, with which password, in which sessions; what is kept of them, and its end."""

import hashlib
import hmac
import re
import secrets
import threading
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from freerecall.access import LOCAL, Identity, Role
from freerecall.errors import ConflictError, InputError, NotFoundError, TooManyError
from freerecall.store import AccountRow, SessionRow, Store, personal

if TYPE_CHECKING:  # imported where passwords are hashed, so that nobody else waits for it
    from argon2 import PasswordHasher

MIN_PASSWORD, MAX_PASSWORD, MAX_ACCOUNT_NAME = 10, 1_000, 64
IDLE, LONGEST = timedelta(days=7), timedelta(days=30)
"""A session ends when it was not used for this long, and this long after login at the latest."""
_TOUCHED = timedelta(minutes=5)
MOST_SESSIONS = 20
_NAME = re.compile(r"[^\W_][\w .@'-]*")
_hashing, _queueing = threading.BoundedSemaphore(2), threading.BoundedSemaphore(16)
"""Each hash takes 64 MiB and some 50 ms: a crowd at the door takes two at a time, and few wait."""


@cache
def _hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher

    return PasswordHasher()


@contextmanager
def _turn() -> Iterator[None]:
    if not _queueing.acquire(blocking=False):
        raise TooManyError("Many are logging in at once: try again in a moment.", 1.0)
    try:
        with _hashing:
            yield
    finally:
        _queueing.release()


def _hash(password: str) -> str:
    with _turn():
        return _hasher().hash(password)


@cache
def _nobodys_hash() -> str:
    """What an unknown name's password is compared with, so that it takes as long as a known one's."""
    return _hash(secrets.token_urlsafe())


def _fits(encoded: str, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        with _turn():
            return _hasher().verify(encoded, password)
    except (VerificationError, InvalidHashError):
        return False


def folded(name: str) -> str:
    """Return a name as it is compared: NFKC, case-folded, single blanks."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def clean_name(name: str) -> str:
    """Return an account's name as it is compared. Raises InputError."""
    cleaned = folded(name)
    if len(cleaned) > MAX_ACCOUNT_NAME or not _NAME.fullmatch(cleaned):
        raise InputError(
            f"an account's name has 1 to {MAX_ACCOUNT_NAME} letters, digits, blanks and any of .@'-_,"
            " and begins with a letter or digit"
        )
    return cleaned


def check_password(password: str, name: str = "") -> None:
    """Raise InputError for a password that is too short, too long, or the account's name."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise InputError(
            f"the password has {len(password)} characters; it must have {MIN_PASSWORD} to {MAX_PASSWORD}"
        )
    if password.casefold() == name.casefold():
        raise InputError("the password is the account's name; choose another")


def read_role(text: str) -> Role:
    """Return the role of a name. Raises InputError."""
    try:
        return Role(text)
    except ValueError:
        raise InputError(f"the role is {text!r}; it must be one of {', '.join(Role)}") from None


def add(
    store: Store, name: str, role: Role, password: str, *, now: datetime, learner: str = ""
) -> AccountRow:
    """Make an account, with a learner of its own; `learner` "local" takes over what was practised alone.

    Raises InputError, ConflictError where the name or the learner has an account.
    """
    name = clean_name(name)
    check_password(password, name)
    if learner and store.account_of(learner):
        raise ConflictError(f"the learner {learner!r} has an account already")
    row = AccountRow(learner or secrets.token_hex(8), name, role.value, _hash(password), now)
    store.add_account(row)
    return row


def find(store: Store, name: str) -> AccountRow:
    """Return an account. Raises NotFoundError."""
    row = store.account(clean_name(name))
    if row is None:
        raise NotFoundError(f"there is no account {name!r}; `freerecall user list` has them all")
    return row


def verify(store: Store, name: str, password: str) -> AccountRow | None:
    """Return the account that name and password open. Takes as long for a name that nobody has.

    A hash made with other parameters than today's is made anew.
    """
    try:
        row = store.account(clean_name(name))
    except InputError:
        row = None
    nobodys = _nobodys_hash()
    if not _fits(row.password if row else nobodys, password[:MAX_PASSWORD]) or row is None:
        return None
    if _hasher().check_needs_rehash(row.password):
        store.set_password(row.learner, _hash(password))
    return row


def set_password(store: Store, row: AccountRow, password: str) -> None:
    """Change a password, and end every session of the account. Raises InputError."""
    check_password(password, row.name)
    store.set_password(row.learner, _hash(password))
    store.end_sessions(row.learner)


def set_role(store: Store, row: AccountRow, role: Role) -> None:
    """Change a role; it counts at the next request. Raises ConflictError for the last admin's."""
    with store.transaction():
        if role is not Role.ADMIN:
            _keep_an_admin(store, row)
        store.set_role(row.learner, role.value)


def _keep_an_admin(store: Store, row: AccountRow) -> None:
    others = [one for one in store.accounts() if one.learner != row.learner]
    if row.role == Role.ADMIN and others and all(one.role != Role.ADMIN for one in others):
        raise ConflictError(f"{row.name!r} is the last admin; make another one first")


def session_hash(session_id: str) -> str:
    """Return what is stored of a session's id, which only its browser knows."""
    return hashlib.sha256(session_id.encode()).hexdigest()


def token_proof(token: str) -> str:
    """Return what a session begun with the token keeps of it: another token ends the session."""
    return hmac.new(token.encode(), b"freerecall login", hashlib.sha256).hexdigest()


def begin_session(store: Store, learner: str, *, now: datetime, agent: str = "", token: str = "") -> str:
    """Begin a session for an account's learner, or (`token`) for whoever sent the token; return its id."""
    session_id = secrets.token_urlsafe(32)
    store.end_old_sessions(now - LONGEST, now - IDLE)
    proof = token_proof(token) if token else ""
    agent = "".join(char for char in agent if char.isprintable())[:200]
    store.add_session(
        SessionRow(session_hash(session_id), learner, proof, now, now, agent), most=MOST_SESSIONS
    )
    return session_id


def who_asks(
    store: Store,
    *,
    session_id: str,
    bearer: str,
    token: str,
    alone: bool,
    now: datetime,
    touch: Callable[[str], object],
) -> Identity | None:
    """Return who sends a request, by its cookie or bearer token; None where that is not known.

    `alone`: only this machine can ask. Then, while there is neither token nor account, it is LOCAL.
    Only reads; `touch` is called with a session's hash where its use is to be noted.
    """
    if token and bearer and hmac.compare_digest(bearer.encode(), token.encode()):
        return LOCAL
    if session_id and (found := _of_session(store, session_hash(session_id), token, now, touch)):
        return found
    return LOCAL if alone and not token and not store.has_accounts() else None


def _of_session(
    store: Store, hash: str, token: str, now: datetime, touch: Callable[[str], object]
) -> Identity | None:
    session = store.session(hash)
    if session is None or now - session.created_at > LONGEST or now - session.used_at > IDLE:
        return None
    if session.proof:
        if not token or not hmac.compare_digest(session.proof, token_proof(token)):
            return None
        identity = Identity(LOCAL.learner, LOCAL.role, "", hash)
    else:
        account = store.account_of(session.learner)
        if account is None:
            return None
        identity = Identity(account.learner, Role(account.role), account.name, hash)
    if now - session.used_at > _TOUCHED:
        touch(hash)
    return identity


def export(store: Store, learner: str) -> dict[str, object]:
    """Return all that is kept of a learner, as JSON values."""
    account = store.account_of(learner)
    data: dict[str, object] = {"format": "freerecall-learner", "version": 1, "learner": learner}
    if account:
        data["account"] = {
            "name": account.name,
            "role": account.role,
            "created_at": account.created_at.isoformat(),
        }
    return data | personal.export(store, learner)


def erase(store: Store, learner: str) -> None:
    """Erase all that is kept of a learner, account and all. Raises ConflictError for the last admin's."""
    account = store.account_of(learner)
    if account:
        _keep_an_admin(store, account)
    personal.erase(store, learner)


def today(now: datetime) -> str:
    """Return the day for which spending is counted: in UTC."""
    return now.astimezone(UTC).date().isoformat()
