"""Limits in memory on how often something may be tried. What they remember has a fixed size."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Clock = Callable[[], float]
MOST_KEYS = 10_000
"""Keys that are remembered; the one unused for longest gives way."""


V = TypeVar("V")


class _Recent(Generic[V]):
    """A mapping of the keys used last."""

    def __init__(self, most: int) -> None:
        self._rows: OrderedDict[str, V] = OrderedDict()
        self._most = most

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: str) -> V | None:
        return self._rows.get(key)

    def set(self, key: str, value: V) -> None:
        self._rows[key] = value
        self._rows.move_to_end(key)
        if len(self._rows) > self._most:
            self._rows.popitem(last=False)

    def drop(self, key: str) -> None:
        self._rows.pop(key, None)


class Backoff:
    """A pause after failures: none for the first `free` ones, then `first_s`, doubling up to `most_s`.

    A key without a failure for `forget_s` begins anew.
    """

    def __init__(
        self,
        free: int,
        most_s: float = 300.0,
        forget_s: float = 3_600.0,
        *,
        first_s: float = 1.0,
        most_keys: int = MOST_KEYS,
        clock: Clock = time.monotonic,
    ) -> None:
        self._free, self._most_s, self._forget_s = free, most_s, forget_s
        self._first_s = first_s
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: _Recent[tuple[int, float]] = _Recent(most_keys)

    def __len__(self) -> int:
        return len(self._failures)

    def left(self, key: str) -> float:
        """Return how many seconds are left of a key's pause; 0 where it may try."""
        with self._lock:
            found = self._failures.get(key)
        if found is None or found[0] < self._free:
            return 0.0
        pause = min(self._first_s * 2.0 ** min(found[0] - self._free, 30), self._most_s)
        return max(found[1] + pause - self._clock(), 0.0)

    def fail(self, key: str) -> None:
        """Count a failure. Count it before the try: then no number of tries at once gets around it."""
        at = self._clock()
        with self._lock:
            count, last = self._failures.get(key) or (0, at)
            self._failures.set(key, (1 if at - last > self._forget_s else count + 1, at))

    def take_back(self, key: str) -> None:
        """Uncount a failure that was none."""
        with self._lock:
            if found := self._failures.get(key):
                self._failures.set(key, (max(found[0] - 1, 0), found[1]))

    def forgive(self, key: str) -> None:
        """Forget a key's failures."""
        with self._lock:
            self._failures.drop(key)


class Rate:
    """At most `per_minute` in any short time, and refilled evenly; 0: no limit."""

    def __init__(self, per_minute: int, *, most_keys: int = MOST_KEYS, clock: Clock = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._left: _Recent[tuple[float, float]] = _Recent(most_keys)

    def __len__(self) -> int:
        return len(self._left)

    def take(self, key: str) -> float:
        """Take one; return 0, or the seconds until there is one again."""
        if not self._per_minute:
            return 0.0
        at, per_s = self._clock(), self._per_minute / 60
        with self._lock:
            left, since = self._left.get(key) or (float(self._per_minute), at)
            left = min(left + (at - since) * per_s, float(self._per_minute))
            self._left.set(key, (left - 1 if left >= 1 else left, at))
        return 0.0 if left >= 1 else (1 - left) / per_s
