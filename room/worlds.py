"""Where a room plays: a world for each team, or one world that they share, in turn or by vote."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from mirr.env.simulator.world import SimulatedWorld
from mirr.env.world import World, WorldError
from mirr.room.alerts import Alert


class NotOpened(WorldError):
    """There is no world to play in: nothing was played, so nothing is void. Players may read the message."""


@dataclass(frozen=True, kw_only=True)
class WorldSource:
    """How a room gets a world. `mirr room` chooses it."""

    name: str  # sim or docker, as it is shown
    open: Callable[[], AbstractContextManager[World]]  # raises NotOpened if there is none
    shared: bool = False
    """Whether there is one world for all, in turn or by vote. What was played in it cannot be played again."""
    alerts: Callable[[], tuple[Alert, ...]] | None = None
    """The alerts of the Prometheus that watches the world, for the trainer. Raises WorldError. None: there is none."""


@contextmanager
def _simulated() -> Iterator[World]:
    world = SimulatedWorld()
    try:
        yield world
    finally:
        world.close()


SIMULATED = WorldSource(name="sim", open=_simulated)
"""A simulator for each team."""
