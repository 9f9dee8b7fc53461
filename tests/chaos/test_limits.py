"""The limit on the number of broken services. It counts the faults of all processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirr.chaos.errors import Refused
from mirr.chaos.faults import faults
from mirr.chaos.journal import Journal
from mirr.chaos.limits import Limits
from mirr.env.vocabulary import Fault, FaultMode, Service
from tests.fakes.assembly import fake_chaos
from tests.fakes.lab import FakeLab

AUTH_DOWN = Fault(FaultMode.CRASHED, Service.AUTH)
ORDERS_DOWN = Fault(FaultMode.CRASHED, Service.ORDERS)
PAYMENTS_DOWN = Fault(FaultMode.CRASHED, Service.PAYMENTS)


def test_a_fault_on_a_third_service_is_refused_also_after_faults_of_other_processes(
    lab: FakeLab, journal: Journal
) -> None:
    for fault in (AUTH_DOWN, ORDERS_DOWN):
        fake_chaos(lab, journal).inject(fault)  # each fault comes from another process
    with pytest.raises(Refused) as raised:
        fake_chaos(lab, journal).inject(PAYMENTS_DOWN)
    assert str(raised.value) == (
        "crashed:payments would be one too many: crashed:auth, crashed:orders are injected, and the limit is "
        "2 services at once; next: mirr revert"
    )
    assert lab.services[Service.PAYMENTS].running
    assert [one.fault for one in journal.open_faults()] == [AUTH_DOWN, ORDERS_DOWN]


def test_the_limit_can_be_set(lab: FakeLab, journal: Journal) -> None:
    fake_chaos(lab, journal).inject(AUTH_DOWN)
    with pytest.raises(Refused, match="crashed:auth is injected, and the limit is 1 service at once"):
        fake_chaos(lab, journal, limits=Limits(max_broken=1)).inject(ORDERS_DOWN)
    for service in (Service.ORDERS, Service.PAYMENTS, Service.INVENTORY, Service.GATEWAY):
        fake_chaos(lab, journal, limits=Limits(max_broken=5)).inject(Fault(FaultMode.CRASHED, service))
    assert len(journal.open_faults()) == 5


@pytest.mark.parametrize("theirs", faults(service=Service.ORDERS), ids=str)
def test_the_limit_counts_the_faults_of_somebody_with_another_journal(
    lab: FakeLab, journal: Journal, tmp_path: Path, theirs: Fault
) -> None:
    others = fake_chaos(lab, Journal(tmp_path / "others", now=lab.clock.now))
    others.inject(theirs, lease_s=600.0)
    others.deploy_sound(Service.GATEWAY)  # this is none
    mine = fake_chaos(lab, journal)
    mine.inject(AUTH_DOWN, lease_s=600.0)
    for act in (mine.inject, mine.plan):
        with pytest.raises(Refused) as raised:
            act(PAYMENTS_DOWN, lease_s=600.0)
        assert str(raised.value) == (
            "crashed:payments would be one too many: crashed:auth, something unknown on orders are injected, "
            "and the limit is 2 services at once; next: mirr revert"
        )
    assert lab.services[Service.PAYMENTS].running
    mine.revert()
    mine.inject(PAYMENTS_DOWN, lease_s=600.0)


def test_a_load_generator_that_does_not_answer_does_not_keep_faults_out(lab: FakeLab, journal: Journal) -> None:
    lab.generator_hangs = True
    fake_chaos(lab, journal).inject(AUTH_DOWN, lease_s=600.0)
    assert not lab.services[Service.AUTH].running


def test_the_same_fault_twice_is_refused(lab: FakeLab, journal: Journal) -> None:
    crowd = Fault(FaultMode.OVERLOADED, Service.AUTH)
    fake_chaos(lab, journal).inject(crowd)
    before = dict(lab.running_campaigns)
    with pytest.raises(Refused) as raised:
        fake_chaos(lab, journal).inject(crowd)
    assert str(raised.value) == "overloaded:auth is injected already; next: mirr revert, or break another service"
    assert lab.running_campaigns == before


def test_a_second_fault_on_a_broken_service_is_refused(lab: FakeLab, journal: Journal) -> None:
    fake_chaos(lab, journal).inject(AUTH_DOWN)
    with pytest.raises(Refused) as raised:
        fake_chaos(lab, journal).inject(Fault(FaultMode.BAD_DEPLOY, Service.AUTH))
    assert str(raised.value) == (
        "auth is broken already (crashed:auth), and a second fault there would hide the first; "
        "next: mirr revert, or break another service"
    )
    assert lab.services[Service.AUTH].release == "1.4.0"


def test_a_fault_that_has_ended_or_was_reverted_does_not_count(lab: FakeLab, journal: Journal) -> None:
    chaos = fake_chaos(lab, journal)
    chaos.inject(AUTH_DOWN)
    chaos.inject(ORDERS_DOWN)
    chaos.end(AUTH_DOWN)
    chaos.inject(PAYMENTS_DOWN)
    chaos.revert()
    chaos.inject(AUTH_DOWN)
    assert chaos.open_faults() == [AUTH_DOWN]


def test_a_harmless_deploy_does_not_count(lab: FakeLab, journal: Journal) -> None:
    chaos = fake_chaos(lab, journal)
    chaos.deploy_sound(Service.GATEWAY)
    chaos.inject(AUTH_DOWN)
    chaos.inject(ORDERS_DOWN)
    assert chaos.open_faults() == [AUTH_DOWN, ORDERS_DOWN]


def test_a_plan_says_what_would_be_done_and_does_nothing(lab: FakeLab, journal: Journal) -> None:
    plan = fake_chaos(lab, journal).plan(Fault(FaultMode.BAD_DEPLOY, Service.AUTH), lease_s=60.0)
    assert (plan.container, plan.container_id[:12]) == ("lab_auth_1", "auth01234567")
    assert plan.act == (
        "A faulty release 1.5.0 of auth replaces 1.4.0. It has an image of its own. Each of its boots spoils more of "
        "the rows that it reads."
    )
    assert plan.lasts_s == 60.0
    assert plan.revert == "the container is replaced by one of 1.4.0 with fresh data"
    assert lab.acts == 0
    assert list(journal.folder.iterdir()) == []


def test_a_plan_is_refused_if_the_injection_would_be_refused(lab: FakeLab, journal: Journal) -> None:
    fake_chaos(lab, journal).inject(AUTH_DOWN)
    with pytest.raises(Refused):
        fake_chaos(lab, journal).plan(AUTH_DOWN, lease_s=60.0)
