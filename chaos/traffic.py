"""How often users come, as the journal has it. The load generator lets them come (traffic/level.py)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from mirr.env.vocabulary import TrafficChanges

USUAL = 1.0
"""The level of the traffic if nobody has changed it, times the usual rate."""

_PARTS = 32  # a change is a line, so the middles of so many parts are exact enough

History = Sequence[tuple[float, TrafficChanges | None]]
"""Since which Unix time which change holds, oldest first. None: users come as usual again."""


def level_after(change: TrafficChanges, seconds: float) -> float:
    """The level, `seconds` after a change began."""
    share = min(1.0, seconds / change.over_s) if change.over_s > 0 else 1.0
    return change.first + (change.last - change.first) * share


def level_at(history: History, at: float) -> float:
    """The level at the Unix time `at`."""
    for began, change in reversed(history):
        if began <= at:
            return USUAL if change is None else level_after(change, at - began)
    return USUAL


def mean_level(history: History, began: float, ended: float) -> float:
    """The mean level from one Unix time to another."""
    part_s = (ended - began) / _PARTS
    return fmean(level_at(history, began + (number + 0.5) * part_s) for number in range(_PARTS))
