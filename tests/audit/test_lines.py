"""Both worlds write the same kinds of log lines. No line names the client of a request."""

from __future__ import annotations

import ast
import io
import logging
import random
import re
from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from mirr.env.scenario import draw
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import ACTIONS, ALL_FAULTS, CheckLogs, Service
from mirr.env.world import Level
from services.kit.logs import LOGGER, JsonFormatter
from tests.audit.lines import TEXTS, Kind, kind_of, service_routes
from tests.audit.transcript import record
from tests.paths import ROOT
from traffic.campaigns import REQUESTS, Target
from traffic.campaigns import Kind as CampaignKind

SERVICES = ROOT / "services"

LAB_ONLY: dict[Kind, str] = {
    ("stopped", Level.INFO): "a process needs time to write it when it ends; here processes get no time",
    ("exiting", Level.ERROR): "a process that ends itself writes it, and none does so in the base task",
    ("request", Level.WARNING): "the simulator writes `request_failed` and `upstream_failed` instead",
}
"""Kinds of lines that only the lab writes, and why. Remove a kind here when the simulator writes it too."""

STEADY_ROUTES: dict[Service, set[str]] = {
    Service.GATEWAY: {"/browse", "/sign-in", "/check-out"},
    Service.AUTH: {"/sessions", "/tokens/check"},
    Service.INVENTORY: {"/search", "/reservations"},
    Service.ORDERS: {"/orders"},
    Service.PAYMENTS: {"/charges"},
}
"""The routes that the users' journeys call, directly or through another service."""

OFFICE_ROUTES: dict[Service, set[str]] = {
    Service.GATEWAY: {"/storefronts"},
    Service.AUTH: {"/staff/sessions"},
    Service.INVENTORY: {"/catalogue"},
    Service.ORDERS: {"/bulk-quotes"},
    Service.PAYMENTS: {"/statement"},
}
"""The routes that the office calls now and then, whatever is broken. Costly requests are many of the same."""

EXTRA_TRAFFIC_ROUTES: dict[Service, set[str]] = {
    Service.GATEWAY: {"/storefronts/{store}", "/carts"},
    Service.ORDERS: {"/quotes"},
}
"""Routes that only extra traffic calls in the lab. They appear in the access log, so they are a symptom.
But this symptom is clearer than in a real shop, so do not add routes here."""


def test_the_services_write_only_the_known_events() -> None:
    written = {event for path in SERVICES.rglob("*.py") for event in _events(ast.parse(path.read_text()))}
    assert written == {event for event, _ in TEXTS}


def _events(tree: ast.Module) -> Iterator[str]:
    """The events of all calls `log(level, event, …)` and `OncePerSecond(level, event)`."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        if node.func.id in ("log", "OncePerSecond") and len(node.args) > 1:
            event = node.args[1]
            if isinstance(event, ast.Constant):
                yield str(event.value)


def test_the_simulator_writes_the_same_kinds_of_lines_as_the_lab() -> None:
    logs = [CheckLogs(service) for service in Service]
    kinds = {
        kind_of(line)
        for fault in ALL_FAULTS
        for seen in record(SimulatedWorld(), draw(1, fault), [*logs, *ACTIONS[26:31], *logs], name="sim").seen
        for line in seen.observation.logs
    }
    assert kinds == set(TEXTS) - set(LAB_ONLY)


@pytest.mark.parametrize("target", Target)
def test_extra_traffic_calls_only_known_routes(target: Target) -> None:
    service = Service(target)
    called = {
        _template(service, REQUESTS[kind][target](random.Random(0), b"").path.partition("?")[0])
        for kind in CampaignKind
    }
    assert OFFICE_ROUTES[service] <= called
    assert called - STEADY_ROUTES[service] - OFFICE_ROUTES[service] == EXTRA_TRAFFIC_ROUTES.get(service, set())


def _template(service: Service, path: str) -> str:
    """The route of `path`."""
    forms = {route: re.sub(r"\{\w+\}", "[^/]+", route) for route in service_routes(service)}
    return next(route for route, form in forms.items() if re.fullmatch(form, path))


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """The log of the services, in the format of their stdout."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter("auth"))
    level = LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    yield stream
    LOGGER.removeHandler(handler)
    LOGGER.setLevel(level)


def test_a_log_line_does_not_name_the_client(written: io.StringIO, app_of: Callable[[str], FastAPI]) -> None:
    headers = {
        "Client-Key": "c0ffee-client",
        "User-Agent": "c0ffee-agent",
        "Idempotency-Key": "c0ffee-key",
        "X-Forwarded-For": "c0ffee-address",
    }
    with TestClient(app_of("auth")) as client:
        answer = client.post("/tokens/check", json={"token": "c0ffee-token", "note": "c0ffee-note"}, headers=headers)
    assert answer.status_code == 401
    assert '"event": "request"' in written.getvalue()
    assert "c0ffee" not in written.getvalue()
