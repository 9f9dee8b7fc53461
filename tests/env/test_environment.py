"""Tests of whole episodes: rewards, outcomes, the ledger, and what stays hidden from the agent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mirr.env.environment import Environment, EpisodeError, EpisodeReport
from mirr.env.objectives import FEATURE_COLUMN, service_breaches, services_healthy
from mirr.env.reward import Outcome
from mirr.env.scenario import BadSeed, EpisodeConfig
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import (
    ACTIONS,
    ALL_FAULTS,
    REMEDY,
    Action,
    Diagnose,
    Fault,
    FaultMode,
    Feature,
    Restart,
    Rollback,
    ScaleUp,
    Service,
    Wait,
)
from mirr.env.world import Snapshot, World, WorldError
from tests.env.fakes import FakeWorld

CRASHED_PAYMENTS = Fault(FaultMode.CRASHED, Service.PAYMENTS)
RIGHT_FIX = Restart(Service.PAYMENTS)
CORRECT_DIAGNOSIS = Diagnose(Service.PAYMENTS, FaultMode.CRASHED)


def played(world: World, fault: Fault, actions: list[Action], max_steps: int = 30) -> EpisodeReport:
    """Plays these actions and then waits until the end. Returns the report."""
    environment = Environment(world, EpisodeConfig(max_steps=max_steps))
    environment.reset(seed=3, fault=fault)
    queue = list(actions)
    total = 0.0
    while True:
        _, reward, terminated, truncated, info = environment.step(queue.pop(0) if queue else Wait())
        total += reward
        if terminated or truncated:
            report = info["report"]
            assert isinstance(report, EpisodeReport)
            assert report.total_reward == pytest.approx(total)
            return report
        assert "report" not in info


def brute_force() -> list[Action]:
    return [Restart(service) for service in Service]


@pytest.mark.parametrize("world", [FakeWorld(), SimulatedWorld()], ids=["fake", "simulated"])
def test_brute_force_with_four_wrong_fixes_and_then_the_right_one_earns_exactly_minus_two(world: World) -> None:
    report = played(world, CRASHED_PAYMENTS, brute_force())
    assert report.total_reward == -2.0
    assert report.outcome is Outcome.RESOLVED


def test_the_right_diagnosis_after_brute_force_earns_nothing() -> None:
    report = played(FakeWorld(), CRASHED_PAYMENTS, [*brute_force(), CORRECT_DIAGNOSIS])
    assert report.total_reward == -2.0
    assert report.diagnosis == CORRECT_DIAGNOSIS
    assert not report.diagnosis_correct


def test_diagnosis_fix_and_recovery_at_the_last_step_earn_exactly_38() -> None:
    waits: list[Action] = [Wait()] * 26
    report = played(SimulatedWorld(), CRASHED_PAYMENTS, [*waits, CORRECT_DIAGNOSIS, RIGHT_FIX])
    assert (report.total_reward, report.steps, report.outcome) == (38.0, 30, Outcome.RESOLVED)
    fake = played(FakeWorld(recovers_after=0), CRASHED_PAYMENTS, [*waits, Wait(), CORRECT_DIAGNOSIS, RIGHT_FIX])
    assert (fake.total_reward, fake.steps, fake.outcome) == (38.0, 30, Outcome.RESOLVED)


def test_every_step_left_earns_0_3() -> None:
    report = played(FakeWorld(recovers_after=0), CRASHED_PAYMENTS, [CORRECT_DIAGNOSIS, RIGHT_FIX])
    assert report.steps == 3
    assert report.total_reward == pytest.approx(38.0 + 0.3 * 27)


def test_recovery_earns_nothing_after_a_wrong_first_diagnosis() -> None:
    wrong = Diagnose(Service.AUTH, FaultMode.CRASHED)
    report = played(FakeWorld(), CRASHED_PAYMENTS, [wrong, CORRECT_DIAGNOSIS, RIGHT_FIX])
    assert report.total_reward == -2.0 + 6.0
    assert report.diagnosis == wrong


def test_a_wrong_fix_costs_two_every_time_and_the_right_one_pays_once() -> None:
    wrong = ScaleUp(Service.AUTH)
    report = played(FakeWorld(recovers_after=4), CRASHED_PAYMENTS, [wrong, wrong, RIGHT_FIX, RIGHT_FIX])
    assert report.total_reward == -2.0 - 2.0 + 6.0
    assert report.harm.needless_actions == 3
    assert report.wrong_fixes == 2


def test_an_episode_is_clean_if_it_was_diagnosed_then_fixed_then_resolved_without_a_wrong_fix() -> None:
    clean = played(FakeWorld(), CRASHED_PAYMENTS, [CORRECT_DIAGNOSIS, RIGHT_FIX])
    assert (clean.outcome, clean.wrong_fixes, clean.clean) == (Outcome.RESOLVED, 0, True)


@pytest.mark.parametrize(
    "actions",
    [
        [RIGHT_FIX],
        [RIGHT_FIX, CORRECT_DIAGNOSIS],
        [Diagnose(Service.AUTH, FaultMode.CRASHED), CORRECT_DIAGNOSIS, RIGHT_FIX],
        [CORRECT_DIAGNOSIS, ScaleUp(Service.AUTH), RIGHT_FIX],
        [CORRECT_DIAGNOSIS],
    ],
    ids=["undiagnosed", "diagnosed after the fix", "a wrong diagnosis first", "a wrong fix", "never fixed"],
)
def test_an_episode_is_not_clean_otherwise(actions: list[Action]) -> None:
    assert not played(FakeWorld(), CRASHED_PAYMENTS, actions).clean


def test_the_right_fix_again_does_not_make_an_episode_less_clean() -> None:
    report = played(FakeWorld(recovers_after=4), CRASHED_PAYMENTS, [CORRECT_DIAGNOSIS, RIGHT_FIX, RIGHT_FIX])
    assert (report.harm.needless_actions, report.clean) == (1, True)


def test_a_right_fix_that_the_world_refuses_earns_nothing_and_costs_nothing() -> None:
    world = FakeWorld()
    fault = Fault(FaultMode.BAD_DEPLOY, Service.AUTH)
    world.refuses = {Rollback(Service.AUTH)}
    report = played(world, fault, [Rollback(Service.AUTH)], max_steps=4)
    assert (report.total_reward, report.outcome) == (0.0, Outcome.EXHAUSTED)


def test_healthy_services_without_a_fix_are_no_recovery() -> None:
    report = played(FakeWorld(failed=0), CRASHED_PAYMENTS, [], max_steps=5)
    assert report.outcome is Outcome.EXHAUSTED
    assert report.reason == "no recovery within 5 steps: crashed:payments was never fixed"


def test_three_steps_without_any_service_for_the_users_are_a_collapse() -> None:
    report = played(FakeWorld(failed=60), CRASHED_PAYMENTS, [])
    assert (report.outcome, report.steps, report.total_reward) == (Outcome.COLLAPSED, 3, -15.0)
    assert report.reason == "user SLI at or below 0.02 for 3 steps running"


def test_the_ledger_counts_seconds_and_requests_from_step_0() -> None:
    report = played(FakeWorld(recovers_after=1), CRASHED_PAYMENTS, [Wait(), CORRECT_DIAGNOSIS, RIGHT_FIX])
    assert report.time_to_diagnose_s == 2.0
    assert report.time_to_mitigate_s == 6.0
    assert report.harm.failed_requests == 3 * 30
    assert report.harm.objective_lost_s == 6.0
    assert report.harm.needless_actions == 0


class SlowCaller(FakeWorld):
    """A world in real time. Before each of these actions, the agent thinks for so many seconds."""

    def __init__(self, thinks_s: dict[Action, float]) -> None:
        super().__init__(recovers_after=1)
        self.thinks_s = thinks_s

    def observe(self) -> Snapshot:
        thought_s = self.thinks_s.get(self.applied[-1], 0.0) if self.applied else 0.0
        return replace(super().observe(), overrun_s=thought_s)


def test_the_times_count_how_long_an_agent_thinks_and_the_steps_stand_beside_them() -> None:
    report = played(
        SlowCaller({CORRECT_DIAGNOSIS: 90.0, RIGHT_FIX: 5.0}), CRASHED_PAYMENTS, [CORRECT_DIAGNOSIS, RIGHT_FIX]
    )
    assert (report.time_to_diagnose_s, report.steps_to_diagnose) == (90.0, 0)
    assert (report.time_to_mitigate_s, report.steps_to_mitigate) == (90.0 + 2.0 + 5.0 + 2.0, 2)
    assert report.harm.objective_lost_s == report.time_to_mitigate_s


def test_the_times_of_an_agent_that_does_not_think_are_its_steps() -> None:
    report = played(SlowCaller({}), CRASHED_PAYMENTS, [Wait(), CORRECT_DIAGNOSIS, RIGHT_FIX])
    assert (report.time_to_diagnose_s, report.steps_to_diagnose) == (2.0, 1)
    assert (report.time_to_mitigate_s, report.steps_to_mitigate) == (6.0, 3)


def test_an_episode_without_diagnosis_and_recovery_has_no_times() -> None:
    report = played(FakeWorld(), CRASHED_PAYMENTS, [], max_steps=3)
    assert (report.time_to_diagnose_s, report.steps_to_diagnose) == (None, None)
    assert (report.time_to_mitigate_s, report.steps_to_mitigate) == (None, None)


def test_a_failing_world_makes_the_episode_void() -> None:
    world = FakeWorld()
    environment = Environment(world)
    environment.reset(seed=1, fault=CRASHED_PAYMENTS)
    environment.step(Wait())
    world.fails_with = "the engine is gone; see: mirr doctor"
    with pytest.raises(WorldError, match="the engine is gone; see: mirr doctor"):
        environment.step(Wait())
    assert environment.report is not None
    assert environment.report.outcome is Outcome.VOID
    assert environment.report.reason == "the engine is gone; see: mirr doctor"
    assert environment.report.steps == 1
    with pytest.raises(EpisodeError):
        environment.step(Wait())


def test_a_step_without_an_episode_says_what_to_call() -> None:
    environment = Environment(FakeWorld())
    with pytest.raises(EpisodeError, match=r"^no episode is running; call reset\(seed=\.\.\.\) first$"):
        environment.step(Wait())


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (41, "action numbers go from 0 to 40; got 41"),
        (-1, "action numbers go from 0 to 40; got -1"),
        ("wait", "an action is an Action or its number; got 'wait'"),
    ],
)
def test_a_wrong_action_is_refused_and_the_episode_goes_on(action: object, message: str) -> None:
    environment = Environment(FakeWorld())
    environment.reset(seed=1)
    with pytest.raises(EpisodeError) as caught:
        environment.step(action)  # type: ignore[arg-type]
    assert str(caught.value) == message
    environment.step(np.int64(0))  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [-1, 1.5, "7", None])
def test_a_wrong_seed_is_refused(seed: object) -> None:
    with pytest.raises(BadSeed, match=r"^a seed is a whole number from 0 up; got "):
        Environment(FakeWorld()).reset(seed=seed)  # type: ignore[arg-type]


def test_noise_is_within_15_percent_and_does_not_change_up_or_missing_values() -> None:
    environment = Environment(SimulatedWorld())
    observation, _ = environment.reset(seed=4, fault=CRASHED_PAYMENTS)
    assert environment.last_snapshot is not None
    truth = environment.last_snapshot.features
    assert observation.features.dtype == np.float32
    up = FEATURE_COLUMN[Feature.UP]
    assert (observation.features[:, up] == truth[:, up]).all()
    assert (np.isnan(observation.features) == np.isnan(truth)).all()
    seen = (truth != 0) & ~np.isnan(truth)
    ratio = observation.features[seen] / truth[seen]
    assert ratio.min() >= 0.85 - 1e-6
    assert ratio.max() <= 1.15 + 1e-6
    assert np.unique(ratio).size >= 15  # each cell has its own random factor


def test_the_same_seed_gives_the_same_noise_and_world_for_every_fault() -> None:
    worlds = [FakeWorld(), FakeWorld()]
    seen = [
        Environment(world).reset(seed=9, fault=fault)[0].features
        for world, fault in zip(worlds, (None, CRASHED_PAYMENTS), strict=True)
    ]
    assert np.array_equal(seen[0], seen[1])
    assert worlds[0].restored_with == worlds[1].restored_with


def test_info_does_not_reveal_the_truth_while_the_episode_runs() -> None:
    environment = Environment(SimulatedWorld())
    for fault in ALL_FAULTS:
        _, info = environment.reset(seed=2, fault=fault)
        assert set(info) == {"step", "overrun_s"}
        for action in ACTIONS[:2]:
            *_, info = environment.step(action)
            assert set(info) == {"step", "overrun_s"}


def test_the_fast_health_check_agrees_with_the_list_of_breaches() -> None:
    environment = Environment(SimulatedWorld())
    verdicts = []
    for fault in ALL_FAULTS:
        environment.reset(seed=2, fault=fault)
        for action in (Wait(), REMEDY[fault.mode](fault.service), Wait(), Wait(), Wait()):
            if environment.report is None:
                environment.step(action)
            shown = environment.last_snapshot
            assert shown is not None
            healthy = services_healthy(shown)
            assert healthy == (not any(service_breaches(shown, service) for service in Service))
            verdicts.append(healthy)
    assert {True, False} == set(verdicts)
