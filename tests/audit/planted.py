"""Leaks to plant: a world and an environment that let the truth slip, one way at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mirr.env.environment import Environment, Info, Observation
from mirr.env.scenario import Scenario
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Action, Fault
from mirr.env.world import ActionResult, LogLine, Snapshot


class LeakyWorld(SimulatedWorld):
    """The simulator, with one leak."""

    def __init__(
        self,
        *,
        line: Callable[[Fault], LogLine] | None = None,
        result: Callable[[Fault], str] | None = None,
        overrun_s: Callable[[Fault], float] | None = None,
    ) -> None:
        super().__init__()
        self._line = line
        self._result = result
        self._leaked_overrun_s = overrun_s
        self._broken: Fault | None = None

    def restore(self, key: int) -> None:
        super().restore(key)
        self._broken = None

    def inject(self, fault: Fault) -> None:
        super().inject(fault)
        self._broken = fault

    def apply(self, action: Action) -> ActionResult:
        answer = super().apply(action)
        if self._broken is None:
            return answer
        if self._line is not None and answer.logs:
            return replace(answer, logs=(*answer.logs[:-1], self._line(self._broken)))
        return answer if self._result is None else replace(answer, text=self._result(self._broken))

    def observe(self) -> Snapshot:
        measured = super().observe()
        if self._broken is None or self._leaked_overrun_s is None:
            return measured
        return replace(measured, overrun_s=self._leaked_overrun_s(self._broken))


Change = Callable[[Fault, Observation, Info], tuple[Observation, Info]]


class LeakyEnvironment(Environment):
    """An environment that changes what it hands out, by what is broken."""

    def __init__(self, plain: Environment, fault: Fault, change: Change) -> None:
        super().__init__(plain.world, plain.config, plain.objectives, plain.rewards)
        self._told = fault
        self._change = change

    def reset(
        self, *, seed: int | None = None, fault: Fault | None = None, scenario: Scenario | None = None
    ) -> tuple[Observation, Info]:
        return self._change(self._told, *super().reset(seed=seed, fault=fault, scenario=scenario))

    def step(self, action: Action | int) -> tuple[Observation, float, bool, bool, Info]:
        observation, reward, terminated, truncated, info = super().step(action)
        observation, info = self._change(self._told, observation, info)
        return observation, reward, terminated, truncated, info
