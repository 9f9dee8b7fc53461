"""Sizes a crowd of requests to a service, so that the crowd asks for a given multiple of its CPU quota.

A fixed rate would do nothing on a fast machine, and would cause a collapse on a slow one. So a small crowd, the
vanguard, comes first. The cost of one of its requests shows how many requests the whole crowd needs. Then the crowd is
measured and corrected.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from mirr.chaos.campaigns import CampaignRequest
from mirr.chaos.errors import FleetError
from mirr.chaos.load import Load
from mirr.chaos.tools import Tools
from mirr.env.vocabulary import Service


@dataclass(frozen=True, kw_only=True)
class Expensive:
    """Requests that cost so much that a few a second are a crowd.

    So few do not show among all requests that are served: chance changes that number by more. But hardly anybody else
    uses their route, so what it serves shows how many of them were worked on. A look at a handful of them is rough
    still. So it is weighed against what was expected and what was seen before."""

    route: str
    times_usual: float  # what one costs, roughly, as a multiple of an ordinary request
    trusted_as: float = 4.0  # the expectation is worth so many requests that were measured
    remembered: float = 12.0  # and so are all earlier looks together: what a request costs changes with the machine


@dataclass(frozen=True, kw_only=True)
class CrowdPlan:
    """How large a crowd has to be, and how it is sized. Loads are multiples of the steady CPU quota."""

    kind: str  # what the load generator sends
    overload: float  # the load that is aimed at
    enough: tuple[float, float]  # a load between these is not corrected
    times_usual: float = 1.0  # what one of its requests costs, roughly, as a multiple of an ordinary one
    called: str = "flash crowd"  # in errors
    expensive: Expensive | None = None  # None: its requests cost about as much as ordinary ones
    calm: float = 0.6  # a service with at most this load has worked off what was there before
    vanguard: float = 0.75  # the load that the vanguard aims at
    vanguard_s: float = 2.5  # how long the vanguard is measured
    seen: float = 0.1  # a crowd is seen if it brings at least this load
    # If others use the machine too, a later request may cost more or less than an early one. So the crowd is measured
    # again after it was sized, and corrected.
    corrections: int = 3
    settles_s: float = 3.0  # from a sizing to the next measurement
    look_s: float = 2.7  # how much time that measurement covers
    largest_correction: float = 2.5  # a factor
    patience_s: float = 10.0  # how long a measurement may be missing
    poll_s: float = 0.2


def enough(overload: float, *, most: float) -> tuple[float, float]:
    """The loads between which a crowd that aims at `overload` is not corrected. The lower one is always an overload.
    The upper one is below `most`, the load that twice the quota has to be enough for.

    The smaller the overload, the less may be missing: at a load of 1.08, a service met its objectives now and then."""
    below = 0.2 * min(1.0, ((overload - 1.0) / 0.45) ** 2)
    above = min(0.1, (most - overload) / 2)
    return round(overload - below, 4), round(overload + above, 4)


def gather(tools: Tools, service: Service, plan: CrowdPlan) -> Iterator[float]:
    """Let the crowd come, in stages. Yields the seconds until the next stage.

    While something else is broken, nobody knows how many users still reach the service, so less can be measured. The
    crowd is then as large as it has to be once they are back.

    Raises FleetError if the load cannot be measured, or if the crowd does not reach the service although nothing else
    is broken."""
    steady = yield from steady_load(tools, service, plan)
    if not (steady.served_rate > 0 and steady.cpu_cores > 0):
        raise FleetError(f"{service} serves nothing, so a {plan.called} cannot be sized; next: mirr status")
    cost = _cost(plan, steady, alone=tools.alone)
    cost_s = yield from request_cost_s(tools, service, plan, steady, cost)
    crowd = sized(plan, service, steady, plan.overload, cost_s=cost_s)
    tools.run_campaign(crowd)
    least, most = plan.enough
    for looks_left in reversed(range(plan.corrections if cost.can_be_corrected else 0)):
        yield plan.settles_s
        now = tools.meter.glance(service, plan.look_s)
        if now is None or not _same_quota(now, steady) or not now.served_rate > 0:
            return  # an agent has restarted or scaled the service: the crowd stays as it is
        load = cost.offered(crowd, steady, now, plan.look_s)
        fits = least <= load <= most
        if fits and plan.expensive is None:
            return  # of expensive requests, one look saw only a handful
        if looks_left == 0 and tools.alone and not _seen(plan, steady, now):
            raise FleetError(f"the {plan.called} does not reach {service}; next: mirr status")
        if not fits:
            crowd = corrected(plan, crowd, load, usual=steady.cpu_cores / steady.quota_cores)
            tools.run_campaign(crowd)


def steady_load(tools: Tools, service: Service, plan: CrowdPlan) -> Generator[float, None, Load]:
    """What users alone ask of the service. If it is still working off an earlier crowd, it first gets time to do so.

    Raises FleetError if there was no time to measure it."""
    waited_s = 0.0
    while (load := tools.meter.usual(service)) is None:
        if waited_s > plan.patience_s:
            raise FleetError(f"{service} does not run long enough to measure its load; next: mirr status")
        yield plan.poll_s
        waited_s += plan.poll_s
    for _ in range(plan.corrections if tools.alone else 0):
        if load.cpu_cores <= plan.calm * load.quota_cores:
            break
        yield plan.settles_s
        load = tools.meter.glance(service, plan.look_s) or load
    return load


def request_cost_s(
    tools: Tools, service: Service, plan: CrowdPlan, steady: Load, cost: Cost
) -> Generator[float, None, float]:
    """Send the vanguard and measure it, in stages. Returns the CPU time of one request of the crowd.

    What users cost is measured over a short time and may be wrong, so the vanguard can be too small to be seen. And
    somebody may restart the service meanwhile. Then a request is taken to cost what was expected, and the corrections
    find its real cost."""
    vanguard = sized(plan, service, steady, plan.vanguard, cost_s=cost.expected_s)
    tools.run_campaign(vanguard)
    yield plan.vanguard_s
    waited_s = 0.0
    # A service that is nearly overloaded may not answer each scrape. The measurement then covers a longer time.
    while (now := tools.meter.glance(service, plan.vanguard_s + waited_s)) is None and waited_s <= plan.patience_s:
        yield plan.poll_s
        waited_s += plan.poll_s
    if now is None or (cost.can_be_corrected and not _seen(plan, steady, now)):
        return cost.expected_s
    return cost.measured_s(vanguard, steady, now, plan.vanguard_s)


class Cost(Protocol):
    """What one request of a crowd costs, in CPU seconds."""

    can_be_corrected: bool  # whether later measurements of the whole crowd show more
    expected_s: float

    def measured_s(self, crowd: CampaignRequest, steady: Load, now: Load, seconds: float) -> float:
        """What it costs by a measurement of `seconds` with `crowd`."""

    def offered(self, crowd: CampaignRequest, steady: Load, now: Load, seconds: float) -> float:
        """The work that users and `crowd` ask for, as a multiple of the quota."""


class _OrdinaryCost:
    """The cost of requests that are about as much work as those of users, and many."""

    can_be_corrected = True

    def __init__(self, steady: Load) -> None:
        self.expected_s = steady.cost_s

    def measured_s(self, crowd: CampaignRequest, steady: Load, now: Load, seconds: float) -> float:
        more_served = now.served_rate - steady.served_rate
        if not more_served > 0:
            return self.expected_s
        # An agent may restart a caller meanwhile. Then hardly more is served, which looks like a great cost.
        return _near((now.cpu_cores - steady.cpu_cores) / more_served, self.expected_s, factor=_POSSIBLE)

    def offered(self, crowd: CampaignRequest, steady: Load, now: Load, seconds: float) -> float:
        # A full CPU does not show how much more was asked for, and the counts of what failed or waits are rough. But it
        # is known how many requests are sent, and what one that is served costs.
        return (steady.served_rate + crowd.rate_per_s) * now.cost_s / now.quota_cores


class KnownRateCost:
    """The cost of requests whose number is known, but not how many users there are beside them."""

    can_be_corrected = False

    def __init__(self, steady: Load, times_usual: float) -> None:
        self.expected_s = steady.cost_s * times_usual

    def measured_s(self, crowd: CampaignRequest, steady: Load, now: Load, seconds: float) -> float:
        """What it costs, if what is served beside the crowd are requests of users. It is never far from what was
        expected, because the measurement is short."""
        users_rate = max(0.0, now.served_rate - crowd.rate_per_s)
        these_rate = now.served_rate - users_rate
        if not these_rate > 0:
            return self.expected_s
        these_s = (now.cpu_cores - users_rate * steady.cost_s) / these_rate
        return _near(these_s, self.expected_s, factor=_TRUSTED)

    def offered(self, crowd: CampaignRequest, steady: Load, now: Load, seconds: float) -> float:
        return (steady.cpu_cores + crowd.rate_per_s * self.expected_s) / now.quota_cores


_POSSIBLE = 4.0
"""By which factor the cost of a request of a crowd can differ from that of an ordinary one."""

_TRUSTED = 1.6
"""By which factor it can differ from what was expected of the crowd's own requests."""


def _near(measured_s: float, expected_s: float, *, factor: float) -> float:
    return min(max(measured_s, expected_s / factor), expected_s * factor)


class _ExpensiveCost:
    """The cost of expensive requests: a mean over those that were measured so far, and what was expected."""

    can_be_corrected = True

    def __init__(self, expensive: Expensive, steady: Load) -> None:
        self._expensive = expensive
        self._requests = expensive.trusted_as
        self.expected_s = steady.cost_s * expensive.times_usual

    def measured_s(self, crowd: CampaignRequest, steady: Load, now: Load, seconds: float) -> float:
        these_s = expensive_cost_s(self._expensive, steady, now)
        if these_s is not None:
            requests = now.served_by_route[self._expensive.route] * seconds
            known_s = self.expected_s * self._requests + these_s * requests
            self.expected_s = known_s / (self._requests + requests)
            self._requests = min(self._requests + requests, self._expensive.remembered)
        return self.expected_s

    def offered(self, crowd: CampaignRequest, steady: Load, now: Load, seconds: float) -> float:
        cost_s = self.measured_s(crowd, steady, now, seconds)
        return (steady.cpu_cores + crowd.rate_per_s * cost_s) / now.quota_cores


def _cost(plan: CrowdPlan, steady: Load, *, alone: bool) -> Cost:
    if plan.expensive is not None:
        return _ExpensiveCost(plan.expensive, steady)
    return _OrdinaryCost(steady) if alone else KnownRateCost(steady, plan.times_usual)


def expensive_cost_s(expensive: Expensive, steady: Load, now: Load) -> float | None:
    """The CPU time of one expensive request: what the others do not explain. None if none was served.

    This holds for a CPU that is full as well."""
    served = now.served_by_route.get(expensive.route, 0.0)
    cores = now.cpu_cores - (now.served_rate - served) * steady.cost_s
    return cores / served if served > 0 and cores > 0 else None


def _same_quota(now: Load, steady: Load) -> bool:
    return math.isclose(now.quota_cores, steady.quota_cores, rel_tol=0.01)


def _seen(plan: CrowdPlan, steady: Load, now: Load) -> bool:
    return now.cpu_cores - steady.cpu_cores >= plan.seen * steady.quota_cores


def sized(plan: CrowdPlan, service: Service, steady: Load, load: float, *, cost_s: float) -> CampaignRequest:
    """The campaign that brings `service` from its `steady` load to `load` times its quota.

    `cost_s` is the CPU time of one request of the crowd. Raises FleetError if the service is already that busy."""
    missing_cores = load * steady.quota_cores - steady.cpu_cores
    if not missing_cores > 0:
        raise FleetError(f"{service} is too busy already to size a {plan.called} by; next: mirr revert")
    return CampaignRequest(kind=plan.kind, service=service, rate_per_s=round(missing_cores / cost_s, 2))


def corrected(plan: CrowdPlan, crowd: CampaignRequest, load: float, *, usual: float) -> CampaignRequest:
    """The crowd that offers the planned load. `load` is the load with `crowd`, `usual` the load of users alone."""
    factor = (plan.overload - usual) / max(load - usual, 0.1)
    factor = min(max(factor, 1.0 / plan.largest_correction), plan.largest_correction)
    return replace(crowd, rate_per_s=round(crowd.rate_per_s * factor, 2))
