"""Waits until an injected fault has landed. The fault's form (chaos/faults) says what landed means."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mirr.bridge.telemetry import Measures
from mirr.chaos.faults import form_of, severity_on_containers
from mirr.chaos.fleet import Fleet
from mirr.chaos.sight import Sight
from mirr.env.vocabulary import Fault
from mirr.env.world import Snapshot, WorldError


@dataclass(frozen=True, kw_only=True)
class LandingPatience:
    """How long an injection waits for its fault. The defaults fit the lab."""

    timeout_s: float = 30.0
    window_s: float = 1.0  # how much time each measurement covers
    poll_s: float = 0.2


class Landing:
    """Waits for one fault at a time."""

    def __init__(
        self,
        *,
        fleet: Fleet,
        telemetry: Measures,
        patience: LandingPatience,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._fleet = fleet
        self._telemetry = telemetry
        self._patience = patience
        self._now = now
        self._sleep = sleep

    def look(self) -> Snapshot:
        """What is measured now. Raises WorldError."""
        return self._telemetry.last(self._patience.window_s)

    def wait(self, fault: Fault, before: Snapshot, *, go_on: Callable[[], None]) -> None:
        """Return once the fault has landed. `before` was measured before it began, and `go_on` runs its next stages.

        Raises WorldError if it does not land in time, and ChaosError if a container cannot be inspected."""
        landed, severity = form_of(fault).landed, severity_on_containers(fault)
        lowest = before

        def measure() -> Snapshot:
            # A deploy begins with a new process, which has less memory than the one before it.
            nonlocal lowest
            measured = self.look()
            lowest = replace(lowest, features=np.fmin(lowest.features, measured.features))
            return measured

        deadline = self._now() + self._patience.timeout_s
        while self._now() < deadline:
            go_on()
            sight = Sight(
                fault.service,
                lowest,
                severity=severity,
                measure=measure,
                look=lambda: self._fleet.state(fault.service),
            )
            if landed(sight):
                return
            self._sleep(self._patience.poll_s)
        raise WorldError(f"{fault} did not land within {self._patience.timeout_s:g} s; next: mirr status, mirr doctor")
