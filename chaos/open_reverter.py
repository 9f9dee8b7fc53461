"""Puts together what reverts a lab, from what stands on the engine: needs neither Prometheus nor the load generator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests

from mirr.chaos.campaigns import CampaignRequest, Campaigns, HttpCampaigns
from mirr.chaos.docker_fleet import DockerFleet
from mirr.chaos.errors import GeneratorAway
from mirr.chaos.journal import Journal
from mirr.chaos.reverter import Reverter
from mirr.lab.containers import LabContainers
from mirr.lab.errors import LabNotUp
from mirr.lab.installation import HERE
from mirr.lab.state import state_dir

if TYPE_CHECKING:
    from docker import DockerClient


class FoundCampaigns:
    """The campaigns of whatever load generator the lab has when it is asked; none is GeneratorAway."""

    def __init__(self, containers: LabContainers) -> None:
        self._containers = containers

    def start(self, campaign: CampaignRequest, lease_s: float) -> None:
        self._now().start(campaign, lease_s)

    def renew(self, campaign: CampaignRequest, lease_s: float) -> bool:
        return self._now().renew(campaign, lease_s)

    def stop(self, campaign_id: str) -> None:
        self._now().stop(campaign_id)

    def stop_all(self) -> int:
        return self._now().stop_all()

    def _now(self) -> Campaigns:
        try:
            return HttpCampaigns(self._containers.traffic_url, requests.Session())
        except LabNotUp as error:
            raise GeneratorAway(str(error)) from error


def open_reverter(client: DockerClient, lab: str) -> Reverter:
    """What reverts `lab`, as far as it stands. Raises LabNotUp where nothing of it does."""
    containers = LabContainers(client, lab)
    if not containers.all():
        raise LabNotUp(f"lab {lab} is not up; start it with: {HERE.command('up', lab)}")
    # After the lab was found: one that is not there is to leave no traces.
    journal = Journal(state_dir(lab))
    return Reverter(DockerFleet(client.api, lab, journal), FoundCampaigns(containers), journal)
