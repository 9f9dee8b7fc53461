"""`memory_leak/leak`: a client leaves memory behind with each request."""

from __future__ import annotations

from collections.abc import Iterator

from mirr.chaos.campaigns import CampaignRequest, campaign_id
from mirr.chaos.form import ContainerForm, Mend, Texts
from mirr.chaos.sight import Sight
from mirr.chaos.tools import Tools
from mirr.env.vocabulary import FaultMode, Feature, Service

SENDS = "unique_keys"

LEAK_RATES_PER_S: dict[Service, float] = {
    Service.GATEWAY: 8.0,  # it keeps each body twice: as it came, and as it was answered
    Service.AUTH: 10.0,
    Service.INVENTORY: 10.0,
    Service.ORDERS: 10.0,
    Service.PAYMENTS: 8.0,  # a charge costs the most CPU time, and on a slow machine 10 a second fill the quota
}
"""New client keys a second, each with a body of 800 KiB, for a leak as severe as `RATES_ARE_FOR`. Memory then climbs by
3 to 4% of the limit a second. So the service misses its objective within three steps. After a restart it meets it for
two steps at least, even on a machine where a boot takes a whole step."""

RATES_ARE_FOR = 0.04
"""The severity, as a share of the memory limit a second, that the rates above bring."""

LANDED_AFTER_S = 4.5
"""For how long memory must have climbed before the leak counts as landed. A slow leak has not risen much by then."""


def inject(tools: Tools, service: Service) -> Iterator[float]:
    """Start the client."""
    rate_per_s = LEAK_RATES_PER_S[service] * (tools.severity / RATES_ARE_FOR)
    tools.run_campaign(CampaignRequest(kind=SENDS, service=service, rate_per_s=rate_per_s))
    return iter(())


def landed(sight: Sight) -> bool:
    """Memory has climbed for a while."""
    return sight.rise(Feature.MEMORY_SHARE) >= sight.severity * LANDED_AFTER_S


def end(tools: Tools, service: Service) -> None:
    """Stop the client. Restart the process, because only a new process has free memory."""
    tools.end_campaign(campaign_id(SENDS, service))
    tools.fleet.restart(service)


FORM = ContainerForm(
    mode=FaultMode.MEMORY_LEAK,
    inject=inject,
    landed=landed,
    end=end,
    mend=Mend.RESTART,
    sends=SENDS,
    texts=Texts(
        happens="A client sends SERVICE a new key and a large body each time. A ledger in memory keeps them all, so "
        "memory climbs until the kernel's OOM killer ends the process.",
        reverts="the client is stopped and the process restarted",
        title="SERVICE leaks memory, and a restart gives time until the client is gone",
        strikes="a client begins to send SERVICE a new key with each request",
        fix="A restart fixes it for a while: memory starts empty, and climbs again as long as the client stays.",
        other_fixes="More CPU frees no memory, and there is no earlier release.",
        ends="the client leaves, and SERVICE gets a new process",
    ),
)
