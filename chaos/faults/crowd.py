"""`overloaded/crowd`: a flash crowd offers more work than the quota can do."""

from __future__ import annotations

from collections.abc import Iterator

from mirr.chaos.campaigns import campaign_id
from mirr.chaos.crowd_sizing import CrowdPlan, gather
from mirr.chaos.form import ContainerForm, Mend, Texts
from mirr.chaos.sight import Sight
from mirr.chaos.tools import Tools
from mirr.env.vocabulary import FaultMode, Feature, Service

SENDS = "flash_crowd"

OVERLOAD = 1.45
"""Offered load as a multiple of the steady quota. It is well above the quota, and 0.72 of a doubled one."""

# Between these limits a load is too much for the quota, but well below twice the quota.
PLAN = CrowdPlan(kind=SENDS, overload=OVERLOAD, enough=(1.25, 1.55))


def inject(tools: Tools, service: Service) -> Iterator[float]:
    """Send the crowd. Its size fits this machine."""
    return gather(tools, service, PLAN)


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
        happens=f"A flash crowd asks SERVICE for {OVERLOAD} times the work that its CPU quota can do. It gets slow, "
        "then it turns requests away.",
        reverts="the crowd is stopped",
        title="A flash crowd overloads SERVICE, and twice the CPU is enough for it",
        strikes="a flash crowd comes to SERVICE",
        fix=f"Scaling up fixes it: the crowd stays, but it needs only {OVERLOAD / 2:.2f} of the doubled quota.",
        other_fixes="After a restart the crowd is still there, and there is no earlier release.",
    ),
)
