"""A circuit breaker (Nygard, Release It!, 2007): a provider that is down is left alone for a while."""

import threading
import time
from collections.abc import Callable

FAILURES = 5
"""Failures in a row that open it."""
FIRST_S, MOST_S = 5.0, 300.0
"""The first pause; it doubles with every probe that fails."""


class Breaker:
    """Closed: calls pass. Open: none does, but for one probe after each pause. A success closes it.

    May be used from several threads. `clock` gives seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._pause_s = FIRST_S
        self._opens_at = 0.0

    @property
    def closed(self) -> bool:
        """Whether calls pass freely."""
        return self._failures < FAILURES

    @property
    def left_s(self) -> float:
        """The seconds until the next probe; 0 where a call may be made."""
        with self._lock:
            return 0.0 if self.closed else max(self._opens_at - self._clock(), 0.0)

    def enter(self) -> float:
        """Return 0 where a call may be made, else the seconds until the next probe."""
        with self._lock:
            if self.closed:
                return 0.0
            left = self._opens_at - self._clock()
            if left > 0:
                return left
            self._opens_at = self._clock() + self._pause_s  # this caller is the probe
            return 0.0

    def succeeded(self) -> None:
        """Note that the provider replied."""
        with self._lock:
            self._failures, self._pause_s = 0, FIRST_S

    def failed(self) -> None:
        """Note that it did not."""
        with self._lock:
            probe = not self.closed
            self._failures += 1
            if self.closed:
                return
            if probe:
                self._pause_s = min(2 * self._pause_s, MOST_S)
            self._opens_at = self._clock() + self._pause_s
