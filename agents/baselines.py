"""The policies that others are measured against: the floor, brute force, and the ceiling."""

from __future__ import annotations

import numpy as np

from agents.reading import Reading
from env.environment import Observation
from env.vocabulary import (
    ACTIONS,
    REMEDY,
    Action,
    Diagnose,
    Fault,
    Fix,
    Restart,
    Rollback,
    ScaleUp,
    Service,
    Wait,
)


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
    """Is told the fault: diagnoses it, fixes it, waits. The ceiling."""

    def __init__(self, fault: Fault) -> None:
        self._plan: tuple[Action, ...] = (
            Diagnose(fault.service, fault.mode),
            REMEDY[fault.mode](fault.service),
        )

    def reset(self, rng: np.random.Generator) -> None:
        """Nothing to forget: the plan goes by the step."""

    def act(self, observation: Observation) -> Action:
        """The next part of the plan."""
        return self._plan[observation.step] if observation.step < len(self._plan) else Wait()
