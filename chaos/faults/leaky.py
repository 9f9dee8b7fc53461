"""`bad_deploy/leaky`: a faulty release keeps memory of each request, and each boot starts with more of it."""

from __future__ import annotations

from mirr.chaos.deploys import FaultyRelease
from mirr.chaos.form import ContainerForm, Mend, Texts
from mirr.chaos.sight import Sight
from mirr.env.vocabulary import NEXT_RELEASE, STEADY_RELEASE, FaultMode, Feature
from mirr.lab.releases import LEAKY_RELEASE, mild, strong

RELEASE = FaultyRelease({0.015: mild(LEAKY_RELEASE), 0.04: LEAKY_RELEASE, 0.05: strong(LEAKY_RELEASE)})
"""By the share of the memory limit that a second of the usual traffic fills."""

LANDED_AFTER_S = 3.0
"""How many seconds of the usual traffic memory must have kept before the fault counts as landed. With its boot, the
release then lands before the first window of an episode opens."""


def landed(sight: Sight) -> bool:
    """Memory has climbed since before the deploy."""
    return sight.rise(Feature.MEMORY_SHARE) >= LANDED_AFTER_S * sight.severity


FORM = ContainerForm(
    mode=FaultMode.BAD_DEPLOY,
    inject=RELEASE.inject,
    landed=landed,
    end=RELEASE.end,
    mend=Mend.RECREATE,
    severities=RELEASE.severities,
    relief_steps=4,  # memory starts below half of the limit, and needs up to 8 s to reach its objective
    texts=Texts(
        happens=f"A faulty release {NEXT_RELEASE} of SERVICE replaces {STEADY_RELEASE}. It keeps a recording of each "
        "request in memory, and nobody collects them, until the kernel's OOM killer ends the process.",
        reverts=f"the container is replaced by one of {STEADY_RELEASE} with fresh data",
        title="A release of SERVICE keeps too much in memory, and a rollback removes it",
        strikes="a release of SERVICE that keeps every request in memory is deployed",
        fix="A rollback fixes it: the earlier release records nothing.",
        other_fixes="A restart helps for a few steps: memory climbs again, from a higher start each time. More CPU "
        "frees no memory.",
    ),
)
