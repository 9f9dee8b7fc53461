"""A recorded episode as a World. It shows what was measured, as long as the recorded actions are taken."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from mirr.env.environment import Environment, EpisodeReport, Observation
from mirr.env.objectives import OBJECTIVES
from mirr.env.record import RecordedStep, RecordError, Rollout
from mirr.env.record_values import Line
from mirr.env.reward import REWARDS
from mirr.env.rollout import Move, OnStep, Sitting
from mirr.env.scenario import streams
from mirr.env.vocabulary import Action, Breaks, Event, Fault, action_text
from mirr.env.world import ActionResult, Snapshot, WorldError

_PLAYABLE_SINCE = 3  # before version 3, a seed meant another episode; version 1 also rounds the measurements

_SAME_SINCE: dict[str, int] = {
    # In version 3, the times did not count how long an agent thought.
    **dict.fromkeys(("time_to_diagnose_s", "time_to_mitigate_s", "steps_to_diagnose", "steps_to_mitigate"), 4),
    **dict.fromkeys(("clean", "wrong_fixes", "tier"), 5),
}
"""The first schema version in which a field of the report is there and means what it means now, if not the first."""

_ABOUT_THE_AGENT = "lost_steps"  # the field of the report that says which steps the agent lost, and why


class NotRecorded(RecordError):
    """The recording does not have what the caller asked for. The message says what, where, and what it has."""


class RecordedWorld:
    """A World that plays back one rollout with its own actions. Its measurements already contain all events."""

    def __init__(self, rollout: Rollout) -> None:
        if rollout.version < _PLAYABLE_SINCE:
            raise RecordError(
                f"{rollout.path} has schema version {rollout.version}, which can be read but not played back: "
                "before version 3 a seed meant another episode; next: record the episode again"
            )
        self.rollout = rollout
        self._step = 0
        self._injected: list[Fault] = []

    def restore(self, key: int) -> None:
        """Go back to the beginning. The noise comes from the seed, so this accepts only the recording's own seed."""
        seed = self.rollout.scenario.seed
        if key != streams(seed).world:
            raise NotRecorded(f"{self.rollout.path} is the episode of seed {seed}; play it with its own scenario")
        self._step = 0
        self._injected = []
        if not self.rollout.steps:
            self._give_out("first observation")

    def inject(self, fault: Fault) -> None:
        """The measurements already contain the fault. Raises NotRecorded if it is another one."""
        self._injected.append(fault)
        if fault not in self._opening:
            self._refuse_opening()

    def happen(self, event: Event) -> None:
        """The measurements already contain the event. Raises NotRecorded if it is another one."""
        if event not in self.rollout.scenario.at(self._step):
            raise NotRecorded(
                f"{self.rollout.path}, step {self._step}: nothing such as {event} happened in the recording; "
                "play it with its own scenario"
            )

    def apply(self, action: Action) -> ActionResult:
        if sorted(map(str, self._injected)) != sorted(map(str, self._opening)):
            self._refuse_opening()
        step = self._next(action)
        self._step += 1
        assert step.reason is not None  # the reader has checked it: only step 0 has none
        return ActionResult(reason=step.reason, text=step.result, logs=step.logs)

    def advance(self, seconds: float) -> None:
        """Nothing to do: each step holds its own measurements."""

    def observe(self) -> Snapshot:
        step = self.rollout.steps[self._step]
        return Snapshot(
            features=step.measured.copy(),
            journeys=dict(step.journeys),
            overrun_s=step.overrun_s,
            degraded=dict(step.degraded or {}),
        )

    def close(self) -> None:
        """Do nothing, because this world holds nothing."""

    @property
    def _opening(self) -> list[Fault]:
        return [event.fault for event in self.rollout.scenario.at(0) if isinstance(event, Breaks)]

    def _refuse_opening(self) -> None:
        recorded, asked = ([str(fault) for fault in faults] for faults in (self._opening, self._injected))
        raise NotRecorded(
            f"{self.rollout.path}, step 0: the recording begins with {', '.join(recorded) or 'no fault'}, "
            f"not with {', '.join(asked) or 'no fault'}; play it with its own scenario"
        )

    def _next(self, asked: Action) -> RecordedStep:
        rollout, number = self.rollout, self._step + 1
        if number < len(rollout.steps):
            step = rollout.steps[number]
            recorded = step.action
        else:
            step, recorded = None, rollout.attempted
        if recorded is not None and recorded != asked:
            raise NotRecorded(
                f"{rollout.path}, step {number}: the recording holds {action_text(recorded)}, "
                f"not {action_text(asked)}; a recording plays only its own actions"
            )
        return step or self._give_out(action_text(asked))

    def _give_out(self, asked: str) -> NoReturn:
        """There is no further step. Raises WorldError if the world failed there, else NotRecorded."""
        rollout = self.rollout
        if rollout.end is not None and rollout.end["report"]["outcome"] == "void":
            raise WorldError(rollout.end["report"]["reason"])
        number = len(rollout.steps)
        why = "is cut off" if rollout.end is None else "ends"
        raise NotRecorded(f"{rollout.path}, step {number}: the recording {why} before it and holds no {asked}")


@dataclass(frozen=True, kw_only=True)
class Playback:
    """The result of playing a recording back."""

    steps: int  # that were played
    differences: tuple[str, ...]  # sentences; empty if everything was the same
    report: EpisodeReport | None  # None if the recording was cut off

    @property
    def same(self) -> bool:
        """Whether observations, rewards and report are as recorded."""
        return not self.differences


class _Comparison:
    """Compares each played step with the recorded one."""

    def __init__(self, rollout: Rollout, then: OnStep | None) -> None:
        self._rollout = rollout
        self._then = then
        self.seen = 0  # steps compared, step 0 included
        self.differences: list[str] = []

    def step(self, observation: Observation, move: Move | None) -> None:
        """Compare one step. `Sitting` calls this after every step."""
        recorded = self._rollout.steps[observation.step]
        self.seen += 1
        if not np.array_equal(observation.features, recorded.observation.astype(np.float32), equal_nan=True):
            self.differences.append(f"step {observation.step}: the observation differs from the recorded one")
        reward = 0.0 if move is None else move.reward
        if reward != recorded.reward:
            self.differences.append(f"step {observation.step}: reward {reward!r}, recorded {recorded.reward!r}")
        if self._then is not None:
            self._then(observation, move)

    def reports(self, played: Line, recorded: Line) -> None:
        """Compare each field of the report."""
        played = json.loads(json.dumps(played))  # as it would have been written
        for name in {**played, **recorded}:
            if name == _ABOUT_THE_AGENT:
                continue  # the actions of those steps are played like any others
            if self._rollout.version < _SAME_SINCE.get(name, 1):
                continue
            if played.get(name) != recorded.get(name):
                difference = (
                    f"{played.get(name)!r}, recorded {recorded.get(name)!r}" if name != "trajectory" else "differs"
                )
                self.differences.append(f"report, {name}: {difference}")


def play_back(rollout: Rollout, on_step: OnStep | None = None) -> Playback:
    """Play `rollout` through an Environment, and compare every step and the end with what was recorded."""
    environment = Environment(
        RecordedWorld(rollout), rollout.config, rollout.objectives or OBJECTIVES, rollout.rewards or REWARDS
    )
    comparison = _Comparison(rollout, on_step)
    sitting = Sitting(
        environment,
        rollout.scenario,
        world_name=rollout.header["world"],
        policy_name=rollout.header["policy"],
        on_step=comparison.step,
    )
    try:
        _play_actions(rollout, environment, sitting)
    except WorldError:
        # The recording is void here, and so is its playback. The reports are compared below.
        assert environment.report is not None
    played, differences = max(0, comparison.seen - 1), comparison.differences
    if rollout.end is None:
        differences.append(f"the recording is cut off {rollout.last_seen}: it has no report")
    elif environment.report is None:
        differences.append(f"the recording ends after step {played}, the episode does not")
    else:
        comparison.reports(sitting.result().to_json(), rollout.end["report"])
    if environment.report is not None and comparison.seen < len(rollout.steps):
        differences.append(f"the episode ends after step {played}, the recording goes on")
    return Playback(steps=played, differences=tuple(differences), report=environment.report)


def _play_actions(rollout: Rollout, environment: Environment, sitting: Sitting) -> None:
    if not rollout.steps and rollout.end is None:
        return
    sitting.begin()
    actions = [step.action for step in rollout.steps[1:]] + [rollout.attempted]
    for action in actions:
        if action is not None and environment.report is None:
            sitting.act(action)
