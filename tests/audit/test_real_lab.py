"""The leak audit over the real lab: faults of every mode on every service, and episodes without any; every log.

`MIRR_AUDIT` says on how many services each mode is played: 2 if it says nothing, 5 for all 20 faults.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest

from mirr.bridge.assembly import open_docker_world
from mirr.env.scenario import EpisodeConfig, Scenario, draw
from mirr.env.vocabulary import ACTIONS, ALL_FAULTS, Action, CheckLogs, Fault, FaultMode, Fix, Service
from tests.audit.auditor import findings
from tests.audit.tells import odd_shapes, tells
from tests.audit.transcript import Transcript, record, without_fault

pytestmark = pytest.mark.docker

CONFIG = EpisodeConfig(step_s=1.0, max_steps=80, none_diagnosis=True)
SERVICES_A_MODE = int(os.environ.get("MIRR_AUDIT", "2"))
HEALTHY_EPISODES = 2
LOGS = 3

FIXES: tuple[Fix, ...] = tuple(action for action in ACTIONS if isinstance(action, Fix))
FAULTS = tuple(
    fault
    for number, fault in enumerate(ALL_FAULTS)
    # Two of the five in turn, so that over the four modes each service has its share.
    if (number - 2 * (number // len(Service))) % len(Service) < SERVICES_A_MODE
)


def logs(number: int) -> list[Action]:
    """Some logs; over any two numbers running those of every service."""
    services = list(Service)
    return [CheckLogs(services[(LOGS * number + place) % len(services)]) for place in range(LOGS)]


def actions_of(number: int, fault: Fault) -> list[Action]:
    """The culprit's log, a fix, the log of what was fixed, and some of the others: over all 20 faults every fix, and in
    every mode the logs of every service."""
    fix = FIXES[(4 * number + 1) % len(FIXES)]
    return [CheckLogs(fault.service), fix, CheckLogs(fix.service), *logs(number)]


def episodes() -> list[tuple[Scenario, list[Action]]]:
    """In a mixed order, or what an episode leaves behind would look like a property of the next one's mode."""
    found = [(without_fault(number), logs(number)) for number in range(HEALTHY_EPISODES)]
    found += [(draw(number, fault), actions_of(number, fault)) for number, fault in enumerate(FAULTS)]
    return [found[place] for place in np.random.default_rng(0).permutation(len(found))]


@pytest.fixture(scope="module")
def transcripts(real_lab: str) -> Iterator[list[Transcript]]:
    world = open_docker_world(real_lab, what="pytest")
    try:
        yield [record(world, scenario, actions, name="lab", config=CONFIG) for scenario, actions in episodes()]
    finally:
        world.close()


def test_nothing_that_an_agent_reads_shows_the_truth(transcripts: list[Transcript]) -> None:
    assert [finding for one in transcripts for finding in findings(one)] == []


def test_observations_and_infos_look_alike_whatever_is_broken(transcripts: list[Transcript]) -> None:
    assert odd_shapes(transcripts) == []


def test_every_mode_and_every_service_was_played() -> None:
    assert {fault.mode for fault in FAULTS} == set(FaultMode)
    assert {fault.service for fault in FAULTS} == set(Service)


def test_every_log_was_read_in_every_mode_and_without_a_fault(transcripts: list[Transcript]) -> None:
    read: dict[str, set[Service | None]] = {}
    for one in transcripts:
        mode = str(one.fault.mode) if one.fault else one.name
        read.setdefault(mode, set()).update(seen.observation.logs_of for seen in one.seen)
    assert all(services >= set(Service) for services in read.values()), read


def test_neither_the_clock_nor_info_tells_a_mode_or_a_service(transcripts: list[Transcript]) -> None:
    assert tells(transcripts) == []
