"""Campaigns, and the HTTP interface that starts them."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tests.services.conftest import FakeUpstreams
from tests.traffic.fakes import DEADLINE_S
from tests.traffic.generator import Generator, run_with_generator
from traffic import shop as shop_module
from traffic.campaigns import MAX_IN_FLIGHT, NOTE, NOTE_BYTES, REQUESTS, Kind, Target

CROWD = {"kind": "flash_crowd", "service": "auth", "rate_per_s": 200.0, "lease_s": 30.0}


def test_a_flash_crowd_sends_requests_until_the_campaign_is_ended() -> None:
    async def run_test(generator: Generator) -> None:
        assert await generator.ask("PUT", "/campaigns/c", CROWD) == (201, {"id": "c", "lease_s": 30.0})
        await generator.shop.after(20)
        assert {path for path, _, _ in generator.shop.asked} == {"/sessions"}
        assert all("Client-Key" not in headers for _, headers, _ in generator.shop.asked)
        assert await generator.ask("DELETE", "/campaigns/c") == (200, {"id": "c"})
        assert await generator.ask("GET", "/campaigns") == (200, {"campaigns": []})

    run_with_generator(run_test)


def test_a_second_request_changes_the_running_campaign() -> None:
    async def run_test(generator: Generator) -> None:
        await generator.ask("PUT", "/campaigns/c", CROWD)
        assert (await generator.ask("PUT", "/campaigns/c", CROWD | {"rate_per_s": 50}))[0] == 200
        running = (await generator.ask("GET", "/campaigns"))[1]["campaigns"]
        assert [(c["id"], c["kind"], c["service"], c["rate_per_s"]) for c in running] == [
            ("c", "flash_crowd", "auth", 50.0)
        ]
        assert (await generator.ask("PUT", "/campaigns/c", CROWD | {"service": "orders"}))[0] == 200
        assert [c["service"] for c in generator.campaigns.describe()] == ["orders"]

    run_with_generator(run_test)


def test_a_campaign_ends_by_itself_if_its_lease_is_not_renewed() -> None:
    async def run_test(generator: Generator) -> None:
        await generator.ask("PUT", "/campaigns/c", CROWD | {"lease_s": 0.2})
        await generator.wait_until_all_have_ended()
        assert await generator.ask("POST", "/campaigns/c/renew", {"lease_s": 1}) == (
            404,
            {"error": "no campaign 'c' is running"},
        )
        assert await generator.ask("DELETE", "/campaigns/c") == (404, {"error": "no campaign 'c' is running"})

    run_with_generator(run_test)


def test_a_renewed_lease_lasts_longer() -> None:
    async def run_test(generator: Generator) -> None:
        await generator.ask("PUT", "/campaigns/c", CROWD | {"lease_s": 1.0})
        assert await generator.ask("POST", "/campaigns/c/renew", {"lease_s": 30}) == (200, {"id": "c", "lease_s": 30.0})
        await asyncio.sleep(1.1)
        assert [c["id"] for c in generator.campaigns.describe()] == ["c"]

    run_with_generator(run_test)


def test_a_client_with_unique_keys_sends_a_new_key_and_a_large_body_each_time() -> None:
    async def run_test(generator: Generator) -> None:
        await generator.ask("PUT", "/campaigns/k", CROWD | {"kind": "unique_keys", "rate_per_s": 50})
        await generator.shop.after(8)
        asked = generator.shop.asked[:8]
        assert len({headers["Client-Key"] for _, headers, _ in asked}) == 8
        assert all(len(body) > NOTE_BYTES for _, _, body in asked)
        assert all(json.loads(body)["note"] == NOTE.decode() for _, _, body in asked)

    run_with_generator(run_test)


@pytest.mark.thorough
def test_a_service_that_does_not_answer_gets_a_bounded_number_of_requests() -> None:
    async def run_test(generator: Generator) -> None:
        generator.shop.open.clear()
        await generator.ask("PUT", "/campaigns/c", CROWD | {"rate_per_s": 2000})
        async with asyncio.timeout(DEADLINE_S):
            while generator.campaigns.describe()[0]["dropped"] == 0:
                await asyncio.sleep(0.005)
        assert generator.campaigns.describe()[0]["sent"] == MAX_IN_FLIGHT

    run_with_generator(run_test)


BAD_ORDERS: list[tuple[object, str]] = [
    (b"{", "the body is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
    ([], "the body is not a JSON object"),
    (CROWD | {"kind": "flood"}, "kind is 'flood'; one of: flash_crowd, unique_keys, costly"),
    (CROWD | {"kind": []}, "kind is []; one of: flash_crowd, unique_keys, costly"),
    (CROWD | {"service": "cart"}, "service is 'cart'; one of: gateway, auth, inventory, orders, payments"),
    (CROWD | {"rate_per_s": 0}, "rate_per_s is 0; a number above 0, at most 2000"),
    (CROWD | {"rate_per_s": "9"}, "rate_per_s is '9'; a number above 0, at most 2000"),
    (CROWD | {"rate_per_s": float("nan")}, "rate_per_s is nan; a number above 0, at most 2000"),
    (CROWD | {"lease_s": True}, "lease_s is True; a number above 0, at most 600"),
    (CROWD | {"lease": 9}, "unknown field 'lease'; the fields are: kind, service, rate_per_s, lease_s"),
]


@pytest.mark.parametrize(("order", "message"), BAD_ORDERS)
def test_an_invalid_campaign_is_refused_with_a_reason(order: object, message: str) -> None:
    async def run_test(generator: Generator) -> None:
        assert await generator.ask("PUT", "/campaigns/c", order) == (422, {"error": message})
        assert generator.campaigns.describe() == []

    run_with_generator(run_test)


def test_an_unknown_path_is_refused_in_json() -> None:
    async def run_test(generator: Generator) -> None:
        assert await generator.ask("GET", "/nothing") == (404, {"error": "GET /nothing: Not Found"})
        assert (await generator.ask("PUT", "/campaigns/a%20b", CROWD))[0] == 422

    run_with_generator(run_test)


def test_every_kind_of_campaign_has_a_request_for_every_service() -> None:
    assert {kind: set(targets) for kind, targets in REQUESTS.items()} == {kind: set(Target) for kind in Kind}


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("target", Target)
def test_a_service_accepts_the_requests_of_a_campaign_and_calls_no_upstream(
    kind: Kind, target: Target, client_of: Callable[[str], TestClient], upstreams: FakeUpstreams
) -> None:
    note = NOTE if kind is Kind.UNIQUE_KEYS else b""
    out = REQUESTS[kind][target](random.Random(3), note)
    headers = {"Client-Key": "c", "Content-Type": "application/json"}
    if out.idempotency_key is not None:
        headers["Idempotency-Key"] = out.idempotency_key
    client = client_of(target)
    answer = client.request(out.method, out.path, content=out.body, headers=headers)
    # The campaign with unique keys sends invalid tokens to auth.
    refused = (kind, target) == (Kind.UNIQUE_KEYS, Target.AUTH)
    assert answer.status_code in ((401,) if refused else (200, 201))
    assert upstreams.asked == []
    if kind is Kind.UNIQUE_KEYS:
        assert len(client.app.state.ledger) == 1  # type: ignore[attr-defined]


def test_idempotency_keys_are_never_the_same_twice() -> None:
    assert len({shop_module.key() for _ in range(1000)}) == 1000
