"""The leak audit over the simulator: all 20 faults, several seeds, all 41 actions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from env.simulator.world import SimulatedWorld
from env.vocabulary import ACTIONS, ALL_FAULTS, REMEDY, Action, CheckLogs, Fault, Service, Wait
from tests.audit.auditor import findings
from tests.audit.tells import odd_shapes, probe, tells
from tests.audit.transcript import Transcript, record

SEEDS = range(2)
CHANCE = 1 / len(ALL_FAULTS)


def everything(fault: Fault) -> list[Action]:
    """All 41 actions and then every log again; the remedy, which ends the episode, comes last."""
    remedy = REMEDY[fault.mode](fault.service)
    logs = [CheckLogs(service) for service in Service]
    return [*(action for action in ACTIONS if action != remedy), *logs, remedy, *logs, Wait()]


def sim(fault: Fault, actions: Sequence[Action], seed: int, *, broken: bool = True) -> Transcript:
    return record(
        SimulatedWorld(), fault, actions, seed=seed, name="sim", broken=broken, now=lambda: 0.0
    )  # how fast a model computes says nothing of what it models


@pytest.fixture(scope="module")
def transcripts() -> list[Transcript]:
    broken = [sim(fault, everything(fault), seed) for fault in ALL_FAULTS for seed in SEEDS]
    return [*broken, *(sim(fault, everything(fault), 9, broken=False) for fault in ALL_FAULTS[::7])]


def test_nothing_that_an_agent_reads_shows_the_truth(transcripts: list[Transcript]) -> None:
    assert [finding for one in transcripts for finding in findings(one)] == []


def test_every_action_was_audited_on_every_fault(transcripts: list[Transcript]) -> None:
    for one in transcripts:
        assert {seen.action for seen in one.seen} >= set(ACTIONS), one.name


def test_observations_and_infos_look_alike_whatever_is_broken(transcripts: list[Transcript]) -> None:
    assert odd_shapes(transcripts) == []


def test_no_channel_but_symptoms_tells_a_mode_or_a_service(transcripts: list[Transcript]) -> None:
    assert tells(transcripts) == []


def test_a_probe_taught_on_what_is_no_symptom_names_faults_no_better_than_chance() -> None:
    actions = [Wait(), ACTIONS[6], CheckLogs(Service.AUTH), ACTIONS[25], Wait()]
    played = [sim(fault, actions, seed) for fault in ALL_FAULTS for seed in range(20)]
    accuracy, interval = probe(played)
    assert len(played) == 400
    assert interval[0] <= CHANCE, f"{accuracy:.3f} of faults named, 95% {interval}"


def test_with_the_same_seed_the_noise_is_the_same_whatever_is_broken() -> None:
    # A healthy service's memory is the same in both, so what differs would be the noise.
    first = sim(Fault.parse("crashed:auth"), [Wait()], 3).seen
    other = sim(Fault.parse("crashed:payments"), [Wait()], 3).seen
    for one, two in zip(first, other, strict=True):
        row = list(Service).index(Service.INVENTORY)
        assert one.observation.features[row, 5] == two.observation.features[row, 5]


def test_until_something_breaks_the_same_seed_shows_the_same() -> None:
    worlds = [SimulatedWorld(), SimulatedWorld()]
    faults = [Fault.parse("crashed:auth"), Fault.parse("overloaded:payments")]
    for world in worlds:
        world.restore(np.random.default_rng(5))
    for _ in range(5):
        shown = []
        for world in worlds:
            world.advance(2.0)
            logs = [world.apply(CheckLogs(service)).logs for service in Service]
            shown.append((world.observe().features.tolist(), logs))
        assert shown[0] == shown[1]
    for world, fault in zip(worlds, faults, strict=True):
        world.inject(fault)
        world.advance(2.0)
    assert not np.array_equal(worlds[0].observe().features, worlds[1].observe().features, equal_nan=True)
