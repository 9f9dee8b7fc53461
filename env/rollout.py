"""One policy plays one episode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from env.environment import Environment, EpisodeError, EpisodeReport, Observation
from env.record import RolloutWriter
from env.reward import Outcome
from env.scenario import Scenario, draw, policy_rng
from env.vocabulary import Action, Diagnose, Diagnosis, Fault, action_text
from env.world import WorldError


class Policy(Protocol):
    """Whoever decides: sees observations, gives actions."""

    def reset(self, rng: np.random.Generator) -> None:
        """A new episode begins; `rng` is the policy's own randomness in it."""

    def act(self, observation: Observation) -> Action:
        """What to do next."""


@dataclass(frozen=True)
class Move:
    """One step of a trajectory."""

    action: Action
    reward: float
    result: str


OnStep = Callable[[Observation, Move | None], None]
"""Called after every step, and once before the first, without a move."""


@dataclass(frozen=True, kw_only=True)
class EpisodeResult:
    """How an episode went, with the names of who played it where."""

    world: str
    policy: str
    report: EpisodeReport
    trajectory: tuple[Move, ...]

    @property
    def seed(self) -> int:
        """The episode's seed."""
        return self.report.scenario.seed

    def to_json(self) -> dict[str, object]:
        """The fields of `mirr episode --json`."""
        report = self.report
        return {
            "world": self.world,
            "policy": self.policy,
            "seed": self.seed,
            "scenario": report.scenario.to_json(),
            "outcome": str(report.outcome),
            "reason": report.reason,
            "steps": report.steps,
            "total_reward": round(report.total_reward, 6),
            "diagnosis": _diagnosis_json(report.diagnosis, report.diagnosis_correct),
            "time_to_diagnose_s": report.time_to_diagnose_s,
            "time_to_mitigate_s": report.time_to_mitigate_s,
            "harm": report.harm.to_json(),
            "trajectory": [
                {"action": action_text(move.action), "reward": round(move.reward, 6), "result": move.result}
                for move in self.trajectory
            ],
        }


def _diagnosis_json(diagnosis: Diagnosis | None, correct: bool) -> dict[str, object] | None:
    if diagnosis is None:
        return None
    if isinstance(diagnosis, Diagnose):
        return {"mode": str(diagnosis.mode), "service": str(diagnosis.service), "correct": correct}
    return {"mode": "none", "service": None, "correct": correct}


def play(
    environment: Environment,
    policy: Policy,
    *,
    seed: int | None = None,
    fault: Fault | None = None,
    scenario: Scenario | None = None,
    world_name: str = "",
    policy_name: str = "",
    record: RolloutWriter | None = None,
    on_step: OnStep | None = None,
) -> EpisodeResult:
    """Play the episode of `seed`, or a whole `scenario`, to its end; a world that fails underneath gives the outcome
    `void`."""
    moves: list[Move] = []
    if scenario is None:
        scenario = draw(seed, fault)  # type: ignore[arg-type]  # None is refused there, with the words for it
    elif seed is not None or fault is not None:
        raise EpisodeError("play takes a scenario, or else a seed and a fault; a scenario has both")
    if record is not None:
        record.header(world=world_name, policy=policy_name, scenario=scenario, config=environment.config)

    def after(observation: Observation, move: Move | None) -> None:
        if move is not None:
            moves.append(move)
        if record is not None:
            assert environment.last_snapshot is not None
            action, reward = (None, 0.0) if move is None else (move.action, move.reward)
            record.step(observation, action=action, reward=reward, snapshot=environment.last_snapshot)
        if on_step is not None:
            on_step(observation, move)

    try:
        _play(environment, policy, scenario, after)
    except WorldError:
        # The environment has written its report, with the reason: void is an answer, not a failure to answer.
        assert environment.report is not None
        assert environment.report.outcome is Outcome.VOID
    assert environment.report is not None
    result = EpisodeResult(world=world_name, policy=policy_name, report=environment.report, trajectory=tuple(moves))
    if record is not None:
        record.end(result.to_json())
    return result


def _play(environment: Environment, policy: Policy, scenario: Scenario, after: OnStep) -> None:
    observation, _ = environment.reset(scenario=scenario)
    policy.reset(policy_rng(scenario.seed))
    after(observation, None)
    done = False
    while not done:
        action = policy.act(observation)
        observation, reward, terminated, truncated, _ = environment.step(action)
        after(observation, Move(action, reward, observation.last_result))
        done = terminated or truncated
