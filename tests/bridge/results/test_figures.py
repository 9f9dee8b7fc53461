"""The figures of a cell, and their intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mirr.bridge.results.figures import RULES, Measure, figures
from mirr.env.evaluation import wilson_interval
from tests.bridge.results.episodes import EXHAUSTED, RESOLVED


def test_each_measure_has_a_rule() -> None:
    assert list(RULES) == list(Measure)


def test_a_rate_has_wilsons_interval() -> None:
    found = figures([RESOLVED, RESOLVED, RESOLVED, EXHAUSTED])
    assert found[Measure.SUCCESS].value == 0.75
    assert (found[Measure.SUCCESS].low, found[Measure.SUCCESS].high) == wilson_interval(3, 4)


def test_the_time_to_mitigate_is_that_of_the_resolved_episodes() -> None:
    found = figures([RESOLVED, EXHAUSTED, replace(RESOLVED, time_to_mitigate_s=8.0, steps_to_mitigate=4)])
    assert (found[Measure.TIME_TO_MITIGATE].value, found[Measure.TIME_TO_MITIGATE].of) == (7.0, 2)
    assert found[Measure.STEPS_TO_MITIGATE].value == 3.5


def test_what_no_episode_has_is_no_figure() -> None:
    assert figures([EXHAUSTED])[Measure.TIME_TO_MITIGATE].value is None


def test_one_episode_has_no_interval_of_its_mean() -> None:
    reward = figures([RESOLVED])[Measure.REWARD]
    assert (reward.value, reward.low, reward.high) == (45.5, None, None)


def test_the_same_episodes_have_the_same_interval() -> None:
    several = [replace(RESOLVED, reward=float(reward)) for reward in range(50)]
    assert figures(several) == figures(several)


def test_the_interval_of_a_mean_is_as_wide_as_that_of_a_normal_distribution() -> None:
    # The mean of 400 numbers is nearly normal, so the bootstrap and the textbook have to agree.
    rewards = np.random.default_rng(3).normal(10.0, 4.0, size=400)
    reward = figures([replace(RESOLVED, reward=float(each)) for each in rewards])[Measure.REWARD]
    half = 1.96 * rewards.std() / 20.0
    assert reward.low is not None
    assert reward.high is not None
    assert reward.low == pytest.approx(rewards.mean() - half, abs=0.06)
    assert reward.high == pytest.approx(rewards.mean() + half, abs=0.06)
