"""The policies that others are measured against: the floor, brute force, and the ceiling."""

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

LEAK_IS_BACK_SHARE = 0.55  # of the memory limit, just inside the objective


class WaitPolicy:
    """Never does anything."""

    def reset(self, rng: np.random.Generator) -> None:
        """Nothing to forget."""

    def act(self, observation: Observation) -> Action:
        """Wait."""
        return Wait()


class RandomPolicy:
    """Any action, all alike."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    def reset(self, rng: np.random.Generator) -> None:
        """Take this episode's dice."""
        self._rng = rng

    def act(self, observation: Observation) -> Action:
        """One of the 41."""
        return ACTIONS[int(self._rng.integers(len(ACTIONS)))]


class BruteForcePolicy:
    """Tries every fix on every service in turn, never says what is broken, and stops when all looks well."""

    def __init__(self) -> None:
        self._untried: list[Fix] = []
        self._watching = False

    def reset(self, rng: np.random.Generator) -> None:
        """All fixes are untried again."""
        self._untried = [kind(service) for service in Service for kind in (Restart, Rollback, ScaleUp)]
        self._watching = False

    def act(self, observation: Observation) -> Action:
        """A fix, a step to see what it did, the next one."""
        self._watching = not self._watching
        if not self._watching or not self._untried or Reading(observation.features).looks_well():
            return Wait()
        return self._untried.pop(0)


class OraclePolicy:
    """Is told the scenario: diagnoses each fault as it begins, fixes it, waits. The ceiling."""

    def __init__(self, scenario: Scenario) -> None:
        begun = [(entry.step, entry.event.fault) for entry in scenario.timeline if isinstance(entry.event, Breaks)]
        self._false_alarm = not begun
        # A leak is back soon after its fix, so of those that begin together it comes last.
        self._faults = sorted(begun, key=lambda entry: (entry[0], entry[1].mode is FaultMode.MEMORY_LEAK))
        self._todo: list[tuple[int, Action]] = []

    def reset(self, rng: np.random.Generator) -> None:
        """The plan, from its beginning."""
        self._todo = [(0, DiagnoseNone())] if self._false_alarm else []
        for step in sorted({step for step, _ in self._faults}):
            together = [fault for each, fault in self._faults if each == step]
            self._todo += [(step, Diagnose(fault.service, fault.mode)) for fault in together]
            self._todo += [(step, REMEDY[fault.mode](fault.service)) for fault in together]

    def act(self, observation: Observation) -> Action:
        """The next part of the plan that is due; a leak that is back is fixed again."""
        if self._todo:
            return self._todo.pop(0)[1] if self._todo[0][0] <= observation.step else Wait()
        for _, fault in self._faults:
            share = observation.value(fault.service, Feature.MEMORY_SHARE)
            if fault.mode is FaultMode.MEMORY_LEAK and share > LEAK_IS_BACK_SHARE:
                return REMEDY[fault.mode](fault.service)
        return Wait()
