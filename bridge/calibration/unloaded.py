"""The latencies of unloaded services, from the p95 that each of them shows, and how much it changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from mirr.bridge.calibration.readings import STEP_S
from mirr.bridge.calibration.robust import distance, middle
from mirr.bridge.calibration.values import changed, own
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import numbers
from mirr.env.simulator.parameters import Parameters
from mirr.env.simulator.physics.latencies import p95_of_few
from mirr.env.simulator.physics.profile import Paths, paths, shares
from mirr.env.vocabulary import CALLS, Service

LEAST_S, MOST_S = 1e-4, 2.0
TELLING = 1.03  # times the p95 of the fastest service: from here on a p95 tells a latency
HALVINGS = 20  # of the logarithm: to a hundred-thousandth
SIGMAS = np.geomspace(0.15, 1.6, 36)  # that are tried; a bound of the histogram between two p95 misleads a search
TELLS_APART = 0.0005  # a smaller difference of distances, in logarithms of the p95, is chance
MEAN_HALVINGS = 10
GUESS_WITHIN = 2.0  # times the median of a lognormal latency with that p95

LEAVES = tuple(service for service in Service if not CALLS[service])
"""The services that call no other: all of their latency is their own."""

_SHARES = tuple((place + 0.5) / 30 for place in range(30))
_LUCKS = tuple(map(NormalDist().inv_cdf, _SHARES))  # all equally likely
_P95 = NormalDist().inv_cdf(0.95)


def unloaded_p95_s(parameters: Parameters, service: Service) -> float:
    """The mean p95 that an unloaded service shows in windows with the usual number of requests."""
    return middle(_p95s_s(parameters, service, paths(parameters)[service], parameters.latency_sigma))


def _p95s_s(parameters: Parameters, service: Service, found: Paths, sigma: float) -> list[float]:
    requests = parameters.request_rate(service) * STEP_S
    histogram = numbers([requests * share for share in shares(found, sigma)])
    return [float(p95_of_few(histogram, 0, k.BUCKETS - 1, requests, luck)) for luck in _LUCKS]


def sigma(parameters: Parameters, p95s_s: Mapping[Service, ArrayLike]) -> float | None:
    """The `latency_sigma` with which the p95 of `LEAVES` is distributed over windows most nearly as these are.

    Where all answers are in one bucket of the histogram, many values fit as well. Then it changes as little as it can.
    None if there is no p95."""
    if not p95s_s:
        return None
    seen = {service: np.quantile(np.asarray(values), _SHARES) for service, values in p95s_s.items()}
    means_s = {service: middle(values) for service, values in p95s_s.items()}

    def misfit(tried: float) -> float:
        shown = {service: _p95s_of_mean(parameters, service, mean_s, tried) for service, mean_s in means_s.items()}
        return sum(distance(np.log(seen[service]), np.log(values)) for service, values in shown.items())

    misfits = [misfit(tried) for tried in SIGMAS]
    fit = [tried for tried, apart in zip(SIGMAS, misfits, strict=True) if apart <= min(misfits) + TELLS_APART]
    return float(min(fit, key=lambda tried: abs(math.log(tried / parameters.latency_sigma))))


def _p95s_of_mean(parameters: Parameters, service: Service, mean_s: float, sigma: float) -> list[float]:
    """The p95 that a service of `LEAVES` shows, if its mean is this. Where it is among the bounds of the histogram says
    how much it changes."""
    guess_s = mean_s / math.exp(_P95 * sigma)
    low, high = guess_s / GUESS_WITHIN, guess_s * GUESS_WITHIN

    def is_low(median_s: float) -> bool:
        return middle(_p95s_s(parameters, service, [(1.0, median_s)], sigma)) < mean_s

    return _p95s_s(parameters, service, [(1.0, _halved(low, high, MEAN_HALVINGS, is_low))], sigma)


def _halved(low: float, high: float, halvings: int, is_low: Callable[[float], bool]) -> float:
    """The largest value that is too low, by halving the logarithms between two values."""
    for _ in range(halvings):
        tried = math.sqrt(low * high)
        if is_low(tried):
            low = tried
        else:
            high = tried
    return low


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
    return _halved(
        low, high, HALVINGS, lambda tried: unloaded_p95_s(changed(parameters, {name: tried}), service) < p95_s
    )


def _upstreams_first() -> list[Service]:
    ordered: list[Service] = []
    while len(ordered) < len(Service):
        ordered += [one for one in Service if one not in ordered and all(called in ordered for called in CALLS[one])]
    return ordered
