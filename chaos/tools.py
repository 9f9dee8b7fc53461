"""What a form of a fault may use to inject and to end it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mirr.chaos.campaigns import CampaignRequest
from mirr.chaos.fleet import Fleet
from mirr.chaos.load import Meter


@dataclass(frozen=True, kw_only=True)
class Tools:
    """The containers of one lab, the load of its services, campaigns of traffic, and how severe the fault is."""

    fleet: Fleet
    meter: Meter
    run_campaign: Callable[[CampaignRequest], None]  # starts it and keeps its lease alive
    end_campaign: Callable[[str], None]  # by its id
    alone: bool  # nothing else is broken, so the requests of all users reach their services
    severity: float  # in the unit of the fault's form; 0 if the form has no severity
