"""The histogram of an unloaded service: which share of its answers falls into which latency bucket."""

from __future__ import annotations

import math

from env.simulator.kernel import BOUNDS
from env.simulator.parameters import Parameters
from env.vocabulary import Journey, Service

Paths = list[tuple[float, float]]
"""Weight, and median seconds, of each kind of request."""


def paths(parameters: Parameters) -> dict[Service, Paths]:
    """What each service answers in steady state; a caller's answers contain those of its upstreams."""
    own = {service: parameters.services[service].latency_p50_s for service in Service}
    placed = own[Service.ORDERS] + own[Service.INVENTORY] + own[Service.PAYMENTS]
    rates = parameters.journeys_per_s
    everything = sum(rates.values())
    gateway = {
        Journey.BROWSE: own[Service.INVENTORY],
        Journey.SIGN_IN: own[Service.AUTH],
        Journey.CHECK_OUT: own[Service.AUTH] + placed,
    }
    found: dict[Service, Paths] = {service: [(1.0, own[service])] for service in Service}
    found[Service.ORDERS] = [(1.0, placed)]
    found[Service.GATEWAY] = [
        (rates[journey] / everything, own[Service.GATEWAY] + gateway[journey]) for journey in Journey
    ]
    return found


def mean_s(found: Paths, sigma: float) -> float:
    """Mean latency of a mixture of lognormals."""
    return sum(weight * median for weight, median in found) * math.exp(0.5 * sigma * sigma)


def shares(found: Paths, sigma: float) -> list[float]:
    """The share of answers in each bucket, the one above the last bound included."""
    below = [
        sum(weight * _lognormal_cdf(bound, median, sigma) for weight, median in found) for bound in (*BOUNDS, math.inf)
    ]
    return [upper - lower for lower, upper in zip([0.0, *below], below, strict=False)]


def quantile(q: float, counts: list[float]) -> float:
    """As Prometheus' histogram_quantile: linear within the bucket, the last bound above it; 0 of nothing."""
    total = sum(counts)
    if total <= 0.0:
        return 0.0
    rank = q * total
    seen = 0.0
    lower = 0.0
    for bound, count in zip(BOUNDS, counts, strict=False):
        if count > 0.0 and seen + count >= rank:
            return lower + (bound - lower) * (rank - seen) / count
        seen += count
        lower = bound
    return BOUNDS[-1]


def _lognormal_cdf(value: float, median: float, sigma: float) -> float:
    if math.isinf(value):
        return 1.0
    return 0.5 * (1.0 + math.erf(math.log(value / median) / (sigma * math.sqrt(2.0))))
