"""A world of which there is one: sessions take turns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from mirr.env.world import World
from mirr.lab.errors import LabInUse

TURN_WITHIN_S = 60.0
"""A session that has ended is reverted after its place is free already; the next one waits for that."""


def in_turns(
    open_world: Callable[[], AbstractContextManager[World]], *, within_s: float = TURN_WITHIN_S
) -> Callable[[], AbstractContextManager[World]]:
    """`open_world`, opened by one at a time; LabInUse where one's turn does not come."""
    turn = threading.Lock()

    @contextmanager
    def opened() -> Iterator[World]:
        if not turn.acquire(timeout=within_s):
            raise LabInUse(f"another session of this server still has the lab after {within_s:g} s; wait for its end")
        try:
            with open_world() as world:
                yield world
        finally:
            turn.release()

    return opened
