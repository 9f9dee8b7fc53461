"""Measures a service's load, for chaos to size a crowd by."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from mirr.bridge.telemetry import Telemetry
from mirr.chaos.journal import Calm
from mirr.chaos.load import Load
from mirr.chaos.traffic import History, level_at, mean_level
from mirr.env.vocabulary import Service

SETTLING_S = 0.5  # after this time, the service has served the requests that were queued when a crowd left


class LoadMeter:
    """A chaos.load.Meter on telemetry.

    Prometheus remembers what was measured before something broke. So the load of a service that nobody reaches now, or
    that has just been restarted, is known."""

    def __init__(
        self,
        telemetry: Telemetry,
        *,
        steady_quota_cores: Callable[[Service], float],
        calm: Callable[[Service], Sequence[Calm]] = lambda service: [Calm(0.0, None)],
        traffic: Callable[[], History] = list,
        skew_s: Callable[[], float] = lambda: 0.0,  # of Prometheus' clock, against the one of `now`, `calm`, `traffic`
        now: Callable[[], float] = time.time,
    ) -> None:
        self._telemetry = telemetry
        self._steady_quota_cores = steady_quota_cores
        self._calm = calm
        self._traffic = traffic
        self._skew_s = skew_s
        self._now = now

    def usual(self, service: Service) -> Load | None:
        """What users ask of the service now, if nothing is broken. It is measured over the last minute in which nothing
        was. Measurements from other times show a fault."""
        skew_s = self._skew_s()
        for calm in self._calm(service):
            until = None if calm.ended is None else calm.ended + skew_s
            load = self._telemetry.load_between(service, calm.began + SETTLING_S + skew_s, until)
            if load is not None:
                at_now = load.times(self._level_since(load.began - skew_s, load.ended - skew_s))
                return replace(at_now, quota_cores=self._steady_quota_cores(service))
        return None

    def glance(self, service: Service, seconds: float) -> Load | None:
        return self._telemetry.load(service, seconds)

    def _level_since(self, began: float, ended: float) -> float:
        """How often users come now, times how often they came in that time."""
        history = self._traffic()
        return level_at(history, self._now()) / mean_level(history, began, ended) if history else 1.0
