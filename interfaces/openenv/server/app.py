"""The server: OpenEnv's HTTP and WebSocket API over sessions of this project's episodes.

`mirr openenv` serves either world. This module alone, `python -m mirr.interfaces.openenv.server.app`, serves the
simulator: for places where nothing but a simulator can run, such as a container.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError

# openenv ships no types.
from openenv.core.env_server.http_server import create_fastapi_app  # type: ignore[import-untyped]
from openenv.core.env_server.types import ConcurrencyConfig  # type: ignore[import-untyped]
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from mirr.chaos.errors import ChaosError
from mirr.env.environment import EpisodeError
from mirr.env.scenario import BadScenario
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import BadSeverity, Tier, UnknownName
from mirr.env.world import World, WorldError
from mirr.interfaces.openenv.models import MirrAction, MirrObservation, MirrState
from mirr.interfaces.openenv.server.environment import NAME, README, IncidentEnvironment, WorldSource
from mirr.interfaces.openenv.server.guard import MAX_MESSAGE_BYTES, Guard
from mirr.lab.errors import LabError

MAX_SESSIONS = 64
_PING_EVERY_S = 20.0
_GRACE_S = 90  # how long a lab needs to be reverted when somebody asks the server to end

_STATUS: dict[type[Exception], int] = {
    EpisodeError: 409,
    BadScenario: 422,
    UnknownName: 422,
    BadSeverity: 422,
    WorldError: 503,
    LabError: 503,
    ChaosError: 503,
}
"""HTTP status of each expected error. Over the WebSocket, OpenEnv sends their text."""


class CannotServe(Exception):
    """The server could not start. The message says why, and what to do next."""


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """How episodes are served."""

    host: str = "127.0.0.1"
    port: int = 8000  # 0: any free port
    max_sessions: int = MAX_SESSIONS
    idle_s: float = 1800.0  # a session that is silent for longer ends
    when_full: str = "end a session, or start the server with more of them: --sessions N"
    tier: Tier = Tier.EASY  # of an incident whose reset names no tier
    web: bool = False  # whether there is a page at /web to play by hand


def build_app(open_world: WorldSource, config: ServerConfig) -> FastAPI:
    """The server's application. Each session gets its own world from `open_world`."""
    sessions = functools.partial(IncidentEnvironment, open_world, tier=config.tier)
    limits = ConcurrencyConfig(max_concurrent_envs=config.max_sessions, session_timeout=config.idle_s)
    create = _create_with_web if config.web else create_fastapi_app
    app: FastAPI = create(
        sessions, MirrAction, MirrObservation, env_name=NAME, concurrency_config=limits, state_cls=MirrState
    )
    for kind, status in _STATUS.items():
        app.add_exception_handler(kind, functools.partial(_refused, status=status))
    app.add_exception_handler(ValidationError, _invalid_input)
    app.add_exception_handler(RequestValidationError, _invalid_input)
    app.add_middleware(Guard, when_full=config.when_full)
    return app


def _create_with_web(sessions: Callable[[], IncidentEnvironment], *models: object, **options: object) -> FastAPI:
    # The web interface reads both when it is made. It sends no usage reports, and it shows this package's page.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("ENV_README_PATH", str(README))
    from openenv.core.env_server.web_interface import create_web_interface_app  # type: ignore[import-untyped]

    app: FastAPI = create_web_interface_app(sessions, *models, **options)
    return app


async def _refused(_: Request, error: Exception, *, status: int) -> Response:
    return _json(status, str(error))


async def _invalid_input(_: Request, error: Exception) -> Response:
    assert isinstance(error, ValidationError | RequestValidationError)
    # The input is left out: it may be impossible to write as JSON.
    return _json(422, [{key: one[key] for key in ("type", "loc", "msg")} for one in error.errors()])


def _json(status: int, detail: object) -> Response:
    return Response(json.dumps({"detail": detail}), status_code=status, media_type="application/json")


def serve(open_world: WorldSource, config: ServerConfig, announce: Callable[[str], None]) -> None:
    """Serve until a signal comes. `announce` gets the address once the server answers there."""
    with _listening(config) as listener:
        app = build_app(open_world, config)
        server = uvicorn.Server(uvicorn_config(app, config))
        announce(f"http://{config.host}:{listener.getsockname()[1]}")
        # This is the normal end of a server. By now, uvicorn has closed every session, and so every world.
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listener])


def uvicorn_config(app: FastAPI, config: ServerConfig) -> uvicorn.Config:
    """How the application is served.

    A client that generates text may not answer a ping for minutes. So a ping waits for as long as a session may be
    silent: `idle_s` is the only limit. The pings still keep the connection alive on its way.
    """
    return uvicorn.Config(
        app,
        log_level="warning",
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_interval=_PING_EVERY_S,
        ws_ping_timeout=max(config.idle_s, _PING_EVERY_S),
        timeout_graceful_shutdown=_GRACE_S,
    )


@contextmanager
def _listening(config: ServerConfig) -> Iterator[socket.socket]:
    try:
        listener = socket.create_server((config.host, config.port), backlog=1024)
    except (OSError, OverflowError) as error:
        raise CannotServe(
            f"cannot listen on {config.host}:{config.port}: {error}; next: another --port, or --port 0 for a free one"
        ) from error
    with listener:
        yield listener


@contextmanager
def simulated() -> Iterator[World]:
    """Open a simulator."""
    world = SimulatedWorld()
    try:
        yield world
    finally:
        world.close()


def main() -> None:
    """Serve the simulator."""
    defaults = ServerConfig()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default=defaults.host)
    parser.add_argument("--port", type=int, default=defaults.port)
    parser.add_argument("--sessions", type=int, default=defaults.max_sessions)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the signal that asks a container to end
    serve(
        simulated,
        ServerConfig(host=given.host, port=given.port, max_sessions=given.sessions),
        lambda address: print(address, flush=True),
    )


if __name__ == "__main__":
    main()
