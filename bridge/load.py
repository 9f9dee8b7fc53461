"""Measures a service's load, for chaos to size a crowd by."""

from __future__ import annotations

import time
from collections.abc import Callable

from mirr.bridge.telemetry import Telemetry
from mirr.chaos.errors import FleetError
from mirr.chaos.load import Load
from mirr.env.vocabulary import Service

SETTLING_S = 0.5  # after this time, the service has served the requests that were queued when a crowd left


class LoadMeter:
    """A chaos.load.Meter on telemetry. It waits until there is something to measure."""

    def __init__(
        self,
        telemetry: Telemetry,
        *,
        calm_since: Callable[[], float] = lambda: 0.0,  # Unix time; measurements from before it show another fault
        timeout_s: float = 10.0,
        poll_s: float = 0.2,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._telemetry = telemetry
        self._calm_since = calm_since
        self._timeout_s = timeout_s
        self._poll_s = poll_s
        self._now = now
        self._sleep = sleep

    def so_far(self, service: Service) -> Load:
        """The load over the last minute, without the time before the process ran or while something was broken.

        Raises FleetError."""
        deadline = self._now() + self._timeout_s
        calm_since = self._calm_since() + SETTLING_S
        while (load := self._telemetry.load(service, since=calm_since)) is None:
            if self._now() > deadline:
                raise FleetError(f"{service} does not run long enough to measure its load; next: mirr status")
            self._sleep(self._poll_s)
        return load

    def last(self, service: Service, seconds: float) -> Load:
        """The load over the last `seconds`, or over a longer time if scrapes are missing. A service that is nearly
        overloaded may not answer each one. Raises FleetError."""
        began = self._now()
        while (load := self._telemetry.load(service, seconds + (waited_s := self._now() - began))) is None:
            if waited_s > self._timeout_s:
                raise FleetError(f"{service} could not be measured for {seconds + waited_s:.0f} s; next: mirr status")
            self._sleep(self._poll_s)
        return load

    def glance(self, service: Service, seconds: float) -> Load | None:
        """The load over the last `seconds`, or None if it cannot be measured now. Does not wait."""
        return self._telemetry.load(service, seconds)
