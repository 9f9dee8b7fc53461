"""The leak audit over DockerWorld on a fake engine: what the bridge itself says, for all 20 faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.journal import Journal
from env.vocabulary import ACTIONS, ALL_FAULTS, REMEDY, CheckLogs, Fault, Service
from tests.audit.auditor import findings
from tests.audit.tells import odd_shapes
from tests.audit.transcript import Transcript, record
from tests.fakes import FakeClock, FakeLab, fake_docker_world


def on_fake_lab(fault: Fault, folder: Path, *, broken: bool = True) -> Transcript:
    clock = FakeClock()
    remedy = REMEDY[fault.mode](fault.service)
    logs = [CheckLogs(service) for service in Service]
    actions = [*(action for action in ACTIONS if action != remedy), *logs, remedy, *logs]
    world = fake_docker_world(FakeLab(clock), Journal(folder))
    return record(world, fault, actions, seed=1, name="fake lab", broken=broken, now=clock.now)


@pytest.fixture(scope="module")
def transcripts(tmp_path_factory: pytest.TempPathFactory) -> list[Transcript]:
    folder = tmp_path_factory.mktemp("journals")
    played = [on_fake_lab(fault, folder / str(number)) for number, fault in enumerate(ALL_FAULTS)]
    return [*played, on_fake_lab(ALL_FAULTS[0], folder / "none", broken=False)]


def test_nothing_that_an_agent_reads_shows_the_truth(transcripts: list[Transcript]) -> None:
    assert [finding for one in transcripts for finding in findings(one)] == []


def test_observations_and_infos_look_alike_whatever_is_broken(transcripts: list[Transcript]) -> None:
    assert odd_shapes(transcripts) == []


def test_every_action_was_audited_on_every_fault(transcripts: list[Transcript]) -> None:
    for one in transcripts:
        assert {seen.action for seen in one.seen} >= set(ACTIONS), one.name
