"""A clock for the load generator that moves only when code sleeps."""

from __future__ import annotations

import asyncio


class Clock:
    """A clock that moves only when code calls `sleep`."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def now(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        await asyncio.sleep(0)
