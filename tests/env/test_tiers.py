"""The tiers: what their seeds stand for, in one environment and in a batch."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from mirr.env.environment import Environment, EpisodeError
from mirr.env.forms import all_forms, form_name, form_numbers, numbered_forms
from mirr.env.rollout import play
from mirr.env.scenario import TRAFFIC, EpisodeConfig, Scenario, Scheduled, draw
from mirr.env.simulator.batch import BatchedSimulator
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.tiers import TIERS
from mirr.env.tiers.hard import (
    BURST,
    BURST_STEPS,
    DRIFT,
    LATEST_ONSET,
    NOTHING_BROKEN,
    SECOND_AFTER,
    SECOND_FAULT,
)
from mirr.env.vocabulary import (
    ACTIONS,
    ALL_FAULTS,
    Breaks,
    Bursts,
    Deploys,
    DiagnoseNone,
    Fault,
    Service,
    Surrounding,
    Tier,
    TrafficChanges,
    UnknownName,
)
from tests.env.fakes import FakeWorld

SEEDS = range(4_000)


@pytest.fixture(scope="module")
def easy() -> list[Fault]:
    """What breaks in the seeds on easy."""
    return [draw(seed).faults[0] for seed in SEEDS]


@pytest.fixture(scope="module")
def medium() -> list[Fault]:
    """What breaks in them on medium."""
    return [draw(seed, tier=Tier.MEDIUM).faults[0] for seed in SEEDS]


@pytest.fixture(scope="module")
def hard() -> list[Scenario]:
    """What happens in them on hard."""
    return [draw(seed, tier=Tier.HARD) for seed in SEEDS]


def test_every_tier_is_in_the_table() -> None:
    assert list(TIERS) == list(Tier)


def test_a_seed_has_the_same_service_in_every_tier_and_the_same_mode_on_easy_and_medium(
    easy: list[Fault], medium: list[Fault], hard: list[Scenario]
) -> None:
    assert all(fault in ALL_FAULTS for fault in easy)
    assert [(fault.mode, fault.service) for fault in medium] == [(fault.mode, fault.service) for fault in easy]
    assert {
        (scenario.faults[0].service, fault.service)
        for scenario, fault in zip(hard, easy, strict=True)
        if scenario.faults
    } == {(service, service) for service in Service}


def test_hard_draws_every_form_equally_often_and_severities_that_leave_room_for_users(hard: list[Scenario]) -> None:
    first = [scenario.faults[0] for scenario in hard if scenario.faults]
    names = Counter((fault.mode, form_name(fault.mode, fault.form)) for fault in first)
    assert set(names) == {(mode, name) for mode, forms in all_forms().items() for name in forms}
    for (mode, name), count in names.items():
        assert count == pytest.approx(len(first) / len(names), rel=0.25)
        can = all_forms()[mode][name].severity
        drawn = [fault.severity for fault in first if (fault.mode, form_name(fault.mode, fault.form)) == (mode, name)]
        if can is None:
            assert set(drawn) == {None}
            continue
        most = can.most if can.most_if_users_vary is None else can.most_if_users_vary
        assert all(severity is not None and can.least <= severity < most for severity in drawn)


def test_hard_leaves_some_alarms_false_and_breaks_two_things_in_some_episodes(hard: list[Scenario]) -> None:
    numbers = Counter(len(scenario.faults) for scenario in hard)
    assert numbers[0] / len(hard) == pytest.approx(NOTHING_BROKEN, abs=0.02)
    assert numbers[2] / (numbers[1] + numbers[2]) == pytest.approx(SECOND_FAULT, abs=0.02)
    assert set(numbers) == {0, 1, 2}
    for scenario in hard:
        onsets = [entry.step for entry in scenario.timeline if isinstance(entry.event, Breaks)]
        assert len({fault.service for fault in scenario.faults}) == len(onsets)
        assert all(0 <= step <= LATEST_ONSET for step in onsets[:1])
        assert all(SECOND_AFTER[0] <= step - onsets[0] <= SECOND_AFTER[1] for step in onsets[1:])
    seconds = {(fault.mode, fault.service) for scenario in hard for fault in scenario.faults[1:]}
    assert seconds == {_answer(fault) for fault in ALL_FAULTS}


def test_hard_has_traffic_and_a_deploy_in_every_episode_and_a_burst_on_an_innocent_service_in_some(
    hard: list[Scenario],
) -> None:
    bursts = []
    for scenario in hard:
        around = [entry for entry in scenario.timeline if isinstance(entry.event, Surrounding)]
        (traffic,) = [entry.event for entry in around if isinstance(entry.event, TrafficChanges)]
        assert TRAFFIC[0] <= traffic.first <= TRAFFIC[1]
        assert abs(traffic.last - traffic.first) <= DRIFT
        deployed = [entry for entry in around if isinstance(entry.event, Deploys)]
        assert 1 <= len(deployed) == len({str(entry.event) for entry in deployed}) <= len(Service)
        assert all(entry.step == 0 for entry in deployed)
        burst = [entry for entry in around if isinstance(entry.event, Bursts)]
        bursts += burst
        culprits = {fault.service for fault in scenario.faults}
        assert len(burst) <= 1
        assert not culprits & {entry.event.service for entry in burst if isinstance(entry.event, Bursts)}
        assert all(BURST_STEPS[0] <= entry.step <= BURST_STEPS[1] for entry in burst)
    assert len(bursts) / len(hard) == pytest.approx(BURST, abs=0.03)


def test_easy_is_what_a_seed_draws_if_no_tier_is_named() -> None:
    assert draw(5) == draw(5, tier=Tier.EASY)
    assert draw(5).tier is Tier.EASY


def test_medium_draws_every_form_of_every_fault_about_equally_often(medium: list[Fault]) -> None:
    for base in ALL_FAULTS:
        names = [form_name(base.mode, fault.form) for fault in medium if (fault.mode, fault.service) == _answer(base)]
        forms = [numbered_forms()[number] for number in form_numbers(base.mode, base.service)]
        known = [name for name, form in all_forms()[base.mode].items() if form in forms]
        assert set(names) == set(known)
        for name in known:
            assert names.count(name) == pytest.approx(len(names) / len(known), rel=0.5)


def _answer(fault: Fault) -> tuple[object, object]:
    return fault.mode, fault.service


def test_medium_draws_severities_evenly_over_the_range_of_the_form(medium: list[Fault]) -> None:
    for mode, forms in all_forms().items():
        for name, form in forms.items():
            drawn = [fault.severity for fault in medium if fault.mode is mode and form_name(mode, fault.form) == name]
            if form.severity is None:
                assert set(drawn) == {None}
                continue
            least, most = form.severity.least, form.severity.most
            shares = np.array([(severity - least) / (most - least) for severity in drawn if severity is not None])
            assert len(shares) == len(drawn)
            assert (shares >= 0.0).all()
            assert (shares < 1.0).all()
            assert np.histogram(shares, bins=4, range=(0.0, 1.0))[0] == pytest.approx(len(shares) / 4, rel=0.5)


@pytest.mark.parametrize("tier", Tier)
@pytest.mark.parametrize("text", ["overloaded:auth", "overloaded@1.8:auth"])
def test_a_given_fault_is_played_as_it_is_in_every_tier(tier: Tier, text: str) -> None:
    fault = Fault.parse(text)
    for seed in range(50):
        scenario = draw(seed, fault, tier)
        assert scenario.faults == (fault,)
        if tier is not Tier.HARD:
            assert scenario == Scenario(seed=seed, timeline=(Scheduled(0, Breaks(fault)),), tier=tier)


def test_a_given_fault_keeps_the_surroundings_that_hard_draws() -> None:
    fault, bursts = Fault.parse("crashed:auth"), 0
    for seed in range(200):
        given, drawn = draw(seed, fault, Tier.HARD), draw(seed, tier=Tier.HARD)
        assert _steady_surroundings(given) == _steady_surroundings(drawn)
        found, expected = _bursts(given), _bursts(drawn)
        assert [(entry.step, burst.load, burst.for_s) for entry, burst in found] == [
            (entry.step, burst.load, burst.for_s) for entry, burst in expected
        ]
        assert all(burst.service is not fault.service for _, burst in found)
        bursts += len(found)
    assert bursts > 0


def _steady_surroundings(scenario: Scenario) -> list[Scheduled]:
    return [entry for entry in scenario.timeline if isinstance(entry.event, TrafficChanges | Deploys)]


def _bursts(scenario: Scenario) -> list[tuple[Scheduled, Bursts]]:
    return [(entry, entry.event) for entry in scenario.timeline if isinstance(entry.event, Bursts)]


@pytest.mark.parametrize("tier", Tier)
def test_a_batch_draws_what_a_seed_draws_alone(tier: Tier) -> None:
    batch = BatchedSimulator(400, tier=tier)
    batch.reset(range(400))
    assert [batch.scenario(e) for e in range(400)] == [draw(seed, tier=tier) for seed in range(400)]
    batch.reset()
    assert batch.scenario(3).tier is tier


def test_a_fault_given_to_a_batch_is_played_as_it_is_in_every_tier() -> None:
    crowd = Fault.parse("overloaded:auth")
    batch = BatchedSimulator(3, tier=Tier.MEDIUM)
    batch.reset(range(3), faults=[crowd, None, None])
    assert [batch.scenario(e) for e in range(3)] == [draw(0, crowd, Tier.MEDIUM)] + [
        draw(seed, tier=Tier.MEDIUM) for seed in (1, 2)
    ]


def test_an_unknown_tier_is_refused_before_anything_is_touched() -> None:
    world = FakeWorld()
    for refused in (
        lambda: draw(1, tier="insane"),  # type: ignore[arg-type]  # that is what is refused
        lambda: Environment(world).reset(seed=1, tier="insane"),  # type: ignore[arg-type]
        lambda: BatchedSimulator(2, tier="insane"),  # type: ignore[arg-type]
        lambda: Scenario(seed=1, timeline=(), tier="insane"),  # type: ignore[arg-type]
    ):
        with pytest.raises(UnknownName, match=r"^unknown tier 'insane'; one of: easy, medium, hard$"):
            refused()
    assert world.restored_with is None


def test_a_scenario_has_a_tier_of_its_own() -> None:
    scenario = draw(1, tier=Tier.MEDIUM)
    with pytest.raises(EpisodeError, match=r"^reset takes a scenario, or else a seed, a fault and a tier; "):
        Environment(FakeWorld()).reset(scenario=scenario, tier=Tier.MEDIUM)
    with pytest.raises(EpisodeError, match=r"^play takes a scenario, or else a seed, a fault and a tier; "):
        play(Environment(FakeWorld()), None, scenario=scenario, tier=Tier.EASY)  # type: ignore[arg-type]


def test_an_environment_without_a_configuration_plays_as_the_tier_says() -> None:
    environment = Environment(SimulatedWorld())
    environment.reset(seed=2, tier=Tier.HARD)  # nothing is broken in this one
    observation, *_ = environment.step(len(ACTIONS))  # the action after the last one of `easy`
    assert observation.last_action == DiagnoseNone()
    environment.reset(seed=2)
    with pytest.raises(EpisodeError, match=r"^action numbers go from 0 to 40; got 41$"):
        environment.step(len(ACTIONS))
    own = EpisodeConfig(max_steps=7)
    mine = Environment(SimulatedWorld(), own)
    mine.reset(seed=2, tier=Tier.HARD)
    assert mine.config is own
