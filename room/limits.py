"""How often somebody may try something."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable

MOST_ADDRESSES = 4096  # that are remembered; the one that was silent for the longest is forgotten first


class Limiter:
    """At most `most` events in `within_s` for each key, and at most `most_of_all` for all of them together."""

    def __init__(
        self, most: int, within_s: float, *, most_of_all: int | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._within_s = within_s
        self._most_of_all = most_of_all
        self._now = now
        self._events: OrderedDict[str, deque[float]] = OrderedDict()
        self._all: deque[float] = deque()

    def is_full(self, key: str) -> bool:
        """Whether one more event of `key` would be too much."""
        self._forget(self._all)
        if self._most_of_all is not None and len(self._all) >= self._most_of_all:
            return True
        events = self._events.get(key)
        if events is None:
            return False
        self._forget(events)
        return len(events) >= self._most

    def note(self, key: str) -> None:
        """One event of `key`. What is full stays full: it notes no more."""
        if self.is_full(key):
            return
        now = self._now()
        self._events.setdefault(key, deque()).append(now)
        self._events.move_to_end(key)
        if self._most_of_all is not None:
            self._all.append(now)
        while len(self._events) > MOST_ADDRESSES:
            self._events.popitem(last=False)

    def take(self, key: str) -> bool:
        """Note an event of `key`, if there may be one more. Returns whether there may."""
        if self.is_full(key):
            return False
        self.note(key)
        return True

    def _forget(self, events: deque[float]) -> None:
        since = self._now() - self._within_s
        while events and events[0] <= since:
            events.popleft()
