"""The office: what the shop's staff and partners do. Rare, and each request costs many times what a customer's does.

Staff sign in, partners import the catalogue, business customers ask for bulk quotes, accounting reads statements, and a
delivery network fills its cache. No user waits for any of this, so it is not counted as a journey.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import aiohttp

from traffic.campaigns import Kind, Target, ask
from traffic.open_loop import OpenLoop

EVERY_S = 100.0
"""How often each service gets such a request, on average. It is then 0.2% of the service's CPU quota."""

MAX_IN_FLIGHT = 8


class Office:
    """Sends one request at a time, each to a service that is drawn."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        url_of: Callable[[Target], str],
        seed: int,
        every_s: float = EVERY_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._url_of = url_of
        self._rng = random.Random(f"office {seed}")
        self._loop = OpenLoop(
            len(Target) / every_s,
            self._work,
            dropped=lambda: None,
            rng=random.Random(f"office hours {seed}"),
            max_in_flight=MAX_IN_FLIGHT,
            now=now,
        )

    async def run(self) -> None:
        """Send requests until cancelled."""
        await self._loop.run()

    async def _work(self, due: float) -> None:
        target = self._rng.choice(tuple(Target))
        await ask(self._session, self._url_of(target), Kind.COSTLY, target, self._rng)
