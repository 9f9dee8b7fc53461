"""How an on-call engineer reads one observation: which services are down, swollen, swamped or failing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mirr.env.objectives import FEATURE_COLUMN, SERVICE_ROW
from mirr.env.vocabulary import CALLS, Feature, Service


def _height(service: Service) -> int:
    """The length of the longest chain of calls below a service. It is 0 if the service calls no other."""
    return max((1 + _height(upstream) for upstream in CALLS[service]), default=0)


DEEPEST_FIRST = tuple(sorted(Service, key=lambda service: (_height(service), -SERVICE_ROW[service])))


@dataclass(frozen=True, kw_only=True)
class Margins:
    """The values at which suspicion begins. They are far from steady state and far from what faults show, so neither
    noise nor a difference between the worlds matters."""

    memory_share: float = 0.45  # steady 0.2 to 0.4; a leak is above this soon after it begins
    memory_rise: float = 1.3  # against the median of the services
    cpu_share: float = 0.8  # steady a third; a swamped service uses all of it
    queueing: float = 8.0  # requests in flight; steady about one
    slow_p95_s: float = 0.3
    error_ratio: float = 0.08
    quiet_error_ratio: float = 0.04


MARGINS = Margins()


class Reading:
    """One observation's features, by name."""

    def __init__(self, features: NDArray[np.float32], margins: Margins = MARGINS) -> None:
        self._rows = features.tolist()
        self._margins = margins

    def value(self, service: Service, feature: Feature) -> float:
        """One cell; NaN if it could not be measured."""
        return float(self._rows[SERVICE_ROW[service]][FEATURE_COLUMN[feature]])

    def up(self, service: Service) -> bool:
        """Whether it could be scraped."""
        return self.value(service, Feature.UP) >= 1.0

    def down(self) -> list[Service]:
        """Services that could not be scraped, the deepest in the call graph first."""
        return [service for service in DEEPEST_FIRST if not self.up(service)]

    def memory_rise(self, service: Service) -> float:
        """Its memory share divided by the median of all visible services."""
        seen = [value for each in Service if (value := self.value(each, Feature.MEMORY_SHARE)) > 0]
        return self.value(service, Feature.MEMORY_SHARE) / float(np.median(seen)) if seen else 1.0

    def swollen(self) -> list[Service]:
        """Services with far more memory than they should need, the worst first."""
        found = [s for s in Service if self.value(s, Feature.MEMORY_SHARE) >= self._margins.memory_share]
        found = [s for s in found if self.memory_rise(s) >= self._margins.memory_rise]
        return sorted(found, key=lambda s: -self.value(s, Feature.MEMORY_SHARE))

    def swamped(self) -> list[Service]:
        """Services that use all their CPU and still queue, the worst first."""
        margins = self._margins
        found = [
            s
            for s in Service
            if self.value(s, Feature.CPU_SHARE) >= margins.cpu_share
            and (
                self.value(s, Feature.IN_FLIGHT) >= margins.queueing
                or self.value(s, Feature.LATENCY_P95_S) >= margins.slow_p95_s
            )
        ]
        return sorted(found, key=lambda s: -self.value(s, Feature.IN_FLIGHT))

    def failing(self) -> list[Service]:
        """Services with errors that none of their upstreams explains, the deepest first."""
        margins = self._margins
        return [
            s
            for s in DEEPEST_FIRST
            if self.value(s, Feature.ERROR_RATIO) >= margins.error_ratio
            and all(
                self.up(u)
                and self.value(u, Feature.ERROR_RATIO) < margins.quiet_error_ratio
                and self.value(u, Feature.LATENCY_P95_S) < margins.slow_p95_s
                for u in CALLS[s]
            )
        ]

    def is_well(self, service: Service) -> bool:
        """Whether nothing about this service stands out."""
        return service not in {*self.down(), *self.swollen(), *self.swamped(), *self.failing()}

    def looks_well(self) -> bool:
        """Whether nothing stands out."""
        return not (self.down() or self.swollen() or self.swamped() or self.failing())
