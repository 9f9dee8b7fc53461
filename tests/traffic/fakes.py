"""A fake shop on this machine that gives prepared answers, and a client session for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

DEADLINE_S = 60.0  # the tests beside the lab may stand still for seconds


@dataclass
class FakeShop:
    """Answers every request and records it."""

    status: dict[str, int] = field(default_factory=dict)  # the status for each path; other paths get a success
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    open: asyncio.Event = field(default_factory=asyncio.Event)  # requests are answered only while it is set

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.asked.append((request.path, dict(request.headers), body))
        async with self.arrived:
            self.arrived.notify_all()
        await self.open.wait()
        success = 200 if request.method == "GET" else 201
        return web.json_response({"token": "t"}, status=self.status.get(request.path, success))

    async def after(self, count: int, timeout_s: float = DEADLINE_S) -> None:
        """Wait until `count` requests have arrived."""
        async with asyncio.timeout(timeout_s), self.arrived:
            await self.arrived.wait_for(lambda: len(self.asked) >= count)


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[str]:
    """Serve the application on a free port. Gives its URL."""
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def a_shop() -> AsyncIterator[tuple[FakeShop, str, aiohttp.ClientSession]]:
    """An open shop, its URL and a client session."""
    shop = FakeShop()
    shop.open.set()
    app = web.Application(client_max_size=2 << 20)
    app.router.add_route("*", "/{path:.*}", shop.answer)
    async with serving(app) as url, aiohttp.ClientSession() as session:
        yield shop, url, session
