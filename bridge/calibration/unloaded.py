"""The latencies of unloaded services, from the p95 that each of them shows."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mirr.bridge.calibration.values import changed, own
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import numbers
from mirr.env.simulator.parameters import Parameters
from mirr.env.simulator.physics.latencies import latency_beyond
from mirr.env.simulator.physics.profile import paths, shares
from mirr.env.vocabulary import CALLS, Service

LEAST_S, MOST_S = 1e-4, 2.0
TELLING = 1.03  # times the p95 of the fastest service: from here on a p95 tells a latency
HALVINGS = 20  # of the logarithm: to a hundred-thousandth


def unloaded_p95_s(parameters: Parameters, service: Service) -> float:
    """The p95 of an unloaded service, as its histogram shows it."""
    found = shares(paths(parameters)[service], parameters.latency_sigma)
    return float(latency_beyond(numbers(found), 0, k.BUCKETS - 1, sum(found), 0.05))


def latencies(parameters: Parameters, p95_s: Mapping[Service, float]) -> dict[Service, float]:
    """For each service, the median of its own part with which it shows this p95. What its upstreams take comes first.

    A histogram does not tell how far below its first bound a latency is. A p95 does not tell what a caller adds to
    upstreams that are much slower. Such a service has changed as the others have that are known by then."""
    found: dict[Service, float] = {}
    known: list[float] = []  # logarithms of changes
    for service in _upstreams_first():
        name, before = own("latency_p50_s")[service], parameters.services[service].latency_p50_s
        median_s = _median_s(parameters, service, p95_s[service])
        if median_s is not None:
            known.append(math.log(median_s / before))
        else:
            median_s = before * math.exp(sum(known) / len(known) if known else 0.0)
        found[service] = median_s
        parameters = changed(parameters, {name: median_s})
    return found


def _median_s(parameters: Parameters, service: Service, p95_s: float) -> float | None:
    """The median with which a service shows this p95; None if the p95 does not tell it."""
    name = own("latency_p50_s")[service]
    low, high = LEAST_S, MOST_S
    if p95_s <= TELLING * unloaded_p95_s(changed(parameters, {name: low}), service):
        return None
    for _ in range(HALVINGS):
        tried = math.sqrt(low * high)
        if unloaded_p95_s(changed(parameters, {name: tried}), service) < p95_s:
            low = tried
        else:
            high = tried
    return low


def _upstreams_first() -> list[Service]:
    ordered: list[Service] = []
    while len(ordered) < len(Service):
        ordered += [one for one in Service if one not in ordered and all(called in ordered for called in CALLS[one])]
    return ordered
