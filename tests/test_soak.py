"""Many learners at once, a provider that fails at random, and a service that must not mind.

A few seconds in CI; `make soak` does an hour with 50 learners and prints what it saw. With
FILL=40000 that many answers are in the store before it begins, as after an hour.
"""

import json
import os
import random
import re
import sqlite3
import statistics
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
import pytest

import scripted_llm as scripted
from faulty_llm import FAULTS
from freerecall import library, practice
from freerecall.access import Role
from freerecall.grades import GraderMode
from freerecall.store import Store
from freerecall.store.check import check
from people import add_people, log_in
from scripted_llm import Request, Response, ScriptedLLM
from service_process import environment, running_service

MINUTES = float(os.environ.get("FREERECALL_SOAK", "0.15"))
LEARNERS = int(os.environ.get("FREERECALL_SOAK_LEARNERS", "6"))
THINKING_S = float(os.environ.get("FREERECALL_SOAK_THINKING", "0.2"))
FILL = int(os.environ.get("FREERECALL_SOAK_FILL", "0"))
DECK = 'title = "Mine"\n[[cards]]\nid = "one"\nquestion = "What is one?"\nreference = "The first number"\n'
WORDS = (
    "models data training deployment monitoring drift pipeline features labels versions tests users".split()
)
HANGS = ("late", "drip")
SUBMIT = "/api/v1/practice/answers"
WARM_UP = 10


def provider(chance: random.Random) -> scripted.Step:
    """Half of the replies are in order; the other half is every fault there is."""
    faults = [step for name, step in FAULTS.items() if name not in HANGS]

    def step(request: Request) -> Response:
        return scripted.covered()(request) if chance.random() < 0.5 else chance.choice(faults)(request)

    return step


@dataclass
class Seen:
    """What the learners saw. `acknowledged`: the text of each answer that was, by its id."""

    statuses: Counter[str] = field(default_factory=Counter)
    acknowledged: dict[str, str] = field(default_factory=dict)
    typed: dict[tuple[str, int], str] = field(default_factory=dict)
    route_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wrong: list[str] = field(default_factory=list)

    @property
    def submit_ms(self) -> list[float]:
        return self.route_ms[f"POST {SUBMIT}"]


class Learner:
    """Practises, looks around, sits a test, imports a deck; thinks in between."""

    def __init__(self, client: httpx.Client, seed: int, seen: Seen) -> None:
        self.client = client
        self.chance = random.Random(seed)
        self.seen = seen
        self.last = ""
        self.session = 0

    def live(self, ends: float, thinking_s: float) -> None:
        try:
            self.think(thinking_s)
            while time.monotonic() < ends:
                doing = self.chance.choices(
                    [self.practise, self.look, self.override, self.sit, self.bring], [70, 15, 6, 6, 3]
                )[0]
                doing()
                self.think(thinking_s)
        except Exception as error:
            self.seen.wrong.append(f"{type(error).__name__}: {error}")

    def think(self, mean_s: float) -> None:
        time.sleep(min(self.chance.expovariate(1 / mean_s), 5 * mean_s) if mean_s else 0)

    def ask(self, method: str, path: str, *expected: int, **more: object) -> httpx.Response:
        started = time.perf_counter()
        reply = self.client.request(method, path, **more)  # type: ignore[arg-type]
        route = re.sub(r"(answers|sittings|exams)/[^/?]+|/\d+$|\?.*", r"\1", path)
        self.seen.route_ms[f"{method} {route}"].append(1000 * (time.perf_counter() - started))
        self.seen.statuses[f"{reply.status_code}"] += 1
        if reply.status_code not in (expected or (200,)):
            self.seen.wrong.append(f"{method} {path}: {reply.status_code} {reply.text[:200]}")
        return reply

    @property
    def session_id(self) -> str:
        return f"soak-{self.session}"

    def next_card(self) -> dict[str, str] | None:
        card: dict[str, str] | None = self.ask(
            "GET", f"/api/v1/practice/next?only=cram&session={self.session_id}"
        ).json()["card"]
        return card

    def practise(self) -> None:
        while (card := self.next_card()) is None:
            self.session += 1
        text = " ".join(self.chance.choices(WORDS, k=self.chance.randint(1, 12)))
        body = {
            "card_id": card["id"],
            "answer": text,
            "client_answer_id": f"{self.chance.random()}",
            "session": self.session_id,
        }
        reply = self.ask("POST", SUBMIT, json=body)
        self.last = reply.json()["answer_id"]
        self.seen.acknowledged[self.last] = text

    def look(self) -> None:
        self.ask("GET", self.chance.choice(["/", "/practice/mlops", "/statistics", "/exams", "/decks/mlops"]))

    def override(self) -> None:
        if self.last:
            self.ask(
                "POST", f"/api/v1/answers/{self.last}/override", json={"rating": self.chance.randint(1, 5)}
            )

    def sit(self) -> None:
        paper = self.ask("POST", "/api/v1/exams", 201, json={"decks": ["mlops"], "count": 3}).json()["id"]
        made = self.ask("POST", f"/api/v1/exams/{paper}/sittings", 201, json={"name": "me"}).json()["id"]
        for number in (1, 2, 3):
            text = " ".join(self.chance.choices(WORDS, k=4))
            body = {"text": text, "revision": 1}
            self.ask("PUT", f"/api/v1/sittings/{made}/answers/{number}", json=body)
            self.seen.typed[made, number] = text
        self.ask("POST", f"/api/v1/sittings/{made}/submit")

    def bring(self) -> None:
        self.ask("POST", "/api/v1/decks?name=mine.toml", 201, content=DECK)


def fill(data: Path, learners: list[str]) -> dict[str, str]:
    """Have FILL answers in the store; return the text of each by its id."""
    chance, filled = random.Random(2), dict[str, str]()
    with Store.open(data / "freerecall.db") as store:
        library.load_bundled(store)
        cards = [card.id for card in store.cards("mlops")]
        for number in range(FILL):
            result = practice.submit(
                store,
                card_id=chance.choice(cards),
                answer=" ".join(chance.choices(WORDS, k=chance.randint(1, 12))),
                client_answer_id=f"fill-{number}",
                elapsed_ms=None,
                mode=GraderMode.EMBEDDED,
                now=datetime.now(UTC),
                learner=chance.choice(learners),
            )
            filled[result.answer_id] = result.answer
    return filled


@pytest.fixture
def crowd_gives_way() -> Iterator[None]:
    """The learners and the provider share one interpreter: its queue must not be what is measured."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("crowd_gives_way")
def test_a_crowd_and_a_failing_provider(tmp_path: Path) -> None:
    names = [f"learner {n}" for n in range(LEARNERS)]
    people = add_people(tmp_path, {"root": Role.ADMIN, **dict.fromkeys(names, Role.LEARNER)})
    filled = fill(tmp_path, [people[name] for name in names]) if FILL else {}
    seen, alone = Seen(), Seen()
    memory: list[tuple[float, float]] = []
    waiting: list[int] = []
    with ScriptedLLM(provider(random.Random(1))) as server:
        env = environment(
            tmp_path,
            FREERECALL_MODEL="openai/scripted",
            FREERECALL_API_BASE=server.api_base,
            FREERECALL_PROMPT="rubric-v1",
            FREERECALL_RATE="0",
            FREERECALL_DEADLINE_S="2",
        )
        with running_service(env) as service:
            learners = [Learner(log_in(service.url, name), n, seen) for n, name in enumerate(names)]
            one = Learner(learners[0].client, 99, alone)
            for _ in range(WARM_UP + 30):
                one.practise()
                one.think(0.05)
            begun = time.monotonic()
            ends = begun + 60 * MINUTES
            threads = [threading.Thread(target=each.live, args=(ends, THINKING_S)) for each in learners]
            for thread in threads:
                thread.start()
            process = psutil.Process(service.process.pid)
            while any(thread.is_alive() for thread in threads):
                memory.append((time.monotonic() - begun, process.memory_info().rss / 2**20))
                with closing(sqlite3.connect(tmp_path / "freerecall.db")) as db:
                    waiting += db.execute("SELECT count(*) FROM answers WHERE stage = 'pending'").fetchone()
                threads[0].join(min(2.0, 6 * MINUTES))
                if not threads[0].is_alive():
                    for thread in threads:
                        thread.join()
            code, log = service.stop()
    assert seen.wrong == []
    assert code == 0
    assert "Traceback" not in log
    with closing(sqlite3.connect(tmp_path / "freerecall.db")) as db:
        stored = dict(db.execute("SELECT id, text FROM answers").fetchall())
        typed = {
            (sitting, number): text
            for sitting, number, text in db.execute("SELECT sitting_id, number, text FROM sitting_answers")
        }
    assert stored == filled | alone.acknowledged | seen.acknowledged, (
        "each acknowledged answer, once, and no other"
    )
    assert typed == seen.typed
    with Store.open(tmp_path / "freerecall.db") as store:
        assert check(store) == []
    print(json.dumps(figures(seen, alone, memory, waiting)))


def figures(
    seen: Seen, alone: Seen, memory: list[tuple[float, float]], waiting: list[int]
) -> dict[str, object]:
    """What `make soak` reports."""
    warm = memory[len(memory) // 4 :] or memory
    hours = (warm[-1][0] - warm[0][0]) / 3_600
    unloaded = statistics.median(alone.submit_ms[WARM_UP:])
    p99 = percentile(seen.submit_ms, 0.99)
    return {
        "requests": sum(seen.statuses.values()),
        "answers": len(seen.acknowledged),
        "unloaded median ms": round(unloaded, 1),
        "p50 ms": round(statistics.median(seen.submit_ms), 1),
        "p99 ms": round(p99, 1),
        "p99 ms at each tenth": [round(percentile(part, 0.99)) for part in tenths(seen.submit_ms)],
        "p50, p99 ms by route": {
            route: (round(percentile(times, 0.5)), round(percentile(times, 0.99)))
            for route, times in sorted(seen.route_ms.items())
        },
        "p99 / unloaded": round(p99 / unloaded, 1),
        "MB after warm-up": round(warm[0][1], 1),
        "MB at the end": round(warm[-1][1], 1),
        "MB at each tenth": [round(memory[i * (len(memory) - 1) // 10][1]) for i in range(11)],
        "answers without a verdict at each tenth": [waiting[i * (len(waiting) - 1) // 10] for i in range(11)],
        "MB an hour": round((warm[-1][1] - warm[0][1]) / hours, 1) if hours else None,
    }


def percentile(times: list[float], share: float) -> float:
    return sorted(times)[int(share * (len(times) - 1))] if times else 0.0


def tenths(times: list[float]) -> list[list[float]]:
    return [times[i * len(times) // 10 : (i + 1) * len(times) // 10] for i in range(10)]
