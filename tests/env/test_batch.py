"""The batched simulator plays the same episodes as a single environment, and refuses wrong calls with a message."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from mirr.env import dice
from mirr.env.dice import following_seed
from mirr.env.environment import Environment, EpisodeError, Observation
from mirr.env.forms import severity_of
from mirr.env.reward import Outcome
from mirr.env.scenario import BadSeed, EpisodeConfig, Scenario, policy_rng
from mirr.env.simulator.batch import Autoreset, BatchedSimulator
from mirr.env.simulator.fast import alone
from mirr.env.simulator.fast import dice as compiled_dice
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import COMPILED, u64
from mirr.env.simulator.randomisation import ParameterSets, Randomisation
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import (
    ACTION_INDEX,
    ACTIONS,
    ALL_FAULTS,
    CheckLogs,
    Diagnose,
    Fault,
    FaultMode,
    Feature,
    Restart,
    Rollback,
    ScaleUp,
    Service,
)
from tests.env.every_form import every_fault


def everything_shown(observation: Observation) -> tuple[object, ...]:
    """All parts of an observation, to compare them to the last bit."""
    return (
        observation.features.tobytes(),
        observation.step,
        observation.steps_left,
        observation.last_action,
        observation.last_result,
        observation.last_reason,
        observation.logs,
        observation.logs_of,
    )


def assert_same_episodes(
    batch: BatchedSimulator,
    seeds: list[int],
    parameters: ParameterSets | None = None,
    faults: list[Fault] | None = None,
    scenarios: list[Scenario] | None = None,
) -> None:
    """Plays random actions in a batch and in single environments. Compares observations, rewards and reports."""
    worlds = [Environment(SimulatedWorld(parameters), batch.config) for _ in seeds]
    dice = [policy_rng(seed) for seed in seeds]
    batch.reset(seeds, faults=faults, scenarios=scenarios)
    for e, (world, seed) in enumerate(zip(worlds, seeds, strict=True)):
        if scenarios is not None:
            begun, _ = world.reset(scenario=replace(scenarios[e], seed=seed))
        else:
            begun, _ = world.reset(seed=seed, fault=None if faults is None else faults[e], tier=batch.tier)
        assert everything_shown(batch.observation(e)) == everything_shown(begun)
    playing = set(range(len(seeds)))
    while playing:
        actions = [int(rng.integers(batch.choices)) for rng in dice]
        _, rewards, terminated, truncated = batch.step(actions)
        for e in sorted(playing):
            observation, reward, is_terminated, is_truncated, _ = worlds[e].step(actions[e])
            shown = batch.final_observation(e) if is_terminated or is_truncated else batch.observation(e)
            assert everything_shown(shown) == everything_shown(observation)
            assert (rewards[e], terminated[e], truncated[e]) == (reward, is_terminated, is_truncated)
            if is_terminated or is_truncated:
                assert batch.report(e) == worlds[e].report
                playing.remove(e)


@pytest.mark.parametrize(("first", "size"), [(0, 1), (1, 150), (1000, 150)])
def test_a_batch_plays_the_same_as_one_environment_to_the_last_bit(first: int, size: int) -> None:
    assert_same_episodes(BatchedSimulator(size, autoreset=Autoreset.SAME_STEP), list(range(first, first + size)))


@pytest.mark.thorough
@pytest.mark.parametrize("parameters", [None, Randomisation.everything(0.1, sets=4)], ids=["fixed", "random"])
def test_every_form_of_every_severity_plays_the_same_in_a_batch_and_alone(parameters: Randomisation | None) -> None:
    sets = None if parameters is None else parameters.draw()
    faults = every_fault()
    batch = BatchedSimulator(len(faults), autoreset=Autoreset.SAME_STEP, parameters=sets)
    assert_same_episodes(batch, list(range(len(faults))), sets, faults)
    assert [batch.scenario(e).faults for e in range(len(faults))] == [(fault,) for fault in faults]


def test_the_next_reset_forgets_a_severity() -> None:
    batch = BatchedSimulator(2)
    batch.reset([1, 2], faults=Fault.parse("overloaded@1.9:auth"))
    batch.reset([1, 2], faults=[None, Fault.parse("overloaded:auth")])
    assert [batch.column(k.SEVERITY)[e] for e in (0, 1)] == [severity_of(batch.scenario(0).faults[0]), 1.45]


def test_the_number_of_threads_changes_nothing() -> None:
    seeds = list(range(600))
    found = []
    for threads in (1, 2, 3):
        batch = BatchedSimulator(len(seeds), autoreset=Autoreset.SAME_STEP, threads=threads)
        batch.reset(seeds)
        rng = np.random.default_rng(1)
        steps = [batch.step(rng.integers(len(ACTIONS), size=len(seeds))) for _ in range(40)]
        found.append((batch.features.tobytes(), steps[-1][1].tobytes(), batch.column(k.REWARD).tobytes()))
    assert found[0] == found[1] == found[2]


@pytest.mark.skipif(not COMPILED, reason="numba is not installed or switched off")
def test_compiled_code_does_not_count_references() -> None:
    # Counting references would take half the time of a step, and threads would wait for each other.
    numba: Any = import_module("numba")
    original: Any = alone.restart
    compiled = numba.njit(**{name: original.targetoptions[name] for name in ("nogil", "error_model", "_nrt")})(
        original.py_func
    )
    compiled.compile((numba.float64[::1], numba.float64[::1], numba.int64))
    assert "NRT" not in "".join(compiled.inspect_llvm().values())


def test_the_position_of_an_episode_in_a_batch_changes_nothing() -> None:
    alone = BatchedSimulator(1)
    alone.reset([7])
    in_the_middle = BatchedSimulator(50)
    in_the_middle.reset([*range(100, 130), 7, *range(200, 219)])
    for action in (0, 3, 12, 27, 0, 33, 0):
        alone.step([action])
        in_the_middle.step(np.full(50, action))
        assert everything_shown(alone.observation(0)) == everything_shown(in_the_middle.observation(30))


def test_a_batch_follows_another_configuration() -> None:
    config = EpisodeConfig(max_steps=5, noise=0.0, step_s=4.0)
    assert_same_episodes(BatchedSimulator(40, config=config, autoreset=Autoreset.SAME_STEP), list(range(40)))


def test_an_episode_has_the_same_parameters_alone_and_in_a_batch() -> None:
    sets = Randomisation.everything(0.2, sets=16).draw()
    batch = BatchedSimulator(60, parameters=sets, autoreset=Autoreset.SAME_STEP)
    assert_same_episodes(batch, list(range(60)), sets)


def test_compiled_keys_and_draws_equal_the_pure_ones() -> None:
    others = [int(seed) for seed in np.random.default_rng(3).integers(0, 2**64, 200, dtype=np.uint64)]
    for seed in [*range(200), 2**32 - 1, 2**32, 2**63, 2**64 - 1, *others]:
        root = dice.root_of(seed)
        assert int(compiled_dice.root_of(u64(seed))) == root
        for stream in dice.Stream:
            key = dice.stream_key(root, stream)
            assert int(compiled_dice.stream_key(u64(root), int(stream))) == key
            assert int(compiled_dice.draw(u64(key), 5)) == dice.draw(key, 5)
            assert compiled_dice.below(u64(key), 5, 20) == dice.below(key, 5, 20)
            assert compiled_dice.uniform(u64(key), 5) == dice.uniform(key, 5)


def test_actions_have_the_numbers_of_the_vocabulary() -> None:
    last = Service.PAYMENTS
    assert [ACTION_INDEX[CheckLogs(last)], ACTION_INDEX[Restart(last)], ACTION_INDEX[ScaleUp(last)]] == [
        k.CHECK_LOGS + k.PAYMENTS,
        k.RESTART + k.PAYMENTS,
        k.SCALE_UP + k.PAYMENTS,
    ]
    assert ACTION_INDEX[Rollback(Service.GATEWAY)] == k.ROLLBACK
    for fault in ALL_FAULTS:
        mode, service = list(FaultMode).index(fault.mode), list(Service).index(fault.service)
        assert ACTION_INDEX[Diagnose(fault.service, fault.mode)] == k.DIAGNOSE + service * k.MODES + mode
        assert ALL_FAULTS[mode * k.SERVICES + service] == fault


def play_out(batch: BatchedSimulator, steps: int) -> list[np.ndarray]:
    """Waits for `steps` steps. Returns for each step which environments ended their episode."""
    found = []
    for _ in range(steps):
        _, _, terminated, truncated = batch.step(np.zeros(batch.size, dtype=np.int64))
        found.append((terminated | truncated).copy())
    return found


def test_with_next_step_the_next_episode_starts_in_the_step_after_the_end() -> None:
    batch = BatchedSimulator(1, config=EpisodeConfig(max_steps=2), autoreset=Autoreset.NEXT_STEP)
    batch.reset([5])
    ended = play_out(batch, 4)
    assert [bool(each[0]) for each in ended] == [False, True, False, False]
    environment = Environment(SimulatedWorld(), batch.config)
    environment.reset(seed=following_seed(5, 1))
    observation, _, _, _, _ = environment.step(0)
    assert everything_shown(batch.observation(0)) == everything_shown(observation)
    assert batch.report(0).scenario.seed == 5
    assert batch.report(0).outcome is Outcome.EXHAUSTED


def test_with_same_step_the_next_episode_starts_in_the_last_step_and_the_end_is_kept() -> None:
    batch = BatchedSimulator(1, config=EpisodeConfig(max_steps=2), autoreset=Autoreset.SAME_STEP)
    batch.reset([5])
    ended = play_out(batch, 4)
    assert [bool(each[0]) for each in ended] == [False, True, False, True]
    assert batch.observation(0).step == 0
    assert batch.final_observation(0).step == 2
    assert batch.report(0).scenario.seed == following_seed(5, 1)


def test_without_autoreset_a_finished_episode_refuses_steps() -> None:
    batch = BatchedSimulator(2, config=EpisodeConfig(max_steps=1), autoreset=Autoreset.DISABLED)
    batch.reset([5, 6])
    batch.step([0, 0])
    batch.reset(mask=[True, False])
    with pytest.raises(EpisodeError, match=r"^the episode of environment 1 is over; call reset\(mask=\.\.\.\) first$"):
        batch.step([0, 0])
    batch.reset(mask=[False, True])
    batch.step([0, 0])


def test_a_fault_can_be_chosen_for_all_or_for_each() -> None:
    fault, other = ALL_FAULTS[3], ALL_FAULTS[11]
    batch = BatchedSimulator(3)
    drawn = [batch.scenario(e).faults for e in range(3) if batch.reset([1, 2, 3]) is not None]
    batch.reset([1, 2, 3], faults=fault)
    assert [batch.scenario(e).faults for e in range(3)] == [(fault,)] * 3
    batch.reset([1, 2, 3], faults=[other, None, fault])
    assert [batch.scenario(e).faults for e in range(3)] == [(other,), drawn[1], (fault,)]


def test_wrong_calls_are_refused_with_a_message() -> None:
    batch = BatchedSimulator(2)
    for call, message in (
        (lambda: batch.step([0, 0]), "no episode is running; call reset(seeds) first"),
        (lambda: batch.reset(), "the first reset takes a seed for each environment: reset(range(size))"),
        (lambda: batch.reset([1]), "a batch of 2 takes 2 seeds; got 1"),
        (lambda: batch.reset([1, 2**64]), f"a batch takes seeds of 64 bits; got {2**64}"),
        (lambda: batch.reset([1, 2], faults=[None]), "a batch of 2 takes one fault or 2; got 1"),
        (lambda: batch.reset([1, 2], mask=[True]), "a mask has one bool for each of the 2 environments; got (1,)"),
        (lambda: batch.report(1), "no episode of environment 1 is over yet"),
    ):
        with pytest.raises(EpisodeError) as caught:
            call()
        assert str(caught.value) == message
    with pytest.raises(BadSeed, match=r"^a seed is a whole number from 0 up; got -1$"):
        batch.reset([1, -1])
    batch.reset([1, 2])
    for actions, message in (
        ([0], "a batch of 2 takes 2 action numbers; got shape (1,)"),
        ([0, 41], "action numbers go from 0 to 40; environment 1 got 41"),
        ([-1, 0], "action numbers go from 0 to 40; environment 0 got -1"),
    ):
        with pytest.raises(EpisodeError) as caught:
            batch.step(actions)
        assert str(caught.value) == message
    with pytest.raises(ValueError, match=r"^a batch has at least one environment and one thread; got 0 and 1$"):
        BatchedSimulator(0)


SHARES = [list(Feature).index(feature) for feature in (Feature.UP, Feature.ERROR_RATIO, Feature.CPU_SHARE)]
MEASURED = 4_000 if COMPILED else 20  # episodes of each fault: a quiet window under a full queue is rare


@pytest.mark.parametrize("fault", ALL_FAULTS, ids=str)
def test_shares_lie_between_0_and_1_and_nothing_is_negative(fault: Fault) -> None:
    batch = BatchedSimulator(MEASURED, config=EpisodeConfig(noise=0.0), autoreset=Autoreset.SAME_STEP)
    shown = [batch.reset(range(MEASURED), faults=fault).copy()]
    rng = np.random.default_rng(3)
    for step in range(20):
        # At first wait, so that a full queue stays full. Then anything.
        actions = np.zeros(MEASURED, dtype=np.int64) if step < 15 else rng.integers(len(ACTIONS), size=MEASURED)
        shown.append(batch.step(actions)[0].copy())
    features = np.stack(shown)  # (steps, episodes, services, features)
    assert np.nanmin(features) >= 0.0
    assert np.nanmax(features[..., SHARES]) <= 1.0


def test_a_refused_seed_does_not_change_the_batch() -> None:
    batch = BatchedSimulator(2)
    batch.reset([1, 2])
    before = batch.features.copy()
    with pytest.raises(BadSeed):
        batch.reset([5, -1])
    np.testing.assert_array_equal(batch.features, before)
    assert [batch.scenario(e).seed for e in range(2)] == [1, 2]
    batch.step([0, 0])
    single = Environment(SimulatedWorld())
    single.reset(seed=1)
    assert everything_shown(batch.observation(0)) == everything_shown(single.step(0)[0])
    assert isinstance(batch.scenario(0).faults[0], Fault)
