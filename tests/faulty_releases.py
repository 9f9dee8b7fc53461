"""What the faulty releases do on the fake lab. A release that is not of a kind does nothing of that kind."""

from __future__ import annotations

import math

from mirr.chaos.faults import crashing, leaky, slow

CARRIED_S = 2.0


def is_slow(release: str) -> bool:
    """Whether twice the quota is not enough for it."""
    return slow.RELEASE.severity_of(release) > 0.0


def kept_per_s(release: str) -> float:
    """The share of the memory limit that it keeps in a second."""
    return leaky.RELEASE.severity_of(release)


def kept_at_boot(release: str, boots: int) -> float:
    """The share of the memory limit that its process of that number starts with."""
    return leaky.RELEASE.severity_of(release) * CARRIED_S * (boots - 1)


def lives_s(release: str, boots: int) -> float:
    """How long its process of that number runs; infinity if it does not end by itself."""
    first_s = crashing.RELEASE.severity_of(release)
    return first_s / 2 ** (boots - 1) if first_s else math.inf
