"""Sizes a crowd of requests to a service, so that the crowd asks for a given multiple of its CPU quota.

A fixed rate would do nothing on a fast machine, and would cause a collapse on a slow one. So a small crowd, the
vanguard, comes first. The cost of one of its requests shows how many requests the whole crowd needs. Then the crowd is
measured and corrected.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

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


def enough(overload: float, *, most: float) -> tuple[float, float]:
    """The loads between which a crowd that aims at `overload` is not corrected. The lower one is always an overload.
    The upper one is below `most`, the load that twice the quota has to be enough for."""
    below = 0.2 * min(1.0, (overload - 1.0) / 0.45)
    above = min(0.1, (most - overload) / 2)
    return round(overload - below, 4), round(overload + above, 4)


def gather(tools: Tools, service: Service, plan: CrowdPlan) -> Iterator[float]:
    """Let the crowd come, in stages. Yields the seconds until the next stage.

    Raises FleetError if the load cannot be measured, or if the crowd does not reach the service."""
    steady = yield from steady_load(tools, service, plan)
    if not (steady.served_rate > 0 and steady.cpu_cores > 0):
        raise FleetError(f"{service} serves nothing, so a {plan.called} cannot be sized; next: mirr status")
    cost = _ordinary_or_expensive(plan, steady)
    cost_s = yield from request_cost_s(tools, service, plan, steady, cost)
    crowd = sized(plan, service, steady, plan.overload, cost_s=cost_s)
    tools.run_campaign(crowd)
    least, most = plan.enough
    for looks_left in reversed(range(plan.corrections)):
        yield plan.settles_s
        now = tools.meter.glance(service, plan.look_s)
        if now is None or now.quota_cores != steady.quota_cores or not now.served_rate > 0:
            return  # an agent has restarted or scaled the service: the crowd stays as it is
        load = cost.offered(crowd, steady, now, plan.look_s)
        fits = least <= load <= most
        if fits and plan.expensive is None:
            return  # of expensive requests, one look saw only a handful
        if looks_left == 0 and not _seen(plan, steady, now):
            raise FleetError(f"the {plan.called} does not reach {service}; next: mirr status")
        if not fits:
            crowd = corrected(plan, crowd, load, usual=steady.cpu_cores / steady.quota_cores)
            tools.run_campaign(crowd)


def steady_load(tools: Tools, service: Service, plan: CrowdPlan) -> Generator[float, None, Load]:
    """What users alone ask of the service. If it is still working off an earlier crowd, it first gets time to do so."""
    load = tools.meter.so_far(service)
    for _ in range(plan.corrections):
        if load.cpu_cores <= plan.calm * load.quota_cores:
            break
        yield plan.settles_s
        load = tools.meter.last(service, plan.look_s)
    return load


def request_cost_s(
    tools: Tools, service: Service, plan: CrowdPlan, steady: Load, cost: _OrdinaryCost | _ExpensiveCost
) -> Generator[float, None, float]:
    """Send the vanguard and measure it, in stages. Returns the CPU time of one request of the crowd.

    What users cost is measured over a short time and may be wrong, so the vanguard can be too small to be seen. Then
    a request is taken to cost what was expected, and the corrections find its real cost."""
    tools.run_campaign(sized(plan, service, steady, plan.vanguard, cost_s=cost.expected_s))
    yield plan.vanguard_s
    now = tools.meter.last(service, plan.vanguard_s)
    return cost.measured_s(steady, now, plan.vanguard_s) if _seen(plan, steady, now) else cost.expected_s


class _OrdinaryCost:
    """The cost of requests that are about as much work as those of users, and many."""

    def __init__(self, steady: Load) -> None:
        self.expected_s = steady.cost_s

    def measured_s(self, steady: Load, now: Load, seconds: float) -> float:
        more_served = now.served_rate - steady.served_rate
        return (now.cpu_cores - steady.cpu_cores) / more_served if more_served > 0 else self.expected_s

    def offered(self, crowd: CampaignRequest, steady: Load, now: Load, seconds: float) -> float:
        """The work that users and `crowd` ask for, as a multiple of the quota.

        A full CPU does not show how much more was asked for, and the counts of what failed or waits are rough. But it
        is known how many requests are sent, and what one that is served costs."""
        return (steady.served_rate + crowd.rate_per_s) * now.cost_s / now.quota_cores


class _ExpensiveCost:
    """The cost of expensive requests: a mean over those that were measured so far, and what was expected."""

    def __init__(self, expensive: Expensive, steady: Load) -> None:
        self._expensive = expensive
        self._requests = expensive.trusted_as
        self.expected_s = steady.cost_s * expensive.times_usual

    def measured_s(self, steady: Load, now: Load, seconds: float) -> float:
        these_s = expensive_cost_s(self._expensive, steady, now)
        if these_s is not None:
            requests = now.served_by_route[self._expensive.route] * seconds
            known_s = self.expected_s * self._requests + these_s * requests
            self.expected_s = known_s / (self._requests + requests)
            self._requests = min(self._requests + requests, self._expensive.remembered)
        return self.expected_s

    def offered(self, crowd: CampaignRequest, steady: Load, now: Load, seconds: float) -> float:
        """The work that users and `crowd` ask for, as a multiple of the quota."""
        cost_s = self.measured_s(steady, now, seconds)
        return (steady.cpu_cores + crowd.rate_per_s * cost_s) / now.quota_cores


def _ordinary_or_expensive(plan: CrowdPlan, steady: Load) -> _OrdinaryCost | _ExpensiveCost:
    return _OrdinaryCost(steady) if plan.expensive is None else _ExpensiveCost(plan.expensive, steady)


def expensive_cost_s(expensive: Expensive, steady: Load, now: Load) -> float | None:
    """The CPU time of one expensive request: what the others do not explain. None if none was served.

    This holds for a CPU that is full as well."""
    served = now.served_by_route.get(expensive.route, 0.0)
    cores = now.cpu_cores - (now.served_rate - served) * steady.cost_s
    return cores / served if served > 0 and cores > 0 else None


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
