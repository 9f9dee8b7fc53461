"""What can go wrong when injecting and reverting. Each message says what happened, where, and what to do next.

ChaosError
├── FleetError      the engine did not do what was asked of a container
│   ├── NotReverted    something could not be reverted; the rest was
│   ├── NoProcess      a container has no process to send a signal to, perhaps not yet
│   └── ImageMissing   a container could not be made, so the old one was left as it is
├── CampaignError   the load generator did not do what was asked of it
│   └── GeneratorAway   it cannot be reached: it is gone, or still starts, or is not where we look for it
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


class ImageMissing(FleetError):
    """A container cannot be made, because its image is missing. Nothing was done."""


class NoProcess(FleetError):
    """The container runs, but has no process that got the signal. One that has just started may not have it yet."""


class CampaignError(ChaosError):
    """The load generator did not do what was asked of it."""


class GeneratorAway(CampaignError):
    """The load generator cannot be reached at its address.

    This does not show that it has no campaigns: it may run where this process cannot reach it."""


class JournalError(ChaosError):
    """The journal could not be written or read."""


class Refused(ChaosError):
    """An injection was not tried."""
