"""The evaluation of many episodes, and the gap between two worlds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mirr.agents.registry import PolicyName, make_policy
from mirr.env.environment import Environment
from mirr.env.evaluation import comparison, evaluation, wilson_interval
from mirr.env.rollout import EpisodeResult, play
from mirr.env.scenario import draw
from tests.env.fakes import FakeWorld

FIELDS = {
    "episodes",
    "success_rate",
    "success_interval",
    "clean_rate",
    "clean_interval",
    "diagnosis_accuracy",
    "mean_reward",
    "mean_steps",
    "mean_time_to_mitigate_s",
    "mean_steps_to_mitigate",
    "mean_failed_requests",
}


def results(world: FakeWorld, policy: PolicyName, seeds: range) -> list[EpisodeResult]:
    return [play(Environment(world), make_policy(policy, draw(seed)), seed=seed, policy_name=policy) for seed in seeds]


def failing() -> FakeWorld:
    world = FakeWorld()
    world.fails_with = "gone"
    return world


@pytest.mark.parametrize(("successes", "trials"), [(18, 20), (1, 7), (950, 1000)])
def test_the_measured_rate_is_1_96_standard_errors_from_each_bound_of_the_wilson_interval(
    successes: int, trials: int
) -> None:
    interval = wilson_interval(successes, trials)
    assert interval is not None
    for bound in interval:
        standard_error = (bound * (1 - bound) / trials) ** 0.5
        assert abs(successes / trials - bound) == pytest.approx(1.959964 * standard_error, rel=1e-6)


def test_the_wilson_interval_with_no_or_only_successes() -> None:
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.277533), abs=1e-6)
    assert wilson_interval(10, 10) == pytest.approx((0.722467, 1.0), abs=1e-6)
    assert wilson_interval(0, 0) is None


def test_void_episodes_are_counted_separately() -> None:
    played = results(FakeWorld(), PolicyName.ORACLE, range(6)) + results(failing(), PolicyName.ORACLE, range(6, 8))
    answer = evaluation("docker", "oracle", played)
    assert (answer["episodes"], answer["void"]) == (8, 2)
    overall = answer["overall"]
    assert isinstance(overall, dict)
    assert set(overall) == FIELDS
    assert (overall["episodes"], overall["success_rate"], overall["diagnosis_accuracy"]) == (6, 1.0, 1.0)


def test_the_clean_rate_counts_resolved_episodes_whose_fault_was_named_before_its_fix() -> None:
    named = results(FakeWorld(), PolicyName.ORACLE, range(3))
    lucky = [
        replace(result, report=replace(result.report, diagnosis_correct=False))
        for result in results(FakeWorld(), PolicyName.ORACLE, range(3, 6))
    ]
    overall = evaluation("sim", "both", named + lucky)["overall"]
    assert isinstance(overall, dict)
    assert (overall["success_rate"], overall["clean_rate"]) == (1.0, 0.5)
    assert overall["clean_interval"] == pytest.approx(wilson_interval(3, 6), abs=1e-6)


def test_an_undefined_value_is_null_and_not_zero() -> None:
    overall = evaluation("sim", "wait", results(FakeWorld(), PolicyName.WAIT, range(3)))["overall"]
    assert isinstance(overall, dict)
    assert overall["mean_time_to_mitigate_s"] is None
    empty = evaluation("sim", "wait", results(failing(), PolicyName.WAIT, range(3)))
    assert empty["by_mode"] == {}
    assert isinstance(empty["overall"], dict)
    assert empty["overall"]["success_interval"] is None


def test_the_gap_uses_only_seeds_that_both_worlds_finished() -> None:
    sim = results(FakeWorld(recovers_after=1), PolicyName.ORACLE, range(6))
    docker = results(FakeWorld(recovers_after=3), PolicyName.ORACLE, range(5)) + results(
        failing(), PolicyName.ORACLE, range(5, 6)
    )
    answer = comparison("oracle", sim, docker)
    gap = answer["gap"]
    assert isinstance(gap, dict)
    assert gap["pairs"] == 5
    assert gap["overall"]["mean_steps"] == 2.0
    assert gap["overall"]["mean_time_to_mitigate_s"] == 4.0
    assert gap["overall"]["success_rate"] == 0.0
    assert isinstance(answer["docker"], dict)
    assert (answer["docker"]["void"], answer["docker"]["overall"]["episodes"]) == (1, 5)
