"""Scenarios with several faults, later faults, faults that end by themselves, or no fault.

Without service for the users there is no recovery.
"""

from __future__ import annotations

import pytest

from mirr.env.environment import Environment, EpisodeError, EpisodeReport
from mirr.env.reward import Outcome
from mirr.env.scenario import EpisodeConfig, Scenario, Scheduled, draw
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import (
    ACTIONS,
    PACK_ACTIONS,
    Action,
    Breaks,
    Deploys,
    Diagnose,
    DiagnoseNone,
    Ends,
    Event,
    Fault,
    FaultMode,
    Restart,
    ScaleUp,
    Service,
    Wait,
    action_text,
    parse_action,
)
from mirr.env.world import Snapshot, World
from tests.env.fakes import FakeWorld, snapshot, with_down

AUTH_CRASHED = Fault(FaultMode.CRASHED, Service.AUTH)
PAYMENTS_CROWDED = Fault(FaultMode.OVERLOADED, Service.PAYMENTS)
NAME_AUTH = Diagnose(Service.AUTH, FaultMode.CRASHED)
NAME_PAYMENTS = Diagnose(Service.PAYMENTS, FaultMode.OVERLOADED)
FIX_AUTH = Restart(Service.AUTH)
FIX_PAYMENTS = ScaleUp(Service.PAYMENTS)


def scenario(*events: Event | tuple[int, Event]) -> Scenario:
    timeline = [Scheduled(*entry) if isinstance(entry, tuple) else Scheduled(0, entry) for entry in events]
    return Scenario(seed=3, timeline=tuple(timeline), name="test")


BOTH = scenario(Breaks(AUTH_CRASHED), Breaks(PAYMENTS_CROWDED))
IN_TURN = scenario(Breaks(AUTH_CRASHED), (6, Breaks(PAYMENTS_CROWDED)))
NOTHING = scenario()


def played(
    incident: Scenario, *actions: Action, max_steps: int = 30, world: World | None = None
) -> tuple[EpisodeReport, list[float]]:
    environment = Environment(world or SimulatedWorld(), EpisodeConfig(none_diagnosis=True, max_steps=max_steps))
    environment.reset(scenario=incident)
    queue, rewards, done = list(actions), [], False
    while not done:
        _, reward, terminated, truncated, _ = environment.step(queue.pop(0) if queue else Wait())
        rewards.append(reward)
        done = terminated or truncated
    assert environment.report is not None
    return environment.report, rewards


def test_the_none_diagnosis_comes_after_the_41_actions_of_the_base_task() -> None:
    assert PACK_ACTIONS[:41] == ACTIONS
    assert (len(ACTIONS), len(PACK_ACTIONS)) == (41, 42)
    assert action_text(PACK_ACTIONS[41]) == "diagnose(none)"
    assert parse_action("diagnose(none)") == DiagnoseNone()


def test_the_base_task_refuses_the_none_diagnosis() -> None:
    environment = Environment(FakeWorld())
    environment.reset(seed=1)
    with pytest.raises(EpisodeError) as caught:
        environment.step(DiagnoseNone())
    assert str(caught.value) == (
        "diagnose(none) is not an action of this episode, in which something is broken; next: diagnose(SERVICE, MODE), "
        "with one of gateway, auth, inventory, orders, payments and one of "
        "crashed, memory_leak, overloaded, bad_deploy "
        "(scenario packs and EpisodeConfig(none_diagnosis=True) have false alarms)"
    )
    with pytest.raises(EpisodeError, match=r"^action numbers go from 0 to 40; got 41$"):
        environment.step(41)


def test_the_none_diagnosis_at_a_false_alarm_earns_the_full_reward() -> None:
    report, rewards = played(NOTHING, Wait(), DiagnoseNone())
    assert report.outcome is Outcome.RESOLVED
    assert rewards == [0.0, 8.0, pytest.approx(20.0 + 0.3 * 27)]
    assert report.diagnosis == DiagnoseNone()
    assert report.diagnosis_correct
    assert report.time_to_diagnose_s == 2.0


def test_no_diagnosis_at_a_false_alarm_earns_nothing_and_the_report_says_why() -> None:
    report, _ = played(NOTHING, max_steps=6)
    assert (report.outcome, report.total_reward) == (Outcome.EXHAUSTED, 0.0)
    assert report.reason == "no recovery within 6 steps: nothing was broken, and nobody said so"


def test_every_fix_and_every_other_diagnosis_is_wrong_at_a_false_alarm() -> None:
    report, rewards = played(NOTHING, FIX_PAYMENTS, NAME_AUTH, DiagnoseNone(), max_steps=5)
    assert rewards == [-2.0, -2.0, 0.0, 0.0, 0.0]
    assert report.outcome is Outcome.EXHAUSTED


def test_the_none_diagnosis_at_a_real_incident_is_wrong() -> None:
    report, rewards = played(scenario(Breaks(AUTH_CRASHED)), DiagnoseNone(), NAME_AUTH, FIX_AUTH)
    assert rewards[:3] == [-2.0, 0.0, 6.0]
    assert report.outcome is Outcome.RESOLVED
    assert not report.diagnosis_correct


def test_two_faults_have_two_diagnoses_two_fixes_and_one_recovery() -> None:
    report, rewards = played(BOTH, NAME_AUTH, NAME_PAYMENTS, FIX_AUTH, FIX_PAYMENTS)
    assert rewards[:4] == [8.0, 8.0, 10.0, 10.0]
    assert report.outcome is Outcome.RESOLVED
    assert report.total_reward == pytest.approx(36.0 + 20.0 + 0.3 * (30 - report.steps))
    assert report.time_to_diagnose_s == 2.0  # the start of the step with the second diagnosis


def test_a_third_diagnosis_does_not_count_with_two_faults() -> None:
    _, rewards = played(BOTH, Diagnose(Service.ORDERS, FaultMode.CRASHED), NAME_AUTH, NAME_PAYMENTS, max_steps=4)
    assert rewards[:3] == [-2.0, 8.0, 0.0]


def test_the_recovery_earns_nothing_if_only_one_of_two_faults_was_named() -> None:
    report, rewards = played(BOTH, NAME_AUTH, FIX_AUTH, FIX_PAYMENTS)
    assert rewards[:3] == [8.0, 10.0, 6.0]
    assert report.outcome is Outcome.RESOLVED
    assert (report.total_reward, report.diagnosis_correct) == (24.0, False)


def test_there_is_no_recovery_if_only_one_of_two_faults_is_fixed() -> None:
    report, _ = played(BOTH, NAME_AUTH, FIX_AUTH, max_steps=8)
    assert report.outcome is Outcome.EXHAUSTED
    assert report.reason.startswith("no recovery within 8 steps: user SLI is ")


def test_an_incident_cannot_end_before_its_last_fault_has_started() -> None:
    report, rewards = played(IN_TURN, NAME_AUTH, FIX_AUTH, *[Wait()] * 5, NAME_PAYMENTS, FIX_PAYMENTS)
    assert report.outcome is Outcome.RESOLVED
    assert report.steps > 9
    assert rewards[7:9] == [8.0, 10.0]
    assert report.diagnosis_correct


def test_a_fault_cannot_be_named_or_fixed_before_it_has_started() -> None:
    _, rewards = played(IN_TURN, NAME_PAYMENTS, FIX_PAYMENTS, max_steps=4)
    assert rewards[:2] == [-2.0, -2.0]


def test_the_diagnosis_of_a_fault_that_ends_by_itself_earns_the_recovery() -> None:
    passing = scenario(Breaks(PAYMENTS_CROWDED), (3, Ends(PAYMENTS_CROWDED)))
    named, rewards = played(passing, NAME_PAYMENTS)
    assert named.outcome is Outcome.RESOLVED
    assert rewards[0] == 8.0
    assert named.total_reward == pytest.approx(8.0 + 20.0 + 0.3 * (30 - named.steps))
    unnamed, _ = played(passing)
    assert (unnamed.outcome, unnamed.total_reward) == (Outcome.RESOLVED, 0.0)


@pytest.mark.parametrize("mode", FaultMode)
def test_every_mode_can_end_by_itself_in_the_simulator(mode: FaultMode) -> None:
    fault = Fault(mode, Service.ORDERS)
    report, _ = played(scenario(Breaks(fault), (4, Ends(fault))))
    assert report.outcome is Outcome.RESOLVED
    assert 5 <= report.steps <= 10


def test_a_fix_after_the_end_of_a_fault_is_needless() -> None:
    passing = scenario(Breaks(PAYMENTS_CROWDED), (1, Ends(PAYMENTS_CROWDED)))
    report, rewards = played(passing, Wait(), FIX_PAYMENTS)
    assert rewards[1] == 0.0
    assert report.harm.needless_actions == 1


def test_a_harmless_deploy_is_in_the_log_but_does_not_change_the_outcome() -> None:
    environment = Environment(SimulatedWorld(), EpisodeConfig(none_diagnosis=True))
    environment.reset(scenario=scenario(Deploys(Service.AUTH)))
    observation, *_ = environment.step(parse_action("check_logs(auth)"))
    assert [line.text for line in observation.logs if line.event == "started"] == ["release=1.5.0"]
    environment.step(DiagnoseNone())
    _, _, terminated, _, _ = environment.step(Wait())
    assert terminated
    assert environment.report is not None
    assert environment.report.outcome is Outcome.RESOLVED


def test_events_happen_during_their_step() -> None:
    world = FakeWorld()
    environment = Environment(world, EpisodeConfig())
    ends = Ends(AUTH_CRASHED)
    environment.reset(scenario=scenario(Breaks(AUTH_CRASHED), (2, ends)))
    assert world.fault == AUTH_CRASHED
    environment.step(Wait())
    assert world.happened == []
    environment.step(Wait())
    assert world.happened == [ends]


def test_a_scenario_has_its_own_seed_and_fault() -> None:
    with pytest.raises(EpisodeError) as caught:
        Environment(FakeWorld()).reset(seed=1, scenario=NOTHING)
    assert str(caught.value) == "reset takes a scenario, or else a seed and a fault; a scenario has both"


def test_a_seed_and_its_scenario_give_the_same_episode() -> None:
    seen = [
        Environment(SimulatedWorld()).reset(**how)[0].features.tobytes() for how in ({"seed": 8}, {"scenario": draw(8)})
    ]
    assert seen[0] == seen[1]


class Staged(FakeWorld):
    """A world that shows the given snapshot after the fix."""

    def __init__(self, shown: Snapshot) -> None:
        super().__init__()
        self.shown = shown

    def observe(self) -> Snapshot:
        return snapshot(failed=30) if self.windows_since_fix is None else self.shown


@pytest.mark.parametrize(
    ("shown", "missing"),
    [
        (snapshot(requests=20), "only 20 user requests in a step, at least 24 count"),
        (with_down(snapshot(), Service.ORDERS), "orders is down"),
        (
            snapshot(degraded={Service.AUTH: "has 0.15 cores, steady is 0.3"}),
            "auth: has 0.15 cores, steady is 0.3",
        ),
        (snapshot(failed=6), "user SLI is 0.900, objective 0.95"),
    ],
    ids=["hardly any users", "a service at zero", "a smaller service", "unhappy users"],
)
def test_there_is_no_recovery_without_service_for_the_users(shown: Snapshot, missing: str) -> None:
    report, _ = played(scenario(Breaks(AUTH_CRASHED)), NAME_AUTH, FIX_AUTH, max_steps=6, world=Staged(shown))
    assert report.outcome is Outcome.EXHAUSTED
    assert report.reason == f"no recovery within 6 steps: {missing}"
    assert report.total_reward == 18.0


def test_no_traffic_is_a_collapse() -> None:
    shown = snapshot(requests=0)
    report, _ = played(scenario(Breaks(AUTH_CRASHED)), NAME_AUTH, FIX_AUTH, world=Staged(shown))
    assert (report.outcome, report.steps) == (Outcome.COLLAPSED, 4)


def test_a_service_without_requests_does_not_count_as_healthy() -> None:
    shown = snapshot()
    shown.features[4, 1] = 0.0
    report, _ = played(scenario(Breaks(AUTH_CRASHED)), NAME_AUTH, FIX_AUTH, max_steps=6, world=Staged(shown))
    assert report.reason == "no recovery within 6 steps: payments answers 0 requests a second, objective 1"
