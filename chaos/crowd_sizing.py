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
class CrowdPlan:
    """How large a crowd has to be, and how it is sized. Loads are multiples of the steady CPU quota."""

    kind: str  # what the load generator sends
    overload: float  # the load that is aimed at
    enough: tuple[float, float]  # a load between these is not corrected
    vanguard: float = 0.75  # the load that the vanguard aims at
    vanguard_s: float = 2.5  # how long the vanguard is measured
    seen: float = 0.1  # a crowd is seen if it brings at least this load
    # If others use the machine too, a later request may cost more or less than an early one. So the crowd is measured
    # again after it was sized, and corrected.
    corrections: int = 3
    settles_s: float = 3.0  # from a sizing to the next measurement
    look_s: float = 2.7  # how much time that measurement covers
    largest_correction: float = 2.5  # a factor


def gather(tools: Tools, service: Service, plan: CrowdPlan) -> Iterator[float]:
    """Let the crowd come, in stages. Yields the seconds until the next stage.

    Raises FleetError if the load cannot be measured, or if the crowd does not reach the service."""
    steady = tools.meter.so_far(service)
    if not (steady.served_rate > 0 and steady.cpu_cores > 0):
        raise FleetError(f"{service} serves nothing, so a flash crowd cannot be sized; next: mirr status")
    cost_s = yield from request_cost_s(tools, service, plan, steady)
    crowd = sized(plan, service, steady, plan.overload, cost_s=cost_s)
    tools.run_campaign(crowd)
    least, most = plan.enough
    for looks_left in reversed(range(plan.corrections)):
        yield plan.settles_s
        now = tools.meter.glance(service, plan.look_s)
        if now is None or now.quota_cores != steady.quota_cores or not now.served_rate > 0:
            return  # an agent has restarted or scaled the service: the crowd stays as it is
        load = offered(crowd, steady, now)
        if least <= load <= most:
            return
        if looks_left == 0 and not _seen(plan, steady, now):
            raise FleetError(f"the flash crowd does not reach {service}; next: mirr status")
        crowd = corrected(plan, crowd, load, usual=steady.cpu_cores / steady.quota_cores)
        tools.run_campaign(crowd)


def request_cost_s(tools: Tools, service: Service, plan: CrowdPlan, steady: Load) -> Generator[float, None, float]:
    """Send the vanguard and measure it, in stages. Returns the CPU time of one request of the crowd.

    What users cost is measured over a short time and may be wrong, so the vanguard can be too small to be seen. Then
    a request is taken to cost what an ordinary one does, and the corrections find its real cost."""
    tools.run_campaign(sized(plan, service, steady, plan.vanguard, cost_s=steady.cost_s))
    yield plan.vanguard_s
    now = tools.meter.last(service, plan.vanguard_s)
    more_served = now.served_rate - steady.served_rate
    if not more_served > 0 or not _seen(plan, steady, now):
        return steady.cost_s
    return (now.cpu_cores - steady.cpu_cores) / more_served


def _seen(plan: CrowdPlan, steady: Load, now: Load) -> bool:
    return now.cpu_cores - steady.cpu_cores >= plan.seen * steady.quota_cores


def sized(plan: CrowdPlan, service: Service, steady: Load, load: float, *, cost_s: float) -> CampaignRequest:
    """The campaign that brings `service` from its `steady` load to `load` times its quota.

    `cost_s` is the CPU time of one request of the crowd. Raises FleetError if the service is already that busy."""
    missing_cores = load * steady.quota_cores - steady.cpu_cores
    if not missing_cores > 0:
        raise FleetError(f"{service} is too busy already to size a flash crowd by; next: mirr revert")
    return CampaignRequest(kind=plan.kind, service=service, rate_per_s=round(missing_cores / cost_s, 2))


def offered(crowd: CampaignRequest, steady: Load, now: Load) -> float:
    """The work that users and `crowd` ask for, as a multiple of the quota.

    A full CPU does not show how much more was asked for, and the counts of what failed or waits are rough. But it is
    known how many requests are sent, and what one that is served costs."""
    return (steady.served_rate + crowd.rate_per_s) * now.cost_s / now.quota_cores


def corrected(plan: CrowdPlan, crowd: CampaignRequest, load: float, *, usual: float) -> CampaignRequest:
    """The crowd that offers the planned load. `load` is the load with `crowd`, `usual` the load of users alone."""
    factor = (plan.overload - usual) / max(load - usual, 0.1)
    factor = min(max(factor, 1.0 / plan.largest_correction), plan.largest_correction)
    return replace(crowd, rate_per_s=round(crowd.rate_per_s * factor, 2))
