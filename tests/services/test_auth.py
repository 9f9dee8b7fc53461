"""auth: passwords and tokens."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from services.data import auth as data
from services.data.auth import ITERATIONS
from services.data.staff import STAFF_ITERATIONS

ClientOf = Callable[[str], TestClient]
KNOWN = {"username": "user-007", "password": "user-007-secret"}


def test_the_right_password_gives_a_token_that_names_the_user(client_of: ClientOf) -> None:
    auth = client_of("auth")
    session = auth.post("/sessions", json=KNOWN)
    assert session.status_code == 201
    holder = auth.post("/tokens/check", json={"token": session.json()["token"]})
    assert holder.status_code == 200
    assert holder.json()["username"] == "user-007"


@pytest.mark.parametrize("wrong", [{"password": "guess"}, {"username": "nobody"}])
def test_an_unknown_user_and_a_wrong_password_are_refused_in_the_same_way(
    client_of: ClientOf, wrong: dict[str, str]
) -> None:
    answer = client_of("auth").post("/sessions", json=KNOWN | wrong)
    assert (answer.status_code, answer.json()) == (401, {"detail": "unknown user or wrong password"})


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1] + ("0" if t[-1] != "0" else "1"), lambda t: "x" + t, lambda t: "é"]
)
def test_a_token_that_was_changed_is_refused(client_of: ClientOf, change: Callable[[str], str]) -> None:
    auth = client_of("auth")
    token = auth.post("/sessions", json=KNOWN).json()["token"]
    answer = auth.post("/tokens/check", json={"token": change(token)})
    assert (answer.status_code, answer.json()) == (401, {"detail": "the token is not valid, or has expired"})


STAFF = {"username": "staff-3", "password": "staff-3-secret"}


def test_staff_sign_in_at_their_own_door(client_of: ClientOf) -> None:
    auth = client_of("auth")
    session = auth.post("/staff/sessions", json=STAFF)
    assert session.status_code == 201
    holder = auth.post("/tokens/check", json={"token": session.json()["token"]})
    assert holder.json()["username"] == "staff-3"


@pytest.mark.parametrize(("door", "known"), [("/sessions", STAFF), ("/staff/sessions", KNOWN)])
def test_nobody_signs_in_at_the_other_door(client_of: ClientOf, door: str, known: dict[str, str]) -> None:
    answer = client_of("auth").post(door, json=known)
    assert (answer.status_code, answer.json()) == (401, {"detail": "unknown user or wrong password"})


@pytest.mark.parametrize(("door", "iterations"), [("/sessions", ITERATIONS), ("/staff/sessions", STAFF_ITERATIONS)])
def test_an_unknown_name_costs_as_much_as_a_known_one(
    client_of: ClientOf, monkeypatch: pytest.MonkeyPatch, door: str, iterations: int
) -> None:
    rounds: list[int] = []

    def digest(password: str, salt: bytes, iterations: int) -> bytes:
        rounds.append(iterations)
        return b""

    monkeypatch.setattr(data, "digest", digest)
    client_of("auth").post(door, json={"username": "nobody", "password": "guess"})
    assert rounds == [iterations]
