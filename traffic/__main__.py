"""`python3 -m traffic`: send the users' traffic, and serve the control interface on port 8000."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from traffic.campaigns import Campaigns, Target
from traffic.control import Control
from traffic.level import Level
from traffic.metrics import Metrics
from traffic.office import Office
from traffic.users import RATE_PER_S, Users


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings that Compose passes to the load generator."""

    seed: int
    rate_per_s: float
    host: str
    port: int
    urls: Mapping[Target, str]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the environment. Raises ValueError if a number is malformed."""
        return cls(
            seed=int(environment.get("SEED", "0")),
            rate_per_s=float(environment.get("RATE_PER_S", str(RATE_PER_S))),
            host=environment.get("HOST", "0.0.0.0"),
            port=int(environment.get("PORT", "8000")),
            urls={target: environment.get(f"{target.upper()}_URL", f"http://{target}:8000") for target in Target},
        )


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    metrics, level = Metrics(), Level()
    # Names are looked up again every second: an address can pass from one service to another.
    connector = aiohttp.TCPConnector(limit=0, family=socket.AF_INET, keepalive_timeout=30, ttl_dns_cache=1)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        campaigns = Campaigns(session, url_of=settings.urls.__getitem__, seed=settings.seed)
        office = Office(session, url_of=settings.urls.__getitem__, seed=settings.seed)
        runner = web.AppRunner(Control(campaigns, level, metrics).app(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, settings.host, settings.port).start()
        gateway_url = settings.urls[Target.GATEWAY]
        visitors = Users(
            session, gateway_url, metrics, seed=settings.seed, rate_per_s=settings.rate_per_s, due=level.due
        )
        senders = [asyncio.ensure_future(visitors.run()), asyncio.ensure_future(office.run())]
        signalled = asyncio.Event()
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signal_number, signalled.set)
        stopping = asyncio.ensure_future(signalled.wait())
        started = {"event": "started", "gateway": gateway_url, "rate_per_s": settings.rate_per_s}
        print(json.dumps(started), flush=True)
        await asyncio.wait((*senders, stopping), return_when=asyncio.FIRST_COMPLETED)
        for sender in senders:
            if sender.done():
                sender.result()  # it ends only after an error, and this raises that error
            sender.cancel()
        campaigns.end_all()
        await runner.cleanup()


def main() -> int:
    """Returns 0 after a signal to stop, 2 for wrong settings."""
    try:
        settings = Settings.from_environment(os.environ)
    except ValueError as error:
        print(f"SEED, RATE_PER_S and PORT must be numbers: {error}", file=sys.stderr)
        return 2
    asyncio.run(run(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
