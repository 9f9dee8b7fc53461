"""A seed always gives the same scenario."""

from __future__ import annotations

from collections import Counter
from dataclasses import astuple

import numpy as np

from mirr.env.dice import GOLDEN, Stream, below, mix, root_of, uniform
from mirr.env.environment import Environment
from mirr.env.scenario import draw, policy_rng, streams
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import ALL_FAULTS, Fault
from tests.env.fakes import FakeWorld


def test_a_seed_always_gives_the_same_scenario() -> None:
    assert [draw(seed) for seed in range(50)] == [draw(seed) for seed in range(50)]


def test_seeds_draw_every_fault_about_equally_often() -> None:
    counts = Counter(draw(seed).faults[0] for seed in range(4000))
    assert set(counts) == set(ALL_FAULTS)
    assert 140 < min(counts.values()) <= max(counts.values()) < 260


def test_a_given_fault_replaces_the_drawn_one() -> None:
    fault = Fault.parse("bad_deploy:payments")
    assert draw(7, fault).faults == (fault,)
    assert draw(7, fault).to_json() == {"faults": [{"mode": "bad_deploy", "service": "payments"}]}


def test_a_given_fault_does_not_change_the_other_streams() -> None:
    worlds = [FakeWorld(), FakeWorld()]
    observations = [
        Environment(world).reset(seed=7, fault=fault)[0]
        for world, fault in zip(worlds, (None, Fault.parse("crashed:auth")), strict=True)
    ]
    assert worlds[0].restored_with == worlds[1].restored_with == streams(7).world
    assert np.array_equal(observations[0].features, observations[1].features)


def test_the_streams_of_a_seed_and_of_its_neighbours_have_different_keys() -> None:
    keys = [key for seed in range(1000) for key in astuple(streams(seed))]
    assert len(set(keys)) == 3000
    assert all(0 <= key < 2**64 for key in keys)


def test_seeds_of_any_size_give_different_episodes() -> None:
    seeds = [0, 1, 2**63, 2**64 - 1, 2**64, 2**64 + 1, 2**128, 2**128 + 2**64, 10**50]
    assert len({streams(seed) for seed in seeds}) == len(seeds)
    for seed in seeds:
        environment = Environment(SimulatedWorld())
        environment.reset(seed=seed)
        assert draw(seed).seed == seed


def unmixed(value: int) -> int:
    """The inverse of `mix`: `mix(unmixed(value))` is `value`."""
    value = inverse_of_shift(value, 31) * pow(0x94D049BB133111EB, -1, 2**64) % 2**64
    value = inverse_of_shift(value, 27) * pow(0xBF58476D1CE4E5B9, -1, 2**64) % 2**64
    return inverse_of_shift(value, 30)


def inverse_of_shift(value: int, bits: int) -> int:
    """The number `z` for which `z ^ (z >> bits)` is `value`."""
    found = value
    for _ in range(64 // bits):
        found = value ^ (found >> bits)
    return found


def test_the_policys_dice_do_not_reveal_the_seed_or_another_stream() -> None:
    rng = policy_rng(7)
    seed_sequence = rng.bit_generator.seed_seq
    assert isinstance(seed_sequence, np.random.SeedSequence)
    assert seed_sequence.spawn_key == ()
    assert isinstance(seed_sequence.entropy, int)
    root = root_of(7)
    secrets = {7, root, *astuple(streams(7))}
    # `mix` is public and has an inverse, so the test tries the obvious ways back to the seed.
    assert unmixed(mix(seed_sequence.entropy)) == seed_sequence.entropy
    found = {seed_sequence.entropy, unmixed(seed_sequence.entropy), unmixed(unmixed(seed_sequence.entropy))}
    found |= {(each - (Stream.POLICY + 1) * GOLDEN) % 2**64 for each in found}
    assert not found & secrets


def test_draws_below_a_limit_are_even_and_uniform_draws_fill_their_range() -> None:
    key = streams(1).scenario
    counts = Counter(below(key, counter, 7) for counter in range(7000))
    assert set(counts) == set(range(7))
    assert 880 < min(counts.values()) <= max(counts.values()) < 1120
    drawn = [uniform(key, counter) for counter in range(5000)]
    assert 0.0 <= min(drawn) < 0.001
    assert 0.999 < max(drawn) < 1.0
    assert abs(sum(drawn) / 5000 - 0.5) < 0.02
