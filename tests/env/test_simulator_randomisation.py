"""Domain randomisation, and random numbers that are drawn by a counter."""

from __future__ import annotations

import json
import statistics

import pytest

from mirr.env.dice import following_seed, noise_factors
from mirr.env.environment import Environment
from mirr.env.scenario import streams
from mirr.env.simulator.batch import BatchedSimulator
from mirr.env.simulator.fast.compiled import numbers, u64
from mirr.env.simulator.parameters import ParameterError
from mirr.env.simulator.physics import arrivals
from mirr.env.simulator.physics.profile import rules
from mirr.env.simulator.randomisation import Randomisation, Range, default_parameters, randomisable
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Fault, Service


def test_without_randomisation_every_episode_has_the_parameters_of_the_file() -> None:
    world = SimulatedWorld()
    for seed in range(5):
        world.restore(streams(seed).world)
        assert world.parameters == default_parameters()


def test_every_parameter_varies_but_the_tick_and_how_severe_a_fault_is() -> None:
    base, drawn = default_parameters(), Randomisation.everything(0.2, sets=3).draw().sets
    assert len(randomisable()) == 26 + 3 + 7 * 5
    for each in drawn:
        assert (each.tick_s, each.overload_factor) == (base.tick_s, base.overload_factor)
        assert 0.8 <= each.boot_cpu_s / base.boot_cpu_s <= 1.2
    assert len({each.services[Service.AUTH].request_cpu_s for each in drawn}) == 3


def test_a_mild_crowd_lands_wherever_parameters_vary() -> None:
    mildest = [Fault.parse(f"overloaded@1.15:{service}") for service in Service]
    sets = Randomisation.everything(0.1, sets=8).draw()
    batch = BatchedSimulator(200, parameters=sets)
    for seed in (0, 1_000):
        batch.reset(range(seed, seed + 200), faults=[mildest[place % len(mildest)] for place in range(200)])


def test_parameters_with_which_only_a_usual_crowd_lands_are_refused() -> None:
    with pytest.raises(ParameterError) as caught:
        Randomisation(ranges={"overload_factor": Range(0.85, 0.85)}, sets=1).draw()
    assert str(caught.value) == ("randomisation, set 0: overloaded@1.15:gateway does not show; narrow the ranges")


def test_with_a_star_each_service_draws_its_own_value() -> None:
    ranges = {"services.*.latency_p50_s": Range(0.5, 2.0)}
    (drawn,) = Randomisation(ranges=ranges, sets=1).draw().sets
    base = default_parameters()
    factors = {round(drawn.services[s].latency_p50_s / base.services[s].latency_p50_s, 6) for s in Service}
    assert len(factors) == 5
    assert drawn.services[Service.AUTH].request_cpu_s == base.services[Service.AUTH].request_cpu_s


def test_the_seed_of_an_episode_chooses_its_parameters_and_nothing_else_changes() -> None:
    sets = Randomisation(ranges={"retry_delay_s": Range(0.5, 2.0)}, sets=8).draw()
    plain, varied = Environment(SimulatedWorld()), Environment(SimulatedWorld(sets))
    used = set()
    for seed in range(40):
        plain.reset(seed=seed)
        varied.reset(seed=seed)
        for environment in (plain, varied):
            while environment.report is None:
                environment.step(0)
        assert plain.report is not None
        assert varied.report is not None
        assert plain.report.scenario == varied.report.scenario
        world = varied.world
        assert isinstance(world, SimulatedWorld)
        used.add(world.parameters.retry_delay_s)
    assert len(used) == 8


def test_randomisation_is_the_same_after_writing_and_reading_json() -> None:
    raw = {"sets": 4, "seed": 2, "ranges": {"boot_cpu_s": {"times": [0.8, 1.25]}, "retry_delay_s": {"between": [1, 2]}}}
    assert Randomisation.from_json(json.loads(json.dumps(Randomisation.from_json(raw).to_json()))) == (
        Randomisation.from_json(raw)
    )


def test_the_error_for_a_wrong_range_names_it() -> None:
    for raw, message in (
        ([], "randomisation: must be an object; it has sets, seed and ranges"),
        ({"range": {}}, "randomisation: unknown range; it has sets, seed and ranges"),
        ({"sets": 0}, "randomisation.sets must be a whole number from 1 up; got 0"),
        (
            {"ranges": {"boot_cpu_s": 2}},
            'randomisation.ranges.boot_cpu_s is written {"times": [low, high]} or {"between": [low, high]}; got 2',
        ),
        (
            {"ranges": {"boot_cpu_s": {"times": [2, 1]}}},
            "randomisation.ranges.boot_cpu_s.times has two positive numbers, the lower one first; got [2, 1]",
        ),
    ):
        with pytest.raises(ParameterError) as caught:
            Randomisation.from_json(raw)
        assert str(caught.value) == message
    for ranges, message in (
        ({"tick_s": Range(0.5, 2.0)}, "randomisation.ranges: no parameter tick_s that may vary"),
        ({"gravity": Range(0.5, 2.0)}, "randomisation.ranges: no parameter gravity that may vary"),
        (
            {"overload_factor": Range(0.4, 0.4)},
            "randomisation, set 0: overloaded:gateway does not show; narrow the ranges",
        ),
        (
            {"journeys_per_s.browse": Range(200, 200, relative=False)},
            "randomisation, set 0: journeys_per_s.browse: at most 40 users a tick can be drawn",
        ),
        (
            {"cpu_quota_cores": Range(0.3, 0.3)},
            "randomisation, set 0: gateway is outside its objectives in steady state; narrow the ranges",
        ),
    ):
        with pytest.raises(ParameterError) as caught:
            Randomisation(ranges=ranges, sets=1).draw()
        assert str(caught.value) == message


def test_the_number_of_users_is_poisson_and_the_scatter_is_normal() -> None:
    p = numbers(rules(default_parameters()))
    drawn = [u64(arrivals.users_draw(u64(7), float(tick))) for tick in range(20_000)]
    users = [arrivals.arrivals(p, 0, bits & u64((1 << 21) - 1)) for bits in drawn]
    assert statistics.fmean(users) == pytest.approx(7.6, abs=0.08)
    assert statistics.variance(users) == pytest.approx(7.6, abs=0.3)
    scatter = [arrivals.normal(u64(arrivals.service_draw(u64(7), float(window), 0))) for window in range(20_000)]
    assert statistics.fmean(scatter) == pytest.approx(0.0, abs=0.03)
    assert statistics.variance(scatter) == pytest.approx(1.0, abs=0.04)
    even = [arrivals.uniform(u64(arrivals.service_draw(u64(7), float(window), 0))) for window in range(20_000)]
    assert statistics.fmean(even) == pytest.approx(0.5, abs=0.01)


def test_noise_is_even_within_its_width_and_does_not_change_up() -> None:
    factors = noise_factors(2**63 + 11, 500, 0.15)
    assert factors.shape == (500, 5, 7)
    assert (factors[:, :, 0] == 1.0).all()
    others = factors[:, :, 1:]
    assert 0.85 <= others.min() < 0.8501
    assert 1.1499 < others.max() <= 1.15
    assert others.mean() == pytest.approx(1.0, abs=0.005)
    assert (noise_factors(2**63 + 11, 3, 0.15) == factors[:3]).all()


def test_the_seeds_of_following_episodes_are_all_different() -> None:
    assert following_seed(5, 0) == 5
    followers = {following_seed(seed, number) for seed in range(50) for number in range(50)}
    assert len(followers) == 2500
    assert all(0 <= seed < 2**63 for seed in followers)
