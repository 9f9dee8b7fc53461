"""Each service runs in this process and gets random requests. The requests come from its own description."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient

from services.kit import logs
from tests.security.fuzz import from_app, fuzz
from tests.services.conftest import NAMES, FakeUpstreams
from tests.trials import trials

pytestmark = pytest.mark.thorough

EXAMPLES = trials(10)
"""The number of good requests for every operation, and of bad ones. tests/security/test_fuzzed_lab.py sends more."""


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The log of the service."""
    stream, root = io.StringIO(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.set_up("fuzzed", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def _prepare_all_answers(upstreams: FakeUpstreams) -> None:
    line = {"product_id": 1, "quantity": 1, "unit_price_cents": 5}
    upstreams.answers_with("inventory", "/search", 200, hits=[])
    upstreams.answers_with("auth", "/sessions", 201, token="t")
    upstreams.answers_with("auth", "/tokens/check", 200, username="user-001")
    upstreams.answers_with("orders", "/orders", 201, quote={"total_cents": 5}, receipt="r")
    upstreams.answers_with("inventory", "/reservations", 201, lines=[line])
    upstreams.answers_with("payments", "/charges", 201, signature="s")


@pytest.mark.parametrize("name", NAMES)
def test_every_answer_of_a_service_matches_its_description(
    name: str, app_of: Callable[[str], FastAPI], upstreams: FakeUpstreams, log: io.StringIO
) -> None:
    _prepare_all_answers(upstreams)
    app = app_of(name)
    with TestClient(app):
        sent = fuzz(from_app(app), examples=EXAMPLES)
    assert sent >= EXAMPLES
    assert "Traceback" not in log.getvalue()
    assert '"level": "error"' not in log.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_the_description_has_a_schema_for_every_answer(name: str, client_of: Callable[[str], TestClient]) -> None:
    paths = client_of(name).get("/openapi.json").json()["paths"]
    operations = [operation for path in paths.values() for operation in path.values()]
    assert operations
    for operation in operations:
        for code, answer in operation["responses"].items():
            assert answer["content"]["application/json"]["schema"], (operation["operationId"], code)


def _breaks(app: FastAPI) -> None:
    @app.get("/halves")
    async def halves(n: int) -> JSONResponse:
        return JSONResponse({}, status_code=500 if n > 100 else 200)


def _answers_with_another_shape(app: FastAPI) -> None:
    @app.get("/word", responses={200: {"content": {"application/json": {"schema": {"type": "string"}}}}})
    async def word() -> JSONResponse:
        return JSONResponse(5)


def _answers_with_an_undocumented_status(app: FastAPI) -> None:
    @app.get("/teapot")
    async def teapot() -> JSONResponse:
        return JSONResponse({}, status_code=418)


def _shows_a_traceback(app: FastAPI) -> None:
    @app.get("/inside")
    async def inside() -> JSONResponse:
        return JSONResponse({"detail": "Traceback (most recent call last)"})


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (_breaks, "Server error"),
        (_answers_with_another_shape, "5 is not of type"),
        (_answers_with_an_undocumented_status, "Undocumented status code"),
        (_shows_a_traceback, "Traceback"),
    ],
)
def test_fuzzing_finds_a_weakness_that_the_test_adds(plant: Callable[[FastAPI], None], found: str) -> None:
    from schemathesis.core.failures import FailureGroup

    app = FastAPI()
    plant(app)
    with pytest.raises((FailureGroup, AssertionError)) as caught:
        fuzz(from_app(app), examples=60)
    assert found in str(caught.value)
