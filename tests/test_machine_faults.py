"""A full disk, a held or read-only database, a broken file, a jumping clock, two processes on one store."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from freerecall import practice
from freerecall.api.app import create_app
from freerecall.api.service import Service
from freerecall.cards import Card, Deck
from freerecall.grades import GraderMode
from freerecall.settings import Settings
from freerecall.store import Store
from freerecall.store.check import check
from service_process import environment, running_service, served_here

NOW = datetime(2026, 3, 1, tzinfo=UTC)
Running = tuple[httpx.Client, Service]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    app = create_app(Settings(data=tmp_path))
    with served_here(app) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client, app.state.service


def answer(client: httpx.Client, key: str, text: str = "a thing") -> httpx.Response:
    card = client.get("/api/v1/practice/next").json()["card"]["id"]
    body = {"card_id": card, "answer": text, "client_answer_id": key}
    return client.post("/api/v1/practice/answers", json=body)


def assert_told(reply: httpx.Response, status: int, words: str) -> None:
    assert reply.status_code == status
    assert words in reply.json()["detail"]
    assert "this was not stored" in reply.json()["detail"]
    assert "sqlite" not in reply.text.lower()
    assert ".db" not in reply.text


def answers(data: Path) -> int:
    with closing(sqlite3.connect(data / "freerecall.db")) as db:
        count: int = db.execute("SELECT count(*) FROM answers").fetchone()[0]
        return count


def test_a_full_disk_is_told_and_the_service_goes_on(running: Running, tmp_path: Path) -> None:
    client, service = running
    assert answer(client, "before").status_code == 200
    pages = service.store.db.execute("PRAGMA page_count").fetchone()[0]
    service.store.db.execute(f"PRAGMA max_page_count = {pages}")
    replies = [answer(client, f"full {n}", "x" * 9_000) for n in range(8)]
    assert_told(replies[-1], 507, "The disk is full")
    stored = answers(tmp_path)
    assert stored == 1 + sum(reply.status_code == 200 for reply in replies)
    assert client.get("/").status_code == 200, "what needs no room still works"
    service.store.db.execute("PRAGMA max_page_count = 1000000")
    assert answer(client, "full 7", "x" * 9_000).status_code == 200
    assert client.get("/readyz").status_code == 200
    assert check(service.store) == []


def test_a_read_only_database_is_told(running: Running, tmp_path: Path) -> None:
    client, service = running
    service.store.db.execute("PRAGMA query_only = ON")
    assert_told(answer(client, "1"), 503, "cannot be written")
    assert client.get("/readyz").status_code == 503
    assert client.get("/practice").status_code == 200
    service.store.db.execute("PRAGMA query_only = OFF")
    assert answer(client, "1").status_code == 200
    assert answers(tmp_path) == 1


def test_a_held_database_is_waited_for(running: Running, tmp_path: Path) -> None:
    client, service = running
    other = sqlite3.connect(tmp_path / "freerecall.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    replies: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: replies.append(answer(client, "1")))
    asking.start()
    asking.join(0.3)
    assert asking.is_alive(), "it waits"
    other.execute("COMMIT")
    asking.join(30)
    assert replies[0].status_code == 200

    service.store.db.execute("PRAGMA busy_timeout = 50")
    other.execute("BEGIN IMMEDIATE")
    assert_told(answer(client, "2"), 503, "held by another program")
    other.execute("COMMIT")
    other.close()
    assert answer(client, "2").status_code == 200
    assert answers(tmp_path) == 2


@pytest.mark.parametrize(
    "content", [b"not a database at all, just text" * 200, b"SQLite format 3\0" + b"\xff" * 5_000]
)
@pytest.mark.parametrize("command", [["decks"], ["--port", "0"]], ids=["command", "service"])
def test_a_broken_file_is_told_in_one_line(tmp_path: Path, content: bytes, command: list[str]) -> None:
    (tmp_path / "freerecall.db").write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-m", "freerecall", *command],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "FREERECALL_DATA" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert (tmp_path / "freerecall.db").read_bytes() == content, "it is left as it was"


@pytest.mark.parametrize("jump", [timedelta(days=-400), timedelta(seconds=-1), timedelta(days=4_000)])
def test_a_clock_that_jumps_leaves_log_and_schedule_in_step(tmp_path: Path, jump: timedelta) -> None:
    with Store.open(tmp_path / "f.db") as store:
        store.put_deck(Deck("d", "D", (Card("d:a", "What is rain?", "Water that falls from clouds"),)))
        for number, at in enumerate([NOW, NOW + timedelta(days=3), NOW + timedelta(days=3) + jump, NOW]):
            done = practice.submit(
                store,
                card_id="d:a",
                answer="water falls from clouds",
                client_answer_id=str(number),
                elapsed_ms=None,
                mode=GraderMode.EMBEDDED,
                now=at,
            )
            practice.override(store, done.answer_id, 2 + number % 3, "", now=at)
            assert check(store) == []


def test_two_services_share_a_store(tmp_path: Path) -> None:
    env = environment(tmp_path)
    replies: list[int] = []

    def practise(url: str, name: str) -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            replies.extend(answer(client, f"{name} {n}").status_code for n in range(10))
            replies.append(answer(client, "the same", "a word").status_code)

    with running_service(env) as one, running_service(env) as two:
        threads = [
            threading.Thread(target=practise, args=(service.url, name))
            for service, name in ((one, "a"), (two, "b"), (one, "c"), (two, "d"))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert set(replies) <= {200, 409}
    assert replies.count(200) >= 41
    with Store.open(tmp_path / "freerecall.db") as store:
        assert check(store) == []
    assert answers(tmp_path) == 41
