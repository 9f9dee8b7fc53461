"""Waits until a lab that was just reverted is in steady state. Mends the services that do not get there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from mirr.bridge.steady import held_since, wait_until_steady
from mirr.bridge.telemetry import Measures
from mirr.chaos.chaos import Chaos
from mirr.chaos.fleet import Fleet
from mirr.env.objectives import FEATURE_COLUMN, SERVICE_ROW, service_breaches
from mirr.env.vocabulary import STEADY_RELEASE, Feature, Service
from mirr.env.world import Snapshot


@dataclass(frozen=True, kw_only=True)
class SteadyPatience:
    """How long restoring waits for each thing. The defaults fit the lab."""

    timeout_s: float = 30.0
    window_s: float = 1.5  # steady state must hold for this long
    recreate_after_s: float = 12.0  # a service that is not steady by then gets a new container with fresh data
    poll_s: float = 0.2
    memory_share_fresh: float = 0.45  # a process with more than this does not count as fresh, and is restarted


class Restoring:
    """Waits for steady state, one wait at a time.

    Labels and journal do not show everything: they show neither a full disk nor a process that hangs. Such a service
    stays outside its objectives. So it is mended in two stages: first a restart, and later a new container."""

    def __init__(
        self,
        *,
        fleet: Fleet,
        chaos: Chaos,
        telemetry: Measures,
        patience: SteadyPatience,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._fleet = fleet
        self._chaos = chaos
        self._telemetry = telemetry
        self._patience = patience
        self._now = now
        self._sleep = sleep
        self._begin(hold_s=0.0)

    def _begin(self, *, hold_s: float) -> None:
        self._began = self._now()
        self._not_before = self._began + hold_s  # before this time, steady state has not held long enough
        self._restarted: set[Service] = set()
        self._recreated: set[Service] = set()

    def wait(self, *, hold_s: float) -> None:
        """Return once every objective has been met for a window that begins no earlier than now.

        `hold_s` is how long it must hold at least. Raises WorldError if that takes too long, and ChaosError
        if a service could not be mended."""
        self._begin(hold_s=hold_s)
        wait_until_steady(
            self._telemetry,
            timeout_s=self._patience.timeout_s,
            window_s=self._patience.window_s,
            poll_s=self._patience.poll_s,
            problems_in=self._problems,
            now=self._now,
            sleep=self._sleep,
        )

    def _problems(self, snapshot: Snapshot) -> list[str]:
        if self._mend(snapshot):
            self._not_before = self._now() + self._patience.window_s
        return held_since(snapshot, self._not_before, now=self._now)

    def _mend(self, snapshot: Snapshot) -> bool:
        """Mend the services that are not steady. Returns whether there were any."""
        swollen = self._swollen(snapshot) - self._restarted
        for service in swollen:
            self._chaos.restart(service)
        self._restarted |= swollen
        stuck: set[Service] = set()
        if not self._recreated and self._now() - self._began > self._patience.recreate_after_s:
            stuck = {service for service in Service if service_breaches(snapshot, service)}
        for service in stuck:
            self._fleet.recreate(service, STEADY_RELEASE)
        self._recreated |= stuck
        return bool(swollen or stuck)

    def _swollen(self, snapshot: Snapshot) -> set[Service]:
        """The services that begin with too much memory: a leak that is not in the journal."""
        share = snapshot.features[:, FEATURE_COLUMN[Feature.MEMORY_SHARE]]
        return {service for service in Service if share[SERVICE_ROW[service]] > self._patience.memory_share_fresh}
