"""The policies that others are compared with: the floor, brute force, and the ceiling."""

from __future__ import annotations

import numpy as np

from mirr.agents.reading import Reading
from mirr.env.environment import Observation
from mirr.env.scenario import Scenario
from mirr.env.vocabulary import (
    ACTIONS,
    REMEDY,
    Action,
    Breaks,
    Diagnose,
    DiagnoseNone,
    FaultMode,
    Feature,
    Fix,
    Restart,
    Rollback,
    ScaleUp,
    Service,
    Wait,
)

LEAK_IS_BACK_SHARE = 0.55  # share of the memory limit; just inside the objective


class WaitPolicy:
    """Never does anything."""

    def reset(self, rng: np.random.Generator) -> None:
        """Nothing to forget."""

    def act(self, observation: Observation) -> Action:
        """Wait."""
        return Wait()


class RandomPolicy:
    """Takes any action, each with the same probability."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    def reset(self, rng: np.random.Generator) -> None:
        """Keep this episode's generator."""
        self._rng = rng

    def act(self, observation: Observation) -> Action:
        """Choose one of the 41 actions at random."""
        return ACTIONS[int(self._rng.integers(len(ACTIONS)))]


class BruteForcePolicy:
    """Tries every fix on every service in turn. It never diagnoses, and stops when all looks well."""

    def __init__(self) -> None:
        self._untried: list[Fix] = []
        self._watching = False

    def reset(self, rng: np.random.Generator) -> None:
        """Begin again with all fixes."""
        self._untried = [kind(service) for service in Service for kind in (Restart, Rollback, ScaleUp)]
        self._watching = False

    def act(self, observation: Observation) -> Action:
        """Alternate between a fix and one step of waiting for its effect."""
        self._watching = not self._watching
        if not self._watching or not self._untried or Reading(observation.features).looks_well():
            return Wait()
        return self._untried.pop(0)


class OraclePolicy:
    """Knows the scenario: it diagnoses each fault when it begins, fixes it, and waits. The ceiling."""

    def __init__(self, scenario: Scenario) -> None:
        begun = [(entry.step, entry.event.fault) for entry in scenario.timeline if isinstance(entry.event, Breaks)]
        self._false_alarm = not begun
        # A leak comes back soon after its fix. So it is fixed last among faults that begin together.
        self._faults = sorted(begun, key=lambda entry: (entry[0], entry[1].mode is FaultMode.MEMORY_LEAK))
        self._todo: list[tuple[int, Action]] = []

    def reset(self, rng: np.random.Generator) -> None:
        """Make the plan."""
        self._todo = [(0, DiagnoseNone())] if self._false_alarm else []
        for step in sorted({step for step, _ in self._faults}):
            together = [fault for each, fault in self._faults if each == step]
            self._todo += [(step, Diagnose(fault.service, fault.mode)) for fault in together]
            self._todo += [(step, REMEDY[fault.mode](fault.service)) for fault in together]

    def act(self, observation: Observation) -> Action:
        """The next action of the plan that is due. A leak that has come back is fixed again."""
        if self._todo:
            return self._todo.pop(0)[1] if self._todo[0][0] <= observation.step else Wait()
        for _, fault in self._faults:
            share = observation.value(fault.service, Feature.MEMORY_SHARE)
            if fault.mode is FaultMode.MEMORY_LEAK and share > LEAK_IS_BACK_SHARE:
                return REMEDY[fault.mode](fault.service)
        return Wait()
