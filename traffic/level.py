"""The level of the users' traffic: how often users come, times the usual rate. A change holds as long as its lease."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

USUAL = 1.0


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change as requested: the level goes evenly from `first` to `last`, and then stays."""

    first: float  # times the usual rate
    last: float
    over_s: float
    lease_s: float


@dataclass
class _Span:
    """The time in which a change holds."""

    change: Change
    began: float
    ends: float  # when its lease ends, or when it was ended

    def lines(self) -> Iterator[_Line]:
        """What the level is in that time: a line up or down, and then a flat one."""
        first, last, over_s = self.change.first, self.change.last, self.change.over_s
        there = min(self.began + over_s, self.ends)
        if there > self.began:
            yield _Line(self.began, there, first, (last - first) / over_s)
        yield _Line(there, self.ends, last, 0.0)


@dataclass(frozen=True)
class _Line:
    """A part of the time in which the level is a straight line."""

    began: float
    ends: float
    first: float
    slope: float  # per second

    def at(self, time_s: float) -> float:
        return self.first + self.slope * (time_s - self.began)


class Level:
    """The level, as it is and was. Without a change it is 1. Nothing keeps it, so a new process begins with 1."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._spans: list[_Span] = []  # in order; they do not overlap

    def change(self, change: Change) -> bool:
        """Begin a change, in place of the one before. Returns True if users came as usual until now."""
        now = self._now()
        changed = self.end()
        self._spans.append(_Span(change, now, now + change.lease_s))
        return not changed

    def renew(self, lease_s: float) -> bool:
        """Renew the lease. Returns False if users come as usual: the lease is over, or there is no change."""
        holding = self._holding()
        if holding is None:
            return False
        holding.ends = self._now() + lease_s
        return True

    def end(self) -> bool:
        """Let users come as usual again. Returns False if they do."""
        holding = self._holding()
        if holding is None:
            return False
        holding.ends = self._now()
        return True

    def describe(self) -> dict[str, float]:
        """The level now, and the change that holds, as a JSON object."""
        holding, now = self._holding(), self._now()
        if holding is None:
            return {"level": USUAL}
        change = holding.change
        return {
            "level": round(next(line.at(now) for line in holding.lines() if now < line.ends), 4),
            "first": change.first,
            "last": change.last,
            "over_s": change.over_s,
            "lease_left_s": round(holding.ends - now, 3),
        }

    def due(self, since: float, usual_s: float) -> float:
        """When as many users have come since `since` as come in `usual_s` at the usual rate.

        Arrivals at these times are Poisson arrivals at the changing rate, exactly. `since` never goes back, so what
        was before it is forgotten."""
        self._spans = [span for span in self._spans if span.ends > since]
        at, left_s = since, usual_s
        for line in (line for span in self._spans for line in span.lines()):
            if line.ends <= at:
                continue
            usually_s = max(0.0, line.began - at)  # until the line begins, users come as usual
            if left_s <= usually_s:
                return at + left_s
            at, left_s = max(at, line.began), left_s - usually_s
            level = line.at(at)
            there_s = (line.ends - at) * (level + line.at(line.ends)) / 2
            if left_s <= there_s:
                # The solution of level * x + slope / 2 * x² = left_s that is also right without a slope.
                return at + 2 * left_s / (level + math.sqrt(max(0.0, level**2 + 2 * line.slope * left_s)))
            at, left_s = line.ends, left_s - there_s
        return at + left_s

    def _holding(self) -> _Span | None:
        last = self._spans[-1] if self._spans else None
        return last if last is not None and last.ends > self._now() else None
