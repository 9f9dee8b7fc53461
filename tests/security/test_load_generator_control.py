"""The load generator's interface is for the lab's commands. No web page on the same machine can read or control it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.traffic.fakes import a_shop, serving
from traffic.campaigns import Campaigns
from traffic.control import MAX_CAMPAIGNS, Control
from traffic.level import Level
from traffic.metrics import Metrics

CROWD = json.dumps({"kind": "flash_crowd", "service": "auth", "rate_per_s": 1.0, "lease_s": 30.0}).encode()
JSON = {"Content-Type": "application/json"}
HOSTS = "the Host header must be one of: 127.0.0.1, [::1], localhost, traffic"

Request = tuple[str, str, bytes, Mapping[str, str]]


def ask(*requests: Request) -> tuple[list[tuple[int, Any]], int]:
    """The answers in order, and the number of campaigns that are running at the end."""
    answers: list[tuple[int, Any]] = []

    async def run() -> int:
        async with a_shop() as (_, shop_url, session):
            campaigns = Campaigns(session, url_of=lambda _: shop_url, seed=1)
            async with serving(Control(campaigns, Level(), Metrics()).app()) as url:
                for method, path, body, headers in requests:
                    async with session.request(method, url + path, data=body, headers=headers) as answer:
                        answers.append((answer.status, await answer.json()))
            running = len(campaigns.describe())
            campaigns.end_all()
            return running

    return answers, asyncio.run(run())


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8089", "LOCALHOST:1", "[::1]:8089", "traffic:8000"])
def test_a_request_to_one_of_its_own_names_is_accepted(host: str) -> None:
    answers, running = ask(("PUT", "/campaigns/c", CROWD, JSON | {"Host": host}))
    assert (answers[0][0], running) == (201, 1)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8089", "localhost.evil.example", "[::2]:1"])
@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/campaigns/c"), ("GET", "/campaigns"), ("GET", "/metrics"), ("PUT", "/traffic")]
)
def test_a_foreign_name_that_points_here_is_refused(host: str, method: str, path: str) -> None:
    answers, running = ask((method, path, CROWD if method == "PUT" else b"", JSON | {"Host": host}))
    assert answers == [(403, {"error": f"{method} {path}: {HOSTS}"})]
    assert running == 0


@pytest.mark.parametrize(
    "browser_headers", [{"Origin": "http://localhost:3000"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_requests_that_a_browser_sends_for_a_web_page_are_refused(browser_headers: dict[str, str]) -> None:
    answers, running = ask(("PUT", "/campaigns/c", CROWD, JSON | browser_headers))
    assert answers == [(403, {"error": "PUT /campaigns/c: requests from web pages are refused"})]
    assert running == 0


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_request_that_a_web_form_can_send_changes_nothing(kind: str) -> None:
    headers = {"Content-Type": kind}
    wrong = "send the body as Content-Type: application/json"
    answers, running = ask(
        ("PUT", "/campaigns/c", CROWD, headers), ("POST", "/campaigns/c/renew", b'{"lease_s": 9}', headers)
    )
    assert answers == [
        (415, {"error": f"PUT /campaigns/c: {wrong}"}),
        (415, {"error": f"POST /campaigns/c/renew: {wrong}"}),
    ]
    assert running == 0


BAD = [
    (b"x" * (64 * 1024 + 1), 413),
    (b"[" * 60_000, 422),
    (b'{"kind": ' + b"9" * 5_000 + b"}", 422),
    (b'{"kind": ' + b"[" * 500 + b"]" * 500 + b"}", 422),
    (b'{"rate_per_s": 1e999, "kind": "flash_crowd", "service": "auth", "lease_s": 1}', 422),
    (b'{"kind": "\\ud800"}', 422),
    (b"\xff\xfe", 422),
    (b"", 422),
]


@pytest.mark.parametrize(("body", "status"), BAD)
def test_a_malformed_or_too_large_order_is_refused_with_a_short_message(body: bytes, status: int) -> None:
    answers, running = ask(("PUT", "/campaigns/c", body, JSON), ("GET", "/healthz", b"", {}))
    assert (answers[0][0], running, answers[1][0]) == (status, 0, 200)
    assert len(answers[0][1]["error"]) < 400


def test_the_number_of_campaigns_is_limited() -> None:
    orders: list[Request] = [("PUT", f"/campaigns/c{n}", CROWD, JSON) for n in range(MAX_CAMPAIGNS + 1)]
    answers, running = ask(*orders, ("PUT", "/campaigns/c0", CROWD, JSON))
    assert running == MAX_CAMPAIGNS
    wrong = f"{MAX_CAMPAIGNS} campaigns are running already; end one of them first"
    assert answers[-2:] == [(422, {"error": wrong}), (200, {"id": "c0", "lease_s": 30.0})]
