"""Episodes for training: the batch plays what `Environment` plays, and a demonstration is what the teacher does."""

from __future__ import annotations

import numpy as np
import pytest

from mirr.agents.language_model.words import LENGTH
from mirr.agents.registry import PolicyName, make_policy
from mirr.agents.training.episodes import demonstrate, open_batch
from mirr.env.environment import Environment
from mirr.env.reward import Outcome
from mirr.env.rollout import play
from mirr.env.scenario import draw
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import ACTION_INDEX, Tier

SEEDS = range(1_000_000, 1_000_040)


def test_a_demonstration_is_what_the_teacher_does_alone() -> None:
    batch = open_batch(len(SEEDS), Tier.EASY, threads=1, spread=0.0, seed=0)
    shown, endings = demonstrate(batch, PolicyName.HEURISTIC, SEEDS)
    environment = Environment(SimulatedWorld())
    for place, seed in enumerate(SEEDS):
        alone = play(environment, make_policy(PolicyName.HEURISTIC, draw(seed)), seed=seed)
        there = shown.episode == place
        assert shown.actions[there].tolist() == [ACTION_INDEX[move.action] for move in alone.trajectory]
        assert endings.rewards[place] == alone.report.total_reward
        assert endings.steps[place] == alone.report.steps
        assert endings.resolved[place] == (alone.report.outcome is Outcome.RESOLVED)
        assert endings.diagnosed[place] == alone.report.diagnosis_correct
        assert endings.clean[place] == alone.report.clean


def test_each_decision_has_its_prompt_and_what_was_allowed() -> None:
    batch = open_batch(len(SEEDS), Tier.EASY, threads=1, spread=0.0, seed=0)
    shown, endings = demonstrate(batch, PolicyName.HEURISTIC, SEEDS)
    assert len(shown) == endings.steps.sum()
    assert shown.words.shape == (len(shown), LENGTH)
    assert shown.allowed[np.arange(len(shown)), shown.actions].all()
    assert np.array_equal(np.bincount(shown.episode), endings.steps)


@pytest.mark.thorough
def test_with_a_spread_the_same_seeds_play_with_other_parameters() -> None:
    plain = open_batch(8, Tier.EASY, threads=1, spread=0.0, seed=0).reset(range(8)).copy()
    varied = open_batch(8, Tier.EASY, threads=1, spread=0.1, seed=0).reset(range(8)).copy()
    assert not np.array_equal(plain, varied)


def test_the_figures_of_many_episodes_have_their_intervals() -> None:
    batch = open_batch(len(SEEDS), Tier.EASY, threads=1, spread=0.0, seed=0)
    _, endings = demonstrate(batch, PolicyName.ORACLE, SEEDS)
    told = endings.to_json()
    assert (told["episodes"], told["resolved"], told["diagnosed"], told["clean"]) == (40, 1.0, 1.0, 1.0)
    assert told["resolved_interval"] == [0.9124, 1.0]
