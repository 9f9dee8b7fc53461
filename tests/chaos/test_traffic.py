"""How often users come: a change is in the journal, holds while its process lives, and every revert ends it."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest
import requests

from mirr.chaos.campaigns import Heartbeat, HttpCampaigns
from mirr.chaos.chaos import Chaos
from mirr.chaos.errors import CampaignError, GeneratorAway, NotReverted
from mirr.chaos.journal import Act, Journal
from mirr.chaos.leases import LeaseFile
from mirr.chaos.reverter import Reverter
from mirr.chaos.traffic import level_at, mean_level
from mirr.env.vocabulary import Fault, FaultMode, Service, TrafficChanges
from tests.fakes.assembly import fake_chaos
from tests.fakes.campaigns import FakeCampaigns
from tests.fakes.lab import FakeLab
from tests.fakes.meter import FakeMeter
from tests.traffic.generator import Generator, run_with_generator

MORE = TrafficChanges(1.1, 1.3, 60.0)
FEWER = TrafficChanges(0.75, 0.75)


class HeartbeatWithoutThread(Heartbeat):
    """A heartbeat without a thread. The test calls `beat` when it moves the clock."""

    def _start(self) -> None:
        return


@pytest.fixture
def reverter(lab: FakeLab, journal: Journal) -> Reverter:
    return Reverter(lab, FakeCampaigns(lab), journal, now=lab.clock.now, sleep=lab.clock.sleep)


@pytest.fixture
def heartbeat(lab: FakeLab, journal: Journal) -> Heartbeat:
    lab.leases_end = True
    return HeartbeatWithoutThread(FakeCampaigns(lab), lease=LeaseFile(journal.folder, "me", now=lab.clock.now))


@pytest.fixture
def chaos(lab: FakeLab, journal: Journal, heartbeat: Heartbeat) -> Chaos:
    """Chaos of a process whose leases end if it does not renew them."""
    return Chaos(lab, FakeCampaigns(lab), journal, heartbeat, FakeMeter(lab), sleep=lab.clock.sleep, now=lab.clock.now)


def test_a_change_is_in_the_journal_before_users_come_more_often(lab: FakeLab, journal: Journal) -> None:
    lab.generator_hangs = True
    with pytest.raises(CampaignError):
        fake_chaos(lab, journal).change_traffic(MORE)
    assert [(act.act, act.traffic) for act in journal.open_acts()] == [(Act.TRAFFIC, MORE)]


def test_a_later_change_takes_the_place_of_the_one_before(lab: FakeLab, journal: Journal) -> None:
    chaos = fake_chaos(lab, journal)
    chaos.change_traffic(MORE)
    lab.clock.sleep(5.0)
    chaos.change_traffic(FEWER)
    assert lab.level == 0.75
    assert [act.traffic for act in journal.open_acts()] == [FEWER]


def test_a_change_is_no_fault_and_counts_to_no_limit(lab: FakeLab, journal: Journal) -> None:
    chaos = fake_chaos(lab, journal)
    chaos.change_traffic(MORE)
    assert chaos.open_faults() == []
    for service in (Service.AUTH, Service.ORDERS):
        chaos.inject(Fault(FaultMode.CRASHED, service))


def test_revert_sets_the_traffic_back_and_says_so(lab: FakeLab, journal: Journal) -> None:
    chaos = fake_chaos(lab, journal)
    chaos.change_traffic(FEWER)
    assert chaos.revert() == ["set the users' traffic back to its usual rate"]
    assert (lab.level, journal.open_acts(), chaos.lost_lease()) == (1.0, [], None)
    assert chaos.revert() == []


def test_revert_finds_a_change_that_is_in_no_journal(lab: FakeLab, reverter: Reverter) -> None:
    lab.change_traffic(FEWER, 600.0)
    assert reverter.revert() == ["set the users' traffic back to its usual rate"]
    assert lab.level == 1.0


def test_users_come_as_usual_after_the_load_generator_was_restarted(lab: FakeLab, reverter: Reverter) -> None:
    lab.change_traffic(FEWER, 600.0)
    lab.generator_hangs = True
    assert reverter.revert() == ["restarted the load generator, which did not answer"]
    assert lab.level == 1.0


def test_a_change_holds_while_its_process_renews_it(lab: FakeLab, chaos: Chaos, heartbeat: Heartbeat) -> None:
    chaos.change_traffic(FEWER)
    for _ in range(10):
        lab.clock.sleep(2.0)
        heartbeat.beat()
    assert (lab.level, chaos.lost_lease()) == (0.75, None)


class BusyDisk(LeaseFile):
    """A lease on a disk that does not answer any more after the first time, until the end of the test."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal.folder, "me")
        self.answers = threading.Event()
        self.asked = 0

    def renew(self, lease_s: float) -> None:
        self.asked += 1
        if self.asked > 1:
            self.answers.wait(timeout=30.0)


class CountedRenewals(FakeCampaigns):
    """Tells when the lease of the traffic was renewed for the third time."""

    def __init__(self, lab: FakeLab) -> None:
        super().__init__(lab)
        self.times = 0
        self.third = threading.Event()

    def renew_traffic(self, lease_s: float) -> bool:
        self.times += 1
        if self.times == 3:
            self.third.set()
        return True


def test_a_busy_disk_does_not_end_what_the_load_generator_does(lab: FakeLab, journal: Journal) -> None:
    campaigns, disk = CountedRenewals(lab), BusyDisk(journal)
    heartbeat = Heartbeat(campaigns, lease_s=0.03, lease=disk)
    try:
        heartbeat.watch()
        heartbeat.hold_traffic()
        assert campaigns.third.wait(timeout=30.0)
    finally:
        disk.answers.set()
        heartbeat.close()


def test_nothing_is_renewed_for_a_heartbeat_that_nobody_has_any_more(lab: FakeLab, journal: Journal) -> None:
    before = set(threading.enumerate())
    heartbeat = Heartbeat(FakeCampaigns(lab), lease_s=0.03, lease=LeaseFile(journal.folder, "me"))
    heartbeat.watch()
    own = set(threading.enumerate()) - before
    assert [thread.name for thread in own] == ["leases", "leases"]
    del heartbeat
    gc.collect()
    for thread in own:
        thread.join(timeout=30.0)
    assert not any(thread.is_alive() for thread in own)


def test_a_change_ends_by_itself_when_its_process_dies_and_the_reaper_closes_it(
    lab: FakeLab, chaos: Chaos, journal: Journal, reverter: Reverter
) -> None:
    chaos.change_traffic(FEWER)
    lab.clock.sleep(11.0)
    assert (lab.level, reverter.revert_expired()) == (0.75, [])
    lab.clock.sleep(1.0)
    assert lab.level == 1.0  # by the load generator itself, before anybody reverts
    assert reverter.revert_expired() == []
    assert journal.open_acts() == []


def test_a_process_that_was_killed_leaves_nothing_that_the_next_revert_does_not_find(
    lab: FakeLab, journal: Journal, reverter: Reverter
) -> None:
    killed = fake_chaos(lab, journal)
    killed.change_traffic(MORE)
    killed.deploy_sound(Service.AUTH)
    assert reverter.revert() == [
        "recreated auth at release 1.4.0",
        "set the users' traffic back to its usual rate",
    ]
    assert (lab.level, journal.open_acts()) == (1.0, [])


def test_an_expired_change_is_ended_without_a_look_at_what_others_do(
    lab: FakeLab, journal: Journal, reverter: Reverter
) -> None:
    fake_chaos(lab, journal).inject(Fault(FaultMode.CRASHED, Service.AUTH), lease_s=100.0)
    journal.changing_traffic(FEWER, lease_s=6.0)
    lab.change_traffic(FEWER, 600.0)
    lab.clock.sleep(6.0)
    assert reverter.revert_expired() == ["set the users' traffic back to its usual rate"]
    assert not lab.services[Service.AUTH].running
    assert [act.act for act in journal.open_acts()] == [Act.FAULT]


def test_an_expired_change_that_could_not_be_ended_stays_in_the_journal(
    lab: FakeLab, journal: Journal, reverter: Reverter
) -> None:
    fake_chaos(lab, journal).inject(Fault(FaultMode.CRASHED, Service.AUTH), lease_s=100.0)
    journal.changing_traffic(FEWER, lease_s=6.0)
    lab.clock.sleep(6.0)
    lab.generator_elsewhere = True
    with pytest.raises(NotReverted, match="the load generator at http://fake does not answer"):
        reverter.revert_expired()
    assert [act.act for act in journal.open_acts()] == [Act.FAULT, Act.TRAFFIC]


def test_a_change_that_somebody_else_reverted_is_reported(
    lab: FakeLab, chaos: Chaos, heartbeat: Heartbeat, reverter: Reverter
) -> None:
    chaos.change_traffic(FEWER)
    reverter.revert()
    heartbeat.beat()
    assert chaos.lost_lease() == "users come as usual again: the lease ran out or somebody ended it"


def test_the_level_is_read_from_the_journal(lab: FakeLab, journal: Journal) -> None:
    assert level_at(journal.traffic(), lab.clock.now()) == 1.0
    journal.changing_traffic(TrafficChanges(0.8, 1.2, 40.0))
    began = lab.clock.now()
    lab.clock.sleep(50.0)
    journal.changing_traffic(FEWER)
    history = journal.traffic()
    assert [level_at(history, began + after_s) for after_s in (-1.0, 0.0, 20.0, 45.0, 50.0)] == pytest.approx(
        [1.0, 0.8, 1.0, 1.2, 0.75]
    )
    assert mean_level(history, began, began + 40.0) == pytest.approx(1.0)
    for act in journal.open_acts():
        journal.over(act)
    assert level_at(journal.traffic(), lab.clock.now()) == 1.0
    journal.reverted()
    assert journal.traffic() == []


@pytest.mark.parametrize("change", ["{}", "3", '{"first": 1, "last": "x", "over_s": 0}', "null"])
def test_a_change_that_cannot_be_read_is_skipped(journal: Journal, change: str) -> None:
    journal.folder.joinpath("journal.jsonl").write_text(f'{{"act": "traffic", "change": {change}, "at": 1}}\n')
    assert (journal.open_acts(), journal.traffic()) == ([], [])


def test_the_load_generator_is_asked_as_it_wants_to_be_asked() -> None:
    async def run_test(generator: Generator) -> None:
        def ask() -> list[object]:
            campaigns = HttpCampaigns(generator.url, requests.Session())
            campaigns.change_traffic(TrafficChanges(0.8, 1.2, 40.0), 6.0)
            return [campaigns.renew_traffic(9.0), campaigns.reset_traffic(), campaigns.reset_traffic()]

        assert await asyncio.to_thread(ask) == [True, True, False]
        assert not await asyncio.to_thread(HttpCampaigns(generator.url, requests.Session()).renew_traffic, 9.0)

    run_with_generator(run_test)


def test_a_load_generator_that_is_away_is_an_error() -> None:
    with pytest.raises(GeneratorAway, match=r"does not answer \(ConnectionError\); next: mirr up"):
        HttpCampaigns("http://127.0.0.1:9", requests.Session()).change_traffic(FEWER, 6.0)
