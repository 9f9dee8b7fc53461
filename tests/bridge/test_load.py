"""The load of a service: the meter waits for missing scrapes, but not for ever."""

from __future__ import annotations

from typing import cast

import pytest

from mirr.bridge.load import LoadMeter
from mirr.bridge.telemetry import Telemetry
from mirr.chaos.errors import FleetError
from mirr.chaos.load import Load
from mirr.env.vocabulary import Service
from tests.fakes.clock import FakeClock

LOAD = Load(cpu_cores=0.2, served_rate=50.0, quota_cores=0.3)


class FakeTelemetry:
    """Fake telemetry that knows the load only for a time of at least `enough_s` seconds."""

    def __init__(self, enough_s: float) -> None:
        self._enough_s = enough_s

    def load(self, service: Service, seconds: float = 60.0) -> Load | None:
        return LOAD if seconds >= self._enough_s else None


def meter(enough_s: float, clock: FakeClock) -> LoadMeter:
    telemetry = cast("Telemetry", FakeTelemetry(enough_s))
    return LoadMeter(telemetry, timeout_s=10.0, now=clock.now, sleep=clock.sleep)


def test_the_meter_waits_for_the_next_scrape_if_one_is_missing() -> None:
    clock = FakeClock()
    began = clock.now()
    assert meter(3.0, clock).last(Service.AUTH, 2.5) == LOAD
    assert clock.now() - began == pytest.approx(0.6)


def test_the_meter_does_not_wait_if_the_load_is_known() -> None:
    clock = FakeClock()
    began = clock.now()
    assert meter(2.0, clock).last(Service.AUTH, 2.5) == LOAD
    assert clock.now() == began


def test_a_service_that_answers_no_scrape_is_an_error() -> None:
    with pytest.raises(FleetError, match=r"auth could not be measured for 1\d s; next: mirr status"):
        meter(60.0, FakeClock()).last(Service.AUTH, 2.5)
