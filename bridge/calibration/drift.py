"""Whether a lab still is as fast as the profile of its machine says."""

from __future__ import annotations

import math

from mirr.env.objectives import FEATURE_COLUMN, SERVICE_ROW
from mirr.env.simulator.parameters import Parameters
from mirr.env.vocabulary import Feature, Service
from mirr.env.world import Snapshot

MOST_DRIFT = 1.25  # times as much CPU time as expected, or as little


def drift(snapshot: Snapshot, parameters: Parameters) -> float | None:
    """The CPU time of steady services, in times of what the parameters say for the same requests. None if no service
    could be scraped."""
    used = expected = 0.0
    for service in Service:
        row = snapshot.features[SERVICE_ROW[service]]
        share, rate = (float(row[FEATURE_COLUMN[each]]) for each in (Feature.CPU_SHARE, Feature.REQUEST_RATE))
        if math.isnan(share) or math.isnan(rate):
            continue
        used += share * parameters.cpu_quota_cores
        expected += parameters.idle_cpu_cores + rate * parameters.services[service].request_cpu_s
    return used / expected if expected > 0.0 else None


def has_drifted(times: float) -> bool:
    """Whether the profile should be measured again."""
    return not 1.0 / MOST_DRIFT <= times <= MOST_DRIFT
