"""A batch plays whole timelines as one environment does: drawn on `hard`, of packs, and of any scenario."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mirr.env.dice import following_seed
from mirr.env.environment import Environment, EpisodeError
from mirr.env.forms import fault_of
from mirr.env.scenario import TRAFFIC, BadScenario, EpisodeConfig, Scenario, Scheduled, draw
from mirr.env.simulator.batch import Autoreset, BatchedSimulator
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import COMPILED
from mirr.env.simulator.randomisation import Randomisation
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import (
    Breaks,
    Bursts,
    Deploys,
    Ends,
    Event,
    Fault,
    FaultMode,
    Service,
    Tier,
    TrafficChanges,
)
from mirr.scenarios.packs import PACK_CONFIG, all_packs
from tests.env.every_form import every_fault
from tests.env.test_batch import assert_same_episodes, everything_shown
from tests.trials import first_is_quick

SIZE = 150 if COMPILED else 12
SERVICES = tuple(Service)
CROWD = Fault.parse("overloaded:auth")


def planned(batch: BatchedSimulator, e: int) -> tuple[Scheduled, ...]:
    """The timeline in the row of environment `e`."""
    b = batch._lanes.rows[e]
    faults = [
        fault_of(int(b[k.FORM + number]), SERVICES[int(b[k.SERVICE + number])], float(b[k.SEVERITY + number]))
        for number in range(int(b[k.FAULTS]))
    ]
    found = []
    for number in range(int(b[k.EVENTS_PLANNED])):
        at = k.EVENTS + number * k.EVENT_SIZE
        step, kind, of, first, last, seconds = (float(each) for each in b[at : at + k.EVENT_SIZE])
        event: Event
        if kind == k.TRAFFIC_CHANGES:
            event = TrafficChanges(first, last, seconds)
        elif kind == k.BURSTS_OUT:
            event = Bursts(SERVICES[int(of)], first, seconds)
        elif kind == k.DEPLOYS:
            event = Deploys(SERVICES[int(of)])
        else:
            event = Breaks(faults[int(of)]) if kind == k.BREAKS else Ends(faults[int(of)])
        found.append(Scheduled(int(step), event))
    return tuple(found)


@pytest.mark.parametrize("tier", first_is_quick(Tier))
def test_compiled_code_draws_the_timeline_of_the_seed(tier: Tier) -> None:
    size = 3_000 if COMPILED else 60
    batch = BatchedSimulator(size, tier=tier)
    batch.reset(range(size))
    for e in range(size):
        assert planned(batch, e) == draw(e, tier=tier).timeline
    given = every_fault()
    batch = BatchedSimulator(len(given), tier=tier)
    batch.reset(range(len(given)), faults=given)
    for e, fault in enumerate(given):
        assert planned(batch, e) == draw(e, fault, tier).timeline


@pytest.mark.thorough
@pytest.mark.parametrize("parameters", [None, Randomisation.everything(0.05, sets=4)], ids=["fixed", "random"])
def test_hard_seeds_play_the_same_in_a_batch_and_alone(parameters: Randomisation | None) -> None:
    sets = None if parameters is None else parameters.draw()
    batch = BatchedSimulator(SIZE, tier=Tier.HARD, autoreset=Autoreset.SAME_STEP, parameters=sets)
    assert batch.config.none_diagnosis
    assert_same_episodes(batch, list(range(SIZE)), sets)


@pytest.mark.thorough
def test_given_faults_keep_the_surroundings_of_hard_in_a_batch_too() -> None:
    faults = every_fault()[:: 1 if COMPILED else 8]
    batch = BatchedSimulator(len(faults), tier=Tier.HARD, autoreset=Autoreset.SAME_STEP)
    assert_same_episodes(batch, list(range(len(faults))), faults=faults)


def test_packs_play_the_same_in_a_batch_and_alone() -> None:
    scenarios = [pack.scenario() for pack in all_packs()] * (8 if COMPILED else 1)
    batch = BatchedSimulator(len(scenarios), config=PACK_CONFIG, autoreset=Autoreset.SAME_STEP)
    assert_same_episodes(batch, list(range(len(scenarios))), scenarios=scenarios)


def random_scenario(rng: np.random.Generator, faults: list[Fault]) -> Scenario:
    """Any events at any steps: faults of one service too, bursts where a fault is, and faults that end at once."""
    timeline: list[Scheduled] = []

    def step() -> int:
        return int(rng.choice([0, 0, int(rng.integers(1, 10)), int(rng.integers(1, 40))]))

    for number in rng.choice(len(faults), size=rng.integers(0, 3), replace=False):
        begins = step()
        if any(isinstance(entry.event, Breaks) for entry in timeline) and faults[number].mode is FaultMode.BAD_DEPLOY:
            begins += 1  # two faulty releases at once may keep each other from landing
        timeline.append(Scheduled(begins, Breaks(faults[number])))
        if rng.random() < 0.3:
            timeline.append(Scheduled(begins + int(rng.integers(0, 6)), Ends(faults[number])))
    for _ in range(rng.integers(0, 3)):
        first, last = rng.uniform(*TRAFFIC, size=2)
        timeline.append(
            Scheduled(step(), TrafficChanges(float(first), float(last), float(rng.choice([0.0, 5.0, 60.0]))))
        )
    for _ in range(rng.integers(0, 4)):
        timeline.append(Scheduled(step(), Deploys(SERVICES[rng.integers(len(SERVICES))])))
    for _ in range(rng.integers(0, 3)):
        burst = Bursts(
            SERVICES[rng.integers(len(SERVICES))], float(rng.uniform(0.1, 0.35)), float(rng.uniform(1.0, 20.0))
        )
        timeline.append(Scheduled(step(), burst))
    rng.shuffle(timeline)
    return Scenario(seed=int(rng.integers(2**40)), timeline=tuple(timeline))


@pytest.mark.parametrize("block", first_is_quick(range(4)))
def test_any_scenario_plays_the_same_in_a_batch_and_alone(block: int) -> None:
    rng = np.random.default_rng(block)
    quick = [fault for fault in every_fault() if str(fault.mode) in ("crashed", "bad_deploy")]
    scenarios = [random_scenario(rng, quick) for _ in range(SIZE)]
    config = EpisodeConfig(none_diagnosis=True, step_s=float(rng.choice([2.0, 1.2])))
    batch = BatchedSimulator(SIZE, config=config, autoreset=Autoreset.SAME_STEP)
    assert_same_episodes(batch, [scenario.seed for scenario in scenarios], scenarios=scenarios)


def test_scenarios_have_seeds_of_their_own_and_are_played_again_with_the_following_ones() -> None:
    pack, other = all_packs()[0].scenario(5), draw(9, tier=Tier.HARD)
    config = replace(PACK_CONFIG, max_steps=2)
    batch = BatchedSimulator(3, config=config, autoreset=Autoreset.SAME_STEP)
    batch.reset(scenarios=[pack, other, pack])
    assert [batch.scenario(e) for e in range(3)] == [pack, other, pack]
    batch.step([0, 0, 0])
    batch.step([0, 0, 0])
    assert [batch.report(e).scenario for e in range(3)] == [pack, other, pack]
    again = [replace(each, seed=following_seed(each.seed, 1)) for each in (pack, other, pack)]
    assert [batch.scenario(e) for e in range(3)] == again
    alone = Environment(SimulatedWorld(), config)
    for e, scenario in enumerate(again):
        assert everything_shown(batch.observation(e)) == everything_shown(alone.reset(scenario=scenario)[0])
    batch.reset([1, 2, 3], scenarios=pack)
    assert [batch.scenario(e).seed for e in range(3)] == [1, 2, 3]


def test_the_next_reset_forgets_a_scenario_and_a_mask_keeps_it() -> None:
    pack = all_packs()[0].scenario(5)
    batch = BatchedSimulator(3, config=PACK_CONFIG)
    batch.reset(scenarios=pack)
    batch.reset([1, 2, 3], mask=[True, False, True])
    assert [batch.scenario(e) for e in range(3)] == [draw(1), pack, draw(3)]
    batch.reset([1, 2, 3], faults=CROWD, mask=[False, True, False])
    assert [batch.scenario(e) for e in range(3)] == [draw(1), draw(2, CROWD), draw(3)]
    for number in range(20):
        batch.reset(scenarios=draw(number, tier=Tier.HARD))
    assert len(batch._scenarios) == 2  # the last two: no environment has a trace of the others


def test_a_batch_of_hard_has_42_actions_and_others_have_41() -> None:
    assert [BatchedSimulator(1, tier=tier).choices for tier in Tier] == [41, 41, 42]
    assert BatchedSimulator(1, config=EpisodeConfig(), tier=Tier.HARD).choices == 41
    batch = BatchedSimulator(1, tier=Tier.HARD)
    batch.reset([1])
    with pytest.raises(EpisodeError, match=r"^action numbers go from 0 to 41; environment 0 got 42$"):
        batch.step([42])


def test_scenarios_that_a_batch_cannot_play_are_refused_before_anything_changes() -> None:
    batch = BatchedSimulator(2, config=PACK_CONFIG)
    before = batch.reset([1, 2]).copy()
    crash, leak = Fault.parse("crashed:auth"), Fault.parse("memory_leak:orders")
    three = tuple(Scheduled(0, Breaks(fault)) for fault in (crash, leak, CROWD))
    twice = (Scheduled(0, Breaks(crash)), Scheduled(5, Breaks(crash)))
    many = tuple(Scheduled(step, TrafficChanges(1.0, 1.1)) for step in range(17))
    for timeline, message in (
        (
            three,
            "a batch plays at most 2 different faults in an episode; got crashed:auth, memory_leak:orders, "
            "overloaded:auth; next: play it with Environment",
        ),
        (
            twice,
            "a batch plays at most 2 different faults in an episode; got crashed:auth, crashed:auth; next: play it "
            "with Environment",
        ),
        (many, "a batch plays timelines of at most 16 events; got 17; next: play it with Environment"),
        ((Scheduled(3, Ends(crash)),), "crashed:auth ends, but never begins"),
    ):
        with pytest.raises(BadScenario) as caught:
            batch.reset(scenarios=Scenario(seed=1, timeline=timeline))
        assert str(caught.value) == message
    with pytest.raises(BadScenario, match=r"^a scenario is a Scenario, as a pack's scenario\(\) gives; got 7$"):
        batch.reset(scenarios=[7, 7])  # type: ignore[list-item]  # that is what is refused
    refusals: tuple[tuple[Callable[[], object], str], ...] = (
        (lambda: batch.reset(scenarios=[draw(1)]), "a batch of 2 takes one scenario or 2; got 1"),
        (
            lambda: batch.reset([1, 2], scenarios=draw(1), faults=crash),
            "reset takes scenarios, or else faults; a scenario has its own",
        ),
    )
    for call, message in refusals:
        with pytest.raises(EpisodeError) as refused:
            call()
        assert str(refused.value) == message
    np.testing.assert_array_equal(batch.features, before)
    assert [batch.scenario(e) for e in range(2)] == [draw(1), draw(2)]
