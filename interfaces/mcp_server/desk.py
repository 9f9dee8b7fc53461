"""The queue of requests: there are many clients, and one thread that works."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from mirr.interfaces.mcp_server.exam import ExamError

P = ParamSpec("P")
T = TypeVar("T")


class Desk:
    """Does one request after the other, on a thread of its own.

    There are three reasons. A world belongs to one thread, because the lab's lock does. A step of the lab takes two
    seconds, and meanwhile the server must answer others. An action that has begun is finished, even if its client
    hangs up.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="exam")
        self._closing = False

    async def ask(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work(...)` when its turn comes."""

        def done() -> T:
            if self._closing:
                raise ExamError("the exam is being closed; nothing more is done in it")
            return work(*args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._executor, done)

    def close(self, last: Callable[[], None]) -> None:
        """Finish the current request, drop the waiting ones, run `last`, and end the thread."""
        self._closing = True
        self._executor.submit(last).result()
        self._executor.shutdown()
