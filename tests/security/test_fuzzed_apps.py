"""Each service in this process, fuzzed by its own description."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from services.kit import logs
from tests.security.fuzz import from_app, fuzz
from tests.services.conftest import NAMES, FakeUpstreams

pytest_plugins = ("tests.services.conftest",)

EXAMPLES = 25  # good and bad ones, each, for every operation


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the service writes."""
    stream, root = io.StringIO(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.set_up("fuzzed", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def _answer_everything(upstreams: FakeUpstreams) -> None:
    line = {"product_id": 1, "quantity": 1, "unit_price_cents": 5}
    upstreams.will("inventory", "/search", 200, hits=[])
    upstreams.will("auth", "/sessions", 201, token="t")
    upstreams.will("auth", "/tokens/check", 200, username="user-001")
    upstreams.will("orders", "/orders", 201, quote={"total_cents": 5}, receipt="r")
    upstreams.will("inventory", "/reservations", 201, lines=[line])
    upstreams.will("payments", "/charges", 201, signature="s")


@pytest.mark.parametrize("name", NAMES)
def test_a_service_answers_as_it_describes_whatever_it_is_sent(
    name: str, app_of: Callable[[str], FastAPI], upstreams: FakeUpstreams, log: io.StringIO
) -> None:
    _answer_everything(upstreams)
    app = app_of(name)
    with TestClient(app):
        sent = fuzz(from_app(app), examples=EXAMPLES)
    assert sent >= EXAMPLES
    assert "Traceback" not in log.getvalue()
    assert '"level": "error"' not in log.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_every_answer_of_every_operation_is_described_with_its_shape(
    name: str, client_of: Callable[[str], TestClient]
) -> None:
    paths = client_of(name).get("/openapi.json").json()["paths"]
    operations = [operation for path in paths.values() for operation in path.values()]
    assert operations
    for operation in operations:
        for code, answer in operation["responses"].items():
            assert answer["content"]["application/json"]["schema"], (operation["operationId"], code)
