"""`bad_deploy/slow`: a faulty release needs many times the CPU for each request, and more after each boot."""

from __future__ import annotations

from mirr.chaos.deploys import FaultyRelease
from mirr.chaos.form import ContainerForm, Mend, Texts
from mirr.chaos.sight import Sight
from mirr.env.objectives import OBJECTIVES
from mirr.env.vocabulary import NEXT_RELEASE, STEADY_RELEASE, FaultMode, Feature
from mirr.lab.releases import SLOW_RELEASE, mild, strong

RELEASE = FaultyRelease({12.0: mild(SLOW_RELEASE), 14.0: SLOW_RELEASE, 18.0: strong(SLOW_RELEASE)})
"""By the work that each boot adds to each request, in ordinary requests. From 12 on, twice the quota is not enough for
any service, even with three quarters of the usual traffic."""


def landed(sight: Sight) -> bool:
    """The faulty release runs, and answers late or turns requests away."""
    late = sight.feature(Feature.LATENCY_P95_S) > OBJECTIVES.latency_p95_s
    return sight.service in sight.now.degraded and (late or sight.feature(Feature.ERROR_RATIO) > OBJECTIVES.error_ratio)


FORM = ContainerForm(
    mode=FaultMode.BAD_DEPLOY,
    inject=RELEASE.inject,
    landed=landed,
    end=RELEASE.end,
    mend=Mend.RECREATE,
    severities=RELEASE.severities,
    texts=Texts(
        happens=f"A faulty release {NEXT_RELEASE} of SERVICE replaces {STEADY_RELEASE}. Before each answer it verifies "
        "an entry for each of its boots, and one entry takes the CPU of many requests. It gets slow, then it turns "
        "requests away.",
        reverts=f"the container is replaced by one of {STEADY_RELEASE} with fresh data",
        title="A release of SERVICE needs too much CPU, and a rollback removes it",
        strikes="a release of SERVICE that needs too much CPU is deployed",
        fix="A rollback fixes it: the earlier release verifies nothing.",
        other_fixes="A restart is one more boot, so it makes things worse. Twice the CPU is not enough.",
    ),
)
