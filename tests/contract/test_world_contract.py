"""One test suite for every World: the simulator, DockerWorld on a fake lab, and the real lab."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mirr.bridge.assembly import open_docker_world
from mirr.bridge.docker_world import Patience
from mirr.chaos.faults import faults
from mirr.chaos.journal import Journal
from mirr.env.objectives import breaches
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import (
    ACTIONS,
    CheckLogs,
    Deploys,
    Fault,
    FaultMode,
    Feature,
    Reason,
    Restart,
    Rollback,
    ScaleUp,
    Service,
    Wait,
    action_text,
)
from mirr.env.world import FEATURES_SHAPE, ActionResult, World
from tests.contract.remedies import STEP_S, after_every_fix, begun_and_ended, loses, step
from tests.fakes.assembly import fake_docker_world
from tests.fakes.clock import FakeClock
from tests.fakes.lab import FakeLab

STEPS_TO_LOSE = 3
STEPS_AFTER_DEPLOY = 5


REAL = "real"
QUICK = ("simulated", "fake")


@pytest.fixture(params=[*QUICK, pytest.param(REAL, marks=pytest.mark.docker)])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A world that was opened just now."""
    world: World
    match request.param:
        case "simulated":
            world = SimulatedWorld()
        case "fake":
            world = fake_docker_world(FakeLab(FakeClock()), Journal(tmp_path))
        case _:
            # The opening hides when a fault began. These tests know the fault, so they do not wait for it.
            world = open_docker_world(request.getfixturevalue("real_lab"), patience=Patience(opening_s=0.0))
    yield world
    world.close()


@pytest.fixture
def world(opened: World) -> World:
    """A world in steady state."""
    opened.restore(11)
    return opened


def test_steady_state_meets_every_objective(world: World) -> None:
    for _ in range(3):
        _, snapshot = step(world)
        assert breaches(snapshot) == []
        assert snapshot.features.shape == FEATURES_SHAPE
        assert not np.isnan(snapshot.features).any()
        # Users start 38 journeys a second (Poisson). A step takes 2 s, and scrapes are half a second apart.
        assert 35 <= snapshot.requests <= 130


# The real lab plays it at the end of the episodes of the leak audit: tests/audit/test_real_lab.py.
@pytest.mark.parametrize("opened", QUICK, indirect=True)
@pytest.mark.parametrize("fault", faults(service=Service.PAYMENTS), ids=str)
def test_a_fault_breaks_an_objective_and_only_its_remedy_fixes_it(world: World, fault: Fault) -> None:
    world.inject(fault)
    assert loses(world, fault.service, within_steps=STEPS_TO_LOSE)
    assert after_every_fix(world, fault) == []


# The real lab shows it in the leak audit and in Gymnasium's check of the lab.
@pytest.mark.parametrize("opened", QUICK, indirect=True)
def test_the_values_of_a_crashed_service_are_missing_and_not_zero(world: World) -> None:
    world.inject(Fault(FaultMode.CRASHED, Service.INVENTORY))
    row = step(world)[1].features[list(Service).index(Service.INVENTORY)]
    assert row[list(Feature).index(Feature.UP)] == 0.0
    assert np.isnan(row[1:]).all()


def test_an_action_that_can_do_nothing_is_not_accepted(world: World) -> None:
    result, _ = step(world, Rollback(Service.AUTH))
    assert result == ActionResult(reason=Reason.NO_EARLIER_RELEASE, text="auth has no earlier release")
    world.inject(Fault(FaultMode.CRASHED, Service.AUTH))
    result, _ = step(world, ScaleUp(Service.AUTH))
    assert result == ActionResult(reason=Reason.NOT_RUNNING, text="auth is not running, nothing to scale")


def test_a_service_can_be_scaled_up_only_once(world: World) -> None:
    assert step(world, ScaleUp(Service.ORDERS))[0] == ActionResult(text="orders has twice the CPU quota now")
    assert step(world, ScaleUp(Service.ORDERS))[0] == ActionResult(
        reason=Reason.LARGEST_SIZE, text="orders is already at its largest size"
    )


def test_the_result_of_a_step_has_the_logs(world: World) -> None:
    step(world, Restart(Service.ORDERS))
    step(world)
    result, _ = step(world, CheckLogs(Service.ORDERS))
    assert result.accepted
    assert len(result.logs) <= 20
    started = [line for line in result.logs if line.event == "started"]
    assert len(started) == 1
    assert "1.4.0" in started[0].text


# The real lab does it after the two episodes of the leak audit without a fault: tests/audit/test_real_lab.py.
@pytest.mark.parametrize("opened", QUICK, indirect=True)
@pytest.mark.parametrize("fault", faults(form="", service=Service.INVENTORY), ids=str)
def test_a_fault_can_begin_during_an_episode_and_end_by_itself(world: World, fault: Fault) -> None:
    assert begun_and_ended(world, fault) == []


# tests/audit/test_real_surroundings.py deploys to the same service of the real lab.
@pytest.mark.parametrize("opened", QUICK, indirect=True)
def test_a_harmless_deploy_breaks_no_objective(world: World) -> None:
    world.apply(Wait())
    world.happen(Deploys(Service.AUTH))
    world.advance(STEP_S)
    world.observe()
    after = [breaches(step(world)[1]) for _ in range(STEPS_AFTER_DEPLOY)]
    assert after[-2:] == [[], []]
    result, _ = step(world, CheckLogs(Service.AUTH))
    assert "1.5.0" in next(line.text for line in result.logs if line.event == "started")
    assert step(world, Rollback(Service.AUTH))[0] == ActionResult(text="auth is going back to release 1.4.0")


def test_restore_reverts_all_faults_and_actions(world: World) -> None:
    world.inject(Fault(FaultMode.BAD_DEPLOY, Service.AUTH))
    step(world, Restart(Service.GATEWAY))
    step(world, ScaleUp(Service.ORDERS))
    world.restore(12)
    assert breaches(step(world)[1]) == []
    assert step(world, Rollback(Service.AUTH))[0].accepted is False
    assert step(world, ScaleUp(Service.ORDERS))[0].accepted is True


def test_a_world_can_be_closed_twice(opened: World) -> None:
    opened.close()
    opened.close()


def test_every_action_has_its_own_text() -> None:
    assert len({action_text(action) for action in ACTIONS}) == len(ACTIONS) == 41
