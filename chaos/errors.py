"""What can go wrong when injecting and reverting. Each message says what happened, where, and what to do next.

ChaosError
├── FleetError      the engine did not do what was asked of a container
│   └── NotReverted    something could not be reverted; the rest was
├── CampaignError   the load generator did not do what was asked of it
│   └── GeneratorAway   nothing listens there: the generator is gone or still starting, so it has no campaigns
├── JournalError    the journal could not be written, so nothing was done
└── Refused         nothing was tried: too much is broken, or somebody else works on the lab
"""

from __future__ import annotations

from collections.abc import Sequence


class ChaosError(Exception):
    """A fault could not be injected or reverted."""


class FleetError(ChaosError):
    """The engine did not do what was asked of a container."""


class NotReverted(FleetError):
    """Something could not be reverted. Everything else was; `done` says what, as texts."""

    def __init__(self, problems: Sequence[str], done: Sequence[str]) -> None:
        different = list(dict.fromkeys(problems))
        said = different[0] if len(different) == 1 else f"{len(different)} things failed: " + " | ".join(different)
        super().__init__(said)
        self.done = list(done)


class CampaignError(ChaosError):
    """The load generator did not do what was asked of it."""


class GeneratorAway(CampaignError):
    """Nothing listens at the address of the load generator."""


class JournalError(ChaosError):
    """The journal could not be written or read."""


class Refused(ChaosError):
    """An injection was not tried."""
