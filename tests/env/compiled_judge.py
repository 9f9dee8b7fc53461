"""Calls the compiled judge directly. Only this module of the tests uses its internals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mirr.env.objectives import Objectives
from mirr.env.reward import Outcome, RewardTable
from mirr.env.scenario import EpisodeConfig, Scenario
from mirr.env.simulator.batch import _game as game
from mirr.env.simulator.batch import clean_lanes
from mirr.env.simulator.fast import episode
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import jit, numbers
from mirr.env.simulator.fast.given import plan
from mirr.env.simulator.fast.pointers import fixed, shown, state
from mirr.env.simulator.fast.timeline import next_to_inject, start_timeline
from mirr.env.vocabulary import ACTION_INDEX, PACK_ACTIONS, Action, Journey, Service
from mirr.env.world import Snapshot

_OUTCOMES = {
    k.RUNNING: None,
    k.RESOLVED: Outcome.RESOLVED,
    k.COLLAPSED: Outcome.COLLAPSED,
    k.EXHAUSTED: Outcome.EXHAUSTED,
}


# As a batch calls them: with addresses of rows.


@jit
def open_ledger(s: Any) -> None:
    episode.open_ledger(state(s))


@jit
def judge_action(s: Any, g: Any, action: int, accepted: bool) -> float:
    return episode.judge_action(state(s), fixed(g), action, accepted)


@jit
def judge_events(s: Any) -> None:
    episode.judge_events(state(s))


@jit
def judge_window(s: Any, w: Any, g: Any) -> float:
    return episode.judge_window(state(s), shown(w), fixed(g))


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """What a judge knows about an episode. The compiled judge and the plain judge give the same fields."""

    steps: int
    outcome: Outcome | None
    total_reward: float
    diagnosis: Action | None  # the first diagnosis
    diagnosed: bool
    settled: bool
    time_to_diagnose_s: float | None
    healthy_steps: int
    failed_requests: int
    objective_lost_s: float
    needless_actions: int
    wrong_fixes: int
    clean: bool


class CompiledJudge:
    """The ledger of one compiled episode. `step` does the part of a batch step that comes after the physics."""

    def __init__(self, scenario: Scenario, config: EpisodeConfig, objectives: Objectives, rewards: RewardTable) -> None:
        self._row = numbers([0.0] * k.ROW)
        self._shown = numbers([0.0] * k.SHOWN_ROW)
        self._game = numbers(game(config, objectives, rewards, ticks=1))
        plan(self._row, scenario, k.SCENARIO_GIVEN)
        open_ledger(self._row)
        for _ in range(start_timeline(self._row)):
            self._row[k.CASE_BEGUN + next_to_inject(self._row)] = 1.0

    def step(self, action: Action, accepted: bool, snapshot: Snapshot) -> float:
        """The reward of a step with this action and this measured snapshot."""
        row = self._row
        self._show(snapshot)
        reward = float(judge_action(row, self._game, ACTION_INDEX[action], accepted))
        if row[k.DUE_STEP] == row[k.STEP] + 1.0:
            judge_events(row)
        row[k.STEP] += 1.0
        reward += float(judge_window(row, self._shown, self._game))
        row[k.REWARD] += reward
        return reward

    def _show(self, snapshot: Snapshot) -> None:
        for cell, value in enumerate(snapshot.features.ravel().tolist()):
            self._shown[cell] = value
        for place, journey in enumerate(Journey):
            self._shown[k.SHOWN_REQUESTS + place] = float(snapshot.journeys[journey].requests)
            self._shown[k.SHOWN_FAILED + place] = float(snapshot.journeys[journey].failed)
        for place, service in enumerate(Service):
            self._shown[k.SHOWN_DEGRADED + place] = float(service in snapshot.degraded)

    def ledger(self) -> Ledger:
        """The ledger as it is now."""
        row = self._row
        diagnosis = PACK_ACTIONS[int(row[k.DIAGNOSIS])] if row[k.DIAGNOSIS] >= 0.0 else None
        return Ledger(
            steps=int(row[k.STEP]),
            outcome=_OUTCOMES[float(row[k.OUTCOME])],
            total_reward=float(row[k.REWARD]),
            diagnosis=diagnosis,
            diagnosed=bool(row[k.DIAGNOSED] == 1.0),
            settled=bool(row[k.SETTLED] == 1.0),
            time_to_diagnose_s=float(row[k.DIAGNOSED_AT_S]) if row[k.DIAGNOSED_AT_S] >= 0.0 else None,
            healthy_steps=int(row[k.HEALTHY]),
            failed_requests=int(row[k.FAILED_REQUESTS]),
            objective_lost_s=float(row[k.LOST_S]),
            needless_actions=int(row[k.NEEDLESS]),
            wrong_fixes=int(row[k.WRONG_FIXES]),
            clean=bool(clean_lanes(row[k.OUTCOME], row[k.DIAGNOSED], row[k.WRONG_FIXES])),
        )
