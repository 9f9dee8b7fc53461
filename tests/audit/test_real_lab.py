"""The leak audit of the real lab. It plays faults of every form, and episodes without a fault, and reads every log.

`MIRR_AUDIT` is how often each mode is played at least. The default is 2. With 5, every mode is on every service.
`MIRR_AUDIT_HARD` is the number of episodes of `hard`: their deploys are few and many in turn.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count

import numpy as np
import pytest

from mirr.bridge.assembly import open_docker_world
from mirr.bridge.docker_world import DockerWorld
from mirr.env.scenario import EpisodeConfig, Scenario, draw
from mirr.env.vocabulary import ACTIONS, Action, CheckLogs, Fault, Fix, Service
from tests.audit.auditor import findings
from tests.audit.channels import AROUND, BY_FORM, OBVIOUS_S, odd_shapes, revealing_channels
from tests.audit.faults import EVERY_FAULT, in_turn
from tests.audit.hard import deploys, hard
from tests.audit.transcript import Transcript, record, without_fault

pytestmark = pytest.mark.docker

CONFIG = EpisodeConfig(step_s=1.0, max_steps=80, none_diagnosis=True)
SERVICES_A_MODE = int(os.environ.get("MIRR_AUDIT", "2"))
HEALTHY_EPISODES = 2
LOGS = 3
HARD_EPISODES = int(os.environ.get("MIRR_AUDIT_HARD", "2"))
HARD_CONFIG = EpisodeConfig(max_steps=80, none_diagnosis=True)

FIXES: tuple[Fix, ...] = tuple(action for action in ACTIONS if isinstance(action, Fix))
FAULTS = in_turn(SERVICES_A_MODE)


def logs(number: int) -> list[Action]:
    """Some logs. Two consecutive numbers together give the logs of every service."""
    services = list(Service)
    return [CheckLogs(services[(LOGS * number + place) % len(services)]) for place in range(LOGS)]


def actions_of(number: int, fault: Fault) -> list[Action]:
    """The log of the faulty service, a fix, the log of the fixed service, and some other logs. Faults of every mode on
    every service together use every fix. Each mode reads the logs of every service."""
    fix = FIXES[(4 * number + 1) % len(FIXES)]
    return [CheckLogs(fault.service), fix, CheckLogs(fix.service), *logs(number)]


def episodes() -> list[tuple[Scenario, list[Action]]]:
    """The episodes in random order. In a fixed order, traces of one episode could look like a sign of the next mode."""
    found = [(without_fault(number), logs(number)) for number in range(HEALTHY_EPISODES)]
    found += [(draw(number, fault), actions_of(number, fault)) for number, fault in enumerate(FAULTS)]
    return [found[place] for place in np.random.default_rng(0).permutation(len(found))]


@pytest.fixture(scope="module")
def world(real_lab: str) -> Iterator[DockerWorld]:
    opened = open_docker_world(real_lab, what="pytest")
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture(scope="module")
def transcripts(world: DockerWorld) -> list[Transcript]:
    return [record(world, scenario, actions, name="lab", config=CONFIG) for scenario, actions in episodes()]


def test_nothing_that_an_agent_can_read_reveals_the_truth(transcripts: list[Transcript]) -> None:
    assert [finding for one in transcripts for finding in findings(one)] == []


def test_observations_and_infos_have_the_same_shape_for_every_fault(transcripts: list[Transcript]) -> None:
    assert odd_shapes(transcripts) == []


def test_every_form_and_every_service_was_played() -> None:
    assert {(fault.mode, fault.form) for fault in FAULTS} == {(fault.mode, fault.form) for fault in EVERY_FAULT}
    assert {fault.service for fault in FAULTS} == set(Service)


def test_every_log_was_read_in_every_mode_and_without_a_fault(transcripts: list[Transcript]) -> None:
    read: dict[str, set[Service | None]] = {}
    for one in transcripts:
        mode = str(one.fault.mode) if one.fault else one.name
        read.setdefault(mode, set()).update(seen.observation.logs_of for seen in one.seen)
    assert all(services >= set(Service) for services in read.values()), read


@pytest.fixture(scope="module")
def among_surroundings(world: DockerWorld) -> list[Transcript]:
    """Episodes of `hard`, with one deploy and with many in turn."""
    one = (seed for seed in count() if deploys(hard(seed)) == 1)
    many = (seed for seed in count() if deploys(hard(seed)) >= 4)
    seeds = [next((one, many)[number % 2]) for number in range(HARD_EPISODES)]
    return [record(world, hard(seed), logs(seed), name="lab", config=HARD_CONFIG) for seed in seeds]


def test_nothing_reveals_the_surroundings(among_surroundings: list[Transcript]) -> None:
    assert [finding for one in among_surroundings for finding in findings(one)] == []
    assert revealing_channels(among_surroundings, AROUND) == []
    resets_s = [one.seen[0].took_s for one in among_surroundings]
    assert max(resets_s) - min(resets_s) < OBVIOUS_S


def test_neither_times_nor_info_reveal_a_mode_or_a_service(transcripts: list[Transcript]) -> None:
    assert revealing_channels(transcripts, BY_FORM) == []
