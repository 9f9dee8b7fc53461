"""The HTTP server of a service, on sockets of this machine.

The server refuses requests that are not HTTP, too large or too slow, and gives a reason. It still serves other clients.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.flow_control import FlowControl

from services.kit import connections, edge
from services.kit.connections import MAX_HEAD_BYTES, Connection
from tests.security.wire import DEADLINE_S, GET, Address, close_all, open_many, post, receive, send, status

CHARGE = json.dumps({"account": "user-001", "amount_cents": 5000}).encode()
KEY = "Idempotency-Key: k"
STALLED = post("/charges", b"{", KEY, length=1000)


@pytest.fixture
def address(app_of: Callable[[str], FastAPI]) -> Iterator[Address]:
    """The address of the service payments. It runs with the same server as in its container."""
    config = uvicorn.Config(
        app_of("payments"), http=Connection, ws="none", loop="asyncio", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    with closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            thread.join(0.005)
            assert thread.is_alive()
        yield listening.getsockname()
        server.should_exit = True
        thread.join(5.0)
        assert not thread.is_alive()


def detail(received: bytes) -> Any:
    return json.loads(received.partition(b"\r\n\r\n")[2])["detail"]


TOO_LARGE = f"the head of the request is larger than {MAX_HEAD_BYTES} bytes"
NOT_HTTP = "this is not HTTP that is understood here"
CHUNKED = b"POST /charges HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
REFUSED: list[tuple[str, bytes, int, str]] = [
    ("garbage", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + b"\r\n\r\n", 400, NOT_HTTP),
    ("no such version", b"GET / HTTP/9.9\r\n\r\n", 400, NOT_HTTP),
    ("a version of letters", b"GET / HTTP/x.y\r\n\r\n", 400, NOT_HTTP),
    ("no such method", b"GIMME / HTTP/1.1\r\n\r\n", 400, NOT_HTTP),
    ("a header without a name", b"GET / HTTP/1.1\r\n: x\r\n\r\n", 400, NOT_HTTP),
    ("a NUL in a header", b"GET / HTTP/1.1\r\nHost: a\x00b\r\n\r\n", 400, NOT_HTTP),
    ("an invalid target", b"CONNECT ::: HTTP/1.1\r\n\r\n", 400, NOT_HTTP),
    ("a length of letters", b"POST / HTTP/1.1\r\nContent-Length: ten\r\n\r\n", 400, NOT_HTTP),
    ("a negative length", b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, NOT_HTTP),
    ("two lengths", b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, NOT_HTTP),
    ("a length beside chunks", CHUNKED + b"Content-Length: 4\r\n\r\n0\r\n\r\n", 400, NOT_HTTP),
    ("a large header", b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", 431, TOO_LARGE),
    ("many headers", b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 5_000 + b"\r\n", 431, TOO_LARGE),
    ("a long target", b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", 431, TOO_LARGE),
]


@pytest.mark.parametrize(
    ("request_bytes", "code", "why"), [one[1:] for one in REFUSED], ids=[one[0] for one in REFUSED]
)
def test_malformed_input_is_refused_with_a_reason_and_the_next_client_is_served(
    address: Address, request_bytes: bytes, code: int, why: str
) -> None:
    received = send(address, request_bytes)
    assert (status(received), detail(received)) == (code, why)
    assert status(send(address, GET)) == 200


def test_an_endless_header_is_cut_off_at_the_limit(address: Address) -> None:
    received = send(address, b"GET / HTTP/1.1\r\nX: ", *[b"x" * 65536] * 16)
    assert status(received) in (431, 0)  # 0: disconnected before it read the answer
    assert status(send(address, GET)) == 200


@pytest.mark.parametrize("chunk", [b"zz\r\n\r\n", b"5\r\nabc", b"FFFFFFFFFFFFFFFFF\r\n", b"1\r\nab\r\n0\r\n\r\n"])
def test_malformed_chunks_end_the_request(address: Address, chunk: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "BODY_TIMEOUT_S", 0.3)
    assert status(send(address, CHUNKED + b"\r\n" + chunk)) in (0, 400, 408)
    assert status(send(address, GET)) == 200


def test_trailers_are_refused_and_do_not_fill_the_memory(address: Address) -> None:
    send(address, CHUNKED + b"\r\n1\r\n{\r\n0\r\n", *[b"T: t\r\n" * 1_000] * 20)
    assert status(send(address, GET)) == 200


def test_too_many_pipelined_requests_end_the_connection(address: Address) -> None:
    received = send(address, GET * 5_000)
    assert received.count(b"HTTP/1.1 200") <= connections.MAX_PIPELINED
    assert status(send(address, GET)) == 200


@pytest.mark.thorough
def test_all_requests_on_one_connection_are_answered(address: Address) -> None:
    with socket.create_connection(address, timeout=DEADLINE_S) as wire:
        for number in range(50):
            wire.sendall(post("/charges", CHARGE, f"Idempotency-Key: k{number}"))
            assert status(receive(wire)) == 201


@pytest.mark.parametrize("claimed", [100 << 20, 1 << 62, 10**30])
def test_a_body_with_a_huge_declared_length_is_refused_before_it_arrives(
    address: Address, claimed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for waits_for_it in ("BODY_TIMEOUT_S", "DRAIN_TIMEOUT_S"):
        monkeypatch.setattr(edge, waits_for_it, 60.0)
    began_s = time.monotonic()
    received = send(address, post("/charges", b"", KEY, length=claimed))
    # A length that the parser cannot hold is not HTTP for the parser.
    assert (status(received), detail(received)) in [(413, "the body is larger than 1048576 bytes"), (400, NOT_HTTP)]
    assert time.monotonic() - began_s < 30.0


def test_a_huge_body_without_a_declared_length_is_refused_and_the_client_reads_the_answer(address: Address) -> None:
    received = send(address, CHUNKED + KEY.encode() + b"\r\n\r\n", *[b"10000\r\n" + b"x" * 65536 + b"\r\n"] * 32)
    assert (status(received), detail(received)) == (413, "the body is larger than 1048576 bytes")
    assert b"connection: close" in received.lower()


def test_a_client_that_waits_for_permission_to_send_its_body_is_refused_at_once(address: Address) -> None:
    received = send(address, post("/charges", b"", KEY, "Expect: 100-continue", length=100 << 20))
    assert status(received) == 413


def test_a_head_that_does_not_arrive_times_out(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_TIMEOUT_S", 0.2)
    received = send(address, b"GET /healthz HTTP/1.1\r\nHost:")
    assert (status(received), detail(received)) == (408, "the head of the request did not come within 0.2 s")
    assert send(address) == b""  # there was no request, so there is no answer
    assert send(address, b"\r\n") == b""


def test_a_head_that_arrives_byte_by_byte_times_out_too(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_TIMEOUT_S", 0.3)
    with socket.create_connection(address, timeout=0.05) as wire:
        received, deadline_s = b"", time.monotonic() + DEADLINE_S
        wire.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
        while not received and time.monotonic() < deadline_s:
            wire.sendall(b"x")
            try:
                received = wire.recv(4096)
            except TimeoutError:
                continue
    assert status(received) == 408


def test_a_body_that_does_not_arrive_times_out(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "BODY_TIMEOUT_S", 0.2)
    received = send(address, STALLED)
    assert (status(received), detail(received)) == (408, "the body did not come within 0.2 s")


def test_other_clients_do_not_wait_for_bodies_that_do_not_arrive(address: Address) -> None:
    stalled = open_many(address, 3 * edge.MAX_IN_FLIGHT, STALLED)
    try:
        for number in range(20):
            assert status(send(address, post("/charges", CHARGE, f"Idempotency-Key: k{number}"))) == 201
    finally:
        close_all(stalled)


def test_the_number_of_large_bodies_is_limited_and_small_bodies_are_still_accepted(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "MAX_ARRIVING_BYTES", 300_000)
    stalled = open_many(address, 3, post("/charges", b"x" * 100_000, KEY, length=1 << 20))
    try:
        # Only the server knows when the three have arrived: from then on it refuses the next large one.
        deadline_s = time.monotonic() + DEADLINE_S
        large = json.dumps({"account": "user-001", "amount_cents": 1, "note": "n" * 50_000}).encode()
        while status(received := send(address, post("/charges", large, "Idempotency-Key: large"))) != 503:
            assert time.monotonic() < deadline_s
        assert detail(received) == "too many large requests on their way, try again later"
        assert status(send(address, post("/charges", CHARGE, "Idempotency-Key: small"))) == 201
    finally:
        close_all(stalled)


def test_idle_connections_are_closed_to_make_room_for_clients_with_requests(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 20)
    idle = open_many(address, 100, b"")
    try:
        assert status(send(address, GET)) == 200
    finally:
        close_all(idle)


def test_the_connection_of_a_client_that_does_not_read_its_answer_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "READ_TIMEOUT_S", 0.2)
    aborted = threading.Event()

    class Wire:
        """A transport whose client reads nothing."""

        def abort(self) -> None:
            aborted.set()

    connection = Connection.__new__(Connection)
    connection.connections = {connection}
    connection.transport = Wire()  # type: ignore[assignment]  # it has all methods that the server uses
    connection.flow = FlowControl(Wire())  # type: ignore[arg-type]  # the same

    async def run() -> None:
        connection.loop = asyncio.get_running_loop()
        connection.pause_writing()
        connection.resume_writing()
        await asyncio.sleep(0.3)
        assert not aborted.is_set()  # the answer was read in time
        connection.pause_writing()
        async with asyncio.timeout(DEADLINE_S):
            while not aborted.is_set():
                await asyncio.sleep(0.01)

    asyncio.run(run())
