"""The episode: one incident in some world, played step by step. It never asks which world."""

from __future__ import annotations

import operator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from env.objectives import FEATURE_COLUMN, OBJECTIVES, SERVICE_ROW, Objectives, services_healthy
from env.reward import NEEDLESS, Judge, Merit, Outcome
from env.scenario import EpisodeConfig, Scenario, checked_seed, draw, streams
from env.vocabulary import ACTIONS, Action, CheckLogs, Diagnose, Fault, Feature, Service
from env.world import FEATURES_SHAPE, LogLine, Snapshot, World, WorldError

Info = dict[str, object]

_ACTION_TYPES = tuple({type(action) for action in ACTIONS})


class EpisodeError(RuntimeError):
    """A step where there is no episode to step in, or an action that is none; the message says what to call."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What an agent sees after a step; nothing else."""

    features: NDArray[np.float32]  # (services, features), noisy; NaN where a service could not be scraped
    step: int  # steps taken so far
    steps_left: int
    last_action: Action | None = None
    last_result: str = ""
    logs: tuple[LogLine, ...] = ()  # oldest first
    logs_of: Service | None = None

    def value(self, service: Service, feature: Feature) -> float:
        """One cell of `features`."""
        return float(self.features[SERVICE_ROW[service], FEATURE_COLUMN[feature]])


@dataclass(frozen=True, kw_only=True)
class Harm:
    """What the incident cost, in real units, from step 0 to the end."""

    failed_requests: int = 0
    objective_lost_s: float = 0.0  # seconds in which the users or a service were outside their objectives
    needless_actions: int = 0

    def to_json(self) -> dict[str, object]:
        """As `mirr episode --json` prints it."""
        return {
            "failed_requests": self.failed_requests,
            "objective_lost_s": round(self.objective_lost_s, 3),
            "needless_actions": self.needless_actions,
        }


@dataclass(frozen=True, kw_only=True)
class EpisodeReport:
    """The truth about an episode, told when it is over."""

    scenario: Scenario
    outcome: Outcome
    reason: str
    steps: int
    total_reward: float
    diagnosis: Diagnose | None  # the first commitment
    diagnosis_correct: bool  # and made before the right fix
    time_to_diagnose_s: float | None  # from step 0 to the first commitment, where it is correct
    time_to_mitigate_s: float | None  # from step 0 to the start of the window of recovery
    harm: Harm


class Environment:
    """`reset` and `step` over a World, as in Gymnasium."""

    def __init__(self, world: World, config: EpisodeConfig | None = None, objectives: Objectives = OBJECTIVES) -> None:
        self.world = world
        self.config = config or EpisodeConfig()
        self.objectives = objectives
        self.report: EpisodeReport | None = None
        """Of the last episode, once it is over; also where the world failed."""
        self.last_snapshot: Snapshot | None = None
        """What the world measured last, for recordings; an agent is given observations alone."""
        self._judge: Judge | None = None
        self._scenario: Scenario | None = None

    def reset(self, *, seed: int, fault: Fault | None = None) -> tuple[Observation, Info]:
        """Steady state, then the incident of `seed` (or `fault`), then one window to see it in."""
        seed = checked_seed(seed)
        rngs = streams(seed)
        self._scenario = draw(seed, fault, rngs.scenario)
        self._begin(rngs.noise)
        try:
            self.world.restore(rngs.world)
            for broken in self._scenario.faults:
                self.world.inject(broken)
            self.world.advance(self.config.step_s)
            self.last_snapshot = snapshot = self.world.observe()
        except WorldError as error:
            self._end(Outcome.VOID, str(error))
            raise
        self._judge = Judge(self._scenario.faults[0])
        observation = Observation(
            features=(snapshot.features * self._noise[0]).astype(np.float32),
            step=0,
            steps_left=self.config.max_steps,
        )
        return observation, {"step": 0, "overrun_s": snapshot.overrun_s}

    def _begin(self, noise_rng: np.random.Generator) -> None:
        config = self.config
        # Drawn for the whole episode at once: one call, and every step's noise is fixed whatever is played.
        shape = (config.max_steps + 1, *FEATURES_SHAPE)
        self._noise = noise_rng.uniform(1.0 - config.noise, 1.0 + config.noise, shape)
        self._noise[:, :, FEATURE_COLUMN[Feature.UP]] = 1.0
        self.report = None
        self.last_snapshot = None
        self._judge = None
        self._step = 0
        self._total_reward = 0.0
        self._failed_requests = 0
        self._objective_lost_s = 0.0
        self._needless_actions = 0
        self._diagnosed_at_s: float | None = None

    def step(self, action: Action | int) -> tuple[Observation, float, bool, bool, Info]:
        """Take an action and let a step's time pass: observation, reward, terminated, truncated, info."""
        judge = self._judge
        if judge is None:
            raise EpisodeError("no episode is running; call reset(seed=...) first")
        taken = self._checked(action)
        try:
            result = self.world.apply(taken)
            self.world.advance(self.config.step_s)
            self.last_snapshot = snapshot = self.world.observe()
        except WorldError as error:
            self._end(Outcome.VOID, str(error))
            raise
        reward, merit = judge.judge_action(taken, result.accepted)
        self._account(merit)
        self._step = step = self._step + 1
        steps_left = self.config.max_steps - step
        reward += self._judge_window(judge, snapshot, steps_left)
        self._total_reward += reward
        observation = Observation(
            features=(snapshot.features * self._noise[step]).astype(np.float32),
            step=step,
            steps_left=steps_left,
            last_action=taken,
            last_result=result.text,
            logs=result.logs,
            logs_of=taken.service if isinstance(taken, CheckLogs) else None,
        )
        info: Info = {"step": step, "overrun_s": snapshot.overrun_s}
        if judge.outcome is None:
            return observation, reward, False, False, info
        info["report"] = self._end(judge.outcome, self._reason(judge.outcome))
        exhausted = judge.outcome is Outcome.EXHAUSTED
        return observation, reward, not exhausted, exhausted, info

    def _checked(self, action: Action | int) -> Action:
        if isinstance(action, _ACTION_TYPES):
            return action
        try:
            number = operator.index(action)  # type: ignore[arg-type]
        except TypeError as error:
            raise EpisodeError(f"an action is an Action or its number; got {action!r}") from error
        if not 0 <= number < len(ACTIONS):
            raise EpisodeError(f"action numbers go from 0 to {len(ACTIONS) - 1}; got {number}")
        return ACTIONS[number]

    def _account(self, merit: Merit) -> None:
        """Enter an action into the ledger; it was taken at the start of the step about to be counted."""
        if merit is Merit.CORRECT_DIAGNOSIS:
            self._diagnosed_at_s = self._step * self.config.step_s
        elif merit in NEEDLESS:
            self._needless_actions += 1

    def _judge_window(self, judge: Judge, snapshot: Snapshot, steps_left: int) -> float:
        requests, failed = snapshot.requests, snapshot.failed_requests
        user_sli = 1.0 - failed / requests if requests else 0.0
        healthy = user_sli >= self.objectives.user_sli and services_healthy(snapshot, self.objectives)
        self._failed_requests += failed
        if not healthy:
            self._objective_lost_s += self.config.step_s + snapshot.overrun_s
        return judge.judge_window(
            collapsed=user_sli <= self.objectives.collapse_sli, healthy=healthy, steps_left=steps_left
        )

    def _reason(self, outcome: Outcome) -> str:
        match outcome:
            case Outcome.RESOLVED:
                return "every objective met for 2 steps running"
            case Outcome.COLLAPSED:
                return f"user SLI at or below {self.objectives.collapse_sli:g} for 3 steps running"
            case _:
                return f"no recovery within {self.config.max_steps} steps"

    def _end(self, outcome: Outcome, reason: str) -> EpisodeReport:
        judge, scenario = self._judge, self._scenario
        assert scenario is not None
        mitigated_at_s = None
        if judge is not None and outcome is Outcome.RESOLVED:
            mitigated_at_s = (self._step - judge.healthy_steps) * self.config.step_s
        self.report = EpisodeReport(
            scenario=scenario,
            outcome=outcome,
            reason=reason,
            steps=self._step,
            total_reward=self._total_reward,
            diagnosis=judge.diagnosis if judge else None,
            diagnosis_correct=judge.diagnosed if judge else False,
            time_to_diagnose_s=self._diagnosed_at_s,
            time_to_mitigate_s=mitigated_at_s,
            harm=Harm(
                failed_requests=self._failed_requests,
                objective_lost_s=self._objective_lost_s,
                needless_actions=self._needless_actions,
            ),
        )
        self._judge = None
        return self.report
