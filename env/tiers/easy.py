"""`easy`, the base task: one of the 20 faults in its first form, as severe as it usually is."""

from __future__ import annotations

from typing import Any

from mirr.env.dice import below
from mirr.env.scenario import DRAW_OF_THE_FAULT, Scheduled, checked_fault
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import Numbers, jit
from mirr.env.simulator.fast.timeline import plan_event
from mirr.env.tiers.rules import Rules
from mirr.env.vocabulary import ALL_FAULTS, Breaks, Fault


def drawn_fault(key: int) -> Fault:
    """The fault of the stream with that key. Its service is the same in every tier."""
    return ALL_FAULTS[below(key, DRAW_OF_THE_FAULT, len(ALL_FAULTS))]


def timeline(key: int, fault: Fault | None) -> tuple[Scheduled, ...]:
    """One fault, from the beginning."""
    return (Scheduled(0, Breaks(drawn_fault(key) if fault is None else checked_fault(fault))),)


@jit
def choose(s: Numbers, key: Any, i: int) -> None:
    """The fault is there from the beginning."""
    plan_event(s, 0.0, k.BREAKS, 0.0, 0.0, 0.0, 0.0)


RULES = Rules(
    says="one of the 20 faults in its usual form, as severe as it usually is", timeline=timeline, choose=choose
)
