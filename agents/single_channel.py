"""Policies that read only one channel, to show that no single channel reveals the fault.

Each uses its channel as well as it can. A service without a value is down.
-- For a service that stands out, it diagnoses the
mode that the channel shows best. It guesses what it cannot see.
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
    """One feature, and how it is interpreted."""

    feature: Feature
    outlier: float  # from this value up, a service stands out
    suggests: FaultMode  # the mode of a service that stands out
    patience_steps: int = 6  # how long it looks before it guesses


LATENCY = Channel(feature=Feature.LATENCY_P95_S, outlier=0.3, suggests=FaultMode.OVERLOADED)
CPU = Channel(feature=Feature.CPU_SHARE, outlier=0.8, suggests=FaultMode.OVERLOADED)
MEMORY = Channel(feature=Feature.MEMORY_SHARE, outlier=0.45, suggests=FaultMode.MEMORY_LEAK)
ERRORS = Channel(feature=Feature.ERROR_RATIO, outlier=0.08, suggests=FaultMode.BAD_DEPLOY)
# Services that are up all look the same here.
UP = Channel(feature=Feature.UP, outlier=math.inf, suggests=FaultMode.OVERLOADED, patience_steps=12)


class SingleChannelPolicy:
    """Diagnoses what stands out in one feature, fixes it, and waits."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._plan: list[Action] | None = None

    def reset(self, rng: np.random.Generator) -> None:
        """Forget the plan."""
        self._plan = None

    def act(self, observation: Observation) -> Action:
        """Look until something stands out, then carry out the plan."""
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
                # A service that is down at the start was killed. One that goes down later may have run out of memory.
                return Fault(FaultMode.CRASHED if observation.step == 0 else FaultMode.MEMORY_LEAK, service)
        outliers = [service for service, value in values.items() if value >= channel.outlier]
        if outliers:
            return Fault(channel.suggests, outliers[0])
        if observation.step < channel.patience_steps:
            return None
        return Fault(channel.suggests, max(values, key=lambda service: values[service]))


class LogVolumePolicy:
    """Counts the log lines of every service, without reading them."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._counts: dict[Service, int] = {}
        self._plan: list[Action] | None = None

    def reset(self, rng: np.random.Generator) -> None:
        """Forget the counts."""
        self._begin()

    def act(self, observation: Observation) -> Action:
        """Count service by service, then carry out what the counts suggest."""
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
