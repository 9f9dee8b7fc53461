"""An episode that can be looked at step by step: of a team, or of an agent."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from mirr.agents.registry import PolicyName, make_policy
from mirr.env.environment import Environment, Harm, Observation, breaches_left
from mirr.env.objectives import OBJECTIVES, breaches
from mirr.env.rollout import EpisodeResult, Move, Sitting, Thinks
from mirr.env.scenario import EpisodeConfig, Scenario, policy_rng
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Action, action_text
from mirr.env.world import Snapshot, World, WorldError
from mirr.room.alerts import Alarms, Alert
from mirr.room.incidents import Incident

AGENTS = (PolicyName.HEURISTIC, PolicyName.DETECTIVE, PolicyName.TRAINED_LM, PolicyName.ORACLE)
"""The agents of the scoreboard. They play the same incident, with the same users and the same noise."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One step: what was seen after it, and what was measured."""

    seen: Observation
    measured: Snapshot  # the truth; a player never gets it while the episode runs
    reward: float
    alerts: tuple[Alert, ...] = ()  # of what was seen
    alerts_measured: tuple[Alert, ...] = ()  # of the truth, and of the users
    thoughts: tuple[str, ...] = ()
    """What the agent believed after it saw this, and before it acted. A team has none."""


class Episode:
    """An episode that is played in a world, and keeps every step."""

    def __init__(
        self, world: World, config: EpisodeConfig, scenario: Scenario, *, player: str, world_name: str
    ) -> None:
        self.config = config
        self.scenario = scenario
        self.player = player
        self.world_name = world_name
        self.frames: list[Frame] = []
        self.result: EpisodeResult | None = None
        self.attempted: Action | None = None  # the action during which the world failed
        self._last: Frame | None = None  # of a step that is not shown yet
        self._alarms_seen, self._alarms_measured = Alarms(config.step_s), Alarms(config.step_s)
        self._environment = Environment(world, config)
        self._sitting = Sitting(
            self._environment, scenario, world_name=world_name, policy_name=player, on_step=self._keep
        )

    def begin(self) -> None:
        """Begin, and see the first window. Raises WorldError; the episode is then void."""
        try:
            self._sitting.begin()
        except WorldError:
            self.result = self._sitting.result()
            raise
        self._show()

    def act(self, action: Action) -> None:
        """Take an action. Raises WorldError; the episode is then void."""
        try:
            _, over = self._sitting.act(action)
        except WorldError:
            self.attempted = action
            self.result = self._sitting.result()
            raise
        if over:
            self.result = self._sitting.result()
        self._show()

    def note(self, thoughts: tuple[str, ...]) -> None:
        """Keep what its player thinks at this step."""
        self.frames[-1] = replace(self.frames[-1], thoughts=thoughts)

    def _keep(self, seen: Observation, move: Move | None) -> None:
        measured = self._environment.last_snapshot
        assert measured is not None  # there is one after each step
        self._last = Frame(
            seen=seen,
            measured=measured,
            reward=0.0 if move is None else move.reward,
            alerts=self._alarms_seen.after(seen.features),
            alerts_measured=self._alarms_measured.after(measured.features, measured),
        )

    def _show(self) -> None:
        # Others may look while a step goes on. So a last step is not seen before it is known that it was the last one.
        assert self._last is not None  # a step has just been kept
        self.frames.append(self._last)

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.result is not None

    @property
    def step(self) -> int:
        """Steps taken."""
        return max(0, len(self.frames) - 1)

    @property
    def reward(self) -> float:
        """What was earned so far."""
        return sum(frame.reward for frame in self.frames)


def agent_episode(name: PolicyName, scenario: Scenario, config: EpisodeConfig) -> Episode:
    """The whole episode as an agent plays it, on a simulator of its own."""
    episode = Episode(SimulatedWorld(), config, scenario, player=str(name), world_name="sim")
    policy = make_policy(name, scenario)
    policy.reset(policy_rng(scenario.seed))
    episode.begin()
    while not episode.over:
        action = policy.act(episode.frames[-1].seen)
        if isinstance(policy, Thinks):
            episode.note(policy.thoughts())
        episode.act(action)
    return episode


def play_agents(incident: Incident) -> dict[PolicyName, Episode]:
    """The episodes of the agents of the scoreboard."""
    return {name: agent_episode(name, incident.scenario, incident.config) for name in AGENTS}


def tape_json(episode: Episode, *, with_truth: bool) -> dict[str, object]:
    """What the page plays back: every step, and how it ended. With the truth, each step has what was measured."""
    return {
        "player": episode.player,
        "world": episode.world_name,
        "max_steps": episode.config.max_steps,
        "frames": [frame_json(frame, with_truth=with_truth) for frame in episode.frames],
        "report": None if episode.result is None else report_json(episode.result),
    }


def frame_json(frame: Frame, *, with_truth: bool) -> dict[str, object]:
    """One step. Numbers are rounded: nobody sees the difference, and a page loads sooner."""
    seen = frame.seen
    shown: dict[str, object] = {
        "step": seen.step,
        "action": None if seen.last_action is None else action_text(seen.last_action),
        "result": seen.last_result,
        "accepted": seen.last_accepted,
        "reward": round(frame.reward, 3),
        "seen": _rounded(seen.features),
        "logs": [
            {"age_s": round(line.age_s, 1), "level": str(line.level), "event": line.event, "text": line.text}
            for line in seen.logs
        ],
        "logs_of": None if seen.logs_of is None else str(seen.logs_of),
        "alerts": [alert.to_json() for alert in frame.alerts],
    }
    if frame.thoughts:
        shown["thoughts"] = list(frame.thoughts)
    if with_truth:
        measured = frame.measured
        shown |= {
            "measured": _rounded(measured.features),
            "requests": measured.requests,
            "failed": measured.failed_requests,
            "breaches": breaches(measured),
            "alerts_measured": [alert.to_json() for alert in frame.alerts_measured],
        }
    return shown


def _rounded(features: NDArray[Any]) -> list[list[float | None]]:
    return [[None if math.isnan(value) else float(f"{value:.4g}") for value in row] for row in features.tolist()]


def report_json(result: EpisodeResult) -> dict[str, object]:
    """The report in the fields of `mirr episode --json`, without the trajectory: the steps have it."""
    content = result.to_json()
    del content["trajectory"]
    return content


def harm_so_far(episode: Episode) -> Harm:
    """The harm until now, for the trainer. The needless actions come with the report."""
    if episode.result is not None:
        return episode.result.report.harm
    windows = [frame.measured for frame in episode.frames[1:]]
    hurt = [window for window in windows if breaches_left(window, episode.config, OBJECTIVES)]
    return Harm(
        failed_requests=sum(window.failed_requests for window in windows),
        objective_lost_s=sum(episode.config.step_s + window.overrun_s for window in hurt),
    )
