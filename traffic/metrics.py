"""What users experience, for Prometheus. Campaigns are not counted: they are not users."""

from __future__ import annotations

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.metrics import disable_created_metrics

BUCKETS_S = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0)
SLOW_AFTER_S = 1.0


class Journey(StrEnum):
    """What a user does."""

    BROWSE = "browse"
    SIGN_IN = "sign_in"
    CHECK_OUT = "check_out"


class Outcome(StrEnum):
    """How a journey ended."""

    OK = "ok"
    SLOW = "slow"  # it succeeded, but later than SLOW_AFTER_S
    ERROR = "error"
    DROPPED = "dropped"  # never sent: too many in flight


class Metrics:
    """Counts journeys, in its own registry."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "journey_requests_total", "Journeys finished.", ("journey", "outcome"), registry=self.registry
        )
        self._durations = Histogram(
            "journey_duration_seconds",
            "Time from when a journey was due to its end.",
            ("journey",),
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)
        # Create all series at the start: a counter that appears late hides its first increase.
        for journey in Journey:
            for outcome in Outcome:
                self._requests.labels(journey, outcome)
            self._durations.labels(journey)

    def finished(self, journey: Journey, succeeded: bool, duration_s: float) -> None:
        """Count a journey that was sent."""
        in_time = Outcome.OK if duration_s <= SLOW_AFTER_S else Outcome.SLOW
        self._requests.labels(journey, in_time if succeeded else Outcome.ERROR).inc()
        self._durations.labels(journey).observe(duration_s)

    def dropped(self, journey: Journey) -> None:
        """Count a journey that was never sent."""
        self._requests.labels(journey, Outcome.DROPPED).inc()

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)
