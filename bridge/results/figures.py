"""The figures of a cell, each with its 95% interval: Wilson's for a rate, a bootstrap's for a mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from mirr.bridge.fidelity.bootstrap import percentile_interval
from mirr.bridge.fidelity.figure import Figure
from mirr.bridge.results.episodes import Played
from mirr.env.evaluation import wilson_interval
from mirr.env.reward import Outcome

DRAWS = 1_000  # samples of a bootstrap
BOOTSTRAP_SEED = 0  # so that the same episodes give the same interval


class Unit(StrEnum):
    """What a figure is: a rate, or a mean of something."""

    RATE = "rate"
    REWARD = "reward"
    STEPS = "steps"
    SECONDS = "s"
    REQUESTS = "requests"
    ACTIONS = "actions"


class Measure(StrEnum):
    """What is measured of an agent; the order is that of the table's columns."""

    SUCCESS = "success_rate"
    CLEAN = "clean_rate"
    DIAGNOSED = "diagnosis_accuracy"
    REWARD = "mean_reward"
    STEPS_TO_MITIGATE = "mean_steps_to_mitigate"
    TIME_TO_MITIGATE = "mean_time_to_mitigate_s"
    FAILED_REQUESTS = "mean_failed_requests"
    OBJECTIVE_LOST = "mean_objective_lost_s"
    NEEDLESS_ACTIONS = "mean_needless_actions"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How a measure is worked out."""

    heading: str
    unit: Unit
    value: Callable[[Played], float | None]  # of one episode; None: it does not count here


RULES: dict[Measure, Rule] = {
    Measure.SUCCESS: Rule(heading="success", unit=Unit.RATE, value=lambda one: one.outcome is Outcome.RESOLVED),
    Measure.CLEAN: Rule(heading="clean", unit=Unit.RATE, value=lambda one: one.clean),
    Measure.DIAGNOSED: Rule(heading="diagnosed", unit=Unit.RATE, value=lambda one: one.diagnosed),
    Measure.REWARD: Rule(heading="reward", unit=Unit.REWARD, value=lambda one: one.reward),
    Measure.STEPS_TO_MITIGATE: Rule(
        heading="steps to mitigate", unit=Unit.STEPS, value=lambda one: one.steps_to_mitigate
    ),
    Measure.TIME_TO_MITIGATE: Rule(
        heading="s to mitigate", unit=Unit.SECONDS, value=lambda one: one.time_to_mitigate_s
    ),
    Measure.FAILED_REQUESTS: Rule(heading="failed requests", unit=Unit.REQUESTS, value=lambda one: one.failed_requests),
    Measure.OBJECTIVE_LOST: Rule(
        heading="s outside objectives", unit=Unit.SECONDS, value=lambda one: one.objective_lost_s
    ),
    Measure.NEEDLESS_ACTIONS: Rule(
        heading="needless actions", unit=Unit.ACTIONS, value=lambda one: one.needless_actions
    ),
}
"""The rule of each measure. The times and the steps to mitigate are of the resolved episodes."""


def figures(episodes: Sequence[Played]) -> dict[Measure, Figure]:
    """Each measure of these episodes. None of them may be void."""
    return {measure: _figure(rule, episodes) for measure, rule in RULES.items()}


def _figure(rule: Rule, episodes: Iterable[Played]) -> Figure:
    given = [value for value in map(rule.value, episodes) if value is not None]
    if not given:
        return Figure(value=None)
    interval = _rate_interval(given) if rule.unit is Unit.RATE else _mean_interval(given)
    low, high = (None, None) if interval is None else interval
    return Figure(value=float(np.mean(given)), low=low, high=high, of=len(given))


def _rate_interval(given: Sequence[float]) -> tuple[float, float] | None:
    return wilson_interval(sum(map(bool, given)), len(given))


def _mean_interval(given: Sequence[float]) -> tuple[float, float] | None:
    """The middle 95% of the means of samples. Each sample draws as many episodes, some of them twice."""
    if len(given) < 2:
        return None
    each, rng = np.asarray(given, dtype=np.float64), np.random.default_rng(BOOTSTRAP_SEED)
    return percentile_interval(float(each[rng.integers(len(each), size=len(each))].mean()) for _ in range(DRAWS))
