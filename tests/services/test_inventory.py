"""inventory: search and reservations."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fastapi.testclient import TestClient

from services import inventory
from services.data.inventory import STOCK
from traffic import shop

ClientOf = Callable[[str], TestClient]


def _reserve(client: TestClient, key: str, product: int, quantity: int) -> int:
    lines = [{"product_id": product, "quantity": quantity}]
    answer = client.post("/reservations", json={"lines": lines}, headers={"Idempotency-Key": key})
    status: int = answer.status_code
    return status


def _stock(data: Path, product: int) -> int:
    with sqlite3.connect(data / "inventory.db") as database:
        stock: int = database.execute("SELECT stock FROM products WHERE id = ?", (product,)).fetchone()[0]
    return stock


def test_the_product_that_has_all_search_words_comes_first(client_of: ClientOf) -> None:
    hits = client_of("inventory").get("/search", params={"q": "amber bamboo lamp"}).json()["hits"]
    assert hits[0]["name"] == "amber bamboo lamp"
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)


def test_a_word_with_one_typing_error_still_finds_products(client_of: ClientOf) -> None:
    hits = client_of("inventory").get("/search", params={"q": "kettlr"}).json()["hits"]
    assert all("kettle" in hit["name"] for hit in hits)
    assert hits


def test_everything_that_users_search_for_is_in_the_catalogue(client_of: ClientOf) -> None:
    client = client_of("inventory")
    for noun in shop.SOUGHT:
        hits = client.get("/search", params={"q": f"golden steel {noun}"}).json()["hits"]
        assert [noun in hit["name"] for hit in hits] == [True] * inventory.HITS


def test_a_word_without_a_product_finds_nothing(client_of: ClientOf) -> None:
    answer = client_of("inventory").get("/search", params={"q": "zzzzzzzz \x00"})
    assert (answer.status_code, answer.json()) == (200, {"hits": []})


def test_reservations_never_oversell(client_of: ClientOf, data: Path) -> None:
    client = client_of("inventory")
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda n: _reserve(client, f"k{n}", 5, 20), range(STOCK // 20 + 10)))
    assert statuses.count(201) == STOCK // 20
    assert statuses.count(409) == 10
    assert _stock(data, 5) == 0


def test_the_same_reservation_twice_takes_the_goods_only_once(client_of: ClientOf, data: Path) -> None:
    client = client_of("inventory")
    assert [_reserve(client, "same", 9, 3) for _ in range(3)] == [201, 201, 201]
    assert _stock(data, 9) == STOCK - 3


def test_a_reservation_of_several_lines_takes_all_or_nothing(client_of: ClientOf, data: Path) -> None:
    lines = [{"product_id": 3, "quantity": 2}, {"product_id": 999_999, "quantity": 1}]
    answer = client_of("inventory").post("/reservations", json={"lines": lines}, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()) == (404, {"detail": "no product 999999"})
    assert _stock(data, 3) == STOCK


def test_an_idempotency_key_cannot_be_used_for_another_request(client_of: ClientOf) -> None:
    client = client_of("inventory")
    assert [_reserve(client, "k", 1, 1), _reserve(client, "k", 1, 2)] == [201, 422]


def test_goods_return_to_stock_when_a_reservation_expires(client_of: ClientOf, data: Path) -> None:
    client = client_of("inventory")
    _reserve(client, "old", 7, 4)
    with sqlite3.connect(data / "inventory.db") as database:
        database.execute("UPDATE reservations SET expires_at = 0")
    _reserve(client, "new", 8, 1)
    assert _stock(data, 7) == STOCK
    with sqlite3.connect(data / "inventory.db") as database:
        assert database.execute("SELECT idempotency_key FROM reservations").fetchall() == [("new",)]


def test_the_catalogue_has_every_product_with_its_search_words_and_the_cheapest_first(client_of: ClientOf) -> None:
    client = client_of("inventory")
    answer = client.get("/catalogue")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    offers = answer.json()["offers"]
    assert len({offer["product_id"] for offer in offers}) == len(offers) == shop.PRODUCTS
    prices = [offer["price_cents"] for offer in offers]
    assert prices == sorted(prices)
    found = client.get("/search", params={"q": " ".join(offers[0]["words"][:3])}).json()["hits"][0]
    assert set(found) - {"score"} == set(offers[0]) - {"words"}
    dear = client.get("/catalogue", params={"from_cents": prices[1500]}).json()["offers"]
    assert dear == [offer for offer in offers if offer["price_cents"] >= prices[1500]]
