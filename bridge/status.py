"""The state of a lab, for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mirr.bridge.telemetry import Measures
from mirr.chaos.fleet import Fleet, ServiceState
from mirr.env.objectives import FEATURE_COLUMN, SERVICE_ROW, breaches
from mirr.env.vocabulary import Fault, Feature, Service
from mirr.env.world import Snapshot
from mirr.lab.releases import shown

_STATUS_FEATURES = (Feature.ERROR_RATIO, Feature.LATENCY_P95_S, Feature.CPU_SHARE, Feature.MEMORY_SHARE)


@dataclass(frozen=True, kw_only=True)
class Status:
    """The state of a lab."""

    lab: str
    snapshot: Snapshot
    containers: dict[Service, ServiceState | None]
    faults: list[Fault]

    @property
    def problems(self) -> list[str]:
        """The objectives that are missed, as texts. There are none in steady state."""
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
            "services": {service.value: self.service_fields(service) for service in Service},
            "faults": [str(fault) for fault in self.faults],
        }

    def service_fields(self, service: Service) -> dict[str, Any]:
        """One service's row of `to_json`. A value that could not be measured is None."""
        row, container = self.snapshot.features[SERVICE_ROW[service]], self.containers[service]
        fields: dict[str, Any] = {
            "up": bool(row[FEATURE_COLUMN[Feature.UP]] == 1.0),
            "process": _process(container),
            "release": None if container is None else shown(container.release),
        }
        for feature in _STATUS_FEATURES:
            value = float(row[FEATURE_COLUMN[feature]])
            fields[feature.value] = None if np.isnan(value) else round(value, 4)
        return fields


def _process(container: ServiceState | None) -> str:
    """What the engine knows about the service's process, as a word."""
    if container is None:
        return "missing"
    if not container.running:
        return "dead"
    if container.paused:
        return "paused"
    return "hung" if container.hung else "running"


def status(lab: str, *, telemetry: Measures, fleet: Fleet, faults: list[Fault], window_s: float = 10.0) -> Status:
    """The state of the lab over the last `window_s`."""
    return Status(
        lab=lab,
        snapshot=telemetry.last(window_s),
        containers={service: fleet.state(service) for service in Service},
        faults=faults,
    )
