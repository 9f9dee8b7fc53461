"""One test suite for every World: the simulator, DockerWorld on a fake lab, and the real lab."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from mirr.bridge.assembly import open_docker_world
from mirr.bridge.docker_world import Patience
from mirr.chaos.faults import costly, faults, form_of
from mirr.chaos.journal import Journal
from mirr.env.objectives import OBJECTIVES, breaches, service_breaches
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import (
    ACTIONS,
    REMEDY,
    Breaks,
    CheckLogs,
    Deploys,
    Ends,
    Fault,
    FaultMode,
    Feature,
    Fix,
    Reason,
    Restart,
    Rollback,
    ScaleUp,
    Service,
    Wait,
    action_text,
)
from mirr.env.world import FEATURES_SHAPE, ActionResult, Snapshot, World
from tests.fakes.assembly import fake_docker_world
from tests.fakes.clock import FakeClock
from tests.fakes.lab import FakeLab

FIXES: tuple[type[Restart] | type[Rollback] | type[ScaleUp], ...] = (Restart, Rollback, ScaleUp)
STEPS_TO_LOSE = 3
STEPS_TO_RECOVER = 8  # a service that was overloaded first works off its queue
STEPS_AFTER_DEPLOY = 5
STEPS_TO_SHOW = 5  # a leak that begins during an episode breaks the memory objective within these steps
STEP_S = 2.0


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


def with_each(played: Iterable[Fault], *, real: Collection[Fault]) -> pytest.MarkDecorator:
    """A test of each fault in each world. The real lab plays only those of `real`."""
    cases = [
        pytest.param(name, fault, id=f"{name}-{fault}", marks=[pytest.mark.docker] if name == REAL else [])
        for fault in played
        for name in (*QUICK, REAL)
        if name != REAL or fault in real
    ]
    return pytest.mark.parametrize(("opened", "fault"), cases, indirect=["opened"])


def step(world: World, action: Wait | CheckLogs | Fix | None = None) -> tuple[ActionResult, Snapshot]:
    result = world.apply(action or Wait())
    world.advance(STEP_S)
    return result, world.observe()


def lost(snapshot: Snapshot, service: Service) -> bool:
    return snapshot.user_sli < OBJECTIVES.user_sli or bool(service_breaches(snapshot, service))


def loses(world: World, service: Service, *, within_steps: int) -> bool:
    """Step until an objective is missed; False if none is missed in time."""
    return any(lost(step(world)[1], service) for _ in range(within_steps))


def recovers(world: World) -> bool:
    """Step until every objective is met for two steps in a row; False if that does not come in time."""
    met = (not breaches(step(world)[1]) for _ in range(STEPS_TO_RECOVER))
    return any(earlier and later for earlier, later in itertools.pairwise(met))


def test_steady_state_meets_every_objective(world: World) -> None:
    for _ in range(3):
        _, snapshot = step(world)
        assert breaches(snapshot) == []
        assert snapshot.features.shape == FEATURES_SHAPE
        assert not np.isnan(snapshot.features).any()
        # Users start 38 journeys a second (Poisson). A step takes 2 s, and scrapes are half a second apart.
        assert 35 <= snapshot.requests <= 130


# A few costly requests a second are sized by looks at a handful of them, which takes a lab with the machine to itself.
# `mirr lifecycle` plays them there. The crowd plays their mode here.
PLAYED = [fault for fault in faults(service=Service.PAYMENTS) if form_of(fault) is not costly.FORM]
# tests/chaos/test_added_form.py does this to a process of payments that was ended, also on the real lab.
NOT_AGAIN = Fault(FaultMode.CRASHED, Service.PAYMENTS)


@with_each(PLAYED, real=[fault for fault in PLAYED if fault != NOT_AGAIN])
def test_a_fault_breaks_an_objective_and_only_its_remedy_fixes_it(world: World, fault: Fault) -> None:
    world.inject(fault)
    assert loses(world, fault.service, within_steps=STEPS_TO_LOSE)
    for wrong in FIXES:
        if wrong is REMEDY[fault.mode]:
            continue
        step(world, wrong(fault.service))
        relief_steps = form_of(fault).relief_steps if wrong is Restart else 0
        assert loses(world, fault.service, within_steps=1 + relief_steps), f"{wrong.__name__} must not help"
    result, _ = step(world, REMEDY[fault.mode](fault.service))
    assert result.accepted
    assert recovers(world)


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


# `mirr lifecycle` lets every form begin on the lab, and tests/chaos lets every form end on the fake one. What ends a
# crowd and what ends a crash are together what ends a leak: its client is stopped, and its process is started again.
ENDED_ON_THE_LAB = [Fault(mode, Service.INVENTORY) for mode in (FaultMode.MEMORY_LEAK, FaultMode.BAD_DEPLOY)]


@with_each(faults(form="", service=Service.INVENTORY), real=ENDED_ON_THE_LAB)
def test_a_fault_can_begin_during_an_episode_and_end_by_itself(world: World, fault: Fault) -> None:
    step(world)
    world.apply(Wait())
    world.happen(Breaks(fault))
    world.advance(STEP_S)
    world.observe()
    assert loses(world, fault.service, within_steps=STEPS_TO_SHOW)
    world.apply(Wait())
    world.happen(Ends(fault))
    world.advance(STEP_S)
    world.observe()
    assert recovers(world)


# tests/bridge/test_real_surroundings.py deploys to the same service of the real lab.
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
