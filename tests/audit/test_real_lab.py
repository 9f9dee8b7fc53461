"""The leak audit over the real lab: all 20 faults and episodes without any, every log, every action."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.assembly import open_docker_world
from env.scenario import EpisodeConfig
from env.vocabulary import ACTIONS, ALL_FAULTS, REMEDY, Action, CheckLogs, Diagnose, Fault, Fix, Service, Wait
from tests.audit.auditor import findings
from tests.audit.tells import odd_shapes, tells
from tests.audit.transcript import Transcript, record

pytestmark = pytest.mark.docker

CONFIG = EpisodeConfig(step_s=1.0, max_steps=80)
CHECKS = 3
HEALTHY_EPISODES = 4

DIAGNOSES: tuple[Action, ...] = tuple(action for action in ACTIONS if isinstance(action, Diagnose))
FIXES: tuple[Action, ...] = tuple(action for action in ACTIONS if isinstance(action, Fix))


def actions_of(number: int, fault: Fault) -> list[Action]:
    """A diagnosis, a fix and the logs of three services: the culprit's, and two that take turns. Over all the faults
    every diagnosis, every fix and every log comes up."""
    others = [service for service in Service if service is not fault.service]
    turn = number // len(Service)
    read = (fault.service, others[number % 4], others[(number + turn + 1) % 4])
    logs = [CheckLogs(service) for service in dict.fromkeys(read)]
    fix = FIXES[number % len(FIXES)]
    ends = fix == REMEDY[fault.mode](fault.service)
    return [DIAGNOSES[number], *logs[:-1], Wait() if ends else fix, logs[-1]]


@pytest.fixture(scope="module")
def transcripts(real_lab: str) -> Iterator[list[Transcript]]:
    world = open_docker_world(real_lab, what="pytest")
    try:
        played = []
        for number, fault in enumerate(ALL_FAULTS):
            if number % (len(ALL_FAULTS) // HEALTHY_EPISODES) == 0:
                logs = [CheckLogs(service) for service in Service]
                played.append(record(world, fault, logs, seed=number, name="lab", config=CONFIG, broken=False))
            actions = actions_of(number, fault)
            played.append(record(world, fault, actions, seed=number, name="lab", config=CONFIG))
        yield played
    finally:
        world.close()


def test_nothing_that_an_agent_reads_shows_the_truth(transcripts: list[Transcript]) -> None:
    assert [finding for one in transcripts for finding in findings(one)] == []


def test_observations_and_infos_look_alike_whatever_is_broken(transcripts: list[Transcript]) -> None:
    assert odd_shapes(transcripts) == []


def test_every_log_was_read_in_every_mode_and_without_a_fault(transcripts: list[Transcript]) -> None:
    read: dict[str, set[Service | None]] = {}
    for one in transcripts:
        mode = str(one.fault.mode) if one.fault else one.name
        read.setdefault(mode, set()).update(seen.observation.logs_of for seen in one.seen if seen.observation.logs)
    assert all(services >= set(Service) for services in read.values()), read


def test_neither_the_clock_nor_info_tells_a_mode_or_a_service(transcripts: list[Transcript]) -> None:
    assert tells(transcripts) == []
