"""Accounts in a store, and clients that are logged in as them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import httpx

from freerecall import accounts
from freerecall.access import Role
from freerecall.store import Store

PASSWORD = "correct horse battery"


def add_people(data: Path, people: dict[str, Role]) -> dict[str, str]:
    """Make accounts, all with PASSWORD; return their learners by name."""
    with Store.open(data / "freerecall.db") as store:
        return {
            name: accounts.add(store, name, role, PASSWORD, now=datetime.now(UTC)).learner
            for name, role in people.items()
        }


def client(url: str) -> httpx.Client:
    """A client that says, as a browser does, where its requests come from."""
    return httpx.Client(base_url=url, headers={"origin": url}, timeout=30)


def log_in(url: str, name: str, password: str = PASSWORD) -> httpx.Client:
    """Return a client with a session."""
    one = client(url)
    reply = one.post("/login", data={"name": name, "password": password})
    assert (reply.status_code, reply.headers.get("location")) == (303, "/"), reply.text
    return one


def log_all_in(url: str, names: Sequence[str]) -> dict[str, httpx.Client]:
    """Return a client for each name."""
    return {name: log_in(url, name) for name in names}
