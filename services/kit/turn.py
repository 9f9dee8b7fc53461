"""One piece of CPU work at a time, in order of arrival. Between two pieces the event loop reads the sockets."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType


class Turn:
    """`async with turn:` waits for its turn, and always for at least one round of the event loop.

    A plain lock that is free is taken without a pause. Then a burst of requests would be worked on before the next
    requests are read, and nobody would count those that wait. With a turn, requests are read, counted, and refused
    above the limit while the others wait.
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
            # It got the turn and was cancelled before it used it, so the turn goes to the next one.
            if mine.done() and not mine.cancelled():
                loop.call_soon(self._next)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().call_soon(self._next)

    async def breathe(self) -> None:
        """Let the event loop read the sockets, and keep the turn. Work that takes long does this now and then."""
        await asyncio.sleep(0)

    def _next(self) -> None:
        while self._waiting:
            first = self._waiting.popleft()
            if not first.done():
                first.set_result(None)
                return
        self._taken = False
