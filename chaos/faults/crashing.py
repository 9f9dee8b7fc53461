"""`bad_deploy/crashing`: a faulty release ends its own process after some requests, and sooner after each boot."""

from __future__ import annotations

from mirr.chaos.deploys import FaultyRelease
from mirr.chaos.form import ContainerForm, Mend, Texts
from mirr.chaos.sight import Sight
from mirr.env.vocabulary import NEXT_RELEASE, STEADY_RELEASE, FaultMode
from mirr.lab.releases import CRASHING_RELEASE, mild, strong

RELEASE = FaultyRelease({2.0: strong(CRASHING_RELEASE), 3.0: CRASHING_RELEASE, 4.0: mild(CRASHING_RELEASE)})
"""By the seconds of the usual traffic until the first process ends. It has to end before the first window opens."""


def landed(sight: Sight) -> bool:
    """The first process of the faulty release has ended."""
    return sight.container is not None and not sight.container.running


FORM = ContainerForm(
    mode=FaultMode.BAD_DEPLOY,
    inject=RELEASE.inject,
    landed=landed,
    end=RELEASE.end,
    mend=Mend.RECREATE,
    severities=RELEASE.severities,
    relief_steps=1,  # the second process lives for half as long as the first, after its boot
    texts=Texts(
        happens=f"A faulty release {NEXT_RELEASE} of SERVICE replaces {STEADY_RELEASE}. Each request takes a "
        "number, and each boot reserves half of those that are left. Without a number the process exits, and nothing "
        "starts it again.",
        reverts=f"the container is replaced by one of {STEADY_RELEASE} with fresh data",
        title="A release of SERVICE exits after some requests, and a rollback removes it",
        strikes="a release of SERVICE that exits after some requests is deployed",
        fix="A rollback fixes it, also while the process is down: the earlier release needs no numbers.",
        other_fixes="A restart helps for seconds, and for half as long each time. Nothing that could be scaled runs.",
    ),
)
