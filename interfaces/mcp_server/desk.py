"""Where requests wait for their turn: many clients, one working thread."""

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

    A world belongs to one thread (the lab's lock does), a step of the lab takes two seconds in which the server has
    to answer others, and an action that has begun is finished even where its client hangs up.
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
