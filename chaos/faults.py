"""The four faults: for each mode, how it is injected and what mends its traces. One table, one row a mode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from chaos.campaigns import Campaign, CampaignKind, Campaigns
from chaos.errors import FleetError
from chaos.fleet import Fleet
from env.vocabulary import FaultMode, Service
from lab.names import NEXT_RELEASE, STEADY_RELEASE

LEAK_RATE_PER_S = 10.0  # new client keys a second, each with 800 KiB: 8 MB/s into a 192 MB limit

OVERLOAD = 1.45
"""Offered load as a multiple of the steady quota: well above it, and 0.72 of the doubled one."""


class Mend(IntEnum):
    """What a service needs to be as it was; a higher one includes the lower."""

    NOTHING = 0
    RESTART = 1  # a new process: it was down, or its memory is full of a leak
    RENEW = 2  # a new container with fresh data: a release was changed


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a service does at steady state, as measured."""

    cpu_cores: float  # used
    request_rate: float  # per second
    quota_cores: float


CROWD_COST_RATIO: dict[Service, float] = {
    Service.GATEWAY: 0.5,
    Service.AUTH: 1.6,
    Service.INVENTORY: 1.2,
    Service.ORDERS: 0.8,
    Service.PAYMENTS: 1.0,
}
"""CPU of one request of a flash crowd / CPU of the average steady request, per service. Measured once on the lab;
a ratio of two costs does not depend on how fast the machine is, and the average is measured on the spot."""


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What an injection may use."""

    fleet: Fleet
    campaigns: Campaigns
    load_of: Callable[[Service], Load]
    run_campaign: Callable[[Campaign], None]  # starts it and sees to its lease


@dataclass(frozen=True, kw_only=True)
class FaultPlan:
    """One row of the table."""

    inject: Callable[[Tools, Service], None]
    mend: Mend
    blurb: str  # what happens, for a person who injects it


def _kill(tools: Tools, service: Service) -> None:
    tools.fleet.kill(service)


def _leak(tools: Tools, service: Service) -> None:
    tools.run_campaign(Campaign(kind=CampaignKind.UNIQUE_KEYS, service=service, rate_per_s=LEAK_RATE_PER_S))


def _crowd(tools: Tools, service: Service) -> None:
    tools.run_campaign(flash_crowd(service, tools.load_of(service)))


def _deploy(tools: Tools, service: Service) -> None:
    state = tools.fleet.state(service)
    if state is None:
        raise FleetError(f"{service} has no container to deploy to; next: mirr up")
    tools.fleet.deploy(service, NEXT_RELEASE, previous=state.release)


FAULTS: dict[FaultMode, FaultPlan] = {
    FaultMode.CRASHED: FaultPlan(
        inject=_kill, mend=Mend.RESTART, blurb="SIGKILL to its process; it stays down and callers are refused"
    ),
    FaultMode.MEMORY_LEAK: FaultPlan(
        inject=_leak, mend=Mend.RESTART, blurb="a client sends a new key each time; memory climbs until the OOM killer"
    ),
    FaultMode.OVERLOADED: FaultPlan(
        inject=_crowd, mend=Mend.NOTHING, blurb="a flash crowd offers more work than its CPU quota can do"
    ),
    FaultMode.BAD_DEPLOY: FaultPlan(
        inject=_deploy, mend=Mend.RENEW, blurb=f"release {NEXT_RELEASE} is deployed over {STEADY_RELEASE}"
    ),
}


def flash_crowd(service: Service, load: Load, *, factor: float = 1.0) -> Campaign:
    """The campaign that brings `service` from its measured `load` to OVERLOAD times its quota; `factor` scales
    the crowd's rate. Raises FleetError where nothing is measured to size it by."""
    if not (load.request_rate > 0 and load.cpu_cores > 0):
        raise FleetError(f"{service} serves nothing, so a flash crowd cannot be sized; next: mirr status")
    cost_s = load.cpu_cores / load.request_rate * CROWD_COST_RATIO[service]
    missing_cores = OVERLOAD * load.quota_cores - load.cpu_cores
    return Campaign(
        kind=CampaignKind.FLASH_CROWD, service=service, rate_per_s=round(factor * missing_cores / cost_s, 2)
    )
