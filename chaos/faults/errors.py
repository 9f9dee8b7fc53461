"""`bad_deploy/errors`: a faulty release fails on the rows that its migration spoiled."""

from __future__ import annotations

from mirr.chaos.deploys import FaultyRelease
from mirr.chaos.form import ContainerForm, Mend, Texts
from mirr.chaos.sight import Sight
from mirr.env.objectives import OBJECTIVES
from mirr.env.vocabulary import NEXT_RELEASE, STEADY_RELEASE, FaultMode, Feature
from mirr.lab.releases import mild, strong

RELEASE = FaultyRelease({0.25: mild(NEXT_RELEASE), 0.5: NEXT_RELEASE, 0.75: strong(NEXT_RELEASE)})
"""By the share of the sound rows that each boot spoils."""


def landed(sight: Sight) -> bool:
    """The faulty release runs, and requests fail."""
    return sight.service in sight.now.degraded and sight.feature(Feature.ERROR_RATIO) > OBJECTIVES.error_ratio


FORM = ContainerForm(
    mode=FaultMode.BAD_DEPLOY,
    inject=RELEASE.inject,
    landed=landed,
    end=RELEASE.end,
    mend=Mend.RECREATE,
    severities=RELEASE.severities,
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
