"""A fault that begins while another service is broken, or just after an agent's action, never fails by itself."""

from __future__ import annotations

import pytest

from mirr.bridge.docker_world import DockerWorld
from mirr.chaos.errors import NoProcess
from mirr.chaos.faults import costly, crowd, faults
from mirr.chaos.journal import Journal
from mirr.env.vocabulary import (
    Action,
    Breaks,
    Deploys,
    Fault,
    Restart,
    Rollback,
    ScaleUp,
    Service,
    TrafficChanges,
    Wait,
)
from tests.fakes.assembly import fake_chaos, fake_docker_world
from tests.fakes.lab import FakeLab
from tests.fakes.service import QUOTA_US
from tests.trials import first_is_quick

FIRST = tuple(
    map(Fault.parse, ("crashed:gateway", "crashed/hung:orders", "bad_deploy/crashing:gateway", "overloaded:gateway"))
)
SECOND = faults(service=Service.PAYMENTS)
ACTIONS: tuple[Action, ...] = (Wait(), Restart(Service.PAYMENTS), Rollback(Service.PAYMENTS), ScaleUp(Service.PAYMENTS))
QUOTA_CORES = 0.3


@pytest.fixture
def world(lab: FakeLab, journal: Journal) -> DockerWorld:
    world = fake_docker_world(lab, journal)
    world.restore(0)
    world.happen(TrafficChanges(1.2, 1.2))
    world.happen(Deploys(Service.PAYMENTS))
    world.advance(6.0)
    world.observe()
    return world


def play(world: DockerWorld, action: Action, *faults: Fault) -> None:
    world.apply(action)
    for fault in faults:
        world.happen(Breaks(fault))
    world.advance(2.0)
    world.observe()


@pytest.mark.parametrize("first", FIRST, ids=str)
@pytest.mark.parametrize("second", SECOND, ids=str)
@pytest.mark.parametrize("action", first_is_quick(ACTIONS), ids=str)
def test_a_second_fault_begins_whatever_is_broken_and_whatever_an_agent_does(
    world: DockerWorld, lab: FakeLab, first: Fault, second: Fault, action: Action
) -> None:
    world.inject(first)
    world.advance(2.0)
    world.observe()
    play(world, Wait())
    play(world, action, second)
    for _ in range(8):  # as long as a crowd has stages
        play(world, Wait())
    assert second in fake_chaos(lab, Journal(world._chaos._journal.folder)).open_faults()


@pytest.mark.parametrize("action", ACTIONS, ids=str)
@pytest.mark.parametrize("fault", SECOND, ids=str)
def test_a_fault_begins_while_an_agent_acts_on_its_service_in_every_step(
    world: DockerWorld, fault: Fault, action: Action
) -> None:
    world.advance(2.0)
    world.observe()
    play(world, action, fault)
    for _ in range(8):
        play(world, action)


def asked(lab: FakeLab, service: Service) -> float:
    """What a crowd asks for, together with the users that there are if nothing is broken. As a share of the quota."""
    costs = {crowd.SENDS: lab.crowd_request_s, costly.SENDS: lab.costly_request_s}
    work = sum(one.rate_per_s * costs[one.kind] for one, _ in lab.running_campaigns.values() if one.service is service)
    return (lab.level * lab.steady_cpu_cores + work) / QUOTA_CORES


@pytest.mark.parametrize("kind", ["overloaded@1.6", "overloaded/costly@1.4"])
@pytest.mark.parametrize("how", ["crashed", "crashed/hung"])
@pytest.mark.parametrize("times_expected", [0.8, 1.0, 1.3])
def test_a_crowd_that_comes_while_no_user_does_is_as_large_as_it_has_to_be_with_them(
    world: DockerWorld, lab: FakeLab, kind: str, how: str, times_expected: float
) -> None:
    lab.crowd_request_s = times_expected * crowd.times_usual(Service.PAYMENTS) * lab.steady_cpu_cores / lab.steady_rate
    lab.costly_request_s *= times_expected
    world.inject(Fault.parse(f"{how}:gateway"))
    play(world, Wait(), Fault.parse(f"{kind}:payments"))
    for _ in range(8):
        play(world, Wait())
    assert asked(lab, Service.PAYMENTS) == pytest.approx(1.6 if kind == "overloaded@1.6" else 1.4, abs=0.12)


def test_a_crowd_on_a_service_that_was_scaled_up_before_is_sized_by_the_steady_quota(
    world: DockerWorld, lab: FakeLab
) -> None:
    lab.resize(Service.PAYMENTS, 2 * QUOTA_US)
    lab.crowd_request_s = 0.005
    play(world, Wait(), Fault.parse("overloaded@1.6:payments"))
    for _ in range(8):
        play(world, Wait())
    assert asked(lab, Service.PAYMENTS) == pytest.approx(1.6, abs=0.02)


def test_a_crowd_that_comes_with_more_users_than_usual_is_smaller(lab: FakeLab, journal: Journal) -> None:
    lab.crowd_request_s = 0.005
    chaos = fake_chaos(lab, journal)
    chaos.change_traffic(TrafficChanges(1.3, 1.3))
    chaos.inject(Fault.parse("overloaded@1.6:payments"))
    rate_per_s = lab.running_campaigns["flash-crowd-payments"][0].rate_per_s
    assert rate_per_s == pytest.approx((1.6 * QUOTA_CORES - 1.3 * lab.steady_cpu_cores) / 0.005, rel=0.01)


def test_a_process_that_is_not_there_yet_is_stopped_once_it_is(
    lab: FakeLab, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = iter([NoProcess("no such process"), NoProcess("no such process"), None])
    freeze = lab.freeze

    def freeze_once_it_is_there(service: Service) -> None:
        error = next(tries)
        if error is not None:
            raise error
        freeze(service)

    monkeypatch.setattr(lab, "freeze", freeze_once_it_is_there)
    before = lab.clock.now()
    fake_chaos(lab, journal).inject(Fault.parse("crashed/hung:auth"))
    assert lab.services[Service.AUTH].hung
    assert lab.clock.now() - before == pytest.approx(0.2)


def test_a_process_that_never_comes_is_an_error(
    lab: FakeLab, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(service: Service) -> None:
        raise NoProcess("kill: no such process")

    monkeypatch.setattr(lab, "freeze", never)
    with pytest.raises(NoProcess, match=r"^kill: no such process$"):
        fake_chaos(lab, journal).inject(Fault.parse("crashed/hung:auth"))
