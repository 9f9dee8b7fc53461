"""Whatever is played, the simulator shows only values that there can be, and no user is lost or made up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from mirr.env.checks import WHOLE_NUMBERS
from mirr.env.environment import Environment
from mirr.env.objectives import FEATURE_COLUMN, SERVICE_ROW
from mirr.env.scenario import EpisodeConfig, Scenario, draw, policy_rng
from mirr.env.simulator.batch import Autoreset, BatchedSimulator
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import COMPILED
from mirr.env.simulator.randomisation import ParameterSets, Randomisation, fixed_parameters
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import ACTIONS, ALL_FAULTS, PACK_ACTIONS, Fault, FaultMode, Feature, Journey, Service
from mirr.env.world import Snapshot
from mirr.interfaces.gymnasium_envs.spaces import MOST
from mirr.interfaces.gymnasium_envs.vector import SimVectorEnv
from mirr.scenarios.packs import PACK_CONFIG, Pack, all_packs
from tests.trials import trials

EPISODES = 10 * trials(40 if COMPILED else 1)  # of each fault, at once; in all, more than half a million steps
STEPS = 45  # more than an episode has, so that the next one begins in between
HIGHEST = MOST | {
    Feature.UP: 1.0,
    Feature.ERROR_RATIO: 1.0,
    Feature.CPU_SHARE: 1.0,
    Feature.MEMORY_SHARE: 1.3,  # a process is killed at 1.07 of the limit, and at 1.28 with some drawn parameters
}
NO_SCATTER = EpisodeConfig(noise=0.0)
DRAWN_SETS = 8

Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Block:
    """Numbers of a lane's row that have to lie in a range."""

    place: int
    size: int
    most: float = np.inf


COUNTS = tuple(
    Block(place, k.SERVICES)
    for place in (k.MEMORY, k.QUEUE, k.WAIT, k.SHED, k.CPU, k.ANSWERS, k.ERRORS, k.CALM, k.SURGE_SUM, k.TOTAL, k.HOLD)
)
RATIOS = (
    *(Block(place, k.SERVICES, most=1.0) for place in (k.ACCEPT, k.SPOILED, k.BAD, k.ROWS_SPOILED)),
    *(Block(place, k.JOURNEYS, most=1.0) for place in (k.JOURNEY_BAD, k.JOURNEY_LOST)),
    Block(k.FLOW, k.FLOWS, most=1.0),
)
NOBODY_UNDER_WAY = tuple(Block(place, k.JOURNEYS, most=0.0) for place in (k.PENDING, k.BEGUN, k.FAILED))
"""Once a window is shown, all of its users have been followed to their end and counted."""


def script(kind: int, step: int, rng: np.random.Generator, size: int) -> Whole:
    """What `size` agents of one kind do at a step."""
    match kind:
        case 0:
            return rng.integers(len(ACTIONS), size=size)
        case 1:
            return np.where(rng.random(size) < 0.8, 0, rng.integers(len(ACTIONS), size=size))
        case 2:
            return np.full(size, k.RESTART + step % k.SERVICES)
        case 3:
            return np.full(size, k.SCALE_UP + step % k.SERVICES)
        case 4:
            return rng.integers(k.RESTART, k.ACTIONS, size=size)  # nothing but fixes
        case _:
            return np.zeros(size, dtype=np.int64)  # only wait, so that a full queue stays full


KINDS = 10  # the last five are the same: what waiting shows is rare, such as a quiet window under a full queue


@pytest.fixture(scope="module")
def drawn_parameters() -> ParameterSets:
    return Randomisation.everything(0.2, sets=DRAWN_SETS).draw()


@pytest.mark.parametrize("fault", ALL_FAULTS, ids=str)
@pytest.mark.parametrize("drawn", [False, True], ids=["fixed parameters", "drawn parameters"])
def test_every_value_lies_in_its_range_whatever_is_played(
    fault: Fault, drawn: bool, drawn_parameters: ParameterSets
) -> None:
    parameters = drawn_parameters if drawn else fixed_parameters()
    batch = BatchedSimulator(EPISODES, config=NO_SCATTER, parameters=parameters, autoreset=Autoreset.SAME_STEP)
    rng = np.random.default_rng(ALL_FAULTS.index(fault))
    shown = [batch.reset(range(EPISODES), faults=fault).copy()]
    failed_before = batch.column(k.FAILED_REQUESTS)
    for step in range(STEPS):
        each = [script(kind, step, rng, EPISODES // KINDS) for kind in range(KINDS)]
        features, _, terminated, truncated = batch.step(np.concatenate(each))
        shown.append(features.copy())
        failed = batch.column(k.FAILED_REQUESTS)
        goes_on = ~(terminated | truncated)
        assert np.all(failed[goes_on] >= failed_before[goes_on])
        assert np.all(failed == np.floor(failed))
        failed_before = failed
        assert_state_is_sound(np.array(batch._lanes.rows))
    assert_features_are_sound(np.stack(shown))


def assert_state_is_sound(rows: NDArray[np.float64]) -> None:
    for block in (*COUNTS, *RATIOS, *NOBODY_UNDER_WAY):
        found = rows[:, block.place : block.place + block.size]
        assert found.min() >= 0.0
        assert found.max() <= block.most


def assert_features_are_sound(features: NDArray[np.float32]) -> None:  # (..., services, features)
    for feature in Feature:
        values = features[..., FEATURE_COLUMN[feature]]
        assert np.nanmin(values) >= 0.0, feature
        assert np.nanmax(values) <= HIGHEST[feature], feature
    up = features[..., FEATURE_COLUMN[Feature.UP]]
    assert np.all((up == 0.0) | (up == 1.0))
    # All of a service's numbers are there, or none.
    assert np.all(np.isnan(features[..., 1:]) == (up[..., None] == 0.0))
    in_flight = features[..., FEATURE_COLUMN[Feature.IN_FLIGHT]]
    assert np.all(np.isnan(in_flight) | (in_flight == np.floor(in_flight)))


def test_what_a_trainer_sees_is_in_its_space() -> None:
    size = EPISODES // 5
    vector = SimVectorEnv(size, randomisation=Randomisation.everything(0.2, sets=DRAWN_SETS))
    observations, _ = vector.reset(seed=5)
    rng = np.random.default_rng(5)
    for _ in range(STEPS):
        assert vector.observation_space.contains(observations)
        observations, rewards, _, _, infos = vector.step(rng.integers(len(ACTIONS), size=size))
        assert np.all(np.isfinite(rewards))
        assert infos["action_mask"].dtype.kind in WHOLE_NUMBERS
        assert np.all((infos["action_mask"] == 0) | (infos["action_mask"] == 1))


def snapshots(scenario: Scenario, config: EpisodeConfig, parameters: ParameterSets | None = None) -> list[Snapshot]:
    """Every window of an episode of random actions."""
    environment = Environment(SimulatedWorld(parameters), config)
    rng = policy_rng(scenario.seed)
    actions = PACK_ACTIONS if config.none_diagnosis else ACTIONS
    environment.reset(scenario=scenario)
    assert environment.last_snapshot is not None
    found = [environment.last_snapshot]
    done = False
    while not done:
        *_, terminated, truncated, _ = environment.step(int(rng.integers(len(actions))))
        found.append(environment.last_snapshot)
        done = terminated or truncated
    assert environment.report is not None
    # The first window is not the agent's doing, so its failures are not in the report.
    assert environment.report.harm.failed_requests == sum(each.failed_requests for each in found[1:])
    return found


@pytest.mark.parametrize("fault", ALL_FAULTS, ids=str)
def test_every_user_who_begins_succeeds_or_fails(fault: Fault, drawn_parameters: ParameterSets) -> None:
    for seed in range(trials(8 if COMPILED else 2)):
        for snapshot in snapshots(draw(seed, fault), NO_SCATTER, drawn_parameters if seed % 2 else None):
            assert_users_are_sound(snapshot)


@pytest.mark.parametrize("pack", all_packs(), ids=lambda pack: pack.id)
def test_packs_show_sound_values_too(pack: Pack) -> None:
    for seed in range(trials(8 if COMPILED else 2)):
        found = snapshots(pack.scenario(seed), PACK_CONFIG)
        for snapshot in found:
            assert_users_are_sound(snapshot)
        assert_features_are_sound(np.stack([snapshot.features for snapshot in found]).astype(np.float32))


def assert_users_are_sound(snapshot: Snapshot) -> None:
    for count in snapshot.journeys.values():
        assert 0 <= count.failed <= count.requests
    assert snapshot.failed_requests <= snapshot.requests
    assert 0.0 <= snapshot.user_sli <= 1.0


@pytest.mark.parametrize("mode", [FaultMode.CRASHED, FaultMode.BAD_DEPLOY])
def test_every_user_reaches_the_gateway_and_no_more_requests_go_on_than_came_in(mode: FaultMode) -> None:
    # Neither fault sends requests of its own, and nobody restarts anything. So all requests are users'.
    for service in Service:
        if service is Service.GATEWAY and mode is FaultMode.CRASHED:
            continue  # nobody answers there, so nothing is counted
        for seed in range(trials(6 if COMPILED else 2)):
            environment = Environment(SimulatedWorld(), NO_SCATTER)
            environment.reset(seed=seed, fault=Fault(mode, service))
            done = False
            while not done:
                *_, terminated, truncated, _ = environment.step(0)
                done = terminated or truncated
                assert environment.last_snapshot is not None
                assert_requests_follow_from_users(environment.last_snapshot)


def assert_requests_follow_from_users(snapshot: Snapshot) -> None:
    users = {journey: count.requests for journey, count in snapshot.journeys.items()}
    rates = snapshot.features[:, FEATURE_COLUMN[Feature.REQUEST_RATE]] * NO_SCATTER.step_s
    # A service that is down has no rate. Nothing comes from it, and what comes to it is not counted.
    came = {service: float(np.nan_to_num(rates[SERVICE_ROW[service]])) for service in Service}
    browse, sign_in, check_out = (users[journey] for journey in (Journey.BROWSE, Journey.SIGN_IN, Journey.CHECK_OUT))
    assert came[Service.GATEWAY] == pytest.approx(browse + sign_in + check_out)
    slack = 1e-9
    assert came[Service.AUTH] <= sign_in + check_out + slack
    assert came[Service.ORDERS] <= check_out + slack
    assert came[Service.INVENTORY] <= browse + check_out + slack
    assert came[Service.PAYMENTS] <= check_out + slack
