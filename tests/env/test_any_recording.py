"""Recordings of random actions. Only a process that runs this test imports Hypothesis, which takes seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mirr.env.environment import Environment, Observation
from mirr.env.record import RolloutWriter
from mirr.env.rollout import Sitting
from mirr.env.scenario import EpisodeConfig, draw
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import PACK_ACTIONS, Action, Wait
from tests.env.test_recorded import assert_playback_is_the_same
from tests.trials import trials

pytestmark = pytest.mark.thorough


@settings(max_examples=trials(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**40), actions=st.lists(st.sampled_from(PACK_ACTIONS), min_size=0, max_size=30))
def test_any_list_of_actions_plays_back_the_same(tmp_path: Path, seed: int, actions: list[Action]) -> None:
    path = tmp_path / "any.jsonl"
    seen: list[Observation] = []
    environment = Environment(SimulatedWorld(), EpisodeConfig(none_diagnosis=True, max_steps=max(1, len(actions))))
    with RolloutWriter(path, overwrite=True) as writer:
        sitting = Sitting(environment, draw(seed), record=writer, on_step=lambda each, move: seen.append(each))
        sitting.begin()
        for action in actions or [Wait()]:
            if environment.report is None:
                sitting.act(action)
    assert_playback_is_the_same(path, sitting.result(), seen)
