"""The policy that ships: it loads, it plays held-out incidents well, and it takes only actions that are of use."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mirr.agents.language_model.policy import SHIPPED, Checkpoint, LanguageModelPolicy, shipped_checkpoint
from mirr.agents.registry import PolicyName, make_policy
from mirr.cli.main import run
from mirr.env.environment import Environment
from mirr.env.reward import Outcome
from mirr.env.rollout import EpisodeResult, play
from mirr.env.scenario import draw
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Diagnose, Rollback
from tests.agents.language_model.briefings import TINY, random_weights

HELD_OUT = range(200)
MOST_BYTES = 6_000_000


@pytest.fixture(scope="module")
def held_out() -> list[EpisodeResult]:
    environment = Environment(SimulatedWorld())
    return [play(environment, make_policy(PolicyName.TRAINED_LM, draw(seed)), seed=seed) for seed in HELD_OUT]


@pytest.mark.thorough
def test_the_shipped_model_resolves_and_diagnoses_held_out_incidents(held_out: list[EpisodeResult]) -> None:
    resolved = sum(result.report.outcome is Outcome.RESOLVED for result in held_out)
    diagnosed = sum(result.report.diagnosis_correct for result in held_out)
    assert resolved >= 0.95 * len(HELD_OUT)
    assert diagnosed >= 0.95 * len(HELD_OUT)


def test_the_provenance_belongs_to_the_shipped_model() -> None:
    provenance = json.loads(SHIPPED.with_suffix(".json").read_text(encoding="utf-8"))
    assert provenance["checkpoint"] == SHIPPED.name
    assert provenance["plan"]["size"] == shipped_checkpoint().size.to_json()
    assert provenance["weights_learned"] == sum(value.size for value in shipped_checkpoint().weights.values())


def test_the_shipped_model_was_not_trained_on_held_out_seeds() -> None:
    seeds = json.loads(SHIPPED.with_suffix(".json").read_text(encoding="utf-8"))["seeds"]
    trained = [seeds["demonstrations"][0], seeds["validation"][0], seeds["grpo_from"]]
    assert min(trained) >= 1_000_000 > seeds["held_out"][1] > seeds["held_out"][0]


def test_what_ships_is_small() -> None:
    assert sum(path.stat().st_size for path in SHIPPED.parent.iterdir()) < MOST_BYTES


def test_even_an_untrained_model_repeats_no_pointless_action() -> None:
    environment = Environment(SimulatedWorld())
    for seed in range(5):
        policy = LanguageModelPolicy(Checkpoint(TINY, random_weights(seed=seed)).scores)
        moves = [move.action for move in play(environment, policy, seed=seed).trajectory]
        assert sum(isinstance(action, Diagnose) for action in moves) <= 1
        rollbacks = [action for action in moves if isinstance(action, Rollback)]
        assert len(set(rollbacks)) == len(rollbacks)


def test_a_new_episode_begins_without_memories() -> None:
    environment, policy = Environment(SimulatedWorld()), LanguageModelPolicy()
    first = [play(environment, policy, seed=3) for _ in range(2)]
    assert first[0].trajectory == first[1].trajectory


def test_the_generator_of_the_episode_changes_nothing() -> None:
    environment, policy = Environment(SimulatedWorld()), LanguageModelPolicy()
    observation, _ = environment.reset(seed=1)
    policy.reset(np.random.default_rng(0))
    chosen = policy.act(observation)
    policy.reset(np.random.default_rng(1))
    assert policy.act(observation) == chosen


def test_the_command_line_plays_the_shipped_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "--policy", "trained_lm", "--episodes", "5", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["policy"], answer["episodes"], answer["void"]) == ("trained_lm", 5, 0)
