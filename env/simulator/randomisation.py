"""The parameters that a simulated world may have: one set, or many from which each episode gets one."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from env.simulator.compiled import numbers, table
from env.simulator.parameters import Parameters, load_parameters
from env.simulator.profile import rules


@functools.cache
def default_parameters() -> Parameters:
    """Those of the project's file."""
    return load_parameters()


class ParameterSets:
    """Sets of parameters, and for each the row of numbers that the kernel reads."""

    def __init__(self, sets: Sequence[Parameters]) -> None:
        self.sets = tuple(sets)
        self.tick_s = self.sets[0].tick_s
        self.rows: Any = table(len(self.sets), 0)
        found = [numbers(rules(each)) for each in self.sets]
        self.rows = table(len(found), len(found[0]))
        for place, row in enumerate(found):
            self.rows[place][:] = row

    def ticks(self, seconds: float) -> int:
        """So many seconds in ticks."""
        ticks = seconds / self.tick_s
        if ticks != int(ticks) or ticks < 1:
            raise ValueError(f"the simulator advances in whole ticks of {self.tick_s:g} s; got {seconds!r}")
        return int(ticks)


def fixed_parameters(parameters: Parameters | None = None) -> ParameterSets:
    """The one set that every episode gets."""
    return ParameterSets([parameters or default_parameters()])
