"""Sizes a crowd of requests to a service, so that the crowd asks for a given multiple of its CPU quota.

A fixed rate would do nothing on a fast machine, and would cause a collapse on a slow one. So a small crowd, the
vanguard, comes first. The cost of one of its requests shows how many requests the whole crowd needs.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    # If others use the machine too, a later request may cost more or less than an early one. So the crowd is measured
    # again after it was sized, and corrected.
    corrections: int = 2
    settles_s: float = 3.0  # from a sizing to the next measurement
    look_s: float = 2.2  # how much time that measurement covers
    largest_correction: float = 1.6  # a factor


def gather(tools: Tools, service: Service, plan: CrowdPlan) -> Iterator[float]:
    """Let the crowd come, in stages. Yields the seconds until the next stage.

    Raises FleetError if the load cannot be measured, or if the crowd does not reach the service."""
    steady = tools.meter.so_far(service)
    if not (steady.served_rate > 0 and steady.cpu_cores > 0):
        raise FleetError(f"{service} serves nothing, so a flash crowd cannot be sized; next: mirr status")
    # A first guess: one request of the crowd costs as much as the average request.
    tools.run_campaign(sized(plan, service, steady, plan.vanguard, cost_s=steady.cpu_cores / steady.served_rate))
    yield plan.vanguard_s
    load = tools.meter.last(service, plan.vanguard_s)
    more_served = load.served_rate - steady.served_rate
    if not (more_served > 0 and load.cpu_cores > steady.cpu_cores):
        raise FleetError(f"the flash crowd does not reach {service}; next: mirr status")
    crowd = sized(plan, service, steady, plan.overload, cost_s=(load.cpu_cores - steady.cpu_cores) / more_served)
    tools.run_campaign(crowd)
    least, most = plan.enough
    for _ in range(plan.corrections):
        yield plan.settles_s
        now = tools.meter.glance(service, plan.look_s)
        if now is None or now.quota_cores != steady.quota_cores:
            return  # an agent has restarted or scaled the service: the crowd stays as it is
        if least <= now.offered <= most:
            return
        crowd = corrected(plan, crowd, now.offered, usual=steady.cpu_cores / steady.quota_cores)
        tools.run_campaign(crowd)


def sized(plan: CrowdPlan, service: Service, steady: Load, offered: float, *, cost_s: float) -> CampaignRequest:
    """The campaign that brings `service` from its `steady` load to `offered` times its quota.

    `cost_s` is the CPU time of one request of the crowd. Raises FleetError if the service is already that busy."""
    missing_cores = offered * steady.quota_cores - steady.cpu_cores
    if not missing_cores > 0:
        raise FleetError(f"{service} is too busy already to size a flash crowd by; next: mirr revert")
    return CampaignRequest(kind=plan.kind, service=service, rate_per_s=round(missing_cores / cost_s, 2))


def corrected(plan: CrowdPlan, crowd: CampaignRequest, offered: float, *, usual: float) -> CampaignRequest:
    """The crowd that offers the planned load. `offered` is the load with `crowd`, `usual` the load of users alone."""
    factor = (plan.overload - usual) / max(offered - usual, 0.1)
    factor = min(max(factor, 1.0 / plan.largest_correction), plan.largest_correction)
    return replace(crowd, rate_per_s=round(crowd.rate_per_s * factor, 2))
