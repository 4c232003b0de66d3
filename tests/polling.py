"""Waiting for what another process is about to do."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(look: Callable[[], T | None], *, within_s: float = 30.0) -> T:
    """Return the first true value of `look()`; fail where there is none for a long time."""
    ends = time.monotonic() + within_s
    while time.monotonic() < ends:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError(f"nothing within {within_s} s")
