"""The policies on the simulator: the honest policy earns most, and tricks do not pay."""

from __future__ import annotations

from collections.abc import Callable
from statistics import mean

import numpy as np
import pytest

from mirr.agents.registry import POLICIES, PolicyName, make_policy
from mirr.env.environment import Environment, Observation
from mirr.env.evaluation import evaluation
from mirr.env.rollout import EpisodeResult, Policy, play
from mirr.env.scenario import Scenario, draw
from mirr.env.simulator.parameters import Parameters, load_parameters
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import (
    ALL_FAULTS,
    REMEDY,
    Action,
    Diagnose,
    Fault,
    FaultMode,
    Feature,
    Fix,
    Restart,
    ScaleUp,
    Service,
    UnknownName,
    Wait,
)

SEEDS = range(60)


class Scripted:
    """A policy that calls a function with the observation to get its action."""

    def __init__(self, act: Callable[[Observation], Action]) -> None:
        self._act = act

    def reset(self, rng: np.random.Generator) -> None:
        pass

    def act(self, observation: Observation) -> Action:
        return self._act(observation)


def all_played(make: Callable[[Scenario], Policy], seeds: range = SEEDS) -> list[EpisodeResult]:
    environment = Environment(SimulatedWorld())
    return [play(environment, make(draw(seed)), seed=seed) for seed in seeds]


def reward_of(make: Callable[[Scenario], Policy]) -> float:
    return mean(result.report.total_reward for result in all_played(make))


def remedy(scenario: Scenario) -> Fix:
    fault = scenario.faults[0]
    return REMEDY[fault.mode](fault.service)


def first_alert(observation: Observation) -> Action:
    """Blames the service with the most errors and restarts it. It does not look at anything else."""
    errors = [observation.value(service, Feature.ERROR_RATIO) for service in Service]
    worst = list(Service)[int(np.nanargmax(errors))]
    return Diagnose(worst, FaultMode.CRASHED) if observation.step == 0 else Restart(worst)


ADVERSARIES: dict[str, Callable[[Scenario], Policy]] = {
    "repeats the right fix": lambda scenario: Scripted(lambda _: remedy(scenario)),
    "diagnoses everything": lambda _: Scripted(
        lambda o: Diagnose(list(Service)[o.step % 5], list(FaultMode)[o.step // 5 % 4])
    ),
    "restarts everything": lambda _: Scripted(lambda o: Restart(list(Service)[o.step % 5])),
    "scales everything": lambda _: Scripted(lambda o: ScaleUp(list(Service)[o.step % 5])),
    "waits": lambda _: Scripted(lambda _: Wait()),
    "believes the first alert": lambda _: Scripted(first_alert),
    "names the fault after the fix": lambda scenario: Scripted(
        lambda o: remedy(scenario) if o.step == 0 else Diagnose(scenario.faults[0].service, scenario.faults[0].mode)
    ),
    "random": POLICIES[PolicyName.RANDOM],
    "brute force": POLICIES[PolicyName.BRUTE_FORCE],
}


@pytest.mark.thorough
def test_the_honest_policy_earns_more_than_every_adversary() -> None:
    honest = reward_of(POLICIES[PolicyName.HEURISTIC])
    earned = {name: reward_of(make) for name, make in ADVERSARIES.items()}
    assert all(reward < honest - 20 for reward in earned.values()), (honest, earned)


def test_the_heuristic_resolves_and_names_nearly_every_fault() -> None:
    overall = evaluation("sim", "heuristic", all_played(POLICIES[PolicyName.HEURISTIC], range(1000, 1200)))["overall"]
    assert isinstance(overall, dict)
    assert overall["success_rate"] >= 0.95
    assert overall["diagnosis_accuracy"] >= 0.9


def changed(**changes: float) -> Parameters:
    from dataclasses import replace

    return replace(load_parameters(), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "parameters",
    [
        changed(overload_factor=1.3),
        changed(boot_cpu_s=1.0),
        changed(in_flight_limit=24.0),
        changed(leak_body_mb=0.55),
        changed(memory_limit_mb=180.0),
        changed(shed_cpu_s=0.002),
        changed(latency_sigma=0.8),
        changed(leak_request_cpu_s=0.012),
    ],
    ids=lambda _: "changed",
)
def test_the_heuristic_also_works_with_changed_parameters(parameters: Parameters) -> None:
    environment = Environment(SimulatedWorld(parameters))
    scenarios = [draw(9, fault) for fault in ALL_FAULTS]
    played = [
        play(environment, make_policy(PolicyName.HEURISTIC, scenario), scenario=scenario) for scenario in scenarios
    ]
    overall = evaluation("sim", "heuristic", played)["overall"]
    assert isinstance(overall, dict)
    assert overall["success_rate"] >= 0.9
    assert overall["diagnosis_accuracy"] >= 0.85


@pytest.mark.parametrize("fault", ALL_FAULTS, ids=str)
def test_the_oracle_resolves_every_fault(fault: Fault) -> None:
    result = play(Environment(SimulatedWorld()), make_policy(PolicyName.ORACLE, draw(0, fault)), seed=1, fault=fault)
    assert str(result.report.outcome) == "resolved"
    assert result.report.clean
    assert result.report.harm.needless_actions == 0


def test_every_policy_is_registered_and_the_error_for_an_unknown_policy_lists_them() -> None:
    from mirr.agents.registry import parse_policy

    assert set(POLICIES) == set(PolicyName)
    with pytest.raises(UnknownName) as caught:
        parse_policy("clever")
    assert str(caught.value) == (
        "unknown policy 'clever'; one of: wait, random, brute_force, heuristic, detective, belief, baro, trained_lm, "
        "ppo, llm, oracle, farm, restart_all, "
        "scale_all, rollback_all, first_alert, only_up, only_latency, only_cpu, only_memory, only_errors, "
        "only_log_volume"
    )
