"""The load of a service: what users ask of it, as it was when nothing was broken, at the level of traffic now."""

from __future__ import annotations

import pytest

from mirr.bridge.load import LoadMeter
from mirr.bridge.prometheus import Sample
from mirr.bridge.telemetry import Telemetry
from mirr.chaos.journal import Calm
from mirr.chaos.traffic import History
from mirr.env.vocabulary import Service, TrafficChanges
from tests.bridge.samples import FakeReader, scrape

ORDERS = Service.ORDERS
STEADY_QUOTA_CORES = 0.3


def process(
    since: float, until: float, *, started: float = 0.0, per_s: float = 20.0, quota_cores: float = 0.3
) -> list[Sample]:
    """Two scrapes a second of a process that serves `per_s` requests a second, with 5 ms of CPU each."""
    return [
        scrape(
            at,
            ok=per_s * (at - since),
            cpu_s=0.005 * per_s * (at - since),
            started=started,
            quota_cores=quota_cores,
        )
        for at in (since + 0.5 * number for number in range(round(2 * (until - since)) + 1))
    ]


def meter(
    *samples: list[Sample], now: float, calm: list[Calm] | None = None, traffic: History = (), skew_s: float = 0.0
) -> LoadMeter:
    reader = FakeReader(now=now)
    reader.scrapes = {ORDERS.value: [sample for own in samples for sample in own]}
    return LoadMeter(
        Telemetry(reader, steady_cpu_quota_cores=lambda _: STEADY_QUOTA_CORES),
        steady_quota_cores=lambda _: STEADY_QUOTA_CORES,
        calm=lambda _: calm or [Calm(0.0, None)],
        traffic=lambda: traffic,
        skew_s=lambda: skew_s,
        now=lambda: now,
    )


def rates(found: LoadMeter) -> tuple[float, float, float] | None:
    load = found.usual(ORDERS)
    return None if load is None else (load.served_rate, load.cpu_cores, load.quota_cores)


def test_the_usual_load_is_that_of_the_last_minute_without_a_fault() -> None:
    assert rates(meter(process(0.0, 100.0, per_s=20.0), now=100.0)) == pytest.approx((20.0, 0.1, 0.3))


def test_what_was_measured_during_an_earlier_fault_does_not_count() -> None:
    # Until 110 the service has a flash crowd and 30 requests a second. After that it has 20 requests a second.
    crowded, calm = [scrape(104.0, ok=0.0), scrape(110.0, ok=180.0)], [scrape(111.0, ok=200.0), scrape(113.0, ok=240.0)]
    found = rates(meter(crowded, calm, now=113.0, calm=[Calm(110.2, None)]))
    assert found is not None
    assert found[0] == pytest.approx(20.0)


def test_a_service_that_nobody_reaches_now_has_the_load_from_before_the_fault() -> None:
    usual = process(0.0, 50.0)
    nothing = [scrape(50.0 + after_s, ok=1000.0, cpu_s=5.0) for after_s in range(1, 200)]
    found = meter(usual, nothing, now=249.0, calm=[Calm(10.0, 50.0)])
    assert rates(found) == pytest.approx((20.0, 0.1, 0.3))


def test_a_service_that_was_just_restarted_has_the_load_of_its_process_before() -> None:
    found = meter(process(0.0, 50.0), process(52.0, 53.0, started=51.0, per_s=0.0), now=53.0)
    assert rates(found) == pytest.approx((20.0, 0.1, 0.3))


def test_the_latest_time_without_a_fault_that_is_long_enough_counts() -> None:
    found = meter(
        process(0.0, 50.0, per_s=10.0),
        process(50.5, 90.0, per_s=30.0, started=1.0),
        now=90.0,
        calm=[Calm(89.0, None), Calm(60.0, 80.0), Calm(5.0, 40.0)],
    )
    assert rates(found) == pytest.approx((30.0, 0.15, 0.3))


def test_a_service_that_was_never_measured_has_no_usual_load_and_nobody_waits() -> None:
    assert rates(meter([scrape(100.5, ok=0.0, started=100.0)], now=100.5)) is None
    assert rates(meter(process(0.0, 50.0), now=50.0, calm=[Calm(49.0, None), Calm(20.0, 21.0)])) is None


def test_the_usual_load_is_that_at_the_level_of_traffic_now() -> None:
    traffic: History = ((40.0, TrafficChanges(1.2, 0.8, 20.0)),)
    assert rates(meter(process(0.0, 39.5), now=45.0, traffic=traffic)) == pytest.approx((22.0, 0.11, 0.3))
    # It was measured while the level went from 1.2 to 0.8, so it shows a level of 1 on average.
    falling = meter(process(40.5, 59.5), now=60.0, calm=[Calm(40.0, None)], traffic=traffic)
    assert rates(falling) == pytest.approx((16.0, 0.08, 0.3))
    by_route = falling.usual(ORDERS)
    assert by_route is not None
    assert by_route.served_by_route == pytest.approx({"/search": 16.0})


def test_the_usual_load_has_the_steady_quota_also_if_the_service_was_scaled_up() -> None:
    assert rates(meter(process(0.0, 50.0, quota_cores=0.6), now=50.0)) == pytest.approx((20.0, 0.1, 0.3))


def test_times_in_the_journal_are_read_by_the_clock_of_the_engine() -> None:
    found = meter(process(3600.0, 3650.0), now=60.0, calm=[Calm(10.0, 50.0)], skew_s=3600.0)
    assert rates(found) == pytest.approx((20.0, 0.1, 0.3))


def test_a_glance_is_one_at_the_process_that_runs() -> None:
    running = meter(process(0.0, 50.0, quota_cores=0.6), now=50.0).glance(ORDERS, 2.5)
    assert running is not None
    assert (running.served_rate, running.quota_cores) == pytest.approx((20.0, 0.6))
    just_restarted = meter(process(0.0, 50.0), process(52.0, 53.0, started=51.0), now=53.0)
    assert just_restarted.glance(ORDERS, 60.0) is None
