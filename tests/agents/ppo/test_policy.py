"""The policy that ships: it loads, it plays held-out incidents well, and it takes only actions that are of use."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mirr.agents.ppo.network import Size
from mirr.agents.ppo.policy import (
    CHOSEN,
    SHIPPED,
    Checkpoint,
    PpoPolicy,
    chosen_checkpoint,
    load_checkpoint,
    start_age_s,
)
from mirr.agents.registry import PolicyName, make_policy
from mirr.agents.weights import SIZE_KEY, BadCheckpoint, save_weights
from mirr.cli.main import run
from mirr.env.environment import Environment
from mirr.env.reward import Outcome
from mirr.env.rollout import EpisodeResult, play
from mirr.env.scenario import draw
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Diagnose, ScaleUp, Tier
from mirr.env.world import Level, LogLine
from tests.agents.ppo.networks import TINY, random_weights, saved

HELD_OUT = range(200)
MOST_BYTES = 1_500_000
FILES = sorted(set(SHIPPED.values()))


@pytest.fixture(scope="module")
def held_out() -> list[EpisodeResult]:
    environment = Environment(SimulatedWorld())
    return [play(environment, make_policy(PolicyName.PPO, draw(seed)), seed=seed) for seed in HELD_OUT]


@pytest.mark.thorough
def test_the_shipped_policy_resolves_and_diagnoses_held_out_incidents(held_out: list[EpisodeResult]) -> None:
    resolved = sum(result.report.outcome is Outcome.RESOLVED for result in held_out)
    diagnosed = sum(result.report.diagnosis_correct for result in held_out)
    assert resolved >= 0.97 * len(HELD_OUT)
    assert diagnosed >= 0.97 * len(HELD_OUT)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_provenance_belongs_to_the_shipped_weights(path: Path) -> None:
    provenance = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    checkpoint = load_checkpoint(path)
    assert provenance["training"]["size"] == checkpoint.size.to_json()
    assert provenance["weights"] == sum(value.size for value in checkpoint.weights.values())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_shipped_policy_was_not_trained_on_held_out_seeds(path: Path) -> None:
    seeds = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["seeds"]
    assert seeds["training_from"] >= seeds["validation"][0] >= 1_000_000 > seeds["held_out"][1] > seeds["held_out"][0]


def test_each_tier_has_a_checkpoint() -> None:
    assert set(SHIPPED) == set(Tier)
    assert all(path.is_file() for path in FILES)


def test_what_ships_is_small() -> None:
    assert sum(path.stat().st_size for path in FILES[0].parent.iterdir()) < MOST_BYTES


def test_even_an_untrained_network_repeats_no_pointless_action() -> None:
    environment = Environment(SimulatedWorld())
    for seed in range(5):
        policy = PpoPolicy(Checkpoint(TINY, random_weights(seed=seed)), alarms_may_be_false=False)
        moves = [move.action for move in play(environment, policy, seed=seed).trajectory]
        assert sum(isinstance(action, Diagnose) for action in moves) <= 1
        scaled_up = [action for action in moves if isinstance(action, ScaleUp)]
        assert len(set(scaled_up)) == len(scaled_up)


def test_a_new_episode_begins_without_memories() -> None:
    environment, policy = Environment(SimulatedWorld()), make_policy(PolicyName.PPO, draw(3))
    first = [play(environment, policy, seed=3) for _ in range(2)]
    assert first[0].trajectory == first[1].trajectory


def test_the_generator_of_the_episode_changes_nothing() -> None:
    environment, policy = Environment(SimulatedWorld()), make_policy(PolicyName.PPO, draw(1))
    observation, _ = environment.reset(seed=1)
    policy.reset(np.random.default_rng(0))
    chosen = policy.act(observation)
    policy.reset(np.random.default_rng(1))
    assert policy.act(observation) == chosen


def test_another_checkpoint_can_be_played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHOSEN, str(saved(tmp_path / "mine.safetensors")))
    assert chosen_checkpoint(Tier.EASY).size == TINY
    assert chosen_checkpoint(None).size == TINY


def test_a_checkpoint_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(CHOSEN, str(tmp_path / "none"))
    assert run(["episode", "--policy", "ppo"]) == 2
    assert capsys.readouterr().err == (
        f"mirr: {tmp_path / 'none'} cannot be read: No such file or directory; "
        "next: mirr train --out DIR writes a new one\n"
    )


def test_a_damaged_checkpoint_is_made_anew_by_the_command_that_trains_this_policy(tmp_path: Path) -> None:
    path = saved(tmp_path / "cut.safetensors")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(BadCheckpoint) as refused:
        load_checkpoint(path)
    assert str(refused.value) == (
        f"{path} is damaged: it ends 10 bytes too early; next: mirr train --out DIR writes a new one"
    )


def test_a_checkpoint_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.safetensors"
    weights = random_weights() | {"answer_offset": np.zeros(7, dtype=np.float32)}
    save_weights(path, weights, {SIZE_KEY: json.dumps(TINY.to_json())})
    with pytest.raises(BadCheckpoint) as refused:
        load_checkpoint(path)
    assert str(refused.value) == (
        f"{path} does not fit this version: answer_offset has shape (7,), expected (8,); next: mirr train --out DIR"
    )
    save_weights(path, weights, {})
    with pytest.raises(BadCheckpoint) as refused:
        load_checkpoint(path)
    assert str(refused.value) == f"{path} does not say how large its network is; next: mirr train --out DIR"


def test_a_checkpoint_keeps_its_size(tmp_path: Path) -> None:
    size = Size(width=4, together=6)
    assert load_checkpoint(saved(tmp_path / "a", size)).size == size


def test_the_start_that_counts_is_the_last_one_of_a_log() -> None:
    started = [LogLine(age_s=age_s, level=Level.INFO, event="started", text="release=1.5.0") for age_s in (9.0, 2.5)]
    other = LogLine(age_s=0.1, level=Level.INFO, event="request", text="GET / 200")
    assert start_age_s([*started, other]) == 2.5
    assert np.isnan(start_age_s([other]))


def test_the_command_line_plays_the_shipped_policy(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "--policy", "ppo", "--tier", "hard", "--episodes", "5", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["policy"], answer["episodes"], answer["void"]) == ("ppo", 5, 0)
