"""The detective: its table of cases, what it pays for, and what it does where alarms may be false."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from mirr.agents.casebook import CASES, IN_THE_LOG, Case, Sign, open_cases, verdict
from mirr.agents.detective import CALM_STEPS, DetectivePolicy
from mirr.agents.registry import PolicyName, make_policy
from mirr.env.environment import Environment
from mirr.env.evaluation import statistics
from mirr.env.forms import all_forms
from mirr.env.rollout import EpisodeResult, play
from mirr.env.scenario import EpisodeConfig, Scenario, Scheduled, draw
from mirr.env.simulator.parameters import load_parameters
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Action, Breaks, Deploys, Fault, FaultMode, Service, Tier, action_text
from tests.env.every_form import every_fault
from tests.trials import first_is_quick

FALSE_ALARMS = EpisodeConfig(none_diagnosis=True)


def on_medium(name: PolicyName, seeds: range) -> list[EpisodeResult]:
    environment = Environment(SimulatedWorld())
    scenarios = [draw(seed, tier=Tier.MEDIUM) for seed in seeds]
    return [play(environment, make_policy(name, scenario), scenario=scenario) for scenario in scenarios]


def rate(results: list[EpisodeResult], name: str) -> float:
    value = statistics(results)[name]
    assert isinstance(value, float)
    return value


def played(*timeline: Scheduled, seed: int = 3) -> EpisodeResult:
    """An episode in which alarms may be false."""
    scenario = Scenario(seed=seed, timeline=timeline)
    return play(
        Environment(SimulatedWorld(), FALSE_ALARMS), DetectivePolicy(alarms_may_be_false=True), scenario=scenario
    )


def breaks(text: str, step: int = 0) -> Scheduled:
    return Scheduled(step, Breaks(Fault.parse(text)))


def actions(result: EpisodeResult) -> list[str]:
    return [action_text(move.action) for move in result.trajectory]


def of_fault(text: str, seed: int = 1) -> list[str]:
    result = play(Environment(SimulatedWorld()), DetectivePolicy(), seed=seed, fault=Fault.parse(text))
    assert result.report.clean
    return [text for text in actions(result) if text != "wait"]


def test_every_case_is_of_a_form_that_there_is_and_every_mode_has_one() -> None:
    named = {(case.mode, case.form) for case in CASES}
    assert named <= {(mode, name) for mode, forms in all_forms().items() for name in forms}
    assert {mode for mode, _ in named} == set(FaultMode)


def test_if_every_sign_is_known_no_two_modes_are_proved() -> None:
    for values in product((False, True), repeat=len(Sign)):
        known = dict(zip(Sign, values, strict=True))
        if known[Sign.DOWN] and (known[Sign.SWAMPED] or known[Sign.FAILING]):
            continue  # of a service that is down, neither can be seen
        assert len({case.mode for case in open_cases(known)}) <= 1, known


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.form)
def test_a_case_is_proved_by_its_own_signs(case: Case) -> None:
    known = dict.fromkeys(Sign, False) | dict(case.signs)
    assert verdict(open_cases(known), known) is case.mode


def test_nothing_is_proved_as_long_as_the_log_could_tell_otherwise() -> None:
    down = {sign: sign is Sign.DOWN for sign in Sign if sign not in IN_THE_LOG}
    assert {case.mode for case in open_cases(down)} == {FaultMode.CRASHED, FaultMode.BAD_DEPLOY}
    assert verdict(open_cases(down), down) is None
    told = down | {Sign.EXITED: False, Sign.DEPLOYED: False}
    assert verdict(open_cases(told), told) is FaultMode.CRASHED


def test_a_mode_whose_fix_did_not_help_is_not_named_again() -> None:
    known = dict.fromkeys(Sign, False) | {Sign.DOWN: True}
    assert open_cases(known, {FaultMode.CRASHED}) == []


@pytest.mark.thorough
def test_it_resolves_almost_every_incident_of_medium_by_knowing() -> None:
    results = on_medium(PolicyName.DETECTIVE, range(5_000, 5_400))
    assert rate(results, "success_rate") >= 0.98
    assert rate(results, "clean_rate") >= 0.95


@pytest.mark.thorough
def test_it_knows_more_often_than_the_heuristic() -> None:
    seeds = range(6_000, 6_200)
    detective, heuristic = (on_medium(name, seeds) for name in (PolicyName.DETECTIVE, PolicyName.HEURISTIC))
    assert rate(detective, "clean_rate") >= rate(heuristic, "clean_rate") + 0.05


def test_it_reads_one_log_to_tell_a_crash_from_a_release_that_exits() -> None:
    assert of_fault("crashed:auth") == ["check_logs(auth)", "diagnose(auth, crashed)", "restart(auth)"]
    assert of_fault("bad_deploy/crashing:auth") == [
        "check_logs(auth)",
        "diagnose(auth, bad_deploy)",
        "rollback(auth)",
    ]


def test_it_does_not_pay_for_the_log_of_a_service_that_many_ask() -> None:
    assert of_fault("overloaded:payments") == ["diagnose(payments, overloaded)", "scale_up(payments)"]


def test_a_dead_gateway_leaves_no_step_for_its_log() -> None:
    assert of_fault("crashed/hung:gateway") == ["diagnose(gateway, crashed)", "restart(gateway)"]


def test_it_says_that_nothing_is_broken_once_the_slowest_fault_would_have_shown() -> None:
    result = played()
    assert actions(result).index("diagnose(none)") == CALM_STEPS
    assert result.report.clean


@pytest.mark.parametrize(
    "fault", ["memory_leak@0.015:payments", "bad_deploy/leaky@0.015:gateway", "overloaded@1.15:auth"]
)
def test_it_is_not_calm_while_a_slow_fault_may_still_come(fault: str) -> None:
    result = played(breaks(fault, 6))
    assert "diagnose(none)" not in actions(result)
    assert result.report.clean


@pytest.mark.parametrize("fault", ["overloaded:orders", "overloaded/costly:orders", "memory_leak:orders"])
def test_a_release_from_before_is_not_guilty(fault: str) -> None:
    result = played(Scheduled(0, Deploys(Service.ORDERS)), breaks(fault))
    assert "rollback(orders)" not in actions(result)
    assert result.report.clean


@pytest.mark.parametrize("form", ["errors", "slow", "leaky", "crashing"])
def test_a_bad_release_after_a_good_one_is_found(form: str) -> None:
    result = played(Scheduled(0, Deploys(Service.INVENTORY)), breaks(f"bad_deploy/{form}:inventory", 3))
    assert result.report.clean, actions(result)


def test_it_goes_on_watching_after_the_first_fix() -> None:
    result = played(breaks("bad_deploy/slow:auth"), breaks("crashed/hung:payments", 9))
    assert result.report.clean, actions(result)


def test_it_restarts_a_leak_that_comes_back_while_a_second_fault_is_awaited() -> None:
    result = played(breaks("memory_leak@0.05:auth"), breaks("overloaded:payments", 12))
    assert result.report.clean, actions(result)
    assert actions(result).count("restart(auth)") >= 2


@pytest.mark.parametrize(
    "change",
    first_is_quick([{"boot_cpu_s": 0.36}, {"in_flight_limit": 24.0}, {"latency_sigma": 0.8}, {"shed_cpu_s": 0.002}]),
    ids=str,
)
def test_it_also_works_on_another_machine(change: dict[str, float]) -> None:
    world = SimulatedWorld(replace(load_parameters(), **change))  # type: ignore[arg-type]  # names of fields
    faults = [fault for fault in every_fault() if fault.severity is None]
    results = [play(Environment(world), DetectivePolicy(), scenario=draw(9, fault)) for fault in faults]
    assert rate(results, "success_rate") >= 0.98
    unclean = {str(result.report.scenario.faults[0]) for result in results if not result.report.clean}
    assert unclean <= {"bad_deploy/crashing:gateway"}  # the log would tell, and there is no step for it


def test_the_same_policy_plays_one_episode_after_the_other() -> None:
    policy, environment = DetectivePolicy(), Environment(SimulatedWorld())

    def moves(seed: int) -> list[Action]:
        scenario = draw(seed, tier=Tier.MEDIUM)
        return [move.action for move in play(environment, policy, scenario=scenario).trajectory]

    first = [moves(seed) for seed in range(20)]
    assert [moves(seed) for seed in range(20)] == first
