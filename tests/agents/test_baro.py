"""BARO's robust scorer as a policy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mirr.agents.baro import ALARM, MODE_OF_FEATURE, BaroPolicy, ordinary_day, robust_scores
from mirr.env.environment import Environment
from mirr.env.objectives import FEATURE_COLUMN
from mirr.env.rollout import play
from mirr.env.scenario import Scenario
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Fault, Feature, action_text

MEMORY = FEATURE_COLUMN[Feature.MEMORY_SHARE]


def actions(text: str, seed: int = 1) -> list[str]:
    result = play(Environment(SimulatedWorld()), BaroPolicy(), seed=seed, fault=Fault.parse(text))
    return [action_text(move.action) for move in result.trajectory]


def windows(*memory: float) -> NDArray[np.float32]:
    """Windows of one service in which nothing but its memory moves."""
    found = np.zeros((len(memory), 1, len(Feature)), dtype=np.float32)
    found[:, 0, MEMORY] = memory
    return found


def test_a_score_is_the_distance_from_the_median_in_interquartile_ranges() -> None:
    # The median is 2, and the quartiles are 1 and 3. What cannot be measured says nothing.
    scores = robust_scores(windows(0.0, 1.0, 2.0, 3.0, 4.0), windows(3.0, 8.0, np.nan))
    assert scores[0, MEMORY] == 3.0
    assert scores.sum() == 3.0


def test_a_metric_that_never_moved_has_the_smallest_range() -> None:
    assert robust_scores(windows(1.0, 1.0), windows(0.0))[0, MEMORY] == pytest.approx(100.0)


def test_every_metric_suggests_a_mode() -> None:
    assert set(MODE_OF_FEATURE) == set(Feature)


@pytest.mark.parametrize("seed", range(5))
def test_an_ordinary_day_raises_no_alarm(seed: int) -> None:
    result = play(Environment(SimulatedWorld()), BaroPolicy(), scenario=Scenario(seed=seed, timeline=()))
    assert {action_text(move.action) for move in result.trajectory} == {"wait"}


def test_the_ordinary_day_stays_below_the_alarm() -> None:
    day = ordinary_day()
    assert robust_scores(day, day).max() < ALARM


def test_it_names_the_service_that_went_down_and_restarts_it() -> None:
    assert actions("crashed:auth")[:2] == ["diagnose(auth, crashed)", "restart(auth)"]


def test_it_asks_again_if_its_fix_did_not_help() -> None:
    taken = actions("bad_deploy/crashing:auth")
    assert taken[:2] == ["diagnose(auth, crashed)", "restart(auth)"]
    assert sum(action.startswith("diagnose") for action in taken) >= 2
