"""The edge of every service: admits, reads, replays, counts and logs each request, whatever its handler does."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
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
CLIENT_GONE = 499  # nobody is there to read it; it is for the log and the metrics
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))

Templates = Sequence[tuple[re.Pattern[str], str]]  # what a path of the route looks like, and the route's template


class BodyTooLarge(Exception):
    """The body is above the cap."""


class ClientGone(Exception):
    """The client went away before its request was read."""


class Exchange:
    """One request and what became of it."""

    def __init__(self, scope: Scope, templates: Templates) -> None:
        self.started_s = time.perf_counter()
        self.scope = scope
        self.templates = templates
        headers = dict(scope["headers"])
        client_key = headers.get(b"client-key")
        self.client_key = client_key.decode("latin-1") if client_key else None
        self.idempotency_key: bytes = headers.get(b"idempotency-key", b"")
        self.content_length: bytes = headers.get(b"content-length", b"")
        self.trace = Trace(trace_id_of(headers.get(b"traceparent")), self.client_key)
        self.body = b""
        self.status = CLIENT_GONE
        self.headers: tuple[tuple[bytes, bytes], ...] = ()
        self.content: list[bytes] = []

    @property
    def method(self) -> str:
        """The method; one word for all that nobody defined, so that labels stay few."""
        method: str = self.scope["method"]
        return method if method in METHODS else "other"

    @property
    def target(self) -> str:
        """Path and query."""
        query = self.scope["query_string"].decode("latin-1")
        return f"{self.scope['path']}?{query}" if query else self.scope["path"]

    def route(self) -> str:
        """The template of the route, so that labels stay few: `/storefronts/{id}`."""
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
        self._in_flight = 0
        self._log_shed = OncePerSecond(logging.WARNING, "shed")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in UNCOUNTED:
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope, self._templates)
        CURRENT.set(exchange.trace)
        if self._in_flight >= self._max_in_flight:
            # Turned away before anything costly: a cheap no keeps the answers to the others in time.
            await problem(503, "too many requests in flight, try again later")(
                scope, receive, self._seen(exchange, send)
            )
            self._log_shed(route=exchange.route(), in_flight=self._in_flight, trace_id=exchange.trace.trace_id)
            self._count(exchange)
            return
        self._in_flight += 1
        self._metrics.in_flight.set(self._in_flight)
        try:
            await self._answer(exchange, receive, self._seen(exchange, send))
        finally:
            self._in_flight -= 1
            self._metrics.in_flight.set(self._in_flight)
            self._count(exchange)
            self._log_request(exchange)

    async def _answer(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        scope = exchange.scope
        try:
            exchange.body = await _read_body(exchange, receive)
        except BodyTooLarge:
            await problem(413, f"the body is larger than {MAX_BODY_BYTES} bytes")(scope, receive, send)
            return
        except ClientGone:
            return
        answer = self._replay(exchange)
        if answer is not None:
            await send({"type": "http.response.start", "status": answer.status, "headers": list(answer.headers)})
            await send({"type": "http.response.body", "body": answer.content})
            return
        try:
            await self._app(scope, _body_first(exchange.body, receive), send)
        except Exception as error:  # noqa: BLE001 - the last resort of every handler: log, answer 500, go on
            self._log_failure(exchange, error)
            if exchange.status == CLIENT_GONE:
                trace_id = exchange.trace.trace_id
                await problem(500, "internal error", trace_id=trace_id)(scope, receive, send)
        self._keep(exchange)

    def _replay(self, exchange: Exchange) -> Answer | None:
        if exchange.client_key is None or not exchange.idempotency_key:
            return None
        return self._ledger.find(
            exchange.client_key, exchange.method, exchange.target, exchange.idempotency_key, exchange.body
        )

    def _keep(self, exchange: Exchange) -> None:
        # An answer of 500 and above is no answer: the retry is to be worked on anew.
        if exchange.client_key is None or not exchange.body or exchange.status >= 500:
            return
        answer = Answer(
            method=exchange.method,
            path=exchange.target,
            idempotency_key=exchange.idempotency_key,
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


async def _read_body(exchange: Exchange, receive: Receive) -> bytes:
    """The whole body, or BodyTooLarge before it is all in memory."""
    length = exchange.content_length
    if length.isdigit() and int(length[:20]) > MAX_BODY_BYTES:
        raise BodyTooLarge
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise BodyTooLarge
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _body_first(body: bytes, receive: Receive) -> Receive:
    """A receive that gives the body that was read, then whatever comes after it."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receiving() -> Message:
        return pending.pop() if pending else await receive()

    return receiving
