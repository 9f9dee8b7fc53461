"""orders: prices and orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from services.kit.upstreams import UpstreamFailed
from services.orders import PARCEL_LINES
from tests.services.conftest import FakeUpstreams

ClientOf = Callable[[str], TestClient]
ORDER = {"username": "user-001", "lines": [{"product_id": 11, "quantity": 2}], "zone": 3}


@pytest.fixture(autouse=True)
def prepared_answers(upstreams: FakeUpstreams) -> None:
    line = {"product_id": 11, "quantity": 2, "unit_price_cents": 1000, "name": "a lamp"}
    upstreams.answers_with("inventory", "/reservations", 201, lines=[line], held_s=60.0)
    upstreams.answers_with("payments", "/charges", 201, signature="signed")


def _place(client: TestClient, key: str = "k", **changes: Any) -> Any:
    return client.post("/orders", json=ORDER | changes, headers={"Idempotency-Key": key})


def test_the_total_of_a_quote_is_the_goods_minus_the_discount_plus_the_shipping(client_of: ClientOf) -> None:
    lines = [{"product_id": n, "quantity": 3, "unit_price_cents": 999} for n in range(1, 7)]
    quote = client_of("orders").post("/quotes", json={"lines": lines, "zone": 1}).json()
    assert quote["goods_cents"] == 6 * 3 * 999
    assert quote["total_cents"] == quote["goods_cents"] - quote["discount_cents"] + quote["shipping_cents"]
    assert 0 < quote["discount_cents"] <= quote["goods_cents"] * 40 // 100
    assert quote["promotions"]


def test_an_order_is_reserved_and_charged_with_its_own_key(client_of: ClientOf, upstreams: FakeUpstreams) -> None:
    answer = _place(client_of("orders"))
    assert answer.status_code == 201
    assert answer.json()["receipt"] == "signed"
    total = answer.json()["quote"]["total_cents"]
    assert upstreams.asked == [
        ("inventory", "/reservations", {"lines": ORDER["lines"]}, "k"),
        ("payments", "/charges", {"account": "user-001", "amount_cents": total}, "k"),
    ]


def test_the_same_order_twice_is_placed_once(client_of: ClientOf, upstreams: FakeUpstreams) -> None:
    client = client_of("orders")
    assert _place(client).json() == _place(client, note="a note does not make it another order").json()
    assert len(upstreams.asked) == 2


def test_a_failed_order_can_be_sent_again(client_of: ClientOf, upstreams: FakeUpstreams) -> None:
    client = client_of("orders")
    upstreams.fails_with("payments", "/charges", UpstreamFailed("payments", "answered 500"))
    failed = _place(client)
    assert (failed.status_code, failed.json()) == (502, {"detail": "payments failed: answered 500"})
    upstreams.answers_with("payments", "/charges", 201, signature="signed")
    assert _place(client).status_code == 201


def test_an_upstream_that_is_late_is_a_504(client_of: ClientOf, upstreams: FakeUpstreams) -> None:
    late = UpstreamFailed("inventory", "no answer within 0.6 s", timed_out=True)
    upstreams.fails_with("inventory", "/reservations", late)
    answer = _place(client_of("orders"))
    assert (answer.status_code, answer.json()) == (504, {"detail": "inventory failed: no answer within 0.6 s"})


def test_goods_that_are_not_in_stock_are_refused_with_the_message_of_inventory(
    client_of: ClientOf, upstreams: FakeUpstreams
) -> None:
    upstreams.answers_with("inventory", "/reservations", 409, detail="not enough of product 11 in stock")
    answer = _place(client_of("orders"))
    assert (answer.status_code, answer.json()) == (409, {"detail": "not enough of product 11 in stock"})


def test_a_zone_that_the_shop_does_not_ship_to_is_refused(client_of: ClientOf) -> None:
    answer = _place(client_of("orders"), zone=777)
    assert (answer.status_code, answer.json()) == (404, {"detail": "the shop does not ship to zone 777"})


def _priced(count: int) -> list[dict[str, int]]:
    return [{"product_id": n, "quantity": 3, "unit_price_cents": 999} for n in range(1, count + 1)]


def test_a_bulk_quote_is_the_sum_of_the_quotes_of_its_parcels(client_of: ClientOf) -> None:
    client, lines = client_of("orders"), _priced(PARCEL_LINES + 4)
    bulk = client.post("/bulk-quotes", json={"lines": lines, "zone": 1}).json()
    parcels = [
        client.post("/quotes", json={"lines": part, "zone": 1}).json()
        for part in (lines[:PARCEL_LINES], lines[PARCEL_LINES:])
    ]
    assert bulk == {"parcels": parcels, "total_cents": sum(parcel["total_cents"] for parcel in parcels)}


def test_a_bulk_quote_has_at_most_a_hundred_lines(client_of: ClientOf) -> None:
    answer = client_of("orders").post("/bulk-quotes", json={"lines": _priced(101), "zone": 1})
    assert (answer.status_code, answer.json()) == (
        422,
        {"detail": "body.lines: List should have at most 100 items after validation, not 101"},
    )
