"""The traffic of the users. The tests send it to a fake shop on this machine."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.traffic.fakes import DEADLINE_S, FakeShop, a_shop
from traffic.metrics import Journey, Metrics, Outcome
from traffic.users import Users


def _count(metrics: Metrics, *outcomes: Outcome) -> int:
    return int(
        sum(
            metrics.registry.get_sample_value("journey_requests_total", {"journey": journey, "outcome": outcome}) or 0.0
            for journey in Journey
            for outcome in outcomes or Outcome
        )
    )


def _visit(
    run_test: Callable[[FakeShop, Metrics], Awaitable[None]], *, url: str | None = None, **settings: Any
) -> Metrics:
    """Send the traffic of users to a shop until `run_test` has ended."""
    metrics = Metrics()

    async def run() -> None:
        async with a_shop() as (shop, shop_url, session):
            users = Users(session, url or shop_url, metrics, **{"seed": 1, "rate_per_s": 200.0} | settings)
            task = asyncio.ensure_future(users.run())
            try:
                await run_test(shop, metrics)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    return metrics


async def _until(condition: Callable[[], bool], timeout_s: float = DEADLINE_S) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.005)


async def _sixty_journeys(shop: FakeShop, metrics: Metrics) -> None:
    await _until(lambda: _count(metrics) >= 60)


def test_successful_journeys_are_counted_as_ok_and_timed() -> None:
    metrics = _visit(_sixty_journeys)
    assert _count(metrics, Outcome.OK) == _count(metrics) >= 60
    text = metrics.text().decode()
    assert 'journey_requests_total{journey="browse",outcome="dropped"} 0.0' in text
    assert 'journey_duration_seconds_bucket{journey="check_out",le="1.0"}' in text
    assert "process_cpu_seconds_total" in text


def test_users_make_the_three_journeys_with_their_own_keys_and_tokens() -> None:
    seen: list[tuple[str, dict[str, str], bytes]] = []

    async def run_test(shop: FakeShop, metrics: Metrics) -> None:
        await shop.after(120)
        seen.extend(shop.asked)

    _visit(run_test)
    assert {path for path, _, _ in seen} == {"/browse", "/sign-in", "/check-out"}
    assert all(headers["Client-Key"].startswith("client-") for _, headers, _ in seen)
    keys = [headers["Idempotency-Key"] for path, headers, _ in seen if path == "/check-out"]
    assert len(set(keys)) == len(keys) > 10
    for path, headers, body in seen:
        if path == "/check-out":
            assert headers["Authorization"] == "Bearer t"
            assert {"lines", "zone"} == set(json.loads(body))


def test_a_journey_that_is_refused_or_fails_is_an_error() -> None:
    async def run_test(shop: FakeShop, metrics: Metrics) -> None:
        shop.status = {"/browse": 500, "/sign-in": 401, "/check-out": 409}
        await _sixty_journeys(shop, metrics)

    metrics = _visit(run_test)
    assert _count(metrics, Outcome.ERROR) > 50


def test_a_gateway_that_is_down_is_an_immediate_error_and_the_traffic_goes_on() -> None:
    begun = time.monotonic()
    metrics = _visit(_sixty_journeys, url="http://127.0.0.1:1", timeout_s=2 * DEADLINE_S)
    assert _count(metrics, Outcome.ERROR) == _count(metrics) >= 60
    assert time.monotonic() - begun < DEADLINE_S


@pytest.mark.thorough
def test_every_journey_that_is_due_while_the_server_hangs_is_late() -> None:
    """A closed loop would have only one late request. In the open loop more than a fifth of all journeys are late."""

    async def run_test(shop: FakeShop, metrics: Metrics) -> None:
        await asyncio.sleep(0.75)
        shop.open.clear()
        await asyncio.sleep(0.5)
        shop.open.set()
        sent_before = len(shop.asked)
        await _until(lambda: _count(metrics) >= sent_before)

    metrics = _visit(run_test)
    late = sum((_bucket(metrics, journey, "+Inf") - _bucket(metrics, journey, "0.1")) for journey in Journey) / _count(
        metrics
    )
    assert late > 0.2


def _bucket(metrics: Metrics, journey: Journey, bound: str) -> float:
    labels = {"journey": journey, "le": bound}
    return metrics.registry.get_sample_value("journey_duration_seconds_bucket", labels) or 0.0


def test_a_journey_that_is_never_sent_is_counted_as_dropped() -> None:
    async def run_test(shop: FakeShop, metrics: Metrics) -> None:
        shop.open.clear()
        await _until(lambda: _count(metrics, Outcome.DROPPED) >= 20)

    metrics = _visit(run_test, max_in_flight=5)
    assert _count(metrics, Outcome.DROPPED) >= 20


@pytest.mark.parametrize(("duration_s", "outcome"), [(1.0, Outcome.OK), (1.01, Outcome.SLOW)])
def test_a_successful_journey_of_more_than_a_second_is_slow(duration_s: float, outcome: Outcome) -> None:
    metrics = Metrics()
    metrics.finished(Journey.BROWSE, succeeded=True, duration_s=duration_s)
    assert _count(metrics, outcome) == 1


def test_a_refused_token_is_forgotten() -> None:
    signed_in: list[int] = []

    async def run() -> None:
        async with a_shop() as (shop, url, session):
            users = Users(session, url, Metrics(), seed=1)
            await users._token_of(7)
            shop.status = {"/check-out": 401}
            with pytest.raises(Exception, match=r"^POST /check-out answered 401$"):
                await users._check_out()
            signed_in.extend(users._tokens)

    asyncio.run(run())
    assert signed_in == []


def test_a_client_that_times_out_counts_an_error() -> None:
    async def run_test(shop: FakeShop, metrics: Metrics) -> None:
        shop.open.clear()
        await _until(lambda: _count(metrics, Outcome.ERROR) >= 5)

    assert _count(_visit(run_test, timeout_s=0.1), Outcome.OK) == 0


def test_a_customer_with_an_invalid_token_signs_in_again_and_sends_the_same_order() -> None:
    """The tokens of the other customers are forgotten, so not all customers sign in at the same time."""
    tokens: list[str] = []

    async def run() -> None:
        async with a_shop() as (shop, url, session):
            users = Users(session, url, Metrics(), seed=1)
            for customer in range(5):
                await users._token_of(customer)
            shop.status = {"/check-out": 401}
            checking_out = asyncio.ensure_future(users._check_out())
            await shop.after(6)
            shop.status = {}
            await checking_out
            tokens.extend(map(str, users._tokens))
            assert [path for path, _, _ in shop.asked[5:]] == ["/check-out", "/sign-in", "/check-out"]
            first, second = (headers["Idempotency-Key"] for path, headers, _ in shop.asked if path == "/check-out")
            assert first == second

    asyncio.run(run())
    assert len(tokens) == 1
