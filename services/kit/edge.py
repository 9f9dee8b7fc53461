"""The edge of every service. It admits, reads, replays, counts and logs each request, for every handler."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.kit.ledger import Answer, Ledger
from services.kit.logs import OncePerSecond, log
from services.kit.metrics import Metrics
from services.kit.replies import problem
from services.kit.trace import CURRENT, Trace, trace_id_of

UNCOUNTED = frozenset(("/metrics", "/healthz"))
MAX_IN_FLIGHT = 48
MAX_BODY_BYTES = 1 << 20
MAX_ARRIVING_BYTES = 32 << 20  # the limit for all bodies together that are still arriving
SMALL_BODY_BYTES = 16 << 10  # so much is always read, so large slow bodies do not block ordinary clients
BODY_TIMEOUT_S = 10.0
MAX_DRAINED_BYTES = 4 << 20  # how much is read from a refused body
DRAIN_TIMEOUT_S = 1.0
CLIENT_GONE = 499  # only for the log and the metrics: the client has gone and reads no answer
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))

Templates = Sequence[tuple[re.Pattern[str], str]]  # for each route: the pattern of its paths, and its template


class NotTaken(Exception):
    """The body is refused before its end. Carries the status to answer with."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class ClientGone(Exception):
    """The client went away before its request was read."""


class Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, templates: Templates) -> None:
        self.started_s = time.perf_counter()
        self.scope = scope
        self.templates = templates
        headers = dict(scope["headers"])
        client_key = headers.get(b"client-key")
        self.client_key = client_key.decode("latin-1") if client_key else None
        self.idempotency_key: bytes = headers.get(b"idempotency-key", b"")
        self.authorization: bytes = headers.get(b"authorization", b"")
        self.content_length: bytes = headers.get(b"content-length", b"")
        self.has_body = self.content_length not in (b"", b"0") or b"transfer-encoding" in headers
        self.trace = Trace(trace_id_of(headers.get(b"traceparent")), self.client_key)
        self.body = b""
        self.status = CLIENT_GONE
        self.headers: tuple[tuple[bytes, bytes], ...] = ()
        self.content: list[bytes] = []
        self.admitted = False  # while it is being worked on

    @property
    def method(self) -> str:
        """The method; `other` for every method that is not standard, so that there are few labels."""
        method: str = self.scope["method"]
        return method if method in METHODS else "other"

    @property
    def target(self) -> str:
        """Path and query."""
        query = self.scope["query_string"].decode("latin-1")
        return f"{self.scope['path']}?{query}" if query else self.scope["path"]

    def route(self) -> str:
        """The template of the route, such as `/storefronts/{id}`, so that there are few labels."""
        for pattern, template in self.templates:
            if pattern.match(self.scope["path"]):
                return template
        return "unmatched"


class Edge:
    """ASGI middleware around the handlers."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        ledger: Ledger,
        templates: Templates,
        max_in_flight: int = MAX_IN_FLIGHT,
    ) -> None:
        self._app = app
        self._templates = templates
        self._metrics = metrics
        self._ledger = ledger
        self._max_in_flight = max_in_flight
        self._working = 0
        self._arriving = 0  # requests whose body is still arriving
        self._arriving_bytes = 0
        self._log_shed = OncePerSecond(logging.WARNING, "shed")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in UNCOUNTED:
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope, self._templates)
        CURRENT.set(exchange.trace)
        if self._full:
            # Refuse before any costly work. A cheap refusal keeps the other answers on time.
            await self._shed(exchange, receive, self._seen(exchange, send))
            return
        try:
            exchange.body = await self._body(exchange, receive)
            if self._full:  # it may have filled up while the body arrived
                await self._shed(exchange, receive, self._seen(exchange, send))
                return
            self._admit(exchange)
            await self._answer(exchange, receive, self._seen(exchange, send))
        except NotTaken as refused:
            await self._refuse(refused, exchange, receive, self._seen(exchange, send))
        except ClientGone:
            pass
        finally:
            self._release(exchange)
        self._count(exchange)
        self._log_request(exchange)

    @property
    def _full(self) -> bool:
        return self._working >= self._max_in_flight

    def _admit(self, exchange: Exchange) -> None:
        exchange.admitted = True
        self._working += 1
        self._gauge()

    def _release(self, exchange: Exchange) -> None:
        if exchange.admitted:
            exchange.admitted = False
            self._working -= 1
            self._gauge()

    def _gauge(self) -> None:
        self._metrics.in_flight.set(self._working + self._arriving)

    async def _shed(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        await problem(503, "too many requests in flight, try again later")(exchange.scope, receive, send)
        self._log_shed(route=exchange.route(), in_flight=self._working, trace_id=exchange.trace.trace_id)
        self._count(exchange)

    async def _body(self, exchange: Exchange, receive: Receive) -> bytes:
        """The whole body. While it arrives, other requests are worked on. It must arrive within BODY_TIMEOUT_S."""
        if not exchange.has_body:
            # There is nothing to wait for, so no timer is set. This is half of all requests.
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            body: bytes = message.get("body", b"")
            return body
        if exchange.content_length.isdigit() and int(exchange.content_length[:20]) > MAX_BODY_BYTES:
            raise _too_large()
        self._arriving += 1
        self._gauge()
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                async for chunk in _chunks(receive):
                    size += len(chunk)
                    self._arriving_bytes += len(chunk)
                    if size > MAX_BODY_BYTES:
                        raise _too_large()
                    if size > SMALL_BODY_BYTES and self._arriving_bytes > MAX_ARRIVING_BYTES:
                        raise NotTaken(503, "too many large requests on their way, try again later")
                    chunks.append(chunk)
        except TimeoutError as error:
            raise NotTaken(408, f"the body did not come within {BODY_TIMEOUT_S:g} s") from error
        finally:
            self._arriving -= 1
            self._arriving_bytes -= size
            self._gauge()
        return b"".join(chunks)

    async def _refuse(self, refused: NotTaken, exchange: Exchange, receive: Receive, send: Send) -> None:
        """Refuse at once, then read on for a while: a client that is cut off while it sends does not see the answer."""
        answer = problem(refused.status, str(refused))
        answer.headers["Connection"] = "close"
        await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
        await send({"type": "http.response.body", "body": answer.body, "more_body": True})
        left = MAX_DRAINED_BYTES
        try:
            async with asyncio.timeout(DRAIN_TIMEOUT_S):
                async for chunk in _chunks(receive):
                    left -= len(chunk)
                    if left < 0:
                        break
        except (TimeoutError, ClientGone):
            pass  # the client had enough time to read the answer
        await send({"type": "http.response.body", "body": b""})

    async def _answer(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        scope = exchange.scope
        answer = self._replay(exchange)
        if answer is not None:
            await send({"type": "http.response.start", "status": answer.status, "headers": list(answer.headers)})
            await send({"type": "http.response.body", "body": answer.content})
            return
        try:
            await self._app(scope, _body_first(exchange.body, receive), send)
        except Exception as error:  # noqa: BLE001 - this handles every other error: log, answer 500, go on
            self._log_failure(exchange, error)
            if exchange.status == CLIENT_GONE:
                trace_id = exchange.trace.trace_id
                await problem(500, "internal error", trace_id=trace_id)(scope, receive, send)
        self._keep(exchange)

    def _replay(self, exchange: Exchange) -> Answer | None:
        if exchange.client_key is None or not exchange.idempotency_key:
            return None
        return self._ledger.find(
            exchange.client_key,
            exchange.method,
            exchange.target,
            exchange.idempotency_key,
            exchange.authorization,
            exchange.body,
        )

    def _keep(self, exchange: Exchange) -> None:
        # An answer of 500 or more is not kept: a retry must be worked on again.
        if exchange.client_key is None or not exchange.body or exchange.status >= 500:
            return
        answer = Answer(
            method=exchange.method,
            path=exchange.target,
            idempotency_key=exchange.idempotency_key,
            authorization=exchange.authorization,
            body=exchange.body,
            status=exchange.status,
            headers=exchange.headers,
            content=b"".join(exchange.content),
        )
        self._ledger.keep(exchange.client_key, answer)

    def _seen(self, exchange: Exchange, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                exchange.headers = tuple(message.get("headers", ()))
                # The work is done, so a client that is slow to read its answer takes no place from others.
                self._release(exchange)
            elif message["type"] == "http.response.body":
                exchange.content.append(message.get("body", b""))
            await send(message)

        return sending

    def _count(self, exchange: Exchange) -> None:
        duration_s = time.perf_counter() - exchange.started_s
        self._metrics.answered(exchange.method, exchange.route(), exchange.status, duration_s)

    def _log_request(self, exchange: Exchange) -> None:
        log(logging.INFO if exchange.status < 500 else logging.WARNING, "request", **_described(exchange))

    def _log_failure(self, exchange: Exchange, error: Exception) -> None:
        fields = _described(exchange) | {"code": 500, "error": f"{type(error).__name__}: {error}"}
        log(logging.ERROR, "request_failed", cause=error, **fields)


def _described(exchange: Exchange) -> dict[str, Any]:
    return {
        "trace_id": exchange.trace.trace_id,
        "method": exchange.method,
        "route": exchange.route(),
        "code": exchange.status,
        "duration_s": round(time.perf_counter() - exchange.started_s, 6),
    }


def _too_large() -> NotTaken:
    return NotTaken(413, f"the body is larger than {MAX_BODY_BYTES} bytes")


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    """The body, piece by piece."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


def _body_first(body: bytes, receive: Receive) -> Receive:
    """A `receive` that first gives the body that was already read, and then the messages after it."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receiving() -> Message:
        return pending.pop() if pending else await receive()

    return receiving
