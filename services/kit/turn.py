"""One piece of CPU work at a time, in order of arrival, with a look at the sockets between two pieces."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType


class Turn:
    """`async with turn:` waits for its turn, always at least once around the event loop.

    A plain lock that is free is taken without a pause, so a burst of requests would be worked off in one go before the
    next ones are even read: they would queue where nobody counts them. Here they are admitted, counted and, above
    the limit, turned away while they wait.
    """

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._taken = False

    async def __aenter__(self) -> None:
        loop = asyncio.get_running_loop()
        mine: asyncio.Future[None] = loop.create_future()
        self._waiting.append(mine)
        if not self._taken:
            self._taken = True
            loop.call_soon(self._next)
        try:
            await mine
        except asyncio.CancelledError:
            # Given the turn and cancelled before it could be used: it goes to the next one.
            if mine.done() and not mine.cancelled():
                loop.call_soon(self._next)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        while self._waiting:
            first = self._waiting.popleft()
            if not first.done():
                first.set_result(None)
                return
        self._taken = False
