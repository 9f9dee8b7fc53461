"""What is believed: hypotheses, how likely each is, and what the next look would tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirr.agents.belief.episodes import (
    FORMS,
    MODE_OF_FORM,
    NEVER,
    HypotheticalEpisodes,
    LogReadings,
    fresh_copy,
    opened,
)
from mirr.agents.belief.likelihood import NEW_S, log_fit, reading_of, shown, window_fit
from mirr.env.environment import Observation
from mirr.env.objectives import SERVICE_ROW
from mirr.env.scenario import EpisodeConfig
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import COMPILED
from mirr.env.vocabulary import (
    ACTION_INDEX,
    ALL_FAULTS,
    REASONS,
    REMEDY,
    Action,
    CheckLogs,
    Fault,
    FaultMode,
    Restart,
    Rollback,
    ScaleUp,
    Service,
    Tier,
)

SIZE: Final = 4096 if COMPILED else 128  # hypotheses; plain Python would take minutes to play more
IMAGINED: Final = 96  # hypotheses that are played one step ahead, for each action that may tell something

POSSIBLE: Final = 0.005  # so likely, an answer is worth looking ahead for

ANSWERS: Final = ALL_FAULTS
"""What a hypothesis may say is broken now: mode by mode, service by service."""
CALM: Final = len(ANSWERS)  # the number of the answer that nothing is broken now

NEW_FAULTS: Final = 160  # that are thought of in each step where a second fault may follow
NEW_FAULT_SHARE: Final = 0.01  # the probability that one begins in a step
FIRST_NEW_STEP: Final = 6  # no second fault comes sooner

OVER: Final = -2.0  # the hypothesis would have ended the episode, and it goes on
OTHER_RESULT: Final = -5.0  # the hypothesis would have accepted an action that was refused, or the other way round

_BAD_DEPLOY: Final = list(FaultMode).index(FaultMode.BAD_DEPLOY)
_FORMS_AND_SERVICES: Final = [
    (number, SERVICE_ROW[service]) for number, form in enumerate(FORMS) for service in form.services
]
_STEP_S: Final = EpisodeConfig().step_s
_CURES: Final = np.array([ACTION_INDEX[REMEDY[fault.mode](fault.service)] for fault in ANSWERS])


class Belief:
    """Weighs hypotheses by what is seen. It is told observations only."""

    def __init__(self, tier: Tier, rng: np.random.Generator, size: int = SIZE) -> None:
        start = opened(tier, size)
        self._rng = rng
        self._episodes = fresh_copy(start)
        plans = start.plans()
        self._forms, self._services, self._onsets = plans.forms, plans.services, plans.onsets
        self._fixed = np.zeros_like(self._onsets, dtype=np.bool_)
        self._harmless_s = start.deployed_s_ago()  # how old harmless releases are at the first observation
        self._touched: set[Service] = set()  # services to which a fix was applied
        self._logs = np.zeros(size)  # logarithms of weights
        self._said_by_log = {service: np.zeros(size) for service in Service}  # the part of the last reading of each log
        self._weights = np.full(size, 1.0 / size)
        self._imagination: dict[int, HypotheticalEpisodes] = {}
        self._tier = tier
        self.step = 0

    # What is known now

    def odds(self) -> NDArray[np.float64]:  # (answers + 1,)
        """How likely each answer is, and at last that nothing is broken now."""
        return np.bincount(self._answers(), weights=self._weights, minlength=CALM + 1).astype(np.float64)

    def odds_of_a_false_alarm(self) -> float:
        """How likely it is that nothing breaks in this episode."""
        return float(self._weights[(self._onsets == NEVER).all(axis=1)].sum())

    def odds_of_a_collapse(self) -> float:
        """How likely it is that almost nothing works for the users now."""
        return float(self._weights[self._episodes.column(k.COLLAPSING) > 0.0].sum())

    def _answers(self) -> NDArray[np.int64]:  # (size,)
        """What each hypothesis says is broken now; the fault that began first, if there are two."""
        is_open = (self._onsets <= self.step) & ~self._fixed
        answers = MODE_OF_FORM[self._forms] * len(SERVICE_ROW) + self._services
        return np.where(is_open[:, 0], answers[:, 0], np.where(is_open[:, 1], answers[:, 1], CALM))

    # What is seen

    def note(self, observation: Observation) -> None:
        """Let every hypothesis take the action that was taken, and weigh it by what was seen then."""
        action = observation.last_action
        fit = np.zeros(len(self._weights))
        if action is not None:
            if self._tier is Tier.HARD and self.step >= FIRST_NEW_STEP:
                self._think_of_new_faults()
            ended = self._episodes.play_on(np.full(len(fit), ACTION_INDEX[action]))
            self.step += 1
            fit += OVER * ended
            self._note_fix(action)
            results = self._episodes.column(k.RESULT)
            assert observation.last_reason is not None
            fit += OTHER_RESULT * (results != REASONS.index(observation.last_reason))
        fit += window_fit(shown(observation.features), shown(self._episodes.features))
        if observation.logs_of is not None:
            before_s = (self.step - 1) * _STEP_S
            told = self._episodes.log_readings(*self._releases(observation.logs_of, before_s))
            said = log_fit(reading_of(observation.logs), told, before_s=before_s)
            # A log that is read again mostly says the same again: that is no news.
            fit += said - self._said_by_log[observation.logs_of]
            self._said_by_log[observation.logs_of] = said
        self._logs += fit
        self._logs -= self._logs.max()
        weights = np.exp(self._logs)
        self._weights = weights / weights.sum()

    def _releases(
        self, service: Service, before_s: float
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:  # (size,) each
        """Whether each hypothesis knows which release a service runs: a bad one, or the one after a fix. And how old a
        harmless one would be, at least, so long after the first observation; NaN if there are none."""
        here = (self._services == SERVICE_ROW[service]) & (self._onsets <= self.step)
        bad = here & (MODE_OF_FORM[self._forms] == _BAD_DEPLOY)
        # Only the log of the service in trouble is compared closely. Else a log of any other would tell how long the
        # simulator took to let the fault land, which is no symptom.
        least_s = np.where(here.any(axis=1), self._harmless_s, np.where(np.isnan(self._harmless_s), np.nan, NEW_S))
        return bad.any(axis=1) | (service in self._touched), least_s + before_s

    def _note_fix(self, action: Action) -> None:
        if not isinstance(action, Restart | Rollback | ScaleUp):
            return
        self._touched.add(action.service)
        answers = MODE_OF_FORM[self._forms] * len(SERVICE_ROW) + self._services
        begun = self._onsets < self.step  # a fix comes before what happens in its step
        accepted = self._episodes.column(k.RESULT) == k.ACCEPTED
        self._fixed |= (_CURES[answers] == ACTION_INDEX[action]) & begun & accepted[:, None]

    def _think_of_new_faults(self) -> None:
        """Give the least likely places to hypotheses in which a second fault begins now."""
        alone = np.flatnonzero((self._onsets[:, 0] <= self.step) & (self._onsets[:, 1] == NEVER))
        weights = self._weights[alone]
        if not weights.sum() > 0.0:
            return
        parents = alone[_sampled(weights, NEW_FAULTS, self._rng)]
        places = np.argpartition(self._weights, NEW_FAULTS)[:NEW_FAULTS]
        self._episodes.copy_lanes(self._episodes, parents, places)
        for each in (
            self._forms,
            self._services,
            self._onsets,
            self._fixed,
            self._harmless_s,
            *self._said_by_log.values(),
        ):
            each[places] = each[parents]
        first = int(self._rng.integers(len(_FORMS_AND_SERVICES)))
        for number, place in enumerate(places):
            # Each form on each service in turn: none is left out by chance.
            form, service = _FORMS_AND_SERVICES[(first + number) % len(_FORMS_AND_SERVICES)]
            if service == self._services[place, 0]:
                continue
            severity = FORMS[form].severity
            size = 0.0 if severity is None else severity.drawn(float(self._rng.random()), users_vary=True)
            self._episodes.begin_fault(int(place), form, service, size)
            self._forms[place, 1], self._services[place, 1] = form, service
            self._onsets[place, 1], self._fixed[place, 1] = self.step + 1, False
        share = NEW_FAULT_SHARE * float(weights.sum()) / NEW_FAULTS
        self._logs[places] = np.log(share / self._weights.max())  # the likeliest has a logarithm of 0

    # What the next look would tell

    def foresee(self, actions: Sequence[Action]) -> tuple[float, NDArray[np.float64]]:  # and (actions,)
        """How likely the best answer is: now, and on average once one step with each of these actions was seen.

        Some hypotheses are taken for the truth in turn, and the others are weighed by what would be seen then."""
        sample, weights = self._imagined()
        lanes = np.tile(sample, len(actions))  # (actions * n,)
        if lanes.size not in self._imagination:
            self._imagination[lanes.size] = HypotheticalEpisodes(lanes.size, self._tier)
        episodes = self._imagination[lanes.size]
        episodes.copy_lanes(self._episodes, lanes, np.arange(lanes.size))
        episodes.play_on(np.repeat([ACTION_INDEX[action] for action in actions], IMAGINED))
        answers = np.eye(CALM + 1)[self._answers()[sample]]  # (n, answers + 1)
        shows = shown(episodes.features).reshape(len(actions), IMAGINED, *episodes.features.shape[1:])
        now = _best_without_itself(np.zeros((IMAGINED, IMAGINED)), answers, weights)
        then = []
        for number, action in enumerate(actions):
            fit = window_fit(shows[number][:, None], shows[number][None])
            if isinstance(action, CheckLogs):
                certain, least_s_ago = self._releases(action.service, self.step * _STEP_S)
                told = episodes.log_readings(certain[lanes], least_s_ago[lanes])
                own = slice(number * IMAGINED, (number + 1) * IMAGINED)
                fit += log_fit(_part(told, own, 1), _part(told, own, 0), before_s=self.step * _STEP_S)
            then.append(_best_without_itself(fit, answers, weights))
        return now, np.array(then)

    def _imagined(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:  # (n,) each
        """Hypotheses to look ahead with, and their weights. Half of them are shared out evenly among the answers that
        are possible, so that each is there more than once."""
        answers, odds = self._answers(), self.odds()
        possible = (odds >= POSSIBLE)[answers]
        drawn = self._weights * (1.0 + possible / ((odds >= POSSIBLE).sum() * odds[answers]).clip(min=POSSIBLE))
        sample = _sampled(drawn, IMAGINED, self._rng)
        weights = self._weights[sample] / drawn[sample]
        return sample, weights / weights.sum()


def _sampled(weights: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:  # (count,)
    """Places by their weights, as evenly as possible."""
    ends = np.cumsum(weights)
    places: NDArray[np.int64] = np.searchsorted(ends, (rng.random() + np.arange(count)) / count * ends[-1])
    return places.clip(max=len(weights) - 1)


def _part(told: LogReadings, lanes: slice, axis: int) -> LogReadings:
    """The readings of some lanes, along rows (1) or columns (0) of a table."""
    return LogReadings(**{each.name: np.expand_dims(vars(told)[each.name][lanes], axis) for each in fields(told)})


def _best_without_itself(fit: NDArray[np.float64], answers: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """The mean weight of the likeliest answer, over truths, with (truths, hypotheses) weighed by `fit` and by their
    `weights`. No hypothesis may speak for itself, because it would fit perfectly."""
    logs = fit + np.log(weights)
    np.fill_diagonal(logs, -np.inf)
    after = np.exp(logs - logs.max(axis=1, keepdims=True))
    odds = after / after.sum(axis=1, keepdims=True) @ answers
    return float(odds.max(axis=1) @ weights)


def fault_of_answer(answer: int) -> Fault:
    """The mode and the service that an answer names."""
    return ANSWERS[answer]
