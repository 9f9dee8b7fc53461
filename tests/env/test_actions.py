"""Action numbers are checked before anything happens, in the same way by every interface."""

from __future__ import annotations

import re
from typing import Any

import gymnasium
import numpy as np
import pytest

from mirr.env.environment import Environment, EpisodeError
from mirr.env.simulator.batch import BatchedSimulator
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Restart, Service
from tests.late import Tensor, made

REFUSED = [
    True,
    np.bool_(True),
    3.7,
    float("nan"),
    "3",
    None,
    [27],
    np.array([27]),
    Tensor([27]),
    Tensor(True),
]
WELCOME = [27, np.int64(27), np.uint8(27), np.array(27), Tensor(27)]


@pytest.mark.parametrize("action", REFUSED, ids=repr)
def test_a_refused_action_has_not_been_played(action: object) -> None:
    action = made(action)
    env = gymnasium.make("mirr:mirr/Sim-v0").unwrapped
    env.reset(seed=3)
    with pytest.raises(EpisodeError, match=f"^an action is an Action or its number; got {re.escape(repr(action))}$"):
        env.step(action)
    untouched = gymnasium.make("mirr:mirr/Sim-v0").unwrapped
    untouched.reset(seed=3)
    (seen, *paid), (expected, *expected_paid) = env.step(0)[:4], untouched.step(0)[:4]
    assert paid == expected_paid
    assert all(np.array_equal(seen[name], expected[name]) for name in expected)


@pytest.mark.parametrize("action", WELCOME, ids=repr)
def test_scalars_of_numpy_and_torch_are_action_numbers(action: object) -> None:
    env = gymnasium.make("mirr:mirr/Sim-v0").unwrapped
    env.reset(seed=3)
    assert env.step(made(action))[0]["last_action"] == 27


def test_an_action_object_is_played_too() -> None:
    env = gymnasium.make("mirr:mirr/Sim-v0").unwrapped
    env.reset(seed=3)
    assert env.step(Restart(Service.GATEWAY))[0]["last_action"] == 26


@pytest.mark.parametrize("number", [-1, 41, 2**70])
def test_a_number_out_of_range_is_named(number: int) -> None:
    environment = Environment(SimulatedWorld())
    environment.reset(seed=3)
    with pytest.raises(EpisodeError) as refusal:
        environment.step(number)
    assert str(refusal.value) == f"action numbers go from 0 to 40; got {number}"


@pytest.mark.parametrize(
    "actions",
    [[3.7, 0.0], ["3", "0"], [True, False], [True, 0], [float("nan"), 0.0], Tensor([0.0, 1.0])],
    ids=repr,
)
def test_a_batch_takes_whole_numbers_only_and_plays_nothing_else(actions: Any) -> None:
    actions = made(actions)
    batch = BatchedSimulator(2)
    before = batch.reset([1, 2]).copy()
    with pytest.raises(EpisodeError, match=f"^action numbers are whole numbers; got {re.escape(repr(actions))}$"):
        batch.step(actions)
    assert np.array_equal(batch.features, before, equal_nan=True)


@pytest.mark.parametrize("actions", [[3, 0], np.array([3, 0], dtype=np.uint8), Tensor([3, 0])], ids=repr)
def test_a_batch_takes_arrays_and_tensors_of_whole_numbers(actions: object) -> None:
    batch = BatchedSimulator(2)
    batch.reset([1, 2])
    batch.step(made(actions))
    assert batch.observation(0).step == 1
