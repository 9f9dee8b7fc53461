"""The office: rare requests that cost much, sent to each service itself."""

from __future__ import annotations

import asyncio

from tests.traffic.fakes import a_shop
from traffic.campaigns import Target
from traffic.office import EVERY_S, Office

PATHS = {"/storefronts", "/staff/sessions", "/catalogue", "/bulk-quotes", "/statement"}


def _asked(seed: int, count: int) -> list[str]:
    """The paths of the first requests of an office that is in a hurry."""
    asked: list[str] = []

    async def run() -> None:
        async with a_shop() as (shop, url, session):
            office = Office(session, url_of=lambda _: url, seed=seed, every_s=0.01)
            task = asyncio.ensure_future(office.run())
            try:
                await shop.after(count)
                asked.extend(path for path, _, _ in shop.asked[:count])
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    return asked


def test_the_office_asks_every_service_for_its_costly_request() -> None:
    assert set(_asked(1, 60)) == PATHS


def test_the_office_goes_on_if_a_service_fails() -> None:
    async def run() -> None:
        async with a_shop() as (shop, url, session):
            shop.status = dict.fromkeys(PATHS, 503)
            office = Office(session, url_of=lambda _: url, seed=1, every_s=0.01)
            task = asyncio.ensure_future(office.run())
            try:
                await shop.after(20)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def test_the_office_takes_less_than_a_hundredth_of_a_quota() -> None:
    cost_s, quota_cores = 0.06, 0.3
    assert cost_s / EVERY_S / quota_cores < 0.01
    assert len(PATHS) == len(Target)
