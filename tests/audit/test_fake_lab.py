"""The leak audit of DockerWorld on a fake lab, for all 20 faults. It checks the texts of the bridge itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirr.chaos.journal import Journal
from mirr.env.scenario import Scenario, draw
from mirr.env.vocabulary import ACTIONS, ALL_FAULTS, PACK_ACTIONS, REMEDY, CheckLogs, Service
from tests.audit.auditor import findings
from tests.audit.channels import odd_shapes
from tests.audit.transcript import Transcript, record, without_fault
from tests.fakes.assembly import fake_docker_world
from tests.fakes.clock import FakeClock
from tests.fakes.lab import FakeLab


def on_fake_lab(scenario: Scenario, folder: Path) -> Transcript:
    clock = FakeClock()
    remedies = [REMEDY[fault.mode](fault.service) for fault in scenario.faults]
    logs = [CheckLogs(service) for service in Service]
    actions = [*(action for action in PACK_ACTIONS if action not in remedies), *logs, *remedies, *logs]
    world = fake_docker_world(FakeLab(clock), Journal(folder))
    return record(world, scenario, actions, name="fake lab", now=clock.now)


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
