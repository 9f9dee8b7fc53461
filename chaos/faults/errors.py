"""`bad_deploy/errors`: a faulty release fails on the rows that its migration spoiled."""

from __future__ import annotations

from collections.abc import Iterator

from mirr.chaos.form import ContainerForm, Mend, Texts
from mirr.chaos.sight import Sight
from mirr.chaos.tools import Tools, deploy_over
from mirr.env.objectives import OBJECTIVES
from mirr.env.vocabulary import NEXT_RELEASE, STEADY_RELEASE, FaultMode, Feature, Service


def inject(tools: Tools, service: Service) -> Iterator[float]:
    """Deploy the faulty release over the steady one."""
    deploy_over(tools.fleet, service, NEXT_RELEASE)
    return iter(())


def landed(sight: Sight) -> bool:
    """The faulty release runs, and requests fail."""
    return sight.service in sight.now.degraded and sight.feature(Feature.ERROR_RATIO) > OBJECTIVES.error_ratio


def end(tools: Tools, service: Service) -> None:
    """The team rolls the release back, if nobody has done so yet."""
    state = tools.fleet.state(service)
    if state is not None and state.previous_release is not None:
        tools.fleet.deploy(service, state.previous_release, previous=None)


FORM = ContainerForm(
    mode=FaultMode.BAD_DEPLOY,
    inject=inject,
    landed=landed,
    end=end,
    mend=Mend.RECREATE,
    texts=Texts(
        happens=f"A faulty release {NEXT_RELEASE} of SERVICE replaces {STEADY_RELEASE}. It has an image of its own. "
        "Each of its boots spoils more of the rows that it reads.",
        reverts=f"the container is replaced by one of {STEADY_RELEASE} with fresh data",
        title="A faulty release of SERVICE is deployed, and a rollback removes it",
        strikes="a faulty release of SERVICE is deployed",
        fix="A rollback fixes it: the earlier release reads a column that is not spoiled.",
        other_fixes="A restart is one more boot, so it makes things worse. More CPU changes nothing.",
    ),
)
