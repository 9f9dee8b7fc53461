"""gateway: the three journeys."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from services import gateway
from services.kit.upstreams import UpstreamFailed
from tests.services.conftest import FakeUpstreams

ClientOf = Callable[[str], TestClient]
LINES = [{"product_id": 11, "quantity": 2}]


def test_browse_shows_the_products_that_inventory_found(client_of: ClientOf, upstreams: FakeUpstreams) -> None:
    hit = {"product_id": 1, "name": "<b>lamp", "price_cents": 1299, "score": 1.0}
    upstreams.answers_with("inventory", "/search", 200, hits=[hit])
    answer = client_of("gateway").get("/browse", params={"q": "lamp", "store": 7})
    assert answer.status_code == 200
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.json()["hits"] == [hit]
    assert "<td>&lt;b&gt;lamp</td><td>12.99 EUR</td>" in answer.json()["page"]
    assert "<title>Shop 7</title>" in answer.json()["page"]


def test_a_client_that_does_not_accept_gzip_gets_plain_text(client_of: ClientOf) -> None:
    answer = client_of("gateway").get("/storefronts/3", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in answer.headers
    assert "<title>Shop 3</title>" in answer.json()["page"]


def test_sign_in_returns_the_token_of_auth(client_of: ClientOf, upstreams: FakeUpstreams) -> None:
    upstreams.answers_with("auth", "/sessions", 201, token="t", expires_in_s=1)
    answer = client_of("gateway").post("/sign-in", json={"username": "u", "password": "p"})
    assert (answer.status_code, answer.json()["token"]) == (201, "t")


def test_check_out_asks_auth_for_the_user_and_sends_the_order_of_that_user(
    client_of: ClientOf, upstreams: FakeUpstreams
) -> None:
    upstreams.answers_with("auth", "/tokens/check", 200, username="user-001", expires_at=1)
    upstreams.answers_with("orders", "/orders", 201, quote={"total_cents": 4200}, receipt="signed")
    headers = {"Authorization": "Bearer t", "Idempotency-Key": "k"}
    answer = client_of("gateway").post("/check-out", json={"lines": LINES, "zone": 4}, headers=headers)
    assert (answer.status_code, answer.json()["order"]["receipt"]) == (201, "signed")
    assert upstreams.asked == [
        ("auth", "/tokens/check", {"token": "t"}, None),
        ("orders", "/orders", {"username": "user-001", "lines": LINES, "zone": 4}, "k"),
    ]


@pytest.mark.parametrize("authorization", [None, "Bearer", "Basic abc"])
def test_check_out_without_a_token_is_refused(client_of: ClientOf, authorization: str | None) -> None:
    headers = {"Idempotency-Key": "k"} | ({"Authorization": authorization} if authorization else {})
    answer = client_of("gateway").post("/check-out", json={"lines": LINES, "zone": 4}, headers=headers)
    expected = {"detail": "send the token of a sign-in as: Authorization: Bearer TOKEN"}
    assert (answer.status_code, answer.json()) == (401, expected)


def test_an_upstream_that_is_down_is_a_502(client_of: ClientOf, upstreams: FakeUpstreams) -> None:
    upstreams.fails_with("inventory", "/search", UpstreamFailed("inventory", "connection refused"))
    answer = client_of("gateway").get("/browse", params={"q": "lamp"})
    assert (answer.status_code, answer.json()) == (502, {"detail": "inventory failed: connection refused"})


@pytest.mark.parametrize("store", ["0", "-1", "65", "99999999999999999999999"])
def test_a_storefront_that_does_not_exist_is_a_404(client_of: ClientOf, store: str) -> None:
    answer = client_of("gateway").get(f"/storefronts/{store}")
    assert (answer.status_code, answer.json()) == (404, {"detail": "no such storefront"})


def test_old_carts_are_deleted(client_of: ClientOf, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "KEPT_CARTS", 4)
    client = client_of("gateway")
    for number in range(9):
        answer = client.post("/carts", json={"lines": LINES}, headers={"Client-Key": f"c{number}"})
        assert (answer.status_code, answer.json()["units"]) == (201, 2)
    with sqlite3.connect(data / "gateway.db") as database:
        assert database.execute("SELECT count(*) FROM carts").fetchone() == (4,)


def test_the_front_pages_of_several_shops_come_in_one_answer(client_of: ClientOf) -> None:
    answer = client_of("gateway").get("/storefronts", params={"first": 3, "count": 2})
    assert (answer.status_code, answer.headers["content-encoding"]) == (200, "gzip")
    assert [page.partition("<title>")[2].partition("</title>")[0] for page in answer.json()["pages"]] == [
        "Shop 3",
        "Shop 4",
    ]


def test_the_front_page_of_one_shop_is_the_same_alone_and_among_others(client_of: ClientOf) -> None:
    client = client_of("gateway")
    alone = client.get("/storefronts/5").json()["page"]
    assert client.get("/storefronts", params={"first": 5, "count": 1}).json() == {"pages": [alone]}


def test_front_pages_after_the_last_shop_are_refused(client_of: ClientOf) -> None:
    answer = client_of("gateway").get("/storefronts", params={"first": 64, "count": 2})
    assert (answer.status_code, answer.json()) == (404, {"detail": "no such storefront"})


def test_more_front_pages_than_fit_into_one_answer_are_refused(client_of: ClientOf) -> None:
    answer = client_of("gateway").get("/storefronts", params={"count": gateway.MAX_PAGES + 1})
    assert (answer.status_code, answer.json()) == (
        422,
        {"detail": "query.count: Input should be less than or equal to 24"},
    )
