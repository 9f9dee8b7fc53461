"""A service's load: how much CPU it used, and how many requests it served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from mirr.env.vocabulary import Service


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a service did over some time, as measured."""

    cpu_cores: float  # used
    served_rate: float  # requests per second that were served, without those that failed or were turned away
    quota_cores: float
    served_by_route: Mapping[str, float] = field(default_factory=dict)  # the same rate, route by route
    began: float = 0.0  # Unix time of the first and the last scrape that it was measured by
    ended: float = 0.0

    @property
    def cost_s(self) -> float:
        """CPU time of one served request."""
        return self.cpu_cores / self.served_rate

    def times(self, factor: float) -> Load:
        """What the service does if its users come that many times as often."""
        return replace(
            self,
            cpu_cores=self.cpu_cores * factor,
            served_rate=self.served_rate * factor,
            served_by_route={route: rate * factor for route, rate in self.served_by_route.items()},
        )


class Meter(Protocol):
    """Measures a service's load. It never waits, because an episode goes on meanwhile."""

    def usual(self, service: Service) -> Load | None:
        """What users ask of the service at the level of traffic that there is now, if nothing is broken, and its steady
        quota. It is measured when nothing was broken. None if that was too short to measure."""

    def glance(self, service: Service, seconds: float) -> Load | None:
        """The load over the last `seconds`, or None if it cannot be measured now."""
