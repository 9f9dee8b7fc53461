"""A burst: for a short time, many clients want the same thing from a service that has room for them.

Its requests are those of a flash crowd, but it is no fault: the service has to meet every objective. So it begins with
less than was asked for, and it is made larger once the cost of its requests has been seen.
"""

from __future__ import annotations

from collections.abc import Iterator

from mirr.chaos.campaigns import CampaignRequest
from mirr.chaos.crowd_sizing import KnownRateCost, steady_load
from mirr.chaos.faults import crowd
from mirr.chaos.tools import Tools
from mirr.env.vocabulary import Bursts

SENDS = crowd.SENDS

FIRST = 0.75
"""The share of its requests with which a burst begins. Even if each costs half as much again as was expected, the
service has room for them."""

MOST = 0.8
"""The load that users and a burst may ask for together, as a share of the steady CPU quota."""


def gather(tools: Tools, burst: Bursts) -> Iterator[float]:
    """Let the burst come, in stages. Yields the seconds until the next stage. Who calls this ends it.

    Raises FleetError if the load of the service was never measured."""
    service = burst.service
    plan = crowd.plan(service, 1.0)
    steady = yield from steady_load(tools, service, plan)
    load = min(burst.load, MOST - steady.cpu_cores / steady.quota_cores)
    if not (steady.served_rate > 0 and load > 0):
        return  # the service has no room for a burst that harms nobody
    cost = KnownRateCost(steady, plan.times_usual)

    def sized(load: float, cost_s: float) -> CampaignRequest:
        return CampaignRequest(kind=SENDS, service=service, rate_per_s=round(load * steady.quota_cores / cost_s, 2))

    first = sized(FIRST * load, cost.expected_s)
    tools.run_campaign(first)
    yield plan.vanguard_s
    now = tools.meter.glance(service, plan.vanguard_s)
    cost_s = cost.expected_s if now is None else cost.measured_s(first, steady, now, plan.vanguard_s)
    tools.run_campaign(sized(load, cost_s))
