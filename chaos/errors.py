"""What can go wrong when injecting and reverting. Each message says what happened, where, and what to do next.

ChaosError
├── FleetError      the engine did not do what was asked of a container
│   └── NotReverted    something could not be put back; the rest was
├── CampaignError   the load generator did not do what was asked of it
│   └── GeneratorAway   nobody listens there: it is not there, or still starting, and so has no campaigns
├── JournalError    what is about to be done could not be written down, so it was not done
└── Refused         it was not tried: too much is broken, or somebody else is at it
"""

from __future__ import annotations

from collections.abc import Sequence


class ChaosError(Exception):
    """A fault could not be injected or put back."""


class FleetError(ChaosError):
    """The engine did not do what was asked of a container."""


class NotReverted(FleetError):
    """Something could not be put back. The rest was: `done` says what, in words."""

    def __init__(self, problems: Sequence[str], done: Sequence[str]) -> None:
        different = list(dict.fromkeys(problems))
        said = different[0] if len(different) == 1 else f"{len(different)} things failed: " + " | ".join(different)
        super().__init__(said)
        self.done = list(done)


class CampaignError(ChaosError):
    """The load generator did not do what was asked of it."""


class GeneratorAway(CampaignError):
    """Nobody listens where the load generator should."""


class JournalError(ChaosError):
    """The journal could not be written or read."""


class Refused(ChaosError):
    """An injection was not tried."""
