"""A guard before the room's server: who may be asked for here, who may ask, and what a page may load.

A web page of another site can send requests to this server from its visitor's browser. So a request whose Origin is not
this server is refused. An attacker may point a name of his own at this machine (DNS rebinding), and then both are the
same. So a request for a name that is not this server's is refused too.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mirr.env.quoting import quoted

MAX_BODY_BYTES = 4 * 1024
"""The size limit of a request or a frame. A name and a few fields take a few hundred bytes."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_CONTENT = "default-src 'self'; base-uri 'none'; form-action 'none'; object-src 'none'"

_SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


def checked_site(site: str) -> str:
    """A site as browsers name it, like `https://huggingface.co`. Raises ValueError."""
    if not re.fullmatch(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", site):
        raise ValueError(f"a site is https:// and a name, without a path; got {quoted(site)}")
    return site


def _framing(framed_by: Collection[str]) -> list[tuple[bytes, bytes]]:
    """Who may show the page inside of a page of their own. A player could be led to click in it unknowingly."""
    if not framed_by:
        return [
            (b"content-security-policy", f"{_CONTENT}; frame-ancestors 'none'".encode()),
            (b"x-frame-options", b"DENY"),
        ]
    # X-Frame-Options cannot name a site. Browsers that know frame-ancestors do not need it.
    return [(b"content-security-policy", f"{_CONTENT}; frame-ancestors {' '.join(framed_by)}".encode())]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on `host`."""
    if host in LOOPBACK:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class Guard:
    """ASGI middleware around the whole server."""

    def __init__(
        self, app: ASGIApp, *, hosts: Collection[str], any_address: bool, framed_by: Collection[str] = ()
    ) -> None:
        """`hosts` are the names that this server has. With `any_address`, every IP address is one of its names:
        an address cannot be rebound. `framed_by` are the sites that may show the page inside of theirs."""
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts) | LOOPBACK
        self._any_address = any_address
        self._headers = [*_SECURITY_HEADERS, *_framing(framed_by)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        kind = scope["type"]
        if kind not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        problem = self._problem(scope)
        if kind == "websocket":
            if problem is None:
                await self._app(scope, receive, send)
                return
            await receive()  # the handshake
            await send({"type": "websocket.close", "code": 1008, "reason": problem[1]})
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *self._headers]}
            await send(message)

        if problem is None:
            await self._app(scope, receive, with_headers)
            return
        await _answer(with_headers, *problem)

    def _problem(self, scope: Scope) -> tuple[int, str] | None:
        host = _header(scope, "host")
        if not self._is_ours(host):
            return 421, "this server does not have that name; next: mirr room --allow-host NAME"
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            return None
        origin = _header(scope, "origin")
        if (origin and urlsplit(origin).netloc.lower() != host.lower()) or _header(scope, "sec-fetch-site") in (
            "cross-site",
            "same-site",
        ):
            return 403, "a web page of another site may not do this"
        if scope["type"] == "websocket":
            return None
        if _header(scope, "content-type").partition(";")[0].strip() != "application/json":
            return 415, "send JSON, with content-type: application/json"
        length = _header(scope, "content-length")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            return 413, f"a request says its length, and has at most {MAX_BODY_BYTES} bytes"
        return None

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        if not name or "@" in host:
            return False
        return name in self._hosts or (self._any_address and _is_address(name))


def _header(scope: Scope, name: str) -> str:
    key = name.encode()
    return next((str(value.decode("latin-1")) for each, value in scope["headers"] if each == key), "")


async def _answer(send: Send, status: int, why: str) -> None:
    body = json.dumps({"why": why}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
