"""The leak audit of the real lab. It plays faults of every form, and episodes without a fault, and reads every log.

`MIRR_AUDIT` is how often each mode is played at least. The default is 2. With 5, every mode is on every service.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mirr.bridge.assembly import open_docker_world
from mirr.bridge.docker_world import DockerWorld
from mirr.chaos.faults import form_of
from mirr.env.vocabulary import Fault, Service
from tests.audit.auditor import findings
from tests.audit.channels import BY_FORM, odd_shapes, revealing_channels
from tests.audit.faults import EVERY_FAULT
from tests.audit.plays import ENDED, FAULTS, NOT_FIXED, Plays, fixed_faults
from tests.audit.transcript import Transcript

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def world(real_lab: str) -> Iterator[DockerWorld]:
    opened = open_docker_world(real_lab, what="pytest")
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture(scope="module")
def plays(world: DockerWorld) -> Plays:
    return Plays(world)


@pytest.fixture
def is_tried_again(request: pytest.FixtureRequest) -> bool:
    return bool(getattr(request.node, "execution_count", 1) > 1)


@pytest.fixture
def transcripts(plays: Plays) -> list[Transcript]:
    return plays.transcripts


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


# The same two tests of the other worlds are in tests/contract. Here they save the lab an episode of each form.
@pytest.mark.parametrize("fault", fixed_faults(), ids=str)
def test_a_fault_breaks_an_objective_and_only_its_remedy_fixes_it(
    plays: Plays, fault: Fault, is_tried_again: bool
) -> None:
    assert plays.fixed(fault, again=is_tried_again) == []


@pytest.mark.parametrize("fault", ENDED, ids=str)
def test_a_fault_can_begin_during_an_episode_and_end_by_itself(
    plays: Plays, fault: Fault, is_tried_again: bool
) -> None:
    assert plays.ended(fault, again=is_tried_again) == []


def test_every_form_but_two_meets_every_fix() -> None:
    left_out = {form_of(fault) for fault in EVERY_FAULT} - {form_of(fault) for fault in fixed_faults()}
    assert left_out == {*NOT_FIXED}


def test_neither_times_nor_info_reveal_a_mode_or_a_service(transcripts: list[Transcript]) -> None:
    assert revealing_channels(transcripts, BY_FORM) == []
