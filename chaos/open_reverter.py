"""Opens the reverter of a lab from what is on the engine. It needs neither Prometheus nor the load generator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docker.errors import DockerException
from requests.exceptions import RequestException

from mirr.chaos.campaigns import CampaignRequest, Campaigns, HttpCampaigns
from mirr.chaos.docker_fleet import DockerFleet
from mirr.chaos.errors import CampaignError, GeneratorAway
from mirr.chaos.journal import Journal
from mirr.chaos.reverter import Reverter
from mirr.env.vocabulary import TrafficChanges
from mirr.lab.containers import LabContainers
from mirr.lab.errors import LabNotUp
from mirr.lab.installation import HERE
from mirr.lab.loopback import direct_session
from mirr.lab.refusals import in_words
from mirr.lab.state import state_path

if TYPE_CHECKING:
    from docker import DockerClient


class FoundCampaigns:
    """The campaigns and the users of the load generator that the lab has at the moment of each call."""

    def __init__(self, containers: LabContainers) -> None:
        self._containers = containers

    def start(self, campaign: CampaignRequest, lease_s: float) -> None:
        self._now().start(campaign, lease_s)

    def renew(self, campaign: CampaignRequest, lease_s: float) -> bool:
        return self._now().renew(campaign, lease_s)

    def running(self) -> list[str]:
        return self._now().running()

    def stop(self, campaign_id: str) -> None:
        self._now().stop(campaign_id)

    def stop_all(self) -> list[str]:
        return self._now().stop_all()

    def change_traffic(self, change: TrafficChanges, lease_s: float) -> None:
        self._now().change_traffic(change, lease_s)

    def renew_traffic(self, lease_s: float) -> bool:
        return self._now().renew_traffic(lease_s)

    def reset_traffic(self) -> bool:
        return self._now().reset_traffic()

    def _now(self) -> Campaigns:
        try:
            return HttpCampaigns(self._containers.traffic_url, direct_session())
        except LabNotUp as error:
            raise GeneratorAway(str(error)) from error
        except (DockerException, RequestException) as error:
            raise CampaignError(f"the engine did not say where the load generator is ({in_words(error)})") from error


def open_reverter(client: DockerClient, lab: str, journal: Journal | None = None) -> Reverter:
    """The reverter of `lab`, by its own journal unless one is given. Raises LabNotUp if the lab has no container."""
    containers = LabContainers(client, lab)
    if not containers.all():
        raise LabNotUp(f"lab {lab} is not up; start it with: {HERE.command('up', lab)}")
    # The folder is not created: the kill switch also works where none can be.
    journal = journal or Journal(state_path(lab))
    return Reverter(DockerFleet(client.api, lab, journal), FoundCampaigns(containers), journal)
