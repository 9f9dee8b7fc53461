"""The parameters as the physics reads them: a row of numbers, with the latencies of unloaded services."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mirr.env.objectives import OBJECTIVES, USER_LATENCY_S
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import numbers
from mirr.env.simulator.fast.rows import BOUNDS
from mirr.env.simulator.parameters import Parameters
from mirr.env.simulator.physics.arrivals import BUSIEST, MOST_NORMAL, arrival_tables
from mirr.env.simulator.physics.latencies import p95_of_few
from mirr.env.vocabulary import CALLS, Journey, Service

NOT_LANDED_S = 30.0  # after this time, a fault that has not landed will never land

Paths = list[tuple[float, float]]
"""Weight, and median seconds, of each kind of request."""


def paths(parameters: Parameters) -> dict[Service, Paths]:
    """The kinds of requests that each service answers. A caller's latency contains that of its upstreams."""
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
    """The mean latency in seconds of a mixture of lognormal ones."""
    return round(sum(weight * median for weight, median in found) * math.exp(0.5 * sigma * sigma), 12)


def shares(found: Paths, sigma: float) -> list[float]:
    """The share of answers in each bucket of the histogram."""
    below = [
        sum(weight * _lognormal_cdf(bound, median, sigma) for weight, median in found) for bound in (*BOUNDS, math.inf)
    ]
    # Rounded, because libraries differ in the last bit.
    return [round(upper - lower, 12) for lower, upper in zip([0.0, *below], below, strict=False)]


def dearer(parameters: Parameters) -> list[float]:
    """For each service, by how many CPU seconds a request of each journey costs more than its mean request."""
    rates, found = parameters.journeys_per_s, []
    for service in Service:
        own = parameters.services[service]
        check_outs = rates[Journey.CHECK_OUT] / parameters.request_rate(service)
        of_check_out = own.request_cpu_s * (own.check_out_cpu_ratio - 1.0)
        # Together they cost as much as so many mean requests.
        of_others = -of_check_out * check_outs / (1.0 - check_outs) if check_outs < 1.0 else 0.0
        found += [of_check_out if journey is Journey.CHECK_OUT else of_others for journey in Journey]
    return found


def late_by(caller_s: float, first_s: float, second_s: float) -> list[float]:
    """How much of a caller's luck with late answers is its own, and how much that of the two services it calls.

    It follows from the median seconds of each. The time of a request is the sum of its parts, so each part counts by
    its variance. The squares of the weights add up to 1."""
    whole_s = math.hypot(caller_s, first_s, second_s)
    # Rounded, because libraries differ in the last bit.
    return [round(part_s / whole_s, 12) for part_s in (caller_s, first_s, second_s)]


def hurried(parameters: Parameters) -> list[float]:
    """What early answers make of the p95 of an unloaded service, in times of the usual one: for shares of answers that
    do not come early, from 0 to 1. First for each service. The last row is that of the gateway if check-outs alone may
    come early: if the customer or the order is refused."""
    sigma, found = parameters.latency_sigma, paths(parameters)
    rows = []
    for kinds, early in [
        *((found[service], range(len(found[service]))) for service in Service),
        (found[Service.GATEWAY], (list(Journey).index(Journey.CHECK_OUT),)),
    ]:
        usual_s = _p95_s(shares(kinds, sigma))
        for place in range(k.HURRIES):
            late = place / (k.HURRIES - 1)
            kept = [
                (weight * (late if kind in early else 1.0), median_s) for kind, (weight, median_s) in enumerate(kinds)
            ]
            histogram = shares(kept, sigma)
            histogram[0] += 1.0 - sum(histogram)
            rows.append(_p95_s(histogram) / usual_s)
    return rows


def _p95_s(histogram: list[float]) -> float:
    """The p95 in seconds of very many requests."""
    many = 1e6
    return float(p95_of_few(numbers([many * share for share in histogram]), 0, k.BUCKETS - 1, many, 0.0))


def p95s_s(found: Paths, sigma: float, requests: float) -> list[float]:
    """What the p95 in seconds of a window with so many requests may be, unloaded: from few late requests to many."""
    histogram = numbers([requests * share for share in shares(found, sigma)])
    lucks = [place / k.P95S_A_DEVIATION - MOST_NORMAL for place in range(k.P95S)]
    return [float(p95_of_few(histogram, 0, k.BUCKETS - 1, requests, luck)) for luck in lucks]


def rules(parameters: Parameters) -> list[float]:
    """The parameters as the physics reads them: a row of the table PARAMETERS."""
    q = parameters
    scaled_cores = q.cpu_quota_cores * q.scale_up_factor
    shared: dict[str, float | Sequence[float]] = {
        "TICK_S": q.tick_s,
        "LIMIT": q.in_flight_limit,
        "SHED_CPU": q.shed_cpu_s,
        "IDLE_CPU": q.idle_cpu_cores * q.tick_s,
        "MEMORY_LIMIT": q.memory_limit_mb,
        "KILLED_AT_MB": q.killed_at_memory_share * q.memory_limit_mb,
        "GATEWAY_TIMEOUT": q.gateway_timeout_s,
        "ORDERS_TIMEOUT": q.orders_timeout_s,
        "SPREAD": q.timeout_spread,
        "RETRY": q.retry_delay_s,
        "USER_LIMIT": USER_LATENCY_S,
        "BASE_QUOTA": q.cpu_quota_cores,
        "SCALED_QUOTA": scaled_cores,
        "START_S": q.start_s,
        "START_SCATTER_S": q.start_scatter_s,
        "SCRAPE_S": q.scrape_interval_s,
        "LEAK_RATE": q.leak_requests_per_s,
        "LEAK_CPU": q.leak_request_cpu_s,
        "LEAK_MB": q.leak_body_mb,
        "LEAK_LANDED_MB": q.leak_landed_share * q.memory_limit_mb,
        "LEAKY_LANDED_MB": q.leaky_landed_s * q.memory_limit_mb,
        "SPOILS": q.spoiled_at_boot,
        "COSTLY_CPU": q.costly_request_cpu_s,
        "CARRIED_S": q.leaky_carried_s,
        "SLOW_S": OBJECTIVES.latency_p95_s,
        "LANDED_ERRORS": OBJECTIVES.error_ratio,
        "PATIENCE": NOT_LANDED_S / q.tick_s,
        "PER_BASE_QUOTA": 1.0 / q.cpu_quota_cores,
        "PER_SCALED_QUOTA": 1.0 / scaled_cores,
        "PER_MEMORY_LIMIT": 1.0 / q.memory_limit_mb,
        "PER_BLOCK_S": 1.0 / (k.BLOCK * q.tick_s),
    }
    return k.PARAMETERS.filled({**shared, **_per_service(q), **_of_users(q)})


def _per_service(q: Parameters) -> dict[str, list[float]]:
    found = paths(q)
    unloaded = [shares(found[service], q.latency_sigma) for service in Service]
    own = [q.services[service] for service in Service]
    own_s = {service: q.services[service].latency_p50_s for service in Service}
    ordered_s = math.hypot(own_s[Service.ORDERS], *(own_s[called] for called in CALLS[Service.ORDERS]))
    # It grows by the root of the number of requests. One step of Newton's method gives that from the usual root.
    roots = [round(math.sqrt(q.request_rate(service) * q.tick_s * k.BLOCK), 12) for service in Service]
    scatters = [(each.request_cpu_s * each.request_cpu_cv, root) for each, root in zip(own, roots, strict=True)]
    return {
        "REQUEST_CPU": [each.request_cpu_s for each in own],
        "USUAL_RATE": [q.request_rate(service) for service in Service],
        "OWN_LATENCY": [mean_s([(1.0, each.latency_p50_s)], q.latency_sigma) for each in own],
        "UNLOADED_MEAN": [mean_s(found[service], q.latency_sigma) for service in Service],
        "BASE_MEMORY": [each.base_memory_mb for each in own],
        "BOOT_CPU": [each.boot_cpu_ratio * q.boot_cpu_s for each in own],
        "BOOT_MEMORY": [each.base_memory_mb * q.young_memory_ratio for each in own],
        "CROWD_RATE": [q.surge_rate(service) for service in Service],
        "CROWD_CPU": [each.surge_request_cpu_s for each in own],
        "CPU_SCATTER": [0.5 * one * root for one, root in scatters],
        "CPU_SCATTER_EACH": [0.5 * one / root for one, root in scatters],
        "ORDERS_LATE_BY": late_by(*(own_s[each] for each in (Service.ORDERS, *CALLS[Service.ORDERS]))),
        # The slowest journey tells the p95, and its part in orders scatters as its parts do together.
        "GATEWAY_LATE_BY": late_by(own_s[Service.GATEWAY], own_s[Service.AUTH], ordered_s),
        "DEARER": dearer(q),
        "HURRIED": hurried(q),
        "UNLOADED": [share for each in unloaded for share in each],
        "UNLOADED_P95S": [
            p95_s
            for service in Service
            for p95_s in p95s_s(found[service], q.latency_sigma, q.request_rate(service) * q.tick_s * k.BLOCK)
        ],
    }


def _of_users(q: Parameters) -> dict[str, list[float]]:
    users = [q.journeys_per_s[journey] * q.tick_s for journey in Journey]
    guide, steps = arrival_tables(users, k.MOST_ARRIVALS)
    block_guide, block_steps = arrival_tables([mean * k.BLOCK for mean in users], k.MOST_IN_BLOCK)
    busy = [mean * BUSIEST for mean in users]
    busy_guide, busy_steps = arrival_tables(busy, k.MOST_ARRIVALS)
    busy_block_guide, busy_block_steps = arrival_tables([mean * k.BLOCK for mean in busy], k.MOST_IN_BLOCK)
    return {
        "GUIDE": guide,
        "STEPS": steps,
        "BLOCK_GUIDE": block_guide,
        "BLOCK_STEPS": block_steps,
        "USERS": users,
        "BUSY_GUIDE": busy_guide,
        "BUSY_STEPS": busy_steps,
        "BUSY_BLOCK_GUIDE": busy_block_guide,
        "BUSY_BLOCK_STEPS": busy_block_steps,
    }


def _lognormal_cdf(value: float, median: float, sigma: float) -> float:
    if math.isinf(value):
        return 1.0
    return 0.5 * (1.0 + math.erf(math.log(value / median) / (sigma * math.sqrt(2.0))))
