"""A seed stands for one scenario, whatever else is drawn."""

from __future__ import annotations

from collections import Counter

import numpy as np

from mirr.env.scenario import draw, policy_rng, streams
from mirr.env.vocabulary import ALL_FAULTS, Fault


def test_a_seed_stands_for_one_scenario() -> None:
    assert [draw(seed) for seed in range(50)] == [draw(seed) for seed in range(50)]


def test_seeds_reach_every_fault_about_as_often() -> None:
    counts = Counter(draw(seed).faults[0] for seed in range(4000))
    assert set(counts) == set(ALL_FAULTS)
    assert 140 < min(counts.values()) <= max(counts.values()) < 260


def test_a_given_fault_takes_the_place_of_the_drawn_one() -> None:
    fault = Fault.parse("bad_deploy:payments")
    assert draw(7, fault).faults == (fault,)
    assert draw(7, fault).to_json() == {"faults": [{"mode": "bad_deploy", "service": "payments"}]}


def test_a_given_fault_shifts_no_other_stream() -> None:
    one, other = streams(7), streams(7)
    draw(7, None, one.scenario)
    draw(7, Fault.parse("crashed:auth"), other.scenario)
    assert one.scenario.random() == other.scenario.random()
    assert one.world.random() == other.world.random()
    assert one.noise.random() == other.noise.random()


def test_the_policys_dice_are_a_stream_of_their_own() -> None:
    drawn = streams(7)
    values = {rng.random() for rng in (drawn.scenario, drawn.world, drawn.noise, policy_rng(7))}
    assert len(values) == 4


def test_the_policys_dice_do_not_show_the_seed() -> None:
    rng = policy_rng(7)
    sown = rng.bit_generator.seed_seq
    assert isinstance(sown, np.random.SeedSequence)
    assert isinstance(sown.entropy, list)
    assert 7 not in sown.entropy
    assert sown.spawn_key == ()
