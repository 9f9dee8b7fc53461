"""The load generator of a fake lab."""

from __future__ import annotations

from mirr.chaos.campaigns import CampaignRequest
from mirr.chaos.errors import CampaignError, GeneratorAway
from mirr.env.vocabulary import TrafficChanges
from tests.fakes.lab import FakeLab


class FakeCampaigns:
    """The load generator of a FakeLab."""

    def __init__(self, lab: FakeLab) -> None:
        self._lab = lab

    def start(self, campaign: CampaignRequest, lease_s: float) -> None:
        self._check()
        self._lab.start(campaign, lease_s)

    def renew(self, campaign: CampaignRequest, lease_s: float) -> bool:
        self._check()
        return self._lab.renew_lease(campaign, lease_s)

    def running(self) -> list[str]:
        self._check()
        return list(self._lab.running_campaigns)

    def stop(self, campaign_id: str) -> None:
        self._check()
        self._lab.running_campaigns.pop(campaign_id, None)

    def stop_all(self) -> list[str]:
        self._check()
        return self._lab.stop_all()

    def change_traffic(self, change: TrafficChanges, lease_s: float) -> None:
        self._check()
        self._lab.change_traffic(change, lease_s)

    def renew_traffic(self, lease_s: float) -> bool:
        self._check()
        return self._lab.renew_traffic(lease_s)

    def reset_traffic(self) -> bool:
        self._check()
        return self._lab.reset_traffic()

    def _check(self) -> None:
        if self._lab.generator_elsewhere or self._lab.clock.now() < self._lab.generator_answers_from:
            raise GeneratorAway("the load generator at http://fake does not answer (ConnectionError); next: mirr up")
        if self._lab.generator_hangs:
            raise CampaignError("the load generator at http://fake does not answer (ReadTimeout); next: mirr up")
