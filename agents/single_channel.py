"""Policies that read one channel alone, to show that no single one gives the fault away.

Each makes the best of its channel: a service that is missing from it is down, and the mode that the channel shows
best is named for whichever service stands out. What it cannot see, it guesses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mirr.agents.reading import DEEPEST_FIRST
from mirr.env.environment import Observation
from mirr.env.vocabulary import REMEDY, Action, CheckLogs, Diagnose, Fault, FaultMode, Feature, Service, Wait


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One feature, and what it is taken to say."""

    feature: Feature
    outlier: float  # from here on a service stands out
    suggests: FaultMode  # of a service that stands out
    patience_steps: int = 6  # so long it looks for one before it guesses


LATENCY = Channel(feature=Feature.LATENCY_P95_S, outlier=0.3, suggests=FaultMode.OVERLOADED)
CPU = Channel(feature=Feature.CPU_SHARE, outlier=0.8, suggests=FaultMode.OVERLOADED)
MEMORY = Channel(feature=Feature.MEMORY_SHARE, outlier=0.45, suggests=FaultMode.MEMORY_LEAK)
ERRORS = Channel(feature=Feature.ERROR_RATIO, outlier=0.08, suggests=FaultMode.BAD_DEPLOY)
# Nothing that is up stands out among those that are up.
UP = Channel(feature=Feature.UP, outlier=math.inf, suggests=FaultMode.OVERLOADED, patience_steps=12)


class SingleChannelPolicy:
    """Names whatever stands out in one feature, fixes it, and waits."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._plan: list[Action] | None = None

    def reset(self, rng: np.random.Generator) -> None:
        """Nothing has been named."""
        self._plan = None

    def act(self, observation: Observation) -> Action:
        """Look until something stands out, then play it out."""
        if self._plan is None:
            fault = self._suspect(observation)
            if fault is None:
                return Wait()
            self._plan = _plan(fault)
        return self._plan.pop(0) if self._plan else Wait()

    def _suspect(self, observation: Observation) -> Fault | None:
        channel = self._channel
        values = {service: observation.value(service, channel.feature) for service in DEEPEST_FIRST}
        for service, value in values.items():
            if math.isnan(value) or (channel.feature is Feature.UP and value < 1.0):
                # Down from the beginning was killed; one that goes down later may have run full.
                return Fault(FaultMode.CRASHED if observation.step == 0 else FaultMode.MEMORY_LEAK, service)
        outliers = [service for service, value in values.items() if value >= channel.outlier]
        if outliers:
            return Fault(channel.suggests, outliers[0])
        if observation.step < channel.patience_steps:
            return None
        return Fault(channel.suggests, max(values, key=lambda service: values[service]))


class LogVolumePolicy:
    """Counts the lines of every service's log and reads none of them."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._counts: dict[Service, int] = {}
        self._plan: list[Action] | None = None

    def reset(self, rng: np.random.Generator) -> None:
        """Nothing has been counted."""
        self._begin()

    def act(self, observation: Observation) -> Action:
        """Count, service by service, then play out what the counts suggest."""
        if observation.logs_of is not None:
            self._counts[observation.logs_of] = len(observation.logs)
        for service in Service:
            if service not in self._counts:
                return CheckLogs(service)
        if self._plan is None:
            self._plan = _plan(self._suspect())
        return self._plan.pop(0) if self._plan else Wait()

    def _suspect(self) -> Fault:
        counts = {service: self._counts[service] for service in DEEPEST_FIRST}
        usual = float(np.median(list(counts.values())))
        quietest = min(counts, key=lambda service: counts[service])
        if counts[quietest] < usual / 2:
            return Fault(FaultMode.CRASHED, quietest)
        return Fault(FaultMode.BAD_DEPLOY, max(counts, key=lambda service: counts[service]))


def _plan(fault: Fault) -> list[Action]:
    return [Diagnose(fault.service, fault.mode), REMEDY[fault.mode](fault.service)]
