"""What follows from the parameters before anything happens: the row of numbers that the kernel reads, with the latency
histogram of each service when it is unloaded."""

from __future__ import annotations

import math

from mirr.env.objectives import OBJECTIVES, USER_LATENCY_S
from mirr.env.simulator import layout as k
from mirr.env.simulator.dice import arrival_tables
from mirr.env.simulator.layout import BOUNDS
from mirr.env.simulator.parameters import Parameters
from mirr.env.vocabulary import Journey, Service

NOT_LANDED_S = 30.0  # a fault that does not show by then never will

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
    return round(sum(weight * median for weight, median in found) * math.exp(0.5 * sigma * sigma), 12)


def shares(found: Paths, sigma: float) -> list[float]:
    """The share of answers in each bucket, the one above the last bound included."""
    below = [
        sum(weight * _lognormal_cdf(bound, median, sigma) for weight, median in found) for bound in (*BOUNDS, math.inf)
    ]
    # Rounded, so that it is the same wherever it is worked out: libraries differ in the last bit.
    return [round(upper - lower, 12) for lower, upper in zip([0.0, *below], below, strict=False)]


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


def rules(parameters: Parameters) -> list[float]:
    """The parameters as the kernel reads them, in the order of `layout`."""
    q = parameters
    row = [0.0] * k.RULES
    row[: k.REQUEST_CPU] = [
        q.tick_s,
        q.in_flight_limit,
        q.shed_cpu_s,
        q.idle_cpu_cores * q.tick_s,
        q.memory_limit_mb,
        q.gateway_timeout_s,
        q.orders_timeout_s,
        q.timeout_spread,
        q.retry_delay_s,
        USER_LATENCY_S,
        q.cpu_quota_cores,
        q.cpu_quota_cores * q.scale_up_factor,
        q.boot_cpu_s,
        q.leak_requests_per_s,
        q.leak_request_cpu_s,
        q.leak_body_mb,
        q.leak_landed_share * q.memory_limit_mb,
        q.spoiled_at_boot,
        OBJECTIVES.latency_p95_s,
        NOT_LANDED_S / q.tick_s,
        1.0 / q.cpu_quota_cores,
        1.0 / (q.cpu_quota_cores * q.scale_up_factor),
        1.0 / q.memory_limit_mb,
        1.0 / (k.BLOCK * q.tick_s),
    ]
    found = paths(q)
    for i, service in enumerate(Service):
        own = q.services[service]
        unloaded = shares(found[service], q.latency_sigma)
        row[k.REQUEST_CPU + i] = own.request_cpu_s
        row[k.OWN_LATENCY + i] = mean_s([(1.0, own.latency_p50_s)], q.latency_sigma)
        row[k.UNLOADED_MEAN + i] = mean_s(found[service], q.latency_sigma)
        row[k.UNLOADED_P95 + i] = quantile(0.95, unloaded)
        row[k.BASE_MEMORY + i] = own.base_memory_mb
        row[k.CROWD_RATE + i] = q.surge_rate(service)
        row[k.CROWD_CPU + i] = own.surge_request_cpu_s
        row[k.UNLOADED + i * k.BUCKETS : k.UNLOADED + (i + 1) * k.BUCKETS] = unloaded
    users = [q.journeys_per_s[journey] * q.tick_s for journey in Journey]
    row[k.GUIDE : k.STEPS], row[k.STEPS : k.BLOCK_GUIDE] = arrival_tables(users, k.MOST_ARRIVALS)
    in_block = [mean * k.BLOCK for mean in users]
    row[k.BLOCK_GUIDE : k.BLOCK_STEPS], row[k.BLOCK_STEPS : k.USERS] = arrival_tables(in_block, k.MOST_IN_BLOCK)
    row[k.USERS :] = users
    return row


def _lognormal_cdf(value: float, median: float, sigma: float) -> float:
    if math.isinf(value):
        return 1.0
    return 0.5 * (1.0 + math.erf(math.log(value / median) / (sigma * math.sqrt(2.0))))
