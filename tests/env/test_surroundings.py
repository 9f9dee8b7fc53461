"""What happens around an incident on the simulator: more or fewer users, bursts, sound releases. It harms nobody."""

from __future__ import annotations

from statistics import fmean, variance

import numpy as np
import pytest
from numpy.typing import NDArray

from mirr.env.objectives import FEATURE_COLUMN, SERVICE_ROW, breaches
from mirr.env.scenario import MOST_BURST_LOAD, TRAFFIC, EpisodeConfig, Scenario, Scheduled, streams
from mirr.env.simulator.batch import Autoreset, BatchedSimulator
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import COMPILED, numbers, u64
from mirr.env.simulator.physics.arrivals import arrivals_at, arrivals_in_block_at
from mirr.env.simulator.physics.profile import rules
from mirr.env.simulator.physics.traffic import level_at
from mirr.env.simulator.randomisation import default_parameters
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import (
    NEXT_RELEASE,
    STEADY_RELEASE,
    Action,
    Breaks,
    Bursts,
    CheckLogs,
    Deploys,
    Ends,
    Event,
    Fault,
    FaultMode,
    Feature,
    Journey,
    Reason,
    Rollback,
    Service,
    TrafficChanges,
)
from mirr.env.world import Snapshot

STEP_S = 2.0
LEVELS = (TRAFFIC[0], 0.9, 1.0, 1.15, TRAFFIC[1])
DRAWS = 20_000 if COMPILED else 3_000
EPISODES = 2_000 if COMPILED else 10  # at once


def steady(*events: Event, seed: int = 1) -> SimulatedWorld:
    """A world in steady state, in which this then happens."""
    world = SimulatedWorld()
    world.restore(streams(seed).world)
    for event in events:
        world.happen(event)
    return world


def windows(world: SimulatedWorld, steps: int, *, ticks: bool = False) -> list[Snapshot]:
    """The snapshots of so many steps. With `ticks`, each is played tick by tick."""
    shown = []
    for _ in range(steps):
        for _ in range(5 if ticks else 1):
            world.advance(0.4 if ticks else STEP_S)
        shown.append(world.observe())
    return shown


def column(shown: list[Snapshot], service: Service, feature: Feature) -> list[float]:
    return [float(each.features[SERVICE_ROW[service], FEATURE_COLUMN[feature]]) for each in shown]


def always(level: float) -> TrafficChanges:
    return TrafficChanges(level, level)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("journey", range(k.JOURNEYS))
def test_users_are_a_poisson_number_at_every_level(level: float, journey: int) -> None:
    p = numbers(rules(default_parameters()))
    usual = default_parameters().journeys_per_s[list(Journey)[journey]] * 0.4
    for draw, mean in ((arrivals_at, usual * level), (arrivals_in_block_at, 5 * usual * level)):
        found = [draw(p, u64(7), float(5 * number), journey, level) for number in range(DRAWS)]
        assert fmean(found) == pytest.approx(mean, abs=5.0 * (mean / DRAWS) ** 0.5)
        assert variance(found) == pytest.approx(mean, rel=6.0 * (2.0 / DRAWS) ** 0.5)


def test_no_two_draws_of_users_share_their_bits() -> None:
    p = numbers(rules(default_parameters()))
    found = np.array(
        [
            [arrivals_in_block_at(p, u64(3), float(5 * number), journey, 0.75) for journey in range(k.JOURNEYS)]
            for number in range(4_000)
        ]
    )
    together = np.corrcoef(np.concatenate([found[:-1], found[1:]], axis=1).T)
    assert np.abs(together - np.eye(2 * k.JOURNEYS)).max() < 0.08


def test_level_1_changes_nothing() -> None:
    for plain, same in zip(windows(steady(), 5), windows(steady(always(1.0)), 5), strict=True):
        assert plain.features.tobytes() == same.features.tobytes()


def test_the_level_goes_evenly_from_the_first_to_the_last_and_stays() -> None:
    world = steady(TrafficChanges(0.8, 1.2, over_s=4.0))
    assert [round(level_at(world._s, tick), 6) for tick in (0.0, 2.5, 5.0, 10.0, 99.0)] == [0.8, 0.9, 1.0, 1.2, 1.2]
    world.advance(STEP_S)
    world.happen(always(0.9))
    assert level_at(world._s, world._s[k.NOW]) == 0.9
    world.restore(1)
    assert level_at(world._s, 0.0) == 1.0


@pytest.mark.parametrize("ticks", [False, True])
@pytest.mark.parametrize("level", [0.75, 1.3])
def test_users_come_as_often_as_the_level_says_at_both_paces(level: float, ticks: bool) -> None:
    requests = [each.requests for each in windows(steady(always(level)), 300, ticks=ticks)]
    assert fmean(requests) == pytest.approx(76 * level, rel=0.02)
    drifting = windows(steady(TrafficChanges(level, 1.0, over_s=600.0)), 300, ticks=ticks)
    assert fmean([each.requests for each in drifting]) == pytest.approx(76 * (level + 1.0) / 2.0, rel=0.02)


def played(*events: tuple[int, Event], size: int = EPISODES, fix: int | None = None) -> BatchedSimulator:
    """Many episodes of one timeline. Nobody does anything but a fix in the first step, if one is named."""
    config = EpisodeConfig(none_diagnosis=True)
    batch = BatchedSimulator(size, config=config, autoreset=Autoreset.DISABLED)
    scenario = Scenario(seed=0, timeline=tuple(Scheduled(step, event) for step, event in events))
    batch.reset(range(size), scenarios=scenario)
    for step in range(config.max_steps):
        batch.step(np.full(size, fix if fix is not None and step == 0 else 0))
    return batch


@pytest.mark.parametrize("level", LEVELS)
def test_traffic_at_any_level_meets_every_objective(level: float) -> None:
    lost_s = played((0, always(level))).column(k.LOST_S, ended=True)
    assert lost_s.max() == 0.0


@pytest.mark.thorough
@pytest.mark.parametrize("level", [TRAFFIC[0], 1.0, TRAFFIC[1]])
@pytest.mark.parametrize("service", Service)
def test_a_burst_on_a_service_meets_every_objective(level: float, service: Service) -> None:
    batch = played((0, always(level)), (3, Bursts(service, MOST_BURST_LOAD, 20.0)))
    assert batch.column(k.LOST_S, ended=True).mean() <= 0.01 * 2.0 * 10  # in one step of a hundred, while it lasts


@pytest.mark.parametrize("service", Service)
def test_a_burst_asks_for_its_load_as_long_as_it_lasts(service: Service) -> None:
    shares = np.zeros(8)
    for seed in range(100):
        world = steady(seed=seed)
        before = windows(world, 2)
        world.happen(Bursts(service, 0.3, 6.0))
        shares += column([*before, *windows(world, 6)], service, Feature.CPU_SHARE)
    shares /= 100
    assert shares[2:5] - shares[0] == pytest.approx(0.3, abs=0.03)
    assert shares[[1, 5, 6, 7]] == pytest.approx(shares[0], abs=0.02)


def test_a_burst_that_ends_within_a_step_lasts_as_long_as_it_says() -> None:
    rates = np.array(
        [
            column(
                windows(steady(Bursts(Service.ORDERS, 0.3, 3.2), seed=seed), 3), Service.ORDERS, Feature.REQUEST_RATE
            )
            for seed in range(200)
        ]
    ).mean(axis=0)
    burst_rate = 0.3 * 0.3 / default_parameters().services[Service.ORDERS].surge_request_cpu_s
    assert rates - 11.4 == pytest.approx([burst_rate, 0.6 * burst_rate, 0.0], abs=0.6)


def test_a_burst_is_gone_after_restore() -> None:
    world = steady(Bursts(Service.AUTH, 0.3, 60.0))
    windows(world, 1)
    world.restore(streams(1).world)
    plain = windows(steady(), 3)
    assert [each.features.tobytes() for each in windows(world, 3)] == [each.features.tobytes() for each in plain]


def offered_load(world: SimulatedWorld, service: Service, level: float) -> float:
    """What users and the campaign ask for, as a share of the CPU quota."""
    s, q, i = world._s, world.parameters, SERVICE_ROW[service]
    of_users = level * q.request_rate(service) * q.services[service].request_cpu_s
    return float(of_users + s[k.CAMPAIGN + i] * s[k.CAMPAIGN_CPU + i]) / q.cpu_quota_cores


@pytest.mark.parametrize("form", ["crowd", "costly"])
@pytest.mark.parametrize("service", Service)
def test_an_overload_is_as_large_as_it_says_at_the_level_of_its_onset(form: str, service: Service) -> None:
    for level in (0.75, 1.0, 1.2):
        world = steady(TrafficChanges(0.5 * (level + 0.75), level, over_s=4.0))
        windows(world, 2)
        world.happen(Breaks(Fault(FaultMode.OVERLOADED, service, form, 1.4)))
        assert offered_load(world, service, level) == pytest.approx(1.4)


def test_two_campaigns_at_once_are_both_served_and_both_leave_memory_behind() -> None:
    leak, crowd = Fault(FaultMode.MEMORY_LEAK, Service.AUTH), Bursts(Service.PAYMENTS, 0.3, 60.0)
    rates, alone, memory = [], [], []
    for seed in range(60):
        both = windows(steady(Breaks(leak), crowd, seed=seed), 3)
        one = windows(steady(Breaks(leak), seed=seed), 3)
        rates.append(column(both, Service.AUTH, Feature.REQUEST_RATE)[1])
        alone.append(column(one, Service.AUTH, Feature.REQUEST_RATE)[1])
        memory.append(column(both, Service.AUTH, Feature.MEMORY_SHARE)[2])
    assert fmean(rates) == pytest.approx(fmean(alone), rel=0.06)
    assert fmean(memory) == pytest.approx(0.25 + 6 * 0.04, abs=0.05)
    down = column(windows(steady(Breaks(leak), crowd), 12), Service.AUTH, Feature.UP)
    assert down[-1] == 0.0  # the OOM killer has come


def releases(world: SimulatedWorld, service: Service) -> list[str]:
    logs = world.apply(CheckLogs(service)).logs
    return [line.text.split("release=")[1] for line in logs if line.event == "started"]


def reason(world: SimulatedWorld, action: Action) -> Reason:
    return world.apply(action).reason


@pytest.mark.parametrize("form", ["errors", "slow", "leaky", "crashing"])
def test_a_rollback_goes_back_to_the_sound_release_that_ran_before(form: str) -> None:
    world = steady(Deploys(Service.ORDERS))
    windows(world, 3)
    world.inject(Fault(FaultMode.BAD_DEPLOY, Service.ORDERS, form))
    assert any(breaches(each) for each in windows(world, 2))
    assert reason(world, Rollback(Service.ORDERS)) is Reason.DONE
    shown = windows(world, 4)
    assert [breaches(each) for each in shown[2:]] == [[], []]
    assert releases(world, Service.ORDERS) == [NEXT_RELEASE]
    assert reason(world, Rollback(Service.ORDERS)) is Reason.NO_EARLIER_RELEASE


def test_a_sound_release_alone_is_rolled_back_to_the_steady_one_and_no_further() -> None:
    world = steady(Deploys(Service.AUTH))
    windows(world, 2)
    assert reason(world, Rollback(Service.AUTH)) is Reason.DONE
    windows(world, 2)
    assert releases(world, Service.AUTH) == [STEADY_RELEASE]
    assert reason(world, Rollback(Service.AUTH)) is Reason.NO_EARLIER_RELEASE


def test_a_team_withdraws_its_faulty_release_to_the_sound_one_unless_somebody_did() -> None:
    fault = Fault(FaultMode.BAD_DEPLOY, Service.PAYMENTS)
    for rolled_back in (False, True):
        world = steady(Deploys(Service.PAYMENTS))
        windows(world, 3)
        world.inject(fault)
        if rolled_back:
            world.apply(Rollback(Service.PAYMENTS))
            windows(world, 2)
        booted_at = world._s[k.READY_TICK + k.PAYMENTS]
        world.happen(Ends(fault))
        shown: NDArray[np.float64] = windows(world, 3)[-1].features
        assert shown[SERVICE_ROW[Service.PAYMENTS], FEATURE_COLUMN[Feature.ERROR_RATIO]] == 0.0
        assert releases(world, Service.PAYMENTS) == [NEXT_RELEASE]
        assert (world._s[k.READY_TICK + k.PAYMENTS] == booted_at) == rolled_back
