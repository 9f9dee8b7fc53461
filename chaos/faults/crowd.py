"""`overloaded/crowd`: a flash crowd offers more work than the quota can do."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from mirr.chaos.campaigns import campaign_id
from mirr.chaos.crowd_sizing import CrowdPlan, enough, gather
from mirr.chaos.form import ContainerForm, Mend, Texts
from mirr.chaos.sight import Sight
from mirr.chaos.tools import Tools
from mirr.env.simulator.parameters import load_parameters
from mirr.env.vocabulary import FaultMode, Feature, Service

SENDS = "flash_crowd"


@cache
def times_usual(service: Service) -> float:
    """What one request costs, as a multiple of an ordinary one. The simulator's parameters have it from recordings."""
    own = load_parameters().services[service]
    return own.surge_request_cpu_s / own.request_cpu_s


def plan(service: Service, severity: float) -> CrowdPlan:
    """How large the crowd has to be. Its severity is the load that it brings, as a multiple of the steady quota."""
    return CrowdPlan(kind=SENDS, overload=severity, enough=enough(severity, most=2.0), times_usual=times_usual(service))


def inject(tools: Tools, service: Service) -> Iterator[float]:
    """Send the crowd. Its size fits this machine."""
    return gather(tools, service, plan(service, tools.severity))


def landed(sight: Sight) -> bool:
    """The service answers, but misses an objective."""
    return sight.feature(Feature.UP) == 1.0 and sight.misses_an_objective


def end(tools: Tools, service: Service) -> None:
    """Stop the crowd."""
    tools.end_campaign(campaign_id(SENDS, service))


FORM = ContainerForm(
    mode=FaultMode.OVERLOADED,
    inject=inject,
    landed=landed,
    end=end,
    mend=Mend.NOTHING,
    sends=SENDS,
    texts=Texts(
        happens="A flash crowd asks SERVICE for SEVERITY times the work that its CPU quota can do. It gets slow, "
        "then it turns requests away.",
        reverts="the crowd is stopped",
        title="A flash crowd overloads SERVICE, and twice the CPU is enough for it",
        strikes="a flash crowd comes to SERVICE",
        fix="Scaling up fixes it: the crowd stays, but twice the quota is enough for it.",
        other_fixes="After a restart the crowd is still there, and there is no earlier release.",
    ),
)
