"""Campaigns: extra traffic on one service, for as long as its lease is renewed."""

from __future__ import annotations

import asyncio
import base64
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import aiohttp

from traffic import shop
from traffic.open_loop import OpenLoop

TIMEOUT_S = 2.0
MAX_IN_FLIGHT = 128
NOTE_BYTES = 800 * 1024
# Random, so that it cannot be compressed or shared in memory. Plain characters, so that JSON needs no escapes.
NOTE = base64.urlsafe_b64encode(random.Random(0).randbytes(NOTE_BYTES))[:NOTE_BYTES]

# The size of a costly request: about 0.06 s of CPU time on the reference machine, for each service.
PAGES = 18
BULK_LINES = 50
CHARGES = 11


class Kind(StrEnum):
    """What a campaign sends."""

    FLASH_CROWD = "flash_crowd"  # many clients want the same thing at once
    UNIQUE_KEYS = "unique_keys"  # one client sends a new key and a large body with each request
    COSTLY = "costly"  # few clients ask for much at once, as the office does


class Target(StrEnum):
    """The service that a campaign sends to."""

    GATEWAY = "gateway"
    AUTH = "auth"
    INVENTORY = "inventory"
    ORDERS = "orders"
    PAYMENTS = "payments"


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """One request to a service."""

    method: str
    path: str
    body: bytes | None = None
    idempotency_key: str | None = None


def _front_page(rng: random.Random, note: bytes) -> Outgoing:
    return Outgoing(method="GET", path=f"/storefronts/{rng.randint(1, shop.STOREFRONTS)}")


def _cart(rng: random.Random, note: bytes) -> Outgoing:
    return Outgoing(method="POST", path="/carts", body=shop.json_body({"lines": shop.lines(rng, 1)}, note))


def _session(rng: random.Random, note: bytes) -> Outgoing:
    body = shop.json_body(dict(shop.credentials(rng.randrange(shop.CUSTOMERS))), note)
    return Outgoing(method="POST", path="/sessions", body=body)


def _token(rng: random.Random, note: bytes) -> Outgoing:
    return Outgoing(method="POST", path="/tokens/check", body=shop.json_body({"token": shop.key()}, note))


def _search(rng: random.Random, note: bytes) -> Outgoing:
    return Outgoing(method="GET", path="/search?q=" + shop.words(rng).replace(" ", "+"))


def _reservation(rng: random.Random, note: bytes) -> Outgoing:
    body = shop.json_body({"lines": shop.lines(rng, 1)}, note)
    return Outgoing(method="POST", path="/reservations", body=body, idempotency_key=shop.key())


def _large_quote(rng: random.Random, note: bytes) -> Outgoing:
    basket = {"lines": shop.priced_lines(rng, 6), "zone": rng.randint(1, shop.ZONES)}
    return Outgoing(method="POST", path="/quotes", body=shop.json_body(basket, note))


def _small_quote(rng: random.Random, note: bytes) -> Outgoing:
    basket = {"lines": shop.priced_lines(rng, 1), "zone": rng.randint(1, shop.ZONES)}
    return Outgoing(method="POST", path="/quotes", body=shop.json_body(basket, note))


def _charge(rng: random.Random, note: bytes) -> Outgoing:
    account = shop.credentials(rng.randrange(shop.CUSTOMERS))["username"]
    body = shop.json_body({"account": account, "amount_cents": rng.randint(500, 50_000)}, note)
    return Outgoing(method="POST", path="/charges", body=body, idempotency_key=shop.key())


def _front_pages(rng: random.Random, note: bytes) -> Outgoing:
    first = rng.randint(1, shop.STOREFRONTS - PAGES + 1)
    return Outgoing(method="GET", path=f"/storefronts?first={first}&count={PAGES}")


def _staff_session(rng: random.Random, note: bytes) -> Outgoing:
    body = shop.json_body(dict(shop.staff_credentials(rng.randrange(shop.STAFF))), note)
    return Outgoing(method="POST", path="/staff/sessions", body=body)


def _catalogue(rng: random.Random, note: bytes) -> Outgoing:
    return Outgoing(method="GET", path="/catalogue")


def _bulk_quote(rng: random.Random, note: bytes) -> Outgoing:
    basket = {"lines": shop.priced_lines(rng, BULK_LINES), "zone": rng.randint(1, shop.ZONES)}
    return Outgoing(method="POST", path="/bulk-quotes", body=shop.json_body(basket, note))


def _statement(rng: random.Random, note: bytes) -> Outgoing:
    return Outgoing(method="GET", path=f"/statement?charges={CHARGES}")


Make = Callable[[random.Random, bytes], Outgoing]
REQUESTS: Mapping[Kind, Mapping[Target, Make]] = {
    # Requests that cost this service CPU time and cause no calls to the services behind it.
    Kind.FLASH_CROWD: {
        Target.GATEWAY: _front_page,
        Target.AUTH: _session,
        Target.INVENTORY: _search,
        Target.ORDERS: _large_quote,
        Target.PAYMENTS: _charge,
    },
    # Requests that cost this service many times the usual CPU time, and cause no calls either.
    Kind.COSTLY: {
        Target.GATEWAY: _front_pages,
        Target.AUTH: _staff_session,
        Target.INVENTORY: _catalogue,
        Target.ORDERS: _bulk_quote,
        Target.PAYMENTS: _statement,
    },
    # Requests that cost little CPU time, so memory is full long before the CPU is.
    Kind.UNIQUE_KEYS: {
        Target.GATEWAY: _cart,
        Target.AUTH: _token,
        Target.INVENTORY: _reservation,
        Target.ORDERS: _small_quote,
        Target.PAYMENTS: _charge,
    },
}


async def ask(session: aiohttp.ClientSession, url: str, kind: Kind, target: Target, rng: random.Random) -> bool:
    """Send one request of that kind to the service at `url`. Returns whether it was answered, if only by a refusal."""
    out = REQUESTS[kind][target](rng, NOTE if kind is Kind.UNIQUE_KEYS else b"")
    headers = {"Content-Type": "application/json"}
    if kind is Kind.UNIQUE_KEYS:
        headers["Client-Key"] = shop.key()
    if out.idempotency_key is not None:
        headers["Idempotency-Key"] = out.idempotency_key
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with session.request(
            out.method, url.rstrip("/") + out.path, data=out.body, headers=headers, timeout=timeout
        ) as response:
            await response.read()
            return response.status < 500
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


@dataclass(frozen=True, kw_only=True)
class Order:
    """A campaign as requested."""

    kind: Kind
    service: Target
    rate_per_s: float
    lease_s: float


class RunningCampaign:
    """One campaign that sends requests until its lease ends."""

    def __init__(
        self, order: Order, session: aiohttp.ClientSession, url: str, *, seed: str, now: Callable[[], float]
    ) -> None:
        self.order = order
        self.sent = 0
        self.failed = 0
        self.dropped = 0
        self.lease_until = now() + order.lease_s
        self._session = session
        self._url = url
        self._rng = random.Random(seed)
        self.loop = OpenLoop(
            order.rate_per_s, self._send, dropped=self._drop, rng=self._rng, max_in_flight=MAX_IN_FLIGHT, now=now
        )

    def _drop(self) -> None:
        self.dropped += 1

    async def _send(self, due: float) -> None:
        self.sent += 1
        answered = await ask(self._session, self._url, self.order.kind, self.order.service, self._rng)
        self.failed += not answered


class Campaigns:
    """All running campaigns, by id."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        url_of: Callable[[Target], str],
        seed: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._url_of = url_of
        self._seed = seed
        self._now = now
        self._running: dict[str, tuple[RunningCampaign, asyncio.Task[None]]] = {}

    def put(self, campaign_id: str, order: Order) -> bool:
        """Start a campaign, or change a running one. Returns True if none of this id was running."""
        running = self._running.get(campaign_id)
        if running is not None:
            campaign = running[0]
            if (campaign.order.kind, campaign.order.service) == (order.kind, order.service):
                campaign.order = order
                campaign.loop.rate_per_s = order.rate_per_s
                campaign.lease_until = self._now() + order.lease_s
                return False
            self.end(campaign_id)
        seed, url = f"{self._seed} {campaign_id}", self._url_of(order.service)
        campaign = RunningCampaign(order, self._session, url, seed=seed, now=self._now)
        self._running[campaign_id] = campaign, asyncio.ensure_future(self._run(campaign_id, campaign))
        return running is None

    def renew(self, campaign_id: str, lease_s: float) -> bool:
        """Renew a lease. Returns False if no campaign of this id is running."""
        running = self._running.get(campaign_id)
        if running is None:
            return False
        running[0].lease_until = self._now() + lease_s
        return True

    def end(self, campaign_id: str) -> bool:
        """End a campaign. Returns False if no campaign of this id is running."""
        running = self._running.pop(campaign_id, None)
        if running is None:
            return False
        running[1].cancel()
        return True

    def end_all(self) -> None:
        """End every campaign."""
        for campaign_id in tuple(self._running):
            self.end(campaign_id)

    def describe(self) -> list[dict[str, str | float | int]]:
        """The running campaigns, as JSON objects."""
        return [
            {
                "id": campaign_id,
                "kind": campaign.order.kind,
                "service": campaign.order.service,
                "rate_per_s": campaign.order.rate_per_s,
                "lease_left_s": round(max(0.0, campaign.lease_until - self._now()), 3),
                "sent": campaign.sent,
                "failed": campaign.failed,
                "dropped": campaign.dropped,
            }
            for campaign_id, (campaign, _) in self._running.items()
        ]

    async def _run(self, campaign_id: str, campaign: RunningCampaign) -> None:
        sending = asyncio.ensure_future(campaign.loop.run())
        try:
            # The lease may be renewed during this wait, so look again when the old lease would have ended.
            while (left := campaign.lease_until - self._now()) > 0:
                await asyncio.wait((sending,), timeout=left)
                if sending.done():
                    sending.result()
        finally:
            sending.cancel()
            running = self._running.get(campaign_id)
            if running is not None and running[0] is campaign:
                del self._running[campaign_id]
