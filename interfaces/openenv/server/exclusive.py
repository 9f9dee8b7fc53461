"""A world that exists only once: sessions take turns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from mirr.env.world import World
from mirr.lab.errors import LabInUse

TURN_WITHIN_S = 60.0
"""How long the next session waits. The world of an ended session is reverted after its place is free."""


def in_turns(
    open_world: Callable[[], AbstractContextManager[World]], *, within_s: float = TURN_WITHIN_S
) -> Callable[[], AbstractContextManager[World]]:
    """`open_world`, but open only once at a time. Raises LabInUse if the turn does not come."""
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
