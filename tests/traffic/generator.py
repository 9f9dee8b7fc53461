"""A load generator's control interface on this machine."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from tests.traffic.fakes import DEADLINE_S, FakeShop, a_shop, serving
from traffic.campaigns import Campaigns
from traffic.control import Control
from traffic.level import Level
from traffic.metrics import Metrics


class Generator:
    """The control interface, and the shop that gets the requests of its campaigns."""

    def __init__(
        self, shop: FakeShop, url: str, session: aiohttp.ClientSession, campaigns: Campaigns, level: Level
    ) -> None:
        self.shop = shop
        self.level = level
        self.campaigns = campaigns
        self.url = url
        self._session = session

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        async with self._session.request(method, self.url + path, data=data, headers=headers) as answer:
            return answer.status, await answer.json()

    async def text(self, path: str) -> str:
        async with self._session.get(self.url + path) as answer:
            return await answer.text()

    async def wait_until_all_have_ended(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while self.campaigns.describe():
                await asyncio.sleep(0.005)


def run_with_generator(
    run_test: Callable[[Generator], Awaitable[None]], *, now: Callable[[], float] = time.monotonic
) -> None:
    """Run a test with a load generator that serves its control interface. `now` is the clock of the users' level."""

    async def run() -> None:
        async with a_shop() as (shop, shop_url, session):
            campaigns, level = Campaigns(session, url_of=lambda _: shop_url, seed=1), Level(now=now)
            async with serving(Control(campaigns, level, Metrics()).app()) as url:
                await run_test(Generator(shop, url, session, campaigns, level))
            campaigns.end_all()

    asyncio.run(run())
