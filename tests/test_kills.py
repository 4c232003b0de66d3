"""SIGKILL at random moments while answers come in: none acknowledged is lost, none counts twice."""

import os
import random
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from freerecall import practice
from freerecall.cards import Card, Deck
from freerecall.store import Store
from freerecall.store.check import check

KILLS = int(os.environ.get("FREERECALL_KILLS", "10"))
"""`make kills` does 300."""
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
