"""What callers of the Gymnasium environments do: odd seeds and options, pickling, masks, an action more."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

from mirr.env.checks import BadConfig
from mirr.env.environment import EpisodeError
from mirr.env.scenario import BadSeed, EpisodeConfig
from mirr.env.simulator.fast.team import LEAST_FOR_A_THREAD
from mirr.env.vocabulary import ACTION_INDEX, Diagnose, DiagnoseNone, Fault, FaultMode, Service
from mirr.interfaces.gymnasium_envs import SIM_ID
from mirr.interfaces.gymnasium_envs.single import EpisodeEnv, lab_env, sim_env
from mirr.interfaces.gymnasium_envs.vector import SimVectorEnv
from mirr.interfaces.gymnasium_envs.wrappers import FlatObservation, history
from tests.late import Tensor, made

WHOLE = [5, np.int64(5), np.uint8(5), np.array(5), Tensor(5)]
NOT_WHOLE = [True, 5.0, float("nan"), "5", np.bool_(True)]
NONE = ACTION_INDEX[DiagnoseNone()]


def same(one: Any, other: Any) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in other)


@pytest.mark.parametrize("seed", WHOLE, ids=repr)
def test_any_kind_of_whole_number_is_a_seed(seed: Any) -> None:
    seed = made(seed)
    assert same(sim_env().reset(seed=seed)[0], sim_env().reset(seed=5)[0])
    assert same(SimVectorEnv(3).reset(seed=seed)[0], SimVectorEnv(3).reset(seed=5)[0])


@pytest.mark.parametrize("seeds", [[5, 6, 7], np.array([5, 6, 7]), Tensor([5, 6, 7])], ids=repr)
def test_a_vector_takes_a_seed_for_each_environment(seeds: Any) -> None:
    assert same(SimVectorEnv(3).reset(seed=made(seeds))[0], SimVectorEnv(3).reset(seed=5)[0])


@pytest.mark.parametrize("seed", NOT_WHOLE, ids=repr)
def test_anything_else_is_refused_and_the_episode_goes_on(seed: Any) -> None:
    env: Any
    for env, action in ((sim_env(), 0), (SimVectorEnv(2), [0, 0])):
        env.reset(seed=3)
        for given in (seed, [seed, seed]):
            with pytest.raises(BadSeed) as refusal:
                env.reset(seed=given)
            assert str(refusal.value).startswith("a seed is a whole number from 0 up; got ")
        untouched: Any = sim_env() if isinstance(env, EpisodeEnv) else SimVectorEnv(2)
        untouched.reset(seed=3)
        assert same(env.step(action)[0], untouched.step(action)[0])


@pytest.mark.parametrize("fault", ["crashed:auth", np.str_("crashed:auth"), np.array("crashed:auth")], ids=repr)
def test_a_fault_may_be_any_kind_of_text(fault: Any) -> None:
    expected = Fault(FaultMode.CRASHED, Service.AUTH)
    vector = SimVectorEnv(2)
    vector.reset(seed=1, options={"fault": fault})
    assert [vector.batch.scenario(e).faults for e in range(2)] == [(expected,)] * 2
    found, wanted = (sim_env().reset(seed=1, options={"fault": each})[0] for each in (fault, expected))
    assert same(found, wanted)


def test_a_vector_takes_an_array_of_faults() -> None:
    vector = SimVectorEnv(2)
    vector.reset(seed=1, options={"fault": np.array(["crashed:auth", "overloaded:orders"])})
    assert [str(vector.batch.scenario(e).faults[0]) for e in range(2)] == ["crashed:auth", "overloaded:orders"]


@pytest.mark.parametrize("fault", [3, 2.5, True, {"mode": "crashed"}, b"crashed:auth"], ids=repr)
def test_what_is_no_fault_is_refused_in_words(fault: Any) -> None:
    for env, wanted in ((sim_env(), ""), (SimVectorEnv(2), ", or a sequence of them")):
        with pytest.raises(TypeError) as refusal:
            env.reset(seed=1, options={"fault": fault})
        if fault == b"crashed:auth" and isinstance(env, SimVectorEnv):
            continue  # bytes are a sequence, of numbers
        assert str(refusal.value) == f"options['fault'] is a fault, MODE:SERVICE{wanted}; got {fault!r}"


@pytest.mark.parametrize("options", [["fault"], "fault", 3], ids=repr)
def test_options_are_a_dict(options: Any) -> None:
    for env in (sim_env(), SimVectorEnv(2)):
        with pytest.raises(TypeError) as refusal:
            env.reset(seed=1, options=options)
        assert str(refusal.value) == f"reset takes its options as a dict; got {options!r}"


def test_a_mask_may_be_a_tensor() -> None:
    vector, expected = SimVectorEnv(2), SimVectorEnv(2)
    for env in (vector, expected):
        env.reset(seed=1)
        env.step(np.zeros(2, dtype=np.int64))
    found = vector.reset(options={"reset_mask": Tensor([True, False]).make()})
    assert same(found[0], expected.reset(options={"reset_mask": np.array([True, False])})[0])
    assert same(found[1], {"action_mask": found[1]["action_mask"]})


def test_the_advice_to_reset_names_what_there_is() -> None:
    vector = SimVectorEnv(2, autoreset_mode=AutoresetMode.DISABLED, config=EpisodeConfig(max_steps=1))
    advice = "call reset(options={'reset_mask': ...}) or reset() first"
    vector.reset(seed=1, options={"reset_mask": np.array([True, False])})
    with pytest.raises(gymnasium.error.ResetNeeded) as refusal:
        vector.step(np.zeros(2, dtype=np.int64))
    assert str(refusal.value) == f"the episode of environment 1 has not begun; {advice}"
    vector.reset(seed=1)
    vector.step(np.zeros(2, dtype=np.int64))
    vector.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(gymnasium.error.ResetNeeded) as refusal:
        vector.step(np.zeros(2, dtype=np.int64))
    assert str(refusal.value) == f"the episode of environment 1 is over; {advice}"
    vector.reset(options={"reset_mask": np.array([False, True])})
    vector.step(np.zeros(2, dtype=np.int64))


@pytest.mark.parametrize("make", [sim_env, lab_env, SimVectorEnv])
def test_a_configuration_is_checked_when_the_environment_is_made(make: Any) -> None:
    with pytest.raises(BadConfig, match=r"^config is an EpisodeConfig, as in EpisodeConfig\(max_steps=20\); got "):
        make(config={"max_steps": 3})


def test_a_step_that_the_simulator_cannot_play_is_refused_when_the_environment_is_made() -> None:
    for make in (sim_env, SimVectorEnv):
        with pytest.raises(ValueError, match=r"^the simulator advances in whole ticks of 0\.4 s; got 0\.5$"):
            make(config=EpisodeConfig(step_s=0.5))


def test_with_the_diagnosis_none_there_are_42_actions() -> None:
    env = sim_env(config=EpisodeConfig(none_diagnosis=True))
    check_env(env, skip_render_check=True)
    assert env.action_space == gymnasium.spaces.Discrete(42)
    observation, info = env.reset(seed=4)
    assert env.observation_space.contains(observation)
    assert (observation["last_action"], info["action_mask"].shape) == (42, (42,))
    observation, *_, info = env.step(NONE)
    assert env.observation_space.contains(observation)
    assert observation["last_action"] == NONE
    assert {number for number, allowed in enumerate(info["action_mask"]) if not allowed} == {NONE}


def test_wrappers_follow_the_number_of_actions() -> None:
    widened = EpisodeConfig(none_diagnosis=True)
    for wrapped in (FlatObservation(sim_env(config=widened)), history(sim_env(config=widened), 3)):
        observation, _ = wrapped.reset(seed=4)
        assert wrapped.observation_space.contains(observation)
        observation, *_ = wrapped.step(NONE)
        assert wrapped.observation_space.contains(observation)
    plain, wide = FlatObservation(sim_env()), FlatObservation(sim_env(config=widened))
    assert wide.reset(seed=1)[0].size == plain.reset(seed=1)[0].size + 1


def test_a_vector_has_the_diagnosis_none_where_its_configuration_has_it() -> None:
    vector = SimVectorEnv(2, config=EpisodeConfig(none_diagnosis=True))
    assert vector.single_action_space == gymnasium.spaces.Discrete(42)
    vector.reset(seed=4)
    vector.step(np.full(2, NONE))


def pickled(env: Any) -> Any:
    return pickle.loads(pickle.dumps(env))


@pytest.mark.parametrize("copied", [pickled, copy.deepcopy])
def test_a_copy_goes_on_as_the_original_does(copied: Any) -> None:
    many = 2 * LEAST_FOR_A_THREAD
    env: Any
    for env, actions in (
        (gymnasium.make(SIM_ID), [3, 12, 27]),
        (SimVectorEnv(many, threads=2), [np.full(many, action) for action in (3, 12, 27)]),
        (sim_env(randomisation={"sets": 2, "ranges": {"boot_cpu_s": {"times": [0.9, 1.1]}}}), [3, 12, 27]),
    ):
        fresh = copied(env)
        env.reset(seed=7)
        env.step(actions[0])
        under_way = copied(env)
        fresh.reset(seed=7)
        fresh.step(actions[0])
        for action in actions[1:]:
            expected = env.step(action)
            for other in (under_way, fresh):
                found = other.step(action)
                assert same(found[0], expected[0])
                assert np.array_equal(found[1], expected[1])
        # A reset without a seed goes on with the seed that follows.
        expected = env.reset()
        assert same(under_way.reset()[0], expected[0])


def test_a_lab_is_not_copied() -> None:
    with pytest.raises(TypeError) as refusal:
        pickle.dumps(lab_env())
    assert str(refusal.value) == (
        "mirr/Lab-v0 cannot be copied or pickled, because only one can hold a lab; make it where it plays"
    )


def test_masks_are_where_maskable_ppo_looks_for_them() -> None:
    # They take seconds to import, so only the process that runs this test imports them.
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import DummyVecEnv

    envs = make_vec_env(lambda: FlatObservation(gymnasium.make(SIM_ID)), n_envs=3, seed=0, vec_env_cls=DummyVecEnv)
    assert envs.has_attr("action_masks")
    envs.reset()
    envs.step(np.array([ACTION_INDEX[Diagnose(Service.AUTH, FaultMode.CRASHED)], 0, 0]))
    masks = np.stack(envs.env_method("action_masks"))
    assert masks.shape == (3, 41)
    assert masks.dtype == np.bool_
    assert masks.sum(axis=1).tolist() == [21, 41, 41]


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda: gymnasium.make(SIM_ID),
        lambda: FlatObservation(gymnasium.make(SIM_ID)),
        lambda: history(gymnasium.make(SIM_ID), 3),
        lambda: gymnasium.wrappers.RecordEpisodeStatistics(FlatObservation(gymnasium.make(SIM_ID))),
    ],
)
def test_masks_are_found_through_any_wrappers(wrapped: Callable[[], gymnasium.Env[Any, Any]]) -> None:
    # As `get_action_masks` and `is_masking_supported` of sb3-contrib ask a single environment.
    env = wrapped()
    env.reset(seed=1)
    *_, info = env.step(ACTION_INDEX[Diagnose(Service.AUTH, FaultMode.CRASHED)])
    mask = env.get_wrapper_attr("action_masks")()
    assert (mask.shape, mask.dtype, mask.sum()) == ((41,), np.bool_, 21)
    assert np.array_equal(mask, info["action_mask"].astype(np.bool_))


def test_a_vector_has_the_masks_of_its_infos() -> None:
    vector = SimVectorEnv(4)
    vector.reset(seed=2)
    rng = np.random.default_rng(2)
    for _ in range(40):
        *_, infos = vector.step(rng.integers(41, size=4))
        assert np.array_equal(vector.action_masks(), infos["action_mask"].astype(np.bool_))


def test_an_action_that_is_none_is_refused_by_the_widened_space_too() -> None:
    env = sim_env(config=EpisodeConfig(none_diagnosis=True))
    env.reset(seed=1)
    with pytest.raises(EpisodeError, match=r"^action numbers go from 0 to 41; got 42$"):
        env.step(42)


@pytest.mark.parametrize("make", [sim_env, lambda **how: SimVectorEnv(2, **how)])
def test_a_way_to_render_that_there_is_not_is_refused(make: Any) -> None:
    with pytest.raises(ValueError, match=r"^render_mode is ansi, rgb_array or None; got 'human'$"):
        make(render_mode="human")


@pytest.mark.parametrize("make", [sim_env, lambda **how: SimVectorEnv(2, **how)])
@pytest.mark.parametrize("parameters", ["parameters.json", {}], ids=repr)
def test_what_are_no_parameters_is_refused_in_words(make: Any, parameters: Any) -> None:
    with pytest.raises(TypeError, match=r"^parameters is a Parameters, as load_parameters reads one; got "):
        make(parameters=parameters)


@pytest.mark.parametrize("flag", [np.array(True), Tensor(True)], ids=repr)
def test_a_flag_among_the_actions_of_a_vector_is_refused(flag: Any) -> None:
    flag = made(flag)
    vector = SimVectorEnv(2)
    vector.reset(seed=7)
    with pytest.raises(EpisodeError, match=r"^action numbers are whole numbers; got \["):
        vector.step([flag, 3])  # type: ignore[arg-type]
    seen, *_ = vector.step([np.array(4), 3])  # type: ignore[arg-type]
    assert seen["last_action"].tolist() == [4, 3]


def test_what_is_masked_is_no_action_no_seed_and_no_mask() -> None:
    hidden: Any = np.ma.array(3, mask=True)
    vector, single = SimVectorEnv(2), sim_env()
    vector.reset(seed=7)
    single.reset(seed=7)
    with pytest.raises(EpisodeError, match=r"^an action is an Action or its number"):
        single.step(hidden)
    with pytest.raises(BadSeed):
        single.reset(seed=hidden)
    with pytest.raises(EpisodeError, match=r"^action numbers are whole numbers"):
        vector.step(np.ma.array([3, 3], mask=[False, True]))
    with pytest.raises(ValueError, match=r"^options\['reset_mask'\] is an array of 2 bools"):
        vector.reset(options={"reset_mask": np.ma.array([True, True], mask=[False, True])})
    seen, *_ = vector.step(np.ma.array([3, 4]))  # nothing of it is masked
    assert seen["last_action"].tolist() == [3, 4]
