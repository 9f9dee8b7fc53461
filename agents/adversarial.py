"""Policies that try to earn without finding out what is broken. An honest policy must earn more than each of them.

Each plays its trick as well as it can. It commits to a guess first, because a correct guess pays much more than a wrong
one costs. Then it begins with the guessed service.
"""

from __future__ import annotations

import numpy as np

from mirr.agents.reading import Reading
from mirr.env.environment import Observation
from mirr.env.objectives import OBJECTIVES
from mirr.env.vocabulary import (
    ALL_FAULTS,
    REMEDY,
    Action,
    Diagnose,
    Fault,
    FaultMode,
    Feature,
    Restart,
    Rollback,
    ScaleUp,
    Service,
    Wait,
)

SIGNALS: tuple[tuple[Feature, float, FaultMode], ...] = (
    (Feature.MEMORY_SHARE, OBJECTIVES.memory_share, FaultMode.MEMORY_LEAK),
    (Feature.LATENCY_P95_S, OBJECTIVES.latency_p95_s, FaultMode.OVERLOADED),
    (Feature.ERROR_RATIO, OBJECTIVES.error_ratio, FaultMode.BAD_DEPLOY),
)
"""What each alert suggests at first sight, the rarest alert first. A service that is down comes before all of them."""


class SameFixPolicy:
    """Guesses a fault that its one kind of fix would fix. Then applies that fix to every service in turn, for ever."""

    def __init__(self, kind: type[Restart] | type[Rollback] | type[ScaleUp]) -> None:
        self._kind = kind
        self._guess = Fault(FaultMode.CRASHED, Service.GATEWAY)

    def reset(self, rng: np.random.Generator) -> None:
        """Draw another guess."""
        fixable = [fault for fault in ALL_FAULTS if REMEDY[fault.mode] is self._kind]
        self._guess = fixable[int(rng.integers(len(fixable)))]

    def act(self, observation: Observation) -> Action:
        """The guess, then the guessed service, then the next one."""
        if observation.step == 0:
            return Diagnose(self._guess.service, self._guess.mode)
        services = list(Service)
        first = services.index(self._guess.service)
        return self._kind(services[(first + observation.step - 1) % len(services)])


class FarmPolicy:
    """Commits to one diagnosis after the other and applies the remedy of each several times. If things then look well,
    it assumes that it was paid, and repeats the same diagnosis and fix for ever."""

    TIMES = 2  # how often it plays a diagnosis and its remedy before the next guess

    def __init__(self) -> None:
        self._guesses: list[Fault] = []
        self._plan: list[Action] = []
        self._paid: Fault | None = None
        self._tried: Fault | None = None

    def reset(self, rng: np.random.Generator) -> None:
        """Shuffle the guesses."""
        self._guesses = [ALL_FAULTS[int(place)] for place in rng.permutation(len(ALL_FAULTS))]
        self._plan = []
        self._paid = self._tried = None

    def act(self, observation: Observation) -> Action:
        """The next action of the plan; a new plan when the plan is empty."""
        if self._tried is not None and Reading(observation.features).looks_well():
            self._paid = self._tried
        if not self._plan:
            fault = self._paid or (self._guesses.pop(0) if self._guesses else ALL_FAULTS[0])
            self._tried = fault
            self._plan = [Diagnose(fault.service, fault.mode), REMEDY[fault.mode](fault.service)] * self.TIMES
        return self._plan.pop(0)


class FirstAlertPolicy:
    """Believes the first alert: commits to what it suggests, applies the remedy, and never looks again."""

    def __init__(self) -> None:
        self._believed: Fault | None = None
        self._fixed = False

    def reset(self, rng: np.random.Generator) -> None:
        """Forget the last alert."""
        self._believed = None
        self._fixed = False

    def act(self, observation: Observation) -> Action:
        """Wait for an alert, commit to it, fix it, wait."""
        if self._believed is None:
            self._believed = first_alert(observation)
            if self._believed is None:
                return Wait()
            return Diagnose(self._believed.service, self._believed.mode)
        if self._fixed:
            return Wait()
        self._fixed = True
        return REMEDY[self._believed.mode](self._believed.service)


def first_alert(observation: Observation) -> Fault | None:
    """The fault that the first missed objective suggests, in the order of `SIGNALS`; None if all are met."""
    for service in Service:
        if observation.value(service, Feature.UP) < 1.0:
            return Fault(FaultMode.CRASHED, service)
    for feature, limit, mode in SIGNALS:
        for service in Service:
            if observation.value(service, feature) > limit:
                return Fault(mode, service)
    return None
