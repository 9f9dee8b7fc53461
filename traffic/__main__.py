"""`python3 -m traffic`: send the users' traffic and serve the control interface on port 8000."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping

import aiohttp
from aiohttp import web

from traffic.campaigns import Campaigns, Target
from traffic.control import Control
from traffic.metrics import Metrics
from traffic.users import RATE_PER_S, Users


def _url_of(environment: Mapping[str, str], target: Target) -> str:
    return environment.get(f"{target.upper()}_URL", f"http://{target}:8000").rstrip("/")


async def run(environment: Mapping[str, str]) -> None:
    """Run until told to stop."""
    seed = int(environment.get("SEED", "0"))
    rate_per_s = float(environment.get("RATE_PER_S", str(RATE_PER_S)))
    metrics = Metrics()
    connector = aiohttp.TCPConnector(limit=0, family=socket.AF_INET, keepalive_timeout=30, ttl_dns_cache=60)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        campaigns = Campaigns(session, url_of=lambda target: _url_of(environment, target), seed=seed)
        runner = web.AppRunner(Control(campaigns, metrics).app(), access_log=None)
        await runner.setup()
        host, port = environment.get("HOST", "0.0.0.0"), int(environment.get("PORT", "8000"))
        await web.TCPSite(runner, host, port).start()
        gateway_url = _url_of(environment, Target.GATEWAY)
        users = asyncio.ensure_future(Users(session, gateway_url, metrics, seed=seed, rate_per_s=rate_per_s).run())
        told = asyncio.Event()
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signal_number, told.set)
        stopping = asyncio.ensure_future(told.wait())
        print(f'{{"event": "started", "gateway": "{gateway_url}", "rate_per_s": {rate_per_s:g}}}', flush=True)
        await asyncio.wait((users, stopping), return_when=asyncio.FIRST_COMPLETED)
        if users.done():
            users.result()  # the users never end by themselves: this raises what ended them
        users.cancel()
        campaigns.end_all()
        await runner.cleanup()


if __name__ == "__main__":
    try:
        asyncio.run(run(os.environ))
    except ValueError as error:
        print(f"SEED, RATE_PER_S and PORT are numbers: {error}", file=sys.stderr)
        sys.exit(2)
