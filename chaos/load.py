"""A service's load: how much CPU it used, how many requests it served, and how many failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mirr.env.vocabulary import Service

SATURATED = 0.9
"""A share of the CPU quota. Above it, the CPU that is used no longer shows how large the load is."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a service did over some time, as measured."""

    cpu_cores: float  # used
    served_rate: float  # requests per second that were served, without those that failed or were turned away
    quota_cores: float
    failed_rate: float = 0.0  # requests per second that failed or were turned away

    @property
    def offered(self) -> float:
        """The work that was asked for, as a multiple of the quota.

        While some CPU is left, that is the share of the quota that was used. When all of it is used, the share of
        requests that were turned away shows how much more was asked for."""
        used = self.cpu_cores / self.quota_cores
        if used < SATURATED or not self.served_rate > 0:
            return used
        return (self.served_rate + self.failed_rate) / self.served_rate


class Meter(Protocol):
    """Measures a service's load."""

    def so_far(self, service: Service) -> Load:
        """The load up to now."""

    def last(self, service: Service, seconds: float) -> Load:
        """The load over the last `seconds`. Waits if a scrape is missing."""

    def glance(self, service: Service, seconds: float) -> Load | None:
        """The load over the last `seconds`, or None if it cannot be measured now. Does not wait."""
