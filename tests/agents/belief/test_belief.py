"""What the belief policy believes, and what it does about it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mirr.agents.belief.belief import ANSWERS, CALM, Belief
from mirr.agents.belief.policy import LOOKS, BeliefPolicy
from mirr.agents.registry import PolicyName, make_policy
from mirr.env.environment import Environment
from mirr.env.evaluation import statistics
from mirr.env.rollout import EpisodeResult, play
from mirr.env.scenario import Scenario, Scheduled, draw
from mirr.env.simulator.fast.compiled import COMPILED
from mirr.env.simulator.parameters import load_parameters
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.tiers import TIERS
from mirr.env.vocabulary import Breaks, CheckLogs, Deploys, Fault, Service, Tier, Wait, action_text

pytestmark = pytest.mark.skipif(not COMPILED, reason="without numba it keeps too few hypotheses to be worth a test")


def breaks(text: str, step: int = 0) -> Scheduled:
    return Scheduled(step, Breaks(Fault.parse(text)))


def believed_of(tier: Tier, *timeline: Scheduled, seed: int = 7, waits: int = 0) -> Belief:
    """What is believed after some steps of waiting."""
    environment = Environment(SimulatedWorld(), TIERS[tier].config)
    belief = Belief(tier, np.random.default_rng(1))
    observation, _ = environment.reset(scenario=Scenario(seed=seed, timeline=timeline))
    belief.note(observation)
    for _ in range(waits):
        observation, *_ = environment.step(Wait())
        belief.note(observation)
    return belief


def likeliest(belief: Belief) -> str:
    answer = int(belief.odds().argmax())
    return "nothing" if answer == CALM else str(ANSWERS[answer])


def played(tier: Tier, *timeline: Scheduled, seed: int = 7) -> EpisodeResult:
    config = TIERS[tier].config
    policy = BeliefPolicy(tier, alarms_may_be_false=config.none_diagnosis)
    scenario = Scenario(seed=seed, timeline=timeline)
    return play(Environment(SimulatedWorld(), config), policy, scenario=scenario)


def actions(result: EpisodeResult) -> list[str]:
    return [text for move in result.trajectory if (text := action_text(move.action)) != "wait"]


def test_the_odds_are_a_distribution() -> None:
    odds = believed_of(Tier.HARD, breaks("crashed:auth"), waits=3).odds()
    assert odds.shape == (CALM + 1,)
    assert odds.sum() == pytest.approx(1.0)
    assert odds.min() >= 0.0


@pytest.mark.parametrize("fault", ["crashed:auth", "memory_leak:orders", "overloaded:payments", "bad_deploy:inventory"])
def test_one_observation_of_easy_is_enough(fault: str) -> None:
    belief = believed_of(Tier.EASY, breaks(fault))
    assert likeliest(belief) == fault
    assert belief.odds().max() > 0.9


def test_what_looks_alike_stays_open_until_the_log_is_read() -> None:
    belief = believed_of(Tier.MEDIUM, breaks("bad_deploy/crashing:auth"))
    odds = dict(zip(map(str, ANSWERS), belief.odds(), strict=False))
    assert odds["crashed:auth"] + odds["bad_deploy:auth"] > 0.95
    assert min(odds["crashed:auth"], odds["bad_deploy:auth"]) > 0.1


def test_the_look_that_tells_most_is_into_the_log_of_the_service_in_trouble() -> None:
    belief = believed_of(Tier.MEDIUM, breaks("crashed:payments"))
    now, then = belief.foresee(LOOKS)
    assert LOOKS[int(then.argmax())] == CheckLogs(Service.PAYMENTS)
    assert then.max() > now + 0.1
    # The other logs tell no more than the next window, which is seen in any case.
    assert np.ptp(then[:-1]) < 0.02


def test_at_first_everything_may_still_come_on_hard() -> None:
    belief = believed_of(Tier.HARD)
    assert likeliest(belief) == "nothing"
    assert belief.odds_of_a_false_alarm() < 0.5


def test_the_longer_nothing_shows_the_likelier_is_a_false_alarm() -> None:
    odds = [believed_of(Tier.HARD, waits=waits).odds_of_a_false_alarm() for waits in (0, 5, 10, 16)]
    assert odds == sorted(odds)
    assert odds[-1] > 0.9


def test_a_dead_gateway_is_the_beginning_of_a_collapse() -> None:
    odds = [believed_of(Tier.EASY, breaks("crashed:gateway"), waits=waits).odds_of_a_collapse() for waits in (0, 1)]
    assert odds[0] == 0.0  # the judge does not count the first observation
    assert odds[1] > 0.9
    assert believed_of(Tier.EASY, breaks("memory_leak:auth"), waits=1).odds_of_a_collapse() < 0.1


def test_a_crash_and_a_release_that_exits_are_told_apart_by_one_log() -> None:
    assert actions(played(Tier.MEDIUM, breaks("crashed:payments"))) == [
        "check_logs(payments)",
        "diagnose(payments, crashed)",
        "restart(payments)",
    ]
    assert actions(played(Tier.MEDIUM, breaks("bad_deploy/crashing:payments"))) == [
        "check_logs(payments)",
        "diagnose(payments, bad_deploy)",
        "rollback(payments)",
    ]


def test_a_dead_gateway_leaves_no_step_for_its_log() -> None:
    assert actions(played(Tier.EASY, breaks("crashed:gateway"))) == ["diagnose(gateway, crashed)", "restart(gateway)"]


def test_a_release_from_before_is_not_guilty() -> None:
    result = played(Tier.HARD, Scheduled(0, Deploys(Service.ORDERS)), breaks("overloaded/costly:orders", 3))
    assert "rollback(orders)" not in actions(result)
    assert result.report.clean


def test_a_second_fault_that_no_hypothesis_had_is_found_too() -> None:
    first, second = breaks("bad_deploy/slow:auth"), breaks("crashed/hung:payments", 9)
    result = played(Tier.HARD, Scheduled(0, Deploys(Service.ORDERS)), first, second)
    assert result.report.clean, actions(result)


def test_it_says_that_nothing_is_broken() -> None:
    result = played(Tier.HARD, Scheduled(0, Deploys(Service.ORDERS)))
    assert actions(result) == ["diagnose(none)"]
    assert result.report.clean


def share(results: list[EpisodeResult], name: str) -> float:
    value = statistics(results)[name]
    assert isinstance(value, float)
    return value


def all_played(tier: Tier, seeds: range, world: SimulatedWorld | None = None) -> list[EpisodeResult]:
    environment = Environment(world or SimulatedWorld(), TIERS[tier].config)
    scenarios = [draw(seed, tier=tier) for seed in seeds]
    return [play(environment, make_policy(PolicyName.BELIEF, scenario), scenario=scenario) for scenario in scenarios]


@pytest.mark.thorough
@pytest.mark.parametrize(("tier", "clean"), [(Tier.EASY, 0.95), (Tier.MEDIUM, 0.9), (Tier.HARD, 0.85)])
def test_it_resolves_most_incidents_by_knowing(tier: Tier, clean: float) -> None:
    results = all_played(tier, range(7_000, 7_020))
    assert share(results, "clean_rate") >= clean


@pytest.mark.thorough
@pytest.mark.parametrize(
    "change",
    [{"boot_cpu_s": 0.48}, {"latency_sigma": 0.8}, {"shed_cpu_s": 0.002}, {"memory_limit_mb": 180.0}],
    ids=str,
)
def test_it_also_works_on_another_machine(change: dict[str, float]) -> None:
    world = SimulatedWorld(replace(load_parameters(), **change))  # type: ignore[arg-type]  # names of fields
    assert share(all_played(Tier.MEDIUM, range(7_100, 7_110), world), "clean_rate") >= 0.85


def test_the_same_policy_plays_one_episode_after_the_other() -> None:
    policy = BeliefPolicy(Tier.MEDIUM, alarms_may_be_false=False, size=512)
    environment = Environment(SimulatedWorld())

    def moves(seed: int) -> list[str]:
        return [
            action_text(m.action) for m in play(environment, policy, scenario=draw(seed, tier=Tier.MEDIUM)).trajectory
        ]

    first = [moves(seed) for seed in range(4)]
    assert [moves(seed) for seed in range(4)] == first
