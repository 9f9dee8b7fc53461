"""A burst is harmless, is no fault, and ends by itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mirr.chaos.bursts import MOST
from mirr.chaos.chaos import Chaos
from mirr.chaos.errors import FleetError, Refused
from mirr.chaos.faults import crowd
from mirr.chaos.journal import Act, Journal
from mirr.chaos.reverter import Reverter
from mirr.env.vocabulary import Bursts, Fault, FaultMode, Service, TrafficChanges
from tests.fakes.assembly import fake_chaos
from tests.fakes.campaigns import FakeCampaigns
from tests.fakes.lab import FakeLab
from tests.fakes.service import QUOTA_US

BURST = Bursts(Service.PAYMENTS, 0.25, 10.0)
CAMPAIGN = "flash-crowd-payments"
QUOTA_CORES, STEADY_CORES = 0.3, 0.1


@pytest.fixture
def chaos(lab: FakeLab, journal: Journal) -> Chaos:
    lab.crowd_request_s = crowd.times_usual(Service.PAYMENTS) * lab.steady_cpu_cores / lab.steady_rate
    return fake_chaos(lab, journal)


@pytest.fixture
def reverter(lab: FakeLab, journal: Journal) -> Reverter:
    return Reverter(lab, FakeCampaigns(lab), journal, now=lab.clock.now, sleep=lab.clock.sleep)


def loads(lab: FakeLab, stages: Iterator[float]) -> list[float]:
    """Let the burst pass. Returns what it asks for in each stage, as a share of the steady quota."""
    found = []
    for wait_s in stages:
        found.append(load(lab))
        lab.clock.sleep(wait_s)
    return found


def load(lab: FakeLab) -> float:
    rate = lab.running_campaigns[CAMPAIGN][0].rate_per_s if CAMPAIGN in lab.running_campaigns else 0.0
    return rate * lab.crowd_request_s / QUOTA_CORES


def test_a_burst_begins_with_less_and_then_asks_for_its_load(lab: FakeLab, chaos: Chaos) -> None:
    assert loads(lab, chaos.burst(BURST)) == pytest.approx([0.75 * 0.25, 0.25], rel=0.01)


def test_a_burst_ends_after_its_time_and_the_journal_knows(lab: FakeLab, chaos: Chaos, journal: Journal) -> None:
    began = lab.clock.now()
    stages = chaos.burst(BURST)
    assert lab.running_campaigns == {}
    lab.clock.sleep(next(stages))
    assert [(act.act, act.service) for act in journal.open_acts()] == [(Act.BURST, Service.PAYMENTS)]
    loads(lab, stages)
    assert lab.clock.now() - began == pytest.approx(10.0)
    assert (lab.running_campaigns, journal.open_acts()) == ({}, [])


def test_the_lease_of_a_burst_is_as_long_as_it_is_so_nobody_has_to_end_it(lab: FakeLab, chaos: Chaos) -> None:
    lab.leases_end = True
    began = lab.clock.now()
    stages = chaos.burst(BURST)
    for _ in range(2):
        next(stages)
        assert lab.running_campaigns[CAMPAIGN][1] == pytest.approx(began + 10.0)
        lab.clock.sleep(2.5)
    lab.clock.sleep(5.0)
    lab.end_leases()
    assert lab.running_campaigns == {}


def test_a_burst_is_no_fault_and_has_held_when_it_is_over(lab: FakeLab, chaos: Chaos) -> None:
    stages = chaos.burst(BURST)
    next(stages)
    assert (chaos.open_faults(), chaos.lost_lease()) == ([], None)
    loads(lab, stages)
    assert chaos.lost_lease() is None


def test_revert_ends_a_burst(lab: FakeLab, chaos: Chaos, journal: Journal) -> None:
    stages = chaos.burst(BURST)
    next(stages)
    assert chaos.revert() == ["ended 1 campaign(s)"]
    assert list(stages) == []
    assert (lab.running_campaigns, journal.open_acts(), chaos.lost_lease()) == ({}, [], None)


@pytest.mark.parametrize("service", Service)
@pytest.mark.parametrize("times_expected", [0.7, 1.0, 1.4])
@pytest.mark.parametrize("level", [0.75, 1.0, 1.3])
@pytest.mark.parametrize("asked", [0.2, 0.35])
def test_a_burst_leaves_room_whatever_its_requests_cost(
    lab: FakeLab, journal: Journal, service: Service, times_expected: float, level: float, asked: float
) -> None:
    chaos = fake_chaos(lab, journal)
    chaos.change_traffic(TrafficChanges(level, level))
    lab.crowd_request_s = times_expected * crowd.times_usual(service) * lab.steady_cpu_cores / lab.steady_rate
    for wait_s in chaos.burst(Bursts(service, asked, 10.0)):
        for one, _ in lab.running_campaigns.values():
            own = one.rate_per_s * lab.crowd_request_s / QUOTA_CORES
            assert 0.5 * asked < own < asked + 0.15
            assert own + level * STEADY_CORES / QUOTA_CORES < 0.85
        lab.clock.sleep(wait_s)


def test_a_burst_is_measured_if_its_requests_cost_more_than_expected(lab: FakeLab, chaos: Chaos) -> None:
    lab.crowd_request_s *= 1.5
    assert loads(lab, chaos.burst(BURST)) == pytest.approx([1.5 * 0.75 * 0.25, 0.25], rel=0.01)


def test_a_burst_is_smaller_where_users_leave_less_room(lab: FakeLab, chaos: Chaos) -> None:
    lab.steady_cpu_cores = 0.2
    lab.crowd_request_s *= 2.0
    assert loads(lab, chaos.burst(BURST))[-1] == pytest.approx(MOST - 0.2 / QUOTA_CORES, rel=0.01)


def test_a_burst_does_not_come_where_users_leave_no_room(lab: FakeLab, chaos: Chaos, journal: Journal) -> None:
    lab.steady_cpu_cores = 0.28
    assert loads(lab, chaos.burst(BURST)) == [0.0]
    assert journal.open_acts() == []


@pytest.mark.parametrize("act", ["gateway crashes", "payments restarts", "payments is scaled up"])
def test_a_burst_has_its_load_whatever_happens_to_the_services(lab: FakeLab, chaos: Chaos, act: str) -> None:
    stages = chaos.burst(BURST)
    match act:
        case "gateway crashes":
            lab.kill(Service.GATEWAY)
        case "payments restarts":
            lab.restart(Service.PAYMENTS)
        case _:
            lab.resize(Service.PAYMENTS, 2 * QUOTA_US)
    assert loads(lab, stages) == pytest.approx([0.75 * 0.25, 0.25], rel=0.01)


def test_a_short_burst_has_one_stage(lab: FakeLab, chaos: Chaos) -> None:
    began = lab.clock.now()
    assert loads(lab, chaos.burst(Bursts(Service.PAYMENTS, 0.2, 2.0))) == pytest.approx([0.75 * 0.2], rel=0.01)
    assert lab.clock.now() - began == pytest.approx(2.0)


def test_a_burst_on_a_broken_service_is_refused(lab: FakeLab, chaos: Chaos, journal: Journal) -> None:
    chaos.inject(Fault(FaultMode.CRASHED, Service.PAYMENTS))
    with pytest.raises(Refused, match=r"^payments is broken already, and a burst there would hide the fault$"):
        next(chaos.burst(BURST))
    assert [act.act for act in journal.open_acts()] == [Act.FAULT]


def test_a_burst_on_a_service_that_was_never_measured_is_an_error(lab: FakeLab, chaos: Chaos) -> None:
    lab.measured = False
    with pytest.raises(FleetError, match=r"^payments does not run long enough to measure its load; next: mirr status$"):
        list(chaos.burst(Bursts(Service.PAYMENTS, 0.2, 60.0)))


def test_a_burst_that_outlives_its_process_takes_no_harmless_deploy_with_it(
    lab: FakeLab, chaos: Chaos, journal: Journal, reverter: Reverter
) -> None:
    chaos.inject(Fault(FaultMode.CRASHED, Service.AUTH), lease_s=100.0)
    lab.deploy(Service.PAYMENTS, "1.5.0-sound", previous="1.4.0")
    next(chaos.burst(BURST))
    lab.clock.sleep(10.0)
    assert reverter.revert_expired() == []
    assert lab.running_campaigns == {}
    assert lab.services[Service.PAYMENTS].release == "1.5.0-sound"
    assert [act.act for act in journal.open_acts()] == [Act.FAULT]
