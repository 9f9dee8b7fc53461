"""auth: passwords and tokens."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

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
