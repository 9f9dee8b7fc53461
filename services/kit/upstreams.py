"""Calls to other services: each has a deadline, and one retry if no connection was made."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from services.kit.trace import CURRENT

RETRY_AFTER_S = 0.05


class UpstreamFailed(Exception):
    """An upstream gave no usable answer."""

    def __init__(self, upstream: str, reason: str, *, timed_out: bool = False) -> None:
        super().__init__(f"{upstream}: {reason}")
        self.upstream = upstream
        self.reason = reason
        self.timed_out = timed_out


@dataclass(frozen=True, kw_only=True)
class UpstreamAnswer:
    """An answer below 500."""

    status: int
    content: dict[str, Any]


class Upstreams(Protocol):
    """What a service needs in order to call its upstreams."""

    async def call(
        self,
        upstream: str,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> UpstreamAnswer:
        """Ask an upstream. Raises UpstreamFailed if it gives no answer, or one of 500 or more."""

    async def close(self) -> None:
        """Close the connections."""


class HttpUpstreams:
    """Upstreams over HTTP, with kept-alive connections."""

    def __init__(self, urls: Mapping[str, str], *, timeout_s: float) -> None:
        # Imported here: it slows down the start, and only services with upstreams need it.
        import aiohttp

        self._http = aiohttp
        self._urls = urls
        self._timeout_s = timeout_s
        # IPv4 only: a second query for each name costs time and gets no answer on a container network.
        # Names are looked up again every second: an address can pass from one service to another.
        connector = aiohttp.TCPConnector(limit=0, family=socket.AF_INET, keepalive_timeout=30, ttl_dns_cache=1)
        self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))

    async def call(
        self,
        upstream: str,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> UpstreamAnswer:
        """Ask an upstream. Raises UpstreamFailed if it gives no answer, or one of 500 or more."""
        trace = CURRENT.get()
        headers = {"traceparent": trace.traceparent(), "Content-Type": "application/json"}
        if trace.client_key is not None:
            headers["Client-Key"] = trace.client_key
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        data = None if body is None else json.dumps(body).encode()
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._with_retry(upstream, method, path, headers=headers, params=query, data=data)
        except TimeoutError as error:
            raise UpstreamFailed(upstream, f"no answer within {self._timeout_s:g} s", timed_out=True) from error
        except (self._http.ClientError, OSError, json.JSONDecodeError) as error:
            raise UpstreamFailed(upstream, f"{type(error).__name__}: {error}") from error

    async def _with_retry(self, upstream: str, method: str, path: str, **request: Any) -> UpstreamAnswer:
        try:
            return await self._once(upstream, method, path, **request)
        except (self._http.ClientConnectionError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
        # No answer had begun, so it is safe to ask again. Ask only once: more retries would make an overload worse.
        await asyncio.sleep(RETRY_AFTER_S)
        return await self._once(upstream, method, path, **request)

    async def _once(self, upstream: str, method: str, path: str, **request: Any) -> UpstreamAnswer:
        async with self._session.request(method, self._urls[upstream] + path, **request) as response:
            content = await response.read()
            if response.status >= 500:
                raise UpstreamFailed(upstream, f"answered {response.status}")
            return UpstreamAnswer(status=response.status, content=json.loads(content))

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()
