"""DockerWorld on a fake lab: what it waits for, what it reports and when it gives up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mirr.bridge.docker_world import DockerWorld
from mirr.chaos.faults import faults
from mirr.chaos.journal import Journal
from mirr.env.environment import Environment
from mirr.env.objectives import breaches
from mirr.env.vocabulary import (
    Breaks,
    Bursts,
    CheckLogs,
    Deploys,
    Diagnose,
    Ends,
    Event,
    Fault,
    FaultMode,
    Restart,
    Service,
    TrafficChanges,
    Wait,
)
from mirr.env.world import Snapshot, WorldError
from tests.fakes.assembly import fake_chaos, fake_docker_world
from tests.fakes.clock import FakeClock
from tests.fakes.lab import FakeLab

KEY = 0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def lab(clock: FakeClock) -> FakeLab:
    return FakeLab(clock)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


@pytest.fixture
def world(lab: FakeLab, journal: Journal) -> DockerWorld:
    world = fake_docker_world(lab, journal)
    world.restore(KEY)
    return world


@pytest.mark.parametrize("set_by_s", [-86_400.0, -60.0, 0.0, 60.0, 86_400.0])
def test_the_log_is_read_from_the_beginning_of_the_episode_if_the_clock_is_set(
    lab: FakeLab, clock: FakeClock, journal: Journal, set_by_s: float
) -> None:
    wall = FakeClock()
    world = DockerWorld(
        fleet=lab,
        chaos=fake_chaos(lab, journal),
        telemetry=lab,
        now=clock.now,
        sleep=clock.sleep,
        wall_clock=wall.now,
    )
    world.restore(KEY)
    wall.sleep(set_by_s)
    for one in (clock, wall):
        one.sleep(20.0)
    lab.services[Service.AUTH].lines = [(wall.now() - ago_s, f"line of {ago_s:g} s ago") for ago_s in (30.0, 21.0, 1.0)]
    shown = world.apply(CheckLogs(Service.AUTH)).logs
    assert [line.text for line in shown] == ["line of 21 s ago", "line of 1 s ago"]  # and 1.5 s before the episode


def test_an_episode_is_void_if_somebody_else_has_reverted_the_lab(
    lab: FakeLab, clock: FakeClock, journal: Journal
) -> None:
    """Somebody with a journal of their own leaves ours as it is, and so it does not tell."""
    heard = ["process 7 of user ann has reverted the lab", None, "process 8 of user ann has reverted the lab"]
    world = DockerWorld(
        fleet=lab,
        chaos=fake_chaos(lab, journal),
        telemetry=lab,
        now=clock.now,
        sleep=clock.sleep,
        reverted=lambda: heard.pop(0),
    )
    world.restore(KEY)  # what somebody reverted before does not matter
    world.advance(2.0)
    world.observe()
    world.advance(2.0)
    with pytest.raises(WorldError) as raised:
        world.observe()
    assert str(raised.value) == "process 8 of user ann has reverted the lab; next: play the episode again"


def test_an_episode_is_void_in_words_if_somebody_stops_every_container_and_the_next_one_begins_as_usual(
    world: DockerWorld, lab: FakeLab
) -> None:
    lab.support = {name: replace(part, running=False) for name, part in lab.support.items()}
    for service in lab.services.values():
        service.running = False
    lab.prometheus_gone = True
    world.apply(Wait())
    world.advance(2.0)
    with pytest.raises(WorldError) as raised:
        world.observe()
    assert str(raised.value) == (
        "what the services of lab mirr need does not run: Prometheus, the load generator, payments's sandbox and 4 "
        "more; so Prometheus at http://fake does not answer: gone; next: mirr up"
    )
    lab.prometheus_gone = False
    world.restore(KEY)  # as `mirr up` does
    assert all(part.running for part in lab.support.values())
    assert all(service.running for service in lab.services.values())


def test_restore_does_not_wait_in_steady_state(lab: FakeLab, clock: FakeClock, journal: Journal) -> None:
    before = clock.now()
    fake_docker_world(lab, journal).restore(KEY)
    assert clock.now() == before


def test_restore_waits_until_the_restarted_service_answers_requests(
    world: DockerWorld, lab: FakeLab, clock: FakeClock
) -> None:
    lab.kill(Service.AUTH)
    before = clock.now()
    world.restore(KEY)
    assert 2.0 <= clock.now() - before < 8.0


def test_restore_restarts_a_service_with_high_memory(world: DockerWorld, lab: FakeLab) -> None:
    lab.services[Service.AUTH].kept_share = 0.5  # from a leak without an entry in the journal
    world.restore(KEY)
    assert lab.services[Service.AUTH].kept_share == 0.0


def test_restore_recreates_a_service_that_fails_for_an_unknown_reason(
    world: DockerWorld, lab: FakeLab, clock: FakeClock
) -> None:
    lab.services[Service.PAYMENTS].full_disk = True
    before = clock.now()
    world.restore(KEY)
    assert not lab.services[Service.PAYMENTS].full_disk
    assert 12.0 < clock.now() - before < 20.0


@pytest.mark.parametrize("fault", [None, *faults(service=Service.ORDERS)], ids=str)
def test_the_time_until_the_first_observation_is_the_same_for_every_fault(
    world: DockerWorld, clock: FakeClock, fault: Fault | None
) -> None:
    world.restore(KEY)
    before = clock.now()
    if fault is not None:
        world.inject(fault)
    world.advance(2.0)
    assert clock.now() - before == pytest.approx(8.0)
    assert world.observe().overrun_s == 0.0


@pytest.mark.parametrize("fault", [None, *faults(service=Service.ORDERS)], ids=str)
@pytest.mark.parametrize("deploys", [1, 5])
def test_the_time_until_the_first_observation_is_the_same_for_every_number_of_deploys_and_every_fault(
    world: DockerWorld, lab: FakeLab, clock: FakeClock, fault: Fault | None, deploys: int
) -> None:
    lab.deploy_s = 0.5
    world.restore(KEY)
    before = clock.now()
    assert open_hard(world, list(Service)[-deploys:], fault) == 0.0
    assert clock.now() - before == pytest.approx(20.0)


def test_deploys_that_take_long_take_it_from_the_time_in_which_they_boot(
    world: DockerWorld, lab: FakeLab, clock: FakeClock
) -> None:
    lab.deploy_s = 1.2
    world.restore(KEY)
    before = clock.now()
    open_hard(world, list(Service), None)
    assert clock.now() - before == pytest.approx(20.0)


def test_an_opening_without_deploys_has_one_part(world: DockerWorld, clock: FakeClock) -> None:
    world.restore(KEY)
    before = clock.now()
    world.happen(TrafficChanges(1.2, 1.2))
    for _ in range(2):
        world.advance(2.0)
    assert clock.now() - before == pytest.approx(10.0)


def open_hard(world: DockerWorld, deploys: list[Service], fault: Fault | None) -> float:
    """What Environment does in a reset with harmless deploys. Returns the overrun of the first window."""
    world.happen(TrafficChanges(0.75, 0.75))
    for service in deploys:
        world.happen(Deploys(service))
    world.advance(6.0)
    world.observe()
    if fault is not None:
        world.inject(fault)
    world.advance(2.0)
    return world.observe().overrun_s


def step(world: DockerWorld, *events: Event) -> Snapshot:
    """One step, as Environment does it: an action, the events of the step, and then time passes."""
    world.apply(Wait())
    for event in events:
        world.happen(event)
    world.advance(2.0)
    return world.observe()


def test_a_flash_crowd_that_begins_during_an_episode_is_sized_while_time_passes(
    world: DockerWorld, lab: FakeLab, clock: FakeClock
) -> None:
    before = clock.now()
    step(world, Breaks(Fault(FaultMode.OVERLOADED, Service.AUTH)))
    assert clock.now() == pytest.approx(before + 2.0)
    rates = [one.rate_per_s for one, _ in lab.running_campaigns.values()]
    step(world)
    assert clock.now() == pytest.approx(before + 4.0)
    assert [one.rate_per_s for one, _ in lab.running_campaigns.values()] > rates


def test_a_flash_crowd_can_end_before_it_is_sized(world: DockerWorld, lab: FakeLab) -> None:
    crowd = Fault(FaultMode.OVERLOADED, Service.AUTH)
    step(world, Breaks(crowd))
    step(world, Ends(crowd))
    step(world)
    assert not lab.running_campaigns


def test_a_harmless_deploy_breaks_no_objective_and_is_reverted_before_the_next_episode(
    world: DockerWorld, lab: FakeLab
) -> None:
    step(world, Deploys(Service.AUTH))
    step(world)
    assert breaches(step(world)) == []
    assert lab.services[Service.AUTH].release == "1.5.0-sound"
    world.restore(KEY)
    assert lab.services[Service.AUTH].release == "1.4.0"


def test_users_come_as_often_as_the_traffic_says_until_the_next_episode(world: DockerWorld, lab: FakeLab) -> None:
    usual = step(world).requests
    step(world, TrafficChanges(0.8, 1.2, 6.0))
    requests = [step(world).requests / usual for _ in range(4)]
    assert requests == pytest.approx([1.07, 1.2, 1.2, 1.2], abs=0.02)
    world.restore(KEY)
    assert lab.level == 1.0


def test_a_burst_breaks_no_objective_and_its_end_makes_no_episode_void(world: DockerWorld, lab: FakeLab) -> None:
    step(world, Deploys(Service.AUTH))
    seen = [breaches(step(world, Bursts(Service.AUTH, 0.3, 6.0)))]
    running = []
    for _ in range(4):
        seen.append(breaches(step(world)))
        running.append(list(lab.running_campaigns))
    assert seen[2:] == [[]] * 3  # the deploy boots at first
    assert running == [["flash-crowd-auth"], [], [], []]
    assert lab.services[Service.AUTH].release == "1.5.0-sound"


def test_a_burst_that_is_not_over_ends_with_its_episode(world: DockerWorld, lab: FakeLab) -> None:
    step(world, Bursts(Service.AUTH, 0.3, 60.0))
    world.restore(KEY)
    for _ in range(3):
        step(world)
    assert lab.running_campaigns == {}


def test_traffic_that_somebody_else_sets_back_makes_the_episode_void(lab: FakeLab, journal: Journal) -> None:
    chaos = fake_chaos(lab, journal)
    world = DockerWorld(fleet=lab, chaos=chaos, telemetry=lab, now=lab.clock.now, sleep=lab.clock.sleep)
    world.restore(KEY)
    step(world, TrafficChanges(1.2, 1.2))
    lab.reset_traffic()
    chaos._heartbeat.beat()
    with pytest.raises(WorldError) as raised:
        step(world)
    assert str(raised.value) == (
        "what was begun did not hold: users come as usual again: the lease ran out or somebody ended it; "
        "next: play the episode again"
    )


def test_close_sets_the_traffic_back(world: DockerWorld, lab: FakeLab) -> None:
    world.happen(TrafficChanges(1.2, 1.2))
    world.close()
    assert lab.level == 1.0


def test_an_event_that_fails_makes_the_episode_void(world: DockerWorld, lab: FakeLab) -> None:
    lab.engine_gone = True
    with pytest.raises(WorldError, match="could not reach the engine: gone; next: mirr doctor"):
        world.happen(Breaks(Fault(FaultMode.CRASHED, Service.AUTH)))


def test_a_lab_that_does_not_reach_steady_state_is_a_world_error(lab: FakeLab, journal: Journal) -> None:
    lab.prometheus_gone = True
    with pytest.raises(WorldError) as caught:
        fake_docker_world(lab, journal).restore(KEY)
    assert str(caught.value) == (
        "the lab is not in steady state after 30 s: Prometheus at http://fake does not answer: gone; "
        "next: mirr up; next: mirr logs SERVICE, or mirr down and mirr up"
    )


def test_an_engine_that_is_gone_makes_the_episode_void(world: DockerWorld, lab: FakeLab) -> None:
    lab.engine_gone = True
    with pytest.raises(WorldError, match="could not reach the engine: gone; next: mirr doctor"):
        world.apply(Restart(Service.AUTH))


def test_a_fault_that_does_not_land_is_a_world_error(world: DockerWorld, lab: FakeLab) -> None:
    lab.resize(Service.AUTH, 30_000)  # the quota is too large for this crowd
    with pytest.raises(WorldError, match="overloaded:auth did not land within 30 s; next: mirr status, mirr doctor"):
        world.inject(Fault(FaultMode.OVERLOADED, Service.AUTH))


def test_every_step_begins_two_seconds_after_the_step_before(world: DockerWorld, clock: FakeClock) -> None:
    began = clock.now()
    for _ in range(5):
        clock.sleep(0.3)  # the policy takes this time to choose an action
        world.apply(Wait())
        world.advance(2.0)
        assert world.observe().overrun_s == 0.0
    assert clock.now() == pytest.approx(began + 10.0)


def test_an_agent_that_thinks_for_90_s_mitigates_after_all_of_them(
    lab: FakeLab, clock: FakeClock, journal: Journal
) -> None:
    environment = Environment(fake_docker_world(lab, journal))
    environment.reset(seed=1, fault=Fault(FaultMode.CRASHED, Service.PAYMENTS))
    clock.sleep(90.0)
    environment.step(Diagnose(Service.PAYMENTS, FaultMode.CRASHED))
    environment.step(Restart(Service.PAYMENTS))
    while environment.report is None:
        environment.step(Wait())
    report = environment.report
    assert report.time_to_diagnose_s == pytest.approx(90.0)
    assert report.time_to_mitigate_s == pytest.approx(report.harm.objective_lost_s)
    assert report.time_to_mitigate_s == pytest.approx(90.0 + 2.0 * (report.steps_to_mitigate or 0))


def test_a_slow_caller_gets_a_full_step_and_the_observation_has_the_overrun(
    world: DockerWorld, clock: FakeClock
) -> None:
    clock.sleep(7.0)
    before = clock.now()
    world.apply(Wait())
    world.advance(2.0)
    assert clock.now() == pytest.approx(before + 2.0)
    assert world.observe().overrun_s == pytest.approx(7.0)


def test_close_reverts_all_faults(world: DockerWorld, lab: FakeLab, journal: Journal) -> None:
    world.inject(Fault(FaultMode.CRASHED, Service.AUTH))
    world.close()
    assert lab.services[Service.AUTH].running
    assert journal.open_faults() == []


def test_close_without_an_engine_keeps_the_faults_in_the_journal(
    world: DockerWorld, lab: FakeLab, journal: Journal
) -> None:
    world.inject(Fault(FaultMode.CRASHED, Service.AUTH))
    lab.engine_gone = True
    world.close()
    assert [str(entry.fault) for entry in journal.open_faults()] == ["crashed:auth"]


def test_a_diagnosis_changes_nothing_on_the_lab(world: DockerWorld) -> None:
    result = world.apply(Diagnose(Service.AUTH, FaultMode.CRASHED))
    assert result.text == "diagnosis noted: crashed on auth"
