"""SIGKILL at random moments while answers come in: none acknowledged is lost, none counts twice."""

import os
import random
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx

import scripted_llm as scripted
from freerecall import practice
from freerecall.access import Role
from freerecall.cards import Card, Deck
from freerecall.store import Store
from freerecall.store.check import check
from people import add_people, log_in
from polling import until
from scripted_llm import ScriptedLLM
from service_process import environment, running_service
from test_practice import assert_replayed

KILLS = int(os.environ.get("FREERECALL_KILLS", "10"))
"""`make kills` does 300."""
SERVICE_KILLS = KILLS if KILLS > 10 else 4
CARDS = tuple(Card(f"bio:{n}", f"What is number {n}?", f"the cell number {n}") for n in range(20))

ANSWERS = """
import random, sys
from datetime import UTC, datetime
from pathlib import Path
from freerecall import grading, practice
from freerecall.grades import GraderMode
from freerecall.store import Store

path, first = sys.argv[1:]
chance = random.Random(int(first))
with Store.open(Path(path)) as store:
    grading.warm()
    practice.recover(store, datetime.now(UTC))
    print("ready", flush=True)
    n = int(first)
    while True:
        result = practice.submit(
            store, card_id=f"bio:{chance.randrange(20)}", answer=f"the cell {n}", client_answer_id=str(n),
            elapsed_ms=1, mode=GraderMode.EMBEDDED, now=datetime.now(UTC),
        )
        print(n, flush=True)
        if chance.random() < 0.2:
            practice.override(store, result.answer_id, chance.randrange(1, 6), now=datetime.now(UTC))
        if chance.random() < 0.1:
            practice.undo(store, result.answer_id)
        n += 1
"""


def test_no_acknowledged_answer_is_lost_or_counted_twice(tmp_path: Path) -> None:
    path, chance = tmp_path / "f.db", random.Random(5)
    with Store.open(path) as store:
        store.put_deck(Deck("bio", "Biology", CARDS))
    acknowledged: list[int] = []
    for _ in range(KILLS):
        first = acknowledged[-1] + 1_000 if acknowledged else 0
        command = [sys.executable, "-c", ANSWERS, str(path), str(first)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0.0, 0.15))  # the moment of the kill, not a wait for anything
        process.kill()
        told = process.stdout.read().splitlines(keepends=True)
        acknowledged += [int(line) for line in told if line.endswith("\n")]
        process.wait()
        with Store.open(path) as store:
            practice.recover(store, datetime.now(UTC))
            assert check(store) == []
            stored = [int(id) for (id,) in store.db.execute("SELECT client_answer_id FROM answers")]
            assert len(stored) == len(set(stored))
            assert set(acknowledged) <= set(stored)
    assert len(acknowledged) > KILLS


@dataclass
class Client:
    """Answers, overrides and takes back, one request after the other, until the service is gone.

    What was under way then may have been done or not; an answer is sent again, as a page does.
    """

    http: httpx.Client
    chance: random.Random
    name: str
    answered: dict[str, str] = field(default_factory=dict)
    """The text of each answer that was acknowledged, by its client_answer_id."""
    ids: dict[str, str] = field(default_factory=dict)
    rated: dict[str, set[int]] = field(default_factory=dict)
    """The ratings that an answer may have by now, by its id; 0: the grade's."""
    taken_back: set[str] = field(default_factory=set)
    unsure: dict[str, str] | None = None
    last: str = ""
    sent: int = 0
    wrong: list[str] = field(default_factory=list)

    def live(self, url: str) -> None:
        """Go on until the service at `url` is gone."""
        self.http.base_url = httpx.URL(url)
        self.http.headers["origin"] = url
        try:
            while True:
                self.answer()
                if self.sent % 2 == 0:
                    self.override()
                if self.sent % 3 == 0:
                    self.undo()
        except httpx.TransportError:
            self.last = ""
        except Exception as error:
            self.wrong.append(f"{type(error).__name__}: {error}")

    def post(self, path: str, *expected: int, json: object = None) -> httpx.Response:
        reply = self.http.post(f"/api/v1/{path}", json=json)
        if reply.status_code not in expected:
            self.wrong.append(f"{path}: {reply.status_code} {reply.text[:200]}")
        return reply

    def answer(self) -> None:
        if self.unsure is None:
            self.sent += 1
            self.unsure = {
                "card_id": f"bio:{self.chance.randrange(20)}",
                "answer": f"the cell {self.sent}",
                "client_answer_id": f"{self.name} {self.sent}",
            }
        body = self.unsure
        self.last = self.post("practice/answers", 200, json=body).json()["answer_id"]
        self.answered[body["client_answer_id"]] = body["answer"]
        self.ids[body["client_answer_id"]] = self.last
        self.unsure = None

    def override(self) -> None:
        rating = self.chance.randint(1, 5)
        self.rated.setdefault(self.last, {0}).add(rating)
        self.post(f"answers/{self.last}/override", 200, json={"rating": rating})
        self.rated[self.last] = {rating}

    def undo(self) -> None:
        """Refused (409) where the learner's other client has answered since."""
        if self.post(f"answers/{self.last}/undo", 200, 409).status_code == 200:
            self.taken_back.add(self.last)


def answered(clients: list[Client]) -> int:
    return sum(len(one.answered) for one in clients)


def assert_kept(store: Store, clients: list[Client]) -> None:
    """All that was acknowledged is there, once; the schedule agrees with the log."""
    assert check(store) == []
    rows = store.db.execute("SELECT client_answer_id, id, text, undone FROM answers").fetchall()
    stored = {client_id: (id, text) for client_id, id, text, _ in rows}
    assert len(stored) == len(rows)
    undone = {id for _, id, _, undone in rows if undone}
    ratings = dict(store.db.execute("SELECT answer_id, rating FROM reviews").fetchall())
    for client in clients:
        for client_id, text in client.answered.items():
            assert stored[client_id] == (client.ids[client_id], text)
        assert client.taken_back <= undone
        for id, possible in client.rated.items():
            overrides = store.overrides(id)
            if len(possible) == 1 and id not in undone:
                assert {ratings[id]} == possible
            assert (overrides[-1].rating if overrides else 0) in possible


def test_no_acknowledged_request_is_lost_when_the_service_is_killed(tmp_path: Path) -> None:
    chance = random.Random(7)
    names = ("ann", "bob", "cyd")
    add_people(tmp_path, {"root": Role.ADMIN, **dict.fromkeys(names, Role.LEARNER)})
    path = tmp_path / "freerecall.db"
    with Store.open(path) as store:
        store.put_deck(Deck("bio", "Biology", CARDS))
    with ScriptedLLM(scripted.covered()) as server:
        env = environment(
            tmp_path,
            FREERECALL_MODEL="openai/scripted",
            FREERECALL_API_BASE=server.api_base,
            FREERECALL_PROMPT="rubric-v1",
            FREERECALL_RATE="0",
        )
        with running_service(env) as service:
            clients = [
                Client(log_in(service.url, name), random.Random(n), f"{name} {n}")
                for n, name in enumerate((*names, "ann"))
            ]
        for kill in range(SERVICE_KILLS):
            with running_service(env) as service:
                threads = [threading.Thread(target=one.live, args=(service.url,)) for one in clients]
                for thread in threads:
                    thread.start()
                if kill % 2:
                    enough = answered(clients) + chance.randint(8, 30)
                    until(lambda enough=enough: answered(clients) >= enough)
                    time.sleep(chance.uniform(0.0, 0.02))
                else:  # while it warms up, and takes up what the last one left
                    time.sleep(chance.uniform(0.0, 0.6))
                service.process.kill()
                for thread in threads:
                    thread.join()
            assert [one.wrong for one in clients if one.wrong] == []
            with Store.open(path) as store:
                assert_kept(store, clients)
        with running_service(env) as service, httpx.Client(base_url=service.url, timeout=60) as http:
            until(lambda: http.get("/readyz").status_code == 200)
            assert service.stop()[0] == 0
    with Store.open(path) as store:
        assert_kept(store, clients)
        assert store.ungraded() == []
        for learner, card in store.db.execute("SELECT learner, card_id FROM card_states").fetchall():
            assert_replayed(store, learner, store.card(card))
    assert any(0 not in ratings for one in clients for ratings in one.rated.values())
    assert any(one.taken_back for one in clients)
    print(
        f"{SERVICE_KILLS} kills, {answered(clients)} answers,"
        f" {sum(len(one.rated) for one in clients)} overrides,"
        f" {sum(len(one.taken_back) for one in clients)} taken back: none lost, none doubled"
    )
