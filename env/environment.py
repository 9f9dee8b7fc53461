"""The episode: one incident, played step by step. It is the same code for every world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mirr.env.actions import NotAnAction, action_number
from mirr.env.dice import noise_factors
from mirr.env.forms import injection_order
from mirr.env.objectives import FEATURE_COLUMN, OBJECTIVES, SERVICE_ROW, Objectives, breaches, services_healthy
from mirr.env.quoting import quoted
from mirr.env.reward import NEEDLESS, REWARDS, Judge, Merit, Outcome, RewardTable, is_clean
from mirr.env.scenario import DEPLOY_SETTLES_STEPS, EpisodeConfig, Scenario, checked_config, draw, streams
from mirr.env.vocabulary import (
    ACTION_INDEX,
    ACTIONS,
    PACK_ACTIONS,
    Action,
    Breaks,
    Bursts,
    CheckLogs,
    Deploys,
    Diagnosis,
    Ends,
    Event,
    Fault,
    FaultMode,
    Feature,
    Reason,
    Service,
    Surrounding,
    Tier,
    TrafficChanges,
    action_text,
)
from mirr.env.world import LogLine, Snapshot, World, WorldError

Info = dict[str, object]

_BASE_TYPES = tuple({type(action) for action in ACTIONS})
_PACK_TYPES = tuple({type(action) for action in PACK_ACTIONS})

_REASONS_SHOWN = 3


class EpisodeError(RuntimeError):
    """No episode is running, or the action is invalid. The message says what to call."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What an agent sees after a step. It sees nothing else."""

    features: NDArray[np.float32]  # (services, features), noisy; NaN if a service could not be scraped
    step: int  # steps taken so far
    steps_left: int
    last_action: Action | None = None
    last_result: str = ""
    last_reason: Reason | None = None  # the same as last_result, for programs; None before the first action
    logs: tuple[LogLine, ...] = ()  # oldest first
    logs_of: Service | None = None

    @property
    def last_accepted(self) -> bool:
        """Whether the last action had anything to act on; True before the first action."""
        return self.last_reason in (None, Reason.DONE)

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
    """The truth about an episode. It exists once the episode is over."""

    scenario: Scenario
    outcome: Outcome
    reason: str
    steps: int
    total_reward: float
    diagnosis: Diagnosis | None  # the first commitment
    diagnosis_correct: bool  # every fault was diagnosed correctly before its fix
    time_to_diagnose_s: float | None  # from step 0 to the last correct commitment, with the time to think before it
    time_to_mitigate_s: float | None  # from step 0 to the start of the recovery window
    steps_to_diagnose: int | None  # the same two in steps: on a world in real time, a step of a slow agent is longer
    steps_to_mitigate: int | None
    wrong_fixes: int  # of the wrong kind, or on the wrong service
    harm: Harm

    @property
    def clean(self) -> bool:
        """Whether it was resolved by knowing: see `is_clean`."""
        return is_clean(self.outcome, diagnosed=self.diagnosis_correct, wrong_fixes=self.wrong_fixes)


class Environment:
    """`reset` and `step` over a World, as in Gymnasium."""

    def __init__(
        self,
        world: World,
        config: EpisodeConfig | None = None,
        objectives: Objectives = OBJECTIVES,
        rewards: RewardTable = REWARDS,
    ) -> None:
        self.world = world
        self._own_config = None if config is None else checked_config(config)
        self.config = checked_config(config)
        """How the episode is played. Without a configuration, `reset` takes that of the tier."""
        self.objectives = objectives
        self.rewards = rewards
        self.report: EpisodeReport | None = None
        """The report of the last episode once it is over, also after a failure of the world."""
        self.last_snapshot: Snapshot | None = None
        """What the world measured last. For recordings; an agent only gets observations."""
        self.last_reason: Reason | None = None
        """The world's reason for its answer to the last action, for recordings; None before the first action."""
        self._judge: Judge | None = None
        self._scenario: Scenario | None = None

    def reset(
        self,
        *,
        seed: int | None = None,
        fault: Fault | None = None,
        scenario: Scenario | None = None,
        tier: Tier | None = None,
    ) -> tuple[Observation, Info]:
        """Restore steady state, begin the incident and measure one window.

        `seed` draws the incident in `tier`, which is easy unless given. `fault` replaces what was drawn, and keeps the
        seed's noise. A `scenario` is a whole incident with its own seed, so it stands alone. Without a configuration of
        its own, the environment plays as the tier says: in `hard`, an agent can also say that nothing is broken.
        Raises WorldError, EpisodeError and, for a tier that there is not, UnknownName."""
        if scenario is None:
            scenario = draw(seed, fault, Tier.EASY if tier is None else tier)  # type: ignore[arg-type]  # `draw` refuses None
        elif seed is not None or fault is not None or tier is not None:
            raise EpisodeError("reset takes a scenario, or else a seed, a fault and a tier; a scenario has them")
        elif not isinstance(scenario, Scenario):
            raise EpisodeError(
                f"reset(scenario=...) takes a Scenario, as a pack's scenario() gives; got {quoted(scenario)}"
            )
        if self._own_config is None:
            self.config = _config_of(scenario)
        keys = streams(scenario.seed)
        self._scenario = scenario
        self._later = {step: scenario.at(step) for step in {entry.step for entry in scenario.timeline} if step}
        self._begin(keys.noise)
        judge = Judge(scenario.faults, self.rewards)
        try:
            self.world.restore(keys.world)
            self._open(scenario, judge)
            self.world.advance(self.config.step_s)
            self.last_snapshot = snapshot = self.world.observe()
        except WorldError as error:
            self._end(Outcome.VOID, str(error))
            raise
        self._judge = judge
        observation = Observation(
            features=(snapshot.features * self._noise[0]).astype(np.float32),
            step=0,
            steps_left=self.config.max_steps,
        )
        return observation, {"step": 0, "overrun_s": _shown_overrun_s(snapshot)}

    def _open(self, scenario: Scenario, judge: Judge) -> None:
        """What happens before the first observation. Each fault has to land before this returns."""
        events = scenario.at(0)
        faults = [event.fault for event in events if isinstance(event, Breaks)]
        for event in events:
            if isinstance(event, Surrounding):
                self.world.happen(event)
        if any(isinstance(event, Deploys) for event in events):
            self.world.advance(DEPLOY_SETTLES_STEPS * self.config.step_s)
            self.world.observe()  # the first window begins after this time
        for fault in sorted(faults, key=injection_order) if len(faults) > 1 else faults:
            self.world.inject(fault)
            judge.begin(fault)

    def _begin(self, noise_key: int) -> None:
        # The noise of all steps is drawn here, in one call. So it does not depend on the actions.
        self._noise = noise_factors(noise_key, self.config.max_steps + 1, self.config.noise)
        self.report = None
        self.last_snapshot = None
        self.last_reason = None
        self._judge = None
        self._step = 0
        self._total_reward = 0.0
        self._failed_requests = 0
        self._objective_lost_s = 0.0
        self._needless_actions = 0
        self._overruns_s = [0.0]  # by how much the episode is longer than its steps, after each step
        self._diagnosed_at_s: float | None = None
        self._diagnosed_at_step: int | None = None

    def step(self, action: Action | int) -> tuple[Observation, float, bool, bool, Info]:
        """Take an action and let one step pass. Returns observation, reward, terminated, truncated, info. Raises
        EpisodeError and WorldError."""
        judge = self._judge
        if judge is None:
            raise EpisodeError("no episode is running; call reset(seed=...) first")
        taken = self._checked(action)
        events = self._later.get(self._step + 1, ())
        try:
            result = self.world.apply(taken)
            for event in events:
                self.world.happen(event)
            self.world.advance(self.config.step_s)
            self.last_snapshot = snapshot = self.world.observe()
        except WorldError as error:
            self._end(Outcome.VOID, str(error))
            raise
        self.last_reason = result.reason
        reward, merit = judge.judge_action(taken, result.accepted)
        self._overruns_s.append(self._overruns_s[-1] + snapshot.overrun_s)
        self._account(merit, judge)
        for event in events:
            _pass_on(judge, event)
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
            last_reason=result.reason,
            logs=result.logs,
            logs_of=taken.service if isinstance(taken, CheckLogs) else None,
        )
        info: Info = {"step": step, "overrun_s": _shown_overrun_s(snapshot)}
        if judge.outcome is None:
            return observation, reward, False, False, info
        missing = breaches_left(snapshot, self.config, self.objectives) if judge.outcome is Outcome.EXHAUSTED else []
        unsettled = [] if judge.settled else judge.unsettled()
        reason = reason_of(
            judge.outcome, self.config, self.objectives, self.rewards, missing, unsettled, settled=judge.settled
        )
        info["report"] = self._end(judge.outcome, reason)
        exhausted = judge.outcome is Outcome.EXHAUSTED
        return observation, reward, not exhausted, exhausted, info

    def _checked(self, action: Action | int) -> Action:
        actions, types = (PACK_ACTIONS, _PACK_TYPES) if self.config.none_diagnosis else (ACTIONS, _BASE_TYPES)
        if type(action) is int and 0 <= action < len(actions):  # what nearly every caller passes
            return actions[action]
        if isinstance(action, types):
            return _as_listed(action)
        if isinstance(action, _PACK_TYPES):
            raise EpisodeError(
                f"{action_text(action)} is not an action of this episode, in which something is broken; next: "
                f"diagnose(SERVICE, MODE), with one of {', '.join(Service)} and one of {', '.join(FaultMode)} "
                "(scenario packs and EpisodeConfig(none_diagnosis=True) have false alarms)"
            )
        try:
            return actions[action_number(action, len(actions))]
        except NotAnAction as error:
            raise EpisodeError(str(error)) from error

    def _account(self, merit: Merit, judge: Judge) -> None:
        """Enter an action into the ledger. It was taken at the start of the step, so the step is not counted yet. But
        its overrun is, because that is the time for which the agent thought before the action."""
        if merit is Merit.CORRECT_DIAGNOSIS and judge.diagnosed:
            self._diagnosed_at_step = self._step
            self._diagnosed_at_s = self._step * self.config.step_s + self._overruns_s[-1]
        elif merit in NEEDLESS:
            self._needless_actions += 1

    def _judge_window(self, judge: Judge, snapshot: Snapshot, steps_left: int) -> float:
        requests, failed = snapshot.requests, snapshot.failed_requests
        user_sli = 1.0 - failed / requests if requests else 0.0
        seconds = self.config.step_s + snapshot.overrun_s
        healthy = (
            user_sli >= self.objectives.user_sli
            # If there are no users, no request fails. That is not a recovery.
            and requests >= self.objectives.user_rate_per_s * self.config.step_s
            and services_healthy(snapshot, self.objectives)
        )
        self._failed_requests += failed
        if not healthy:
            self._objective_lost_s += seconds
        return judge.judge_window(
            collapsed=user_sli <= self.objectives.collapse_sli, healthy=healthy, steps_left=steps_left
        )

    def _end(self, outcome: Outcome, reason: str) -> EpisodeReport:
        judge, scenario = self._judge, self._scenario
        assert scenario is not None
        mitigated_at_step = None
        if judge is not None and outcome is Outcome.RESOLVED:
            mitigated_at_step = self._step - judge.healthy_steps
        self.report = EpisodeReport(
            scenario=scenario,
            outcome=outcome,
            reason=reason,
            steps=self._step,
            total_reward=self._total_reward,
            diagnosis=judge.diagnosis if judge else None,
            diagnosis_correct=judge.diagnosed if judge else False,
            time_to_diagnose_s=self._diagnosed_at_s,
            time_to_mitigate_s=None if mitigated_at_step is None else self._elapsed_s(mitigated_at_step),
            steps_to_diagnose=self._diagnosed_at_step,
            steps_to_mitigate=mitigated_at_step,
            wrong_fixes=judge.wrong_fixes if judge else 0,
            harm=Harm(
                failed_requests=self._failed_requests,
                objective_lost_s=self._objective_lost_s,
                needless_actions=self._needless_actions,
            ),
        )
        self._judge = None
        return self.report

    def _elapsed_s(self, step: int) -> float:
        """The real seconds from step 0 to the end of `step`."""
        return step * self.config.step_s + self._overruns_s[step]

    @property
    def elapsed_s(self) -> float:
        """The real seconds since step 0, as an agent may see them: rounded as `overrun_s` is."""
        return round(self._elapsed_s(self._step), 1)


def _config_of(scenario: Scenario) -> EpisodeConfig:
    """How a scenario is played by default: as its tier says. One that was not drawn is played as the base task is."""
    from mirr.env.tiers import TIERS  # only here: it compiles what a batch draws, which one episode does not need

    return EpisodeConfig() if scenario.tier is None else TIERS[scenario.tier].config


def _as_listed(action: Action) -> Action:
    """The same action from the list of all. Raises EpisodeError if its service or mode does not exist."""
    try:
        return PACK_ACTIONS[ACTION_INDEX[action]]
    except (KeyError, TypeError) as error:  # TypeError: what cannot be a key
        raise EpisodeError(
            f"{quoted(action)} is not an action; next: parse_action('restart(auth)'), or Service and FaultMode for its "
            "parts"
        ) from error


def _shown_overrun_s(snapshot: Snapshot) -> float:
    """The overrun that an agent sees: rounded, so that the jitter of real clocks does not show."""
    return round(snapshot.overrun_s, 1) if snapshot.overrun_s else 0.0


def breaches_left(snapshot: Snapshot, config: EpisodeConfig, objectives: Objectives) -> list[str]:
    """A sentence for each thing in `snapshot` that prevents recovery."""
    found = breaches(snapshot, objectives)
    floor = objectives.user_rate_per_s * config.step_s
    if snapshot.requests < floor:
        found.insert(0, f"only {snapshot.requests} user requests in a step, at least {floor:g} count")
    return found


def reason_of(
    outcome: Outcome,
    config: EpisodeConfig,
    objectives: Objectives,
    rewards: RewardTable,
    missing: list[str],
    unsettled: Sequence[Fault],
    *,
    settled: bool,
) -> str:
    """The sentence that says why an episode ended. `missing` is what prevented recovery in its last window."""
    if outcome is Outcome.RESOLVED:
        return f"every objective met for {rewards.recovery_steps} steps running"
    if outcome is Outcome.COLLAPSED:
        return f"user SLI at or below {objectives.collapse_sli:g} for {rewards.collapse_steps} steps running"
    found = missing or [f"{fault} was never fixed" for fault in unsettled]
    if not found and not settled:
        found = ["nothing was broken, and nobody said so"]
    if not found:
        found = [f"the objectives were not met for {rewards.recovery_steps} steps running"]
    return f"no recovery within {config.max_steps} steps: {'; '.join(found[:_REASONS_SHOWN])}"


def _pass_on(judge: Judge, event: Event) -> None:
    """Pass an event on to the judge."""
    match event:
        case Breaks(fault):
            judge.begin(fault)
        case Ends(fault):
            judge.end(fault)
        case Deploys() | TrafficChanges() | Bursts():
            pass  # there is nothing to judge: it breaks nothing
