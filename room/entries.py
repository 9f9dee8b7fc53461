"""What can happen in a room, as entries. A room is what its entries make of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class RoomError(Exception):
    """A request that cannot be done now. The message says why and what next, and reveals nothing of the incident."""


class Phase(StrEnum):
    """How far a round has come."""

    LOBBY = "lobby"
    RUNNING = "running"
    PAUSED = "paused"
    OVER = "over"


class Kind(StrEnum):
    """What can happen in a room."""

    CHOSEN = "chosen"  # a new round, of this incident
    JOINED = "joined"
    REMOVED = "removed"
    STARTED = "started"  # also after a pause
    PAUSED = "paused"
    OVER = "over"
    TURN = "turn"  # a team, or all teams where they vote, takes the shared world
    VOTED = "voted"
    CLOSED = "closed"  # the trainer closes a vote
    ACTED = "acted"
    HINT = "hint"
    REVEALED = "revealed"


WITHOUT_WORLD = frozenset({Kind.CHOSEN, Kind.JOINED, Kind.REMOVED})
"""What can be done again after a restart, whatever world there is."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing that happened."""

    at: float  # seconds since the epoch
    kind: Kind
    body: Mapping[str, object] = field(default_factory=dict)


OnEntry = Callable[[Entry], None]
"""Stores an entry. It is called once the entry has had its effect."""
