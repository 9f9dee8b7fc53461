"""The latencies of unloaded services, from the p95 that each of them shows."""

from __future__ import annotations

from collections.abc import Mapping

from mirr.bridge.calibration.values import changed, own
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import numbers
from mirr.env.simulator.parameters import Parameters
from mirr.env.simulator.physics.latencies import latency_beyond
from mirr.env.simulator.physics.profile import paths, shares
from mirr.env.vocabulary import CALLS, Service

LEAST_S, MOST_S = 1e-4, 2.0
HALVINGS = 40  # of the logarithm: to a millionth


def unloaded_p95_s(parameters: Parameters, service: Service) -> float:
    """The p95 of an unloaded service, as its histogram shows it."""
    found = shares(paths(parameters)[service], parameters.latency_sigma)
    return float(latency_beyond(numbers(found), 0, k.BUCKETS - 1, sum(found), 0.05))


def latencies(parameters: Parameters, p95_s: Mapping[Service, float]) -> dict[Service, float]:
    """For each service, the median of its own part with which it shows this p95. What its upstreams take comes first.

    It is `LEAST_S` if the upstreams alone take longer."""
    found: dict[Service, float] = {}
    for service in _upstreams_first():
        name = own("latency_p50_s")[service]
        low, high = LEAST_S, MOST_S
        for _ in range(HALVINGS):
            tried = (low * high) ** 0.5
            if unloaded_p95_s(changed(parameters, {name: tried}), service) < p95_s[service]:
                low = tried
            else:
                high = tried
        found[service] = low
        parameters = changed(parameters, {name: low})
    return found


def _upstreams_first() -> list[Service]:
    ordered: list[Service] = []
    while len(ordered) < len(Service):
        ordered += [one for one in Service if one not in ordered and all(called in ordered for called in CALLS[one])]
    return ordered
