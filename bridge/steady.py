"""Waits until a lab is in steady state, and says how it stands."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bridge.telemetry import Measures, Telemetry
from chaos.errors import FleetError
from chaos.faults import Load
from chaos.fleet import Fleet
from env.objectives import FEATURE_COLUMN, SERVICE_ROW, breaches
from env.vocabulary import Fault, Feature, Service
from env.world import Snapshot, WorldError

_STATUS_FEATURES = (Feature.ERROR_RATIO, Feature.LATENCY_P95_S, Feature.CPU_SHARE, Feature.MEMORY_SHARE)


def wait_until_steady(
    telemetry: Measures,
    *,
    timeout_s: float,
    window_s: float = 1.5,
    poll_s: float = 0.2,
    problems_in: Callable[[Snapshot], list[str]] = breaches,
    on_problems: Callable[[list[str]], None] = lambda problems: None,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return once nothing is amiss over `window_s`; WorldError with what is, after `timeout_s`.

    `problems_in` says what is amiss in a snapshot: by default, each objective that is missed. `on_problems` is told,
    each time it is looked at.
    """
    deadline = now() + timeout_s
    while problems := steady_problems(telemetry, window_s, problems_in):
        on_problems(problems)
        if now() > deadline:
            raise WorldError(
                f"the lab is not in steady state after {timeout_s:g} s: {'; '.join(problems)}; "
                "next: mirr logs SERVICE, or mirr down and mirr up"
            )
        sleep(poll_s)


def steady_problems(
    telemetry: Measures, window_s: float, problems_in: Callable[[Snapshot], list[str]] = breaches
) -> list[str]:
    """In words, what is not as it should be over the last `window_s`; empty in steady state."""
    try:
        return problems_in(telemetry.last(window_s))
    except WorldError as error:
        # A Prometheus or a load generator that was just started answers soon; the caller has the deadline.
        return [str(error)]


class LoadMeter:
    """Measures one service's load for chaos to size a crowd by; waits until there is something to measure."""

    def __init__(
        self,
        telemetry: Telemetry,
        *,
        timeout_s: float = 10.0,
        poll_s: float = 0.2,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._telemetry = telemetry
        self._timeout_s = timeout_s
        self._poll_s = poll_s
        self._now = now
        self._sleep = sleep

    def so_far(self, service: Service) -> Load:
        """The load over the last minute, or as much of it as the process has run. Raises FleetError."""
        deadline = self._now() + self._timeout_s
        while (load := self._telemetry.load(service)) is None:
            if self._now() > deadline:
                raise FleetError(f"{service} does not run long enough to measure its load; next: mirr status")
            self._sleep(self._poll_s)
        return load

    def from_now(self, service: Service, seconds: float) -> Load:
        """The load over the `seconds` that follow. Raises FleetError."""
        end = self._now() + seconds
        while (remaining_s := end - self._now()) > 0:
            self._sleep(remaining_s)
        load = self._telemetry.load(service, seconds)
        if load is None:
            raise FleetError(f"{service} could not be measured for {seconds:g} s; next: mirr status")
        return load


@dataclass(frozen=True, kw_only=True)
class Status:
    """How a lab stands."""

    lab: str
    snapshot: Snapshot
    releases: dict[Service, str | None]
    faults: list[Fault]

    @property
    def problems(self) -> list[str]:
        """What is not as it should be; empty in steady state."""
        return breaches(self.snapshot)

    def to_json(self) -> dict[str, Any]:
        """The fields of `mirr status --json`."""
        return {
            "lab": self.lab,
            "steady": not self.problems,
            "problems": self.problems,
            "user_sli": round(self.snapshot.user_sli, 4),
            "journeys": {
                journey.value: {"requests": count.requests, "failed": count.failed}
                for journey, count in self.snapshot.journeys.items()
            },
            "services": {service.value: self._service(service) for service in Service},
            "faults": [str(fault) for fault in self.faults],
        }

    def _service(self, service: Service) -> dict[str, Any]:
        row = self.snapshot.features[SERVICE_ROW[service]]
        fields: dict[str, Any] = {
            "up": bool(row[FEATURE_COLUMN[Feature.UP]] == 1.0),
            "release": self.releases[service],
        }
        for feature in _STATUS_FEATURES:
            value = float(row[FEATURE_COLUMN[feature]])
            fields[feature.value] = None if np.isnan(value) else round(value, 4)
        return fields


def status(lab: str, *, telemetry: Telemetry, fleet: Fleet, faults: list[Fault], window_s: float = 10.0) -> Status:
    """How the lab stood over the last `window_s`."""
    states = {service: fleet.state(service) for service in Service}
    return Status(
        lab=lab,
        snapshot=telemetry.last(window_s),
        releases={service: state.release if state else None for service, state in states.items()},
        faults=faults,
    )
