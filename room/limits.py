"""How often somebody may try something."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

MOST_ADDRESSES = 4096  # that are remembered; the one that was silent for the longest is forgotten first


@dataclass(frozen=True, kw_only=True)
class _Event:
    at_s: float
    what: str  # empty: like no other


class Limiter:
    """At most `most` events in `within_s` for each key, and at most `most_of_all` for all of them together."""

    def __init__(
        self, most: int, within_s: float, *, most_of_all: int | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._within_s = within_s
        self._most_of_all = most_of_all
        self._now = now
        self._events: OrderedDict[str, deque[_Event]] = OrderedDict()
        self._all: deque[_Event] = deque()
        self._lock = threading.RLock()  # requests are answered in threads

    def is_full(self, key: str) -> bool:
        """Whether one more event of `key` would be too much."""
        with self._lock:
            self._forget(self._all)
            if self._most_of_all is not None and len(self._all) >= self._most_of_all:
                return True
            events = self._events.get(key)
            if events is None:
                return False
            self._forget(events)
            return len(events) >= self._most

    def note(self, key: str, what: str = "") -> None:
        """One event of `key`. What is full stays full: it notes no more. The same `what` again is no new event."""
        with self._lock:
            if self.is_full(key):
                return
            events = self._events.setdefault(key, deque())
            self._events.move_to_end(key)
            if what and any(each.what == what for each in events):
                return
            event = _Event(at_s=self._now(), what=what)
            events.append(event)
            if self._most_of_all is not None:
                self._all.append(event)
            while len(self._events) > MOST_ADDRESSES:
                self._events.popitem(last=False)

    def take(self, key: str) -> bool:
        """Note an event of `key`, if there may be one more. Returns whether there may."""
        with self._lock:
            if self.is_full(key):
                return False
            self.note(key)
            return True

    def _forget(self, events: deque[_Event]) -> None:
        since = self._now() - self._within_s
        while events and events[0].at_s <= since:
            events.popleft()
