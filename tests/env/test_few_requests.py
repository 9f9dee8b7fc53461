"""What chance makes of a window: it has few requests, and they do not all cost the same."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mirr.env.objectives import FEATURE_COLUMN, SERVICE_ROW
from mirr.env.simulator.fast.compiled import numbers
from mirr.env.simulator.physics.latencies import p95_of_few
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Fault, Feature, Service

STEP_S = 2.0
EPISODES, WINDOWS = 50, 8


def p95_s(histogram: list[float], luck: float) -> float:
    return p95_of_few(numbers(histogram), 0, 16, sum(histogram), luck)


def test_a_p95_is_interpolated_inside_its_bucket() -> None:
    counts = [0.0] * 17
    assert p95_s(counts, 0.0) == 0.0
    counts[3] = 100.0  # the bucket from 0.025 to 0.05
    assert p95_s(counts, 0.0) == pytest.approx(0.04875)
    counts[16] = 1000.0  # the bucket above the last bound
    assert p95_s(counts, 0.0) == 10.0


def test_a_p95_of_few_requests_scatters_as_that_of_requests_which_are_drawn_one_by_one() -> None:
    """Prometheus works out the p95 of the requests that there were, and these are few."""
    rng = np.random.default_rng(0)
    shares = np.zeros(17)
    shares[3:8] = [0.30, 0.35, 0.25, 0.06, 0.04]  # the p95 is in one of the last two buckets, or below
    for requests in (23, 80):
        drawn = [p95_s([float(count) for count in rng.multinomial(requests, shares)], 0.0) for _ in range(2000)]
        by_luck = [p95_s(list(requests * shares), luck) for luck in rng.standard_normal(2000)]
        assert np.mean(by_luck) == pytest.approx(np.mean(drawn), rel=0.05)
        assert np.median(by_luck) == pytest.approx(np.median(drawn), rel=0.05)
        assert np.std(by_luck) == pytest.approx(np.std(drawn), rel=0.25)


def windows_of(fault: str | None = None) -> NDArray[np.float64]:
    """What windows in steady state show, or after a fault, as (windows, services, features)."""
    shown = []
    for key in range(EPISODES):
        world = SimulatedWorld()
        world.restore(key)
        if fault is not None:
            world.inject(Fault.parse(fault))
            world.advance(STEP_S)
            world.observe()
        for _ in range(WINDOWS):
            world.advance(STEP_S)
            shown.append(world.observe().features)
    return np.stack(shown)


def column(windows: NDArray[np.float64], service: Service, of: Feature) -> NDArray[np.float64]:
    return windows[:, SERVICE_ROW[service], FEATURE_COLUMN[of]]


def test_what_a_window_shows_scatters_as_few_requests_do() -> None:
    windows = windows_of()
    for service in Service:
        p95_s, cpu = column(windows, service, Feature.LATENCY_P95_S), column(windows, service, Feature.CPU_SHARE)
        assert 0.03 < p95_s.std() / p95_s.mean() < 0.4, service
        rate = column(windows, service, Feature.REQUEST_RATE)
        unexplained = cpu - np.polyval(np.polyfit(rate, cpu, 1), rate)
        assert 0.01 < unexplained.std() < 0.1, service  # as much as on the lab
    late = np.corrcoef([column(windows, service, Feature.LATENCY_P95_S) for service in Service])
    row = SERVICE_ROW
    assert late[row[Service.ORDERS], row[Service.PAYMENTS]] > 0.4  # an order is late since its payment was
    assert late[row[Service.GATEWAY], row[Service.ORDERS]] > 0.3
    assert abs(late[row[Service.AUTH], row[Service.PAYMENTS]]) < 0.2  # neither calls the other


def test_requests_in_flight_are_counted_at_one_moment() -> None:
    windows = windows_of()
    at_auth = column(windows, Service.AUTH, Feature.IN_FLIGHT)
    assert np.mean(at_auth == 0.0) > 0.9  # it answers a scrape between two requests
    at_gateway = column(windows, Service.GATEWAY, Feature.IN_FLIGHT)
    assert at_gateway.var() == pytest.approx(at_gateway.mean(), rel=0.3)  # as a Poisson number: they wait for upstreams
    full = column(windows_of("overloaded:auth"), Service.AUTH, Feature.IN_FLIGHT)
    assert full.max() == 48.0
    assert 40.0 < np.median(full) < 48.0


def test_an_order_fails_if_any_of_its_rows_is_spoiled() -> None:
    windows = windows_of("bad_deploy:inventory")
    # Half of the rows are spoiled; an order has 2, 3 or 4.
    assert column(windows, Service.ORDERS, Feature.ERROR_RATIO).mean() == pytest.approx(
        1 - (1 / 4 + 1 / 8 + 1 / 16) / 3, abs=0.01
    )
    assert 0.5 < column(windows, Service.INVENTORY, Feature.ERROR_RATIO).mean() < 0.7


def test_errors_come_early_so_the_p95_is_lower() -> None:
    def mean_p95_s(fault: str | None) -> float:
        return float(column(windows_of(fault), Service.GATEWAY, Feature.LATENCY_P95_S).mean())

    usual_s = mean_p95_s(None)
    for service in (Service.GATEWAY, Service.AUTH, Service.INVENTORY):
        assert 0.4 * usual_s < mean_p95_s(f"bad_deploy:{service}") < 0.95 * usual_s, service


def test_an_order_that_cannot_be_reserved_costs_less() -> None:
    usual = column(windows_of(), Service.ORDERS, Feature.CPU_SHARE).mean()
    failing = column(windows_of("crashed:inventory"), Service.ORDERS, Feature.CPU_SHARE).mean()
    assert failing < 0.6 * usual
