"""What can go wrong when injecting and reverting. Each message says what happened, where, and what to do next.

ChaosError
├── FleetError      the engine did not do what was asked of a container
└── CampaignError   the load generator did not do what was asked of it
"""

from __future__ import annotations


class ChaosError(Exception):
    """A fault could not be injected or put back."""


class FleetError(ChaosError):
    """The engine did not do what was asked of a container."""


class CampaignError(ChaosError):
    """The load generator did not do what was asked of it."""
