"""What a form of a fault may look at to say whether it has landed. Read only."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from mirr.chaos.fleet import ServiceState
from mirr.env.objectives import FEATURE_COLUMN, SERVICE_ROW, service_breaches
from mirr.env.vocabulary import Feature, Service
from mirr.env.world import Snapshot


class Sight:
    """One look at a service while a fault lands. Each thing is measured when it is first asked for, and only once."""

    def __init__(
        self,
        service: Service,
        before: Snapshot,  # the lowest of each feature in all earlier looks, the one before the injection included
        *,
        severity: float,  # of the fault, in the unit of its form; 0 if the form has no severity
        measure: Callable[[], Snapshot],
        look: Callable[[], ServiceState | None],
    ) -> None:
        self.service = service
        self.before = before
        self.severity = severity
        self._measure = measure
        self._look = look

    @cached_property
    def now(self) -> Snapshot:
        """What was measured just now. Raises WorldError if nothing can be measured."""
        return self._measure()

    @cached_property
    def container(self) -> ServiceState | None:
        """The state of the service's container, or None if it has none. Raises FleetError."""
        return self._look()

    def feature(self, feature: Feature) -> float:
        """A feature of the service now; NaN if the service could not be scraped."""
        return float(self.now.features[SERVICE_ROW[self.service], FEATURE_COLUMN[feature]])

    def rise(self, feature: Feature) -> float:
        """How far a feature of the service is above its lowest value in earlier looks; NaN if that is not known."""
        before = float(self.before.features[SERVICE_ROW[self.service], FEATURE_COLUMN[feature]])
        return self.feature(feature) - before

    @property
    def misses_an_objective(self) -> bool:
        """Whether the service is outside one of its objectives now."""
        return bool(service_breaches(self.now, self.service))
