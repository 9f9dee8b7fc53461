"""Each service creates its signing key on its own volume. The key is in no image, no other lab and no log."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from services import auth, payments
from services.kit.settings import Settings

KNOWN = {"username": "user-001", "password": "user-001-secret"}
CHARGE = {"account": "user-001", "amount_cents": 5000}


def token_of(app: FastAPI) -> str:
    with TestClient(app) as client:
        return str(client.post("/sessions", json=KNOWN).json()["token"])


def check(app: FastAPI, token: str) -> int:
    with TestClient(app) as client:
        return client.post("/tokens/check", json={"token": token}).status_code


def test_a_token_stays_valid_after_a_restart(app_of: Callable[[str], FastAPI]) -> None:
    token = token_of(app_of("auth"))
    assert check(app_of("auth"), token) == 200


def test_a_token_signed_with_another_database_is_refused(
    app_of: Callable[[str], FastAPI], seeded: Path, tmp_path: Path
) -> None:
    token = token_of(app_of("auth"))
    other = tmp_path / "other.db"
    other.write_bytes((seeded / "auth.db").read_bytes())
    assert check(auth.create(Settings(service="auth", database=other)), token) == 401


@pytest.mark.parametrize("name", ["auth", "payments"])
def test_the_database_in_an_image_has_no_key(name: str, data: Path) -> None:
    with sqlite3.connect(data / f"{name}.db") as database:
        tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {table for table in tables if "key" in table} == set()


def test_a_receipt_from_another_database_has_another_signature(seeded: Path, tmp_path: Path) -> None:
    signatures = set()
    for number in range(2):
        database = tmp_path / f"{number}.db"
        database.write_bytes((seeded / "payments.db").read_bytes())
        with TestClient(payments.create(Settings(service="payments", database=database))) as client:
            answer = client.post("/charges", json=CHARGE, headers={"Idempotency-Key": "k"})
            signatures.add(answer.json()["signature"])
    assert len(signatures) == 2


def test_the_ledger_replays_only_to_a_client_with_the_same_authorization(app_of: Callable[[str], FastAPI]) -> None:
    """Client-Key and Idempotency-Key are not secret: a client that repeats them without the token gets no answer."""
    headers = {"Client-Key": "c", "Idempotency-Key": "k"}
    with TestClient(app_of("payments")) as client:
        first, again, other = (
            client.post("/charges", json=CHARGE | {"account": "nobody"}, headers=headers | {"Authorization": rights})
            for rights in ("Bearer a", "Bearer a", "Bearer b")
        )
        ledger = client.app.state.ledger  # type: ignore[attr-defined]  # the service's own attribute; starlette's type does not show it
        assert (first.status_code, again.status_code, other.status_code) == (404, 404, 404)
        request = ("c", "POST", "/charges", b"k")
        body = other.request.content
        assert ledger.find(*request, b"Bearer b", body) is not None
        assert ledger.find(*request, b"Bearer a", body) is None
