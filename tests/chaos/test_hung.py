"""`crashed/hung`: a process that is frozen is seen by everybody, and nothing leaves it frozen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mirr.bridge.status import Status
from mirr.chaos.errors import Refused
from mirr.chaos.faults import all_forms
from mirr.chaos.fleet import ServiceState
from mirr.chaos.journal import Journal
from mirr.chaos.reverter import Reverter
from mirr.chaos.sight import Sight
from mirr.env.objectives import FEATURE_COLUMN, SERVICE_ROW
from mirr.env.vocabulary import Fault, Feature, Service
from mirr.env.world import FEATURES_SHAPE, Snapshot
from tests.fakes.assembly import fake_chaos
from tests.fakes.campaigns import FakeCampaigns
from tests.fakes.lab import FakeLab

HUNG_AUTH = Fault.parse("crashed/hung:auth")


@pytest.fixture
def reverter(lab: FakeLab, journal: Journal) -> Reverter:
    return Reverter(lab, FakeCampaigns(lab), journal, now=lab.clock.now, sleep=lab.clock.sleep)


def _state(lab: FakeLab) -> ServiceState:
    state = lab.state(Service.AUTH)
    assert state is not None
    return state


def test_a_hung_service_runs_for_the_engine_and_answers_nobody(lab: FakeLab, journal: Journal) -> None:
    fake_chaos(lab, journal).inject(HUNG_AUTH)
    assert (_state(lab).running, _state(lab).hung) == (True, True)
    assert lab.last(1.0).features[SERVICE_ROW[Service.AUTH], FEATURE_COLUMN[Feature.UP]] == 0.0


def test_it_has_landed_when_a_scrape_has_failed(lab: FakeLab) -> None:
    lab.freeze(Service.AUTH)
    up = np.zeros(FEATURES_SHAPE)
    up[SERVICE_ROW[Service.AUTH], FEATURE_COLUMN[Feature.UP]] = 1.0

    def landed(features: np.ndarray, state: ServiceState) -> bool:
        now = Snapshot(features=features, journeys={})
        sight = Sight(Service.AUTH, now, severity=0.0, measure=lambda: now, look=lambda: state)
        return all_forms()["hung"].landed(sight)

    assert landed(np.zeros(FEATURES_SHAPE), _state(lab))
    assert not landed(up, _state(lab))
    assert not landed(np.zeros(FEATURES_SHAPE), replace(_state(lab), hung=False))


def test_a_run_that_was_killed_leaves_nothing_frozen(lab: FakeLab, journal: Journal, reverter: Reverter) -> None:
    fake_chaos(lab, journal).inject(HUNG_AUTH)
    assert reverter.revert() == ["restarted auth"]
    assert not _state(lab).hung


def test_a_process_that_the_journal_does_not_know_to_be_frozen_is_restarted(lab: FakeLab, reverter: Reverter) -> None:
    lab.freeze(Service.AUTH)
    assert reverter.revert() == ["restarted auth, which hung"]
    assert not _state(lab).hung


def test_a_process_that_hung_before_its_container_was_paused_is_found(lab: FakeLab, reverter: Reverter) -> None:
    lab.freeze(Service.AUTH)
    lab.services[Service.AUTH].paused = True
    assert not _state(lab).hung
    assert reverter.revert() == ["unpaused auth"]
    assert (_state(lab).paused, _state(lab).hung) == (False, False)


def test_the_process_goes_on_when_the_fault_ends(lab: FakeLab, journal: Journal) -> None:
    chaos = fake_chaos(lab, journal)
    started_at = _state(lab).started_at
    chaos.inject(HUNG_AUTH)
    chaos.end(HUNG_AUTH)
    assert (_state(lab).hung, _state(lab).started_at) == (False, started_at)


def test_the_end_of_the_fault_does_nothing_to_a_process_that_was_restarted(lab: FakeLab, journal: Journal) -> None:
    chaos = fake_chaos(lab, journal)
    chaos.inject(HUNG_AUTH)
    lab.restart(Service.AUTH)
    acts = lab.acts
    chaos.end(HUNG_AUTH)
    assert lab.acts == acts


@pytest.mark.parametrize(("how", "said"), [("hung", "hangs"), ("paused", "is paused")])
def test_nothing_is_injected_into_a_process_that_somebody_froze(
    lab: FakeLab, journal: Journal, how: str, said: str
) -> None:
    setattr(lab.services[Service.AUTH], how, True)
    with pytest.raises(Refused) as raised:
        fake_chaos(lab, journal).inject(HUNG_AUTH)
    assert str(raised.value) == (f"auth {said} already, so crashed/hung:auth would not show there; next: mirr revert")
    assert journal.open_faults() == []


def test_the_status_says_what_the_process_does(lab: FakeLab) -> None:
    lab.freeze(Service.AUTH)
    lab.kill(Service.ORDERS)
    lab.services[Service.PAYMENTS].paused = True
    states = {service: lab.state(service) for service in Service} | {Service.GATEWAY: None}
    status = Status(lab="mirr", snapshot=lab.last(1.0), containers=states, faults=[])
    assert {service: status.service_fields(service)["process"] for service in Service} == {
        Service.GATEWAY: "missing",
        Service.AUTH: "hung",
        Service.INVENTORY: "running",
        Service.ORDERS: "dead",
        Service.PAYMENTS: "paused",
    }
