"""The control interface changes how often users come, on a lease, and refuses what is not possible."""

from __future__ import annotations

import pytest

from tests.traffic.clock import Clock
from tests.traffic.generator import Generator, run_with_generator
from traffic.metrics import Metrics

CHANGE = {"first": 0.8, "last": 1.2, "over_s": 40.0, "lease_s": 6.0}
USUAL = (404, {"error": "users come at their usual rate"})


def test_the_level_is_changed_renewed_and_reset() -> None:
    clock = Clock()

    async def run_test(generator: Generator) -> None:
        assert await generator.ask("GET", "/traffic") == (200, {"level": 1.0})
        changed = {"level": 0.8, "first": 0.8, "last": 1.2, "over_s": 40.0, "lease_left_s": 6.0}
        assert await generator.ask("PUT", "/traffic", CHANGE) == (201, changed)
        clock.now_s = 4.0
        renewed = changed | {"level": 0.84}
        assert await generator.ask("POST", "/traffic/renew", {"lease_s": 6}) == (200, renewed)
        assert await generator.ask("PUT", "/traffic", CHANGE | {"first": 1.2}) == (
            200,
            changed | {"level": 1.2, "first": 1.2},
        )
        assert await generator.ask("DELETE", "/traffic") == (200, {"level": 1.0})
        assert await generator.ask("DELETE", "/traffic") == USUAL

    run_with_generator(run_test, now=clock.now)


def test_a_level_ends_by_itself_if_its_lease_is_not_renewed() -> None:
    clock = Clock()

    async def run_test(generator: Generator) -> None:
        await generator.ask("PUT", "/traffic", CHANGE)
        clock.now_s = 6.0
        assert await generator.ask("GET", "/traffic") == (200, {"level": 1.0})
        assert await generator.ask("POST", "/traffic/renew", {"lease_s": 6}) == USUAL
        assert await generator.ask("DELETE", "/traffic") == USUAL

    run_with_generator(run_test, now=clock.now)


BAD_CHANGES: list[tuple[object, str]] = [
    (b"{", "the body is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
    ([], "the body is not a JSON object"),
    ({}, "first is None; a number from 0.25 to 2"),
    (CHANGE | {"first": 0.2}, "first is 0.2; a number from 0.25 to 2"),
    (CHANGE | {"last": 2.1}, "last is 2.1; a number from 0.25 to 2"),
    (CHANGE | {"last": "1"}, "last is '1'; a number from 0.25 to 2"),
    (CHANGE | {"first": True}, "first is True; a number from 0.25 to 2"),
    (CHANGE | {"first": float("nan")}, "first is nan; a number from 0.25 to 2"),
    (CHANGE | {"over_s": -1}, "over_s is -1; a number from 0 to 600"),
    (CHANGE | {"over_s": float("inf")}, "over_s is inf; a number from 0 to 600"),
    (CHANGE | {"over_s": 10**400}, f"over_s is {'1' + '0' * 79}; a number from 0 to 600"),
    (CHANGE | {"lease_s": 0}, "lease_s is 0; a number above 0, at most 600"),
    (CHANGE | {"lease_s": None}, "lease_s is None; a number above 0, at most 600"),
    (CHANGE | {"level": 1}, "unknown field 'level'; the fields are: first, last, over_s, lease_s"),
]


@pytest.mark.parametrize(("change", "message"), BAD_CHANGES)
def test_an_invalid_change_is_refused_with_a_reason(change: object, message: str) -> None:
    async def run_test(generator: Generator) -> None:
        assert await generator.ask("PUT", "/traffic", change) == (422, {"error": message})
        assert await generator.ask("GET", "/traffic") == (200, {"level": 1.0})

    run_with_generator(run_test)


def test_an_invalid_lease_does_not_renew() -> None:
    async def run_test(generator: Generator) -> None:
        await generator.ask("PUT", "/traffic", CHANGE)
        refused = {"error": "lease_s is 601; a number above 0, at most 600"}
        assert await generator.ask("POST", "/traffic/renew", {"lease_s": 601}) == (422, refused)

    run_with_generator(run_test)


def test_nothing_that_prometheus_reads_tells_the_level_or_a_campaign() -> None:
    def names(text: str) -> list[str]:
        return [line.rpartition(" ")[0] for line in text.splitlines()]

    async def run_test(generator: Generator) -> None:
        before = await generator.text("/metrics")
        await generator.ask("PUT", "/traffic", CHANGE)
        crowd = {"kind": "flash_crowd", "service": "auth", "rate_per_s": 50.0, "lease_s": 6.0}
        await generator.ask("PUT", "/campaigns/flash-crowd-auth", crowd)
        await generator.shop.after(5)
        assert names(await generator.text("/metrics")) == names(before) == names(Metrics().text().decode())

    run_with_generator(run_test)
