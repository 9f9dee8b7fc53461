"""The leak audit of DockerWorld on a fake lab, for all 20 faults. It checks the texts of the bridge itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mirr.chaos.journal import Journal
from mirr.env.rendering import render
from mirr.env.scenario import Scenario, Scheduled, draw
from mirr.env.vocabulary import (
    ACTIONS,
    ALL_FAULTS,
    PACK_ACTIONS,
    REMEDY,
    Action,
    Breaks,
    Bursts,
    CheckLogs,
    Deploys,
    Event,
    Fault,
    Service,
    TrafficChanges,
    Wait,
)
from tests.audit.auditor import findings
from tests.audit.channels import AROUND, odd_shapes, revealing_channels
from tests.audit.hard import SEEDS, bursts, hard, with_events, without
from tests.audit.plays import ENDED, FAULTS, Plays, fixed_faults
from tests.audit.transcript import Transcript, record, without_fault
from tests.fakes.assembly import fake_docker_world
from tests.fakes.clock import FakeClock
from tests.fakes.lab import FakeLab

pytestmark = pytest.mark.thorough


def on_fake_lab(scenario: Scenario, folder: Path, actions: Sequence[Action] | None = None) -> Transcript:
    clock = FakeClock()
    lab = FakeLab(clock)
    lab.deploy_s = 0.5
    world = fake_docker_world(lab, Journal(folder, now=clock.now))
    taken = everything(scenario) if actions is None else actions
    return record(world, scenario, taken, name="fake lab", now=clock.now)


def everything(scenario: Scenario) -> list[Action]:
    """Every action, and then every log again. The remedies come last because they end the episode."""
    remedies = [REMEDY[fault.mode](fault.service) for fault in scenario.faults]
    logs = [CheckLogs(service) for service in Service]
    return [*(action for action in PACK_ACTIONS if action not in remedies), *logs, *remedies, *logs]


@pytest.fixture(scope="module")
def transcripts(tmp_path_factory: pytest.TempPathFactory) -> list[Transcript]:
    folder = tmp_path_factory.mktemp("journals")
    scenarios = [without_fault(1), *(draw(1, fault) for fault in ALL_FAULTS)]
    return [on_fake_lab(scenario, folder / str(number)) for number, scenario in enumerate(scenarios)]


def test_nothing_that_an_agent_can_read_reveals_the_truth(transcripts: list[Transcript]) -> None:
    assert [finding for one in transcripts for finding in findings(one)] == []


def test_observations_and_infos_have_the_same_shape_for_every_fault(transcripts: list[Transcript]) -> None:
    assert odd_shapes(transcripts) == []


def test_every_action_was_audited_on_every_fault(transcripts: list[Transcript]) -> None:
    for one in transcripts:
        assert {seen.action for seen in one.seen} >= set(ACTIONS), one.name


def test_the_plays_of_the_real_lab_reveal_nothing_and_meet_the_contract(tmp_path: Path) -> None:
    clock = FakeClock()
    world = fake_docker_world(FakeLab(clock), Journal(tmp_path, now=clock.now))
    plays = Plays(world, now=clock.now)
    assert [finding for one in plays.transcripts for finding in findings(one)] == []
    assert len(plays.transcripts) == len(ENDED) + len(FAULTS)
    assert [problem for fault in fixed_faults() for problem in plays.fixed(fault)] == []
    assert [problem for fault in ENDED for problem in plays.ended(fault)] == []
    assert plays.fixed(fixed_faults()[0], again=True) == []
    assert plays.ended(ENDED[1], again=True) == []
    assert len(plays.transcripts) == len(ENDED) + len(FAULTS)


@pytest.fixture(scope="module")
def among_surroundings(tmp_path_factory: pytest.TempPathFactory) -> list[Transcript]:
    """Episodes of `hard`."""
    folder = tmp_path_factory.mktemp("journals")
    return [on_fake_lab(hard(seed), folder / str(seed)) for seed in SEEDS]


def test_the_seeds_have_everything_that_hard_can_have() -> None:
    scenarios = [hard(seed) for seed in SEEDS]
    assert {len(scenario.faults) for scenario in scenarios} == {0, 1, 2}
    assert {bursts(scenario) for scenario in scenarios} == {True, False}
    assert len({len(without(scenario, Breaks, Bursts, TrafficChanges).timeline) for scenario in scenarios}) > 2


def test_nothing_that_an_agent_can_read_reveals_the_surroundings(among_surroundings: list[Transcript]) -> None:
    assert [finding for one in among_surroundings for finding in findings(one)] == []


def test_neither_times_nor_info_reveal_the_surroundings(among_surroundings: list[Transcript]) -> None:
    assert revealing_channels(among_surroundings, AROUND) == []
    assert {round(one.seen[0].took_s, 6) for one in among_surroundings} == {22.0}


def test_a_reset_that_waits_for_each_deploy_is_found(among_surroundings: list[Transcript]) -> None:
    def slower(one: Transcript) -> Transcript:
        deploys = len(without(one.scenario, Breaks, Bursts, TrafficChanges).timeline)
        return replace(one, seen=(replace(one.seen[0], took_s=one.seen[0].took_s + 0.5 * deploys), *one.seen[1:]))

    (found,) = [
        one
        for one in revealing_channels([*map(slower, among_surroundings)], AROUND)
        if "tells the number of deploys" in one
    ]
    assert found.startswith("how long reset takes in s tells the number of deploys: 1 22.5, 2 23")


def test_observations_and_infos_have_the_same_shape_among_surroundings(
    transcripts: list[Transcript], among_surroundings: list[Transcript]
) -> None:
    assert odd_shapes([*transcripts, *among_surroundings]) == []


LATER = 6
LATER_EVENTS = {
    "a burst": Bursts(Service.ORDERS, 0.3, 6.0),
    "a fault": Breaks(Fault.parse("crashed:orders")),
    "a deploy": Deploys(Service.ORDERS),
    "more users": TrafficChanges(1.3, 1.3),
}


@pytest.mark.parametrize("event", LATER_EVENTS.values(), ids=list(LATER_EVENTS))
def test_what_comes_later_does_not_show_before_it_comes(tmp_path: Path, event: Event) -> None:
    usual = without(hard(1), Breaks, Bursts)
    actions: list[Action] = [*(CheckLogs(service) for service in Service), *[Wait()] * 6]

    def shown(scenario: Scenario, folder: str) -> list[object]:
        seen = on_fake_lab(scenario, tmp_path / folder, actions).seen
        return [(one.took_s, one.observation.features.tolist(), render(one.observation), one.info) for one in seen]

    without_it, with_it = shown(usual, "without"), shown(with_events(usual, Scheduled(LATER, event)), "with")
    assert repr(with_it[:LATER]) == repr(without_it[:LATER])
    assert repr(with_it) != repr(without_it)
