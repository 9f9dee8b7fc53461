"""The lifecycle of a fault. A row is green if every step went as expected. A red row gives the reasons."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mirr.chaos.faults import faults
from mirr.chaos.journal import Journal
from mirr.chaos.lifecycle import Lifecycle, Pace, WrongFix, another_service, wrong_fixes
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Action, Fault, FaultMode, Reason, Restart, Rollback, ScaleUp, Service, Wait
from mirr.env.world import ActionResult, World
from tests.chaos.made_of import made_of
from tests.fakes.assembly import fake_docker_world
from tests.fakes.clock import FakeClock
from tests.fakes.lab import FakeLab
from tests.worlds import Altered

CRASHED_AUTH = Fault(FaultMode.CRASHED, Service.AUTH)
CROWDED_AUTH = Fault(FaultMode.OVERLOADED, Service.AUTH)


@pytest.fixture
def lab() -> FakeLab:
    return FakeLab(FakeClock())


@pytest.fixture
def world(lab: FakeLab, tmp_path: Path) -> Iterator[World]:
    world = fake_docker_world(lab, Journal(tmp_path))
    yield world
    world.close()


def lifecycle_on_fake_lab(world: World, lab: FakeLab) -> Lifecycle:
    return Lifecycle(world, footprint=lambda: made_of(lab), now=lab.clock.now)


def lifecycle_on_simulator(world: World | None = None) -> Lifecycle:
    return Lifecycle(world or SimulatedWorld(), footprint=dict)


@pytest.mark.parametrize("fault", faults(), ids=str)
def test_every_lifecycle_is_green_on_the_simulator(fault: Fault) -> None:
    row = lifecycle_on_simulator().row(fault)
    assert row.problems == []
    assert row.steady
    assert row.lost_after_s is not None
    assert row.lost_after_s <= 8.0  # a leaky release has to fill memory first, and the fewer users come, the slower
    assert [fix.lost for fix in row.wrong_fixes] == [True] * 3
    assert row.restored_after_s is not None
    assert row.restored_after_s <= 8.0


@pytest.mark.parametrize("fault", faults(service=Service.PAYMENTS), ids=str)
def test_every_form_is_green_on_a_fake_lab_and_leaves_nothing_behind(fault: Fault, world: World, lab: FakeLab) -> None:
    before = made_of(lab)
    row = lifecycle_on_fake_lab(world, lab).row(fault)
    assert row.problems == []
    assert row.residue == []
    assert made_of(lab) == before


def test_the_right_action_is_tried_on_another_service_with_the_same_errors() -> None:
    assert {service: another_service(service) for service in Service} == {
        Service.GATEWAY: Service.AUTH,
        Service.AUTH: Service.GATEWAY,
        Service.INVENTORY: Service.GATEWAY,
        Service.ORDERS: Service.GATEWAY,
        Service.PAYMENTS: Service.ORDERS,
    }


def test_the_wrong_fixes_are_the_right_action_on_another_service_and_the_other_actions() -> None:
    assert wrong_fixes(Fault(FaultMode.BAD_DEPLOY, Service.PAYMENTS)) == (
        Rollback(Service.ORDERS),
        Restart(Service.PAYMENTS),
        ScaleUp(Service.PAYMENTS),
    )


def test_a_wrong_fix_that_helps_makes_the_row_red() -> None:
    inner = SimulatedWorld()

    def apply(action: Action) -> ActionResult:
        if action == Restart(Service.AUTH):
            inner.restore(1)
            return ActionResult(text="all is well")
        return inner.apply(action)

    row = lifecycle_on_simulator(Altered(inner, applies=apply)).row(CROWDED_AUTH)
    assert row.problems == ["restart(auth) helped against overloaded:auth, and must not"]
    assert row.wrong_fixes[-1] == WrongFix(action=Restart(Service.AUTH), result="all is well", lost=False, symptoms=())
    assert row.restored_after_s is None


def test_a_wrong_fix_that_helps_for_a_short_time_makes_the_row_red(lab: FakeLab, world: World) -> None:
    down_again_at: float | None = None

    def apply(action: Action) -> ActionResult:
        nonlocal down_again_at
        if action == Restart(Service.GATEWAY):  # auth is up for two steps and then down again
            lab.restart(Service.AUTH)
            lab.services[Service.AUTH].ready_at = lab.clock.now()
            down_again_at = lab.clock.now() + 4.0
            return ActionResult(text="done")
        if down_again_at is not None and lab.clock.now() >= down_again_at:
            lab.kill(Service.AUTH)
            down_again_at = None
        return world.apply(action)

    row = lifecycle_on_fake_lab(Altered(world, applies=apply), lab).row(CRASHED_AUTH)
    assert row.problems == ["restart(gateway) helped against crashed:auth, and must not"]
    assert row.wrong_fixes[0].symptoms == ("auth is down",)


def test_a_right_fix_that_does_not_help_makes_the_row_red() -> None:
    inner = SimulatedWorld()

    def apply(action: Action) -> ActionResult:
        return inner.apply(Wait()) if action == Restart(Service.AUTH) else inner.apply(action)

    row = lifecycle_on_simulator(Altered(inner, applies=apply)).row(CRASHED_AUTH)
    (problem,) = row.problems
    assert problem.startswith("not restored 20 s after restart(auth): user SLI is ")
    assert "; auth is down" in problem


def test_a_refused_right_fix_makes_the_row_red() -> None:
    inner = SimulatedWorld()

    def apply(action: Action) -> ActionResult:
        return (
            ActionResult(reason=Reason.NOT_RUNNING, text="no")
            if action == Restart(Service.AUTH)
            else inner.apply(action)
        )

    assert lifecycle_on_simulator(Altered(inner, applies=apply)).row(CRASHED_AUTH).problems == [
        "restart(auth) was refused: no"
    ]


def test_a_fault_without_effect_makes_the_row_red() -> None:
    row = lifecycle_on_simulator(Altered(SimulatedWorld(), injects=lambda fault: None)).row(CRASHED_AUTH)
    assert row.problems == ["auth still meets its objectives 10 s after crashed:auth was injected"]
    assert row.lost_after_s is None
    assert row.wrong_fixes == []


def test_another_release_that_works_does_not_count_as_lost(lab: FakeLab, world: World) -> None:
    def inject(fault: Fault) -> None:
        lab.services[fault.service].release = "1.5.0"

    row = lifecycle_on_fake_lab(Altered(world, injects=inject), lab).row(Fault(FaultMode.BAD_DEPLOY, Service.AUTH))
    assert row.problems[0] == "auth still meets its objectives 10 s after bad_deploy:auth was injected"


def test_a_red_row_names_what_is_left_behind(lab: FakeLab, world: World) -> None:
    restores = 0

    def resize() -> None:
        nonlocal restores
        restores += 1
        if restores == 2:
            lab.resize(Service.ORDERS, 20_000)

    row = lifecycle_on_fake_lab(Altered(world, after_restore=resize), lab).row(CRASHED_AUTH)
    assert row.residue == ["orders: HostConfig.CpuQuota was 15000, is 20000"]
    assert row.problems == ["left behind: orders: HostConfig.CpuQuota was 15000, is 20000"]


def test_the_lab_is_restored_and_compared_if_a_row_fails(lab: FakeLab, world: World) -> None:
    lab.crowd_request_s = 0.0
    row = lifecycle_on_fake_lab(world, lab).row(CROWDED_AUTH)
    assert row.void
    assert row.problems == ["the world failed: the flash crowd does not reach auth; next: mirr status"]
    assert lab.running_campaigns == {}


def test_the_next_row_is_played_after_a_failed_row(lab: FakeLab, world: World) -> None:
    lab.crowd_request_s = 0.0
    crowded, crashed = lifecycle_on_fake_lab(world, lab).rows([CROWDED_AUTH, CRASHED_AUTH])
    assert (crowded.green, crashed.green) == (False, True)


def test_a_row_begins_where_a_row_ended_that_left_steady_state(lab: FakeLab, world: World) -> None:
    restores: list[float] = []
    played = lifecycle_on_fake_lab(Altered(world, after_restore=lambda: restores.append(lab.clock.now())), lab)
    rows = list(played.rows([CRASHED_AUTH, CRASHED_AUTH, CRASHED_AUTH]))
    assert [row.steady for row in rows] == [True] * 3
    assert len(restores) == 4  # one before the first row, and one at the end of each


def test_a_lab_that_is_not_in_steady_state_makes_the_row_red_before_the_injection(lab: FakeLab, world: World) -> None:
    row = lifecycle_on_fake_lab(Altered(world, after_restore=lambda: lab.kill(Service.ORDERS)), lab).row(CRASHED_AUTH)
    assert not row.steady
    assert row.problems[0].startswith("no steady state to begin with: user SLI is ")
    assert row.lost_after_s is None


def test_a_short_delay_does_not_make_a_row_red(lab: FakeLab, world: World) -> None:
    def restart() -> None:
        lab.restart(Service.ORDERS)  # it is up again within two steps

    row = lifecycle_on_fake_lab(Altered(world, after_restore=restart), lab).row(CRASHED_AUTH)
    assert row.problems == []
    assert row.steady


def test_a_row_as_json_has_all_fields() -> None:
    answer = lifecycle_on_simulator().row(CRASHED_AUTH).to_json()
    assert answer.pop("seconds") >= 0.0
    for fix in answer["wrong_fixes"]:
        assert fix.pop("symptoms") == ["auth is down"]
    assert answer == {
        "mode": "crashed",
        "service": "auth",
        "steady": True,
        "lost_after_s": 2.0,
        "wrong_fixes": [
            {"action": "restart(gateway)", "result": "gateway is restarting", "lost": True},
            {"action": "rollback(auth)", "result": "auth has no earlier release", "lost": True},
            {"action": "scale_up(auth)", "result": "auth is not running, nothing to scale", "lost": True},
        ],
        "restored_after_s": 2.0,
        "residue": [],
        "green": True,
        "reason": "",
    }


def test_the_restart_of_another_service_ends_before_the_row_is_judged() -> None:
    # A restart takes two steps. During this time the other service is down, and the steady state counts as lost.
    assert Pace().steps_for_a_wrong_fix >= 3
