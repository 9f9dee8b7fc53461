"""What each form of a fault does in the simulator, which fix ends it, and what the other fixes do."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from mirr.env.forms import all_forms
from mirr.env.objectives import FEATURE_COLUMN, OBJECTIVES, SERVICE_ROW, breaches
from mirr.env.scenario import streams
from mirr.env.simulator.batch import BatchedSimulator
from mirr.env.simulator.fast.compiled import COMPILED
from mirr.env.simulator.parameters import load_parameters
from mirr.env.simulator.randomisation import Randomisation
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import (
    ACTIONS,
    REMEDY,
    Breaks,
    CheckLogs,
    Ends,
    Fault,
    FaultMode,
    Feature,
    Reason,
    Restart,
    Rollback,
    ScaleUp,
    Service,
)
from mirr.env.world import LogLine, Snapshot
from tests.env.every_form import every_fault

STEP_S = 2.0
FAULTS = every_fault()
NEW_FORMS = ("crashed/hung", "overloaded/costly", "bad_deploy/slow", "bad_deploy/leaky", "bad_deploy/crashing")
every_service = pytest.mark.parametrize("service", list(Service))


def broken(fault: Fault | str) -> SimulatedWorld:
    """A world in which that fault has landed."""
    world = SimulatedWorld()
    world.restore(streams(1).world)
    world.inject(Fault.parse(fault) if isinstance(fault, str) else fault)
    return world


def windows(world: SimulatedWorld, number: int, each_s: float = STEP_S) -> list[Snapshot]:
    """The next windows, a step each if nothing else is said."""
    found = []
    for _ in range(number):
        world.advance(each_s)
        found.append(world.observe())
    return found


def moments(world: SimulatedWorld, number: int) -> list[Snapshot]:
    """The next windows, a tick each."""
    return windows(world, number, world.parameters.tick_s)


def feature(shown: Snapshot, service: Service, one: Feature) -> float:
    """One number of a snapshot."""
    return float(shown.features[SERVICE_ROW[service], FEATURE_COLUMN[one]])


def shows(shown: Snapshot) -> bool:
    """Whether something is wrong that users or telemetry show. What only the judge knows does not count."""
    return bool([why for why in breaches(shown) if "steady is" not in why])


def log_of(world: SimulatedWorld, service: Service) -> tuple[LogLine, ...]:
    """What the service has logged."""
    return world.apply(CheckLogs(service)).logs


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_the_right_fix_restores_the_service(fault: Fault) -> None:
    world = broken(fault)
    assert world.apply(REMEDY[fault.mode](fault.service)).accepted
    shown = windows(world, 5)
    assert not any(breaches(each) for each in shown[1:3]), "not healthy for two steps"
    if fault.mode is not FaultMode.MEMORY_LEAK:  # there, the client stays and fills the memory again
        assert not any(breaches(each) for each in shown[1:])


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_wrong_fix_never_makes_two_healthy_steps_in_a_row(fault: Fault) -> None:
    for kind in (Restart, Rollback, ScaleUp):
        if kind is REMEDY[fault.mode]:
            continue
        world = broken(fault)
        world.apply(kind(fault.service))
        wrong = [bool(breaches(each)) for each in windows(world, 12)]
        # A leak that is small when it begins has still to climb to the objective; more CPU or a rollback does not stop
        # it.
        climbing = fault.mode is FaultMode.MEMORY_LEAK
        assert all(wrong[10:]) if climbing else all(wrong), kind


@pytest.mark.parametrize("name", NEW_FORMS)
@every_service
def test_a_new_form_shows_in_less_than_the_patience_of_an_injection_and_ends_by_itself(
    name: str, service: Service
) -> None:
    fault = Fault.parse(f"{name}:{service}")
    world = broken(fault)
    world.happen(Ends(fault))
    assert not any(breaches(each) for each in windows(world, 6)[2:])


def test_a_hung_process_makes_its_callers_wait_for_their_timeouts() -> None:
    hung, killed = broken("crashed/hung:payments"), broken("crashed:payments")
    slow, fast = windows(hung, 2)[-1], windows(killed, 2)[-1]
    assert feature(slow, Service.PAYMENTS, Feature.UP) == 0.0
    assert np.isnan(slow.features[SERVICE_ROW[Service.PAYMENTS], 1:]).all()
    orders_s = load_parameters().orders_timeout_s
    assert feature(slow, Service.ORDERS, Feature.LATENCY_P95_S) > orders_s > 0.2
    assert feature(fast, Service.ORDERS, Feature.LATENCY_P95_S) < 0.2
    assert feature(slow, Service.ORDERS, Feature.IN_FLIGHT) > feature(fast, Service.ORDERS, Feature.IN_FLIGHT)
    assert feature(slow, Service.ORDERS, Feature.ERROR_RATIO) == 1.0


@every_service
def test_nothing_behind_a_hung_service_gets_the_requests_that_it_does_not_pass_on(service: Service) -> None:
    hung, killed = windows(broken(f"crashed/hung:{service}"), 1)[0], windows(broken(f"crashed:{service}"), 1)[0]
    rates = [
        [feature(each, one, Feature.REQUEST_RATE) for one in Service if one is not service] for each in (hung, killed)
    ]
    assert rates[0] == rates[1]


def test_a_hung_process_can_be_scaled_without_effect_and_logs_nothing_new() -> None:
    world = broken("crashed/hung:auth")
    before = [line.text for line in log_of(world, Service.AUTH)]
    assert world.apply(ScaleUp(Service.AUTH)).accepted
    assert world.apply(Rollback(Service.AUTH)).reason is Reason.NO_EARLIER_RELEASE
    windows(world, 3)
    after = log_of(world, Service.AUTH)
    assert [line.text for line in after] == before
    assert min(line.age_s for line in after) > 6.0


def test_a_hung_process_that_was_restarted_is_not_started_again_when_the_fault_ends() -> None:
    fault = Fault.parse("crashed/hung:auth")
    world = broken(fault)
    world.apply(Restart(Service.AUTH))
    windows(world, 2)
    world.happen(Ends(fault))
    assert [line.event for line in log_of(world, Service.AUTH)].count("started") == 1
    assert not any(breaches(each) for each in windows(world, 2))


def test_a_process_that_hangs_while_it_is_stopped_for_good_stays_down() -> None:
    world = broken("crashed:auth")
    world.happen(Breaks(Fault.parse("crashed/hung:auth")))
    assert world.apply(ScaleUp(Service.AUTH)).reason is Reason.NOT_RUNNING


@every_service
def test_costly_requests_overload_a_service_at_a_request_rate_that_hardly_rises(service: Service) -> None:
    def rate(fault: str) -> float:
        shown = windows(broken(f"{fault}:{service}"), 5)
        assert all(feature(each, service, Feature.CPU_SHARE) > 0.95 for each in shown[1:]), fault
        return float(np.mean([feature(each, service, Feature.REQUEST_RATE) for each in shown]))

    usual = load_parameters().request_rate(service)
    assert rate("overloaded/costly") < usual + 12.0 < rate("overloaded") - 12.0


@every_service
def test_no_mild_slow_release_is_fast_enough_with_twice_the_quota_and_less_traffic(service: Service) -> None:
    q = load_parameters()
    severity = all_forms()[FaultMode.BAD_DEPLOY]["slow"].severity
    assert severity is not None
    cores = 0.75 * q.request_rate(service) * q.services[service].request_cpu_s * (1.0 + severity.least)
    assert cores > q.scale_up_factor * q.cpu_quota_cores


@every_service
def test_each_start_of_a_slow_release_makes_its_requests_slower(service: Service) -> None:
    world = broken(f"bad_deploy/slow:{service}")
    rates = []
    for _ in range(3):
        shown = windows(world, 8)
        served = [
            feature(each, service, Feature.REQUEST_RATE) * (1.0 - feature(each, service, Feature.ERROR_RATIO))
            for each in shown[5:]
        ]
        rates.append(float(np.mean(served)))
        world.apply(Restart(service))
    assert rates == sorted(rates, reverse=True)


@every_service
def test_a_restart_of_a_leaky_release_helps_for_about_four_steps_and_each_start_begins_higher(service: Service) -> None:
    world = broken(f"bad_deploy/leaky:{service}")
    begins, lasts = [], []
    for _ in range(3):
        world.apply(Restart(service))
        shares = [feature(each, service, Feature.MEMORY_SHARE) for each in windows(world, 9)]
        begins.append(next(share for share in shares if share > 0.0))  # the first scrape may come a window later
        lasts.append(next(step for step, share in enumerate(shares) if share > OBJECTIVES.memory_share))
    assert begins == sorted(begins)
    assert 3 <= lasts[0] <= 5
    assert lasts == sorted(lasts, reverse=True)


def test_the_oom_killer_ends_a_leaky_release_and_a_rollback_works_while_it_is_down() -> None:
    world = broken("bad_deploy/leaky:payments")
    assert feature(windows(world, 12)[-1], Service.PAYMENTS, Feature.UP) == 0.0
    assert "exiting" not in [line.event for line in log_of(world, Service.PAYMENTS)]
    assert world.apply(Rollback(Service.PAYMENTS)).accepted
    assert not breaches(windows(world, 3)[-1])


@every_service
def test_each_process_of_a_crashing_release_dies_sooner(service: Service) -> None:
    world = broken(f"bad_deploy/crashing@4:{service}")
    assert world.apply(ScaleUp(service)).reason is Reason.NOT_RUNNING
    alive = []
    for _ in range(3):
        world.apply(Restart(service))
        up = [feature(each, service, Feature.UP) for each in moments(world, 40)]
        assert up[-1] == 0.0
        alive.append(sum(up))
    # How long a process listens until the first scrape is chance: a moment or two.
    assert alive[0] >= alive[1] >= alive[2] - 1
    assert alive[0] > alive[2]


def test_the_log_of_a_crashing_release_says_why_it_died_until_a_rollback_empties_it() -> None:
    world = broken("bad_deploy/crashing:orders")
    windows(world, 1)
    for _ in range(2):
        lines = log_of(world, Service.ORDERS)
        assert [(line.event, line.text) for line in lines if line.event in ("started", "exiting")] == [
            ("started", "release=1.5.0"),
            ("exiting", "error=NumbersUsedUp: no number is left for another request"),
        ]
        world.apply(Restart(Service.ORDERS))
        windows(world, 8)
    world.apply(Rollback(Service.ORDERS))
    windows(world, 2)
    assert "exiting" not in [line.event for line in log_of(world, Service.ORDERS)]


@pytest.mark.parametrize("name", ["slow", "leaky", "crashing"])
def test_a_faulty_release_logs_its_number_at_each_start_as_the_harmless_one_does(name: str) -> None:
    world = broken(f"bad_deploy/{name}:inventory")
    started = [line.text for line in log_of(world, Service.INVENTORY) if line.event == "started"]
    assert started == ["release=1.5.0"]


@pytest.mark.parametrize(
    ("mild", "strong", "one", "count"),
    [
        ("overloaded/costly@1.2", "overloaded/costly@1.45", Feature.ERROR_RATIO, 12),
        ("bad_deploy@0.25", "bad_deploy@0.75", Feature.ERROR_RATIO, 3),
        ("bad_deploy/slow@12", "bad_deploy/slow@18", Feature.ERROR_RATIO, 12),
        ("memory_leak@0.015", "memory_leak@0.05", Feature.MEMORY_SHARE, 3),
        ("bad_deploy/leaky@0.015", "bad_deploy/leaky@0.05", Feature.MEMORY_SHARE, 3),
    ],
)
@every_service
def test_a_more_severe_fault_shows_more(mild: str, strong: str, one: Feature, count: int, service: Service) -> None:
    def mean(fault: str) -> float:
        return float(np.mean([feature(each, service, one) for each in windows(broken(f"{fault}:{service}"), count)]))

    assert mean(mild) < mean(strong)


def test_a_more_severe_crashing_release_dies_sooner() -> None:
    def ups(fault: str) -> float:
        world = broken(fault)
        world.apply(Restart(Service.AUTH))
        return sum(feature(each, Service.AUTH, Feature.UP) for each in moments(world, 40))

    assert ups("bad_deploy/crashing@2:auth") < ups("bad_deploy/crashing@4:auth")


@pytest.mark.parametrize("name", ["slow", "leaky", "crashing"])
def test_a_rollback_leaves_nothing_of_a_faulty_release_for_the_next_one(name: str) -> None:
    world = broken(f"bad_deploy/{name}:auth")
    world.apply(Rollback(Service.AUTH))
    windows(world, 2)
    world.happen(Breaks(Fault.parse("bad_deploy:auth")))
    *many, shown = windows(world, 60)
    assert feature(shown, Service.AUTH, Feature.UP) == 1.0
    error_ratio = np.mean([feature(each, Service.AUTH, Feature.ERROR_RATIO) for each in many[10:]])
    assert error_ratio == pytest.approx(0.5, abs=0.04)
    assert feature(shown, Service.AUTH, Feature.CPU_SHARE) < 0.6
    assert feature(shown, Service.AUTH, Feature.MEMORY_SHARE) < 0.3


def test_every_form_of_every_severity_lands_with_random_parameters() -> None:
    for parameters in Randomisation.everything(0.1, sets=3).draw().sets:
        world = SimulatedWorld(parameters)
        for fault in FAULTS:
            world.restore(streams(1).world)
            world.inject(fault)


def digest() -> str:
    """All that is seen in an episode of every form, under random actions."""
    batch = BatchedSimulator(len(FAULTS))
    seen = [batch.reset(range(len(FAULTS)), faults=FAULTS).tobytes()]
    rng = np.random.default_rng(5)
    for _ in range(12):
        shown, rewards, _, _ = batch.step(rng.integers(len(ACTIONS), size=len(FAULTS)))
        seen += [shown.tobytes(), rewards.tobytes()]
    return hashlib.sha256(b"".join(seen)).hexdigest()


@pytest.mark.thorough
def test_every_form_plays_the_same_compiled_or_not() -> None:
    of_the_other = subprocess.run(
        [sys.executable, "-c", "from tests.env.test_forms_physics import digest; print(digest())"],
        env=os.environ | {"MIRR_COMPILED": "0" if COMPILED else "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    ).stdout
    assert of_the_other == f"{digest()}\n"
