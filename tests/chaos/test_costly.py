"""`overloaded/costly` and the severities of campaigns: how much is sent."""

from __future__ import annotations

import dataclasses
import random

import pytest

from mirr.chaos.campaigns import campaign_id
from mirr.chaos.crowd_sizing import Expensive, enough, expensive_cost_s
from mirr.chaos.errors import FleetError
from mirr.chaos.faults import costly, crowd, leak
from mirr.chaos.journal import Journal
from mirr.chaos.load import Load
from mirr.env.vocabulary import Fault, Service
from tests.fakes.assembly import fake_chaos
from tests.fakes.lab import FakeLab
from traffic.campaigns import REQUESTS, Kind, Target

COSTLY = Fault.parse("overloaded/costly:payments")
STEADY_CORES, QUOTA_CORES = 0.1, 0.3


def _rate_per_s(lab: FakeLab, sends: str, service: Service) -> float:
    return lab.running_campaigns[campaign_id(sends, service)][0].rate_per_s


def test_few_costly_requests_are_as_much_work_as_a_crowd(lab: FakeLab, journal: Journal) -> None:
    fake_chaos(lab, journal).inject(COSTLY)
    rate_per_s = _rate_per_s(lab, costly.SENDS, Service.PAYMENTS)
    assert rate_per_s == pytest.approx((1.35 * QUOTA_CORES - STEADY_CORES) / 0.06, rel=0.05)
    assert rate_per_s < lab.steady_rate / 3


@pytest.mark.parametrize("request_s", [0.03, 0.075])
def test_costly_requests_are_measured_wherever_they_cost_more_or_less(
    lab: FakeLab, journal: Journal, request_s: float
) -> None:
    lab.costly_request_s = request_s
    fake_chaos(lab, journal).inject(COSTLY)
    load = (STEADY_CORES + _rate_per_s(lab, costly.SENDS, Service.PAYMENTS) * request_s) / QUOTA_CORES
    least, most = costly.plan(Service.PAYMENTS, 1.35).enough
    assert least <= load <= most


def test_costly_requests_that_cost_more_later_are_sent_less_often(lab: FakeLab, journal: Journal) -> None:
    stages = fake_chaos(lab, journal).begin(COSTLY)
    next(stages)
    next(stages)  # the size comes from the cost of the first requests
    lab.costly_request_s *= 1.2
    list(stages)
    load = (STEADY_CORES + _rate_per_s(lab, costly.SENDS, Service.PAYMENTS) * lab.costly_request_s) / QUOTA_CORES
    least, most = costly.plan(Service.PAYMENTS, 1.35).enough
    assert least <= load <= most


def test_costly_requests_that_do_not_reach_their_service_are_an_error(lab: FakeLab, journal: Journal) -> None:
    lab.costly_request_s = 0.0
    with pytest.raises(FleetError, match="the crowd of costly requests does not reach payments; next: mirr status"):
        fake_chaos(lab, journal).inject(COSTLY)


def test_the_cost_of_an_expensive_request_is_what_the_others_do_not_explain() -> None:
    expensive = Expensive(route="/much", times_usual=10.0)
    steady = Load(cpu_cores=0.1, served_rate=20.0, quota_cores=0.3)
    full = Load(cpu_cores=0.3, served_rate=19.0, quota_cores=0.3, served_by_route={"/little": 15.0, "/much": 4.0})
    assert expensive_cost_s(expensive, steady, full) == pytest.approx((0.3 - 15.0 * 0.005) / 4.0)
    assert expensive_cost_s(expensive, steady, dataclasses.replace(full, served_by_route={})) is None


@pytest.mark.parametrize("service", Service)
def test_the_route_that_is_measured_is_the_one_that_is_sent_to(service: Service) -> None:
    out = REQUESTS[Kind.COSTLY][Target(service.value)](random.Random(1), b"")
    assert out.path.partition("?")[0] == costly.EXPENSIVE[service].route


@pytest.mark.parametrize(("severity", "least", "most"), [(1.15, 1.1278, 1.25), (1.45, 1.25, 1.55), (1.9, 1.7, 1.95)])
def test_a_crowd_that_is_not_corrected_is_an_overload_and_less_than_twice_the_quota(
    severity: float, least: float, most: float
) -> None:
    assert enough(severity, most=2.0) == crowd.plan(Service.AUTH, severity).enough == (least, most)


@pytest.mark.parametrize("severity", [1.15, 1.9])
def test_the_severity_of_a_crowd_is_the_load_with_it(lab: FakeLab, journal: Journal, severity: float) -> None:
    fake_chaos(lab, journal).inject(Fault.parse(f"overloaded/crowd@{severity}:auth"))
    load = (STEADY_CORES + _rate_per_s(lab, crowd.SENDS, Service.AUTH) * lab.crowd_request_s) / QUOTA_CORES
    assert load == pytest.approx(severity, rel=0.01)


@pytest.mark.parametrize(("severity", "rate_per_s"), [("", 8.0), ("/leak@0.02", 4.0), ("/leak@0.05", 10.0)])
def test_the_severity_of_a_leak_is_how_fast_memory_climbs(
    lab: FakeLab, journal: Journal, severity: str, rate_per_s: float
) -> None:
    fake_chaos(lab, journal).inject(Fault.parse(f"memory_leak{severity}:payments"))
    assert _rate_per_s(lab, leak.SENDS, Service.PAYMENTS) == pytest.approx(rate_per_s)
