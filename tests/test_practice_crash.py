"""Processes that die, and processes that share a file."""

import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from freerecall import practice
from freerecall.cards import Card, Deck
from freerecall.errors import NotFoundError
from freerecall.grades import GraderMode
from freerecall.grading import grade_embedded
from freerecall.store import Store
from test_practice import assert_replayed

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CARD = Card("bio:mitosis", "What is mitosis?", "Cell division that yields two identical daughter cells")
DECK = Deck("bio", "Biology", (CARD,))

SUBMITS = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from freerecall import grading, practice
from freerecall.grades import GraderMode
from freerecall.store import Store

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

path, first, count, dies_at, mode = sys.argv[1:]
if dies_at == "grading":
    grading.grade_embedded = die
elif dies_at:
    setattr(Store, dies_at, die)
with Store.open(Path(path)) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    for n in range(int(first), int(first) + int(count)):
        result = practice.submit(
            store,
            card_id="bio:mitosis",
            answer="two identical cells",
            client_answer_id=str(n),
            elapsed_ms=n,
            mode=GraderMode(mode),
            now=datetime(2026, 3, 1, 12, n % 60, tzinfo=UTC),
        )
        print(result.answer_id, flush=True)
"""


def start(
    path: Path, first: int, count: int, *, dies_at: str = "", mode: str = "embedded"
) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", SUBMITS, str(path), str(first), str(count), dies_at, mode]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def finish(process: "subprocess.Popen[str]") -> list[str]:
    said, _ = process.communicate(timeout=60)
    return said.split()


def release(process: "subprocess.Popen[str]") -> None:
    assert process.stdin
    process.stdin.write("go\n")
    process.stdin.flush()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "f.db"
    with Store.open(path) as store:
        store.put_deck(DECK)
    return path


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
@pytest.mark.parametrize("mode", ["embedded", "llm"])
@pytest.mark.parametrize("dies_at", ["grading", "add_review", "put_card_state"])
def test_an_answer_outlives_a_process_killed_before_it_is_graded(path: Path, dies_at: str, mode: str) -> None:
    process = start(path, 7, 1, dies_at=dies_at, mode=mode)
    release(process)
    assert finish(process) == []
    assert process.returncode == -signal.SIGKILL
    with Store.open(path) as store:
        (answer_id,) = store.ungraded()
        assert (store.answer(answer_id).text, store.answer(answer_id).elapsed_ms) == (
            "two identical cells",
            7,
        )
        assert (store.grades(answer_id), store.reviews("local", CARD.id)) == ([], [])
        assert practice.next_card(store, "bio", now=NOW).new == 1
        with pytest.raises(NotFoundError):
            practice.result(store, answer_id)

        assert practice.recover(store, NOW) == 1
        assert practice.recover(store, NOW) == 0
        result = practice.result(store, answer_id)
        assert result.rating == grade_embedded(CARD, "two identical cells").rating
        assert result.pending == result.grade.provisional == (mode == "llm")
        assert result.answered_at == NOW.replace(minute=7)
        assert len(store.grades(answer_id)) == 1
        assert_replayed(store, "local", CARD)


def test_a_power_cut_that_takes_the_grade_away_changes_nothing_in_the_end(path: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    cut.mkdir()

    def copy_when_the_answer_is_stored(sql: str) -> None:
        if sql.startswith("BEGIN"):
            for file in tmp_path.glob("f.db*"):
                shutil.copy(file, cut)

    with Store.open(path) as store:
        store.db.conn.set_trace_callback(copy_when_the_answer_is_stored)
        result = practice.submit(
            store,
            card_id=CARD.id,
            answer="two identical cells",
            client_answer_id="0",
            elapsed_ms=None,
            mode=GraderMode.EMBEDDED,
            now=NOW,
        )
        assert store.db.execute("PRAGMA synchronous").fetchone() == (2,), "the next answer waits for the disk"
    with Store.open(cut / "f.db") as store:
        assert store.ungraded() == [result.answer_id]
        assert practice.recover(store, NOW) == 1
        assert practice.result(store, result.answer_id) == result


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
def test_sending_the_answer_again_after_the_crash_grades_it_too(path: Path) -> None:
    process = start(path, 7, 1, dies_at="grading")
    release(process)
    finish(process)
    again = start(path, 7, 1)
    release(again)
    (answer_id,) = finish(again)
    with Store.open(path) as store:
        assert store.ungraded() == []
        assert store.db["answers"].count == 1
        assert practice.result(store, answer_id).answer == "two identical cells"


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
def test_a_recovered_answer_takes_its_place_among_later_ones(path: Path) -> None:
    process = start(path, 7, 1, dies_at="grading")
    release(process)
    finish(process)
    after = start(path, 8, 2)
    release(after)
    later = finish(after)
    with Store.open(path) as store:
        (lost,) = store.ungraded()
        practice.recover(store, NOW)
        assert [review.answer_id for review in store.reviews("local", CARD.id)] == [lost, *later]
        assert_replayed(store, "local", CARD)


def test_one_answer_that_cannot_be_graded_does_not_hold_up_the_others(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    process = start(path, 7, 1, dies_at="grading")
    release(process)
    finish(process)
    with Store.open(path) as store:
        (lost,) = store.ungraded()
        store.db.execute("UPDATE card_versions SET content = 'not a card'")
        assert practice.recover(store, NOW) == 0
        assert lost in caplog.text
        assert store.ungraded() == [lost]


def test_two_processes_that_send_the_same_answers_make_each_one_once(path: Path) -> None:
    processes = [start(path, 0, 20), start(path, 0, 20)]
    for process in processes:
        release(process)
    one, other = (finish(process) for process in processes)
    assert one == other
    assert len(set(one)) == 20
    with Store.open(path) as store:
        assert [store.db[table].count for table in ("answers", "grades", "reviews")] == [20, 20, 20]
        assert_replayed(store, "local", CARD)


def test_two_processes_that_answer_one_card_leave_a_log_that_replays(path: Path) -> None:
    processes = [start(path, 0, 20), start(path, 20, 20)]
    for process in processes:
        release(process)
    answer_ids = [answer_id for process in processes for answer_id in finish(process)]
    with Store.open(path) as store:
        assert {review.answer_id for review in store.reviews("local", CARD.id)} == set(answer_ids)
        assert len(answer_ids) == 40
        assert_replayed(store, "local", CARD)


def test_a_service_and_a_terminal_share_a_file(path: Path) -> None:
    with Store.open(path) as store:
        process = start(path, 0, 1)
        release(process)
        (answer_id,) = finish(process)
        assert practice.result(store, answer_id).answer == "two identical cells"
        assert (
            practice.submit(
                store,
                card_id=CARD.id,
                answer="two identical cells",
                client_answer_id="0",
                elapsed_ms=None,
                mode=GraderMode.EMBEDDED,
                now=NOW,
            ).answer_id
            == answer_id
        )
