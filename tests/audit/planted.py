"""Planted leaks: a world and an environment that each reveal the truth in one way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mirr.env.environment import Environment, Info, Observation
from mirr.env.scenario import Scenario
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Action, Fault, Tier
from mirr.env.world import ActionResult, LogLine, Snapshot


class LeakyWorld(SimulatedWorld):
    """The simulator with one planted leak."""

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
        self._injected_fault: Fault | None = None

    def restore(self, key: int) -> None:
        super().restore(key)
        self._injected_fault = None

    def inject(self, fault: Fault) -> None:
        super().inject(fault)
        self._injected_fault = fault

    def apply(self, action: Action) -> ActionResult:
        answer = super().apply(action)
        if self._injected_fault is None:
            return answer
        if self._line is not None and answer.logs:
            return replace(answer, logs=(*answer.logs[:-1], self._line(self._injected_fault)))
        return answer if self._result is None else replace(answer, text=self._result(self._injected_fault))

    def observe(self) -> Snapshot:
        measured = super().observe()
        if self._injected_fault is None or self._leaked_overrun_s is None:
            return measured
        return replace(measured, overrun_s=self._leaked_overrun_s(self._injected_fault))


Change = Callable[[Fault, Observation, Info], tuple[Observation, Info]]


class LeakyEnvironment(Environment):
    """An environment that changes its observations and infos, depending on the fault."""

    def __init__(self, plain: Environment, fault: Fault, change: Change) -> None:
        super().__init__(plain.world, plain.config, plain.objectives, plain.rewards)
        self._planted_fault = fault
        self._change = change

    def reset(
        self,
        *,
        seed: int | None = None,
        fault: Fault | None = None,
        scenario: Scenario | None = None,
        tier: Tier | None = None,
    ) -> tuple[Observation, Info]:
        return self._change(self._planted_fault, *super().reset(seed=seed, fault=fault, scenario=scenario, tier=tier))

    def step(self, action: Action | int) -> tuple[Observation, float, bool, bool, Info]:
        observation, reward, terminated, truncated, info = super().step(action)
        observation, info = self._change(self._planted_fault, observation, info)
        return observation, reward, terminated, truncated, info
