"""The code that all services share: bad input, limits, the ledger, metrics, logs and traces."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from services.data import payments as payments_data
from services.kit import logs
from services.kit.metrics import BUCKETS_S, Limits
from services.kit.settings import Settings
from services.kit.store import NoData, connect
from services.kit.trace import trace_id_of
from services.kit.turn import Turn
from tests.services.conftest import NAMES

ClientOf = Callable[[str], TestClient]
CHARGE = {"account": "user-001", "amount_cents": 5000}
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The log lines written so far."""
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.set_up("payments", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)


BAD_BODIES = [
    (b"{", 400),
    (b"", 422),
    (b"[]", 422),
    (b'"\xff"', 400),
    (b'{"account": "user-001", "amount_cents": NaN}', 422),
    (b'{"account": "user-001", "amount_cents": ' + b"9" * 5000 + b"}", 400),
    (b'{"account": "user-001", "amount_cents": 99999999999999999999}', 422),
    (b'{"account": "user-001", "amount_cents": "5"}', 422),
    (b'{"account": "user-001", "amount_cents": true}', 422),
    (b'{"account": "\\ud800", "amount_cents": 5}', 422),
    (b'{"account": "a\\u0000b", "amount_cents": 5}', 404),
    (b'{"account": "user-001", "amount_cents": 5, "\\udfff": 1}', 422),
    (b"[" * 100_000, 400),
]


@pytest.mark.parametrize(("body", "status"), BAD_BODIES)
def test_bad_input_is_refused_with_a_reason_and_never_breaks_a_service(
    client_of: ClientOf, body: bytes, status: int
) -> None:
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    answer = client_of("payments").post("/charges", content=body, headers=headers)
    assert answer.status_code == status
    assert isinstance(answer.json()["detail"], str)


def test_a_refusal_names_the_field(client_of: ClientOf) -> None:
    answer = client_of("payments").post(
        "/charges", json={**CHARGE, "amount_cents": 0}, headers={"Idempotency-Key": "k"}
    )
    assert answer.json() == {"detail": "body.amount_cents: Input should be greater than or equal to 1"}


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_above_a_mebibyte_is_refused(client_of: ClientOf, declared: bool) -> None:
    content = b"x" * ((1 << 20) + 1)
    sent: Any = content if declared else iter([content])
    answer = client_of("auth").post("/sessions", content=sent)
    assert (answer.status_code, answer.json()) == (413, {"detail": "the body is larger than 1048576 bytes"})


def test_a_long_note_is_accepted(client_of: ClientOf) -> None:
    body = CHARGE | {"note": "n" * 900_000}
    assert client_of("payments").post("/charges", json=body, headers={"Idempotency-Key": "k"}).status_code == 201


def test_the_ledger_answers_the_retry_of_a_client(client_of: ClientOf) -> None:
    client = client_of("auth")
    body = {"username": "user-001", "password": "user-001-secret"}
    headers = {"Client-Key": "c", "Idempotency-Key": "k"}
    first, again = (client.post("/sessions", json=body, headers=headers).json() for _ in range(2))
    assert first == again  # without the ledger, the second session would have another token
    other = client.post("/sessions", json=body, headers=headers | {"Idempotency-Key": "k2"}).json()
    assert other != first


def test_the_ledger_keeps_one_answer_for_each_client_for_ever(app_of: Callable[[str], FastAPI]) -> None:
    app = app_of("payments")
    with TestClient(app) as client:
        for number in range(30):
            headers = {"Client-Key": f"client-{number % 10}", "Idempotency-Key": f"k{number}"}
            client.post("/charges", json=CHARGE, headers=headers)
    assert len(app.state.ledger) == 10


def test_a_request_above_the_limit_in_flight_is_refused(
    app_of: Callable[[str], FastAPI], lines: Callable[[], list[dict[str, Any]]]
) -> None:
    app = app_of("payments")
    app.user_middleware[0].kwargs["max_in_flight"] = 0
    with TestClient(app) as client:
        answers = [client.post("/charges", json=CHARGE) for _ in range(3)]
        assert client.get("/healthz").status_code == 200
        assert 'http_requests_total{code="503",method="POST",route="/charges"} 3.0' in client.get("/metrics").text
    assert {answer.status_code for answer in answers} == {503}
    assert answers[0].json() == {"detail": "too many requests in flight, try again later"}
    refused = [line for line in lines() if line["event"] == "shed"]
    assert [(line["level"], line["route"]) for line in refused] == [("warning", "/charges")]


@pytest.mark.parametrize("name", NAMES)
def test_metrics_have_conventional_names_and_few_labels(client_of: ClientOf, name: str) -> None:
    client = client_of(name)
    client.get("/no/such/route/4711")
    text = client.get("/metrics").text
    assert 'http_requests_total{code="404",method="GET",route="unmatched"} 1.0' in text
    assert 'http_request_duration_seconds_count{method="GET",route="unmatched"} 1.0' in text
    assert "http_requests_in_flight 0.0" in text
    assert 'build_info{version="1.4.0"} 1.0' in text
    for metric in ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_start_time_seconds"):
        assert re.search(rf"^{metric} [0-9.e+]+$", text, re.M)
    bounds = [float(bound) for bound in re.findall(r'le="([0-9.]+)",method="GET",route="unmatched"', text)]
    assert tuple(bounds) == BUCKETS_S
    assert "/metrics" not in text.replace("unmatched", "")


def test_limits_are_read_from_both_versions_of_cgroups(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("15000 50000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert (Limits(tmp_path).cpu_quota_cores(), Limits(tmp_path).memory_limit_bytes()) == (0.3, float("inf"))
    old = tmp_path / "v1"
    for name, text in (("cpu/cpu.cfs_quota_us", "-1"), ("cpu/cpu.cfs_period_us", "50000")):
        (old / name).parent.mkdir(parents=True, exist_ok=True)
        (old / name).write_text(text)
    (old / "memory").mkdir()
    (old / "memory" / "memory.limit_in_bytes").write_text("201326592")
    assert (Limits(old).cpu_quota_cores(), Limits(old).memory_limit_bytes()) == (float("inf"), 201326592.0)
    assert (Limits(tmp_path / "none").cpu_quota_cores(), Limits(tmp_path / "none").memory_limit_bytes()) == (None, None)


def test_each_request_is_one_json_line_with_its_trace_id(
    client_of: ClientOf, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    client = client_of("payments")
    headers = {"Idempotency-Key": "k", "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    client.post("/charges", json=CHARGE, headers=headers)
    started, request = lines()
    assert (started["event"], started["level"], started["release"]) == ("started", "info", "1.4.0")
    assert started["boot_s"] >= 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", request.pop("timestamp"))
    assert request.pop("duration_s") > 0
    assert request == {
        "level": "info",
        "service": "payments",
        "event": "request",
        "trace_id": TRACE,
        "method": "POST",
        "route": "/charges",
        "code": 201,
    }


def test_a_failed_request_is_an_error_line_with_the_exception_and_the_trace_id(
    client_of: ClientOf, lines: Callable[[], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("nothing to divide by")

    monkeypatch.setattr(payments_data, "read_account", broken)
    answer = client_of("payments").post("/charges", json=CHARGE, headers={"Idempotency-Key": "k"})
    failure = next(line for line in lines() if line["event"] == "request_failed")
    assert (answer.status_code, answer.json()) == (500, {"detail": "internal error", "trace_id": failure["trace_id"]})
    assert failure["level"] == "error"
    assert failure["error"] == "ZeroDivisionError: nothing to divide by"
    assert (failure["route"], failure["code"]) == ("/charges", 500)
    assert failure["traceback"].startswith("Traceback (most recent call last):")


@pytest.mark.parametrize("header", [None, b"", b"00-zz-1-1", b"00-" + b"0" * 32 + b"-b7ad6b7169203331-01"])
def test_a_malformed_traceparent_begins_a_new_trace(header: bytes | None) -> None:
    assert re.fullmatch("[0-9a-f]{32}", trace_id_of(header))
    assert trace_id_of(header) != "0" * 32


def test_a_repeated_event_is_written_once_a_second(lines: Callable[[], list[dict[str, Any]]]) -> None:
    clock = iter([0.0, 0.5, 0.9, 1.1])
    log_refused = logs.OncePerSecond(logging.WARNING, "shed", now=lambda: next(clock))
    for _ in range(4):
        log_refused()
    assert [line["requests"] for line in lines()] == [1, 3]


def test_requests_get_their_turns_in_order_and_a_cancelled_request_gets_none() -> None:
    done: list[int] = []

    async def work(turn: Turn, number: int) -> None:
        async with turn:
            done.append(number)

    async def run() -> None:
        turn = Turn()
        tasks = [asyncio.ensure_future(work(turn, number)) for number in range(5)]
        await asyncio.sleep(0)
        assert done == []  # work begins when all tasks are in the queue
        tasks[0].cancel()
        tasks[3].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await work(turn, 9)

    asyncio.run(run())
    assert done == [1, 2, 4, 9]


def test_a_service_without_its_data_does_not_start(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    expected = re.escape(f"no database at {path}; next: python3 -m services.seed auth {path}")
    with pytest.raises(NoData, match=f"^{expected}$"):
        connect(path)


def test_a_service_reads_the_addresses_of_its_upstreams_from_its_environment() -> None:
    settings = Settings.from_environment("orders", {"UPSTREAM_INVENTORY": "http://inventory:8000/", "DATA": "/d"})
    assert settings.upstreams == {"inventory": "http://inventory:8000"}
    assert settings.database == Path("/d/orders.db")


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_is_served_but_not_the_pages_that_need_the_internet(client_of: ClientOf, name: str) -> None:
    client = client_of(name)
    assert client.get("/openapi.json").json()["info"] == {"title": name, "version": "1.4.0"}
    assert client.get("/docs").status_code == 404


def test_work_that_breathes_keeps_its_turn_and_lets_the_loop_do_other_things() -> None:
    done: list[str] = []

    async def run() -> None:
        turn = Turn()

        async def long_work() -> None:
            async with turn:
                for part in range(3):
                    done.append(f"part {part}")
                    await turn.breathe()

        async def short_work() -> None:
            async with turn:
                done.append("the next turn")

        async def scrape() -> None:
            while "part 0" not in done:
                await asyncio.sleep(0)
            done.append("a scrape")

        await asyncio.gather(long_work(), short_work(), scrape())

    asyncio.run(run())
    assert done.index("a scrape") < done.index("part 2")
    assert done[-1] == "the next turn"
