"""What the lab says about faults, whatever a journal says: somebody else may have another journal."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mirr.chaos.campaigns import Campaigns, campaign_id
from mirr.chaos.errors import CampaignError
from mirr.chaos.faults import campaign_kinds, form_of
from mirr.chaos.fleet import Fleet, ServiceState
from mirr.chaos.form import Mend
from mirr.chaos.journal import OpenFault
from mirr.env.vocabulary import STEADY_RELEASE, Fault, Service
from mirr.lab.releases import SOUND_RELEASE

_SURELY_LATER_S = 1.0
"""From a fault to a process that has begun after it. Clocks that are compared differ by less."""


def standing(faults: Iterable[OpenFault], fleet: Fleet, campaigns: Campaigns, *, skew_s: float = 0.0) -> list[Fault]:
    """Those of the journal's open faults that the lab still has, as far as its engine and its load generator tell.

    `skew_s` is by how much the engine's clock is ahead of the journal's. Raises FleetError."""
    faults = list(faults)
    try:
        running = campaigns.running() if faults else []
    except CampaignError:
        running = None  # a campaign that cannot be asked about may run
    return [one.fault for one in faults if _stands(one, fleet.state(one.fault.service), running, skew_s)]


def _stands(open_fault: OpenFault, state: ServiceState | None, running: Collection[str] | None, skew_s: float) -> bool:
    fault, form = open_fault.fault, form_of(open_fault.fault)
    if form.sends is not None and (running is None or campaign_id(form.sends, fault.service) in running):
        return True
    match form.mend:
        case Mend.NOTHING:
            return form.sends is None  # nothing here tells about a form that sends nothing and needs no mend
        case Mend.RESTART:
            return state is None or state.started_at < open_fault.at + skew_s + _SURELY_LATER_S
        case Mend.RECREATE:
            return state is None or state.release != STEADY_RELEASE


def broken_by_others(known: Collection[Service | None], fleet: Fleet, campaigns: Campaigns) -> list[Service]:
    """The services that are broken, as far as the engine and the load generator tell, and that are not `known` to be.

    Raises FleetError."""
    try:
        running = campaigns.running()
    except CampaignError:
        running = []
    return [
        service
        for service in Service
        if service not in known
        and (
            any(campaign_id(kind, service) in running for kind in campaign_kinds())
            or _looks_broken(fleet.state(service))
        )
    ]


def _looks_broken(state: ServiceState | None) -> bool:
    if state is None or not state.running or state.paused or state.hung:
        return True
    return state.release not in (STEADY_RELEASE, SOUND_RELEASE)
