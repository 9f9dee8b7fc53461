"""Open-loop arrivals: each request is sent when it is due, whether or not earlier ones have been answered."""

from __future__ import annotations

import asyncio
import operator
import random
import time
from collections.abc import Awaitable, Callable

Work = Callable[[float], Awaitable[None]]  # takes the time at which the request was due
Due = Callable[
    [float, float], float
]  # takes a time and a number of seconds at the usual rate, gives when they are over


class OpenLoop:
    """Poisson arrivals at `rate_per_s`. The rate may be changed while it runs.

    `due` stretches time where arrivals are rarer than usual, and compresses it where they are more frequent. It may
    change its mind about the future. The same seed gives the same arrivals in the time before stretching."""

    def __init__(
        self,
        rate_per_s: float,
        work: Work,
        *,
        dropped: Callable[[], None],
        rng: random.Random,
        max_in_flight: int,
        due: Due = operator.add,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.rate_per_s = rate_per_s
        self._work = work
        self._dropped = dropped
        self._rng = rng
        self._max_in_flight = max_in_flight
        self._due = due
        self._now = now
        self._sleep = sleep
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def in_flight(self) -> int:
        """The number of requests that have not been answered yet."""
        return len(self._tasks)

    async def run(self) -> None:
        """Send until cancelled. Requests in flight are then cancelled too."""
        due = self._now()
        try:
            while True:
                due = await self._next(due, self._rng.expovariate(self.rate_per_s))
                self._send(due)
        finally:
            for task in self._tasks:
                task.cancel()

    async def _next(self, last: float, usual_s: float) -> float:
        """Wait for the arrival that comes `usual_s` after the one that was due at `last`. Returns when it was due."""
        due = self._due(last, usual_s)
        while True:
            # Always yield to the event loop at least once, so that a late generator still reads its answers.
            await self._sleep(max(0.0, due - self._now()))
            planned, due = due, self._due(last, usual_s)
            if due <= planned:
                return due
            # Meanwhile, arrivals have become rarer, so this one is not due yet.

    def _send(self, due: float) -> None:
        # Without a limit, a dead service would fill this process's memory. Requests above the limit count as failed.
        if len(self._tasks) >= self._max_in_flight:
            self._dropped()
            return
        task = asyncio.ensure_future(self._work(due))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
