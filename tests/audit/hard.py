"""Scenarios of `hard`, and ones in which a part of the surroundings is another one."""

from __future__ import annotations

from dataclasses import replace

from mirr.env.scenario import Scenario, Scheduled, draw
from mirr.env.vocabulary import Bursts, Deploys, Event, Tier

SEEDS = range(12)
"""Among these seeds are ones with a burst, with two faults and without a fault."""


def hard(seed: int) -> Scenario:
    """The scenario of a seed."""
    return draw(seed, tier=Tier.HARD)


def without(scenario: Scenario, *kinds: type[Event], since: int = 0) -> Scenario:
    """The scenario without those events that come at `since` or later."""
    kept = [entry for entry in scenario.timeline if entry.step < since or not isinstance(entry.event, kinds)]
    return replace(scenario, timeline=tuple(kept))


def with_events(scenario: Scenario, *entries: Scheduled) -> Scenario:
    """The scenario with more events."""
    return replace(scenario, timeline=tuple(sorted([*scenario.timeline, *entries], key=lambda one: one.step)))


def deploys(scenario: Scenario) -> int:
    """How many harmless deploys went out before."""
    return sum(isinstance(event, Deploys) for event in scenario.at(0))


def bursts(scenario: Scenario) -> bool:
    """Whether a burst comes."""
    return any(isinstance(entry.event, Bursts) for entry in scenario.timeline)
