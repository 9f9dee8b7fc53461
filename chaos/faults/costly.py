"""`overloaded/costly`: few clients ask for much at once, so that a few requests a second are too much work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mirr.chaos.campaigns import campaign_id
from mirr.chaos.crowd_sizing import CrowdPlan, Expensive, enough, gather
from mirr.chaos.form import ContainerForm, Mend, Texts
from mirr.chaos.sight import Sight
from mirr.chaos.tools import Tools
from mirr.env.vocabulary import FaultMode, Feature, Service

SENDS = "costly"

EXPENSIVE: Mapping[Service, Expensive] = {
    Service.GATEWAY: Expensive(route="/storefronts", times_usual=26.0),
    Service.AUTH: Expensive(route="/staff/sessions", times_usual=11.0),
    Service.INVENTORY: Expensive(route="/catalogue", times_usual=23.0),
    Service.ORDERS: Expensive(route="/bulk-quotes", times_usual=9.5),
    Service.PAYMENTS: Expensive(route="/statement", times_usual=7.5),
}
"""What is sent to each service. One request costs about 0.06 s of CPU on the reference machine.

It must not cost much more. The services work in order of arrival, so an ordinary request waits for a costly one. With
0.1 s each, twice the quota would be enough for the work, and still be too slow for the objective of the latency."""

MOST = 1.6
"""The load at which requests wait too long even with twice the quota."""


def plan(service: Service, severity: float) -> CrowdPlan:
    """How many of the requests have to come. The severity is the load with them, as a multiple of the steady quota."""
    return CrowdPlan(
        kind=SENDS,
        overload=severity,
        enough=enough(severity, most=MOST),
        called="crowd of costly requests",
        expensive=EXPENSIVE[service],
    )


def inject(tools: Tools, service: Service) -> Iterator[float]:
    """Send the requests. Their number fits this machine."""
    return gather(tools, service, plan(service, tools.severity))


def landed(sight: Sight) -> bool:
    """The service answers, but misses an objective."""
    return sight.feature(Feature.UP) == 1.0 and sight.misses_an_objective


def end(tools: Tools, service: Service) -> None:
    """Stop the requests."""
    tools.end_campaign(campaign_id(SENDS, service))


FORM = ContainerForm(
    mode=FaultMode.OVERLOADED,
    inject=inject,
    landed=landed,
    end=end,
    mend=Mend.NOTHING,
    sends=SENDS,
    texts=Texts(
        happens="A few clients send SERVICE requests that cost many times the usual. These are few, but with them the "
        "service is asked for SEVERITY times the work that its CPU quota can do. It gets slow, then it turns requests "
        "away.",
        reverts="the costly requests are stopped",
        title="A few costly requests overload SERVICE, and twice the CPU is enough for them",
        strikes="a few clients begin to send SERVICE costly requests",
        fix="Scaling up fixes it: the costly requests stay, but twice the quota is enough for them.",
        other_fixes="After a restart the requests still come, and there is no earlier release.",
    ),
)
