"""Thousands of simulated episodes at once: one compiled call a step.

Each episode is the same as with `Environment(SimulatedWorld())`, bit for bit. Its place, the size of the batch and the
number of threads do not matter. What happens is drawn from the seed as the tier says, or it is given: a fault, or a
whole scenario. Result texts, log lines and reports are made only on request, for one environment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mirr.env.actions import NotAnAction, action_numbers
from mirr.env.checks import NotWhole, as_array, whole_number
from mirr.env.environment import EpisodeError, EpisodeReport, Harm, Observation, breaches_left, reason_of
from mirr.env.forms import form_number, severity_of
from mirr.env.logs import digest, log_numbers
from mirr.env.objectives import OBJECTIVES, SERVICE_ROW, Objectives
from mirr.env.quoting import quoted
from mirr.env.results import result_text
from mirr.env.reward import REWARDS, Outcome, RewardTable
from mirr.env.scenario import EpisodeConfig, Scenario, checked_config, checked_fault, checked_seed, draw
from mirr.env.simulator.chronicle import lines, log_state
from mirr.env.simulator.fast import lanes, team
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import numbers, table, whole_numbers
from mirr.env.simulator.fast.given import checked_scenario, faults_of, plan, unsettled_faults
from mirr.env.simulator.parameters import Parameters
from mirr.env.simulator.randomisation import ParameterSets, fixed_parameters
from mirr.env.simulator.world import snapshot_of
from mirr.env.tiers import TIER_NUMBER, TIERS
from mirr.env.vocabulary import PACK_ACTIONS, REASONS, CheckLogs, Diagnose, DiagnoseNone, Fault, Tier, parse_tier
from mirr.env.world import FEATURES_SHAPE, LogLine, WorldError


class Autoreset(Enum):
    """How the next episode begins, as in Gymnasium."""

    NEXT_STEP = lanes.NEXT_STEP
    SAME_STEP = lanes.SAME_STEP
    DISABLED = lanes.DISABLED


_OUTCOMES = {k.RESOLVED: Outcome.RESOLVED, k.COLLAPSED: Outcome.COLLAPSED, k.EXHAUSTED: Outcome.EXHAUSTED}

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
        tier: Tier = Tier.EASY,
    ) -> None:
        if not _at_least_one(size) or not _at_least_one(threads):
            raise ValueError(
                f"a batch has at least one environment and one thread; got {quoted(size)} and {quoted(threads)}"
            )
        self.size = size = whole_number(size)
        threads = whole_number(threads)
        self.tier = parse_tier(tier)
        self.config = checked_config(TIERS[self.tier].config if config is None else config)
        self.choices = k.ACTIONS + 1 if self.config.none_diagnosis else k.ACTIONS
        self.objectives = objectives
        self.rewards = rewards
        self.autoreset = autoreset
        self.parameters = parameters if isinstance(parameters, ParameterSets) else fixed_parameters(parameters)
        parts = team.Team.parts(size, threads)
        self._lanes = lanes.Lanes(
            rows=table(size, k.ROW),
            parameters=self.parameters.rows,
            wholes=whole_numbers(size, lanes.WHOLES),
            features=np.zeros((size, k.CELLS), dtype=np.float32),
            ended=table(size, lanes.ENDED),
            final=np.full((size, k.CELLS), np.nan, dtype=np.float32),
            given=np.zeros(size, dtype=np.int64),
            forced=np.zeros(size, dtype=np.int64),
            severities=np.zeros(size),
            which=np.zeros(size, dtype=np.int64),
            over=np.zeros(size, dtype=np.bool_),
            chosen=np.zeros(size, dtype=np.bool_),
            actions=np.zeros(size, dtype=np.int64),
            rewards=np.zeros(size),
            terminated=np.zeros(size, dtype=np.bool_),
            truncated=np.zeros(size, dtype=np.bool_),
            game=numbers(_game(self.config, objectives, rewards, self.parameters.ticks(self.config.step_s))),
            choices=self.choices,
            autoreset=autoreset.value,
            tier=TIER_NUMBER[self.tier],
            shown=table(parts, 2 * k.SHOWN_ROW),
        )
        self._scenarios: dict[int, Scenario] = {}
        """The given scenarios by their number, which is GIVEN in the ledger. Their seed is 0, and the lane has one."""
        self._last_scenario = k.SCENARIO_GIVEN - 1
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

    def logged(self, *, ended: bool = False) -> NDArray[np.float32]:  # (size, services, what a log told)
        """What the last reading of each service's log told, as `logs.LogBook.numbers` has it, for every environment or
        for its last episode that is over."""
        rows, first = (self._lanes.ended, lanes.ENDED_LOGGED) if ended else (self._lanes.rows, k.LOGGED)
        last = first + k.SERVICES * k.LOGGED_SIZE
        found = rows[:, first:last] if isinstance(rows, np.ndarray) else np.array([row[first:last] for row in rows])
        return log_numbers(
            found.reshape(self.size, k.SERVICES, k.LOGGED_SIZE), self.column(k.STEP, ended=ended)[:, None]
        )

    @property
    def read_start_age_s(self) -> NDArray[np.float64]:  # (size,)
        """How long ago the process had started whose log was read last, as the line `started` says when it is read.
        NaN if that log has no such line. It means something after a step in which a log was read."""
        rows, places = self._lanes.rows, (k.READ_LOG + k.LOG_READY, k.READ_AT)
        found = (
            rows[:, places] if isinstance(rows, np.ndarray) else np.array([[row[p] for p in places] for row in rows])
        )
        ready, read_at = found[:, 0], found[:, 1]
        return np.where(ready < 0.0, np.nan, (read_at - ready) * self.parameters.tick_s)

    @property
    def clean(self) -> NDArray[np.bool_]:  # (size,)
        """Whether the last episode of every environment that is over was clean, as its report says."""
        ended = [self.column(place, ended=True) for place in (k.OUTCOME, k.DIAGNOSED, k.WRONG_FIXES)]
        return np.asarray(clean_lanes(*ended))

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
        scenarios: Scenario | Sequence[Scenario] | None = None,
        mask: ArrayLike | None = None,
    ) -> NDArray[np.float32]:  # (size, services, features)
        """Begin an episode in every environment, or in those of `mask`.

        Without seeds, each environment plays the seed that follows its last. `faults` replace the drawn ones until the
        next reset. `scenarios` replace all that is drawn, with the seeds of their own unless there are `seeds`. Raises
        EpisodeError, BadSeed, BadScenario, or WorldError if a fault does not land.
        """
        chosen = np.ones(self.size, dtype=np.bool_) if mask is None else self._checked_mask(mask)
        incidents = self._given_scenarios(scenarios, faults)
        if seeds is None and incidents is not None:
            seeds = [scenario.seed for scenario in incidents]
        if seeds is None:
            if not np.all(self._begun[chosen]):
                raise EpisodeError("the first reset takes a seed for each environment: reset(range(size))")
        elif (count := _length(seeds)) != self.size:
            shown = quoted(seeds) if count is None else str(count)
            raise EpisodeError(f"a batch of {self.size} takes {self.size} seeds; got {shown}")
        given, forced, severities = self._forced_faults(faults)
        # Every seed is checked before anything changes.
        starts = None if seeds is None else [_seed_of_64_bits(seed) for seed in seeds]
        self._lanes.given[chosen] = given[chosen]
        self._lanes.forced[chosen] = forced[chosen]
        self._lanes.severities[chosen] = severities[chosen]
        if incidents is not None:
            self._plan(incidents, np.flatnonzero(chosen))
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
        self._play(team.RESET, self._lanes.actions)
        return self.features

    def step(self, actions: ArrayLike) -> Step:
        """Play a step everywhere: features, rewards, terminated, truncated. Raises EpisodeError or WorldError."""
        try:
            taken = action_numbers(actions, self.size)
        except NotAnAction as error:
            raise EpisodeError(str(error)) from error
        if not self._all_begun:
            raise EpisodeError("no episode is running; call reset(seeds) first")
        self._play(team.STEP, taken)
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
        return self._scenario(self._lanes.rows[e], int(self._lanes.wholes[e][lanes.SEED]))

    def _scenario(self, b: Any, seed: int) -> Scenario:
        """The scenario of a ledger, played with a seed."""
        given = int(b[k.GIVEN])
        if given >= k.SCENARIO_GIVEN:
            return replace(self._scenarios[given], seed=seed)
        return draw(seed, faults_of(b)[0] if given == k.FAULT_GIVEN else None, self.tier)

    def report(self, e: int) -> EpisodeReport:
        """The truth about the last episode of environment `e` that is over. Raises EpisodeError if there is none."""
        b = self._ended_row(e)
        if b[k.OUTCOME] == k.RUNNING:
            raise EpisodeError(f"no episode of environment {e} is over yet")
        outcome, settled = _OUTCOMES[float(b[k.OUTCOME])], bool(b[k.SETTLED] == 1.0)
        missing = []
        if outcome is Outcome.EXHAUSTED:
            missing = breaches_left(snapshot_of(self._lanes.ended[e]), self.config, self.objectives)
        scenario = self._scenario(b, int(self._lanes.wholes[e][lanes.ENDED_SEED]))
        unsettled = [] if settled else unsettled_faults(b, scenario)
        # Nobody can think for too long here, so a step always lasts `step_s`.
        diagnosed_at_s = float(b[k.DIAGNOSED_AT_S]) if b[k.DIAGNOSED_AT_S] >= 0.0 else None
        mitigated_at = int(b[k.STEP] - b[k.HEALTHY]) if outcome is Outcome.RESOLVED else None
        diagnosis = PACK_ACTIONS[int(b[k.DIAGNOSIS])] if b[k.DIAGNOSIS] >= 0.0 else None
        assert diagnosis is None or isinstance(diagnosis, Diagnose | DiagnoseNone)
        return EpisodeReport(
            scenario=scenario,
            outcome=outcome,
            reason=reason_of(outcome, self.config, self.objectives, self.rewards, missing, unsettled, settled=settled),
            steps=int(b[k.STEP]),
            total_reward=float(b[k.REWARD]),
            diagnosis=diagnosis,
            diagnosis_correct=bool(b[k.DIAGNOSED] == 1.0),
            time_to_diagnose_s=diagnosed_at_s,
            time_to_mitigate_s=None if mitigated_at is None else mitigated_at * self.config.step_s,
            steps_to_diagnose=None if diagnosed_at_s is None else round(diagnosed_at_s / self.config.step_s),
            steps_to_mitigate=mitigated_at,
            wrong_fixes=int(b[k.WRONG_FIXES]),
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
        action = PACK_ACTIONS[int(b[k.ACTION])] if b[k.ACTION] >= 0.0 else None
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

    def _forced_faults(
        self, faults: Fault | Sequence[Fault | None] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:  # (size,) each
        """As `lanes.Lanes` has them: `given`, `forced` and `severities`."""
        if faults is None or isinstance(faults, Fault | str):
            given, number, severity = _number(faults)
            return np.full(self.size, given), np.full(self.size, number), np.full(self.size, severity)
        numbered = [_number(fault) for fault in faults]
        if len(numbered) != self.size:
            raise EpisodeError(f"a batch of {self.size} takes one fault or {self.size}; got {len(numbered)}")
        givens, numbers_, severities = zip(*numbered, strict=True)
        return np.array(givens), np.array(numbers_), np.array(severities)

    def _given_scenarios(
        self, scenarios: Scenario | Sequence[Scenario] | None, faults: object
    ) -> list[Scenario] | None:
        """One for each environment. Raises EpisodeError or BadScenario."""
        if scenarios is None:
            return None
        if faults is not None:
            raise EpisodeError("reset takes scenarios, or else faults; a scenario has its own")
        found = [scenarios] * self.size if isinstance(scenarios, Scenario) else list(scenarios)
        if len(found) != self.size:
            raise EpisodeError(f"a batch of {self.size} takes one scenario or {self.size}; got {len(found)}")
        return [checked_scenario(scenario) for scenario in found]

    def _plan(self, scenarios: list[Scenario], chosen: NDArray[np.int64]) -> None:
        """Write the scenarios into the rows of these environments. Each has a number, as long as a ledger has it."""
        in_use = {*self.column(k.GIVEN), *self.column(k.GIVEN, ended=True)}
        self._scenarios = {number: scenario for number, scenario in self._scenarios.items() if number in in_use}
        number_of = {scenario: number for number, scenario in self._scenarios.items()}
        for e in chosen:
            scenario = replace(scenarios[e], seed=0)
            if scenario not in number_of:
                self._last_scenario += 1
                number_of[scenario] = self._last_scenario
                self._scenarios[self._last_scenario] = scenario
            self._lanes.given[e] = number_of[scenario]
            plan(self._lanes.rows[e], scenario, number_of[scenario])

    def _checked_mask(self, mask: object) -> NDArray[np.bool_]:
        found = as_array(mask)
        if found is None or found.shape != (self.size,):
            shown = quoted(mask) if found is None else str(found.shape)
            raise EpisodeError(f"a mask has one bool for each of the {self.size} environments; got {shown}")
        if found.dtype != np.bool_:
            raise EpisodeError(f"a mask has bools; got {quoted(mask)}")
        return found.astype(np.bool_)

    def _why_refused(self, e: int, action: int) -> str:
        if not 0 <= action < self.choices:
            return f"action numbers go from 0 to {self.choices - 1}; environment {e} got {action}"
        return f"the episode of environment {e} is over; call reset(mask=...) first"

    def _play(self, job: int, actions: NDArray[np.int64]) -> None:  # actions: (size,)
        came_to = self._team.play(job, actions)
        if came_to == team.DONE:
            return
        e = self._team.lane
        if came_to == team.REFUSED:
            raise EpisodeError(self._why_refused(e, int(actions[e])))
        assert came_to == team.STUCK
        faults = " or ".join(str(fault) for fault in faults_of(self._lanes.rows[e]))
        raise WorldError(
            f"{faults} did not land in environment {e}, seed {int(self._lanes.wholes[e][lanes.SEED])}; "
            "see its parameters"
        )


def clean_lanes(outcome: Any, diagnosed: Any, wrong_fixes: Any) -> Any:
    """`is_clean` of the judge, for numbers of ledgers or for arrays of them."""
    return (outcome == k.RESOLVED) & (diagnosed == 1.0) & (wrong_fixes == 0.0)


def _number(fault: Fault | None) -> tuple[int, int, float]:
    """A fault as `lanes.Lanes` has it: `given`, `forced` and `severities`."""
    if fault is None:
        return k.NOTHING_GIVEN, 0, 0.0
    fault = checked_fault(fault)
    return k.FAULT_GIVEN, form_number(fault) * k.SERVICES + SERVICE_ROW[fault.service], severity_of(fault)


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
