"""The physics of the simulated lab: faults, fixes, and the metrics that Prometheus would show."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mirr.agents.registry import PolicyName, make_policy
from mirr.env.environment import Environment
from mirr.env.objectives import FEATURE_COLUMN, SERVICE_ROW, breaches
from mirr.env.rollout import play
from mirr.env.scenario import draw, streams
from mirr.env.simulator.bench import single_steps_per_s
from mirr.env.simulator.parameters import PARAMETERS_FILE, ParameterError, Parameters, load_parameters, parse_parameters
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import (
    ALL_FAULTS,
    REMEDY,
    CheckLogs,
    Fault,
    FaultMode,
    Feature,
    Fix,
    Reason,
    Restart,
    Rollback,
    ScaleUp,
    Service,
)
from mirr.env.world import FEATURES_SHAPE, ActionResult, Snapshot

STEP_S = 2.0
FIXES: list[Fix] = [kind(service) for service in Service for kind in (Restart, Rollback, ScaleUp)]


def broken(fault: Fault | None, seed: int = 1) -> SimulatedWorld:
    """A simulated world with `fault` injected."""
    world = SimulatedWorld()
    world.restore(streams(seed).world)
    if fault is not None:
        world.inject(fault)
    return world


def after(world: SimulatedWorld, steps: int) -> Snapshot:
    """Plays `steps` windows. Returns the last snapshot."""
    for _ in range(steps):
        world.advance(STEP_S)
        shown = world.observe()
    return shown


def feature(shown: Snapshot, service: Service, column: Feature) -> float:
    return float(shown.features[SERVICE_ROW[service], FEATURE_COLUMN[column]])


def recovers(world: SimulatedWorld, steps: int = 5) -> bool:
    """Whether two consecutive windows of the next ones meet every objective."""
    running = 0
    for _ in range(steps):
        running = running + 1 if not breaches(after(world, 1)) else 0
        if running == 2:
            return True
    return False


def test_steady_state_meets_every_objective_and_uses_about_a_third_of_each_quota() -> None:
    world = broken(None)
    shares = []
    for _ in range(30):
        shown = after(world, 1)
        assert breaches(shown) == []
        shares.append(shown.features[:, FEATURE_COLUMN[Feature.CPU_SHARE]])
    assert np.mean(shares, axis=0) == pytest.approx(np.full(5, 0.3), abs=0.07)


@pytest.mark.parametrize("fault", ALL_FAULTS, ids=str)
def test_every_fault_is_visible_and_does_not_end_by_itself(fault: Fault) -> None:
    world = broken(fault)
    assert not recovers(world, steps=12) or fault.mode is FaultMode.MEMORY_LEAK
    assert breaches(after(world, 1)) != []


@pytest.mark.parametrize("fault", ALL_FAULTS, ids=str)
def test_the_right_fix_works(fault: Fault) -> None:
    world = broken(fault)
    assert world.apply(REMEDY[fault.mode](fault.service)).accepted
    assert recovers(world)


@pytest.mark.parametrize("fault", ALL_FAULTS, ids=str)
def test_no_other_fix_works(fault: Fault) -> None:
    for fix in FIXES:
        if fix == REMEDY[fault.mode](fault.service):
            continue
        world = broken(fault)
        after(world, 4)  # after four windows a memory leak misses its objective too
        world.apply(fix)
        assert not recovers(world), fix


def test_a_restart_frees_leaked_memory_and_the_leak_fills_it_within_six_steps() -> None:
    world = broken(Fault(FaultMode.MEMORY_LEAK, Service.AUTH))
    world.apply(Restart(Service.AUTH))
    shares = [feature(after(world, 1), Service.AUTH, Feature.MEMORY_SHARE) for _ in range(7)]
    assert shares[0] < 0.4
    assert shares[2] < 0.6
    assert shares[6] > 0.6


def test_the_oom_killer_ends_a_leaking_process_and_it_stays_down() -> None:
    world = broken(Fault(FaultMode.MEMORY_LEAK, Service.ORDERS))
    assert feature(after(world, 4), Service.ORDERS, Feature.UP) == 1.0
    assert feature(after(world, 4), Service.ORDERS, Feature.UP) == 0.0
    assert feature(after(world, 5), Service.ORDERS, Feature.UP) == 0.0


def mean_error_ratio(world: SimulatedWorld, service: Service) -> float:
    """How many errors there are in a window is chance, so this is the mean of many."""
    return float(np.mean([feature(after(world, 1), service, Feature.ERROR_RATIO) for _ in range(50)]))


def test_a_restart_does_not_end_a_flash_crowd() -> None:
    world = broken(Fault(FaultMode.OVERLOADED, Service.INVENTORY))
    world.apply(Restart(Service.INVENTORY))
    assert feature(after(world, 4), Service.INVENTORY, Feature.ERROR_RATIO) > 0.2


def test_a_restart_makes_a_bad_deploy_worse_and_a_rollback_fixes_it() -> None:
    fault = Fault(FaultMode.BAD_DEPLOY, Service.PAYMENTS)
    world = broken(fault)
    assert mean_error_ratio(world, Service.PAYMENTS) == pytest.approx(0.5, abs=0.04)
    world.apply(Restart(fault.service))
    after(world, 3)
    assert mean_error_ratio(world, Service.PAYMENTS) == pytest.approx(0.75, abs=0.04)
    world.apply(Rollback(fault.service))
    assert feature(after(world, 3), Service.PAYMENTS, Feature.ERROR_RATIO) == 0.0


def test_an_impossible_action_is_refused_with_a_text() -> None:
    world = broken(Fault(FaultMode.CRASHED, Service.AUTH))
    refused = [
        world.apply(ScaleUp(Service.AUTH)),
        world.apply(Rollback(Service.AUTH)),
        (world.apply(ScaleUp(Service.ORDERS)), world.apply(ScaleUp(Service.ORDERS)))[1],
    ]
    assert refused == [
        ActionResult(reason=Reason.NOT_RUNNING, text="auth is not running, nothing to scale"),
        ActionResult(reason=Reason.NO_EARLIER_RELEASE, text="auth has no earlier release"),
        ActionResult(reason=Reason.LARGEST_SIZE, text="orders is already at its largest size"),
    ]


def test_the_features_of_a_service_that_is_down_are_missing_and_not_zero() -> None:
    row = after(broken(Fault(FaultMode.CRASHED, Service.AUTH)), 1).features[SERVICE_ROW[Service.AUTH]]
    assert row[0] == 0.0
    assert np.isnan(row[1:]).all()


def test_a_service_without_requests_has_no_errors_and_no_latency() -> None:
    shown = after(broken(Fault(FaultMode.CRASHED, Service.ORDERS)), 2)
    assert feature(shown, Service.PAYMENTS, Feature.REQUEST_RATE) == 0.0
    assert feature(shown, Service.PAYMENTS, Feature.ERROR_RATIO) == 0.0
    assert feature(shown, Service.PAYMENTS, Feature.LATENCY_P95_S) == 0.0


def test_the_errors_of_a_caller_come_from_its_upstream() -> None:
    shown = after(broken(Fault(FaultMode.CRASHED, Service.PAYMENTS)), 2)
    assert feature(shown, Service.ORDERS, Feature.ERROR_RATIO) == pytest.approx(1.0)
    assert 0.1 < feature(shown, Service.GATEWAY, Feature.ERROR_RATIO) < 0.6
    assert feature(shown, Service.AUTH, Feature.ERROR_RATIO) == 0.0


def test_only_a_process_started_in_this_episode_logs_its_release() -> None:
    world = broken(Fault(FaultMode.BAD_DEPLOY, Service.AUTH))
    after(world, 2)
    lines = {service: world.apply(CheckLogs(service)).logs for service in Service}
    started = {service: [line.text for line in lines[service] if line.event == "started"] for service in Service}
    assert started == {service: ["release=1.5.0"] if service is Service.AUTH else [] for service in Service}
    assert any(line.event == "request_failed" for line in lines[Service.AUTH])
    assert any(line.event == "upstream_failed" for line in lines[Service.GATEWAY])
    assert all(len(found) <= 20 for found in lines.values())


def test_a_crashed_service_keeps_its_last_log_lines() -> None:
    world = broken(Fault(FaultMode.CRASHED, Service.AUTH))
    after(world, 3)
    lines = world.apply(CheckLogs(Service.AUTH)).logs
    assert lines
    assert min(line.age_s for line in lines) >= 6.0
    assert {line.event for line in lines} == {"request"}


@pytest.mark.parametrize("fault", ALL_FAULTS, ids=str)
def test_the_same_seed_gives_the_same_episode_to_the_last_bit(fault: Fault) -> None:
    runs = [
        play(
            Environment(SimulatedWorld()), make_policy(PolicyName.RANDOM, draw(5, fault)), seed=5, fault=fault
        ).to_json()
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    shown = [after(broken(fault, seed=8), 6).features for _ in range(2)]
    assert np.array_equal(shown[0], shown[1], equal_nan=True)


def test_an_episode_leaves_no_traces_in_the_world() -> None:
    world = SimulatedWorld()
    fault = Fault(FaultMode.OVERLOADED, Service.GATEWAY)
    fresh = play(Environment(SimulatedWorld()), make_policy(PolicyName.WAIT, draw(0, fault)), seed=5, fault=fault)
    for other in ALL_FAULTS[::4]:
        play(Environment(world), make_policy(PolicyName.RANDOM, draw(0, other)), seed=6, fault=other)
    again = play(Environment(world), make_policy(PolicyName.WAIT, draw(0, fault)), seed=5, fault=fault)
    assert again == fresh


SEEDS = 60
ALLOWED = {  # the allowed difference of the means, in addition to chance; the comments give the range of the values
    Feature.UP: 0.0,
    Feature.REQUEST_RATE: 0.4,  # range: 160 per second
    Feature.ERROR_RATIO: 0.03,  # range: 1
    Feature.LATENCY_P95_S: 0.09,  # range: 1.6 s
    Feature.CPU_SHARE: 0.01,  # range: 1
    Feature.MEMORY_SHARE: 0.005,  # range: 1
    Feature.IN_FLIGHT: 0.6,  # range: 49
}


def windows_of(fault: Fault, advances: list[float]) -> np.ndarray:  # (seeds, windows, services, features)
    """Three windows after a fault. Each window is played with the given advances, in seconds."""
    found = np.empty((SEEDS, 3, *FEATURES_SHAPE))
    for seed in range(SEEDS):
        world = broken(fault, seed)
        for window in range(3):
            for seconds in advances:
                world.advance(seconds)
            found[seed, window] = world.observe().features
    return found


@pytest.mark.parametrize("fault", ALL_FAULTS, ids=str)
def test_a_step_in_one_go_has_the_same_means_as_a_step_tick_by_tick(fault: Fault) -> None:
    at_once, tick_by_tick = windows_of(fault, [STEP_S]), windows_of(fault, [0.4] * 5)
    assert np.array_equal(np.isnan(at_once), np.isnan(tick_by_tick))
    error = np.sqrt((at_once.var(axis=0) + tick_by_tick.var(axis=0)) / SEEDS)
    apart = np.abs(at_once.mean(axis=0) - tick_by_tick.mean(axis=0)) - 5.0 * error
    for feature_, allowed in ALLOWED.items():
        column = apart[:, :, FEATURE_COLUMN[feature_]]
        assert np.all(np.isnan(column) | (column <= allowed)), feature_


def test_two_steps_observed_together_count_as_two() -> None:
    # A double step is played tick by tick, with other random numbers than a single step. So the test compares means.
    fault = Fault(FaultMode.MEMORY_LEAK, Service.AUTH)
    requests, memory = np.empty((SEEDS, 3)), np.empty((SEEDS, 3))  # columns: first step, second step, both together
    for seed in range(SEEDS):
        observed, unobserved = broken(fault, seed), broken(fault, seed)
        shown = [after(observed, 1) for _ in range(2)]
        unobserved.advance(STEP_S)
        unobserved.advance(STEP_S)
        shown.append(unobserved.observe())
        requests[seed] = [each.requests for each in shown]
        memory[seed] = [feature(each, Service.AUTH, Feature.MEMORY_SHARE) for each in shown]
    first, second, together = requests.mean(axis=0)
    assert together == pytest.approx(first + second, rel=0.05)
    before, after_both, of_both = memory.mean(axis=0)
    assert before < after_both - 0.05
    assert of_both == pytest.approx(after_both, abs=0.02)


def test_an_action_before_the_observation_of_a_step_happens_after_that_step() -> None:
    world = broken(None)
    world.advance(STEP_S)
    assert world.apply(Restart(Service.ORDERS)).accepted
    world.advance(STEP_S)
    shown = world.observe()
    assert shown.requests == pytest.approx(2 * 76, rel=0.3)
    assert 0.5 < shown.user_sli < 0.99  # some users fail in the second step, while orders boots
    assert feature(shown, Service.ORDERS, Feature.UP) == 1.0


def test_time_passes_in_whole_ticks_only() -> None:
    with pytest.raises(ValueError, match=r"^the simulator advances in whole ticks of 0\.4 s; got 0\.3$"):
        broken(None).advance(0.3)


def raw_parameters() -> dict[str, object]:
    raw = json.loads(PARAMETERS_FILE.read_text(encoding="utf-8"))
    assert isinstance(raw, dict)
    return raw


def test_the_error_for_a_wrong_parameter_names_it() -> None:
    for change, message in (
        ({"tick_s": 0}, "tick_s must be a positive number; got 0"),
        ({"boot_cpu_s": "long"}, "boot_cpu_s must be a positive number; got 'long'"),
        ({"gravity": 9.81}, "parameters: unknown gravity"),
        ({"journeys_per_s": {"browse": 1.0}}, "journeys_per_s: missing check_out, sign_in"),
        ({"overload_factor": 0.1}, "services.gateway: ordinary traffic alone is beyond overload_factor"),
    ):
        with pytest.raises(ParameterError) as caught:
            parse_parameters({**raw_parameters(), **change})
        assert str(caught.value) == message
    assert isinstance(load_parameters(), Parameters)


def test_one_environment_is_fast_enough_for_training() -> None:
    # `mirr bench` measures the speed. This test fails only if the speed drops about tenfold.
    assert single_steps_per_s(0.3) > 2_000
