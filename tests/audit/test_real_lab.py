"""The leak audit over the real lab: all 20 faults and episodes without any, every log, every action."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.assembly import open_docker_world
from env.scenario import EpisodeConfig
from env.vocabulary import ACTIONS, ALL_FAULTS, Action, CheckLogs, Fault, Fix, Service
from tests.audit.auditor import findings
from tests.audit.tells import odd_shapes, tells
from tests.audit.transcript import Transcript, record

pytestmark = pytest.mark.docker

CONFIG = EpisodeConfig(step_s=1.0, max_steps=80)
HEALTHY_EPISODES = 3

FIXES: tuple[Fix, ...] = tuple(action for action in ACTIONS if isinstance(action, Fix))


def actions_of(number: int, fault: Fault) -> list[Action]:
    """The culprit's log, a fix, and the log of what was fixed: over all the faults every fix, and in every mode the
    logs of every service."""
    fix = FIXES[(4 * number + 1) % len(FIXES)]
    return [CheckLogs(fault.service), fix, CheckLogs(fix.service)]


def healthy_actions(number: int) -> list[Action]:
    """Three logs; over three episodes those of every service."""
    services = list(Service)
    return [CheckLogs(services[(3 * number + place) % len(services)]) for place in range(3)]


@pytest.fixture(scope="module")
def transcripts(real_lab: str) -> Iterator[list[Transcript]]:
    world = open_docker_world(real_lab, what="pytest")
    try:
        healthy = [
            record(world, ALL_FAULTS[0], healthy_actions(number), seed=number, name="lab", config=CONFIG, broken=False)
            for number in range(HEALTHY_EPISODES)
        ]
        broken = [
            record(world, fault, actions_of(number, fault), seed=number, name="lab", config=CONFIG)
            for number, fault in enumerate(ALL_FAULTS)
        ]
        yield [*healthy, *broken]
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
        read.setdefault(mode, set()).update(seen.observation.logs_of for seen in one.seen)
    assert all(services >= set(Service) for services in read.values()), read


def test_neither_the_clock_nor_info_tells_a_mode_or_a_service(transcripts: list[Transcript]) -> None:
    assert tells(transcripts) == []
