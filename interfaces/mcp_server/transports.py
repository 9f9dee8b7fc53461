"""The two ways to reach the server: standard streams of one client, or HTTP on this machine."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable

import anyio
from fastmcp import FastMCP
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mirr.interfaces.mcp_server.stdin import stdin_until_signal

HOST = "127.0.0.1"
PATH = "/mcp"
MOST_BYTES = 1 << 20  # of one request; a sensible one has a few hundred
_BACKLOG = 1024
_PARSE_ERROR, _INVALID_REQUEST = -32700, -32600  # of JSON-RPC


class AddressTaken(OSError):
    """Another program listens on that port. The message says what to do next."""


class Gate:
    """Refuses a body that is too large or not JSON, before it is kept or parsed."""

    def __init__(self, app: ASGIApp, most_bytes: int = MOST_BYTES) -> None:
        self._app = app
        self._most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        parts: list[Message] = []
        size = 0
        more = True
        while more:
            message = await receive()
            parts.append(message)
            size += len(message.get("body", b""))
            if size > self._most_bytes:
                await _refuse(send, 413, _INVALID_REQUEST, f"a request has at most {self._most_bytes} bytes")
                return
            more = message["type"] == "http.request" and message.get("more_body", False)
        if parts[-1]["type"] == "http.request" and not _is_object(b"".join(part["body"] for part in parts)):
            await _refuse(send, 400, _PARSE_ERROR, "the body is not a JSON object")
            return

        async def replay() -> Message:
            return parts.pop(0) if parts else await receive()

        await self._app(scope, replay, send)


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):  # invalid UTF-8 is also a ValueError
        return False


async def _refuse(send: Send, status: int, code: int, message: str) -> None:
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(error).encode()})


def keep_quiet() -> None:
    """Keep malformed messages out of the log. The client gets an answer, and the log is for real failures. Also, a
    client on standard streams may never read stderr, and then a server that writes much there would block."""
    logging.basicConfig(level=logging.ERROR)
    logging.getLogger("mcp").setLevel(logging.CRITICAL)


def run_stdio(server: FastMCP) -> None:
    """Serve the client on stdin and stdout until it closes stdin. Raises KeyboardInterrupt if a signal comes first."""
    keep_quiet()
    with stdin_until_signal():
        anyio.run(lambda: server.run_stdio_async(show_banner=False, log_level="ERROR"))


def listen(port: int) -> socket.socket:
    """A socket that listens on this machine only. Port 0 takes any free port. Raises AddressTaken."""
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((HOST, port))
        found.listen(_BACKLOG)
    except OSError as error:
        found.close()
        raise AddressTaken(
            f"cannot listen on {HOST}:{port}: {error.strerror}; next: --port 0 takes a free one"
        ) from error
    return found


def url(listening: socket.socket) -> str:
    """The address of the server."""
    return f"http://{HOST}:{listening.getsockname()[1]}{PATH}"


def run_http(server: FastMCP, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Serve over streamable HTTP until a signal ends it. Requests are independent: there are no sessions."""
    keep_quiet()
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
            # A web page in a browser on this machine must not reach the lab through a name that resolves to here.
            host_origin_protection=True,
            middleware=[Middleware(Gate)],
            uvicorn_config={"access_log": False, "ws": "none", "log_level": "error", "timeout_graceful_shutdown": 3},
            sockets=[listening],
        )
    )
