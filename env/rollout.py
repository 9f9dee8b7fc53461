"""One policy plays one episode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from mirr.env.environment import Environment, EpisodeError, EpisodeReport, Observation
from mirr.env.record import RolloutWriter
from mirr.env.reward import Outcome
from mirr.env.scenario import Scenario, draw, policy_rng
from mirr.env.vocabulary import Action, Diagnose, Diagnosis, Fault, Tier, Wait, action_text
from mirr.env.world import WorldError


class Policy(Protocol):
    """Decides what to do: it gets observations and returns actions."""

    def reset(self, rng: np.random.Generator) -> None:
        """A new episode begins. `rng` is the policy's own generator for it."""

    def act(self, observation: Observation) -> Action:
        """What to do next. Raises StepLost if the answer of somebody else's agent cannot be played."""


@runtime_checkable
class Thinks(Protocol):
    """What a policy may have too: it says what it believes, for people who watch it. Nothing is judged by it."""

    def thoughts(self) -> tuple[str, ...]:
        """What it believed when it chose its last action, a short line each."""


class StepLost(Exception):
    """An agent has not said what to do. The message says why; `wait` is played."""


@dataclass(frozen=True)
class LostStep:
    """A step in which `wait` was played, because the agent has not said what to do."""

    step: int
    why: str


@dataclass(frozen=True)
class Move:
    """One step of a trajectory."""

    action: Action
    reward: float
    result: str


OnStep = Callable[[Observation, Move | None], None]
"""Called after every step, and once before the first step with no move."""


@dataclass(frozen=True, kw_only=True)
class EpisodeResult:
    """How an episode went, with the names of its policy and its world."""

    world: str
    policy: str
    report: EpisodeReport
    trajectory: tuple[Move, ...]
    lost_steps: tuple[LostStep, ...] = ()

    @property
    def seed(self) -> int:
        """The episode's seed."""
        return self.report.scenario.seed

    def to_json(self) -> dict[str, object]:
        """The fields of `mirr episode --json`. `lost_steps` is left out if there are none."""
        report = self.report
        lost = [{"step": lost.step, "why": lost.why} for lost in self.lost_steps]
        return {
            "world": self.world,
            "policy": self.policy,
            "seed": self.seed,
            "tier": report.scenario.tier,
            "scenario": report.scenario.to_json(),
            "outcome": str(report.outcome),
            "clean": report.clean,
            "reason": report.reason,
            "steps": report.steps,
            "total_reward": round(report.total_reward, 6),
            "diagnosis": _diagnosis_json(report.diagnosis, report.diagnosis_correct),
            "time_to_diagnose_s": _rounded(report.time_to_diagnose_s),
            "time_to_mitigate_s": _rounded(report.time_to_mitigate_s),
            "steps_to_diagnose": report.steps_to_diagnose,
            "steps_to_mitigate": report.steps_to_mitigate,
            "wrong_fixes": report.wrong_fixes,
            "harm": report.harm.to_json(),
            "trajectory": [
                {"action": action_text(move.action), "reward": round(move.reward, 6), "result": move.result}
                for move in self.trajectory
            ],
        } | ({"lost_steps": lost} if lost else {})


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _diagnosis_json(diagnosis: Diagnosis | None, correct: bool) -> dict[str, object] | None:
    if diagnosis is None:
        return None
    if isinstance(diagnosis, Diagnose):
        return {"mode": str(diagnosis.mode), "service": str(diagnosis.service), "correct": correct}
    return {"mode": "none", "service": None, "correct": correct}


class Sitting:
    """One episode, played step by step on request. It is recorded if there is a record."""

    def __init__(
        self,
        environment: Environment,
        scenario: Scenario,
        *,
        world_name: str = "",
        policy_name: str = "",
        record: RolloutWriter | None = None,
        on_step: OnStep | None = None,
    ) -> None:
        self._environment = environment
        self._scenario = scenario
        self._world_name = world_name
        self._policy_name = policy_name
        self._record = record
        self._on_step = on_step
        self._moves: list[Move] = []
        self._lost: list[LostStep] = []

    def begin(self) -> Observation:
        """Begin the episode and return the first observation. Raises WorldError if the world fails; the episode is
        then void."""
        if self._record is not None:
            self._record.header(
                world=self._world_name,
                policy=self._policy_name,
                scenario=self._scenario,
                config=self._environment.config,
                objectives=self._environment.objectives,
                rewards=self._environment.rewards,
            )
        try:
            observation, _ = self._environment.reset(scenario=self._scenario)
        except WorldError:
            self._write_end(attempted=None)
            raise
        self._report_step(observation, None)
        return observation

    def act(self, action: Action) -> tuple[Observation, bool]:
        """Take an action. Returns the observation and whether the episode is over. Raises WorldError if the world
        fails; the episode is then void."""
        try:
            observation, reward, terminated, truncated, _ = self._environment.step(action)
        except WorldError:
            self._write_end(attempted=action)
            raise
        move = Move(action, reward, observation.last_result)
        self._moves.append(move)
        self._report_step(observation, move)
        over = terminated or truncated
        if over:
            self._write_end(attempted=None)
        return observation, over

    def lose(self, why: str) -> tuple[Observation, bool]:
        """Wait for a step, because the agent has not said what to do. Otherwise as `act`."""
        self._lost.append(LostStep(len(self._moves) + 1, why))
        return self.act(Wait())

    def result(self) -> EpisodeResult:
        """How the episode went. Raises EpisodeError until it is over."""
        report = self._environment.report
        if report is None:
            raise EpisodeError("the episode is not over; call act(...) until it says so")
        return EpisodeResult(
            world=self._world_name,
            policy=self._policy_name,
            report=report,
            trajectory=tuple(self._moves),
            lost_steps=tuple(self._lost),
        )

    def _report_step(self, observation: Observation, move: Move | None) -> None:
        if self._record is not None:
            assert self._environment.last_snapshot is not None
            self._record.step(
                observation,
                action=None if move is None else move.action,
                reward=0.0 if move is None else move.reward,
                snapshot=self._environment.last_snapshot,
                reason=self._environment.last_reason,
            )
        if self._on_step is not None:
            self._on_step(observation, move)

    def _write_end(self, *, attempted: Action | None) -> None:
        if self._record is not None:
            self._record.end(self.result().to_json(), attempted=attempted)


def play(
    environment: Environment,
    policy: Policy,
    *,
    seed: int | None = None,
    fault: Fault | None = None,
    scenario: Scenario | None = None,
    tier: Tier | None = None,
    world_name: str = "",
    policy_name: str = "",
    record: RolloutWriter | None = None,
    on_step: OnStep | None = None,
) -> EpisodeResult:
    """Play the episode of `seed` in `tier`, or a whole `scenario`, to its end. If the world fails, the outcome is
    `void`."""
    if scenario is None:
        scenario = draw(seed, fault, Tier.EASY if tier is None else tier)  # type: ignore[arg-type]  # `draw` refuses None
    elif seed is not None or fault is not None or tier is not None:
        raise EpisodeError("play takes a scenario, or else a seed, a fault and a tier; a scenario has them")
    sitting = Sitting(
        environment, scenario, world_name=world_name, policy_name=policy_name, record=record, on_step=on_step
    )
    try:
        observation, over = sitting.begin(), False
        policy.reset(policy_rng(scenario.seed))
        while not over:
            try:
                action = policy.act(observation)
            except StepLost as lost:
                observation, over = sitting.lose(str(lost))
            else:
                observation, over = sitting.act(action)
    except WorldError:
        # Void is a valid outcome. The environment has already written the report, with the reason.
        assert environment.report is not None
        assert environment.report.outcome is Outcome.VOID
    return sitting.result()
