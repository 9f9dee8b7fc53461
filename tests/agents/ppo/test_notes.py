"""What the trained policy remembers: the same alone and in a batch, and no more than an agent sees."""

from __future__ import annotations

import numpy as np
import pytest

from mirr.agents.ppo.notes import MEASURED, OWN, SHARED, Floats, Notes, in_trouble, scaled
from mirr.agents.ppo.policy import Checkpoint, PpoPolicy
from mirr.agents.training.arena import Arena
from mirr.env.environment import Environment
from mirr.env.logs import LOG_NUMBERS_SHAPE
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.tiers import TIERS
from mirr.env.vocabulary import ACTION_INDEX, PACK_ACTIONS, Feature, Service, Tier, parse_action
from mirr.env.world import FEATURES_SHAPE
from tests.agents.ppo.networks import TINY, random_weights

STEADY = np.tile(np.array([1.0, 20.0, 0.0, 0.05, 0.33, 0.27, 1.0], dtype=np.float32), (1, len(Service), 1))
NOTHING_TOLD = np.zeros((1, *LOG_NUMBERS_SHAPE), dtype=np.float32)
AUTH = list(Service).index(Service.AUTH)


def fresh(*, alarms_may_be_false: bool = True) -> Notes:
    notes = Notes(1, alarms_may_be_false=alarms_may_be_false)
    notes.begin(STEADY)
    return notes


def noted(
    notes: Notes,
    action: str,
    features: Floats = STEADY,
    *,
    accepted: bool = True,
    logs: Floats = NOTHING_TOLD,
    start_age_s: float = np.nan,
) -> Notes:
    taken = np.array([ACTION_INDEX[parse_action(action)]])
    notes.note(taken, np.array([accepted]), features, logs, np.array([start_age_s]))
    return notes


def left(notes: Notes) -> set[str]:
    return {str(each) for each, allowed in zip(PACK_ACTIONS, notes.allowed[0], strict=True) if allowed}


def without(service: int) -> Floats:
    """A window in which a service is down."""
    features = STEADY.copy()
    features[0, service] = np.nan
    features[0, service, 0] = 0.0
    return features


@pytest.mark.parametrize("tier", TIERS)
def test_the_notes_of_a_batch_are_those_that_the_policy_keeps_alone(tier: Tier) -> None:
    size, config = 12, TIERS[tier].config
    arena = Arena(size, tier, threads=1)
    arena.begin(range(size))
    rng = np.random.default_rng(5)
    environments = [Environment(SimulatedWorld(), config) for _ in range(size)]
    policies = [
        PpoPolicy(Checkpoint(TINY, random_weights()), alarms_may_be_false=config.none_diagnosis) for _ in range(size)
    ]
    observations = [environment.reset(seed=e, tier=tier)[0] for e, environment in enumerate(environments)]
    running = np.ones(size, dtype=np.bool_)
    for _ in range(config.max_steps):
        alone = [policies[e].noted(observations[e]) for e in np.flatnonzero(running)]
        assert np.allclose(arena.notes.own()[running], np.concatenate([each.own() for each in alone]), atol=1e-5)
        assert np.array_equal(arena.notes.shared()[running], np.concatenate([each.shared() for each in alone]))
        assert np.array_equal(arena.notes.allowed[running], np.concatenate([each.allowed for each in alone]))
        shares = arena.notes.allowed * rng.random(arena.notes.allowed.shape)
        shares[:, 1:6] += 0.5 * (rng.random(size) < 0.6)[:, None]  # logs are read often
        actions = shares.argmax(axis=1)
        _, ended = arena.step(actions)
        for e in np.flatnonzero(running):
            observations[e] = environments[e].step(int(actions[e]))[0]
        running &= ~ended
    assert not running.any()


def test_usual_metrics_are_about_zero_and_what_is_not_measured_stays_so() -> None:
    found = scaled(without(AUTH))[0]
    assert np.isnan(found[AUTH]).all()
    assert np.isfinite(np.delete(found, AUTH, axis=0)).all()
    assert abs(found[0, MEASURED.index(Feature.MEMORY_SHARE)]) < 0.1
    assert abs(found[0, MEASURED.index(Feature.CPU_SHARE)]) < 0.1


def test_a_service_that_is_down_keeps_the_metrics_that_were_seen_last() -> None:
    notes = fresh()
    before = notes.own()[0, AUTH, : len(MEASURED)].copy()
    after = noted(notes, "wait", without(AUTH)).own()
    assert np.array_equal(after[0, AUTH, : len(MEASURED)], before)
    assert np.isfinite(after).all()
    assert in_trouble(without(AUTH))[0].tolist() == [service is Service.AUTH for service in Service]


def test_a_service_that_was_down_from_the_beginning_has_usual_metrics_until_it_is_seen() -> None:
    notes = Notes(1, alarms_may_be_false=False)
    notes.begin(without(AUTH))
    assert not notes.own()[0, AUTH, : len(MEASURED)].any()
    swollen = STEADY.copy()
    swollen[0, AUTH, list(Feature).index(Feature.MEMORY_SHARE)] = 0.8
    own = noted(notes, "wait", swollen).own()[0, AUTH]
    memory = MEASURED.index(Feature.MEMORY_SHARE)
    least = 6 * len(MEASURED) + memory
    assert own[least] == own[memory] > 1.0, "the least memory that was seen is not the usual one, which was not seen"


def test_actions_that_have_become_pointless_are_masked() -> None:
    fresh_actions = left(fresh())
    after = left(noted(fresh(), "diagnose(auth, crashed)"))
    assert {str(parse_action(each)) for each in ("diagnose(auth, crashed)", "diagnose(none)")} == fresh_actions - after
    after = left(noted(fresh(alarms_may_be_false=False), "diagnose(auth, crashed)"))
    assert not [each for each in after if each.startswith("Diagnose")]
    assert str(parse_action("scale_up(auth)")) not in left(noted(fresh(), "scale_up(auth)"))


def test_nothing_is_broken_can_only_be_said_where_alarms_may_be_false() -> None:
    none = str(parse_action("diagnose(none)"))
    assert none in left(fresh())
    assert none not in left(fresh(alarms_may_be_false=False))


def test_a_release_from_before_the_incident_looks_different_from_one_that_began_it() -> None:
    told = NOTHING_TOLD.copy()
    told[0, AUTH] = [1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    old = noted(fresh(), "check_logs(auth)", logs=told, start_age_s=14.0).own()[0, AUTH]
    new = noted(fresh(), "check_logs(auth)", logs=told, start_age_s=3.0).own()[0, AUTH]
    assert np.abs(old - new).max() > 1.0


def test_a_new_episode_begins_without_memories() -> None:
    notes = fresh()
    for action in ("check_logs(auth)", "diagnose(auth, crashed)", "restart(auth)", "wait"):
        noted(notes, action, without(AUTH))
    notes.begin(STEADY)
    assert np.array_equal(notes.own(), fresh().own())
    assert np.array_equal(notes.shared(), fresh().shared())
    assert np.array_equal(notes.allowed, fresh().allowed)


def test_an_episode_that_begins_leaves_its_neighbours_alone() -> None:
    notes, alone = Notes(2, alarms_may_be_false=True), fresh()
    both = np.concatenate([STEADY, STEADY])
    notes.begin(both)
    notes.note(np.zeros(2, dtype=np.int64), np.ones(2, dtype=np.bool_), both, np.repeat(NOTHING_TOLD, 2, 0), np.ones(2))
    noted(alone, "wait")
    notes.begin(both, np.array([True, False]))
    assert np.array_equal(notes.own()[:1], fresh().own())
    assert np.array_equal(notes.own()[1:], alone.own())


def test_the_network_reads_as_many_numbers_as_the_notes_have() -> None:
    assert fresh().own().shape == (1, *FEATURES_SHAPE[:1], OWN)
    assert fresh().shared().shape == (1, SHARED)
