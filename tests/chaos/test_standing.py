"""What `mirr status` lists: the faults of this user's journal that the lab still has, whoever reverted the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirr.chaos.chaos import Chaos
from mirr.chaos.faults import faults
from mirr.chaos.form import Mend
from mirr.chaos.journal import Journal
from mirr.chaos.standing import standing
from mirr.env.vocabulary import Fault, FaultMode, Service
from tests.fakes.assembly import fake_chaos
from tests.fakes.campaigns import FakeCampaigns
from tests.fakes.lab import FakeLab

ON_AUTH = faults(service=Service.AUTH)


@pytest.fixture
def mine(lab: FakeLab, journal: Journal) -> Chaos:
    lab.clock.sleep(60.0)  # the containers have run for a while
    return fake_chaos(lab, journal)


@pytest.mark.parametrize("fault", ON_AUTH, ids=str)
def test_an_injected_fault_stands_until_somebody_with_another_journal_reverts_it(
    mine: Chaos, lab: FakeLab, tmp_path: Path, fault: Fault
) -> None:
    mine.inject(fault)
    lab.clock.sleep(5.0)
    assert mine.standing_faults() == [fault]
    theirs = Journal(tmp_path / "theirs", now=lab.clock.now)
    assert fake_chaos(lab, theirs).revert()
    assert mine.standing_faults() == []
    assert mine.open_faults() == [fault]  # it stays in the journal, until its own user reverts


@pytest.mark.parametrize("fault", [fault for fault in ON_AUTH if fault.mode is FaultMode.MEMORY_LEAK], ids=str)
def test_a_leak_stands_as_long_as_the_process_that_has_it(mine: Chaos, lab: FakeLab, fault: Fault) -> None:
    mine.inject(fault)
    lab.running_campaigns.clear()  # its lease is over, and the memory is still full
    lab.clock.sleep(5.0)
    assert mine.standing_faults() == [fault]
    lab.restart(Service.AUTH)
    assert mine.standing_faults() == []


def test_what_cannot_be_asked_counts_as_standing(mine: Chaos, lab: FakeLab) -> None:
    fault = Fault(FaultMode.OVERLOADED, Service.AUTH)
    mine.inject(fault)
    lab.running_campaigns.clear()
    lab.generator_hangs = True
    assert mine.standing_faults() == [fault]


def test_the_clock_of_the_engine_counts(lab: FakeLab, journal: Journal) -> None:
    fault = Fault(FaultMode.CRASHED, Service.AUTH)
    lab.clock.sleep(60.0)
    fake_chaos(lab, journal).inject(fault)
    lab.services[Service.AUTH].started_at = lab.clock.now() + 20.0  # by a clock that is 30 s ahead
    for skew_s, expected in ((30.0, [fault]), (0.0, [])):
        assert standing(journal.open_faults(), lab, FakeCampaigns(lab), skew_s=skew_s) == expected


def test_every_form_tells_whether_it_stands() -> None:
    """A form that sends nothing and needs no mend would be listed until its lease ends."""
    from mirr.chaos.faults import all_forms

    assert all(form.sends is not None or form.mend is not Mend.NOTHING for form in all_forms().values())
