"""The four faults: for each mode, how it is injected and what mends its traces. One table, one row a mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Protocol

from mirr.chaos.campaigns import Campaign, CampaignKind, campaign_id
from mirr.chaos.errors import FleetError
from mirr.chaos.fleet import Fleet
from mirr.env.vocabulary import NEXT_RELEASE, STEADY_RELEASE, FaultMode, Service

LEAK_RATES_PER_S: dict[Service, float] = {
    Service.GATEWAY: 8.0,  # which keeps each body twice: as it came, and as it was answered
    Service.AUTH: 13.0,
    Service.INVENTORY: 13.0,
    Service.ORDERS: 11.0,
    Service.PAYMENTS: 13.0,
}
"""New client keys a second, each with 800 KiB. What counts is how fast memory climbs, about 4% of the limit a second:
the objective is lost within three steps, and a restart gives five."""

OVERLOAD = 1.45
"""Offered load as a multiple of the steady quota: well above it, and 0.72 of the doubled one."""


class Mend(IntEnum):
    """What a service needs to be as it was; a higher one includes the lower."""

    NOTHING = 0
    RESTART = 1  # a new process: it was down, or its memory is full of a leak
    RECREATE = 2  # a new container with fresh data: a release was changed


VANGUARD = 0.75
"""Offered load that the first of a crowd aims at. They tell what one of them costs on this machine, now, and the
rest are sized by that: a rate that was right elsewhere is nothing on a faster machine, and a collapse on a slower."""

VANGUARD_S = 2.5
"""How long the first of a crowd are measured."""


CORRECTIONS = 2
SETTLES_S = 3.0
LOOKED_AT_S = 2.2
"""How often, how long after it was sized, and over how long a crowd is looked at: what its first cost is not what its
last will, on a machine that others use as well."""

ENOUGH = (1.25, 1.75)
"""Offered load with which a crowd is let be: too much for the quota, and well below twice the quota."""

LARGEST_CORRECTION = 1.6
SATURATED = 0.9  # of the quota: from here on it is no longer the CPU used that tells the load


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a service did over some time, as measured."""

    cpu_cores: float  # used
    served_rate: float  # requests per second, those turned away or failed left out
    quota_cores: float
    failed_rate: float = 0.0  # requests per second, turned away or failed

    @property
    def offered(self) -> float:
        """The work that was asked for as a multiple of the quota: while there is CPU left, what was used of it; and
        when all of it is used, by the share of requests that had to be turned away."""
        used = self.cpu_cores / self.quota_cores
        if used < SATURATED or not self.served_rate > 0:
            return used
        return (self.served_rate + self.failed_rate) / self.served_rate


class Meter(Protocol):
    """Measures a service's load."""

    def so_far(self, service: Service) -> Load:
        """The load up to now."""

    def last(self, service: Service, seconds: float) -> Load:
        """The load over the last `seconds`; waits where a scrape is missing."""

    def glance(self, service: Service, seconds: float) -> Load | None:
        """The load over the last `seconds`, or None where it cannot be told just now."""


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What injecting and ending a fault may use."""

    fleet: Fleet
    meter: Meter
    run_campaign: Callable[[Campaign], None]  # starts it and sees to its lease
    end_campaign: Callable[[str], None]  # by its id


@dataclass(frozen=True, kw_only=True)
class FaultPlan:
    """One row of the table."""

    inject: Callable[[Tools, Service], Iterator[float]]  # yields the seconds after which it wants to go on
    end: Callable[[Tools, Service], None]  # as such an incident ends by itself, without anybody's fix
    mend: Mend
    blurb: str  # what happens, for a person who injects it
    revert: str  # how it is reverted, for a person who asks beforehand


def _kill(tools: Tools, service: Service) -> Iterator[float]:
    tools.fleet.kill(service)
    return iter(())


def _start(tools: Tools, service: Service) -> None:
    state = tools.fleet.state(service)
    if state is None or not state.running:  # where somebody started it already, a restart would be one more outage
        tools.fleet.restart(service)


def _leak(tools: Tools, service: Service) -> Iterator[float]:
    tools.run_campaign(Campaign(kind=CampaignKind.UNIQUE_KEYS, service=service, rate_per_s=LEAK_RATES_PER_S[service]))
    return iter(())


def _send_the_leaking_client_away(tools: Tools, service: Service) -> None:
    tools.end_campaign(campaign_id(CampaignKind.UNIQUE_KEYS, service))
    tools.fleet.restart(service)  # the memory is full of it, and nothing but a new process lets go of that


def _crowd(tools: Tools, service: Service) -> Iterator[float]:
    steady = tools.meter.so_far(service)
    if not (steady.served_rate > 0 and steady.cpu_cores > 0):
        raise FleetError(f"{service} serves nothing, so a flash crowd cannot be sized; next: mirr status")
    # A first guess: one of the crowd costs what the average request does.
    vanguard = flash_crowd(service, steady, VANGUARD, cost_s=steady.cpu_cores / steady.served_rate)
    tools.run_campaign(vanguard)
    yield VANGUARD_S
    load = tools.meter.last(service, VANGUARD_S)
    more_served = load.served_rate - steady.served_rate
    if not (more_served > 0 and load.cpu_cores > steady.cpu_cores):
        raise FleetError(f"the flash crowd does not reach {service}; next: mirr status")
    crowd = flash_crowd(service, steady, OVERLOAD, cost_s=(load.cpu_cores - steady.cpu_cores) / more_served)
    tools.run_campaign(crowd)
    for _ in range(CORRECTIONS):
        yield SETTLES_S
        now = tools.meter.glance(service, LOOKED_AT_S)
        if now is None or now.quota_cores != steady.quota_cores:
            return  # somebody has restarted or scaled it: the crowd is theirs to deal with as it is
        if ENOUGH[0] <= now.offered <= ENOUGH[1]:
            return
        crowd = corrected(crowd, now.offered, usual=steady.cpu_cores / steady.quota_cores)
        tools.run_campaign(crowd)


def _send_the_crowd_home(tools: Tools, service: Service) -> None:
    tools.end_campaign(campaign_id(CampaignKind.FLASH_CROWD, service))


def _deploy(tools: Tools, service: Service) -> Iterator[float]:
    deploy_over(tools.fleet, service, NEXT_RELEASE)
    return iter(())


def _roll_back(tools: Tools, service: Service) -> None:
    state = tools.fleet.state(service)
    if state is not None and state.previous_release is not None:  # else somebody rolled it back already
        tools.fleet.deploy(service, state.previous_release, previous=None)


def deploy_over(fleet: Fleet, service: Service, release: str) -> None:
    """Deploy `release` over what runs, which a rollback then goes back to. Raises FleetError."""
    state = fleet.state(service)
    if state is None:
        raise FleetError(f"{service} has no container to deploy to; next: mirr up")
    fleet.deploy(service, release, previous=state.release)


FAULTS: dict[FaultMode, FaultPlan] = {
    FaultMode.CRASHED: FaultPlan(
        inject=_kill,
        end=_start,
        mend=Mend.RESTART,
        blurb="SIGKILL to its process; it stays down and callers are refused",
        revert="the process is started again",
    ),
    FaultMode.MEMORY_LEAK: FaultPlan(
        inject=_leak,
        end=_send_the_leaking_client_away,
        mend=Mend.RESTART,
        blurb="a client sends a new key each time; memory climbs until the OOM killer",
        revert="the client is sent away and the process restarted",
    ),
    FaultMode.OVERLOADED: FaultPlan(
        inject=_crowd,
        end=_send_the_crowd_home,
        mend=Mend.NOTHING,
        blurb="a flash crowd offers more work than its CPU quota can do",
        revert="the crowd is sent home",
    ),
    FaultMode.BAD_DEPLOY: FaultPlan(
        inject=_deploy,
        end=_roll_back,
        mend=Mend.RECREATE,
        blurb=f"release {NEXT_RELEASE} is deployed over {STEADY_RELEASE}",
        revert=f"the container is replaced by one of {STEADY_RELEASE} with fresh data",
    ),
}


def flash_crowd(service: Service, steady: Load, offered: float, *, cost_s: float) -> Campaign:
    """The campaign that brings `service` from its `steady` load to `offered` times its quota, where one request of
    the crowd costs `cost_s` of CPU. Raises FleetError where the service is that busy already."""
    missing_cores = offered * steady.quota_cores - steady.cpu_cores
    if not missing_cores > 0:
        raise FleetError(f"{service} is too busy already to size a flash crowd by; next: mirr revert")
    return Campaign(kind=CampaignKind.FLASH_CROWD, service=service, rate_per_s=round(missing_cores / cost_s, 2))


def corrected(crowd: Campaign, offered: float, *, usual: float) -> Campaign:
    """The crowd that brings the offered load to OVERLOAD where this one brings it to `offered`, with users who bring it
    to `usual` on their own."""
    factor = (OVERLOAD - usual) / max(offered - usual, 0.1)
    factor = min(max(factor, 1.0 / LARGEST_CORRECTION), LARGEST_CORRECTION)
    return replace(crowd, rate_per_s=round(crowd.rate_per_s * factor, 2))
