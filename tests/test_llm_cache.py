"""Caches of replies: bounded, shared by threads, and never a cause of failure."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from freerecall.llm_cache import Cache, FileCache, MemoryCache, cache_key


@pytest.fixture(params=["memory", "file"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Cache:
    return MemoryCache(max_rows=3) if request.param == "memory" else FileCache(tmp_path / "c.db", max_rows=3)


def test_what_is_set_is_got(cache: Cache) -> None:
    assert cache.get("a") is None
    cache.set("a", "1")
    cache.set("a", "ü\n\x00")
    assert cache.get("a") == "ü\n\x00"


def test_the_oldest_go_first(cache: Cache) -> None:
    for name in "abcde":
        cache.set(name, name)
    assert [cache.get(name) for name in "abcde"] == [None, None, "c", "d", "e"]


def test_threads_share_it(cache: Cache) -> None:
    start = threading.Barrier(8)

    def work(number: int) -> str | None:
        start.wait()
        cache.set("same", "value")
        return cache.get("same")

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(work, range(8))) <= {"value", None}


def test_memory_keeps_what_is_used() -> None:
    cache = MemoryCache(max_rows=2)
    cache.set("a", "1")
    cache.set("b", "2")
    cache.get("a")
    cache.set("c", "3")
    assert (cache.get("a"), cache.get("b")) == ("1", None)


def test_a_file_outlives_its_process(tmp_path: Path) -> None:
    FileCache(tmp_path / "new" / "folder" / "c.db").set("a", "1")
    assert FileCache(tmp_path / "new" / "folder" / "c.db").get("a") == "1"


def test_a_broken_file_is_a_miss(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    path.write_bytes(b"this is no database, though it is long enough to be looked at " * 20)
    cache = FileCache(path)
    cache.set("a", "1")
    assert cache.get("a") is None


def test_a_folder_in_its_place_is_a_miss(tmp_path: Path) -> None:
    cache = FileCache(tmp_path)
    cache.set("a", "1")
    assert cache.get("a") is None


def test_a_locked_file_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    cache = FileCache(path)
    cache.set("a", "1")
    with sqlite3.connect(path) as other:
        other.execute("BEGIN EXCLUSIVE")
        cache.set("b", "2")
        assert cache.get("a") == "1", "readers are not kept out"
        other.rollback()
    other.close()
    assert cache.get("b") is None


def test_a_row_of_another_type_is_a_miss(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    cache = FileCache(path)
    cache.set("a", "1")
    db = sqlite3.connect(path)
    with db:
        db.execute("UPDATE replies SET value = x'ff'")
    db.close()
    assert cache.get("a") is None


def test_the_key_is_stable_and_tells_parts_apart() -> None:
    assert cache_key(a=1, b="é") == cache_key(b="é", a=1)
    assert cache_key(a=1, b=None) != cache_key(a=None, b=1)
    assert cache_key(a="\ud800") != cache_key(a="\ud801")
