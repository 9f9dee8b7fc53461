"""The two ways to reach the server: standard streams of one client, or HTTP on this machine."""

from __future__ import annotations

import socket
from collections.abc import Callable

import anyio
from fastmcp import FastMCP
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOST = "127.0.0.1"
PATH = "/mcp"
MOST_BYTES = 1 << 20  # of one request; the largest that makes sense has some hundred
_BACKLOG = 1024


class PortTaken(OSError):
    """Somebody else listens there; the message says what next."""


class BodyLimit:
    """Refuses requests with larger bodies than any of ours, before they are kept in memory."""

    def __init__(self, app: ASGIApp, most_bytes: int = MOST_BYTES) -> None:
        self._app = app
        self._most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        parts: list[Message] = []
        size = 0
        more = scope["method"] in ("POST", "PUT", "PATCH")
        while more:
            message = await receive()
            parts.append(message)
            size += len(message.get("body", b""))
            if size > self._most_bytes:
                await _too_large(send, self._most_bytes)
                return
            more = message["type"] == "http.request" and message.get("more_body", False)

        async def replay() -> Message:
            return parts.pop(0) if parts else await receive()

        await self._app(scope, replay, send)


async def _too_large(send: Send, most_bytes: int) -> None:
    text = f'{{"error": "a request has at most {most_bytes} bytes"}}'.encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": text})


def run_stdio(server: FastMCP) -> None:
    """Serve the client on stdin and stdout until it closes stdin."""
    anyio.run(lambda: server.run_stdio_async(show_banner=False, log_level="ERROR"))


def listen(port: int) -> socket.socket:
    """A socket that listens on this machine alone; port 0 takes any that is free."""
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((HOST, port))
        found.listen(_BACKLOG)
    except OSError as error:
        found.close()
        raise PortTaken(f"cannot listen on {HOST}:{port}: {error.strerror}; next: --port 0 takes a free one") from error
    return found


def url(listening: socket.socket) -> str:
    """Where a client finds the server."""
    return f"http://{HOST}:{listening.getsockname()[1]}{PATH}"


def run_http(server: FastMCP, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Serve over streamable HTTP until a signal ends it. Each request stands for itself: no session is kept."""
    ready()
    anyio.run(
        lambda: server.run_http_async(
            show_banner=False,
            transport="http",
            host=HOST,
            port=listening.getsockname()[1],
            path=PATH,
            log_level="ERROR",
            json_response=True,
            stateless_http=True,
            # Pages that a browser on this machine shows must not reach the lab by a name that resolves to it.
            host_origin_protection=True,
            middleware=[Middleware(BodyLimit)],
            uvicorn_config={"access_log": False, "ws": "none", "log_level": "error", "timeout_graceful_shutdown": 3},
            sockets=[listening],
        )
    )
