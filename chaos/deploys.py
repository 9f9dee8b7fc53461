"""A faulty release as a fault: it is deployed over what runs, and ends when its team rolls it back.

Each strength of a faulty release has an image of its own (lab/releases.py). A fault is as severe as the nearest one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mirr.chaos.errors import FleetError
from mirr.chaos.fleet import Fleet
from mirr.chaos.tools import Tools
from mirr.env.vocabulary import Service


def deploy_over(fleet: Fleet, service: Service, release: str) -> None:
    """Deploy `release` over what runs now. A rollback then goes back to that. Raises FleetError."""
    state = fleet.state(service)
    if state is None:
        raise FleetError(f"{service} has no container to deploy to; next: mirr up")
    fleet.deploy(service, release, previous=state.release)


@dataclass(frozen=True)
class FaultyRelease:
    """The builds of one faulty release, by their severity in the unit of the form."""

    builds: Mapping[float, str]

    @property
    def severities(self) -> tuple[float, ...]:
        """The severities that have a build, in rising order."""
        return tuple(sorted(self.builds))

    def severity_of(self, release: str) -> float:
        """The severity of a build; 0 if `release` is none of them."""
        return next((severity for severity, build in self.builds.items() if build == release), 0.0)

    def inject(self, tools: Tools, service: Service) -> Iterator[float]:
        """Deploy the build of this severity over what runs, in one stage."""
        deploy_over(tools.fleet, service, self.builds[tools.severity])
        return iter(())

    def end(self, tools: Tools, service: Service) -> None:
        """The team rolls the release back, if nobody has done so yet."""
        state = tools.fleet.state(service)
        if state is not None and state.release in self.builds.values() and state.previous_release is not None:
            tools.fleet.deploy(service, state.previous_release, previous=None)
