"""payments: charges and receipts."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from services import payments
from services.kit.idempotency import KeptAnswers

ClientOf = Callable[[str], TestClient]


def _charge(client: TestClient, key: str, account: str = "user-001", amount_cents: int = 5000) -> Any:
    body = {"account": account, "amount_cents": amount_cents}
    return client.post("/charges", json=body, headers={"Idempotency-Key": key})


def _charges(data: Path) -> int:
    with sqlite3.connect(data / "payments.db") as database:
        count: int = database.execute("SELECT count(*) FROM charges").fetchone()[0]
    return count


def test_a_charge_is_made_once_even_if_it_is_requested_twice(client_of: ClientOf, data: Path) -> None:
    client = client_of("payments")
    receipts = [_charge(client, "k").json() for _ in range(3)]
    assert receipts[0] == receipts[1] == receipts[2]
    assert receipts[0]["fee_cents"] > 0
    assert _charges(data) == 1


def test_receipts_of_two_charges_are_signed_differently(client_of: ClientOf) -> None:
    client = client_of("payments")
    assert _charge(client, "a").json()["signature"] != _charge(client, "b").json()["signature"]


def test_a_user_without_an_account_cannot_be_charged(client_of: ClientOf) -> None:
    answer = _charge(client_of("payments"), "k", account="nobody")
    assert (answer.status_code, answer.json()) == (404, {"detail": "no such account"})


def test_a_key_cannot_be_used_for_another_amount(client_of: ClientOf) -> None:
    client = client_of("payments")
    _charge(client, "k")
    answer = _charge(client, "k", amount_cents=1)
    expected = {"detail": "this Idempotency-Key came with another request before"}
    assert (answer.status_code, answer.json()) == (422, expected)


def test_old_charges_are_deleted(client_of: ClientOf, data: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(payments, "kept", KeptAnswers("charges", kept_rows=5))
    client = client_of("payments")
    for number in range(9):
        _charge(client, f"k{number}")
    assert _charges(data) == 5


def test_a_statement_has_the_last_charges_with_their_receipts_verified(client_of: ClientOf, data: Path) -> None:
    client = client_of("payments")
    assert client.get("/statement").json() == {"charges": [], "amount_cents": 0, "fee_cents": 0}
    charged = [_charge(client, f"k{number}", amount_cents=100 + number).json() for number in range(3)]
    with sqlite3.connect(data / "payments.db") as database:
        database.execute("UPDATE charges SET answer = replace(answer, '\"amount_cents\": 102', '\"amount_cents\": 2')")
    statement = client.get("/statement", params={"charges": 2}).json()
    assert [(line["amount_cents"], line["verified"]) for line in statement["charges"]] == [(2, False), (101, True)]
    assert statement["amount_cents"] == 103
    assert statement["fee_cents"] == charged[1]["fee_cents"] + charged[2]["fee_cents"]
