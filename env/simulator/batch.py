"""Thousands of simulated episodes at once: one compiled call a step.

Each episode is the same as with `Environment(SimulatedWorld())`, bit for bit. Its place, the size of the batch and the
number of threads do not matter. A batch plays the base task: one fault, drawn from the seed or given. Result texts, log
lines and reports are made only on request, for one environment.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mirr.env.actions import NotAnAction, action_numbers
from mirr.env.checks import NotWhole, as_array, whole_number
from mirr.env.environment import EpisodeError, EpisodeReport, Harm, Observation, breaches_left, reason_of
from mirr.env.forms import fault_of, form_number
from mirr.env.logs import digest
from mirr.env.objectives import OBJECTIVES, SERVICE_ROW, Objectives
from mirr.env.quoting import quoted
from mirr.env.results import result_text
from mirr.env.reward import REWARDS, Outcome, RewardTable
from mirr.env.scenario import EpisodeConfig, Scenario, checked_config, checked_fault, checked_seed, draw
from mirr.env.simulator.chronicle import lines, log_state
from mirr.env.simulator.fast import lanes, team
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import numbers, table, whole_numbers
from mirr.env.simulator.parameters import Parameters
from mirr.env.simulator.randomisation import ParameterSets, fixed_parameters
from mirr.env.simulator.world import snapshot_of
from mirr.env.vocabulary import ACTIONS, REASONS, CheckLogs, Diagnose, Fault, Service
from mirr.env.world import FEATURES_SHAPE, LogLine, WorldError


class Autoreset(Enum):
    """How the next episode begins, as in Gymnasium."""

    NEXT_STEP = lanes.NEXT_STEP
    SAME_STEP = lanes.SAME_STEP
    DISABLED = lanes.DISABLED


_OUTCOMES = {k.RESOLVED: Outcome.RESOLVED, k.COLLAPSED: Outcome.COLLAPSED, k.EXHAUSTED: Outcome.EXHAUSTED}

_SERVICES = tuple(Service)

Step = tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]


class BatchedSimulator:
    """`size` environments. The arrays that it returns are its own: the next call changes them."""

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
        if not _at_least_one(size) or not _at_least_one(threads):
            raise ValueError(
                f"a batch has at least one environment and one thread; got {quoted(size)} and {quoted(threads)}"
            )
        self.size = size = whole_number(size)
        threads = whole_number(threads)
        self.config = checked_config(config)
        self.objectives = objectives
        self.rewards = rewards
        self.autoreset = autoreset
        self.parameters = parameters if isinstance(parameters, ParameterSets) else fixed_parameters(parameters)
        if self.config.none_diagnosis:
            raise ValueError(
                "a batch plays the base task of 41 actions; play packs with mirr.env.environment.Environment"
            )
        parts = team.Team.parts(size, threads)
        self._lanes = lanes.Lanes(
            rows=table(size, k.ROW),
            parameters=self.parameters.rows,
            wholes=whole_numbers(size, lanes.WHOLES),
            features=np.zeros((size, k.CELLS), dtype=np.float32),
            ended=table(size, lanes.ENDED),
            final=np.full((size, k.CELLS), np.nan, dtype=np.float32),
            forced=np.full(size, -1, dtype=np.int64),
            which=np.zeros(size, dtype=np.int64),
            over=np.zeros(size, dtype=np.bool_),
            chosen=np.zeros(size, dtype=np.bool_),
            actions=np.zeros(size, dtype=np.int64),
            rewards=np.zeros(size),
            terminated=np.zeros(size, dtype=np.bool_),
            truncated=np.zeros(size, dtype=np.bool_),
            game=numbers(_game(self.config, objectives, rewards, self.parameters.ticks(self.config.step_s))),
            autoreset=autoreset.value,
            shown=table(parts, 2 * k.SHOWN_ROW),
        )
        self._begun = np.zeros(size, dtype=np.bool_)  # lanes that have been reset at least once
        self._all_begun = False
        self._team = team.Team(size, parts, self._lanes)

    @property
    def features(self) -> NDArray[np.float32]:  # (size, services, features)
        """What is seen now in every environment, with noise. NaN if a service could not be scraped."""
        return self._lanes.features.reshape(self.size, *FEATURES_SHAPE)

    @property
    def final_features(self) -> NDArray[np.float32]:  # (size, services, features)
        """What was seen last in the last episode of every environment. NaN if no episode has ended."""
        return self._lanes.final.reshape(self.size, *FEATURES_SHAPE)

    def column(self, place: int, *, ended: bool = False) -> NDArray[np.float64]:  # (size,)
        """One number of the ledger (see `fast.rows`) for every environment, or for its last episode that is over."""
        assert place < k.LEDGER_SIZE
        rows, place = (self._lanes.ended, lanes.ENDED_LEDGER + place) if ended else (self._lanes.rows, place)
        return np.array(rows[:, place] if isinstance(rows, np.ndarray) else [row[place] for row in rows])

    @property
    def begun(self) -> NDArray[np.bool_]:  # (size,)
        """Whether an environment has been reset at least once."""
        return self._begun

    @property
    def over(self) -> NDArray[np.bool_]:  # (size,)
        """Whether an episode has ended and the next has not begun."""
        return self._lanes.over

    def reset(
        self,
        seeds: Sequence[int] | NDArray[Any] | None = None,
        *,
        faults: Fault | Sequence[Fault | None] | None = None,
        mask: ArrayLike | None = None,
    ) -> NDArray[np.float32]:  # (size, services, features)
        """Begin an episode in every environment, or in those of `mask`.

        Without seeds, each environment plays the seed that follows its last. `faults` replace the drawn ones until the
        next reset. Raises EpisodeError, BadSeed, or WorldError if a fault does not land.
        """
        chosen = np.ones(self.size, dtype=np.bool_) if mask is None else self._checked_mask(mask)
        if seeds is None:
            if not np.all(self._begun[chosen]):
                raise EpisodeError("the first reset takes a seed for each environment: reset(range(size))")
        elif (count := _length(seeds)) != self.size:
            shown = quoted(seeds) if count is None else str(count)
            raise EpisodeError(f"a batch of {self.size} takes {self.size} seeds; got {shown}")
        forced = self._forced_faults(faults)
        # Every seed is checked before anything changes.
        starts = None if seeds is None else [_seed_of_64_bits(seed) for seed in seeds]
        self._lanes.forced[chosen] = forced[chosen]
        if isinstance(self._lanes.wholes, np.ndarray):
            # All seeds at once: a loop would take longer than to begin the episodes.
            if starts is None:
                self._lanes.wholes[chosen, lanes.NUMBER] += np.uint64(1)
            else:
                self._lanes.wholes[chosen, lanes.START] = np.array(starts, dtype=np.uint64)[chosen]
                self._lanes.wholes[chosen, lanes.NUMBER] = 0
        else:
            for e in np.flatnonzero(chosen):
                whole = self._lanes.wholes[e]
                whole[lanes.NUMBER] = whole[lanes.NUMBER] + 1 if starts is None else 0
                whole[lanes.START] = whole[lanes.START] if starts is None else starts[e]
        self._begun |= chosen
        self._all_begun = bool(self._begun.all())
        self._lanes.chosen[:] = chosen
        self._play(team.RESET)
        return self.features

    def step(self, actions: ArrayLike) -> Step:
        """Play a step everywhere: features, rewards, terminated, truncated. Raises EpisodeError or WorldError."""
        try:
            taken = action_numbers(actions, self.size)
        except NotAnAction as error:
            raise EpisodeError(str(error)) from error
        if not self._all_begun:
            raise EpisodeError("no episode is running; call reset(seeds) first")
        refused = lanes.first_refused(taken, self.autoreset.value, self._lanes.over)
        if refused >= 0:
            raise EpisodeError(self._why_refused(refused, int(taken[refused])))
        self._lanes.actions[:] = taken
        self._play(team.STEP)
        return self.features, self._lanes.rewards, self._lanes.terminated, self._lanes.truncated

    def observation(self, e: int) -> Observation:
        """What an agent can see of environment `e`, with result text and log lines."""
        return self._observation(self._lanes.rows[e], self._lanes.features[e], int(self._lanes.which[e]))

    def final_observation(self, e: int) -> Observation:
        """The last observation of the last episode of environment `e`."""
        self.report(e)
        return self._observation(self._ended_row(e), self._lanes.final[e], int(self._lanes.which[e]))

    def scenario(self, e: int) -> Scenario:
        """What is being played in environment `e`. The truth: not for agents."""
        return draw(int(self._lanes.wholes[e][lanes.SEED]), _fault(self._lanes.rows[e]))

    def report(self, e: int) -> EpisodeReport:
        """The truth about the last episode of environment `e` that is over. Raises EpisodeError if there is none."""
        b = self._ended_row(e)
        if b[k.OUTCOME] == k.RUNNING:
            raise EpisodeError(f"no episode of environment {e} is over yet")
        outcome, fault, fixed = _OUTCOMES[float(b[k.OUTCOME])], _fault(b), b[k.FIXED] == 1.0
        missing = []
        if outcome is Outcome.EXHAUSTED:
            missing = breaches_left(snapshot_of(self._lanes.ended[e]), self.config, self.objectives)
        unsettled = () if fixed else (fault,)
        # Nobody can think for too long here, so a step always lasts `step_s`.
        diagnosed_at_s = float(b[k.DIAGNOSED_AT_S]) if b[k.DIAGNOSED_AT_S] >= 0.0 else None
        mitigated_at = int(b[k.STEP] - b[k.HEALTHY]) if outcome is Outcome.RESOLVED else None
        diagnosis = ACTIONS[int(b[k.DIAGNOSIS])] if b[k.DIAGNOSIS] >= 0.0 else None
        assert diagnosis is None or isinstance(diagnosis, Diagnose)
        return EpisodeReport(
            scenario=draw(int(self._lanes.wholes[e][lanes.ENDED_SEED]), fault),
            outcome=outcome,
            reason=reason_of(
                outcome, self.config, self.objectives, self.rewards, missing, unsettled, settled=bool(fixed)
            ),
            steps=int(b[k.STEP]),
            total_reward=float(b[k.REWARD]),
            diagnosis=diagnosis,
            diagnosis_correct=bool(b[k.DIAGNOSED] == 1.0),
            time_to_diagnose_s=diagnosed_at_s,
            time_to_mitigate_s=None if mitigated_at is None else mitigated_at * self.config.step_s,
            steps_to_diagnose=None if diagnosed_at_s is None else round(diagnosed_at_s / self.config.step_s),
            steps_to_mitigate=mitigated_at,
            harm=Harm(
                failed_requests=int(b[k.FAILED_REQUESTS]),
                objective_lost_s=float(b[k.LOST_S]),
                needless_actions=int(b[k.NEEDLESS]),
            ),
        )

    def _ended_row(self, e: int) -> Any:
        """The lane's row at the end of its last episode, with zeros in place of the state."""
        ended = list(self._lanes.ended[e])
        ledger, read = ended[lanes.ENDED_LEDGER : lanes.ENDED_READ], ended[lanes.ENDED_READ :]
        return [*ledger, *[0.0] * (k.READ_LOG - k.LEDGER_SIZE), *read]

    def _observation(self, b: Any, features: NDArray[np.float32], which: int) -> Observation:
        action = ACTIONS[int(b[k.ACTION])] if b[k.ACTION] >= 0.0 else None
        logs: tuple[LogLine, ...] = ()
        if isinstance(action, CheckLogs):
            state = log_state(action.service, b, k.READ_LOG)
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
        if faults is None or isinstance(faults, Fault | str):
            return np.full(self.size, _number(faults), dtype=np.int64)
        each = list(faults)
        if len(each) != self.size:
            raise EpisodeError(f"a batch of {self.size} takes one fault or {self.size}; got {len(each)}")
        return np.array([_number(fault) for fault in each], dtype=np.int64)

    def _checked_mask(self, mask: object) -> NDArray[np.bool_]:
        found = as_array(mask)
        if found is None or found.shape != (self.size,):
            shown = quoted(mask) if found is None else str(found.shape)
            raise EpisodeError(f"a mask has one bool for each of the {self.size} environments; got {shown}")
        if found.dtype != np.bool_:
            raise EpisodeError(f"a mask has bools; got {quoted(mask)}")
        return found.astype(np.bool_)

    def _why_refused(self, e: int, action: int) -> str:
        if not 0 <= action < k.ACTIONS:
            return f"action numbers go from 0 to {k.ACTIONS - 1}; environment {e} got {action}"
        return f"the episode of environment {e} is over; call reset(mask=...) first"

    def _play(self, job: int) -> None:
        stuck = self._team.play(job)
        if stuck >= 0:
            raise WorldError(
                f"{_fault(self._lanes.rows[stuck])} did not land in environment {stuck}, seed "
                f"{int(self._lanes.wholes[stuck][lanes.SEED])}; see its parameters"
            )


def _fault(b: Any) -> Fault:
    return fault_of(int(b[k.FORM]), _SERVICES[int(b[k.SERVICE])])


def _number(fault: Fault | None) -> int:
    """As `lanes.Lanes.forced` has it."""
    return -1 if fault is None else form_number(checked_fault(fault)) * k.SERVICES + SERVICE_ROW[fault.service]


def _at_least_one(value: object) -> bool:
    try:
        return whole_number(value) >= 1
    except NotWhole:
        return False


def _length(value: object) -> int | None:
    """How many there are; None for a single value. A 0-d array has the method, but the method raises."""
    try:
        return len(value)  # type: ignore[arg-type]  # that is what is found out
    except TypeError:
        return None


def _seed_of_64_bits(seed: object) -> int:
    number = checked_seed(seed)
    if number >= 2**64:
        raise EpisodeError(f"a batch takes seeds of 64 bits; got {quoted(number)}")
    return number


def _game(config: EpisodeConfig, objectives: Objectives, rewards: RewardTable, ticks: int) -> list[float]:
    return k.GAME.filled(
        {
            "TICKS_A_STEP": ticks,
            "STEP_S": config.step_s,
            "MAX_STEPS": config.max_steps,
            "NOISE_FROM": 1.0 - config.noise,
            "NOISE_SPAN": 2.0 * config.noise,
            "LEAST_SLI": objectives.user_sli,
            "LEAST_USERS": objectives.user_rate_per_s * config.step_s,
            "LEAST_RATE": objectives.request_rate,
            "MOST_ERRORS": objectives.error_ratio,
            "MOST_P95_S": objectives.latency_p95_s,
            "MOST_MEMORY": objectives.memory_share,
            "COLLAPSE_SLI": objectives.collapse_sli,
            "PAY_DIAGNOSIS": rewards.correct_diagnosis,
            "PAY_WRONG_DIAGNOSIS": rewards.wrong_diagnosis,
            "PAY_FIX_DIAGNOSED": rewards.fix_diagnosed,
            "PAY_FIX": rewards.fix_undiagnosed,
            "PAY_WRONG_FIX": rewards.wrong_fix,
            "PAY_RECOVERY": rewards.recovery,
            "PAY_STEP_LEFT": rewards.recovery_per_step_left,
            "PAY_COLLAPSE": rewards.collapse,
            "RECOVERY_STEPS": rewards.recovery_steps,
            "COLLAPSE_STEPS": rewards.collapse_steps,
        }
    )
