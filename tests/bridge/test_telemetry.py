"""Telemetry computes observations from raw scrapes: differences, new processes and targets that are down."""

from __future__ import annotations

import math
from typing import Any

import pytest
import requests

from mirr.bridge.prometheus import TRAFFIC, PrometheusReader, Sample
from mirr.bridge.telemetry import Telemetry, Window, quantile
from mirr.env.objectives import breaches
from mirr.env.vocabulary import Feature, Service
from mirr.env.world import WorldError
from tests.bridge.samples import FakeReader, scrape, users


@pytest.fixture
def reader() -> FakeReader:
    return FakeReader()


@pytest.fixture
def telemetry(reader: FakeReader) -> Telemetry:
    return Telemetry(reader, steady_cpu_quota_cores=lambda service: 0.3)


def fill(reader: FakeReader, at: float, **counters: float) -> None:
    reader.scrapes = {service.value: [scrape(at, **counters)] for service in Service}
    reader.scrapes[TRAFFIC] = [users(at, ok=counters["ok"])]


def test_a_window_is_the_difference_between_its_first_and_last_scrape(reader: FakeReader, telemetry: Telemetry) -> None:
    fill(reader, 100.0, ok=50.0, cpu_s=1.0)
    window = telemetry.open_window()
    fill(reader, 102.0, ok=80.0, failed=10.0, cpu_s=1.3)
    row = telemetry.measure(window).features[0]
    assert row.tolist() == pytest.approx([1.0, 20.0, 0.25, 0.02425, 0.5, 0.25, 3.0])
    assert list(Feature)[4] is Feature.CPU_SHARE


def test_consecutive_windows_count_every_request_exactly_once(reader: FakeReader, telemetry: Telemetry) -> None:
    fill(reader, 100.0, ok=50.0)
    window = telemetry.open_window()
    counted = 0
    for at, ok in ((102.0, 90.0), (104.0, 91.0), (106.0, 191.0)):
        fill(reader, at, ok=ok)
        counted += telemetry.measure(window).requests
    assert counted == 3 * (191 - 50)


def test_the_counters_of_a_new_process_begin_at_its_start(reader: FakeReader, telemetry: Telemetry) -> None:
    fill(reader, 100.0, ok=5_000.0, cpu_s=60.0)
    window = telemetry.open_window()
    fill(reader, 102.0, ok=10.0, cpu_s=0.24, started=101.0)
    row = telemetry.measure(window).features[0]
    assert row[list(Feature).index(Feature.REQUEST_RATE)] == pytest.approx(10.0)
    assert row[list(Feature).index(Feature.CPU_SHARE)] == pytest.approx(0.8)


def test_the_values_of_a_target_that_is_down_are_missing_and_not_zero(reader: FakeReader, telemetry: Telemetry) -> None:
    fill(reader, 100.0, ok=50.0)
    window = telemetry.open_window()
    fill(reader, 102.0, ok=80.0)
    reader.scrapes[Service.AUTH].append(Sample(102.2, up=False))
    snapshot = telemetry.measure(window)
    row = snapshot.features[1]
    assert row[0] == 0.0
    assert all(math.isnan(value) for value in row[1:])
    assert breaches(snapshot) == ["auth is down"]


def test_a_service_without_requests_has_no_errors(reader: FakeReader, telemetry: Telemetry) -> None:
    fill(reader, 100.0, ok=50.0)
    window = telemetry.open_window()
    fill(reader, 102.0, ok=50.0)
    assert telemetry.measure(window).features[0].tolist()[1:4] == [0.0, 0.0, 0.0]


def test_a_clock_that_was_set_back_within_an_episode_is_named(reader: FakeReader, telemetry: Telemetry) -> None:
    """Prometheus then answers with the scrapes that it made when the clock was there for the first time."""
    fill(reader, 5_000.0, ok=50.0)
    window = telemetry.open_window()
    fill(reader, 1_402.0, ok=10.0)
    with pytest.raises(WorldError) as raised:
        telemetry.measure(window)
    assert str(raised.value) == (
        "the clock of the lab's containers was set back, by about 3,598 s, and Prometheus keeps nothing until it has "
        "caught up; next: mirr down, then mirr up"
    )


@pytest.mark.thorough
@pytest.mark.parametrize(("set_back_s", "noticed"), [(3_600.0, True), (60.0, True), (0.0, False)])
def test_a_clock_that_was_set_back_before_an_episode_is_named(set_back_s: float, noticed: bool) -> None:
    reader = FakeReader(now=5_000.0 - set_back_s)
    scrapes = [0.5 * number for number in range(10_001)]  # up to 5,000 s
    reader.scrapes = {service.value: [scrape(at, ok=at) for at in scrapes] for service in Service}
    telemetry = Telemetry(reader, steady_cpu_quota_cores=lambda service: 0.3)
    if not noticed:
        assert telemetry.open_window().ends[Service.AUTH].at == 5_000.0
        return
    with pytest.raises(WorldError) as raised:
        telemetry.open_window()
    assert str(raised.value) == (
        "the clock of the lab's containers was set back, perhaps by hours, and Prometheus keeps nothing until it has "
        "caught up; next: mirr down, then mirr up"
    )


def test_a_machine_that_stood_still_between_two_readings_is_no_clock_that_was_set_back() -> None:
    class Stalled(FakeReader):
        """The second reading comes 8 s after the first."""

        def samples(self, lookback_s: float, *, until: float | None = None) -> dict[str, list[Sample]]:
            found = super().samples(lookback_s, until=until)
            self._now = 5_008.0
            return found

    reader = Stalled(now=5_000.0)
    reader.scrapes = {service.value: [scrape(4_990.0 + 0.5 * n, ok=n) for n in range(37)] for service in Service}
    telemetry = Telemetry(reader, steady_cpu_quota_cores=lambda service: 0.3)
    assert telemetry.open_window().ends[Service.AUTH].at == 5_000.0


def test_slow_answers_count_as_failed_for_users(reader: FakeReader, telemetry: Telemetry) -> None:
    fill(reader, 100.0, ok=50.0)
    window = telemetry.open_window()
    fill(reader, 102.0, ok=80.0)
    reader.scrapes[TRAFFIC] = [users(102.0, ok=80.0, slow=10.0)]
    snapshot = telemetry.measure(window)
    assert (snapshot.requests, snapshot.failed_requests, snapshot.user_sli) == (120, 30, 0.75)


def test_a_quota_below_the_steady_one_counts_as_degraded(reader: FakeReader) -> None:
    fill(reader, 100.0, ok=50.0)
    telemetry = Telemetry(reader, steady_cpu_quota_cores=lambda service: 0.6)
    assert telemetry.measure(Window()).degraded[Service.AUTH] == "has 0.3 cores, steady is 0.6"


def test_a_measurement_without_the_load_generator_is_an_error(reader: FakeReader, telemetry: Telemetry) -> None:
    fill(reader, 100.0, ok=50.0)
    del reader.scrapes[TRAFFIC]
    with pytest.raises(WorldError, match="the load generator is down, so nobody knows how users fare; next: mirr up"):
        telemetry.measure(Window())


def test_the_load_does_not_include_the_start_of_the_process(reader: FakeReader, telemetry: Telemetry) -> None:
    boot = scrape(100.5, ok=0.0, cpu_s=0.6, started=100.0)
    first = scrape(103.0, ok=10.0, cpu_s=0.8, started=100.0)
    last = scrape(105.0, ok=50.0, cpu_s=1.0, started=100.0)
    reader.scrapes = {Service.ORDERS.value: [boot, first, last]}
    load = telemetry.load(Service.ORDERS, 60.0)
    assert load is not None
    assert (load.cpu_cores, load.served_rate, load.quota_cores) == pytest.approx((0.1, 20.0, 0.3))


def test_the_load_does_not_include_the_start_of_a_process_that_boots_slowly(
    reader: FakeReader, telemetry: Telemetry
) -> None:
    just_booted = scrape(104.0, ok=0.0, cpu_s=1.2, started=100.0)
    warming_up = scrape(104.5, ok=5.0, cpu_s=1.4, started=100.0)
    first = scrape(105.1, ok=10.0, cpu_s=1.5, started=100.0)
    last = scrape(107.1, ok=50.0, cpu_s=1.7, started=100.0)
    reader.scrapes = {Service.ORDERS.value: [just_booted, warming_up, first, last]}
    load = telemetry.load(Service.ORDERS, 60.0)
    assert load is not None
    assert (load.cpu_cores, load.served_rate) == pytest.approx((0.1, 20.0))


def test_a_process_that_has_just_started_has_no_load_yet(reader: FakeReader, telemetry: Telemetry) -> None:
    reader.scrapes = {Service.ORDERS.value: [scrape(100.5, ok=0.0, started=100.0)]}
    assert telemetry.load(Service.ORDERS, 60.0) is None
    assert telemetry.load_between(Service.ORDERS, 0.0, None) is None


@pytest.mark.parametrize(
    ("buckets", "expected"),
    [
        ({}, 0.0),
        ({0.1: 0.0, math.inf: 0.0}, 0.0),
        ({0.1: 100.0, math.inf: 100.0}, 0.095),
        ({0.1: 90.0, 0.2: 100.0, math.inf: 100.0}, 0.15),
        ({0.1: 10.0, math.inf: 100.0}, 0.1),  # the highest finite bound, as in histogram_quantile
    ],
)
def test_a_quantile_is_interpolated_within_its_bucket(buckets: dict[float, float], expected: float) -> None:
    assert quantile(0.95, {(("le", str(le)),): n for le, n in buckets.items()}) == pytest.approx(expected)


def test_the_samples_of_one_scrape_are_grouped_by_their_time() -> None:
    def series(name: str, values: list[list[Any]], **labels: str) -> dict[str, Any]:
        return {"metric": {"__name__": name, "service": "auth", "job": "services", **labels}, "values": values}

    class FakeAnswer:
        def raise_for_status(self) -> None:
            pass

        def json(self) -> dict[str, Any]:
            return {
                "data": {
                    "result": [
                        series("up", [[1.0, "1"], [1.5, "0"]]),
                        series("http_requests_total", [[1.0, "7"]], code="200"),
                    ]
                }
            }

    asked: list[Any] = []

    class FakeSession(requests.Session):
        def get(self, *args: Any, **kwargs: Any) -> Any:
            assert kwargs["params"]["query"].endswith('service!=""}[2500ms]')
            asked.append(kwargs["params"].get("time"))
            return FakeAnswer()

    reader = PrometheusReader("http://fake", FakeSession())
    samples = reader.samples(2.5)
    assert reader.samples(2.5, until=1700000000.5) == samples
    assert asked == [None, 1700000000.5]
    assert samples == {
        "auth": [
            Sample(1.0, up=True, values={"http_requests_total": {(("code", "200"),): 7.0}}),
            Sample(1.5, up=False),
        ]
    }


def test_the_error_says_that_prometheus_does_not_answer() -> None:
    reader = PrometheusReader("http://127.0.0.1:9", requests.Session())
    with pytest.raises(
        WorldError, match=r"^Prometheus at http://127\.0\.0\.1:9 does not answer \(ConnectionError\); next: mirr up$"
    ):
        reader.samples(1.0)
