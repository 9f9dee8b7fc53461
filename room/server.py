"""The room's server: a page, three requests, and one connection for everything else."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response, WebSocket

from mirr.env.checks import each_name_once
from mirr.room.entries import RoomError
from mirr.room.guard import MAX_BODY_BYTES, Guard, is_loopback
from mirr.room.hall import Hall
from mirr.room.keys import key_of, new_token, read_code, same
from mirr.room.limits import Limiter
from mirr.room.live import Live

PAGE = Path(__file__).parent / "page"

FAILURES_A_MINUTE = 10  # wrong codes and tokens, from one address
FAILURES_OF_ALL_A_MINUTE = 300
OPENED_A_MINUTE = 60  # a class behind one address, each practising alone
JOINED_A_MINUTE = 60

_GRACE_S = 5

_FILES: dict[str, tuple[str, str]] = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/room.css": ("room.css", "text/css; charset=utf-8"),
    "/room.js": ("room.js", "text/javascript; charset=utf-8"),
    "/incident.js": ("incident.js", "text/javascript; charset=utf-8"),
    "/paper.js": ("paper.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/vendor/uPlot.js": ("vendor/uPlot.js", "text/javascript; charset=utf-8"),
    "/vendor/uPlot.css": ("vendor/uPlot.css", "text/css; charset=utf-8"),
}
"""Every file that is served: its path, its name in `page/`, its type."""


class CannotServe(Exception):
    """The server could not start. The message says why, and what to do next."""


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """How rooms are served."""

    host: str = "127.0.0.1"
    port: int = 8090  # 0: any free port
    token: str | None = None  # who opens a room has to show it; None: anybody may open one
    allow_hosts: tuple[str, ...] = ()  # names of this server besides its addresses
    framed_by: tuple[str, ...] = ()  # sites that may show the page inside of theirs
    proxies: str = ""  # the addresses of proxies whose headers are believed, separated by commas


class Desk:
    """Opens rooms and lets teams in. It counts the wrong codes and tokens of each address."""

    def __init__(self, hall: Hall, token: str | None) -> None:
        self.hall = hall
        self.failures = Limiter(FAILURES_A_MINUTE, 60.0, most_of_all=FAILURES_OF_ALL_A_MINUTE)  # wrong codes
        self._wrong_tokens = Limiter(FAILURES_A_MINUTE, 60.0, most_of_all=FAILURES_OF_ALL_A_MINUTE)
        self._opened = Limiter(OPENED_A_MINUTE, 60.0)
        self._joined = Limiter(JOINED_A_MINUTE, 60.0)
        self._key = None if token is None else key_of(token)

    def open(self, address: str, token: str) -> tuple[int, dict[str, object]]:
        """A new room: its status and its answer."""
        if self._key is not None and self._wrong_tokens.is_full(address):
            return 429, {"why": "too many wrong tokens; wait a minute"}
        if self._key is not None and not same(key_of(token), self._key):
            self._wrong_tokens.note(address)
            return 401, {"why": "this server asks for the trainer's token: mirr room printed it when it started"}
        if not self._opened.take(address):
            return 429, {"why": "too many new rooms; wait a minute"}
        try:
            opened = self.hall.open()
        except RoomError as error:
            return 409, {"why": str(error)}
        return 201, {"code": opened.code, "token": opened.token}

    def join(self, address: str, code: str, name: object) -> tuple[int, dict[str, object]]:
        """A new team of a room: its status and its answer."""
        if self.failures.is_full(address):
            return 429, {"why": "too many wrong codes; wait a minute"}
        if not self._joined.take(address):
            return 429, {"why": "too many new teams; wait a minute"}
        token = new_token()
        with self.hall.inside(code) as room:
            if room is None:
                self.failures.note(address, read_code(code))
                return 404, {"why": "there is no room with that code"}
            if not isinstance(name, str):
                return 422, {"why": "a team has a name"}
            try:
                team = room.join(name, token, self.hall.now())
            except RoomError as error:
                return 409, {"why": str(error)}
            return 201, {"code": room.code, "name": team.name, "token": token}


def build_app(hall: Hall, config: ServerConfig) -> FastAPI:
    """The server's application."""
    desk = Desk(hall, config.token)
    live = Live(hall, desk.failures)

    @asynccontextmanager
    async def ticking(_: FastAPI) -> AsyncIterator[None]:
        clock = asyncio.create_task(live.tick())
        yield
        clock.cancel()
        with suppress(asyncio.CancelledError):
            await clock

    # The pages of its own documentation would be loaded from another server.
    app = FastAPI(title="The incident room", docs_url=None, redoc_url=None, openapi_url=None, lifespan=ticking)
    app.state.live = live
    for path, (name, kind) in _FILES.items():
        app.add_api_route(path, _file(PAGE / name, kind), methods=["GET", "HEAD"])

    @app.get("/api/server")
    async def server() -> Response:
        return _json(
            200, {"world": hall.source.name, "shared": hall.source.shared, "asks_for_token": config.token is not None}
        )

    @app.post("/api/rooms")
    async def open_room(request: Request) -> Response:
        return _json(*await asyncio.to_thread(desk.open, _address(request), _bearer(request)))

    @app.post("/api/rooms/{code}/teams")
    async def join(request: Request, code: str) -> Response:
        name = _name(await request.body())
        status, answer = await asyncio.to_thread(desk.join, _address(request), code, name)
        live.changed(read_code(code))
        return _json(status, answer)

    @app.websocket("/ws")
    async def connect(connection: WebSocket) -> None:
        await live.serve(connection)

    hosts = (*config.allow_hosts, config.host, socket.gethostname())
    app.add_middleware(Guard, hosts=hosts, any_address=not is_loopback(config.host), framed_by=config.framed_by)
    return app


def _file(path: Path, kind: str) -> Callable[[Request], Response]:
    content = path.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {"etag": tag, "cache-control": "no-cache"}  # a browser asks whether its copy is still the newest

    def answer(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=kind, headers=headers)

    return answer


def _json(status: int, content: object) -> Response:
    headers = {"cache-control": "no-store"}
    return Response(json.dumps(content), status_code=status, media_type="application/json", headers=headers)


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _bearer(request: Request) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _name(body: bytes) -> object:
    try:
        content = json.loads(body, object_pairs_hook=each_name_once)
    except (ValueError, RecursionError):
        return None
    return content.get("name") if isinstance(content, dict) else None


def serve(hall: Hall, config: ServerConfig, announce: Callable[[str], None]) -> None:
    """Serve until a signal comes. `announce` gets the address once the server listens there."""
    with _listening(config) as listener:
        server = uvicorn.Server(uvicorn_config(build_app(hall, config), config))
        announce(address_of(config.host, listener.getsockname()[1]))
        with suppress(KeyboardInterrupt):  # the normal end of a server
            server.run(sockets=[listener])


def uvicorn_config(app: FastAPI, config: ServerConfig) -> uvicorn.Config:
    """How the application is served."""
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=bool(config.proxies),
        forwarded_allow_ips=config.proxies or None,
        ws_max_size=MAX_BODY_BYTES,
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        timeout_graceful_shutdown=_GRACE_S,
    )


def address_of(host: str, port: int) -> str:
    """Where a browser finds the server."""
    shown = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


@contextmanager
def _listening(config: ServerConfig) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        listener = socket.create_server((config.host, config.port), family=family, backlog=1024)
    except OSError as error:
        if error.errno is not None and error.errno < 0:  # of a resolver, which create_server passes on like this
            raise CannotServe(
                f"cannot listen on {config.host}: this machine has no such address; next: another --host, or none"
            ) from error
        why = os.strerror(error.errno) if error.errno is not None else str(error)
        raise CannotServe(
            f"cannot listen on {config.host}:{config.port}: {why}; next: another --port, or --port 0 for a free one"
        ) from error
    with listener:
        yield listener
