"""Thousands of simulated episodes at once: what `Environment(SimulatedWorld())` plays, in one compiled call a step.

Episode for episode the same, bit for bit, wherever in a batch of whatever size and with however many threads it is
played. It plays the base task: one fault, drawn from the seed or given. What can be read beyond the features (results
in words, log lines, reports) is worked out for the environment that is asked about, and costs nothing otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mirr.env.environment import EpisodeError, EpisodeReport, Harm, Observation, breaches_left, reason_of
from mirr.env.logs import digest
from mirr.env.objectives import OBJECTIVES, Objectives
from mirr.env.results import result_text
from mirr.env.reward import REWARDS, Outcome, RewardTable
from mirr.env.scenario import EpisodeConfig, Scenario, checked_seed, draw
from mirr.env.simulator import lanes, team
from mirr.env.simulator import layout as k
from mirr.env.simulator.chronicle import lines, log_state
from mirr.env.simulator.compiled import numbers, table, whole_numbers
from mirr.env.simulator.parameters import Parameters
from mirr.env.simulator.randomisation import ParameterSets, fixed_parameters
from mirr.env.simulator.world import snapshot_of
from mirr.env.vocabulary import ACTIONS, ALL_FAULTS, REASONS, CheckLogs, Diagnose, Fault
from mirr.env.world import FEATURES_SHAPE, LogLine, WorldError


class Autoreset(Enum):
    """How an episode follows another, as in Gymnasium."""

    NEXT_STEP = lanes.NEXT_STEP
    SAME_STEP = lanes.SAME_STEP
    DISABLED = lanes.DISABLED


_OUTCOMES = {k.RESOLVED: Outcome.RESOLVED, k.COLLAPSED: Outcome.COLLAPSED, k.EXHAUSTED: Outcome.EXHAUSTED}

Step = tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]


class BatchedSimulator:
    """`size` environments; the arrays that it returns are its own, and change with the next call."""

    def __init__(
        self,
        size: int,
        *,
        config: EpisodeConfig | None = None,
        objectives: Objectives = OBJECTIVES,
        rewards: RewardTable = REWARDS,
        parameters: Parameters | ParameterSets | None = None,
        autoreset: Autoreset = Autoreset.NEXT_STEP,
        threads: int = 1,
    ) -> None:
        if size < 1 or threads < 1:
            raise ValueError(f"a batch has at least one environment and one thread; got {size} and {threads}")
        self.size = size
        self.config = config or EpisodeConfig()
        self.objectives = objectives
        self.rewards = rewards
        self.autoreset = autoreset
        self.parameters = parameters if isinstance(parameters, ParameterSets) else fixed_parameters(parameters)
        if self.config.none_diagnosis:
            raise ValueError(
                "a batch plays the base task of 41 actions; play packs with mirr.env.environment.Environment"
            )
        self._g = numbers(_game(self.config, objectives, rewards, self.parameters.ticks(self.config.step_s)))
        self._rows = table(size, k.ROW)
        self._ended = table(size, lanes.ENDED)
        self._wholes = whole_numbers(size, lanes.WHOLES)
        self._features = np.zeros((size, k.CELLS), dtype=np.float32)
        self._final = np.full((size, k.CELLS), np.nan, dtype=np.float32)
        self._forced = np.full(size, -1, dtype=np.int64)
        self._which = np.zeros(size, dtype=np.int64)
        self._over = np.zeros(size, dtype=np.bool_)
        self._rewards = np.zeros(size)
        self._terminated = np.zeros(size, dtype=np.bool_)
        self._truncated = np.zeros(size, dtype=np.bool_)
        self._begun = np.zeros(size, dtype=np.bool_)  # lanes that have been reset at least once
        self._all_begun = False
        self._tables = (
            self._rows,
            self.parameters.rows,
            self._wholes,
            self._features,
            self._ended,
            self._final,
            self._forced,
            self._which,
            self._over,
        )
        self._actions = np.zeros(size, dtype=np.int64)
        self._chosen = np.zeros(size, dtype=np.bool_)
        parts = team.Team.parts(size, threads)
        self._team = team.Team(
            size,
            parts,
            (
                table(parts, 2 * k.SHOWN_ROW),  # far enough apart that no thread waits for another's cache
                autoreset.value,
                self._actions,
                self._chosen,
                self._g,
                self._tables,
                self._rewards,
                self._terminated,
                self._truncated,
            ),
        )

    @property
    def features(self) -> NDArray[np.float32]:  # (size, services, features)
        """What every environment shows now, with its noise; NaN where a service could not be scraped."""
        return self._features.reshape(self.size, *FEATURES_SHAPE)

    @property
    def final_features(self) -> NDArray[np.float32]:  # (size, services, features)
        """What every environment showed at the end of its last episode; NaN before one has ended."""
        return self._final.reshape(self.size, *FEATURES_SHAPE)

    def column(self, place: int, *, ended: bool = False) -> NDArray[np.float64]:  # (size,)
        """One number of `layout`'s ledger for every environment, or for each one's last episode that is over."""
        assert place < k.STATE_BEGINS
        rows, place = (self._ended, k.SHOWN + place) if ended else (self._rows, place)
        return np.array(rows[:, place] if isinstance(rows, np.ndarray) else [row[place] for row in rows])

    @property
    def over(self) -> NDArray[np.bool_]:  # (size,)
        """Whether an episode has ended and the next has not begun."""
        return self._over

    def reset(
        self,
        seeds: Sequence[int] | NDArray[Any] | None = None,
        *,
        faults: Fault | Sequence[Fault | None] | None = None,
        mask: ArrayLike | None = None,
    ) -> NDArray[np.float32]:  # (size, services, features)
        """Begin an episode in every environment, or in those of `mask`: of its seed, or, without seeds, of the one that
        follows its last. `faults` take the place of the drawn ones, until the next reset."""
        chosen = np.ones(self.size, dtype=np.bool_) if mask is None else np.array(mask, dtype=np.bool_)
        if chosen.shape != (self.size,):
            raise EpisodeError(f"a mask has one bool for each of the {self.size} environments; got {chosen.shape}")
        if seeds is None:
            if not np.all(self._begun[chosen]):
                raise EpisodeError("the first reset takes a seed for each environment: reset(range(size))")
        elif len(seeds) != self.size:
            raise EpisodeError(f"a batch of {self.size} takes {self.size} seeds; got {len(seeds)}")
        forced = self._forced_faults(faults)
        # All are looked at before the first is taken.
        starts = None if seeds is None else [_seed_of_64_bits(seed) for seed in seeds]
        self._forced[chosen] = forced[chosen]
        if isinstance(self._wholes, np.ndarray):
            # All at once: one by one costs more than beginning the episodes.
            if starts is None:
                self._wholes[chosen, lanes.NUMBER] += np.uint64(1)
            else:
                self._wholes[chosen, lanes.START] = np.array(starts, dtype=np.uint64)[chosen]
                self._wholes[chosen, lanes.NUMBER] = 0
        else:
            for e in np.flatnonzero(chosen):
                self._wholes[e][lanes.NUMBER] = 0 if starts is not None else self._wholes[e][lanes.NUMBER] + 1
                self._wholes[e][lanes.START] = self._wholes[e][lanes.START] if starts is None else starts[e]
        self._begun |= chosen
        self._all_begun = bool(self._begun.all())
        self._chosen[:] = chosen
        self._play(team.RESET)
        return self.features

    def step(self, actions: ArrayLike) -> Step:
        """Play a step everywhere: features, rewards, terminated, truncated."""
        taken = np.ascontiguousarray(actions, dtype=np.int64)
        if taken.shape != (self.size,):
            raise EpisodeError(f"a batch of {self.size} takes {self.size} action numbers; got shape {taken.shape}")
        if not self._all_begun:
            raise EpisodeError("no episode is running; call reset(seeds) first")
        refused = lanes.first_refused(taken, self.autoreset.value, self._over)
        if refused >= 0:
            raise EpisodeError(self._why_refused(refused, int(taken[refused])))
        self._actions[:] = taken
        self._play(team.STEP)
        return self.features, self._rewards, self._terminated, self._truncated

    def observation(self, e: int) -> Observation:
        """What an agent can see of environment `e`, the words and log lines included."""
        return self._observation(self._rows[e], self._features[e], int(self._which[e]))

    def final_observation(self, e: int) -> Observation:
        """The same, of the end of its last episode."""
        self.report(e)
        return self._observation(self._ended_row(e), self._final[e], int(self._which[e]))

    def scenario(self, e: int) -> Scenario:
        """What is being played in environment `e`. The truth: not for agents."""
        return draw(int(self._wholes[e][lanes.SEED]), _fault(self._rows[e]))

    def report(self, e: int) -> EpisodeReport:
        """The truth about the last episode of environment `e` that is over."""
        b = self._ended_row(e)
        if b[k.OUTCOME] == k.RUNNING:
            raise EpisodeError(f"no episode of environment {e} is over yet")
        outcome, fault, fixed = _OUTCOMES[float(b[k.OUTCOME])], _fault(b), b[k.FIXED] == 1.0
        missing = []
        if outcome is Outcome.EXHAUSTED:
            missing = breaches_left(snapshot_of(self._ended[e]), self.config, self.objectives)
        unsettled = () if fixed else (fault,)
        mitigated_at_s = (b[k.STEP] - b[k.HEALTHY]) * self.config.step_s if outcome is Outcome.RESOLVED else None
        diagnosis = ACTIONS[int(b[k.DIAGNOSIS])] if b[k.DIAGNOSIS] >= 0.0 else None
        assert diagnosis is None or isinstance(diagnosis, Diagnose)
        return EpisodeReport(
            scenario=draw(int(self._wholes[e][lanes.ENDED_SEED]), fault),
            outcome=outcome,
            reason=reason_of(
                outcome, self.config, self.objectives, self.rewards, missing, unsettled, settled=bool(fixed)
            ),
            steps=int(b[k.STEP]),
            total_reward=float(b[k.REWARD]),
            diagnosis=diagnosis,
            diagnosis_correct=bool(b[k.DIAGNOSED] == 1.0),
            time_to_diagnose_s=float(b[k.DIAGNOSED_AT_S]) if b[k.DIAGNOSED_AT_S] >= 0.0 else None,
            time_to_mitigate_s=None if mitigated_at_s is None else float(mitigated_at_s),
            harm=Harm(
                failed_requests=int(b[k.FAILED_REQUESTS]),
                objective_lost_s=float(b[k.LOST_S]),
                needless_actions=int(b[k.NEEDLESS]),
            ),
        )

    def _ended_row(self, e: int) -> Any:
        """As a row, without the state."""
        ended = list(self._ended[e])
        ledger, read = ended[k.SHOWN : lanes.ENDED_READ], ended[lanes.ENDED_READ :]
        return [*ledger, *[0.0] * (k.READ - k.STATE_BEGINS), *read]

    def _observation(self, b: Any, features: NDArray[np.float32], which: int) -> Observation:
        action = ACTIONS[int(b[k.ACTION])] if b[k.ACTION] >= 0.0 else None
        logs: tuple[LogLine, ...] = ()
        if isinstance(action, CheckLogs):
            state = log_state(action.service, b, k.READ)
            logs = digest(lines(state, int(b[k.READ_AT]), self.parameters.tick_s))
        step, reason = int(b[k.STEP]), REASONS[int(b[k.RESULT])]
        return Observation(
            features=features.reshape(FEATURES_SHAPE).copy(),
            step=step,
            steps_left=self.config.max_steps - step,
            last_action=action,
            last_result="" if action is None else result_text(action, reason, log_lines=len(logs)),
            last_reason=None if action is None else reason,
            logs=logs,
            logs_of=action.service if isinstance(action, CheckLogs) else None,
        )

    def _forced_faults(self, faults: Fault | Sequence[Fault | None] | None) -> NDArray[np.int64]:
        if faults is None or isinstance(faults, Fault):
            return np.full(self.size, -1 if faults is None else ALL_FAULTS.index(faults), dtype=np.int64)
        each = list(faults)
        if len(each) != self.size:
            raise EpisodeError(f"a batch of {self.size} takes one fault or {self.size}; got {len(each)}")
        return np.array([-1 if fault is None else ALL_FAULTS.index(fault) for fault in each], dtype=np.int64)

    def _why_refused(self, e: int, action: int) -> str:
        if not 0 <= action < k.ACTIONS:
            return f"action numbers go from 0 to {k.ACTIONS - 1}; environment {e} got {action}"
        return f"the episode of environment {e} is over; call reset(mask=...) first"

    def _play(self, job: int) -> None:
        stuck = self._team.play(job)
        if stuck >= 0:
            raise WorldError(
                f"{_fault(self._rows[stuck])} did not land in environment {stuck}, seed "
                f"{int(self._wholes[stuck][lanes.SEED])}; see its parameters"
            )


def _fault(b: Any) -> Fault:
    return ALL_FAULTS[int(b[k.MODE]) * k.SERVICES + int(b[k.SERVICE])]


def _seed_of_64_bits(seed: object) -> int:
    number = checked_seed(seed)
    if number >= 2**64:
        raise EpisodeError(f"a batch takes seeds of 64 bits; got {number}")
    return number


def _game(config: EpisodeConfig, objectives: Objectives, rewards: RewardTable, ticks: int) -> list[float]:
    """In the order of `layout`, from TICKS on."""
    return [
        float(ticks),
        config.step_s,
        float(config.max_steps),
        1.0 - config.noise,
        2.0 * config.noise,
        objectives.user_sli,
        objectives.user_rate_per_s * config.step_s,
        objectives.request_rate,
        objectives.error_ratio,
        objectives.latency_p95_s,
        objectives.memory_share,
        objectives.collapse_sli,
        rewards.correct_diagnosis,
        rewards.wrong_diagnosis,
        rewards.fix_diagnosed,
        rewards.fix_undiagnosed,
        rewards.wrong_fix,
        rewards.recovery,
        rewards.recovery_per_step_left,
        rewards.collapse,
        float(rewards.recovery_steps),
        float(rewards.collapse_steps),
    ]
