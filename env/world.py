"""The World protocol: the seven verbs that an Environment needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mirr.env.vocabulary import Action, Event, Fault, Feature, Journey, Reason, Service

FEATURES_SHAPE = (len(Service), len(Feature))


class WorldError(Exception):
    """The world failed, so the episode is void. The message says what, where, and what to do next."""


class Level(StrEnum):
    """Severity of a log line."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """One structured line a service wrote."""

    age_s: float  # seconds before the moment of reading
    level: Level
    event: str  # e.g. "started", "request", "request_failed", "upstream_failed", "shed"
    text: str  # the rest, for people: "POST /charges 500 12 ms"


@dataclass(frozen=True, kw_only=True)
class ActionResult:
    """What the world answers to an action that it has just started. `mirr.env.results` makes them."""

    reason: Reason = Reason.DONE
    text: str
    logs: tuple[LogLine, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether there was anything to act on."""
        return self.reason is Reason.DONE


class JourneyCount(NamedTuple):  # each step makes three of these, and a frozen dataclass takes twice as long to make
    """How one journey went for users during a window."""

    requests: int
    failed: int  # errors, and answers later than the objective allows


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What a world measured over its last advance, before observation noise."""

    features: NDArray[np.float64]  # (services, features); NaN if a service could not be scraped
    journeys: dict[Journey, JourneyCount]
    overrun_s: float = 0.0  # how much longer than asked for the advance took
    degraded: dict[Service, str] = field(default_factory=dict)
    """Services whose release or limits are worse than at steady state, with the reason.
    For the judge; an agent never sees it."""

    @property
    def requests(self) -> int:
        """User requests that finished in the window."""
        return sum([count.requests for count in self.journeys.values()])

    @property
    def failed_requests(self) -> int:
        """User requests that failed in the window."""
        return sum([count.failed for count in self.journeys.values()])

    @property
    def user_sli(self) -> float:
        """Share of user requests that went well, 0..1. It is 0 if none finished: no traffic is no service."""
        return 1.0 - self.failed_requests / self.requests if self.requests else 0.0


class World(Protocol):
    """Something that can be broken and restored. It plays one episode at a time."""

    def restore(self, key: int) -> None:
        """Bring everything to steady state from whatever state it is in. `key` is the key of this episode's
        random numbers in the world, 64 bits. Raises WorldError if steady state is not reached."""

    def inject(self, fault: Fault) -> None:
        """Inject a fault and return once it has landed. Raises WorldError if it does not land."""

    def happen(self, event: Event) -> None:
        """Let something happen during the episode. Return at once, before it shows. Raises WorldError if it cannot
        begin."""

    def apply(self, action: Action) -> ActionResult:
        """Start an action and return at once. `Diagnose` and `Wait` change nothing in a world."""

    def advance(self, seconds: float) -> None:
        """Let time pass. A simulator computes what happens; with real containers this waits."""

    def observe(self) -> Snapshot:
        """What was measured during the last advance, no more and no less."""

    def close(self) -> None:
        """Revert what was injected and release all resources. Safe to call twice."""
