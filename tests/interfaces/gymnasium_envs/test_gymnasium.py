"""The Gymnasium environments keep their contract, and a vector equals the same number of single environments."""

from __future__ import annotations

import functools
import warnings
from contextlib import closing
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from mirr.bridge import assembly
from mirr.bridge.docker_world import Patience
from mirr.env import environment
from mirr.env.rendering import render
from mirr.env.scenario import EpisodeConfig, Scenario, draw
from mirr.env.vocabulary import (
    ACTION_INDEX,
    Action,
    CheckLogs,
    Diagnose,
    Fault,
    FaultMode,
    Rollback,
    ScaleUp,
    Service,
    Tier,
    UnknownName,
    Wait,
)
from mirr.interfaces.gymnasium_envs import HARD_LAB_ID, HARD_SIM_ID, LAB_ID, MEDIUM_LAB_ID, MEDIUM_SIM_ID, SIM_ID
from mirr.interfaces.gymnasium_envs.single import EpisodeEnv, sim_env
from mirr.interfaces.gymnasium_envs.spaces import flat
from mirr.interfaces.gymnasium_envs.vector import SimVectorEnv
from mirr.interfaces.gymnasium_envs.wrappers import (
    FlatObservation,
    TextObservation,
    VectorFlatObservation,
    history,
    texts,
)
from tests.trials import first_is_quick

SHORT = EpisodeConfig(max_steps=4)


def assert_equal(one: Any, other: Any) -> None:
    """Both are equal to the last bit. This includes dictionaries and arrays of objects."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            assert_equal(one[name], other[name])
    elif isinstance(one, np.ndarray) and one.dtype == object:
        for each, counterpart in zip(one, other, strict=True):
            assert_equal(each, counterpart)
    else:
        np.testing.assert_array_equal(one, other)
        assert getattr(one, "dtype", None) == getattr(other, "dtype", None)


def as_dict(parts: tuple[Any, ...]) -> dict[str, Any]:
    """The parts as a dictionary, with their positions as keys."""
    return {str(position): part for position, part in enumerate(parts)}


def without_reports(infos: dict[str, Any]) -> dict[str, Any]:
    """Removes the reports. Only a single environment puts the whole report into its info."""
    kept = {name: value for name, value in infos.items() if name not in {"report", "_report"}}
    if "final_info" in kept:
        kept["final_info"] = without_reports(kept["final_info"])
    return kept


@pytest.mark.parametrize("name", [SIM_ID, MEDIUM_SIM_ID, HARD_SIM_ID, f"mirr.interfaces.gymnasium_envs:{SIM_ID}"])
def test_the_simulator_passes_gymnasiums_check_without_a_warning(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(name).unwrapped)


@pytest.mark.docker
def test_the_lab_passes_gymnasiums_check_without_a_warning(real_lab: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The check resets more than ten times. It does not need the long opening of an episode.
    open_at_once = functools.partial(assembly.open_docker_world, patience=Patience(opening_s=0.0))
    monkeypatch.setattr(assembly, "open_docker_world", open_at_once)
    # Nor does it need faults: each reset would have to recover. tests/contract plays every fault on the lab.
    monkeypatch.setattr(environment, "draw", lambda seed, *_: Scenario(seed=seed, timeline=()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with closing(gymnasium.make(LAB_ID, lab=real_lab, config=EpisodeConfig(step_s=1.0))) as env:
            # Pictures depend on no world. The simulator's check draws them in every mode. Each one would be a reset.
            check_env(env.unwrapped, skip_render_check=True)
            # One crash, because the values of a crashed service are missing. Gymnasium's wrapper checks these windows.
            crash = Fault(FaultMode.CRASHED, Service.PAYMENTS)
            monkeypatch.setattr(environment, "draw", lambda seed, *_: draw(seed, crash))
            for observation, *_ in (env.reset(seed=1), env.step(0)):
                assert not observation["seen"].all()
                assert env.observation_space.contains(observation)


@pytest.mark.parametrize("mode", first_is_quick(AutoresetMode))
def test_a_vector_equals_its_single_environments_to_the_last_bit(mode: AutoresetMode) -> None:
    size = 24
    vector = SimVectorEnv(size, autoreset_mode=mode)
    single = SyncVectorEnv([sim_env] * size, autoreset_mode=mode)
    assert (vector.observation_space, vector.action_space) == (single.observation_space, single.action_space)
    assert_equal(as_dict(vector.reset(seed=11)), as_dict(single.reset(seed=11)))
    rng = np.random.default_rng(2)
    ended = 0
    for _ in range(70):
        actions = rng.integers(41, size=size)
        found, expected = vector.step(actions), single.step(actions)
        assert_equal(as_dict(found[:4]), as_dict(expected[:4]))
        assert_equal(found[4], without_reports(expected[4]))
        assert vector.observation_space.contains(found[0])
        done = found[2] | found[3]
        ended += int(done.sum())
        if mode is AutoresetMode.DISABLED and done.any():
            again, expected_again = (each.reset(options={"reset_mask": done.copy()}) for each in (vector, single))
            assert_equal(as_dict(again), as_dict(expected_again))
    assert ended > size


@pytest.mark.parametrize("name", first_is_quick([MEDIUM_SIM_ID, HARD_SIM_ID]))
@pytest.mark.parametrize("mode", first_is_quick(AutoresetMode))
def test_a_vector_of_v1_equals_its_single_environments_to_the_last_bit(mode: AutoresetMode, name: str) -> None:
    size = 12
    vector = gymnasium.make_vec(name, size, "vector_entry_point", autoreset_mode=mode).unwrapped
    alone = functools.partial(gymnasium.make, name, disable_env_checker=True)
    single = SyncVectorEnv([alone] * size, autoreset_mode=mode)
    assert (vector.observation_space, vector.action_space) == (single.observation_space, single.action_space)
    assert_equal(as_dict(vector.reset(seed=11)), as_dict(single.reset(seed=11)))
    rng = np.random.default_rng(2)
    assert isinstance(vector.single_action_space, gymnasium.spaces.Discrete)
    read, choices = 0.0, vector.single_action_space.n
    for _ in range(60):
        actions = np.where(rng.random(size) < 0.7, rng.integers(1, 6, size=size), rng.integers(26, choices, size=size))
        found, expected = vector.step(actions), single.step(actions)
        assert_equal(as_dict(found[:4]), as_dict(expected[:4]))
        assert_equal(found[4], without_reports(expected[4]))
        assert vector.observation_space.contains(found[0])
        read += float(found[0]["logs"][..., 2:].sum())
        done = found[2] | found[3]
        if mode is AutoresetMode.DISABLED and done.any():
            again, expected_again = (each.reset(options={"reset_mask": done.copy()}) for each in (vector, single))
            assert_equal(as_dict(again), as_dict(expected_again))
    assert read > size


def test_v1_plays_medium_and_sees_what_logs_tell() -> None:
    env = gymnasium.make(MEDIUM_SIM_ID)
    observation, _ = env.reset(seed=3)
    assert not observation["logs"].any()
    actions: list[Action] = [CheckLogs(Service.AUTH), Wait()]
    for step, action in enumerate(actions):
        observation, *_ = env.step(ACTION_INDEX[action])
        assert observation["logs"][1].tolist()[:2] == [1.0, step]
        assert not observation["logs"][[0, 2, 3, 4]].any()
    terminated = truncated = False
    while not (terminated or truncated):
        *_, terminated, truncated, info = env.step(0)
    assert info["report"].scenario == draw(3, tier=Tier.MEDIUM)


def test_the_environment_of_hard_has_42_actions_and_plays_hard() -> None:
    env = gymnasium.make(HARD_SIM_ID)
    assert env.action_space == gymnasium.spaces.Discrete(42)
    observation, info = env.reset(seed=3)
    assert (observation["last_action"], info["action_mask"].tolist()) == (42, [1] * 42)
    observation, *_, info = env.step(41)
    assert observation["last_action"] == 41
    assert info["action_mask"].tolist() == [1] * 41 + [0]  # two faults may have been missed
    terminated = truncated = False
    while not (terminated or truncated):
        *_, terminated, truncated, info = env.step(0)
    assert info["report"].scenario == draw(3, tier=Tier.HARD)


def test_v0_is_not_out_of_date_because_there_is_v1() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in (SIM_ID, LAB_ID, MEDIUM_SIM_ID, MEDIUM_LAB_ID, HARD_SIM_ID, HARD_LAB_ID):
            made = gymnasium.make(name)
            assert made.spec is not None
            assert made.spec.id == name


def test_v0_observes_what_it_always_did() -> None:
    assert list(sim_env().reset(seed=1)[0]) == ["features", "seen", "step", "last_action", "last_accepted"]


def test_an_unknown_tier_is_refused_when_the_environment_is_made() -> None:
    makers: list[Any] = [sim_env, functools.partial(SimVectorEnv, 2), functools.partial(gymnasium.make, LAB_ID)]
    for make in makers:
        with pytest.raises(UnknownName, match=r"^unknown tier 'insane'; one of: easy, medium, hard$"):
            make(tier="insane")


def test_the_lab_has_the_same_spaces_as_the_simulator() -> None:
    for simulator, lab in ((SIM_ID, LAB_ID), (MEDIUM_SIM_ID, MEDIUM_LAB_ID), (HARD_SIM_ID, HARD_LAB_ID)):
        assert gymnasium.make(simulator).observation_space == gymnasium.make(lab).observation_space


def test_make_vec_creates_our_own_vector_class() -> None:
    env = gymnasium.make_vec(SIM_ID, num_envs=8, vectorization_mode="vector_entry_point", autoreset_mode="SameStep")
    assert isinstance(env.unwrapped, SimVectorEnv)
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    observations, _ = env.reset(seed=3)
    assert env.observation_space.contains(observations)


def test_a_seed_gives_its_incident_and_a_reset_without_seed_gives_the_next_one() -> None:
    runs = []
    for _ in range(2):
        env = sim_env(config=SHORT)
        played = []
        for seed in (7, None, None, 7):
            env.reset(seed=seed)
            done = False
            while not done:
                *_, terminated, truncated, info = env.step(0)
                done = terminated or truncated
            played.append(info["report"].scenario)
        runs.append(played)
    assert runs[0] == runs[1]
    assert runs[0][0] == runs[0][3]
    assert len({scenario.seed for scenario in runs[0]}) == 3


def test_reset_accepts_a_chosen_fault() -> None:
    env = sim_env(config=SHORT)
    env.reset(seed=1, options={"fault": "bad_deploy:payments"})
    for _ in range(SHORT.max_steps):
        *_, info = env.step(0)
    assert info["report"].scenario.faults == (Fault(FaultMode.BAD_DEPLOY, Service.PAYMENTS),)


def test_features_that_were_not_scraped_are_zero_and_marked_as_not_seen() -> None:
    observation, _ = sim_env().reset(seed=1, options={"fault": "crashed:auth"})
    row = list(Service).index(Service.AUTH)
    assert observation["features"][row].tolist() == [0.0] * 7
    assert observation["seen"][row].tolist() == [1, 0, 0, 0, 0, 0, 0]
    assert observation["seen"].sum() == 29


def test_the_mask_forbids_only_actions_that_the_agents_own_actions_made_useless() -> None:
    env = sim_env()
    diagnoses = [number for action, number in ACTION_INDEX.items() if isinstance(action, Diagnose)]
    rollback, scale = ACTION_INDEX[Rollback(Service.ORDERS)], ACTION_INDEX[ScaleUp(Service.ORDERS)]
    masks = []
    for fault in ("crashed:auth", "overloaded:payments"):
        _, info = env.reset(seed=1, options={"fault": fault})
        assert info["action_mask"].all()
        for action in (diagnoses[3], rollback, scale):
            *_, info = env.step(action)
        masks.append(info["action_mask"].tolist())
    assert masks[0] == masks[1]  # another fault, but the same mask
    assert {number for number, allowed in enumerate(masks[0]) if not allowed} == {*diagnoses, rollback, scale}


def test_a_refused_scale_up_can_be_tried_again() -> None:
    env = sim_env()
    env.reset(seed=1, options={"fault": "crashed:auth"})
    action = ACTION_INDEX[ScaleUp(Service.AUTH)]
    observation, *_, info = env.step(action)
    assert observation["last_accepted"] == 0
    assert info["action_mask"][action] == 1


def test_every_call_gives_fresh_arrays_and_plain_bools() -> None:
    env = sim_env()
    first, _ = env.reset(seed=1)
    before = first["features"].copy()
    second, _, terminated, truncated, info = env.step(0)
    np.testing.assert_array_equal(first["features"], before)
    assert second["features"] is not first["features"]
    assert type(terminated) is bool
    assert type(truncated) is bool
    info["action_mask"][:] = 0
    assert env.step(0)[4]["action_mask"].all()
    vector = SimVectorEnv(4)
    shown, _ = vector.reset(seed=1)
    kept = {name: values.copy() for name, values in shown.items()}
    vector.step(np.zeros(4, dtype=np.int64))
    assert_equal(shown, kept)


def test_render_gives_a_text_table_or_a_picture() -> None:
    env = sim_env(render_mode="ansi")
    env.reset(seed=1)
    text = env.render()
    assert isinstance(text, str)
    assert text.splitlines()[0].split() == ["service", "up", "req/s", "errors", "p95", "cpu", "memory", "in", "flight"]
    pictures = sim_env(render_mode="rgb_array")
    pictures.reset(seed=1, options={"fault": "crashed:auth"})
    image = pictures.render()
    assert isinstance(image, np.ndarray)
    assert image.dtype == np.uint8
    assert image.shape[2] == 3
    pictures.step(2)
    again = pictures.render()
    assert isinstance(again, np.ndarray)
    assert (image != again).any()
    vector = SimVectorEnv(2, render_mode="ansi")
    vector.reset(seed=1)
    assert vector.render() == (text, vector.render()[1])  # type: ignore[index]  # not None with a mode
    with pytest.raises(ValueError, match=r"^render_mode is ansi, rgb_array or None; got 'human'$"):
        sim_env(render_mode="human")


def test_wrappers_give_a_row_of_numbers_or_several_rows_or_a_text() -> None:
    for env in (FlatObservation(sim_env()), history(sim_env(), 4), TextObservation(sim_env())):
        observation, _ = env.reset(seed=4)
        assert env.observation_space.contains(observation)
        observation, *_ = env.step(3)
        assert env.observation_space.contains(observation)
    assert isinstance(observation, str)
    assert "log of inventory:" in observation


def test_a_vector_has_the_same_rows_and_texts_as_single_environments() -> None:
    vector = SimVectorEnv(3)
    rows = VectorFlatObservation(vector)
    found, _ = rows.reset(seed=5)
    assert rows.observation_space.contains(found)
    rows.step(np.full(3, 3))
    for e in range(3):
        single = sim_env()
        observation, _ = single.reset(seed=5 + e)
        np.testing.assert_array_equal(found[e], flat(observation, 30))
        text, *_ = TextObservation(single).step(3)
        assert texts(vector)[e] == render(vector.observation(e))
        assert text.splitlines()[:6] == texts(vector)[e].splitlines()[:6]
        assert text.splitlines()[6] == "the last 2 steps, the oldest first:"


def test_wrong_use_is_refused_with_a_message() -> None:
    with pytest.raises(gymnasium.error.ResetNeeded, match=r"^no episode is running; call reset\(\) first$"):
        EpisodeEnv(lambda: pytest.fail("no world is opened for nothing")).step(0)
    vector = SimVectorEnv(2)
    with pytest.raises(gymnasium.error.ResetNeeded, match=r"^no episode is running; call reset\(\) first$"):
        vector.step(np.zeros(2, dtype=np.int64))
    with pytest.raises(ValueError, match=r"^options\['reset_mask'\] is an array of 2 bools, at least one of them true"):
        vector.reset(seed=1, options={"reset_mask": [True, False]})
    with pytest.raises(ValueError, match=r"^reset has no option seed; it has: fault, reset_mask$"):
        vector.reset(options={"seed": 1})
    single = sim_env()
    with pytest.raises(ValueError, match=r"^reset has no option scenario; it has: fault$"):
        single.reset(options={"scenario": "two-in-turn"})
