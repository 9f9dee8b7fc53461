"""Calls to other services. The tests use a real server on this machine."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from services.kit.trace import CURRENT, Trace
from services.kit.upstreams import HttpUpstreams, UpstreamAnswer, UpstreamFailed

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _ask(handler: Handler | None, timeout_s: float = 2.0) -> UpstreamAnswer:
    """The result of a call to a server with this handler. None stands for a server that is down."""

    async def run() -> UpstreamAnswer:
        CURRENT.set(Trace("0af7651916cd43dd8448eb211c80319c", "client-1"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        app = web.Application()
        if handler is not None:
            app.router.add_post("/things", handler)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        if handler is not None:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        upstreams = HttpUpstreams({"stock": f"http://127.0.0.1:{port}"}, timeout_s=timeout_s)
        try:
            return await upstreams.call("stock", "POST", "/things", body={"a": 1}, idempotency_key="k")
        finally:
            await upstreams.close()
            await runner.cleanup()

    return asyncio.run(run())


def test_a_call_carries_its_trace_its_client_key_and_its_idempotency_key() -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.json_response({"body": await request.json(), **request.headers})

    content = _ask(echo).content
    assert content["body"] == {"a": 1}
    assert content["traceparent"].startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert (content["Client-Key"], content["Idempotency-Key"]) == ("client-1", "k")


def test_a_call_that_is_answered_with_500_is_not_repeated() -> None:
    asked: list[str] = []

    async def broken(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=500)

    with pytest.raises(UpstreamFailed, match=r"^stock: answered 500$"):
        _ask(broken)
    assert len(asked) == 1


def test_a_call_is_repeated_once_if_its_connection_breaks() -> None:
    asked: list[str] = []

    async def first_time_broken(request: web.Request) -> web.Response:
        asked.append(request.path)
        if len(asked) == 1:
            assert request.transport is not None
            request.transport.close()
        return web.json_response({"ok": True})

    assert _ask(first_time_broken) == UpstreamAnswer(status=200, content={"ok": True})
    assert len(asked) == 2


def test_a_server_that_is_down_fails_at_once() -> None:
    with pytest.raises(UpstreamFailed, match=r"^stock: ClientConnectorError: ") as failed:
        _ask(None)
    assert not failed.value.timed_out


def test_a_call_that_gets_no_answer_ends_at_its_timeout() -> None:
    async def late(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    with pytest.raises(UpstreamFailed, match=r"^stock: no answer within 0\.1 s$") as failed:
        _ask(late, timeout_s=0.1)
    assert failed.value.timed_out
