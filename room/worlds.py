"""Where a room plays: a world for each team, or one world that the teams use in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from mirr.env.simulator.world import SimulatedWorld
from mirr.env.world import World


@dataclass(frozen=True, kw_only=True)
class WorldSource:
    """How a room gets a world. `mirr room` chooses it."""

    name: str  # sim or docker, as it is shown
    open: Callable[[], AbstractContextManager[World]]  # raises WorldError if there is none
    shared: bool = False
    """Whether there is one world for all: teams take turns. What was played in it cannot be played again."""


@contextmanager
def _simulated() -> Iterator[World]:
    world = SimulatedWorld()
    try:
        yield world
    finally:
        world.close()


SIMULATED = WorldSource(name="sim", open=_simulated)
"""A simulator for each team."""
