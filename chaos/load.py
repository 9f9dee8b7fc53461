"""A service's load: how much CPU it used, and how many requests it served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mirr.env.vocabulary import Service


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a service did over some time, as measured."""

    cpu_cores: float  # used
    served_rate: float  # requests per second that were served, without those that failed or were turned away
    quota_cores: float
    served_by_route: Mapping[str, float] = field(default_factory=dict)  # the same rate, route by route

    @property
    def cost_s(self) -> float:
        """CPU time of one served request."""
        return self.cpu_cores / self.served_rate


class Meter(Protocol):
    """Measures a service's load."""

    def so_far(self, service: Service) -> Load:
        """The load up to now."""

    def last(self, service: Service, seconds: float) -> Load:
        """The load over the last `seconds`. Waits if a scrape is missing."""

    def glance(self, service: Service, seconds: float) -> Load | None:
        """The load over the last `seconds`, or None if it cannot be measured now. Does not wait."""
