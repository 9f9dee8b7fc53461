"""The users: a seeded stream of journeys through the gateway. Every journey is counted."""

from __future__ import annotations

import operator
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from traffic import shop
from traffic.metrics import Journey, Metrics
from traffic.open_loop import Due, OpenLoop

RATE_PER_S = 38.0
MIX = {Journey.BROWSE: 0.5, Journey.SIGN_IN: 0.2, Journey.CHECK_OUT: 0.3}
BASKET_LINES = (2, 4)  # fewest and most products of a check-out
TIMEOUT_S = 2.0
MAX_IN_FLIGHT = 256


class JourneyFailed(Exception):
    """The gateway answered, but not with what the user wanted."""


class SignedOut(JourneyFailed):
    """The gateway no longer accepts the user's token."""


class Users:
    """Customers who browse, sign in and check out."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        gateway_url: str,
        metrics: Metrics,
        *,
        seed: int,
        rate_per_s: float = RATE_PER_S,
        timeout_s: float = TIMEOUT_S,
        max_in_flight: int = MAX_IN_FLIGHT,
        due: Due = operator.add,  # as a traffic.level.Level has it, if the rate may change
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._url = gateway_url.rstrip("/")
        self._metrics = metrics
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._now = now
        self._rng = random.Random(f"journeys {seed}")
        self._tokens: dict[int, str] = {}  # of the customers who signed in
        self._journeys: dict[Journey, Callable[[], Awaitable[None]]] = {
            Journey.BROWSE: self._browse,
            Journey.SIGN_IN: self._sign_in,
            Journey.CHECK_OUT: self._check_out,
        }
        self._loop = OpenLoop(
            rate_per_s,
            self._travel,
            dropped=lambda: metrics.dropped(self._pick()),
            rng=random.Random(f"arrivals {seed}"),
            max_in_flight=max_in_flight,
            due=due,
            now=now,
        )

    async def run(self) -> None:
        """Send journeys until cancelled."""
        await self._loop.run()

    def _pick(self) -> Journey:
        return self._rng.choices(tuple(MIX), tuple(MIX.values()))[0]

    async def _travel(self, due: float) -> None:
        journey = self._pick()
        try:
            await self._journeys[journey]()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, JourneyFailed):
            self._metrics.finished(journey, succeeded=False, duration_s=self._now() - due)
        else:
            self._metrics.finished(journey, succeeded=True, duration_s=self._now() - due)

    async def _browse(self) -> None:
        customer = self._rng.randrange(shop.CUSTOMERS)
        await self._ask(customer, "GET", "/browse", 200, query={"q": shop.words(self._rng)})

    async def _sign_in(self) -> None:
        await self._token_of(self._rng.randrange(shop.CUSTOMERS))

    async def _token_of(self, customer: int) -> str:
        answer = await self._ask(customer, "POST", "/sign-in", 201, body=shop.credentials(customer))
        token: str = answer["token"]
        self._tokens[customer] = token
        return token

    async def _check_out(self) -> None:
        # Customers who are signed in check out. If nobody is signed in yet, this one signs in first.
        signed_in = tuple(self._tokens)
        customer = self._rng.choice(signed_in) if signed_in else self._rng.randrange(shop.CUSTOMERS)
        basket = {"lines": shop.lines(self._rng, self._rng.randint(*BASKET_LINES)), "zone": customer % shop.ZONES + 1}
        headers = {"Idempotency-Key": shop.key()}
        kept = self._tokens.get(customer)
        headers["Authorization"] = f"Bearer {kept or await self._token_of(customer)}"
        try:
            await self._ask(customer, "POST", "/check-out", 201, body=basket, headers=headers)
        except SignedOut:
            if kept is None:
                raise
            # Sign in again once, and go on with the same basket. The page of any shop would do this.
            headers["Authorization"] = f"Bearer {await self._token_of(customer)}"
            await self._ask(customer, "POST", "/check-out", 201, body=basket, headers=headers)

    async def _ask(
        self,
        customer: int,
        method: str,
        path: str,
        expected: int,
        *,
        query: dict[str, str] | None = None,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """One request of a customer, always with the same client key and storefront for this customer."""
        sent = {"Client-Key": f"client-{customer:03d}", "Content-Type": "application/json", **(headers or {})}
        params = {"store": str(customer % shop.STOREFRONTS + 1), **(query or {})}
        data = None if body is None else shop.json_body(body)
        async with self._session.request(
            method, self._url + path, params=params, data=data, headers=sent, timeout=self._timeout
        ) as response:
            content = await response.read()
            if response.status == 401:
                # A shop that has forgotten one customer has new data and has forgotten all of them. So forget all
                # tokens: only customers who sign in from now on check out. If everybody signed in again at once,
                # the load generator itself would cause an overload.
                self._tokens.clear()
                raise SignedOut(f"{method} {path} answered 401")
            if response.status != expected:
                raise JourneyFailed(f"{method} {path} answered {response.status}")
            # Only the answer to a sign-in is needed later.
            return dict(await response.json()) if content and path == "/sign-in" else {}
